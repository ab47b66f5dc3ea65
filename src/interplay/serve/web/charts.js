/* Charts in plain SVG at the width they get: direct labels, a second sign beside every colour, the figures in the name. */
import { $$, count, esc, figure, signed } from './parts.js';

const svg = (w, h, inner, label) => `<svg viewBox="0 0 ${w} ${h}" width="${w}" height="${h}" role="img" aria-label="${esc(label)}">${inner}</svg>`;

/** Round figures from 0 to at least `most`. */
function ticks(most, n = 4) {
  const rough = Math.max(most, 1e-9) / n, ten = 10 ** Math.floor(Math.log10(rough)), step = [1, 2, 2.5, 5, 10].map((m) => m * ten).find((s) => s >= rough);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, i) => +(i * step).toPrecision(6));
}
const short = (v) => v >= 10_000 ? `${count(+(v / 1000).toFixed(1))}k` : count(v);

const grid = (x, low, text) => `<path d="M${x} 6V${low}" stroke="var(--line)"/><text x="${x}" y="${low + 20}" text-anchor="middle">${text}</text>`;

/** Rows of {name, low, mid, high, top, strong, faint}: dot the value, line its range, tick the `top`. */
const dots = (rows, x) => rows.map((r, k) => {
  const y = 24 + k * 36, c = r.strong ? 'var(--ink)' : r.faint ? 'var(--edge)' : 'var(--engine)';
  return `<text x="0" y="${y + 5}"${r.strong ? ' class="strong"' : ''}>${esc(r.name)}</text><path d="M${x(r.low)} ${y}H${x(r.high)}" stroke="${c}" stroke-width="5" stroke-linecap="round" opacity=".35"/>${r.top === undefined ? '' : `<path d="M${x(r.top)} ${y - 9}v18" stroke="${c}" stroke-width="2.5"/>`}<circle cx="${x(r.mid)}" cy="${y}" r="6.5" fill="${c}"/>`;
}).join('');

/** Times: dot the median, line the 5th to the 95th percentile, tick the 99th, dashed the target. */
export function spans(w, rows, unit, target) {
  const left = Math.min(118, w * .32), right = w - 30, marks = ticks(Math.max(target ?? 0, ...rows.map((r) => r.top)) * 1.02), max = marks.at(-1), x = (v) => left + (right - left) * v / max, low = rows.length * 36 + 4;
  return svg(w, low + 28, marks.map((v) => grid(x(v), low, `${short(v)}${v === max ? ` ${unit}` : ''}`)).join('')
    + (target && target <= max ? `<path d="M${x(target)} 6V${low}" stroke="var(--stop)" stroke-width="2" stroke-dasharray="5 4"/>` : '') + dots(rows, x),
  `${rows.map((r) => `${r.name}: median ${r.mid}, 99th percentile ${r.top} ${unit}`).join('; ')}${target ? `; target ${target} ${unit}` : ''}`);
}

/** Values with their intervals; `mark` is [value, what it means], dashed. */
export function intervals(w, rows, unit, mark) {
  const left = Math.min(132, w * .34), right = w - 24, ends = [mark[0], ...rows.flatMap((r) => [r.low, r.high])], pad = Math.max(1e-9, (Math.max(...ends) - Math.min(...ends)) * .06), from = Math.min(...ends) - pad, to = Math.max(...ends) + pad, x = (v) => left + (right - left) * (v - from) / (to - from), low = rows.length * 36 + 4, at = x(mark[0]);
  return svg(w, low + 28, [from + pad, to - pad].filter((v) => Math.abs(x(v) - at) > 90).map((v) => grid(x(v), low, signed(v))).join('')
    + `<path d="M${at} 6V${low}" stroke="var(--ink-2)" stroke-dasharray="5 4"/><text x="${Math.min(Math.max(at, left + 40), right - 40)}" y="${low + 20}" text-anchor="middle">${mark[1]}</text>` + dots(rows, x),
  rows.map((r) => `${r.name}: ${signed(r.mid)} ${unit}, between ${signed(r.low)} and ${signed(r.high)}`).join('; '));
}

export const spent = (minutes) => minutes < 100 ? `${+minutes.toFixed(1)} min` : minutes < 4320 ? `${+(minutes / 60).toFixed(1)} h` : `${+(minutes / 1440).toFixed(1)} days`;

/** A difference over time in the band of its interval. `points` are [minutes, low, difference, high]. */
export function band(w, h, points, unit, name) {
  const last = points.at(-1), half = Math.max(Math.abs(last[1]), Math.abs(last[3]), 1e-9) * 2, most = Math.max(half, Math.max(...points.map((p) => Math.abs(p[2]))) * 1.1), held = (v) => Math.min(Math.max(v, -most), most);
  const left = 52, end = last[0] || 1, x = (t) => left + (w - left - 8) * t / end, y = (v) => 8 + (h - 38) * (most - held(v)) / (2 * most), way = (rows, k) => rows.map((p) => `${x(p[0]).toFixed(1)} ${y(p[k]).toFixed(1)}`).join('L');
  const lines = [most / 2, 0, -most / 2].map((v) => `<path d="M${left} ${y(v)}H${w}" stroke="${v ? 'var(--line)' : 'var(--ink-2)'}"${v ? '' : ' stroke-dasharray="5 4"'}/><text x="${left - 8}" y="${y(v) + 5}" text-anchor="end">${v ? signed(v) : '0'}</text>`).join('');
  return svg(w, h, `${lines}<path d="M${way(points, 3)}L${way([...points].reverse(), 1)}z" fill="var(--engine)" opacity=".18"/><path d="M${way(points, 2)}" fill="none" stroke="var(--engine)" stroke-width="2.4"/><circle cx="${x(last[0])}" cy="${y(last[2])}" r="5" fill="var(--engine)"/><text x="${left}" y="${h - 6}">start</text><text x="${w}" y="${h - 6}" text-anchor="end">${spent(end)}</text>`,
    `${name}, over ${spent(end)}: now ${signed(last[2])} ${unit}, between ${signed(last[1])} and ${signed(last[3])}; dashed: no difference`);
}

/** Shares over time. Rows of [name, [[minutes, share]...]]; each line has its own dashes. */
export function steps(w, h, rows, end, unit) {
  const right = w - 110, x = (t) => 46 + (right - 46) * t / (end || 1), y = (v) => 10 + (h - 40) * (1 - v / 100), dashes = ['', '7 4', '2 4', '10 3 2 3'];
  return svg(w, h, [0, 50, 100].map((v) => `<path d="M46 ${y(v)}H${right}" stroke="var(--line)"/><text x="38" y="${y(v) + 5}" text-anchor="end">${v}</text>`).join('')
    + rows.map(([name, points], i) => `<path d="M${points.map(([t, v], k) => `${k ? `H${x(t)}V` : `${x(t)} `}${y(v)}`).join('')}H${right}" fill="none" stroke="${i ? 'var(--engine)' : 'var(--ink-2)'}" stroke-width="2.4" stroke-dasharray="${dashes[i % 4]}"/><text x="${right + 8}" y="${y(points.at(-1)[1]) + (i ? 13 : -3)}">${esc(name.slice(0, 10))} ${Math.round(points.at(-1)[1])} %</text>`).join('')
    + `<text x="46" y="${h - 6}">start</text><text x="${right}" y="${h - 6}" text-anchor="end">${spent(end)}</text>`, `${unit}: ${rows.map(([name, points]) => `${name} ${points.map((p) => Math.round(p[1])).join(', then ')}`).join('; ')}`);
}

/** A line over time with gaps. `points` are [seconds since 1970, value or null]. */
export function line(w, h, points, unit, label, target) {
  const left = 46, known = points.filter(([, v]) => v !== null), marks = ticks(Math.max(target ?? 0, ...known.map(([, v]) => v), 1e-3) * 1.05), max = marks.at(-1);
  const x = (t) => left + (w - left - 8) * (t - points[0][0]) / Math.max(points.at(-1)[0] - points[0][0], 1), y = (v) => 10 + (h - 40) * (1 - v / max);
  const clock = (t) => new Date(t * 1000).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
  let s = marks.map((t) => `<path d="M${left} ${y(t)}H${w}" stroke="var(--line)"/><text x="${left - 8}" y="${y(t) + 5}" text-anchor="end">${short(t)}</text>`).join('');
  if (target && target <= max) s += `<path d="M${left} ${y(target)}H${w}" stroke="var(--stop)" stroke-width="2" stroke-dasharray="5 4"/>`;
  const runs = [];
  points.forEach(([t, v], i) => { if (v === null) return; if (i && points[i - 1][1] !== null) runs.at(-1).push([t, v]); else runs.push([[t, v]]); });
  for (const run of runs) {
    const d = run.map(([t, v], i) => `${i ? 'L' : 'M'}${x(t).toFixed(1)} ${y(v).toFixed(1)}`).join('');
    s += run.length > 1 ? `<path d="${d}L${x(run.at(-1)[0]).toFixed(1)} ${y(0)}L${x(run[0][0]).toFixed(1)} ${y(0)}z" fill="var(--engine)" opacity=".14"/><path d="${d}" fill="none" stroke="var(--engine)" stroke-width="2.2" stroke-linejoin="round"/>` : `<circle cx="${x(run[0][0])}" cy="${y(run[0][1])}" r="3" fill="var(--engine)"/>`;
  }
  const times = [points[0][0], points[points.length >> 1][0], points.at(-1)[0]];
  s += times.map((t, i) => `<text x="${x(t)}" y="${h - 8}" text-anchor="${['start', 'middle', 'end'][i]}">${clock(t)}</text>`).join('');
  return svg(w, h, s, `${label}: ${known.length ? `between ${figure(Math.min(...known.map((p) => p[1])))} and ${figure(Math.max(...known.map((p) => p[1])))} ${unit}` : 'nothing measured'}`);
}

/** Columns of [label, count, kind]: 'none' is drawn hollow. */
export function columns(w, rows, ends, label) {
  const b = w / rows.length, max = Math.max(...rows.map(([, v]) => v), 1), tall = (v) => 92 * v / max;
  return svg(w, 150, rows.map(([, v, colour], i) => `<rect x="${i * b + 2}" y="${118 - tall(v)}" width="${b - 4}" height="${tall(v)}" fill="${colour === 'none' ? 'none' : `var(--${colour})`}"${colour === 'none' ? ' stroke="var(--edge)" stroke-width="1.5"' : ''}/><text x="${i * b + b / 2}" y="${112 - tall(v)}" text-anchor="middle">${v}</text>`).join('')
    + `<path d="M0 118H${w}" stroke="var(--edge)"/><text x="0" y="140">${ends[0]}</text><text x="${w}" y="140" text-anchor="end">${ends[1]}</text>`, `${label}: ${rows.map(([name, v]) => `${name} ${v}`).join(', ')}`);
}

/** A tick for what is true and a dot for what is believed, from 0 to 1. */
export function pairs(w, rows, label) {
  const left = Math.min(104, w * .34), x = (v) => left + 8 + (w - left - 22) * v;
  return svg(w, rows.length * 32 + 6, rows.map(([name, a, b], k) => { const y = 18 + k * 32; return `<text x="0" y="${y + 5}">${esc(name)}</text><path d="M${left} ${y}H${w - 6}" stroke="var(--line)" stroke-width="2"/><path d="M${x(a)} ${y}H${x(b)}" stroke="var(--edge)" stroke-width="2"/><path d="M${x(a)} ${y - 9}v18" stroke="var(--ink)" stroke-width="3"/><circle cx="${x(b)}" cy="${y}" r="6.5" fill="var(--engine)"/>`; }).join(''), `${label}: ${rows.map(([n, a, b]) => `${n} ${figure(a)} and ${figure(b)}`).join('; ')}`);
}

/** Rows of cells {row, place, examination}, shaded by how often they are looked at. */
export function heat(w, grid) {
  const left = grid.length > 1 ? 52 : 0, wide = Math.max(...grid.map((r) => r.length)), n = Math.max(1, Math.min(wide, Math.floor((w - left) / 46))), size = Math.min(96, (w - left) / n), tall = 50;
  const lines = grid.flatMap((row, r) => Array.from({ length: Math.ceil(row.length / n) }, (_, k) => ({ r, first: !k, cells: row.slice(k * n, (k + 1) * n) }))), full = (v) => Math.round(100 * v);
  return svg(w, lines.length * tall, lines.map(({ r, first, cells }, k) => (left && first ? `<text x="0" y="${k * tall + 30}">row ${r + 1}</text>` : '') + cells.map((c, i) => {
    const x = left + i * size, y = k * tall, none = c.examination === null;
    return `<rect x="${x + 1}" y="${y + 1}" width="${size - 3}" height="${tall - 3}" rx="4" ${none ? 'fill="none" stroke="var(--edge)" stroke-dasharray="3 3"' : `fill="var(--engine)" fill-opacity="${(0.04 + 0.44 * c.examination).toFixed(3)}" stroke="var(--line)"`}/><text x="${x + size / 2 - 1}" y="${y + 18}" text-anchor="middle" style="fill:var(--ink)">${c.place}</text><text x="${x + size / 2 - 1}" y="${y + 38}" text-anchor="middle" class="strong">${none ? '–' : full(c.examination)}</text>`;
  }).join('')).join(''), `How often each place is looked at, in % of the most: ${grid.map((row, r) => `${left ? `row ${r + 1}: ` : ''}${row.map((c) => `place ${c.place} ${c.examination === null ? 'never shown' : full(c.examination)}`).join(', ')}`).join('; ')}`);
}

const MARKS = { looking: (x, y) => `<circle cx="${x}" cy="${y}" r="4" fill="var(--engine)" opacity=".75"/>`, 'just clicked': (x, y) => `<circle cx="${x}" cy="${y}" r="5.5" fill="var(--you)"/>`, tired: (x, y) => `<rect x="${x - 3.6}" y="${y - 3.6}" width="7.2" height="7.2" fill="var(--care)"/>`, gone: (x, y) => `<circle cx="${x}" cy="${y}" r="4" fill="none" stroke="var(--edge)" stroke-width="1.5"/>`, 'not here': (x, y) => `<path d="M${x - 3} ${y}h6M${x} ${y - 3}v6" stroke="var(--edge)" stroke-width="1.5"/>` };
export const mark = (kind) => `<svg viewBox="0 0 22 12" aria-hidden="true">${MARKS[kind](11, 6)}</svg>`;

/** People as marks on a map; `who` is ringed and named. Rows of {user_id, x, y, state}, x and y from 0 to 1. */
export function crowd(w, people, who, label) {
  const h = Math.min(460, Math.max(280, w * .72)), at = (p) => [+(14 + (w - 28) * p.x).toFixed(1), +(14 + (h - 28) * (1 - p.y)).toFixed(1)];
  const order = ['not here', 'gone', 'looking', 'tired', 'just clicked'], chosen = people.find((p) => p.user_id === who);
  let s = `<rect width="${w}" height="${h}" rx="10" fill="var(--sunk)"/><path d="M${w / 2} 12V${h - 12}M12 ${h / 2}H${w - 12}" stroke="var(--line)"/>`;
  s += [...people].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state)).map((p) => `<g data-one="${esc(p.user_id)}">${MARKS[p.state](...at(p))}</g>`).join('');
  if (chosen) { const [x, y] = at(chosen), end = x > w - 110; s += `<circle cx="${x}" cy="${y}" r="11" fill="none" stroke="var(--ink)" stroke-width="2"/><text x="${x + (end ? -16 : 16)}" y="${y + 5}" text-anchor="${end ? 'end' : 'start'}" class="strong" paint-order="stroke" stroke="var(--sunk)" stroke-width="4">${esc(chosen.name)}</text>`; }
  return svg(w, h, s, label);
}

/** Draw every chart of a place at the width it has; `made` names them: (width) => markup. */
export function drawn(place, made) {
  for (const el of $$('[data-chart]', place)) if (el.clientWidth && made[el.dataset.chart]) el.innerHTML = made[el.dataset.chart](el.clientWidth);
}
