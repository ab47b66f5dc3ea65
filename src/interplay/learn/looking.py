"""How the eye goes over a page and what is clicked: the probability of a page's clicks under each click model.

constant, position   one click rate for all cells; one for each cell: the floors
pbm                  P(C) = look[r, c] * a                          Richardson et al., WWW 2007
pbm-rank-one         look[r, c] = down[r] * across[c]
pbm-swipe            look[r, c] = down[r] * across[c mod visible] * swipe ^ (c div visible)
cascade              cell after cell, until a click                 Craswell et al., WSDM 2008; going on after it as in
                                                                    Guo et al., WSDM 2009, one chance for all places
dbn                  ... until satisfied or tired                   Chapelle and Zhang, WWW 2009
carousel             row after row; a row is entered if its topic attracts, then scanned, swiped on and left
                                                                    after Rahdari et al., HT 2022
one-choice           one cell or none: softmax of log look[r, c] + attraction

All are functions of logits, so that one gradient loop learns any of them. The last group but one share a filter over
three hidden states of a reader, who is in the row, elsewhere on the page, or gone; given the clicks so far, the chance
of the next one is the chance of being in the row times the attraction of what stands there. Cells are taken row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

TINY = 1e-6
Logits: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True)
class Grid:
    """The size of the pages of a fit."""

    rows: int
    columns: int
    visible: int  # columns on the screen at once
    topics: int  # 0: rows are told apart by their place


@dataclass(frozen=True)
class Cells:
    """n pages: which cells hold something, what was clicked, what each row is about."""

    held: Tensor  # bool[n, rows, columns]
    clicked: Tensor  # float[n, rows, columns]
    topic: Tensor | None = None  # int64[n, rows]


@dataclass(frozen=True)
class Model:
    """One click model: its logits at the start, what they make of a page, and where the eye goes."""

    start: Callable[[Grid], Logits]
    likelihood: Callable[[Logits, Grid, Cells, Tensor, Tensor | None], Tensor]  # attraction logits -> float[n]
    marginals: Callable[[Logits, Grid, Cells, Tensor, Tensor | None], Tensor]  # chance of a click in each cell
    satisfies: bool = False  # whether items differ in how often a click on them ends the visit
    single: bool = False  # whether a page has at most one click


# --------------------------------------------------------------------------------------------------------------------
# Where each cell is seen or not, whatever happened elsewhere


def _nothing(grid: Grid) -> Logits:
    return {}


def _free(grid: Grid) -> Logits:
    return {"look": torch.full((grid.rows, grid.columns), 1.0)}


def _rank_one(grid: Grid) -> Logits:
    return {"down": torch.full((grid.rows,), 1.5), "across": torch.full((grid.columns,), 1.5)}


def _swiped(grid: Grid) -> Logits:
    width = min(grid.visible, grid.columns)
    return {"down": torch.full((grid.rows,), 1.5), "across": torch.full((width,), 1.5), "swipe": torch.zeros(1)}


def log_look(logits: Logits, grid: Grid) -> Tensor:
    """float[rows, columns]: log of the chance that each cell is examined."""
    if "look" in logits:
        return logsigmoid(logits["look"])
    if "down" not in logits:
        return torch.zeros(grid.rows, grid.columns)
    across = logsigmoid(logits["across"])
    if "swipe" in logits:
        column = torch.arange(grid.columns)
        across = across[column % grid.visible] + (column // grid.visible) * logsigmoid(logits["swipe"])
    return logsigmoid(logits["down"])[:, None] + across[None, :]


def _chance(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    return (log_look(logits, grid) + logsigmoid(attraction)).exp() * cells.held


def _apart(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    log_p = (log_look(logits, grid) + logsigmoid(attraction)).clamp(max=-TINY)
    each = cells.clicked * log_p + (1 - cells.clicked) * torch.log1p(-log_p.exp())
    return (each * cells.held).sum(dim=(1, 2))


def _by_place(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    return _apart(logits, grid, cells, torch.full_like(attraction, 30.0), None)


def _by_place_chance(
    logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None
) -> Tensor:
    return log_look(logits, grid).exp() * cells.held


# --------------------------------------------------------------------------------------------------------------------
# A reader who goes from cell to cell


def _cascade(grid: Grid) -> Logits:
    return {"after": torch.zeros(1)}


def _dbn(grid: Grid) -> Logits:
    return {"on": torch.full((1,), 2.0)}


def _carousel(grid: Grid) -> Logits:
    return {"enter": torch.zeros(grid.topics or grid.rows), "swipe": torch.zeros(1), "after": torch.full((1,), -3.0)}


def _steps(
    logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None, told: bool
) -> tuple[Tensor, Tensor]:
    """(log-likelihood of the clicks or None, chance of a click in each cell) of the reader's walk.

    `told`: each chance is given the clicks of the cells before; otherwise nothing is known of them.
    """
    n = len(attraction)
    a = attraction.sigmoid() * cells.held
    one = torch.ones(n)
    here, away, gone = 0 * one, one, 0 * one  # in this row, on the page but not in this row, no longer on the page
    on = logits["on"].sigmoid() if "on" in logits else torch.ones(1)
    after = logits["after"].sigmoid() if "after" in logits else torch.ones(1)
    swipe = logits["swipe"].sigmoid() if "swipe" in logits else torch.ones(1)
    total, chances = torch.zeros(n), []
    for r in range(grid.rows):
        if "enter" in logits:
            which = cells.topic[:, r] if grid.topics and cells.topic is not None else torch.full((n,), r)
            # a topic that nobody has met is entered as often as the others on average
            enter = torch.where(which >= 0, logits["enter"][which.clamp(min=0)], logits["enter"].mean()).sigmoid()
        else:
            enter = one
        alive = here + away
        here, away = alive * enter, alive * (1 - enter)
        row = []
        for c in range(grid.columns):
            held = cells.held[:, r, c].float()
            if c and c % grid.visible == 0 and "swipe" in logits:
                here, away = here * swipe, away + here * (1 - swipe)
            if "on" in logits and (r or c):
                kept = 1 - held * (1 - on)
                here, gone = here * kept, gone + here * (1 - kept)
            ends = 1 - after if satisfaction is None else satisfaction[:, r, c].sigmoid()
            hit, missed = here * a[:, r, c], here * (1 - a[:, r, c])
            row.append(hit)
            if told:
                clicked = cells.clicked[:, r, c]
                p = hit.clamp(TINY, 1 - TINY)
                total = total + held * (clicked * p.log() + (1 - clicked) * torch.log1p(-p))
                left = (1 - p).clamp(min=TINY)
                here = clicked * (1 - ends) + (1 - clicked) * missed / left
                away = (1 - clicked) * away / left
                gone = clicked * ends + (1 - clicked) * gone / left
            else:
                here, gone = missed + hit * (1 - ends), gone + hit * ends
        chances.append(torch.stack(row, dim=1))
    return total, torch.stack(chances, dim=1)


def _walk(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    return _steps(logits, grid, cells, attraction, satisfaction, True)[0]


def _walk_chance(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    return _steps(logits, grid, cells, attraction, satisfaction, False)[1]


# --------------------------------------------------------------------------------------------------------------------
# One choice


def _softmax(grid: Grid) -> Logits:
    return {"place": torch.zeros(grid.rows, grid.columns), "nothing": torch.zeros(1)}


def _log_choice(logits: Logits, cells: Cells, attraction: Tensor) -> tuple[Tensor, Tensor]:
    """log of the chance of each cell, float[n, rows, columns], and of none, float[n]."""
    weight = (logits["place"] + attraction).masked_fill(~cells.held, -torch.inf)
    flat = torch.cat([logits["nothing"].expand(len(weight), 1), weight.flatten(1)], dim=1).log_softmax(dim=1)
    return flat[:, 1:].reshape(weight.shape), flat[:, 0]


def _choice(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    cell, none = _log_choice(logits, cells, attraction)
    chosen = torch.where(cells.clicked > 0, cell, 0.0).sum(dim=(1, 2))
    return torch.where(cells.clicked.sum(dim=(1, 2)) > 0, chosen, none)


def _choice_chance(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    return _log_choice(logits, cells, attraction)[0].exp()


def _one(grid: Grid) -> Logits:
    return {"rate": torch.full((1,), -2.0)}


def _rate(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    return _apart({}, grid, cells, logits["rate"].expand(attraction.shape), None)


def _rate_chance(logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
    return logits["rate"].sigmoid().expand(attraction.shape) * cells.held


MODELS: dict[str, Model] = {
    "constant": Model(_one, _rate, _rate_chance),
    "position": Model(_free, _by_place, _by_place_chance),
    "item": Model(_nothing, _apart, _chance),
    "pbm": Model(_free, _apart, _chance),
    "pbm-rank-one": Model(_rank_one, _apart, _chance),
    "pbm-swipe": Model(_swiped, _apart, _chance),
    "observed": Model(_free, _apart, _chance),
    "cascade": Model(_cascade, _walk, _walk_chance),
    "dbn": Model(_dbn, _walk, _walk_chance, satisfies=True),
    "carousel": Model(_carousel, _walk, _walk_chance),
    "one-choice": Model(_softmax, _choice, _choice_chance, single=True),
}


def simulate(
    name: str, logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """bool[n, rows, columns]: clicks of people who behave exactly as the model says. `cells.clicked` is not read."""
    model = MODELS[name]
    with torch.no_grad():
        if model.single:
            cell, none = _log_choice(logits, cells, attraction)
            flat = torch.cat([none[:, None], cell.flatten(1)], dim=1).exp()
            drawn = torch.multinomial(flat, 1, generator=generator)
            return (torch.arange(1, flat.shape[1]) == drawn).reshape(attraction.shape)
        if model.likelihood is not _walk:
            chance = model.marginals(logits, grid, cells, attraction, satisfaction)
            return torch.rand(chance.shape, generator=generator) < chance
        return _walked(logits, grid, cells, attraction, satisfaction, generator)


def _walked(
    logits: Logits, grid: Grid, cells: Cells, attraction: Tensor, satisfaction: Tensor | None,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Clicks of readers who walk over the page; where each of them is, is drawn step by step."""
    n = len(attraction)

    def happens(chance: Tensor) -> Tensor:
        return torch.rand(n, generator=generator) < chance

    def chance_of(name: str) -> Tensor:
        return logits[name].sigmoid() if name in logits else torch.ones(1)

    out = torch.zeros(attraction.shape, dtype=torch.bool)
    staying = torch.ones(n, dtype=torch.bool)
    for r in range(grid.rows):
        here = staying.clone()
        if "enter" in logits:
            which = cells.topic[:, r] if grid.topics and cells.topic is not None else torch.full((n,), r)
            enter = torch.where(which >= 0, logits["enter"][which.clamp(min=0)], logits["enter"].mean())
            here &= happens(enter.sigmoid())
        for c in range(grid.columns):
            held = cells.held[:, r, c]
            if c and c % grid.visible == 0 and "swipe" in logits:
                here &= happens(chance_of("swipe"))
            if "on" in logits and (r or c):
                tired = here & held & ~happens(chance_of("on"))
                here, staying = here & ~tired, staying & ~tired
            out[:, r, c] = here & held & happens(attraction[:, r, c].sigmoid())
            ends = 1 - chance_of("after") if satisfaction is None else satisfaction[:, r, c].sigmoid()
            leaves = out[:, r, c] & happens(ends)
            here, staying = here & ~leaves, staying & ~leaves
    return out
