/* One item: what the catalogue says of it, and what is near it. */
import { ask, basket, kept, state, tell } from './api.js';
import { $, awaited, count, esc, fill, meets, shelf } from './parts.js';

let from = '';

/** Draw the item that the address names; opening it is an event, with the answer it was found in. */
export async function open(found) {
  from = found;
  const place = $('#item'), name = location.pathname.slice('/item/'.length);
  const item = await awaited(place, ask(`/v1/items/${name}`, { user_id: state.user }), () => open(found));
  if (!item) return null;
  const id = String(item.item_id);
  place.innerHTML = fill('thing', {
    ...item, from, kept: String(kept.has(id)), meets: meets(item), sold: Boolean(item.price_said), bought: String(basket.has(id)), basket: basket.has(id) ? 'In your basket' : 'Put in basket',
    properties: [...item.properties, { name: 'Touched by', value: `${count(item.people)} ${item.people === 1 ? 'person' : 'people'}` }].map((p) => `<dt>${esc(p.name)}</dt><dd>${esc(p.value)}</dd>`).join(''),
  }) + '<div id="nearby"></div>';
  tell('click', id, { request_id: from });
  near(id);
  return item.title;
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
  const item = await ask(`/v1/items/${encodeURIComponent(id)}`, { user_id: state.user });
  $('#item-meets').innerHTML = meets(item);
  await near(id);
}
