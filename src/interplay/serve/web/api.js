/* The engine over HTTP. Every call goes to the host that sent the page. */

export const state = JSON.parse(document.getElementById('state').textContent);   // user, engine, person, feed
export const kept = new Map(Object.entries(state.person.kept));      // item -> the event that kept it
export let told = 0;                                                             // events since the feed was drawn
export const heard = () => { told = 0; };

/** The engine said no, in a sentence. */
export class Refused extends Error {}

async function call(path, options) {
  let answer;
  try { answer = await fetch(path, options); } catch (wrong) {
    if (wrong.name === 'AbortError') throw wrong;
    throw new Error('The engine is not answering.');
  }
  const body = await answer.json();
  if (!answer.ok) throw new Refused(body.error ?? `The engine answered ${answer.status}.`);
  return body;
}

/** One question. It waits for events on their way, so that its answer knows them. */
export async function ask(path, params = {}, signal) {
  if (waiting.length) await send();
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) for (const v of [value].flat()) if (v !== undefined && v !== null && v !== '') query.append(name, v);
  return call(`${path}?${query}`, { signal });
}

const waiting = [];
let sending = null;
const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

/** Put an event on its way; its id. Events that cannot be sent now are sent before the next question, and count once. */
export function tell(event_type, item_id, more = {}) {
  const event = { event_id: fresh(), user_id: state.user, event_type, item_id, surface: 'page', ...more };
  waiting.push(Object.fromEntries(Object.entries(event).filter(([, value]) => value)));
  told += 1;
  send().catch(() => {});
  return event.event_id;
}

function send() {
  sending ??= (async () => {
    while (waiting.length) {
      const batch = waiting.slice(0, 100), body = JSON.stringify({ events: batch });
      try { await call('/v1/events', { method: 'POST', headers: { 'content-type': 'application/json' }, body, keepalive: true }); } catch (wrong) {
        if (!(wrong instanceof Refused)) throw wrong;                            // refused for good: sending again would not help
      }
      waiting.splice(0, batch.length);
    }
  })().finally(() => { sending = null; });
  return sending;
}

/** Look through somebody's eyes from now on; null is a new stranger. */
export function become(user) {
  state.user = user ?? `visitor-${fresh().slice(0, 12)}`;
  document.cookie = `interplay_person=${encodeURIComponent(state.user)}; path=/; samesite=lax`;
  kept.clear();
}
