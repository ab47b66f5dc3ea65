/* Which view is shown, and what every button does. */
import { become, kept, state, tell } from './api.js';
import { $, $$, fill, say } from './parts.js';
import * as feed from './feed.js';
import * as item from './item.js';
import * as people from './people.js';
import * as search from './search.js';
import * as why from './why.js';

const viewOf = (path) => path.startsWith('/item/') ? 'item' : { '/search': 'search', '/people': 'people' }[path] ?? 'feed';
const TITLES = { feed: 'Feed', search: 'Search', item: 'Item', people: 'Who is looking?' };
let here = null, drawn = null;                                       // the view shown; the person whose feed is drawn

/** Show the view that the address names. `how`: start, go (a link) or back. */
async function show(how, from) {
  const view = viewOf(location.pathname), first = how === 'start';
  $$('[data-view]').forEach((el) => { el.hidden = el.dataset.view !== view; });
  $$('.bar nav a').forEach((a) => viewOf(a.pathname) === view ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current'));
  document.title = `${TITLES[view]} · Interplay`;
  here = view;
  if (how === 'go') scrollTo(0, 0);
  if (view === 'feed') {
    if (first && state.feed) { drawn = state.user; feed.found(); }
    else if (how === 'back' && drawn === state.user) feed.back();
    else { drawn = state.user; await feed.load(); }
  }
  if (view === 'search') { await search.open(); if (how === 'go') return $('#q').focus(); }
  if (view === 'people') await people.open();
  if (view === 'item') { const title = await item.open(from); if (title && here === 'item') document.title = `${title} · Interplay`; }
  if (how === 'back') scrollTo(0, history.state?.top ?? 0);
  if (!first && here === view) $(`[data-view="${view}"] h1`)?.focus({ preventScroll: true });
  return null;
}

function go(path, from) {
  history.replaceState({ ...history.state, top: scrollY }, '');
  history.pushState({ from, top: 0 }, '', path);
  return show('go', from);
}

const DEEDS = {
  further: () => feed.further(true), redraw: () => { scrollTo(0, 0); feed.load(); }, untick: () => search.untick(), 'more-hits': () => search.more(),
};

function keep(id, from) {
  const before = kept.get(id);
  if (before) { tell('undo', undefined, { undoes: before }); kept.delete(id); } else kept.set(id, tell('keep', id, { request_id: from }));
  $$('[data-keep]').filter((b) => b.dataset.keep === id).forEach((b) => b.setAttribute('aria-pressed', String(kept.has(id))));
}

/** The card says what will happen and how to take it back; it keeps its place. */
function less(button) {
  const id = button.dataset.less, card = button.closest('[data-card]'), title = $('h3 a, h1', card ?? document).textContent;
  const event_id = tell('less', id, { request_id: button.dataset.from });
  const said = fill('less', { title, event_id });
  if (card) { card.insertAdjacentHTML('beforeend', said); card.classList.add('less'); } else $('#item-said').innerHTML = said;
  $(`[data-untake="${event_id}"]`).focus();
  say(`Less like ${title} from the next feed on.`);
}

document.addEventListener('click', (e) => {
  const link = e.target.closest('a[href^="/"]');
  if (link && !('plain' in link.dataset) && e.button === 0 && !e.metaKey && !e.ctrlKey && !e.shiftKey && !e.altKey) {
    e.preventDefault();
    $('#why').close();
    go(link.getAttribute('href'), link.dataset.from);
    return;
  }
  const t = e.target.closest('[data-why],[data-keep],[data-less],[data-untake],[data-scroll],[data-do],[data-query],[data-person]');
  if (!t) return;
  const d = t.dataset;
  if (d.why) why.open(d.from, d.why);
  if (d.keep) { keep(d.keep, d.from); say(kept.has(d.keep) ? 'Kept.' : 'No longer kept.'); }
  if (d.less) less(t);
  if (d.untake) {
    const card = t.closest('[data-card]');
    tell('undo', undefined, { undoes: d.untake });
    t.closest('.taken').remove();
    card?.classList.remove('less');
    (card ? $('[data-less]', card) : $('#item [data-less]'))?.focus();
    say('Taken back.');
  }
  if (d.scroll) t.closest('.shelf').querySelector('.rail').scrollBy({ left: d.scroll * innerWidth * 0.6, behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' });
  if (d.do) DEEDS[d.do]?.();
  if (d.query) search.query(d.query);
  if ('person' in d) { become(d.person || null); go('/'); }
});
document.addEventListener('keydown', (e) => {
  if (e.key === '/' && !e.target.closest('input, dialog') && !e.metaKey && !e.ctrlKey) { e.preventDefault(); if (here === 'search') $('#q').focus(); else go('/search'); }
  const rail = e.target.closest?.('.rail');
  if (rail === e.target && (e.key === 'ArrowRight' || e.key === 'ArrowLeft')) { e.preventDefault(); rail.scrollBy({ left: (e.key === 'ArrowRight' ? 1 : -1) * rail.firstElementChild.offsetWidth }); }
});
history.scrollRestoration = 'manual';
addEventListener('popstate', () => { $('#why').close(); show('back', history.state?.from); });
addEventListener('pagehide', () => history.replaceState({ ...history.state, top: scrollY }, ''));
show('start', history.state?.from);
