/* One item: what the catalogue says of it, and what is near it. */
import { ask, kept, state, tell } from './api.js';
import { $, awaited, esc, fill, shelf } from './parts.js';

/** Draw the item that the address names; opening it is an event, with the answer it was found in. */
export async function open(from) {
  const place = $('#item'), name = location.pathname.slice('/item/'.length);
  const item = await awaited(place, ask(`/v1/items/${name}`), () => open(from));
  if (!item) return null;
  const id = String(item.item_id);
  place.innerHTML = fill('thing', {
    ...item, from, kept: String(kept.has(id)),
    properties: [...item.properties, { name: 'Touched by', value: `${item.people.toLocaleString('en')} ${item.people === 1 ? 'person' : 'people'}` }].map((p) => `<dt>${esc(p.name)}</dt><dd>${esc(p.value)}</dd>`).join(''),
  });
  tell('click', id, { request_id: from });
  const near = document.createElement('div');
  place.append(near);
  awaited(near, ask('/v1/similar', { item_id: id, user_id: state.user, k: 12 }), () => open(from)).then((answer) => {
    if (answer) near.innerHTML = answer.items.length ? shelf({ title: 'Similar', because: answer.because, items: answer.items }) : '';
  });
  return item.title;
}
