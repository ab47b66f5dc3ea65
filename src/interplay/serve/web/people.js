/* Who is looking: a person of the log, or a stranger; and whether what a stranger did goes with them. */
import { ask, become, change, mine, state } from './api.js';
import { $, asked, awaited, esc, fill, many } from './parts.js';

export async function open() {
  const place = $('#people');
  const answer = await awaited(place, ask('/v1/people'), open);
  if (!answer) return;
  $('#people-sim').hidden = !answer.invented || !answer.people.length;
  place.innerHTML = answer.people.map((p) => fill('person', { ...p, now: String(String(p.user_id) === state.user), initial: p.face ? '' : p.name.replace(/^Person /, '').slice(0, 3) })).join('')
    + `<li><button class="stranger" data-person="" aria-pressed="${state.person.stranger}"><i class="blank"></i><b>A stranger</b><span>${esc('Nothing is known of a stranger but what they do from now on.')}</span></button></li>`;
}

/** Step into somebody; a visitor who did something is asked whether it shall join that person. */
export async function enter(user, name) {
  const before = state.user;
  if (user && before !== user && before.startsWith('visitor-')) {
    const visitor = await ask(`/v1/people/${encodeURIComponent(before)}`), wishes = (await ask(mine('instructions'))).wishes.length;
    if (visitor.events || wishes) {
      const did = [visitor.events && many(visitor.events, 'event'), wishes && many(wishes, 'wish', 'wishes')].filter(Boolean).join(' and ');
      const yes = await asked(`Take what you did along to ${name}?`, `<p>${esc(did[0].toUpperCase() + did.slice(1))} of this visit would join ${esc(name)}. Left behind, they stay with the stranger you were.</p>`, 'Take it along', 'Leave it behind', 'you');
      if (yes) await change('POST', mine('merge', user), { from: before });
    }
  }
  become(user);
}
