/* Debug mode: one form for each stage, what it says when it is sent, and the event that it becomes. */
import { state } from './api.js';
import { bars, figure } from './charts.js';
import { esc } from './parts.js';

const tick = (name, value, label, on, said) => `<label><input type="checkbox" name="${name}" value="${esc(value)}"${on ? ' checked' : ''}><span${said ? ' class="said"' : ''}>${esc(label)}</span></label>`;
const slide = (name, label, value, max, step = 0.05) => `<label><span class="name">${esc(label)}</span><input type="range" name="${esc(name)}" min="0" max="${max}" step="${step}" value="${value}"><output class="n">${figure(+value)}</output></label>`;
const typed = (name, label, value, hint) => `<label><span class="name">${esc(label)}</span><input type="text" name="${name}" value="${esc(value ?? '')}" placeholder="${esc(hint)}" autocomplete="off" spellcheck="false"></label>`;
const named = (s) => s.replace(/_/g, ' ').replace(/^./, (c) => c.toUpperCase());

export const forms = {
  understand: (s) => {
    const heard = s.facts.heard ?? state.wishes;
    return (s.facts.query ? typed('query', 'The query', s.facts.query, 'other words') : '')
      + (heard.length ? `<p>Read these wishes, or leave them out:</p>${heard.map((w) => tick('wish', w.wish_id, w.text, !w.off, true)).join('')}` : s.facts.query ? '' : '<p class="quiet small">No words and no wish were read: only the past of the person.</p>');
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
export const read = {
  understand: (form) => ({ ...(form.elements.query ? { query: form.elements.query.value.trim() } : {}), without: ticked(form, 'wish', false) }),
  retrieve: (form) => ({ without: ticked(form, 'source', false) }),
  rank: (form) => ({ weights: Object.fromEntries([...form.querySelectorAll('[type="range"]')].map((r) => [r.name, +r.value])) }),
  rules: (form) => ({ without: ticked(form, 'rule', false), seen: form.elements.seen.checked ? 'drop' : 'keep', where: form.elements.where.value.trim() || null }),
  page: (form) => ({ ...(form.elements.arranger && form.elements.diversity.defaultValue === form.elements.diversity.value ? { arranger: form.elements.arranger.checked } : { diversity: +form.elements.diversity.value }), caps: Object.fromEntries([...form.querySelectorAll('[name^="cap "]')].filter((r) => r.defaultValue !== r.value).map((r) => [r.name.slice(4), +r.value])) }),
};

/** Whose judgement a score is: each expert's share for this person, and which events moved it. */
export const gate = (g) => `<p class="quiet small">Shares of the ranker’s experts, here and for somebody without a past:</p>${bars(g.experts.flatMap((v, k) => [[`Expert ${k + 1}`, v, v < 0 ? 'minus' : ''], ['  without a past', g.start[k], g.start[k] < 0 ? 'minus' : '']]))}${g.events.map((e) => { const at = e.without.map((v, k) => Math.abs(v - g.experts[k])), k = at.indexOf(Math.max(...at)); return `<p class="quiet small">Without ${esc(e.title)}, expert ${k + 1} would have <b class="n">${figure(e.without[k])}</b> instead of <b class="n">${figure(g.experts[k])}</b>.</p>`; }).join('')}`;

/** The event as it stands in the log. */
export function logged(event) {
  const { payload = {}, ...rest } = event, time = event.time ? new Date(event.time / 1000).toISOString().slice(11, 19) : '';
  const edit = payload.edit ?? payload;
  return [`${time}  edit.${payload.stage ?? ''}  ${JSON.stringify(edit)}`, Object.entries(rest).filter(([k, v]) => v && ['event_id', 'user_id', 'request_id'].includes(k)).map(([k, v]) => `${k} ${v}`).join('  ')].join('\n').trim();
}
