/* The feed: heroes, shelves with where each comes from, and everything else in the person's order. */
import { ask, heard, hold, kept, state, told } from './api.js';
import { $, $$, awaited, cards, fill, many, note, rise, say, shelf } from './parts.js';
import { show } from './wishes.js';

const EAGER = 3; // stretches that come by themselves; then a button, so that the foot can be reached
let queue = [], cursor = null, stretches = 0, busy = false, whose = null;

/** Take a feed as the person's own: who looks, what is kept, what waits below. */
function take(feed, drawn) {
  state.feed = feed; whose = state.user;
  state.person = feed.person;
  hold(feed.person);
  who(feed.person);
  queue = [...feed.shelves.slice(drawn).map((s) => () => shelf(s)), ...(feed.grid.length ? [() => rest(feed)] : [])];
  cursor = feed.cursor; stretches = 0;
  heard();
}
const rest = (feed) => fill('rest', { title: 'Everything else, in your order', because: `${many(feed.things, 'thing')}; more as you scroll`, cards: cards(feed.grid) });

export function who(person) {
  $('#who-name').textContent = person.name;
  $('#who-face').innerHTML = fill('face', { face: person.face, nobody: !person.face });
}

/** Who composed the page; nothing where the recipe has no arranger. */
const composed = (c) => { $('#composed').innerHTML = c ? fill('composed', c) : ''; if (c?.both) $('#uncomposed').checked = !c.on; };

export async function arranged(on) {
  const feed = await awaited($('#shelves'), ask('/v1/feed', { user_id: state.user, arranged: on }), () => arranged(on));
  if (!feed) return;
  draw(feed);
  $('#uncomposed')?.focus();
  say(on ? feed.composed.said : 'This is the page without the arranger.');
}

export function found() {
  take(state.feed, 1);
  $$('[data-keep]').forEach((b) => b.setAttribute('aria-pressed', String(kept.has(b.dataset.keep)))); // kept a moment before the reload
  watch();
}

export async function load() {
  if (whose !== state.user) clear();
  const feed = await awaited($('#shelves'), ask('/v1/feed', { user_id: state.user }), load);
  if (!feed) return;
  draw(feed);
  say(`${feed.title} ${feed.lead}`);
}

/** Nothing of somebody else stays while the new feed is on its way. */
function clear() {
  seen?.disconnect();
  queue = []; cursor = null;
  for (const place of ['#heroes', '#shelves', '#feed-note', '#composed', '#wishes']) $(place).innerHTML = '';
  $('#feed-h').textContent = $('#feed-lead').textContent = '';
  $('#further').hidden = true;
}

export function draw(feed) {
  show(feed.wishes);
  $('#feed-h').textContent = feed.title;
  $('#feed-lead').textContent = feed.lead;
  $('#feed-note').innerHTML = feed.notes.map(note).join('');
  composed(feed.composed);
  take(feed, 1);
  $('#heroes').innerHTML = cards(feed.heroes, 'hero');
  $('#heroes').scrollLeft = 0;
  $('#shelves').innerHTML = feed.shelves.slice(0, 1).map(shelf).join('') || (feed.heroes.length ? '' : empty());
  rise([...$('#heroes').children, ...$('#shelves').children]);
  watch();
}
const empty = () => '<div class="state"><h3>Nothing is left to show.</h3><p class="quiet">Take a wish back above, or say what you would rather have.</p></div>';

/** The person wants an empty page rather than what comes near. */
export function nothing() {
  queue = []; cursor = null;
  $('#heroes').innerHTML = '';
  $('#shelves').innerHTML = empty();
  watch();
  say('Showing nothing, as asked.');
}

/** Coming back finds the feed as it was left; what happened since is said, not drawn. */
export function back() {
  if (told) $('#feed-note').innerHTML = note({ tone: 'plain', text: `${many(told, 'thing')} you did since would change this feed.`, button: '<button class="b slim" data-do="redraw">Draw it again</button>' });
}

/** Whether a thing meets every "must" that this feed could keep. */
function obeys(row) {
  const relaxed = new Set(state.feed.relaxed.map((r) => r.wish_id)), met = new Set((row.meets ?? []).map((w) => w.wish_id));
  return state.wishes.every((w) => !w.hard || !w.wanted || relaxed.has(w.wish_id) || met.has(w.wish_id));
}

/** The next shelf, the grid, or the next stretch of it. */
export async function further(asked) {
  if (busy) return;
  const place = $('#shelves');
  if (queue.length) place.insertAdjacentHTML('beforeend', queue.shift()());
  else if (cursor && (asked || stretches < EAGER)) {
    busy = true;
    const from = cursor;
    try {
      const more = await ask('/v1/recommendations', { user_id: state.user, cursor });
      if (cursor !== from) return; // another feed was drawn meanwhile
      const before = $('#rest').children.length, items = more.items.filter(obeys);
      $('#rest').insertAdjacentHTML('beforeend', cards(items));
      cursor = items.length === more.items.length ? more.next : null; stretches += 1; // what obeys is used up: the page ends
      if (asked) { say(`${many(items.length, 'more thing')}.`); $('#rest').children[before]?.querySelector('a').focus({ preventScroll: true }); }
    } catch (wrong) { $('#feed-note').innerHTML = note({ tone: 'care', text: wrong.message }); cursor = null; } finally { busy = false; }
  } else return;
  watch();
}

let seen = null;
function watch() {
  seen?.disconnect();
  $('#further').hidden = queue.length > 0 || !cursor;
  const end = $('#further').hidden ? $('#shelves').lastElementChild : $('#further');
  if (!end || (!queue.length && (!cursor || stretches >= EAGER))) return;
  seen = new IntersectionObserver((met) => { if (met.some((m) => m.isIntersecting)) { seen.disconnect(); further(); } }, { rootMargin: '0px 0px 200% 0px' });
  seen.observe(end);
}
