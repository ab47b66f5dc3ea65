/* What every view draws with: templates, cards, notes, and the sentences for readers. */
import { kept, state } from './api.js';

export const $ = (s, root = document) => root.querySelector(s);
export const $$ = (s, root = document) => [...root.querySelectorAll(s)];
export const esc = (s) => String(s).replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }[c]));
export const icon = (name) => `<svg class="i" aria-hidden="true"><use href="#i-${name}"></use></svg>`;
export const count = (n) => n.toLocaleString('en');
export const many = (n, one, more = one + 's') => `${count(n)} ${n === 1 ? one : more}`;
export const list = (words) => words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`;
export const nth = (n) => n + (n % 100 > 10 && n % 100 < 14 ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[n % 10] ?? 'th'));
export const ms = (v) => `${v < 0.1 ? v.toFixed(2) : v < 100 ? v.toFixed(1) : Math.round(v)} ms`;
export const figure = (v) => Number.isInteger(v) ? count(v) : Math.abs(v) < 1 ? Math.abs(v).toFixed(Math.abs(v) < 0.1 ? 3 : 2).slice(1) : Math.abs(v).toFixed(2);
export const signed = (v) => (v < 0 ? '−' : '') + figure(v);

const templates = Object.fromEntries($$('template').map((t) => [t.id.slice(2), t.innerHTML.trim()]));

/** A template with its values, by the rules of the server's `fill`. */
export const fill = (name, values) => templates[name]
  .replace(/\{\{\?(\w+)\}\}([\s\S]*?)\{\{\/\1\}\}/g, (_, key, inner) => values[key] ? inner : '')
  .replace(/\{\{(\*?)(\w+)\}\}/g, (_, raw, key) => { const v = values[key] ?? '', text = v === false ? '' : String(v); return raw ? text : esc(text); });

/** Which wishes a thing meets and which it goes against, as the server draws it; space is kept while any wish stands. */
export function meets(row) {
  if (!row.meets) return '';
  const said = (rows) => rows.map((w) => w.text).join(', '), yes = said(row.meets), no = said(row.against ?? []);
  return fill('meets', { told: [yes && `Meets: ${yes}`, no && `Against: ${no}`].filter(Boolean).join('. '), mark: yes ? 'yes' : 'no', only: yes ? '' : 'against' });
}
export const cards = (rows, template = 'card') => rows.map((row) => fill(template, { ...row, meets: meets(row), kept: String(kept.has(String(row.item_id))), loading: 'lazy' })).join('');
export const shelf = (s) => fill('shelf', { ...s, cards: cards(s.items) });

/** Text with the person's own words in their own ink. */
export const quoted = (text, words, tag = 'span class="said"') => [...new Set(words)].filter(Boolean).sort((a, b) => b.length - a.length)
  .reduce((parts, word) => parts.flatMap((part) => typeof part !== 'string' ? [part] : part.split(word).flatMap((p, k) => k ? [{ word }, p] : [p])), [text])
  .map((part) => typeof part === 'string' ? esc(part) : `<${tag}>${esc(part.word)}</${tag.split(' ')[0]}>`).join('');

export const note = (n) => fill('note', {
  ...n, sign: n.sign ?? 'note', words: quoted(n.text, n.said ?? []),
  buttons: (n.queries ?? []).map((q) => `<button class="b slim" data-query="${esc(q)}">Search “${esc(q)}”</button>`).join('')
    + (n.wish ? `<button class="b slim" data-drop="${esc(n.wish)}">${(n.said ?? []).length > 1 ? `Take back “${esc(state.wishes.find((w) => w.wish_id === n.wish)?.text ?? 'it')}”` : 'Take it back'}</button>` : '')
    + (n.strict ? '<button class="b slim" data-do="strict">Show nothing instead</button>' : '')
    + (n.untick ? '<button class="b slim" data-do="untick">Untick all</button>' : '') + (n.button ?? ''),
});

/** Say a sentence to those who listen rather than look. */
export function say(text) {
  $('#news').textContent = '';
  setTimeout(() => { $('#news').textContent = text; }, 30);
}

const BONES = `<div class="state" aria-busy="true"><p class="unseen">Loading</p><div class="bones" aria-hidden="true">${'<i></i>'.repeat(9)}</div></div>`;

/** Wait for an answer: bones after 150 ms, a sentence with a way on where there is none. */
export async function awaited(place, answer, again) {
  const inside = (markup) => { place.innerHTML = /^[OU]L$/.test(place.tagName) ? `<li class="whole">${markup}</li>` : markup; };
  const late = setTimeout(() => inside(BONES), 150);
  try { return await answer; } catch (wrong) {
    if (wrong.name === 'AbortError') return null;
    clearTimeout(late);
    inside(`<div class="state"><h3>${esc(wrong.message)}</h3><p class="quiet">What you did is safe on this device and is sent with the next question.</p><button class="b slim solid">Try now</button></div>`);
    $('button', place).addEventListener('click', again);
    say(wrong.message);
    return null;
  } finally { clearTimeout(late); }
}

/** Ask before something is done; whether it was agreed to. `words` is markup. */
export function asked(title, words, yes, no = 'Leave it', manner = 'stop') {
  const box = $('#ask');
  box.innerHTML = `<form method="dialog"><h2 id="ask-h">${esc(title)}</h2>${words}<div class="row"><button class="b" value="no">${esc(no)}</button><button class="b ${manner}" value="yes">${esc(yes)}</button></div></form>`;
  box.returnValue = '';
  box.showModal();
  return new Promise((done) => box.addEventListener('close', () => done(box.returnValue === 'yes' && new FormData($('form', box))), { once: true }));
}

export const rise = (elements) => elements.forEach((el, k) => { el.classList.add('come'); el.style.animationDelay = `${Math.min(k, 8) * 40}ms`; });
