/* The box that is talked to: a sentence goes, what was understood comes back, and the view obeys. */
import { change, state } from './api.js';
import { $, $$ } from './parts.js';
import { obey, reply, tried } from './wishes.js';

const TOLD = 60;                                       // things on the page that "the second one" may mean

/** The things that stand here, in the order of the page. */
const shown = () => $$('[data-view]:not([hidden]) [data-card]').slice(0, TOLD).map((card) => card.dataset.card);

async function speak(text) {
  const dock = $('#dock'), view = $('[data-view]:not([hidden])').dataset.view;
  const item = $('#item [data-keep]')?.dataset.keep;
  dock.setAttribute('aria-busy', 'true');
  await tried(async () => {
    const answer = await change('POST', '/v1/chat', {
      user_id: state.user, text, shown: shown(), view, ...(view === 'search' ? { q: $('#q').value } : {}), ...(view === 'item' && item ? { item_id: item } : {}),
    });
    if (answer.understood || answer.changes.length) await obey(answer);
    const words = answer.changes.flatMap((c) => [c.text, c.replaced]).concat((answer.relaxed ?? []).map((r) => state.wishes.find((w) => w.wish_id === r.wish_id)?.text));
    reply(answer.said, { words, near: answer.near ?? [], undo: answer.changes.some((c) => c.did !== 'kept') });
  });
  dock.removeAttribute('aria-busy');
}

/** Say it as if it had been typed. */
export function utter(text) {
  $('#cmd').value = text;
  $('#say').requestSubmit();
}

$('#say').addEventListener('submit', (e) => {
  e.preventDefault();
  const text = $('#cmd').value.trim();
  if (!text || $('#dock').hasAttribute('aria-busy')) return;
  $('#cmd').value = '';
  $('#cmd').focus();
  speak(text);
});
