/* Why this: an answer's trace, stage by stage, for one of its items; changing a stage; a page beside the page without the arranger. */
import { ask, change, state } from './api.js';
import { $, awaited, count, esc, figure, icon, list, ms, nth, quoted, say, signed } from './parts.js';

const named = (s) => s.replace(/_/g, ' ').replace(/^./, (c) => c.toUpperCase());
const MADE = /^(less like|has the words|lacks a word|not \(|you said)/; // names of rules that the person made

let original = null, now = null, about = null, debug = false;

/** Rows of [name, number, kind]: '' learnt, 'said-bar' said by the person, 'minus' taken away. */
function bars(rows) {
  if (!rows.length) return '';
  const max = Math.max(...rows.map(([, v]) => Math.abs(v)), 1e-9);
  return `<div class="bars">${rows.map(([name, v, kind = '', text]) => `<span>${esc(name)}</span><div class="track"><i class="${kind}" style="width:${v ? Math.max(1, Math.abs(v) / max * 100) : 0}%"></i></div><span class="n">${text ?? signed(v)}</span>`).join('')}</div>`;
}

/** A ribbon that thins as the candidates do; its thickness is the logarithm of their number. */
function ribbon(counts, w) {
  const names = ['items', 'allowed', 'found', 'ranked', 'shown'], n = names.map((k) => counts[k] ?? 0);
  const xs = n.map((_, i) => 2 + (w - 8) * i / 4), t = n.map((c) => 5 + 67 * Math.log1p(c) / Math.log1p(n[0] || 1)), mid = 40;
  const edge = (sign) => (i, j) => { const m = (xs[i] + xs[j]) / 2; return `C${m} ${mid + sign * t[i] / 2} ${m} ${mid + sign * t[j] / 2} ${xs[j]} ${mid + sign * t[j] / 2}`; }, up = edge(-1), down = edge(1);
  return `<svg class="narrow" width="${w}" height="118" viewBox="0 0 ${w} 118" role="img" aria-label="${n.map((c, i) => `${count(c)} ${names[i]}`).join(', ')}"><path d="M${xs[0]} ${mid - t[0] / 2}${[0, 1, 2, 3].map((i) => up(i, i + 1)).join('')}V${mid + t[4] / 2}${[4, 3, 2, 1].map((i) => down(i, i - 1)).join('')}z" fill="var(--engine-wash)" stroke="var(--engine)" stroke-width="1.5"/>${xs.map((x, i) => { const at = ['start', 'middle', 'middle', 'middle', 'end'][i], tx = i ? i === 4 ? w : x : 0; return `<path d="M${x} ${mid - t[i] / 2}v${t[i]}" stroke="var(--engine)" stroke-width="2"/><text x="${tx}" y="96" text-anchor="${at}" font-size="15" fill="var(--ink)" font-weight="700">${count(n[i])}</text><text x="${tx}" y="113" text-anchor="${at}" font-size="13" fill="var(--ink-2)">${names[i]}</text>`; }).join('')}<circle cx="${xs[4]}" cy="${mid}" r="6" fill="var(--you)"/></svg>`;
}

const came = (r) => r.other === null ? 'new here' : r.other === r.place ? '' : `${r.other > r.place ? 'up' : 'down'} from ${nth(r.other)}`;
const goes = (r) => r.other === null ? 'not shown' : r.other === r.place ? '' : `to ${nth(r.other)}`;
const rows = (list, said) => `<ol>${list.map((r) => { const t = said(r); return `<li class="${t ? 'went' : ''}"><span class="n">${r.place}</span><span>${esc(r.title)}</span>${t ? `<small>${t}</small>` : ''}</li>`; }).join('')}</ol>`;

const beside = ({ before, after }) => `<div class="both-ways"><div><h4>Without the arranger</h4>${rows(before, goes)}</div><div><h4>As composed</h4>${rows(after, came)}</div></div>`;

const grains = (g, one = 'Each thing') => bars([[`${one}, without`, g.before.items], [`${one}, composed`, g.after.items], ['The whole, without', g.before.page], ['The whole, composed', g.after.page]].map(([name, v]) => [name, +v.toFixed(2), v < 0 ? 'minus' : '']));

export function compare(c) {
  const box = $('#why');
  box.innerHTML = `<header><div style="flex:1"><p class="quiet small">This page</p><h2 id="why-h">What moved, and why</h2></div><button class="k" data-do="close-why" aria-label="Close">${icon('x')}</button></header><div class="body">
    <p class="answer">${esc(c.said)}</p><p class="quiet">The engine learnt from shown pages what people go for, thing by thing and page by page. It puts things they go for higher, and lowers what repeats something above it.</p>
    ${c.rails ? `<h3>Shelves</h3>${beside(c.rails)}${grains(c.rails.grains, 'Each shelf')}` : ''}
    <h3>First things</h3>${beside(c.first)}${grains(c.grains)}
    <p class="quiet small">Bars: zero is a usual page, one a spread better. <a href="/v1/traces/${esc(c.request_id)}" data-plain>The whole trace</a></p></div>`;
  if (!box.open) box.showModal();
  box.scrollTop = 0;
}

/* ---- the stages ---- */
/** The wishes that an answer read, as far as they are known here. */
const heard = (f) => f.heard ?? (f.wishes && f.wishes === state.wishes.length ? state.wishes : []);

/** The person's words for rules that are theirs; a sentence with them in it. */
const words = () => new Map(state.wishes.filter((w) => w.where).map((w) => [w.wanted ? w.where : `not (${w.where})`, w.text]));
const worded = (said) => [...words()].reduce((text, [rule, own]) => [`"${rule}"`, `'${rule}'`, rule].reduce((t, form) => t.replaceAll(form, `“${own}”`), text), said).replace(/(?<![\w-]|person )\d{4,}\b/g, (n) => (+n).toLocaleString('en'));

/** What a stage's facts show: who gave how many, which rule hid how many. */
function facts({ name, facts: f }) {
  if (name === 'understand') return heard(f).length ? `<div class="row" style="gap:8px">${heard(f).map((w) => `<span class="tag edited">${esc(w.text)} ${esc(w.says.split(',')[0])}</span>`).join('')}</div>` : '';
  if (name === 'retrieve') {
    const rows = (f.sources ?? []).filter((s) => 'gave' in s).map((s) => [named(s.source), s.gave, s.source === 'wishes' ? 'said-bar' : '']);
    return bars([...rows, ...(f.sources ?? []).filter((s) => 'dropped' in s).map((s) => [named(s.source), 0, '', 'late'])]);
  }
  if (name === 'page' && f.orders && f.by !== 'base') return `<details><summary>${icon('pen')}The page with and without the arranger</summary>${beside(f.orders)}${grains(f.grains)}</details>`;
  if (name !== 'rules') return '';
  const spoken = words();
  const rows = Object.entries(f.by_rule ?? {}).map(([rule, n]) => [spoken.get(rule) ?? rule, n, spoken.has(rule) || MADE.test(rule) || /^[\w ]+: /.test(rule) || (f.yours ?? []).includes(rule) ? 'said-bar' : '']);
  if (f.seen) rows.push(['Already seen', f.seen]);
  if (f.excluded) rows.push(['Stands elsewhere', f.excluded]);
  return bars(rows);
}

const chance = (p) => (p > 0 && p < 0.005 ? 'under 1 %' : `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)} %`);

/** What a ranker foresees of an item: chances times what they count, and the order of the sources. */
function foreseen(f, item) {
  if (!item.predicted) return '';
  const parts = Object.entries(f.sum ?? {}).filter(([task]) => task in item.predicted).map(([task, weight]) => [task, item.predicted[task], weight]).sort((a, b) => b[1] * b[2] - a[1] * a[2]);
  const words = parts.map(([task, p, weight]) => `${esc(task)} <span class="n">${chance(p)}</span> × ${weight}`).join(' + ');
  const order = item.order ? `, and <span class="n">${figure(item.order)}</span> for its place among the sources` : '';
  return `<p class="small">Foreseen: ${words}${order}.</p>${bars([...parts.map(([task, p, weight]) => [`${named(task)} × ${weight}`, p * weight]), ...(item.order ? [['The sources’ order', item.order]] : [])])}`;
}

/** That an item was drawn for its place: by what chance, and what is believed of it. */
function drawn(item) {
  if (!('propensity' in item) || item.propensity >= 1) return '';
  const [low, high] = item.believed ?? [], what = item.explored ? 'Shown to learn' : 'Drawn for this place, and what is believed best';
  const believed = item.believed ? `; believed <span class="n">${chance(low).replace(' %', '')} to ${chance(high)}</span> likely to be looked at` : '';
  return `<p class="small">${what}: chance <span class="n">${chance(item.propensity)}</span>${believed}.</p>`;
}

/** What a stage did to this very item. */
function done({ name, facts: f }, item) {
  if (!item?.sources?.length) return '';
  if (name === 'retrieve') return `<p class="quiet small">${esc(item.title)} came from ${esc(list(item.sources.map((s) => `${s.source} (${nth(s.place)})`)))}.</p>`;
  if (name === 'rank') {
    const w = item.wishes, sources = item.sources.map((s) => [named(s.source), s.part, s.part < 0 ? 'minus' : s.source === 'wishes' ? 'said-bar' : '']);
    const rows = w && 'taste' in w ? [['What was learnt', w.taste], ['Your wishes', w.wanted ?? 0, 'said-bar'], ...(w.unwanted ? [['Against them', -Math.abs(w.unwanted), 'minus']] : [])] : sources;
    const key = [['said-bar', 'what you said'], ['', 'what was learnt'], ['minus', 'taken away']].filter(([k]) => rows.some(([, , kind]) => kind === k));
    return `<p>Score <b class="n">${signed(item.score)}</b>${item.ranked ? `, ${nth(item.ranked)} of those ranked` : ''}.</p>${foreseen(f, item)}${item.longterm ? `<p class="small">Lifted × <span class="n">${figure(item.longterm)}</span>: you may come back to its maker.</p>` : ''}${item.predicted && rows === sources ? '<p class="quiet small">What the sources gave to that order:</p>' : ''}${bars(rows)}${rows === sources ? '' : `<p class="quiet small">What was learnt, by source of it:</p>${bars(sources)}`}${key.length > 1 ? `<p class="key">${key.map(([k, t]) => `<span><span class="track"><i class="${k}"></i></span>${t}</span>`).join('')}</p>` : ''}`;
  }
  if (name !== 'page') return '';
  const stood = 'slot' in item ? (item.stood ? item.stood === item.place ? ', as it would without the arranger' : `; without the arranger it would be ${nth(item.stood)}` : '; without the arranger it would not be on this page') : '';
  const before = stood || (item.ranked && item.ranked !== item.place ? `; before the page was arranged it was ${nth(item.ranked)}` : '');
  const why = 'slot' in item ? bars([['Worth here', item.slot, item.slot < 0 ? 'minus' : ''], ['Like one above', item.alike]]) : '';
  return `<p class="quiet small">It stands in place ${item.place}${before}.</p>${drawn(item)}${why}`;
}

/* ---- debug mode: one form for each stage, and what it says ---- */
const tick = (name, value, label, on, said) => `<label><input type="checkbox" name="${name}" value="${esc(value)}"${on ? ' checked' : ''}><span${said ? ' class="said"' : ''}>${esc(label)}</span></label>`;
const slide = (name, label, value, max, step = 0.05) => `<label><span class="name">${esc(label)}</span><input type="range" name="${esc(name)}" min="0" max="${max}" step="${step}" value="${value}"><output class="n">${figure(+value)}</output></label>`;
const typed = (name, label, value, hint) => `<label><span class="name">${esc(label)}</span><input type="text" name="${name}" value="${esc(value ?? '')}" placeholder="${esc(hint)}" autocomplete="off" spellcheck="false"></label>`;
const forms = {
  understand: (s, { query }) => {
    const heard = s.facts.heard ?? state.wishes;
    return (query ? typed('query', 'The query', query, 'other words') : '')
      + (heard.length ? `<p>Read these wishes, or leave them out:</p>${heard.map((w) => tick('wish', w.wish_id, w.text, !w.off, true)).join('')}` : query ? '' : '<p class="quiet small">No words and no wish were read: only the past of the person.</p>');
  },
  retrieve: (s) => (s.facts.sources ?? []).filter((x) => !('left_out' in x) && !('serves' in x)).map((x) => tick('source', x.source, named(x.source), 'gave' in x)).join(''),
  rank: (s) => Object.entries(s.facts.weights ?? {}).map(([name, v]) => slide(name, named(name), v, Math.max(2, v))).join(''),
  rules: (s) => {
    const yours = new Set(s.facts.yours ?? []), shop = Object.keys(s.facts.by_rule ?? {}).filter((r) => !yours.has(r));
    return shop.map((r) => tick('rule', r, r, true)).join('') + tick('seen', '1', 'Hide what was seen already', s.facts.withhold_seen ?? Boolean(s.facts.seen))
      + typed('where', 'Only where', s.facts.where, 'price < 20')
      + (yours.size || state.wishes.some((w) => w.hard) ? '<p class="quiet small">A “never” of your own is changed on your feed, not here.</p>' : '');
  },
  page: (s) => (s.facts.arranger ? tick('arranger', '1', 'Let the arranger choose the page', !s.facts.off) : '') + slide('diversity', 'Variety', +(1 - (s.facts.variety === 'relevance' ? 1 : s.facts.balance)).toFixed(2), 1)
    + Object.entries(s.facts.caps ?? {}).map(([column, n]) => slide(`cap ${column}`, `Of one ${column}, at most`, n, 24, 1)).join('')
    + (state.capped && !(state.capped in (s.facts.caps ?? {})) ? slide(`cap ${state.capped}`, `Of one ${state.capped}, at most`, 24, 24, 1) : ''),
};

const ticked = (form, name, on = true) => [...form.querySelectorAll(`[name="${name}"]`)].filter((b) => b.checked === on).map((b) => b.value);
const read = {
  understand: (form) => ({ ...(form.elements.query ? { query: form.elements.query.value.trim() } : {}), without: ticked(form, 'wish', false) }),
  retrieve: (form) => ({ without: ticked(form, 'source', false) }),
  rank: (form) => ({ weights: Object.fromEntries([...form.querySelectorAll('[type="range"]')].map((r) => [r.name, +r.value])) }),
  rules: (form) => ({ without: ticked(form, 'rule', false), seen: form.elements.seen.checked ? 'drop' : 'keep', where: form.elements.where.value.trim() || null }),
  page: (form) => ({ ...(form.elements.arranger && form.elements.diversity.defaultValue === form.elements.diversity.value ? { arranger: form.elements.arranger.checked } : { diversity: +form.elements.diversity.value }), caps: Object.fromEntries([...form.querySelectorAll('[name^="cap "]')].filter((r) => r.defaultValue !== r.value).map((r) => [r.name.slice(4), +r.value])) }),
};

/** Each expert's share for this person, and which events moved it. */
const gate = (g) => `<p class="quiet small">Shares of the ranker’s experts, here and for somebody without a past:</p>${bars(g.experts.flatMap((v, k) => [[`Expert ${k + 1}`, v, v < 0 ? 'minus' : ''], ['  without a past', g.start[k], g.start[k] < 0 ? 'minus' : '']]))}${g.events.map((e) => { const at = e.without.map((v, k) => Math.abs(v - g.experts[k])), k = at.indexOf(Math.max(...at)); return `<p class="quiet small">Without ${esc(e.title)}, expert ${k + 1} would have <b class="n">${figure(e.without[k])}</b> instead of <b class="n">${figure(g.experts[k])}</b>.</p>`; }).join('')}`;

/** Where each outcome looked most: fields, and events of the past. */
const looked = (l) => Object.entries(l).map(([task, { fields, events }]) => `<p class="quiet small">Looked at most for <b>${esc(task)}</b>, by share of all fields and of the past:</p>${bars([...fields, ...events].map((e) => [e.field ? named(e.field.replace('.', ': ')) : e.title + e.history.slice(7).replace('.', ', '), e.share, '', chance(e.share)]))}`).join('');

function logged(event) {
  const { payload = {}, ...rest } = event, time = event.time ? new Date(event.time / 1000).toISOString().slice(11, 19) : '';
  const edit = payload.edit ?? payload;
  return [`${time}  edit.${payload.stage ?? ''}  ${JSON.stringify(edit)}`, Object.entries(rest).filter(([k, v]) => v && ['event_id', 'user_id', 'request_id'].includes(k)).map(([k, v]) => `${k} ${v}`).join('  ')].join('\n').trim();
}

const STATES = { edited: ['edited', 'edited by you'], again: ['rerun', 'run again'], kept: ['', 'kept as it was'] };
const WORDS = { understand: 'how it was read', retrieve: 'the sources', rank: 'the score', rules: 'the rules', page: 'the page' };

function followed(t) {
  const ran = t.stages.filter((s) => s.state === 'again'), took = t.stages.filter((s) => s.state && s.state !== 'kept').reduce((sum, s) => sum + s.milliseconds, 0);
  const rose = (t.rose ?? []).map((i) => `${i.title} rose ${i.from ? `from ${nth(i.from)} ` : ''}to ${nth(i.place)}`), fresh = (t.new ?? []).map((i) => i.title);
  const what = named(t.event?.payload?.stage ?? t.stages.find((s) => s.state === 'edited')?.name ?? '');
  const then = ran.length ? `${list(ran.map((s) => s.name))} ran again` : 'nothing else ran';
  const moved = [rose.length && `${list(rose.slice(0, 3))}.`, fresh.length && `New on the page: ${list(fresh.slice(0, 4))}${fresh.length > 4 ? ` and ${fresh.length - 4} more` : ''}.`].filter(Boolean).join(' ') || 'Nothing rose and nothing is new.';
  return `<div class="note plain">${icon('undo')}<div><b>${esc(what)} changed; ${esc(then)} in ${ms(took)}.</b> ${what === 'Rules' ? 'Rules act inside the search. ' : ''}${esc(moved)}<div class="row"><button class="b slim" data-do="unedit">Undo the edit</button></div></div></div>`;
}

function draw() {
  const box = $('#why'), trace = now, edited = now !== original, at = box.scrollTop;
  const item = trace.items.find((i) => String(i.item_id) === about), was = original.items.find((i) => String(i.item_id) === about), one = item ?? was ?? { title: about, sources: [], reason: '', score: 0 };
  const wanted = (one.meets ?? []).map((w) => w.text), reason = (one.reason || 'Nothing more is known of why').replace(/\.$/, '');
  const searched = trace.query ? `You asked for <span class="said">${esc(trace.query)}</span>. ` : '';
  const gone = edited && !item ? `<p class="answer">With this change <b>${esc(one.title)}</b> is not on the page.</p>` : `<p class="answer">${searched}<em>${esc(reason)}</em>${wanted.length ? `, and it fits <span class="said">${esc(list(wanted))}</span>` : ''}.</p>`;
  const stages = trace.stages.map((s, k) => { const [kind, tag] = edited ? STATES[s.state] ?? ['', ''] : ['', '']; return `<li class="stage ${kind}"><span class="dot" aria-hidden="true">${k + 1}</span><div><div class="top"><h3>${esc(named(s.name))}</h3>${tag ? `<span class="tag ${kind}">${tag}</span>` : ''}${s.state === 'kept' ? '' : `<span class="n quiet">${ms(s.milliseconds)}</span>`}</div><p>${esc(worded(s.said))}</p>${facts(s)}${done(s, item)}${debug && s.name === 'rank' && item ? `${item.gate ? gate(item.gate) : ''}${looked(item.looked ?? {})}` : ''}${debug && forms[s.name] ? `<details${s.state === 'edited' ? ' open' : ''}><summary>${icon('pen')}Change ${WORDS[s.name]}</summary><form class="edit" data-stage="${esc(s.name)}" aria-label="Change ${WORDS[s.name]}">${forms[s.name](s, trace, original)}<button class="b slim you">Run on from here</button></form></details>` : ''}</div></li>`; }).join('');
  const editable = original.stages.length > 3;
  box.innerHTML = `<header><div class="frame">${one.picture ? `<img class="picture" src="${esc(one.picture)}" width="52" height="65" alt="">` : ''}</div><div><p class="quiet small">Why this</p><h2 id="why-h">${esc(one.title)}</h2></div><button class="k" data-do="close-why" aria-label="Close">${icon('x')}</button></header><div class="body">
    ${gone}${ribbon(trace.counts, Math.min(620, innerWidth) - (innerWidth > 640 ? 48 : 32))}
    ${editable ? `<label class="switch"><input type="checkbox" id="debug" role="switch"${debug ? ' checked' : ''}>Debug mode: change a stage and run on from there</label>` : ''}<div id="edit-said">${edited ? followed(trace) : ''}</div>
    <ol class="stages">${stages}</ol>
    ${edited && trace.event ? `<div class="log" tabindex="0" role="region" aria-label="The edit as an event">${esc(logged(trace.event))}</div>` : ''}
    <p class="quiet small">Request <span class="n">${esc(trace.request_id)}</span>, ${ms(trace.milliseconds)} in all, ${esc(trace.engine || state.engine)}. Draw <span class="n">${esc(trace.draw)}</span>: asked again of the same log, it gives the same page. <a href="/v1/traces/${esc(trace.request_id)}" data-plain>The whole trace</a></p></div>`;
  box.scrollTop = at;
}

export async function open(request_id, item_id) {
  const box = $('#why');
  box.innerHTML = '<div class="body"><h2 id="why-h" class="unseen">Why this</h2><div></div></div>';
  if (!box.open) box.showModal();
  const trace = await awaited($('.body > div', box), ask(`/v1/traces/${encodeURIComponent(request_id)}`), () => open(request_id, item_id));
  if (!trace) return;
  original = now = trace; about = String(item_id); debug = false;
  draw();
  box.scrollTop = 0;
}

async function edit(form) {
  const stage = form.dataset.stage, button = $('button', form);
  button.disabled = true;
  try {
    now = await change('POST', `/v1/traces/${encodeURIComponent(original.request_id)}/edits`, { stage, edit: read[stage](form, original.stages.find((s) => s.name === stage)) });
    draw();
    $('#why').scrollTop = 0;
    $('[data-do="unedit"]').focus();
    say($('#edit-said b').textContent);
  } catch (wrong) {
    button.disabled = false;
    $('.note', form)?.remove();
    form.insertAdjacentHTML('beforeend', `<div class="note stop" role="alert">${icon('note')}<div>${quoted(wrong.message, [])}</div></div>`);
  }
}

$('#why').addEventListener('click', (e) => {
  if (e.target.id === 'why' || e.target.closest('[data-do="close-why"]')) $('#why').close();
  if (e.target.closest('[data-do="unedit"]')) { now = original; draw(); $('#debug').focus(); say('The edit is undone.'); }
});
$('#why').addEventListener('submit', (e) => { e.preventDefault(); edit(e.target); });
$('#why').addEventListener('input', (e) => {
  if (e.target.id === 'debug') { debug = e.target.checked; draw(); $('#debug').focus(); }
  if (e.target.type === 'range') e.target.nextElementSibling.textContent = figure(+e.target.value);
});
