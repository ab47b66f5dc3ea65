/* For whoever keeps it running: live latency, ingestion, models and their gates, experiments, benches, the market's people. */
import { ask, change } from './api.js';
import * as charts from './charts.js';
import { $, $$, asked, awaited, count, esc, icon, many, ms, note, say } from './parts.js';

const PANELS = { live: 'Live', ingestion: 'Ingestion', models: 'Models', experiments: 'Experiments', benches: 'Benches', people: 'People' };
let panel = null, made = {}, again = 0;                               // the panel shown, its charts, the timer that renews it

const head = (title, text) => `<header class="head"><h1 tabindex="-1">${title}</h1><p>${text}</p></header>`;
const figures = (rows) => `<dl class="facts">${rows.map(([name, value, unit]) => `<div><dt>${name}</dt><dd>${value}${unit ? ` <small>${unit}</small>` : ''}</dd></div>`).join('')}</dl>`;
const chart = (name, title, text) => `<figure class="chart"><figcaption><b>${title}</b>${text}</figcaption><div data-chart="${name}"></div></figure>`;
const table = (name, caption, columns, rows) => `<div class="wide" tabindex="0" role="region" aria-label="${esc(name)}"><table><caption><span>${caption}</span></caption><thead><tr>${columns.map(([label, kind]) => `<th scope="col"${kind ? ` class="${kind}"` : ''}>${label}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table></div>`;
const ago = (seconds) => seconds < 90 ? [Math.round(seconds), 's'] : seconds < 5400 ? [Math.round(seconds / 60), 'min'] : seconds < 172_800 ? [Math.round(seconds / 3600), 'h'] : [Math.round(seconds / 86_400), 'days'];
const clock = (iso) => new Date(iso).toLocaleTimeString('en-GB');
const date = (t) => new Date(typeof t === 'number' ? t / 1000 : t).toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const percent = (share) => (100 * share).toFixed(share && share < 0.01 ? 2 : 1);

/* ---- the panels: each returns its markup and sets its charts ---- */
const SHOW = {
  async live() {
    const l = await ask('/v1/operate/live'), all = l.stages.find((s) => s.name === 'all');
    made = {
      stages: (w) => charts.spans(w, [...l.stages.filter((s) => s.name !== 'all'), { ...all, name: 'in all', strong: true }], 'ms', l.target),
      p99: (w) => charts.line(w, 190, l.p99, 'ms', 'Time of an answer at the 99th percentile', l.target),
      rate: (w) => charts.line(w, 150, l.rate, 'a second', 'Answers a second'),
    };
    return head('Live', `Server time of the last ${l.minutes} minutes, ${many(l.answers, 'answer')} by ${esc(l.engine)}. The target is ${l.target} ms at the 99th percentile.`)
      + figures([['p99, all stages', all ? all.top.toFixed(1) : '–', 'ms'], ['answers a second', l.a_second], ['answered in part', percent(l.part), '%'], ['since the newest event learnt from', ...ago(l.model_age)], ['events not yet learnt from', count(l.since_fit)]])
      + l.missing.map((m) => note({ tone: 'care', sign: 'wait', strong: `Source “${m.source}” was missing ${m.n === 1 ? 'once' : `${m.n} times`}`, text: `and was left out of those answers (${m.why}). Their traces say so.`, button: `<button class="b slim" data-trace="${esc(m.request_id)}">Open one</button>` })).join('')
      + (all ? chart('stages', 'Where the time goes', 'Dot: median. Line: 5th to 95th percentile. Tick: 99th. Dashed: the target.') + chart('p99', `In all, 99th percentile, last ${l.minutes} minutes`, 'One point for each 10 seconds; a gap where nobody asked.') + chart('rate', 'Answers a second', 'Feeds ask for several answers each.')
        + table('Slowest answers', `The slowest answers of the last ${l.minutes} minutes. Each opens its trace.`, [['When', ''], ['Kind', ''], ['In all', 'num'], ['Request', '']], l.slowest.map((s) => `<tr><th scope="row" class="n">${clock(s.at)}</th><td>${esc(s.kind)}</td><td class="num">${ms(s.milliseconds)}</td><td><button class="b slim n" data-trace="${esc(s.request_id)}" aria-label="Open the trace of ${esc(s.request_id)}">${esc(s.request_id)}</button></td></tr>`))
        : '<p class="quiet">Nobody has asked for anything in this time.</p>');
  },

  async ingestion() {
    const g = await ask('/v1/operate/ingestion');
    made = { line: (w) => charts.line(w, 210, g.line, 'a minute', 'Events kept each minute of the last hour') };
    return head('Ingestion', `Events in the log of ${esc(g.database)}: what was kept, seen before, refused. Nothing is dropped silently.`)
      + figures([['kept in the last hour', count(g.hour)], ['told over HTTP since the start', count(g.taken.accepted)], ['seen before', count(g.taken.repeated)], ['refused', count(g.taken.refused)], ['in the log', count(g.rows)], ['not yet learnt from', count(g.since_fit)]])
      + chart('line', 'Durable events a minute, last hour', 'Counted when they were written down, not when they are said to have happened.')
      + table('Events by type', `Last hour. The log knows ${many(g.people, 'person', 'people')} and ${many(g.items, 'item')}.`, [['Type', ''], ['Events', 'num']], g.types.length ? g.types.map((r) => `<tr><th scope="row">${esc(r.event_type)}</th><td class="num">${count(r.n)}</td></tr>`) : ['<tr><td colspan="2">Nothing came in.</td></tr>'])
      + table('Refused rows', 'Refused rows since the start, by reason. What was quoted in a reason is left out here; the answer to the sender has it.', [['Reason', ''], ['Rows', 'num'], ['Last', '']], g.refused.length ? g.refused.map((r) => `<tr><td>${esc(r.reason)}</td><td class="num">${count(r.n)}</td><td class="n">${clock(r.last)}</td></tr>`) : ['<tr><td colspan="3">No row was refused.</td></tr>']);
  },

  async models() {
    const m = await ask('/v1/models'), rows = [...m.models].reverse(), before = m.moves.map((v) => v.version).filter((v, i, all) => v !== all.at(-1)).at(-1);
    made = {};
    const gates = ({ facts: f }) => {
      const out = [];
      if (f.verdict) out.push([f.verdict === 'worse' ? 'no' : f.verdict === 'better' ? 'yes' : 'wait', f.verdict === 'not judged' ? 'not judged' : `${f.verdict} than what served`]);
      for (const [name, v] of Object.entries(f.metrics ?? {})) out.push(['yes', `${name} ${charts.figure(v)}${f.baseline?.[name] === undefined ? '' : `, before it ${charts.figure(f.baseline[name])}`}`]);
      return out.map(([kind, text]) => `<span class="gate ${kind === 'yes' ? '' : kind}">${icon(kind)}${esc(text)}</span>`).join('');
    };
    return head('Models', 'A model goes live when its gate is open. One pointer moves; the old model stays ready.')
      + (rows.length ? `<ol>${rows.map((v) => `<li class="model"><div class="what"><h2>${esc(v.name)}, version ${v.version}</h2><span class="tag ${v.live ? 'live' : ''}">${v.live ? 'live' : 'ready to return'}</span><span class="small quiet">made ${date(v.made_at)}${v.last_row ? `, learnt ${many(v.last_row, 'event')} of the log` : ''}</span></div><div class="gates">${gates(v)}${v.facts.said ? `<p class="small quiet" style="flex-basis:100%;margin-top:6px">${esc(v.facts.said)}</p>` : ''}</div>${v.live ? `<button class="b slim" data-op="rollback"${before === undefined ? ' disabled' : ''}>${before === undefined ? 'Nothing to go back to' : `Go back to ${before}`}</button>` : `<button class="b slim" data-op="promote" data-version="${v.version}">Make live</button>`}</li>`).join('')}</ol>`
        : note({ tone: 'plain', strong: `${m.serving} serves, from memory.`, text: 'It was not put into a store, so there is no other version to go to. `interplay train --store` keeps versions and moves between them.' }))
      + (m.moves.length ? table('Moves', 'Every move of the pointer, newest first.', [['When', ''], ['To version', 'num'], ['Why', '']], [...m.moves].reverse().map((v) => `<tr><th scope="row" class="n">${date(v.time ?? v.moved_at ?? v.at)}</th><td class="num">${v.version}</td><td>${esc(v.why ?? '')}</td></tr>`)) : '');
  },

  async experiments() {
    const { experiments } = await ask('/v1/experiments'), rows = [...experiments].reverse(), chosen = new URLSearchParams(location.search).get('name') ?? rows[0]?.name;
    made = {};
    const top = head('Experiments', 'Each person is answered by one arm, always the same. The intervals hold however often you look.');
    if (!rows.length) return top + note({ tone: 'plain', strong: 'None was planned yet.', text: 'POST /v1/experiments plans one over two versions of the model; docs/experiments.md says how.' });
    const e = await ask(`/v1/experiments/${encodeURIComponent(chosen)}`), plan = e.experiment, told = e.gaps.filter((g) => g.interval), number = (v) => v === null ? '–' : charts.minus(v) + charts.figure(v);
    if (told.length) made.gaps = (w) => charts.gaps(w, told.map((g) => ({ name: g.arm, low: g.interval[0], mid: g.difference, high: g.interval[1] })), `${plan.reward}s a page more`);
    const op = { made: ['start', 'Start it'], running: ['stop', 'Stop it'] }[plan.state];
    return top
      + `<nav class="pills" aria-label="Experiments">${rows.map((x) => `<a class="b slim${x.name === chosen ? ' solid' : ''}" href="/operate/experiments?name=${encodeURIComponent(x.name)}"${x.name === chosen ? ' aria-current="true"' : ''}>${esc(x.name)}</a>`).join('')}</nav>`
      + note({ tone: e.guardrails.some((g) => g.state === 'breached') || e.said.includes('not filled as planned') ? 'stop' : 'plain', strong: `${plan.name} is ${plan.state}.`, text: `${e.said}.` })
      + (op ? `<div class="row"><button class="b${op[0] === 'start' ? ' solid' : ''}" data-op="${op[0]}" data-name="${esc(plan.name)}">${op[1]}</button><p class="quiet">${plan.kind === 'split' ? 'Each person sees one arm' : 'Both arms fill each page in turns'}; ${percent(plan.traffic)} % of people take part${plan.started_at ? `, since ${date(plan.started_at)}` : ''}.</p></div>` : '')
      + (told.length ? chart('gaps', `${esc(plan.reward)}s a page, more than ${esc(e.arms[0].name)}`, 'Dot: the difference. Line: an interval of 95 % that holds at all times at once.') : '')
      + table('Arms', `${e.moved ? `${many(e.moved, 'person', 'people')} saw more than one arm and are left out. ` : ''}${e.sample_ratio === null ? '' : `Chance that so many came to each arm: ${charts.figure(e.sample_ratio)}.`}`, [['Arm', ''], ['Model', 'num'], ['People', 'num'], ['Pages', 'num'], [`${esc(plan.reward)}s`, 'num'], ['A page', 'num'], ['Against the first', '']], e.arms.map((a, i) => `<tr><th scope="row">${esc(a.name)}</th><td class="num">${a.model || 'live'}</td><td class="num">${count(a.persons)}</td><td class="num">${count(a.pages)}</td><td class="num">${count(a.rewards)}</td><td class="num">${number(a.rate)}</td><td>${esc(e.gaps.find((g) => g.arm === a.name)?.verdict ?? (i ? '' : 'is the first'))}</td></tr>`))
      + (e.guardrails.length ? table('Guardrails', 'What must not suffer by more than a margin.', [['Event', ''], ['Arm', ''], ['State', ''], ['Difference', 'num'], ['Margin', 'num']], e.guardrails.map((g) => `<tr><th scope="row">${esc(g.event)}</th><td>${esc(g.arm)}</td><td>${esc(g.state)}</td><td class="num">${number(g.difference)}</td><td class="num">${charts.figure(g.margin)}</td></tr>`)) : '');
  },

  async benches() {
    const { benches } = await ask('/v1/operate/benches'), chosen = new URLSearchParams(location.search).get('name') ?? benches[0]?.name;
    made = {};
    if (!benches.length) return head('Benches', 'Every row is rendered from a record and can be run again.') + note({ tone: 'plain', strong: 'No records are here.', text: 'They lie in results/ of a checkout; `interplay bench NAME` makes them.' });
    const b = await ask(`/v1/operate/benches/${encodeURIComponent(chosen)}`), about = benches.find((x) => x.name === chosen);
    const span = b.columns.findIndex((c) => c.startsWith('95 %')), ends = (row) => (row.cells[span] ?? '').split(' to ').map(Number), known = b.rows.map(ends).filter((e) => e.length === 2 && !e.some(Number.isNaN));
    const low = Math.min(...known.map((e) => e[0])), high = Math.max(...known.map((e) => e[1])), wide = innerWidth < 640 ? 120 : 200, x = (v) => 6 + (wide - 12) * (v - low) / (high - low || 1), of = span > 0 ? b.columns.indexOf(b.columns[span].replace(/^95 % of /, '')) : -1;
    const cell = (row, c, i) => {
      if (i === span && !ends(row).some(Number.isNaN) && ends(row).length === 2) { const [a, z] = ends(row), mid = +row.cells[of]; return `<td><svg width="${wide}" height="22" viewBox="0 0 ${wide} 22" style="display:block" role="img" aria-label="${esc(c)}"><path d="M${x(a)} 11H${x(z)}M${x(a)} 6v10M${x(z)} 6v10" stroke="var(--ink-2)" stroke-width="2"/><circle cx="${x(mid)}" cy="11" r="4.5" fill="var(--ink)"/></svg></td>`; }
      return i ? `<td class="${/^[\d.,]+$/.test(c) ? 'num' : ''}">${esc(c)}</td>` : `<th scope="row">${esc(c)}</th>`;
    };
    const rows = [];
    b.rows.forEach((row, i) => { if (row.group && row.group !== b.rows[i - 1]?.group) rows.push(`<tr><th scope="rowgroup" colspan="${b.columns.length}" class="small">${esc(row.group)}</th></tr>`); rows.push(`<tr>${row.cells.map((c, k) => cell(row, c, k)).join('')}</tr>`); });
    return head('Benches', 'Every row is rendered from a record and can be run again with the command in it.')
      + `<nav class="pills" aria-label="Benches">${benches.map((x) => `<a class="b slim${x.name === chosen ? ' solid' : ''}" href="/operate/benches?name=${encodeURIComponent(x.name)}"${x.name === chosen ? ' aria-current="true"' : ''}>${esc(x.name)}</a>`).join('')}</nav>`
      + table(`Bench ${chosen}`, `${esc(b.about[0] ?? '')} ${many(about?.records ?? 0, 'record')}, the newest of ${esc((about?.date ?? '').slice(0, 10))}. Line: 95 % bootstrap interval over people.`, b.columns.map((c, i) => [esc(c || 'figure'), b.rows.every((r) => /^[\d.,]*$/.test(r.cells[i] ?? '')) ? 'num' : '']), rows)
      + b.about.slice(1).map((text) => `<p class="quiet small">${esc(text)}</p>`).join('');
  },

  async people() {
    let c;
    try { c = await ask('/v1/operate/crowd'); } catch (wrong) { made = {}; return head('People in the market', 'Simulated people who use this very API.') + note({ tone: 'plain', text: wrong.message }); }
    who ??= c.people[0]?.user_id;
    const one = await ask(`/v1/operate/crowd/${encodeURIComponent(who)}`), name = c.people.find((p) => p.user_id === who)?.name ?? who, here = c.patience.reduce((a, b) => a + b, 0);
    made = {
      crowd: (w) => charts.crowd(w, c.people, who, `A map of ${c.people.length} simulated people by true taste: ${c.states.map((s) => `${s.n} ${s.state}`).join(', ')}`),
      taste: (w) => charts.pairs(w, one.rows, `What ${name} truly likes and what the engine would show`),
      tired: (w) => charts.columns(w, c.patience.map((n, i) => [`${i / 2} to ${i / 2 + 0.5}`, n, i ? i < 2 ? 'care' : 'engine' : 'none']), ['none', 'much'], 'People here by patience left'),
    };
    const clicks = c.clicks_a_page === null ? '–' : `${c.clicks_a_page.toFixed(2)} <small>[${Math.max(0, c.low).toFixed(2)}, ${c.high.toFixed(2)}]</small>`;
    return head('People in the market', 'Each mark is one person who uses this very API, placed by what they truly like. Their truth is hidden from every model.')
      + '<p class="sim"><span>Simulated people. None of them exists, and nothing here is a claim about real ones.</span></p>'
      + `<div class="row"><button class="b ${c.walking ? '' : 'solid'}" data-op="walk" data-walking="${!c.walking}">${c.walking ? 'Send them home' : 'Let them in'}</button><p class="quiet">${c.walking ? `Day ${c.wave} of theirs. They go home when nobody looks here for three minutes.` : 'They ask, look, click and tire, eight requests a second. Their events join the log.'}</p></div>`
      + (c.trouble ? note({ tone: 'stop', strong: 'They stopped.', text: c.trouble }) : '')
      + figures([['pages they were shown', count(c.pages)], ['clicks a page, 95 % interval', clicks], ['things bought', count(c.bought)]])
      + `<div class="pair"><figure class="chart"><figcaption><b>${c.people.length} people, now</b>Left to right: ${c.axes[0]} to ${c.axes[1]}. Bottom to top: ${c.axes[2]} to ${c.axes[3]}. Choose one to look closer.</figcaption><div data-chart="crowd" class="pick"></div><p class="legend">${c.states.map((s) => `<span>${charts.mark(s.state)}${s.state}, ${s.n}</span>`).join('')}</p><label class="row">Look at <select id="who-of">${c.people.map((p) => `<option value="${esc(p.user_id)}"${p.user_id === who ? ' selected' : ''}>${esc(p.name)}, ${esc(p.user_id)}</option>`).join('')}</select></label></figure>
        <div style="display:grid;gap:24px"><figure class="chart"><figcaption><b>${esc(name)}</b>Of the ${one.top} things liked best, and of the ${one.top} the engine would show after ${many(one.events, 'event')}: the share of each kind, and how dear they are. ${one.shared} of ${one.top} are the same.</figcaption><div data-chart="taste"></div><p class="legend"><span><svg viewBox="0 0 22 12" aria-hidden="true"><path d="M11 0v12" stroke="var(--ink)" stroke-width="3"/></svg>true</span><span><svg viewBox="0 0 22 12" aria-hidden="true"><circle cx="11" cy="6" r="5" fill="var(--engine)"/></svg>believed</span></p><button class="b slim" data-trace="${esc(one.request_id)}" style="justify-self:start">Why the engine thinks so</button></figure>
        ${here ? chart('tired', 'Patience left', 'People here tire of repeats, and leave at zero.') : ''}</div></div>`;
  },
};
let who = null;

const draw = () => charts.drawn($('#panel'), made);

async function show(quiet) {
  clearTimeout(again);
  const place = $('#panel'), name = panel;
  const markup = quiet ? await SHOW[name]().catch(() => null) : await awaited(place, SHOW[name](), () => open(name));
  if (panel !== name) return;
  if (markup) {
    const held = document.activeElement, mark = held && place.contains(held) ? ['op', 'trace'].map((k) => held.dataset?.[k] && `[data-${k}="${held.dataset[k]}"]`).find(Boolean) ?? (held.id ? `#${held.id}` : null) : null;
    if (!quiet || document.activeElement?.tagName !== 'SELECT') {
      place.innerHTML = markup;
      draw();
      if (mark) $(mark, place)?.focus({ preventScroll: true });
    }
  }
  if (name === 'live' || name === 'ingestion' || name === 'experiments' || name === 'people') again = setTimeout(() => { if (!document.hidden && panel === name && !$('dialog[open]')) show(true); else if (panel === name) again = setTimeout(() => show(true), 2000); }, name === 'people' ? 2000 : 5000);
}

/** Show one panel; its title. */
export async function open(name = 'live') {
  panel = PANELS[name] ? name : 'live';
  const place = $('#operate');
  if (!$('#panel')) place.innerHTML = `<nav aria-label="Operate">${Object.entries(PANELS).map(([key, label]) => `<a href="/operate/${key}">${label}</a>`).join('')}</nav><div class="panel" id="panel"></div>`;
  $$('nav a', place.firstElementChild.parentNode).forEach((a) => a.pathname === `/operate/${panel}` ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current'));
  const here = $('a[aria-current="page"]', place);
  here.parentNode.scrollLeft = here.offsetLeft - 80;
  $('#panel').innerHTML = '';
  await show();
  return PANELS[panel];
}

/** Nobody looks here any more. */
export function close() { clearTimeout(again); panel = null; }

/** An answer's trace as a list of its items; each opens its own reason. */
async function trace(id) {
  const why = await import('./why.js'), told = await ask(`/v1/traces/${encodeURIComponent(id)}`);
  if (told.items.length) why.open(id, told.items[0].item_id); else say('Nothing was shown in that answer.');
}

async function deed(b) {
  try {
    if (b.dataset.op === 'walk') { await change('POST', '/v1/operate/crowd', { walking: b.dataset.walking === 'true' }); say(b.dataset.walking === 'true' ? 'They are in.' : 'They went home.'); return show(true); }
    if (b.dataset.op === 'start' || b.dataset.op === 'stop') {
      const begin = b.dataset.op === 'start', name = b.dataset.name;
      if (!await asked(begin ? `Let people into ${esc(name)}?` : `Stop ${esc(name)}?`, `<p>${begin ? 'From now on people are answered by its arms.' : 'The live model answers everybody again. It cannot be started a second time.'}</p>`, begin ? 'Start it' : 'Stop it', 'Leave it', 'you')) return null;
      await change('POST', `/v1/experiments/${encodeURIComponent(name)}/${b.dataset.op}`);
      say(begin ? 'It runs.' : 'It is stopped.');
      return show(true);
    }
    const back = b.dataset.op === 'rollback';
    if (!await asked(back ? 'Go back to the model before?' : `Make version ${b.dataset.version} live?`, `<p>${back ? 'The pointer moves to the version that served before.' : 'The pointer moves at once; its gate is not asked again.'} No request fails, and the present model stays ready.</p>`, back ? 'Go back' : 'Make it live', 'Leave it', 'you')) return null;
    const done = await change('POST', back ? '/v1/models/rollback' : `/v1/models/${b.dataset.version}/promote`);
    say(`Version ${done.live.version} is live.`);
    return show(true);
  } catch (wrong) { $('#panel').insertAdjacentHTML('afterbegin', note({ tone: 'stop', text: wrong.message })); return say(wrong.message); }
}

$('#operate').addEventListener('click', (e) => {
  const b = e.target.closest('[data-op],[data-trace]'), mark = e.target.closest('[data-one]');
  if (b?.dataset.trace) trace(b.dataset.trace).catch((wrong) => { $('#panel').insertAdjacentHTML('afterbegin', note({ tone: 'care', text: wrong.message })); });
  else if (b) deed(b);
  if (mark) { who = mark.dataset.one; show(true); }
});
$('#operate').addEventListener('change', (e) => { if (e.target.id === 'who-of') { who = e.target.value; e.target.blur(); show(true).then(() => $('#who-of')?.focus()); } });
new ResizeObserver(() => { if (panel) draw(); }).observe($('#operate'));
