/* Standing wishes: the chips, what their buttons change, and the box that is talked to. */
import { change, mine, state } from './api.js';
import { $, $$, asked, count, esc, fill, quoted, say } from './parts.js';

const day = (iso) => new Date(new Date(iso) - state.shift).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
/** The second line of a chip: how strict, until when, on the reader's own calendar. */
export const said = (w) => (w.until && /, to /.test(w.says) ? w.says.replace(/, to .*/, `, to ${day(w.until)}`) : w.says).replaceAll(', ', ' · ');
const drawn = (w) => fill('wish', { ...w, manner: `${w.wanted ? 'want' : 'avoid'} ${w.hard ? 'hard' : 'soft'}`, sign: w.wanted ? 'want' : 'avoid', says: said(w), held: String(w.pinned) });

/** Draw what stands, the newest first; what was not there before rises. */
export function show(wishes) {
  const before = new Set((state.wishes ?? []).map((w) => w.wish_id));
  state.wishes = wishes;
  const place = $('#wishes');
  place.innerHTML = wishes.map(drawn).join('');
  [...place.children].forEach((el, k) => { if (!before.has(wishes[k].wish_id)) el.classList.add('come'); });
}

/** The box answers: a sentence with the person's words in their ink, what two readers read otherwise, near words, a way back. */
export function reply(text, { words = [], near = [], undo = true, doubts = [] } = {}) {
  $('#reply').hidden = false;
  $('#reply-text').innerHTML = quoted(text, words, 'b') + (doubts.length ? ` <small>${esc(doubts.join(' '))}</small>` : '');
  $('#reply-near').innerHTML = near.slice(0, 3).map((w) => `<button class="b slim" type="button" data-say="more ${esc(w)}">More ${esc(w)}</button>`).join('');
  $('#reply-undo').hidden = !undo;
  say($('#reply-text').textContent);
}
export function hush() { $('#reply').hidden = true; }

let obeyed = async () => {};
/** What shall happen to the view when an answer changed the wishes. */
export const follow = (then) => { obeyed = then; };

async function obey(answer) {
  if (answer.wishes) show(answer.wishes);
  await obeyed(answer.feed);
}

/** Do it, or say in the box why it could not be done. */
export async function tried(doing) {
  try { return await doing(); } catch (wrong) { reply(wrong.message, { undo: false }); return null; }
}

const standing = (id) => state.wishes.find((w) => w.wish_id === id);
const at = (id) => mine(`instructions/${encodeURIComponent(id)}`);

export const drop = (id) => tried(async () => {
  const wish = standing(id), place = $$('#wishes [data-drop]').findIndex((b) => b.dataset.drop === id);
  await obey(await change('DELETE', at(id)));
  reply(`Taken back: ${wish?.text ?? 'that wish'}.`, { words: [wish?.text] });
  const left = $$('#wishes [data-drop]');
  if (!$('#feed-h').closest('[hidden]')) (left[Math.min(place, left.length - 1)] ?? $('#feed-h')).focus();
});

export const pin = (id) => tried(async () => {
  const answer = await change('PATCH', at(id), { pinned: !standing(id).pinned });
  show(answer.wishes);
  $$('#wishes [data-pin]').find((b) => b.dataset.pin === id)?.focus();
  const wish = standing(id);
  say(`${wish.text}: ${said(wish)}.`);
});

export const undo = () => tried(async () => {
  await obey(await change('POST', mine('instructions/undo')));
  reply('Undone.', { undo: false });
  $('#cmd').focus();
});

const later = (days) => { const t = new Date(Date.now() + state.shift); t.setDate(t.getDate() + days); t.setHours(23, 59, 59, 0); return t.toISOString(); };

export async function edit(id) {
  const w = standing(id), held = w.pinned || !w.until ? 'always' : /this visit/.test(w.says) ? 'visit' : w.until;
  const radio = (name, rows, now) => rows.map(([value, label]) => `<label><input type="radio" name="${name}" value="${esc(value)}"${value === now ? ' checked' : ''}>${esc(label)}</label>`).join('');
  const times = [['visit', 'this visit'], [later(0), 'today'], [later(7), 'a week from now'], ['always', 'until you say so']];
  if (held !== 'visit' && held !== 'always') times.splice(1, 0, [held, `to ${day(held)}`]);
  const answer = asked(w.text, `${w.met === undefined ? '' : `<p class="quiet">${count(w.met)} of the things on the page meet it.</p>`}
    <fieldset><legend>How strict</legend>${radio('hard', w.wanted ? [['true', 'must'], ['', 'rather']] : [['true', 'never'], ['', 'rather not']], w.hard ? 'true' : '')}</fieldset>
    ${state.kinds.length > 1 ? `<p><label>Where <select name="scope">${[...new Set(['everything', ...(w.scope === 'everything' ? [] : [w.scope]), ...state.kinds])].map((v) => `<option${v === w.scope ? ' selected' : ''}>${esc(v)}</option>`).join('')}</select></label></p>` : ''}
    <fieldset><legend>Until when</legend>${radio('until', times, held)}</fieldset>`, 'Change', 'Leave it', 'you');
  $('#ask-h').classList.add('said');
  const given = await answer;
  $$('#wishes [data-wish]').find((b) => b.dataset.wish === id)?.focus();
  if (!given) return;
  const until = given.get('until'), asks = {};
  if ((given.get('hard') === 'true') !== w.hard) asks.hard = !w.hard;
  if (given.get('scope') && given.get('scope') !== w.scope) asks.scope = given.get('scope');
  if (until !== held) Object.assign(asks, until === 'always' ? { pinned: true } : { pinned: false, ...(until === 'visit' ? {} : { until }) });
  if (!Object.keys(asks).length) return;
  await tried(async () => {
    await obey(await change('PATCH', at(id), asks));
    const now = standing(id);
    reply(`Now: ${now?.text ?? w.text}, ${now ? said(now) : 'changed'}.`, { words: [w.text] });
    $$('#wishes [data-wish]').find((b) => b.dataset.wish === id)?.focus();
  });
}

/* ---- the box ---- */
const TOLD = 60; // things that "the second one" may mean

const shown = () => $$('[data-view]:not([hidden]) [data-card]').slice(0, TOLD).map((card) => card.dataset.card);

async function speak(text) {
  const dock = $('#dock'), view = $('[data-view]:not([hidden])').dataset.view;
  const item = $('#item [data-keep]')?.dataset.keep;
  dock.setAttribute('aria-busy', 'true');
  await tried(async () => {
    const answer = await change('POST', '/v1/chat', {
      user_id: state.user, text, shown: shown(), view, ...(view === 'search' ? { q: $('#q').value } : {}), ...(view === 'item' && item ? { item_id: item } : {}),
    });
    if (answer.understood || answer.changes.length) await obey(answer);
    const words = answer.changes.flatMap((c) => [c.text, c.replaced]).concat((answer.relaxed ?? []).map((r) => state.wishes.find((w) => w.wish_id === r.wish_id)?.text));
    reply(answer.said, { words, near: answer.near ?? [], doubts: answer.doubts, undo: answer.changes.some((c) => c.did !== 'kept') });
  });
  dock.removeAttribute('aria-busy');
}

export function utter(text) {
  $('#cmd').value = text;
  $('#say').requestSubmit();
}

$('#say').addEventListener('submit', (e) => {
  e.preventDefault();
  const text = $('#cmd').value.trim();
  if (!text || $('#dock').hasAttribute('aria-busy')) return;
  $('#cmd').value = '';
  $('#cmd').focus();
  speak(text);
});
