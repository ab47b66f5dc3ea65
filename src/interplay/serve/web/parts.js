/* What every view draws with: templates, cards, notes, and the sentences for readers. */
import { kept } from './api.js';

export const $ = (s, root = document) => root.querySelector(s);
export const $$ = (s, root = document) => [...root.querySelectorAll(s)];
export const esc = (s) => String(s).replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }[c]));
export const icon = (name) => `<svg class="i" aria-hidden="true"><use href="#i-${name}"></use></svg>`;
export const many = (n, one, more = one + 's') => `${n.toLocaleString('en')} ${n === 1 ? one : more}`;

const templates = Object.fromEntries($$('template').map((t) => [t.id.slice(2), t.innerHTML.trim()]));

/** A template with its values, by the rules of the server's `fill`. */
export const fill = (name, values) => templates[name]
  .replace(/\{\{\?(\w+)\}\}([\s\S]*?)\{\{\/\1\}\}/g, (_, key, inner) => values[key] ? inner : '')
  .replace(/\{\{(\*?)(\w+)\}\}/g, (_, raw, key) => { const v = values[key] ?? '', text = v === false ? '' : String(v); return raw ? text : esc(text); });

export const cards = (rows, template = 'card') => rows.map((row) => fill(template, { ...row, kept: String(kept.has(String(row.item_id))), loading: 'lazy' })).join('');
export const shelf = (s) => fill('shelf', { ...s, cards: cards(s.items) });
export const note = (n) => fill('note', {
  ...n,
  buttons: (n.queries ?? []).map((q) => `<button class="b slim" data-query="${esc(q)}">Search “${esc(q)}”</button>`).join('')
    + (n.untick ? '<button class="b slim" data-do="untick">Untick all</button>' : '') + (n.button ?? ''),
});

/** Say a sentence to those who listen rather than look. */
export function say(text) {
  $('#news').textContent = '';
  setTimeout(() => { $('#news').textContent = text; }, 30);
}

const BONES = `<div class="state" aria-busy="true"><p class="unseen">Loading</p><div class="bones" aria-hidden="true">${'<i></i>'.repeat(9)}</div></div>`;

/** Wait for an answer; bones after 150 ms only, and a sentence with a way on where there is none. */
export async function awaited(place, answer, again) {
  const late = setTimeout(() => { place.innerHTML = BONES; }, 150);
  try { return await answer; } catch (wrong) {
    if (wrong.name === 'AbortError') return null;
    clearTimeout(late);
    place.innerHTML = `<div class="state"><h3>${esc(wrong.message)}</h3><p class="quiet">What you did is safe on this device and is sent with the next question.</p><button class="b slim solid">Try now</button></div>`;
    $('button', place).addEventListener('click', again);
    say(wrong.message);
    return null;
  } finally { clearTimeout(late); }
}

export const rise = (elements) => elements.forEach((el, k) => { el.classList.add('come'); el.style.animationDelay = `${Math.min(k, 8) * 40}ms`; });
