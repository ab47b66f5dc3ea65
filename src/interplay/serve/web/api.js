/* The engine over HTTP. Every call goes to the host that sent the page. */

export const state = JSON.parse(document.getElementById('state').textContent);
export const kept = new Map(), basket = new Map(); // item -> its event
export let told = 0; // events since the feed was drawn
export const heard = () => { told = 0; };

/** The engine said no, in a sentence. */
export class Refused extends Error { constructor(text, status) { super(text); this.status = status; } }

async function call(path, options) {
  let answer;
  try { answer = await fetch(path, options); } catch (wrong) {
    if (wrong.name === 'AbortError') throw wrong;
    throw new Error('The engine is not answering.');
  }
  const body = answer.headers.get('content-type')?.includes('json') ? await answer.json() : {};
  if (!answer.ok) throw new Refused(body.error ?? `The engine answered ${answer.status}.`, answer.status);
  return body;
}

/** One question, after the events on their way, so that its answer knows them. */
export async function ask(path, params = {}, signal) {
  if (waiting.length) await send();
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) for (const v of [value].flat()) if (v !== undefined && v !== null && v !== '') query.append(name, v);
  return call(query.size ? `${path}?${query}` : path, { signal });
}

/** One change, after the events on their way. */
export async function change(method, path, body) {
  if (waiting.length) await send();
  return call(path, { method, ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
}

/** The address of something of the person who looks. */
export const mine = (what, user = state.user) => `/v1/users/${encodeURIComponent(user)}${what ? `/${what}` : ''}`;

const KEEP = 'interplay.waiting';
const waiting = (() => { try { return JSON.parse(sessionStorage.getItem(KEEP)) ?? []; } catch { return []; } })(); // told, and not yet acknowledged
const remember = () => { try { sessionStorage.setItem(KEEP, JSON.stringify(waiting)); } catch { /* no storage: they wait in memory */ } };
let sending = null;
const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

/** Put an event on its way; its id. What cannot be sent now goes before the next question, outlives a reload, counts once. */
export function tell(event_type, item_id, more = {}) {
  const event = { event_id: fresh(), user_id: state.user, event_type, item_id, surface: 'page', ...more };
  waiting.push(Object.fromEntries(Object.entries(event).filter(([, value]) => value)));
  remember();
  told += 1;
  send().catch(() => {});
  return event.event_id;
}

function send() {
  sending ??= (async () => {
    while (waiting.length) {
      const batch = waiting.slice(0, 100), body = JSON.stringify({ events: batch });
      try { await call('/v1/events', { method: 'POST', headers: { 'content-type': 'application/json' }, body, keepalive: true }); } catch (wrong) {
        if (!(wrong instanceof Refused) || wrong.status !== 422) throw wrong; // refused for good
      }
      waiting.splice(0, batch.length);
      remember();
    }
  })().finally(() => { sending = null; });
  return sending;
}

/** What is kept and in the basket: as the engine knows it, and with what waits. */
export function hold(person) {
  for (const [place, known, type] of [[kept, person.kept, 'keep'], [basket, person.basket ?? {}, 'cart']]) {
    place.clear();
    for (const [item, event] of Object.entries(known)) place.set(item, event);
    for (const e of waiting.filter((w) => w.user_id === state.user)) {
      if (e.event_type === type) place.set(String(e.item_id), e.event_id);
      for (const [item, event] of place) if (e.undoes === event) place.delete(item);
    }
  }
}
hold(state.person);
if (waiting.length) send().catch(() => {});

/** Look through somebody's eyes from now on; null is a new stranger. */
export function become(user) {
  state.user = user ?? `visitor-${fresh().slice(0, 12)}`;
  document.cookie = `interplay_person=${encodeURIComponent(state.user)}; path=/; samesite=lax`;
  state.wishes = [];
  hold({ kept: {} });
}
