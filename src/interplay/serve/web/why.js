/* Why this: the trace of an answer, stage by stage, for one of its items. */
import { ask, state } from './api.js';
import { $, awaited, esc, icon } from './parts.js';

const figure = (v) => Number.isInteger(v) ? v.toLocaleString('en') : Math.abs(v) < 1 ? Math.abs(v).toFixed(Math.abs(v) < 0.1 ? 3 : 2).slice(1) : Math.abs(v).toFixed(2);
const minus = (v) => (v < 0 ? '−' : '');
const list = (words) => words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
const nth = (n) => n + (n % 100 > 10 && n % 100 < 14 ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[n % 10] ?? 'th'));
const named = (s) => s.replace(/_/g, ' ').replace(/^./, (c) => c.toUpperCase());

/** Rows of [name, number, kind]: '' learnt, 'said-bar' said by the person, 'minus' taken away. */
function bars(rows) {
  if (!rows.length) return '';
  const max = Math.max(...rows.map(([, v]) => Math.abs(v)), 1e-9);
  return `<div class="bars">${rows.map(([name, v, kind = '']) => `<span>${esc(name)}</span><div class="track"><i class="${kind}" style="width:${v ? Math.max(1, Math.abs(v) / max * 100) : 0}%"></i></div><span class="n">${minus(v)}${figure(v)}</span>`).join('')}</div>`;
}
/** A ribbon that thins as the candidates do; its thickness is the logarithm of their number. */
function ribbon(counts) {
  const w = Math.min(620, innerWidth) - (innerWidth > 640 ? 48 : 32), names = ['items', 'allowed', 'found', 'ranked', 'shown'], n = names.map((k) => counts[k]);
  const xs = n.map((_, i) => 2 + (w - 8) * i / 4), t = n.map((c) => 5 + 67 * Math.log1p(c) / Math.log1p(n[0] || 1)), mid = 40;
  const edge = (sign) => (i, j) => { const m = (xs[i] + xs[j]) / 2; return `C${m} ${mid + sign * t[i] / 2} ${m} ${mid + sign * t[j] / 2} ${xs[j]} ${mid + sign * t[j] / 2}`; }, up = edge(-1), down = edge(1);
  return `<svg class="narrow" width="${w}" height="118" viewBox="0 0 ${w} 118" role="img" aria-label="${n.map((c, i) => `${c.toLocaleString('en')} ${names[i]}`).join(', ')}"><path d="M${xs[0]} ${mid - t[0] / 2}${[0, 1, 2, 3].map((i) => up(i, i + 1)).join('')}V${mid + t[4] / 2}${[4, 3, 2, 1].map((i) => down(i, i - 1)).join('')}z" fill="var(--engine-wash)" stroke="var(--engine)" stroke-width="1.5"/>${xs.map((x, i) => { const at = ['start', 'middle', 'middle', 'middle', 'end'][i], tx = i ? i === 4 ? w : x : 0; return `<path d="M${x} ${mid - t[i] / 2}v${t[i]}" stroke="var(--engine)" stroke-width="2"/><text x="${tx}" y="96" text-anchor="${at}" font-size="15" fill="var(--ink)" font-weight="700">${n[i].toLocaleString('en')}</text><text x="${tx}" y="113" text-anchor="${at}" font-size="13" fill="var(--ink-2)">${names[i]}</text>`; }).join('')}<circle cx="${xs[4]}" cy="${mid}" r="6" fill="var(--you)"/></svg>`;
}

const spoken = (rule) => /^(less like|has the words|lacks a word)/.test(rule) || /^[\w ]+: /.test(rule);   // rules that the person made

/** What a stage's facts show: who gave how many, which rule hid how many. */
function facts({ name, facts: f }) {
  if (name === 'retrieve') return bars((f.sources ?? []).filter((s) => 'gave' in s).map((s) => [named(s.source), s.gave]));
  if (name !== 'rules') return '';
  const rows = Object.entries(f.by_rule ?? {}).map(([rule, n]) => [rule, n, spoken(rule) ? 'said-bar' : '']);
  if (f.seen) rows.push(['Already seen', f.seen]);
  if (f.excluded) rows.push(['Stands elsewhere', f.excluded]);
  return bars(rows);
}

/** What a stage did to this very item. */
function about({ name }, item) {
  const { sources } = item;
  if (!sources.length) return '';
  if (name === 'retrieve') return `<p class="quiet small">${esc(item.title)} came from ${esc(list(sources.map((s) => `${s.source} (${nth(s.place)})`)))}.</p>`;
  if (name === 'rank') return `<p>Score <b class="n">${minus(item.score)}${figure(item.score)}</b>${item.ranked ? `, place ${item.ranked} of those ranked` : ''}.</p>${bars(sources.map((s) => [named(s.source), s.part, s.part < 0 ? 'minus' : '']))}`;
  return name === 'page' ? `<p class="quiet small">It stands in place ${item.place}.</p>` : '';
}

export async function open(request_id, item_id) {
  const box = $('#why');
  box.innerHTML = '<div class="body"></div>';
  if (!box.open) box.showModal();
  const trace = await awaited($('.body', box), ask(`/v1/traces/${request_id}`), () => open(request_id, item_id));
  if (!trace) return;
  const item = trace.items.find((i) => String(i.item_id) === String(item_id)) ?? { title: item_id, sources: [], reason: '', score: 0 };
  const ms = (v) => `${v < 0.1 ? v.toFixed(2) : v.toFixed(1)} ms`;
  box.innerHTML = `<header><div class="frame">${item.picture ? `<img class="picture" src="${esc(item.picture)}" width="52" height="65" alt="">` : ''}</div><div><p class="quiet small">Why this</p><h2 id="why-h">${esc(item.title)}</h2></div><button class="k" data-do="close-why" aria-label="Close">${icon('x')}</button></header><div class="body">
    <p class="answer">${trace.query ? `You asked for <span class="said">${esc(trace.query)}</span>. ` : ''}<em>${esc(item.reason || 'Nothing more is known of why')}</em>.</p>${ribbon(trace.counts)}
    <ol class="stages">${trace.stages.map((stage, k) => `<li class="stage"><span class="dot" aria-hidden="true">${k + 1}</span><div><div class="top"><h3>${esc(named(stage.name))}</h3><span class="n quiet">${ms(stage.milliseconds)}</span></div><p>${esc(stage.said)}</p>${facts(stage)}${about(stage, item)}</div></li>`).join('')}</ol>
    <p class="quiet small">Request <span class="n">${esc(trace.request_id)}</span>, ${ms(trace.milliseconds)} in all, ${esc(trace.engine || state.engine)}. Draw <span class="n">${esc(trace.draw)}</span>: asked again of the same log, it gives the same page. <a href="/v1/traces/${esc(trace.request_id)}" data-plain>The whole trace</a></p></div>`;
  box.scrollTop = 0;
}

$('#why').addEventListener('click', (e) => { if (e.target.id === 'why' || e.target.closest('[data-do="close-why"]')) $('#why').close(); });
