/* For whoever keeps it running. */
import { ask, change } from './api.js';
import * as charts from './charts.js';
import { $, $$, asked, awaited, count, esc, figure, icon, many, ms, note, say, signed } from './parts.js';

const PANELS = { live: 'Live', ingestion: 'Ingestion', models: 'Models', experiments: 'Experiments', earned: 'Would have earned', looks: 'Looks', benches: 'Benches', people: 'People' };
let panel = null, made = {}, again = 0, turn = 0; // the panel shown, its charts, the timer that renews it, the answer awaited

/* ---- what panels are made of ---- */
const head = (title, text) => `<header class="head"><h1 tabindex="-1">${title}</h1><p>${text}</p></header>`;
const figures = (rows) => `<dl class="facts">${rows.map(([name, value, unit]) => `<div><dt>${name}</dt><dd>${value}${unit ? ` <small>${unit}</small>` : ''}</dd></div>`).join('')}</dl>`;
const chart = (name, title, text) => `<figure class="chart"><figcaption><b>${title}</b>${text}</figcaption><div data-chart="${name}"></div></figure>`;

/** A table. A column is its label, after `#` where it holds figures and `~` where times; a row is its cells, or its markup. */
function table(name, caption, columns, rows, none) {
  const kinds = columns.map((c) => ({ '#': ' class="num"', '~': ' class="n"' }[c[0]] ?? '')), labels = columns.map((c) => c.replace(/^[#~]/, ''));
  const row = (cells) => `<tr>${cells.map((c, i) => i ? `<td${kinds[i]}>${c}</td>` : `<th scope="row"${kinds[0]}>${c}</th>`).join('')}</tr>`;
  return `<div class="wide" tabindex="0" role="region" aria-label="${esc(name)}"><table><caption><span>${caption}</span></caption><thead><tr>${labels.map((l, i) => `<th scope="col"${columns[i][0] === '#' ? kinds[i] : ''}>${l}</th>`).join('')}</tr></thead><tbody>${rows.map((r) => typeof r === 'string' ? r : row(r)).join('') || `<tr><td colspan="${columns.length}">${none}</td></tr>`}</tbody></table></div>`;
}
const date = (t) => new Date(typeof t === 'number' ? t / 1000 : t).toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const percent = (share) => (100 * share).toFixed(share && share < 0.01 ? 2 : 1);
const gate = (kind, text) => `<span class="gate ${kind === 'yes' ? '' : kind}">${icon(kind)}${esc(text)}</span>`;
const pills = (label, path, key, rows, chosen) => `<nav class="pills" aria-label="${label}">${rows.map(([id, text]) => `<a class="b slim${id === chosen ? ' solid' : ''}" href="${path}?${key}=${encodeURIComponent(id)}"${id === chosen ? ' aria-current="true"' : ''}>${esc(text)}</a>`).join('')}</nav>`;
const here = (key) => new URLSearchParams(location.search).get(key);

/** A form: `name` is what is done with it, `back` where one goes otherwise. */
const form = (name, fields, yes, back) => `<form class="plan" data-form="${name}" novalidate>${fields.join('')}<div data-said role="alert"></div><div class="row"><button class="b solid">${yes}</button><a class="b" href="${back}">Leave it</a></div></form>`;
const field = (label, control, hint = '') => `<label><b>${label}</b> ${control}${hint ? ` <small>${hint}</small>` : ''}</label>`;
const group = (label, inner, hint = '') => `<fieldset><legend><b>${label}</b></legend>${hint ? `<p class="small quiet">${hint}</p>` : ''}${inner}</fieldset>`;
const input = (name, more = '') => `<input name="${name}" autocomplete="off" ${more}>`;
const select = (name, rows, chosen, more = '') => `<select name="${name}" ${more}>${rows.map(([value, text]) => `<option value="${esc(value)}"${value === chosen ? ' selected' : ''}>${esc(text)}</option>`).join('')}</select>`;

/** Something to learn: a version, a recipe or system by name, or a pasted one. */
async function chooser(versions) {
  const m = await ask('/v1/models');
  const rows = [...(versions ? [...m.models].reverse().map((v) => [`model ${v.version}`, `Version ${v.version}, ${v.name}${v.live ? ', live' : ''}`]) : []), ...m.choices.map((c) => [c.name, c.name]), ['', 'One that I paste']];
  return field('Recipe', select('policy', rows, rows[0][0], 'data-paste'))
    + `<div data-pasted hidden>${field('Its name', input('name', 'maxlength="200" value="mine.toml"'))}${field('Its text', '<textarea name="text" rows="9" spellcheck="false" maxlength="64000"></textarea>', 'As in docs/cascade.md.')}</div>`;
}

const chosen = (said) => said.get('policy') === '' ? { name: said.get('name'), text: said.get('text') } : said.get('policy').startsWith('model ') ? { model: +said.get('policy').slice(6) } : { name: said.get('policy') };
const ago = (seconds) => seconds < 90 ? [Math.round(seconds), 's'] : seconds < 5400 ? [Math.round(seconds / 60), 'min'] : seconds < 172_800 ? [Math.round(seconds / 3600), 'h'] : [Math.round(seconds / 86_400), 'days'];
const clock = (iso) => new Date(iso).toLocaleTimeString('en-GB');

/* ---- experiments on people ---- */
const TRIALS = '/operate/experiments', EARNED = '/operate/earned', LOOKS = '/operate/looks', at = (name, deed = '') => `/v1/experiments/${encodeURIComponent(name)}${deed}`;
const number = (v) => v === null ? '–' : signed(v), span = (s) => s ? `${number(s[0])} to ${number(s[1])}` : '–';
const ARMS = 3, RAILS = 2;

async function plan() {
  const m = await ask('/v1/models'), { events } = await ask('/v1/experiments'), kinds = events.map((e) => [e, e]);
  const versions = [['0', `What is live${m.models.length ? '' : `, ${m.serving}`}`], ...[...m.models].reverse().map((v) => [`${v.version}`, `Version ${v.version}, ${v.name}${v.live ? ', live now' : ''}`])];
  const other = m.models.filter((v) => !v.live).at(-1);
  const arm = (i) => `<div class="line">${field(`Arm ${i + 1}`, input(`arm${i}`, `maxlength="40" value="${['now', 'next'][i] ?? ''}"`))}${field('Answered by', select(`model${i}`, versions, i === 1 && other ? `${other.version}` : '0'))}${field('Share, %', input(`share${i}`, `type="number" min="0" max="100" step="any" value="${i < 2 ? 50 : ''}"`))}</div>`;
  const rail = (i) => `<div class="line">${field('Event', select(`event${i}`, [['', 'none'], ...kinds], ''))}${field('Margin, a page', input(`margin${i}`, 'type="number" min="0" step="any" value="0.02"'))}${field('It should be', select(`higher${i}`, [['yes', 'high'], ['', 'low']], 'yes'))}</div>`;
  return head('Plan an experiment', 'Nobody takes part before it is started.')
    + (other ? '' : note({ tone: 'care', text: 'There is only one version of the model.', button: '<a class="b slim" href="/operate/models?new=1">Learn another</a>' }))
    + form('plan', [
      field('Name', input('name', 'maxlength="40" required')),
      field('How people meet it', select('kind', [['split', 'Each person is answered by one arm'], ['interleave', 'Two arms fill each page in turns']], 'split')),
      group('Arms', Array.from({ length: ARMS }, (_, i) => arm(i)).join(''), 'The others are compared with the first. An arm without a name is left out.'),
      field('What counts', select('reward', kinds, 'click')), field('Where', select('surface', [['feed', 'Feeds'], ['search', 'Searches'], ['both', 'Both']], 'feed')),
      field('People who take part, %', input('traffic', 'type="number" min="0" max="100" step="any" value="100"'), 'Everybody else is answered by the live model.'),
      group('Guardrails', Array.from({ length: RAILS }, (_, i) => rail(i)).join(''), 'What must not suffer by more than a margin, in events a page.'),
    ], 'Plan it', TRIALS);
}

async function trials(made) {
  if (here('new')) return plan();
  const rows = (await ask('/v1/experiments')).experiments.reverse(), name = here('name') ?? rows[0]?.name;
  const top = head('Experiments', 'Each person is answered by one arm, always the same. The intervals hold however often you look.') + `<div class="row"><a class="b${rows.length ? '' : ' solid'}" href="${TRIALS}?new=1">Plan one</a></div>`;
  if (!rows.length) return top + note({ tone: 'plain', strong: 'None was planned yet.', text: 'Versions of the model answer people side by side.' });
  const e = await ask(at(name)), p = e.experiment, mixed = p.kind === 'interleave', running = p.state === 'running';
  const minutes = (t) => (t - p.started_at) / 60e6, last = e.course.length ? minutes(e.course.at(-1).at) : 0;
  p.arms.slice(1).forEach((arm, i) => {
    const points = e.course.map((c) => [minutes(c.at), c.gaps[i]]).filter(([, g]) => g.interval);
    if (points.length) made[`course${i}`] = (w) => charts.band(w, 230, points.map(([t, g]) => [t, g.interval[0], g.difference, g.interval[1]]), `${p.reward}s a page more`, arm.name);
  });
  if (p.moves.length) made.shares = (w) => charts.steps(w, 170, p.arms.map((a) => [a.name, p.moves.map((m) => [minutes(m.at), 100 * m.shares[a.name]])]), Math.max(last, minutes(p.moves.at(-1).at)), '% of people');
  const button = (op, text, more = '') => `<button class="b${op === 'start' ? ' solid' : ''}" data-op="${op}" data-name="${esc(p.name)}" ${more}>${text}</button>`;
  const deeds = p.state === 'made' ? button('start', 'Start it') : running ? p.arms.map((a) => button('decide', `Keep “${esc(a.name)}”`, `data-arm="${esc(a.name)}"`)).join('') + (mixed ? '' : button('move', 'Move traffic to what does better')) + button('stop', 'Stop it') : '';
  const bad = e.guardrails.some((g) => g.state === 'breached') || e.said.includes('not filled as planned');
  return top + pills('Experiments', TRIALS, 'name', rows.map((x) => [x.name, x.name]), name)
    + note({ tone: bad ? 'stop' : 'plain', strong: `${p.name} is ${p.state}.`, text: `${e.said}.` })
    + `<div><div class="gates">${running ? gate(e.may_stop ? bad ? 'no' : 'yes' : 'wait', e.stop_said) : ''}${e.sample_ratio === null || !p.started_at ? '' : gate(e.sample_ratio < 0.001 ? 'no' : 'yes', e.sample_ratio < 0.001 ? 'arms not filled as planned' : `arms filled as planned (chance ${figure(e.sample_ratio)})`)}</div>`
    + `<p class="small quiet">${mixed ? 'Both arms fill each page in turns; whose things are clicked more is preferred' : 'Each person sees one arm'}; ${+percent(p.traffic)} % of people take part${last ? `, for ${charts.spent(last)} now` : ''}.</p></div>`
    + (deeds ? `<div class="row">${deeds}</div>` : '')
    + p.arms.slice(1).map((a, i) => made[`course${i}`] ? chart(`course${i}`, `${esc(a.name)} against ${esc(p.arms[0].name)}, over time`, `${esc(p.reward)}s a page more. Line: the difference as it was then. Band: 95 %, at all times at once; where it leaves the dashed line, a difference is known.`) : '').join('')
    + table('Arms', `${e.moved && !mixed ? `${many(e.moved, 'person', 'people')} saw more than one arm and are left out. ` : ''}${mixed ? 'A click is a win of the arm whose choice the thing was.' : ''}`, ['Arm', '#Model', '#People', '#Pages', `#${mixed ? 'Wins' : `${esc(p.reward)}s`}`, '#A page', '#More than the first', '#95 %, at all times', 'So it is'], e.arms.map((a, i) => { const g = e.gaps.find((x) => x.arm === a.name); return [esc(a.name), a.model || 'live', count(a.persons), count(a.pages), count(a.rewards), number(a.rate), g ? number(g.difference) : '', g ? span(g.interval) : '', i ? esc(g?.verdict ?? '') : 'the first']; }))
    + (e.guardrails.length ? table('Guardrails', 'What must not suffer by more than a margin.', ['Event', 'Arm', 'State', '#Difference a page', '#95 %, at all times', '#Margin'], e.guardrails.map((g) => [esc(g.event), esc(g.arm), gate({ held: 'yes', breached: 'no', open: 'wait' }[g.state], g.state), number(g.difference), span(g.interval), `${g.higher_is_better ? '−' : '+'}${figure(g.margin)}`])) : '')
    + (p.moves.length ? chart('shares', 'Shares of the people', 'As they were moved.') : '');
}

async function planned(said) {
  const arms = [], guardrails = [], kind = said.get('kind');
  for (let i = 0; i < ARMS; i++) if (said.get(`arm${i}`)) arms.push({ name: said.get(`arm${i}`), model: +said.get(`model${i}`), share: +said.get(`share${i}`) / 100 });
  for (let i = 0; i < RAILS; i++) if (said.get(`event${i}`)) guardrails.push({ event: said.get(`event${i}`), margin: +said.get(`margin${i}`), higher_is_better: said.get(`higher${i}`) === 'yes' });
  const done = await change('POST', '/v1/experiments', { name: said.get('name'), kind, arms, reward: said.get('reward'), surface: said.get('surface'), traffic: +said.get('traffic') / 100, guardrails });
  say(`${done.experiment.name} is planned. Start it when you like.`);
  return `${TRIALS}?name=${encodeURIComponent(done.experiment.name)}`;
}

/* ---- what another recipe would have earned ---- */
const names = (e) => e.asked.policies.map((p) => p.model ? `model ${p.model}` : p.name || 'recipe.toml').join(' or ');

async function question() {
  const { events } = await ask('/v1/estimates');
  return head('What would it have earned?', 'The logged pages are asked again: how likely would this recipe have shown the very same things?')
    + form('estimate', [
      await chooser(true),
      field('Pages', select('window', [['share 0.5', 'The newest half of the log'], ['share 0.25', 'The newest quarter'], ['share 1', 'All of it'], ['days 1', 'The last day'], ['days 7', 'The last 7 days'], ['days 30', 'The last 30 days']], 'share 0.5'), 'A recipe is fitted on what is older than the first of them.'),
      field('What counts', select('reward', events.map((e) => [e, e]), 'click')),
      field('Places of a page', input('places', 'type="number" min="1" max="500" placeholder="as far as the log carries"')),
    ], 'Ask', EARNED);
}

const going = (e) => `<ol class="going" aria-label="What was done so far">${e.steps.map((s, i) => `<li${i === e.steps.length - 1 ? ' aria-current="step"' : ''}>${esc(s.stage)}${s.said ? `: ${esc(s.said)}` : ''}${s.total ? `, ${count(s.done ?? 0)} of ${count(s.total)}` : ''}</li>`).join('') || '<li aria-current="step">starting</li>'}</ol>`;

/** Answers that are worked out beside the service: how far one is, a refusal, or what `answered` makes of it. */
async function worked(made, { of, path, title, text, button, called, goes, answered }) {
  const listed = (await ask(`/v1/${of}`))[of], id = here('id') ?? listed[0]?.errand_id, e = listed.find((x) => x.errand_id === id);
  const top = head(title, text) + `<div class="row"><a class="b${e ? '' : ' solid'}" href="${path}?new=1">${button}</a>${e ? `<button class="b" data-op="forget" data-of="${of}" data-id="${esc(e.errand_id)}">${e.ended_at ? 'Forget this answer' : 'Stop it'}</button>` : ''}</div>`;
  if (!e) return top + note({ tone: 'plain', strong: 'Nothing was asked yet.', text: 'An answer takes a minute or so.' });
  const list = pills('Questions', path, 'id', listed.slice(0, 12).map((x) => [x.errand_id, `${called(x)}, ${date(x.made_at)}`]), e.errand_id);
  if (!e.ended_at && e.state !== 'failed') made.again = 2000;
  if (made.again) return top + list + note({ tone: 'plain', sign: 'wait', strong: `${goes(e)} is being asked.`, text: 'You may leave this page; the answer waits here.' }) + going(e);
  if (e.state !== 'done') return top + list + note({ tone: e.state === 'refused' ? 'care' : 'stop', strong: e.state === 'refused' ? 'Refused.' : 'It did not work.', text: sentence(e.said) });
  return top + list + answered(e, made);
}
const sentence = (said) => `${said[0].toUpperCase()}${said.slice(1)}.`;

const earned = (made) => here('new') ? question() : worked(made, { of: 'estimates', path: EARNED, title: 'What would it have earned?', text: 'Asked of the log: nobody was shown anything for it.', button: 'Ask about a recipe', called: names, goes: names, answered: earnings });

function earnings(e, made) {
  return e.answers.map((a, k) => {
    const all = [{ name: 'what was shown', low: a.logged_interval[0], mid: a.logged, high: a.logged_interval[1], faint: true }, ...a.estimates.map((s, i) => ({ name: s.name, low: s.interval[0], mid: s.value, high: s.interval[1], strong: !i }))];
    made[`values${k}`] = (w) => charts.intervals(w, all, `${a.reward} a page`, [a.logged, 'was shown']);
    made[`support${k}`] = (w) => charts.columns(w, a.support.map((s) => [s.place, Math.round(s.effective), s.holds ? 'engine' : 'none']), ['first place', `place ${a.width}`], 'Pages that the log is worth, by place');
    const where = a.places === a.width ? 'a page' : a.places === 1 ? 'the first place' : `the first ${a.places} places`;
    return `<section class="panel"><h2>${esc(a.policy)}${a.chosen ? ' <span class="tag live">recommended</span>' : ''}</h2>`
      + note({ tone: 'plain', sign: { better: 'yes', worse: 'no' }[a.verdict] ?? 'note', strong: { better: 'It would have earned more.', worse: 'It would have earned less.' }[a.verdict] ?? 'It cannot be told apart from what was shown.', text: `${a.said}.` })
      + chart(`values${k}`, `${esc(a.reward)} on ${where}`, 'Dot: what an estimator says. Line: 95 %. The first is the answer.')
      + table(`Estimators for ${a.policy}`, 'Where they part ways, the belief matters.', ['Estimator', '#A page', '#95 %', 'A reward depends'], a.estimates.map((s) => [esc(s.name), number(s.value), span(s.interval), esc(s.belief)]))
      + chart(`support${k}`, 'How far down the log carries', `What ${many(a.pages, 'logged page')} are worth for it, place by place; ${count(Math.ceil(a.support[0].needed))} are needed. Hollow: the log cannot tell. The heaviest page weighs ${figure(a.largest)}.`)
      + `<ul class="small quiet">${a.notes.map((n) => `<li>${esc(n)}.</li>`).join('')}</ul></section>`;
  }).join('');
}

async function sent(said) {
  const [what, n] = said.get('window').split(' '), window = what === 'share' ? { share: +n } : { days: +n };
  const { estimate } = await change('POST', '/v1/estimates', { policies: [chosen(said)], reward: said.get('reward'), places: said.get('places') ? +said.get('places') : null, window });
  say('It is being asked.');
  return `${EARNED}?id=${estimate.errand_id}`;
}

/* ---- where people look ---- */
async function looking() {
  const { events } = await ask('/v1/looks');
  return head('Where do people look?', 'Learnt from what was clicked, and where it stood, on the newest pages of the log.')
    + form('looks', [field('What answers a page', select('kind', events.map((e) => [e, e]), 'click'))], 'Ask', LOOKS);
}
const looks = (made) => here('new') ? looking() : worked(made, { of: 'looks', path: LOOKS, title: 'Where do people look?', text: 'A thing is clicked where it is looked at and attracts. Things that stood in several places tell the two apart.', button: 'Ask the log', called: (e) => `${e.asked.kind}s`, goes: () => 'The log', answered: seen });

function seen(e, made) {
  const [a] = e.answers, several = a.grid.length > 1, cells = a.grid.flat().filter((c) => c.shown), full = (share) => `${Math.round(100 * share)} %`;
  made.heat = (w) => charts.heat(w, a.grid);
  return note({ tone: 'plain', sign: { better: 'yes', worse: 'no' }[a.verdict] ?? 'note', strong: { better: 'It says more than click rates.', worse: 'Click rates say more.' }[a.verdict] ?? 'It may say no more than click rates.', text: sentence(a.said) })
    + a.notes.map((n) => note({ tone: 'care', text: sentence(n) })).join('')
    + chart('heat', 'How often each place is looked at', `In % of the place that is looked at most; the small figure is the place${several ? ' in its row' : ''}. Stronger: more. Model: ${esc(a.model)}.`)
    + table('Places', 'Looks beside what was counted. The model takes away what stood there; click rates do not.', [...(several ? ['#Row', '#Place'] : ['Place']), '#Looked at', `#${esc(a.kind)}s a showing`, '#95 %', '#Shown'], cells.map((c) => [...(several ? [c.row] : []), c.place, full(c.examination), number(c.rate), span(c.interval), count(c.shown)]))
    + (a.rows.length ? `<section><h2>Why each row stands there</h2><p class="quiet">The order of rows of the average page that would be clicked most: ${esc(a.rows_said)}.</p><ol>${a.rows.map((r) => `<li>${esc(sentence(r.said))}</li>`).join('')}</ol></section>` : '');
}
async function watched(said) {
  const { look } = await change('POST', '/v1/looks', { kind: said.get('kind') });
  say('It is being asked.');
  return `${LOOKS}?id=${look.errand_id}`;
}

/* ---- a version to try ---- */
async function learning() {
  return head('Learn another version', 'It is fitted on the whole log. Nobody sees it before it is live or an arm of an experiment.')
    + form('learn', [await chooser(false), field('Then', select('gate', [['never', 'keep it, to be tried'], ['not worse', 'test it, and let it serve unless it is worse'], ['better', 'test it, and let it serve if it is better']]), 'The test is on the newest part of the log. What fails it is not kept.')], 'Learn it', '/operate/models');
}
async function learnt(said) {
  await change('POST', '/v1/models', { ...chosen(said), gate: said.get('gate') });
  say('It is being learnt.');
  return '/operate/models';
}

/* ---- the panels: each returns its markup and sets its charts ---- */
const SHOW = {
  async live(made) {
    const l = await ask('/v1/operate/live'), all = l.stages.find((s) => s.name === 'all');
    Object.assign(made, {
      stages: (w) => charts.spans(w, [...l.stages.filter((s) => s.name !== 'all'), { ...all, name: 'in all', strong: true }], 'ms', l.target),
      p99: (w) => charts.line(w, 190, l.p99, 'ms', 'Time of an answer at the 99th percentile', l.target),
      rate: (w) => charts.line(w, 150, l.rate, 'a second', 'Answers a second'),
    });
    return head('Live', `Server time of the last ${l.minutes} minutes, ${many(l.answers, 'answer')} by ${esc(l.engine)}. The target is ${l.target} ms at the 99th percentile.`)
      + figures([['p99, all stages', all ? all.top.toFixed(1) : '–', 'ms'], ['answers a second', l.a_second], ['answered in part', percent(l.part), '%'], ['since the newest event learnt from', ...ago(l.model_age)], ['events not yet learnt from', count(l.since_fit)]])
      + l.missing.map((m) => note({ tone: 'care', sign: 'wait', strong: `Source “${m.source}” was missing ${m.n === 1 ? 'once' : `${m.n} times`}`, text: `and was left out of those answers (${m.why}). Their traces say so.`, button: `<button class="b slim" data-trace="${esc(m.request_id)}">Open one</button>` })).join('')
      + (all ? chart('stages', 'Where the time goes', 'Dot: median. Line: 5th to 95th percentile. Tick: 99th. Dashed: the target.') + chart('p99', `In all, 99th percentile, last ${l.minutes} minutes`, 'One point for each 10 seconds; a gap where nobody asked.') + chart('rate', 'Answers a second', 'Feeds ask for several answers each.')
        + table('Slowest answers', `The slowest answers of the last ${l.minutes} minutes. Each opens its trace.`, ['~When', 'Kind', '#In all', 'Request'], l.slowest.map((s) => [clock(s.at), esc(s.kind), ms(s.milliseconds), `<button class="b slim n" data-trace="${esc(s.request_id)}" aria-label="Open the trace of ${esc(s.request_id)}">${esc(s.request_id)}</button>`]))
        : '<p class="quiet">Nobody has asked for anything in this time.</p>');
  },

  async ingestion(made) {
    const g = await ask('/v1/operate/ingestion');
    Object.assign(made, { line: (w) => charts.line(w, 210, g.line, 'a minute', 'Events kept each minute of the last hour') });
    return head('Ingestion', `Events in the log of ${esc(g.database)}: what was kept, seen before, refused. Nothing is dropped silently.`)
      + figures([['kept in the last hour', count(g.hour)], ['told over HTTP since the start', count(g.taken.accepted)], ['seen before', count(g.taken.repeated)], ['refused', count(g.taken.refused)], ['in the log', count(g.rows)], ['not yet learnt from', count(g.since_fit)]])
      + chart('line', 'Durable events a minute, last hour', 'Counted when they were written down, not when they are said to have happened.')
      + table('Events by type', `Last hour. The log knows ${many(g.people, 'person', 'people')} and ${many(g.items, 'item')}.`, ['Type', '#Events'], g.types.map((r) => [esc(r.event_type), count(r.n)]), 'Nothing came in.')
      + table('Refused rows', 'Refused rows since the start, by reason. What was quoted in a reason is left out here; the answer to the sender has it.', ['Reason', '#Rows', '~Last'], g.refused.map((r) => [esc(r.reason), count(r.n), clock(r.last)]), 'No row was refused.');
  },

  async models(made) {
    if (here('new')) return learning();
    const m = await ask('/v1/models'), rows = [...m.models].reverse(), before = m.moves.map((v) => v.version).filter((v, i, all) => v !== all.at(-1)).at(-1);
    const told = { better: ['yes', 'better than'], worse: ['no', 'worse than'], 'cannot tell': ['wait', 'cannot be told from'] };
    const gates = ({ facts: f }) => {
      const [sign, than] = told[f.verdict] ?? ['wait'], judged = than ? Object.entries(f.metrics) : [];
      return judged.map(([name, v]) => {
        const [gap, ...ends] = f.paired?.[name] ?? [];
        return gate(sign, `${than} what served: ${name} ${figure(v)}, before it ${figure(f.baseline[name])}${ends.length ? `, ${gap < 0 ? '' : '+'}${number(gap)} [${ends.map(number).join(', ')}]` : ''}`);
      }).join('') || gate(sign, 'not judged');
    };
    const button = (v) => v.live ? `<button class="b slim" data-op="rollback"${before === undefined ? ' disabled' : ''}>${before === undefined ? 'Nothing to go back to' : `Go back to ${before}`}</button>`
      : `<button class="b slim" data-op="promote" data-version="${v.version}"${v.closed ? ' disabled' : ''}>Make live</button>`;
    const version = (v) => `<li class="model"><div class="what"><h2>${esc(v.name)}, version ${v.version}</h2><span class="tag ${v.live ? 'live' : ''}">${v.live ? 'live' : v.closed ? 'kept' : 'ready'}</span><span class="small quiet">made ${date(v.made_at)}${v.last_row ? `, learnt ${many(v.last_row, 'event')} of the log` : ''}</span></div><div class="gates">${gates(v)}${[v.facts.said, v.closed].filter(Boolean).map((text) => `<p class="small quiet">${esc(text)}</p>`).join('')}</div>${button(v)}</li>`;
    const last = m.trainings[0], on = last && !last.ended_at && last.state !== 'failed';
    if (on) made.again = 2000;
    return head('Models', 'A model goes live when its gate is open. One pointer moves; the old model stays ready.') + '<div class="row"><a class="b" href="/operate/models?new=1">Learn another</a></div>'
      + (on ? note({ tone: 'plain', sign: 'wait', strong: `${last.asked.name} is being learnt.`, text: 'You may leave this page.' }) + going(last) : last && last.state !== 'done' ? note({ tone: 'stop', strong: `${last.asked.name} could not be learnt.`, text: `${last.said}.` }) : last && !last.answers.length ? note({ tone: 'care', strong: `${last.asked.name} was not kept.`, text: sentence(last.said.replace(/^not kept. /, '')) }) : '')
      + (rows.length ? `<ol>${rows.map(version).join('')}</ol>`
        : note({ tone: 'plain', strong: `${m.serving} serves, from memory.`, text: 'It was not put into a store, so there is no other version to go to. `interplay train --store` keeps versions and moves between them.' }))
      + (m.moves.length ? table('Moves', 'Every move of the pointer, newest first.', ['~When', '#To version', 'Why'], [...m.moves].reverse().map((v) => [date(v.at), v.version, esc(v.why)])) : '');
  },

  experiments: trials,
  earned,
  looks,

  async benches(made) {
    const { benches } = await ask('/v1/operate/benches'), chosen = here('name') ?? benches[0]?.name;
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
      + pills('Benches', '/operate/benches', 'name', benches.map((x) => [x.name, x.name]), chosen)
      + table(`Bench ${chosen}`, `${esc(b.about[0] ?? '')} ${many(about?.records ?? 0, 'record')}, the newest of ${esc((about?.date ?? '').slice(0, 10))}. Line: 95 % bootstrap interval over people.`, b.columns.map((c, i) => (b.rows.every((r) => /^[\d.,]*$/.test(r.cells[i] ?? '')) ? '#' : '') + esc(c || 'figure')), rows)
      + b.about.slice(1).map((text) => `<p class="quiet small">${esc(text)}</p>`).join('');
  },

  async people(made) {
    let c;
    try { c = await ask('/v1/operate/crowd'); } catch (wrong) { return head('People in the market', 'Simulated people who use this very API.') + note({ tone: 'plain', text: wrong.message }); }
    who ??= c.people[0]?.user_id;
    const one = await ask(`/v1/operate/crowd/${encodeURIComponent(who)}`), name = c.people.find((p) => p.user_id === who)?.name ?? who, here = c.patience.reduce((a, b) => a + b, 0);
    Object.assign(made, {
      crowd: (w) => charts.crowd(w, c.people, who, `A map of ${c.people.length} simulated people by true taste: ${c.states.map((s) => `${s.n} ${s.state}`).join(', ')}`),
      taste: (w) => charts.pairs(w, one.rows, `What ${name} truly likes and what the engine would show`),
      tired: (w) => charts.columns(w, c.patience.map((n, i) => [`${i / 2} to ${i / 2 + 0.5}`, n, i ? i < 2 ? 'care' : 'engine' : 'none']), ['none', 'much'], 'People here by patience left'),
    });
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
let pressed = false; // what is pressed or open is not drawn anew
const LIST = CSS.supports('selector(:open)') ? 'select:open' : 'select:focus';
addEventListener('pointerdown', () => { pressed = true; }, true);
for (const over of ['pointerup', 'pointercancel', 'blur']) addEventListener(over, () => setTimeout(() => { pressed = false; }), true);

const draw = () => charts.drawn($('#panel'), made);

const EVERY = { live: 5000, ingestion: 5000, experiments: 10000, people: 2000 }; // milliseconds

/** Finds what has the focus again. */
function mark(held) {
  const data = Object.entries(held.dataset ?? {}).map(([k, v]) => `[data-${k}="${CSS.escape(v)}"]`).join('');
  return held.id ? `#${held.id}` : data || (held.pathname ? `a[href="${CSS.escape(held.getAttribute('href'))}"]` : null);
}

async function show(quiet) {
  clearTimeout(again);
  const place = $('#panel'), name = panel, fresh = {}, asking = here('new'), mine = ++turn;
  const markup = quiet ? await SHOW[name](fresh).catch(() => null) : await awaited(place, SHOW[name](fresh), () => open(name));
  if (panel !== name || asking !== here('new') || mine !== turn) return; // an older answer never covers a newer one
  if (markup) {
    const held = document.activeElement, found = held && place.contains(held) ? mark(held) : null;
    if (!quiet || !pressed && !$(LIST, place)) {
      made = fresh;
      place.innerHTML = markup;
      draw();
      const pill = $('.pills [aria-current]', place);
      if (pill) pill.parentNode.scrollLeft = pill.offsetLeft - pill.parentNode.offsetLeft - 80;
      if (found) $(found, place)?.focus({ preventScroll: true });
    }
  }
  const wait = asking ? 0 : fresh.again ?? EVERY[name];
  if (wait) again = setTimeout(() => { if (!document.hidden && panel === name && !$('dialog[open]')) show(true); else if (panel === name) again = setTimeout(() => show(true), 2000); }, wait);
}

export async function open(name = 'live') {
  panel = PANELS[name] ? name : 'live';
  const place = $('#operate');
  if (!$('#panel')) place.innerHTML = `<nav aria-label="Operate">${Object.entries(PANELS).map(([key, label]) => `<a href="/operate/${key}">${label}</a>`).join('')}</nav><div class="panel" id="panel"></div>`;
  $$('nav a', place.firstElementChild.parentNode).forEach((a) => a.pathname === `/operate/${panel}` ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current'));
  const link = $('nav a[aria-current="page"]', place);
  link.parentNode.scrollLeft = link.offsetLeft - 80;
  $('#panel').innerHTML = '';
  await show();
  return PANELS[panel];
}

export function close() { clearTimeout(again); panel = null; }

async function trace(id) {
  const why = await import('./why.js'), told = await ask(`/v1/traces/${encodeURIComponent(id)}`);
  if (told.items.length) why.open(id, told.items[0].item_id); else say('Nothing was shown in that answer.');
}

/** title, words, the button's word, the call, what is said then */
const DEEDS = {
  start: ({ name }) => [`Let people into ${name}?`, 'From now on people are answered by its arms.', 'Start it', () => change('POST', at(name, '/start')), 'It runs.'],
  stop: ({ name }) => [`Stop ${name}?`, 'The live model answers everybody again. It cannot be started a second time.', 'Stop it', () => change('POST', at(name, '/stop')), 'It is stopped.'],
  decide: ({ name, arm }) => [`Stop ${name} and keep “${arm}”?`, 'From now on it answers everybody. The model before stays ready to return.', 'Keep it', () => change('POST', at(name, '/decide'), { arm }), `${arm} answers everybody.`],
  move: ({ name }) => ['Move traffic to what does better?', 'Each arm gets people by its chance of being the best, 5 % at least. Who changes arms is left out of the results.', 'Move it', () => change('POST', at(name, '/shares'), {}), 'Traffic has moved.'],
  forget: ({ id, of }) => ['Forget it?', 'What goes on is stopped. The log can be asked again.', 'Forget it', async () => { await change('DELETE', `/v1/${of}/${encodeURIComponent(id)}`); history.replaceState(history.state, '', location.pathname); }, 'Forgotten.'],
  walk: ({ walking }) => ['', '', '', () => change('POST', '/v1/operate/crowd', { walking: walking === 'true' }), walking === 'true' ? 'They are in.' : 'They went home.'],
  promote: ({ version }) => [`Make version ${version} live?`, 'The pointer moves at once. No request fails, and the present model stays ready.', 'Make it live', () => change('POST', `/v1/models/${version}/promote`), `Version ${version} is live.`],
  rollback: () => ['Go back to the model before?', 'No request fails, and the present model stays ready.', 'Go back', () => change('POST', '/v1/models/rollback'), 'The version before is live.'],
};
const FORMS = { plan: planned, estimate: sent, looks: watched, learn: learnt };

async function deed(b) {
  const [title, words, yes, act, said] = DEEDS[b.dataset.op](b.dataset);
  if (title && !await asked(title, `<p>${esc(words)}</p>`, yes, 'Leave it', 'you')) return;
  try { await act(); say(said); await show(true); } catch (wrong) { $('#panel').insertAdjacentHTML('afterbegin', note({ tone: 'stop', text: wrong.message })); say(wrong.message); }
}

/** Send a form; what cannot be is said beside it, and what was typed stays. */
async function send(f) {
  const yes = $('.b.solid', f);
  yes.disabled = true;
  try {
    history.pushState({ top: 0 }, '', await FORMS[f.dataset.form](new FormData(f)));
    await open(location.pathname.split('/')[2]);
    $('h1', $('#panel'))?.focus();
  } catch (wrong) { $('[data-said]', f).innerHTML = note({ tone: 'stop', text: wrong.message }); }
  yes.disabled = false;
}

$('#operate').addEventListener('click', (e) => {
  const b = e.target.closest('[data-op],[data-trace]'), mark = e.target.closest('[data-one]');
  if (b?.dataset.trace) trace(b.dataset.trace).catch((wrong) => { $('#panel').insertAdjacentHTML('afterbegin', note({ tone: 'care', text: wrong.message })); });
  else if (b) deed(b);
  if (mark) { who = mark.dataset.one; show(true); }
});
$('#operate').addEventListener('submit', (e) => { e.preventDefault(); send(e.target); });
$('#operate').addEventListener('change', (e) => {
  if (e.target.id === 'who-of') { who = e.target.value; show(true); }
  if ('paste' in e.target.dataset) $('[data-pasted]', e.target.form).hidden = e.target.value !== '';
});
new ResizeObserver(() => { if (panel) draw(); }).observe($('#operate'));
