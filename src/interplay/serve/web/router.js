/* Which view is shown, and what every button does. */
import { basket, kept, state, tell } from './api.js';
import { $, $$, fill, say } from './parts.js';
import * as feed from './feed.js';
import * as wishes from './wishes.js';

const load = { things: () => import('./things.js'), why: () => import('./why.js'), you: () => import('./you.js'), operate: () => import('./operate.js') };
const viewOf = (path) => path.startsWith('/item/') ? 'item' : path.startsWith('/operate') ? 'operate' : { '/search': 'search', '/people': 'people', '/you': 'you', '/you/history': 'history' }[path] ?? 'feed';
const TITLES = { feed: 'Feed', search: 'Search', item: 'Item', people: 'Who is looking?', you: 'You', history: 'History', operate: 'Operate' };
const TALKING = ['feed', 'search', 'item']; // the views that one talks to
let here = null, drawn = null; // the view shown; the person whose feed is drawn

/** Show the view that the address names. `how`: start, go (a link) or back. */
async function show(how, from) {
  const view = viewOf(location.pathname), first = how === 'start';
  $$('[data-view]').forEach((el) => { el.hidden = el.dataset.view !== view; });
  $$('.bar nav a').forEach((a) => (viewOf(a.pathname) === view || (view === 'history' && a.pathname === '/you')) ? a.setAttribute('aria-current', 'page') : a.removeAttribute('aria-current'));
  $('#dock').hidden = !TALKING.includes(view);
  document.title = `${TITLES[view]} · Interplay`;
  if (here === 'operate' && view !== 'operate') load.operate().then((m) => m.close());
  here = view;
  if (how === 'go') { scrollTo(0, 0); wishes.hush(); }
  if (view === 'feed') {
    if (first && state.feed) { drawn = state.user; feed.found(); }
    else if (how === 'back' && drawn === state.user) feed.back();
    else { drawn = state.user; await feed.load(); }
  }
  if (view === 'search') { await (await load.things()).search(); if (how === 'go') return $('#q').focus(); }
  if (view === 'people') await (await load.you()).people();
  if (view === 'you') await (await load.you()).open();
  if (view === 'history') await (await load.you()).history();
  if (view === 'operate') { const panel = await (await load.operate()).open(location.pathname.split('/')[2]); if (panel && here === 'operate') document.title = `${panel} · Interplay`; }
  if (view === 'item') { const title = await (await load.things()).item(from); if (title && here === 'item') document.title = `${title} · Interplay`; }
  if (how === 'back') scrollTo(0, history.state?.top ?? 0);
  if (!first && here === view) $(`[data-view="${view}"] h1`)?.focus({ preventScroll: true });
  return null;
}

function go(path, from) {
  history.replaceState({ ...history.state, top: scrollY }, '');
  history.pushState({ from, top: 0 }, '', path);
  return show('go', from);
}

/* Wishes changed: the view that is open obeys at once, the feed when it is next shown. */
wishes.follow(async (fresh) => {
  if (here === 'feed') { drawn = state.user; scrollTo(0, 0); return fresh ? feed.draw(fresh) : feed.load(); }
  drawn = null;
  if (here === 'search') return (await load.things()).find();
  return here === 'item' ? (await load.things()).again() : null;
});
document.addEventListener('person', () => { drawn = null; feed.who(state.person); });

const DEEDS = {
  further: () => feed.further(true), redraw: () => { scrollTo(0, 0); feed.load(); }, strict: () => feed.nothing(),
  compare: async () => (await load.why()).compare(state.feed.composed),
  untick: async () => (await load.things()).untick(), 'more-hits': async () => (await load.things()).more(),
};

const pressed = (name, id, on) => $$(`[data-${name}]`).filter((b) => b.dataset[name] === id).forEach((b) => b.setAttribute('aria-pressed', String(on)));
function keep(id, from, place = kept, type = 'keep') {
  const before = place.get(id);
  if (before) { tell('undo', undefined, { undoes: before }); place.delete(id); } else place.set(id, tell(type, id, { request_id: from }));
  return place.has(id);
}

/** The card says what will happen and how to take it back; it keeps its place. */
function less(button) {
  const id = button.dataset.less, card = button.closest('[data-card]'), title = $('h3 a, h1', card ?? $('#item')).textContent;
  const event_id = tell('less', id, { request_id: button.dataset.from });
  const said = fill('less', { title, event_id });
  if (card) { card.insertAdjacentHTML('beforeend', said); card.classList.add('less'); } else $('#item-said').innerHTML = said;
  $(`[data-untake="${event_id}"]`).focus();
  say(`Less like ${title} from the next feed on.`);
}

document.addEventListener('click', async (e) => {
  const link = e.target.closest('a[href^="/"]');
  if (link && !('plain' in link.dataset) && e.button === 0 && !e.metaKey && !e.ctrlKey && !e.shiftKey && !e.altKey) {
    e.preventDefault();
    $('#why').close();
    go(link.getAttribute('href'), link.dataset.from);
    return;
  }
  const t = e.target.closest('[data-why],[data-keep],[data-basket],[data-less],[data-untake],[data-scroll],[data-do],[data-query],[data-person],[data-wish],[data-pin],[data-drop],[data-try],[data-say]');
  if (!t) return;
  const d = t.dataset;
  if (d.why) (await load.why()).open(d.from, d.why);
  if (d.keep) { const on = keep(d.keep, d.from); pressed('keep', d.keep, on); say(on ? 'Kept.' : 'No longer kept.'); }
  if (d.basket) { const on = keep(d.basket, d.from, basket, 'cart'); pressed('basket', d.basket, on); t.textContent = on ? 'In your basket' : 'Put in basket'; say(on ? 'In your basket. Press again to take it out.' : 'Taken out of your basket.'); }
  if (d.less) less(t);
  if (d.untake) {
    const card = t.closest('[data-card]');
    tell('undo', undefined, { undoes: d.untake });
    t.closest('.taken').remove();
    card?.classList.remove('less');
    (card ? $('[data-less]', card) : $('#item [data-less]'))?.focus();
    say('Taken back.');
  }
  if (d.scroll) { const rail = $('.rail', t.closest('.shelf')); rail.scrollBy({ left: d.scroll * rail.clientWidth * 0.8, behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' }); }
  if (d.do) DEEDS[d.do]?.();
  if (d.query) (await load.things()).query(d.query);
  if (d.wish) wishes.edit(d.wish);
  if (d.pin) wishes.pin(d.pin);
  if (d.drop) wishes.drop(d.drop);
  if ('try' in d) wishes.utter(t.textContent);
  if (d.say) wishes.utter(d.say);
  if ('person' in d) wishes.tried(async () => { await (await load.you()).enter(d.person || null, $('b', t).textContent); drawn = null; go('/'); });
});
document.addEventListener('change', (e) => { if (e.target.id === 'uncomposed') feed.arranged(!e.target.checked); });
$('#reply-undo').addEventListener('click', () => wishes.undo());
document.addEventListener('keydown', (e) => {
  if (e.key === '/' && !e.target.closest('input, textarea, select, dialog') && !e.metaKey && !e.ctrlKey) { e.preventDefault(); if (here === 'search') $('#q').focus(); else go('/search'); }
  const rail = e.target.closest?.('.rail');
  if (rail === e.target && (e.key === 'ArrowRight' || e.key === 'ArrowLeft')) { e.preventDefault(); rail.scrollBy({ left: (e.key === 'ArrowRight' ? 1 : -1) * rail.firstElementChild.offsetWidth }); }
});
history.scrollRestoration = 'manual';
addEventListener('popstate', () => { $('#why').close(); show('back', history.state?.from); });
addEventListener('pagehide', () => history.replaceState({ ...history.state, top: scrollY }, ''));
show('start', history.state?.from);
