/* Who is looking: a person of the log, or a stranger. */
import { ask } from './api.js';
import { $, awaited, esc, fill } from './parts.js';

export async function open() {
  const place = $('#people');
  const answer = await awaited(place, ask('/v1/people'), open);
  if (!answer) return;
  $('#people-sim').hidden = !answer.invented || !answer.people.length;
  place.innerHTML = answer.people.map((p) => fill('person', { ...p, initial: p.face ? '' : p.name.replace(/^Person /, '').slice(0, 3) })).join('')
    + `<li><button class="stranger" data-person=""><i class="blank"></i><b>A stranger</b><span>${esc('Nothing is known of a stranger but what they do from now on.')}</span></button></li>`;
}
