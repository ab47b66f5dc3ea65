/* Things: search as you type, with facets; and one of them, with what is near it. What is asked stands in the address. */
import { ask, basket, kept, state, tell } from './api.js';
import { $, $$, awaited, cards, esc, fill, many, meets, note, say, shelf } from './parts.js';

let facets = new Set(), typing = 0, speaking = 0, asked = null, cursor = null;

export function search() {
  const given = new URLSearchParams(location.search);
  facets = new Set(given.getAll('facet'));
  $('#q').value = given.get('q') ?? '';
  return find();
}

/** Ask, and draw the answer; again where the wishes are others. */
export async function find() {
  const q = $('#q').value.trim(), query = new URLSearchParams([...(q ? [['q', q]] : []), ...[...facets].map((f) => ['facet', f])]);
  history.replaceState(history.state, '', `/search${query.size ? `?${query}` : ''}`);
  asked?.abort();
  asked = new AbortController();
  const answer = await awaited($('#hits'), ask('/v1/search', { q, facet: [...facets], user_id: state.user, k: 24 }, asked.signal), find);
  if (!answer) return;
  draw(q, answer);
  clearTimeout(speaking);
  speaking = setTimeout(() => { $('#found-said').textContent = $('#found').textContent; }, 300);
}

function draw(q, answer) {
  const held = document.activeElement?.closest?.('#facets') ? document.activeElement.dataset.facet : null;
  $('#facets').innerHTML = answer.facets.map((f) => `<fieldset><legend>${esc(f.legend)}</legend>${f.values.map((v) => `<label><input type="checkbox" data-facet="${esc(`${f.name}:${v.value}`)}"${v.chosen ? ' checked' : ''}>${esc(v.label)}<span class="n">${v.count.toLocaleString('en')}</span></label>`).join('')}</fieldset>`).join('');
  if (held) $$('#facets input').find((box) => box.dataset.facet === held)?.focus();
  $('#repair').innerHTML = answer.said.map(note).join('');
  $('#hits').innerHTML = cards(answer.items);
  $('#near').innerHTML = answer.near.length ? fill('shelf', { title: answer.said.some((n) => n.wish) ? 'Near it, and allowed' : 'Near it', because: 'A word of yours is missing here', cards: cards(answer.near) }) : '';
  $('#found').textContent = q ? `${answer.said.length && !answer.total ? 'No result' : many(answer.total, 'result')}, ${Math.max(1, Math.round(answer.milliseconds))} ms.${answer.total && state.wishes.some((w) => !w.hard) ? ' Your leanings order them; the words choose them.' : ''}` : `${many(answer.total, 'thing')}. Start typing.`;
  cursor = answer.next && answer.items.length < answer.total ? answer.next : null;
  $('#more-hits').hidden = !cursor;
}

export async function more() {
  const answer = await ask('/v1/search', { q: $('#q').value.trim(), user_id: state.user, cursor });
  const before = $('#hits').children.length;
  $('#hits').insertAdjacentHTML('beforeend', cards(answer.items));
  cursor = answer.next;
  $('#more-hits').hidden = !cursor;
  $('#hits').children[before]?.querySelector('a').focus({ preventScroll: true });
  say(`${many(answer.items.length, 'more result')}.`);
}

export function untick() { facets.clear(); find(); }
export function query(text) { $('#q').value = text; find(); $('#q').focus(); }

$('#q').addEventListener('input', () => { clearTimeout(typing); typing = setTimeout(find, 90); });
$('#find').addEventListener('submit', (e) => { e.preventDefault(); clearTimeout(typing); find(); });
$('#facets').addEventListener('submit', (e) => e.preventDefault());
$('#facets').addEventListener('change', (e) => {
  const { facet } = e.target.dataset;
  if (e.target.checked) facets.add(facet); else facets.delete(facet);
  find();
});

/* ---- one of them ---- */
let from = '';

/** Draw the item that the address names; opening it is an event, with the answer it was found in. */
export async function item(found) {
  from = found;
  const place = $('#item'), name = location.pathname.slice('/item/'.length);
  const one = await awaited(place, ask(`/v1/items/${name}`, { user_id: state.user }), () => item(found));
  if (!one) return null;
  const id = String(one.item_id);
  place.innerHTML = fill('thing', {
    ...one, from, kept: String(kept.has(id)), meets: meets(one), sold: Boolean(one.price_said), bought: String(basket.has(id)), basket: basket.has(id) ? 'In your basket' : 'Put in basket',
    properties: [...one.properties, { name: 'Touched by', value: many(one.people, 'person', 'people') }].map((p) => `<dt>${esc(p.name)}</dt><dd>${esc(p.value)}</dd>`).join(''),
  }) + '<div id="nearby"></div>';
  tell('click', id, { request_id: from });
  near(id);
  return one.title;
}

async function near(id) {
  const place = $('#nearby');
  const answer = await awaited(place, ask('/v1/similar', { item_id: id, user_id: state.user, k: 12 }), () => near(id));
  if (answer) place.innerHTML = answer.items.length ? shelf({ title: 'Similar', because: answer.because, items: answer.items }) : '';
}

/** What the item meets, and what is near it, once the wishes are others. */
export async function again() {
  const id = $('#item [data-keep]')?.dataset.keep;
  if (!id) return;
  $('#item-meets').innerHTML = meets(await ask(`/v1/items/${encodeURIComponent(id)}`, { user_id: state.user }));
  await near(id);
}
