/* A page as composed beside the page without the arranger. */
import { bars } from './charts.js';
import { $, esc, icon, nth } from './parts.js';

const came = (r) => r.other === null ? 'new here' : r.other === r.place ? '' : `${r.other > r.place ? 'up' : 'down'} from ${nth(r.other)}`;
const goes = (r) => r.other === null ? 'not shown' : r.other === r.place ? '' : `to ${nth(r.other)}`;
const rows = (list, said) => `<ol>${list.map((r) => { const t = said(r); return `<li class="${t ? 'went' : ''}"><span class="n">${r.place}</span><span>${esc(r.title)}</span>${t ? `<small>${t}</small>` : ''}</li>`; }).join('')}</ol>`;

/** Two orders beside each other. */
export const beside = ({ before, after }) => `<div class="both-ways"><div><h4>Without the arranger</h4>${rows(before, goes)}</div><div><h4>As composed</h4>${rows(after, came)}</div></div>`;

/** What both pages earn, by single things and as a whole, on one scale. */
export const grains = (g, one = 'Each thing') => bars([[`${one}, without`, g.before.items], [`${one}, composed`, g.after.items], ['The whole, without', g.before.page], ['The whole, composed', g.after.page]].map(([name, v]) => [name, +v.toFixed(2), v < 0 ? 'minus' : '']));

/** The drawer with the whole first page, both ways. */
export function open(c) {
  const box = $('#why');
  box.innerHTML = `<header><div style="flex:1"><p class="quiet small">This page</p><h2 id="why-h">What moved, and why</h2></div><button class="k" data-do="close-why" aria-label="Close">${icon('x')}</button></header><div class="body">
    <p class="answer">${esc(c.said)}</p><p class="quiet">The engine learnt from shown pages what people go for, thing by thing and page by page. It puts things they go for higher, and lowers what repeats something above it.</p>
    ${c.rails ? `<h3>Shelves</h3>${beside(c.rails)}${grains(c.rails.grains, 'Each shelf')}` : ''}
    <h3>First things</h3>${beside(c.first)}${grains(c.grains)}
    <p class="quiet small">Bars: zero is a usual page, one a spread better. <a href="/v1/traces/${esc(c.request_id)}" data-plain>The whole trace</a></p></div>`;
  if (!box.open) box.showModal();
  box.scrollTop = 0;
}
