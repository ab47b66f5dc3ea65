/* What is believed about the person, what was seen of them, how both are taken along or erased; and who is looking. */
import { ask, become, change, heard, mine, state, tell } from './api.js';
import { $, $$, asked, awaited, esc, fill, icon, list, many, say } from './parts.js';
import { said, show } from './wishes.js';

const sure = (s) => s.source !== 'guessed' && s.confidence >= 1 ? 'you said so' : s.confidence > 0.8 ? 'quite sure' : s.confidence > 0.6 ? 'fairly sure' : s.confidence > 0.45 ? 'unsure' : 'a hunch';
const agreed = (s) => s.source !== 'guessed';
const sized = (n) => n < 1000 ? `${n} bytes` : n < 1e6 ? `${Math.round(n / 1000)} KB` : `${(n / 1e6).toFixed(1)} MB`;

function dial(s) {
  const p = Math.min(Math.max(s.confidence, 0), 1), a = Math.PI * (1 - p), x = 42 + 36 * Math.cos(a), y = 40 - 36 * Math.sin(a);
  return `<svg viewBox="0 0 84 44" role="img" aria-label="Confidence ${Math.round(p * 100)} %"><path d="M6 40A36 36 0 0 1 78 40" fill="none" stroke="var(--line)" stroke-width="7"/>${p > 0 ? `<path d="M6 40A36 36 0 0 1 ${x.toFixed(1)} ${y.toFixed(1)}" fill="none" stroke="var(--${agreed(s) ? 'both' : 'engine'})" stroke-width="7"/>` : ''}<text x="42" y="39" text-anchor="middle" font-size="17" font-weight="700" fill="var(--ink)">${Math.round(p * 100)}</text></svg>`;
}

let statements = [], writing = null; // the statement that is being written: its id, 'new', or none

const form = (id, text) => `<form data-save="${esc(id)}"><label class="unseen" for="claim">Say it your way</label><input id="claim" value="${esc(text)}" maxlength="400" required><button class="b you">Save</button><button type="button" class="b" data-you="leave">Leave it</button></form>`;
function row(s) {
  const id = esc(s.statement_id), text = esc(s.text), fades = s.fades ? `${s.fades[0].toUpperCase()}${s.fades.slice(1)}${/\.$/.test(s.fades) ? '' : '.'}` : '';
  return `<li${agreed(s) ? ' class="agreed"' : ''}><div class="meter">${dial(s)}<span>${sure(s)}</span></div>${writing === String(s.statement_id) ? form(s.statement_id, s.text) : `<p class="claim">${text}</p>`}
    <div class="tools"><button class="k" data-you="pin" data-id="${id}" aria-pressed="${Boolean(s.pinned)}" aria-label="Pin: ${text}">${icon('pin')}</button>${agreed(s) ? '' : `<button class="k" data-you="agree" data-id="${id}" aria-label="That is so: ${text}">${icon('yes')}</button>`}<button class="k" data-you="edit" data-id="${id}" aria-label="Edit: ${text}">${icon('pen')}</button><button class="k" data-you="drop" data-id="${id}" aria-label="Delete: ${text}">${icon('x')}</button></div>
    <p class="evidence">${agreed(s) ? '<span class="tag both">agreed</span> ' : ''}${esc((s.evidence ?? []).join(' '))} <span class="small">${esc(fades)}</span></p></li>`;
}

function draw() {
  $('#beliefs').innerHTML = (statements.map(row).join('') || '<li style="display:block"><p class="claim">Interplay believes nothing about you.</p><p class="evidence">Statements appear after a few events, each with what it rests on. You can write the first one yourself.</p></li>')
    + (writing === 'new' ? `<li style="display:block">${form('new', '')}</li>` : '');
  $('#claim')?.focus();
}
const focus = (deed, id) => ($$(`#beliefs [data-you="${deed}"]`).find((b) => b.dataset.id === String(id)) ?? $('#you-h')).focus();

export async function open() {
  const place = $('#you');
  const got = await awaited(place, Promise.all([ask(mine('statements')), ask(mine('instructions')), ask(mine('history'), { limit: 6 })]), open);
  if (!got) return;
  statements = got[0].statements; writing = null;
  show(got[1].wishes);
  const seen = got[2], today = seen.events.slice(0, 6);
  place.innerHTML = `<header class="head"><h1 id="you-h" tabindex="-1">What Interplay believes about you</h1><p>Guesses from what you looked at, kept and said, with what each one rests on. Those marked <span class="tag both">agreed</span> you confirmed or wrote yourself. Change one and the next feed uses it.</p></header>
    <div class="cols"><div><h2 class="unseen">Statements</h2><ul class="beliefs" id="beliefs"></ul><button class="b" data-you="new" style="margin-top:16px">${icon('pen')}Write one yourself</button></div>
    <div class="aside">
      <section aria-labelledby="h-wishes"><h2 id="h-wishes">What you asked for</h2>${state.wishes.length ? `<ul>${state.wishes.map((w) => `<li><span class="said">${esc(w.text)}</span> <span class="small quiet">${esc(said(w))}</span></li>`).join('')}</ul><a class="small" href="/">Change them on the feed</a>` : '<p class="quiet">Nothing stands. Say what you want in the box under the feed.</p>'}</section>
      <section aria-labelledby="h-log"><h2 id="h-log">What it saw</h2>${today.length ? `<ol class="small quiet">${today.map((e) => `<li>${e.timestamp ? time(e.timestamp) : ''} ${phrase(e)}</li>`).join('')}</ol>` : '<p class="quiet">Nothing yet.</p>'}<a class="small" href="/you/history">Your whole history, ${many(seen.total, 'event')}</a></section>
      <section aria-labelledby="h-own"><h2 id="h-own">It is yours</h2><p class="quiet">Take everything with you: events, wishes, statements, traces. One JSON file.</p><button class="b" data-you="export">Export my data</button></section>
      <section aria-labelledby="h-never"><h2 id="h-never">Never guessed</h2><p class="quiet">Health, faith, politics, origin, love. Statements that touch these are dropped before they are stored.${got[0].dropped === undefined ? '' : ` Dropped for you so far: ${got[0].dropped}.`}</p></section>
      <section class="erase" aria-labelledby="h-erase"><h2 id="h-erase">Erase me</h2><p class="quiet">Removes your log, profile, traces and your rows in every stored model. What you left in shared item vectors changes at the next fit.</p><button class="b stop" data-you="erase">Erase me</button></section>
    </div></div>`;
  draw();
}

const at = (id) => mine(`statements/${encodeURIComponent(id)}`);
const find = (id) => statements.find((s) => String(s.statement_id) === id);
async function renew(answer) {
  statements = answer.statements ?? (await ask(mine('statements'))).statements;
  writing = null;
  draw();
}

const DEEDS = {
  new: () => { writing = 'new'; draw(); },
  edit: (id) => { writing = id; draw(); },
  leave: () => { const id = writing; writing = null; draw(); if (id === 'new') $('[data-you="new"]').focus(); else focus('edit', id); },
  pin: async (id) => { const s = find(id); await renew(await change('PATCH', at(id), { pinned: !s.pinned })); focus('pin', id); say(find(id)?.pinned ? 'Pinned: it stays until you say so.' : 'No longer pinned.'); },
  agree: async (id) => { await renew(await change('PATCH', at(id), { agreed: true })); focus('pin', id); say('Agreed. The next feed uses it.'); },
  drop: async (id) => { await renew(await change('DELETE', at(id))); $('#you-h').focus(); say('Deleted, with what it rested on. The next feed does not use it.'); },
  export: async (_, button) => {
    const held = JSON.stringify(await ask(mine('export')), null, 1), link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([held], { type: 'application/json' }));
    link.download = `interplay-${state.user}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    button.previousElementSibling.textContent = `One JSON file, ${sized(held.length)}, is in your downloads.`;
    say(button.previousElementSibling.textContent);
  },
  erase: async () => {
    const held = await ask(mine('history'), { limit: 1 }), name = state.person.name;
    const what = list([many(held.total, 'event'), many(state.wishes.length, 'wish', 'wishes'), many(statements.length, 'statement')]);
    const sure = await asked(`Erase everything about ${name}?`, `<p>This removes ${esc(what)} and every trace from the log, the caches, the refused-rows files and every stored model version. It cannot be undone.</p><p class="quiet">Items you helped rank keep a trace of you until the next fit.</p>`, 'Erase', 'Keep it');
    if (!sure) return;
    const done = await change('DELETE', mine(''));
    become(null);
    state.feed = null; state.person = { stranger: true, name: 'A stranger', kept: {}, events: 0, face: '' };
    $('#you').innerHTML = `<header class="head"><h1 id="you-h" tabindex="-1">You are erased</h1><p>${esc(done.said ?? `${name} and what belonged to them are gone. You are a stranger now.`)}</p></header><p class="row"><a class="b solid" href="/">See the feed of a stranger</a></p>`;
    document.dispatchEvent(new Event('person'));
    $('#you-h').focus();
    say('Erased.');
  },
};

async function deed(name, id, button) {
  try { await DEEDS[name](id, button); heard(); } catch (wrong) { say(wrong.message); button?.insertAdjacentHTML('afterend', `<p class="note stop" role="alert">${esc(wrong.message)}</p>`); }
}

$('#you').addEventListener('click', (e) => { const b = e.target.closest('[data-you]'); if (b) { $$('#you .note.stop').forEach((n) => n.remove()); deed(b.dataset.you, b.dataset.id, b); } });
$('#you').addEventListener('submit', async (e) => {
  e.preventDefault();
  const id = e.target.dataset.save, text = $('#claim').value.trim();
  if (!text) return;
  try {
    const answer = id === 'new' ? await change('POST', mine('statements'), { text }) : await change('PATCH', at(id), { text });
    await renew(answer);
    if (id === 'new') $('[data-you="new"]').focus(); else focus('edit', id);
    say('Saved. The next feed uses it.');
  } catch (wrong) { $('.note', e.target)?.remove(); e.target.insertAdjacentHTML('beforeend', `<p class="note stop" role="alert">${esc(wrong.message)}</p>`); }
});

/* ---- history ---- */
const MANNERS = { changed: 'changed a wish', removed: 'took a wish back', undone: 'undid the last change of a wish', pin: 'pinned a statement', agree: 'agreed to a statement', drop: 'deleted a statement' };
const DID = { click: 'looked at', look: 'looked at', view: 'looked at', keep: 'kept', cart: 'put in the basket', purchase: 'bought', buy: 'bought', rate: 'rated', less: 'wanted less like', undo: 'took back', instruction: 'said', statement: 'wrote', edit: 'tried an edit', merge: 'brought along' };
const GROUPS = { All: null, Looked: ['click', 'look', 'view'], Kept: ['keep'], Bought: ['purchase', 'buy', 'cart'], Said: ['instruction', 'less', 'statement', 'edit'] };
const when = (t) => new Date(t / 1000 - state.shift); // on the reader's own calendar
const time = (t) => when(t).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
const did = (e) => MANNERS[e.manner] ?? DID[e.event_type] ?? e.event_type;
const phrase = (e) => `${esc(did(e))} ${e.item_id ? `<a href="/item/${encodeURIComponent(e.item_id)}">${esc(e.title || e.item_id)}</a>` : e.said ? `<span class="said">${esc(e.said)}</span>` : ''}`;

let events = [], group = 'All', next = null, total = 0;
const part = (cursor) => ask(mine('history'), { limit: 100, cursor });

export async function history() {
  const place = $('#history'), answer = await awaited(place, part(), history);
  if (!answer) return;
  ({ events, next, total } = answer); group = 'All';
  place.innerHTML = `<header class="head"><h1 id="history-h" tabindex="-1">What Interplay saw of you</h1><p>${many(total, 'event')}. What you take back counts no longer, in the next feed and in the next fit. <a href="/you">What it believes</a></p></header><div class="pills" role="group" aria-label="Show only">${Object.keys(GROUPS).map((g) => `<button class="b slim" data-group="${g}" aria-pressed="${g === group}">${g}</button>`).join('')}</div><div class="days" id="days"></div><p class="row further" id="older"><button class="b" data-older>Older events</button></p>`;
  days();
}

function days() {
  const rows = events.filter((e) => !GROUPS[group] || GROUPS[group].includes(e.event_type)), by = Map.groupBy(rows, (e) => e.timestamp ? when(e.timestamp).toLocaleDateString('en-GB', { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' }) : 'Some time ago');
  $('#older').hidden = !next;
  $('#days').innerHTML = [...by].map(([day, list]) => `<section><h2>${esc(day)}</h2><ol>${list.map((e) => `<li class="${e.back ? 'back' : ''}"><time class="n">${e.timestamp ? time(e.timestamp) : ''}</time><span>${phrase(e)}</span>${e.back ? '<span class="tag">taken back</span>' : e.event_id && back(e) ? `<button class="b slim" data-back="${esc(e.event_id)}" aria-label="Take back: ${esc(did(e))} ${esc(e.title || e.said || '')}">Take back</button>` : '<span></span>'}</li>`).join('')}</ol></section>`).join('') || `<p class="quiet">Nothing of this kind${next ? ' among the newest' : ''}.</p>`;
}
const back = (e) => !['instruction', 'statement', 'edit', 'merge', 'undo'].includes(e.event_type);

$('#history').addEventListener('click', (e) => {
  const b = e.target.closest('[data-group],[data-older],[data-back]');
  if (!b) return;
  if (b.dataset.group) { group = b.dataset.group; $$('#history [data-group]').forEach((p) => p.setAttribute('aria-pressed', String(p === b))); days(); }
  if ('older' in b.dataset) part(next).then((more) => { const n = $$('#days li').length; events.push(...more.events); ({ next } = more); days(); ($$('#days li')[n]?.querySelector('a, button') ?? $('#history-h')).focus(); say(`${many(more.events.length, 'older event')}.`); }, (wrong) => say(wrong.message));
  if (b.dataset.back) {
    const event = events.find((x) => x.event_id === b.dataset.back);
    tell('undo', undefined, { undoes: event.event_id });
    event.back = true;
    const place = $$('#days [data-back]').indexOf(b);
    days();
    ($$('#days [data-back]')[place] ?? $('#history-h')).focus();
    say(`Taken back: ${did(event)} ${event.title || ''}.`);
  }
});

/* ---- who is looking ---- */
/** People of the log to look through the eyes of: some, or those whose id or name begins as typed; and a stranger. */
export async function people() {
  const place = $('#people'), typed = $('#other').value.trim(), answer = await awaited(place, ask('/v1/people', { prefix: typed }), people);
  if (!answer || typed !== $('#other').value.trim()) return;
  $('#people-sim').hidden = !answer.invented || !answer.people.length;
  $('#nobody').textContent = typed && !answer.people.length ? `Nobody known here is called “${typed}”. Whoever is new is a stranger.` : '';
  place.innerHTML = answer.people.map((p) => fill('person', { ...p, now: String(String(p.user_id) === state.user), initial: p.face ? '' : p.name.replace(/^Person /, '').slice(-3) })).join('')
    + `<li><button class="stranger" data-person="" aria-pressed="${state.person.stranger}"><i class="blank"></i><b>A stranger</b><span>Nothing is known of a stranger but what they do from now on.</span></button></li>`;
}

let typing = 0;
$('#other').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(people, 150); });
$('#else').addEventListener('submit', async (e) => {
  e.preventDefault();
  clearTimeout(typing);
  await people();
  if ($('#other').value.trim()) $('#people [data-person]:not([data-person=""])')?.click();
});

/** Step into somebody; a visitor is asked whether what they did shall come along. */
export async function enter(user, name) {
  const before = state.user;
  if (user && before !== user && before.startsWith('visitor-')) {
    const visitor = await ask(`/v1/people/${encodeURIComponent(before)}`), wishes = (await ask(mine('instructions'))).wishes.length;
    if (visitor.events || wishes) {
      const brought = [visitor.events && many(visitor.events, 'event'), wishes && many(wishes, 'wish', 'wishes')].filter(Boolean).join(' and ');
      const yes = await asked(`Take what you did along to ${name}?`, `<p>${esc(brought[0].toUpperCase() + brought.slice(1))} of this visit would join ${esc(name)}. Left behind, they stay with the stranger you were.</p>`, 'Take it along', 'Leave it behind', 'you');
      if (yes) await change('POST', mine('merge', user), { from: before });
    }
  }
  become(user);
}
