"""The bench `slates-agents`: the likelihood of slates on real pages, answered by language-model agents.

agent4rec_ml1m has pages of four films, up to five for each of 1,000 agents, with what was watched of each. m films
watched on a page are m choices from it, each without those before, and a page without any is one choice of nothing
(data/pages.py). Four fifths of the agents are learnt from; of the others every choice is foretold, with what they
watched before it. Floors are softmaxes of the same choices: by the number of films left alone, by place, by film.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from interplay.data.pages import Choices, Pages
from interplay.errors import unknown
from interplay.evaluate.intervals import Terms, bootstrap
from interplay.fitted import built
from interplay.learn.descend import Descent, descend
from interplay.models.slates import DynamicSlate
from interplay.protocols.looks import folder
from interplay.types import Array, Dataset, Events, Ids, Ragged, Requests, Run, Slates

FLOORS = {"left": (), "places": ("place",), "films": ("film",), "places and films": ("place", "film")}
AGAINST = "places and films"
HOUR = 3_600_000_000  # microseconds between an agent's pages
START = 1_735_689_600_000_000  # 1 January 2025, UTC: the log has the order of pages and no times
STEADY = Descent(rate=0.05, batch=1 << 20, epochs=300, schedule="cosine")


@lru_cache(maxsize=1)
def watched() -> Dataset:
    """The agents' pages as a data set: impressions, and an event for each film watched."""
    at = folder("agent4rec_ml1m")
    films = pl.read_parquet(at / "movies.parquet").sort("item")
    log = pl.read_parquet(at / "llm_agent_log.parquet").sort("agent", "page", "position")
    index = dict(zip(films["item"].to_list(), range(len(films)), strict=True))
    item = np.array([index[i] for i in log["item"].to_list()], np.int32)
    agent, page, place = (log[c].to_numpy().astype(np.int64) for c in ("agent", "page", "position"))
    request, moment, hit = agent * 10 + page, START + page * HOUR, log["watched"].to_numpy().astype(bool)
    users, items = Ids(list(range(int(agent.max()) + 1))), Ids(films["item"].to_list())
    events = Events(
        user=agent[hit].astype(np.int32), item=item[hit], time=(moment + place + 1)[hit], ordered=True,
        kind=np.zeros(int(hit.sum()), np.int16), kinds=("click",), context={"request_id": request[hit]},
    )  # fmt: skip
    shown = pl.DataFrame({
        "request_id": request, "user_id": agent, "timestamp": moment, "row": 0 * place, "slot": place,
        "item_id": log["item"].cast(pl.Int64),
    })  # fmt: skip
    known = films.select(title="title", categories=pl.col("genres").str.split("|"))
    return Dataset(
        name="agent4rec", users=users, items=items, events=events, catalogue=known, tables={"impressions": shown}
    )


def agents(entry: Any, seed: int) -> dict[str, Any]:
    """One row: log-likelihood of the choices of agents who were left out."""
    data = watched()
    left = np.random.default_rng([seed, 5]).permutation(data.n_users) % 5 == 0
    pages = Pages.of(data)
    assert pages.user is not None
    mine, theirs = Choices.of(pages.take(~left[pages.user])), Choices.of(pages.take(left[pages.user]))
    told = foretold(entry, data, left, mine, theirs, seed)
    floor = softmax(mine, FLOORS[AGAINST], data.n_items, seed)(theirs)
    chosen = theirs.chosen >= 0
    figures: dict[str, float] = {}
    for name, own, other, who in (
        ("", told[:, 0], floor[:, 0], theirs.user), ("which_", told[chosen, 1], floor[chosen, 1], theirs.user[chosen])
    ):  # fmt: skip
        if np.isfinite(own).all():
            gain = Terms.mean(own - other)
            low, high = bootstrap(gain, who, seed=seed)
            figures |= {f"{name}ll": float(own.mean()), f"{name}gain": gain.value, f"{name}low": low,
                        f"{name}high": high}  # fmt: skip
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"{len(pages):,} pages of 4 films, answered by {data.n_users:,} language-model agents; a fifth "
            "of the agents judged, another one with each seed. `ll` is the log-likelihood of a choice, of a film or of "
            "none; `which_` of the film, given that one was chosen",
            "gain": f"Gain is over `{AGAINST}`, with a 95 % bootstrap interval over agents, whose ends are averaged "
            "over seeds",
        },
        "facts": {
            "choices": len(theirs), "chosen": int(chosen.sum()),
            "met": float(np.isin(theirs.slate[theirs.slate >= 0], mine.slate).mean()),
        },
    }  # fmt: skip


def foretold(entry: Any, data: Dataset, left: Array, mine: Choices, theirs: Choices, seed: int) -> Array:
    """float64[m, 2]: log of the chance of each choice, and of the film given that one is chosen.

    The first is NaN for a model that was learnt from drawn films: it knows no worth of choosing nothing.
    """
    if entry.system == "floor":
        if entry.label not in FLOORS:
            raise unknown("floor", entry.label, FLOORS)
        return softmax(mine, FLOORS[entry.label], data.n_items, seed)(theirs)
    model: DynamicSlate = built(entry.system, entry.settings).fit(kept(data, ~left), run=Run(seed=seed))
    asked = Requests(user=theirs.user, history=before(theirs), at=theirs.at)
    slates = Slates(items=theirs.slate, scores=np.zeros(theirs.slate.shape, np.float32))
    row, place = np.arange(len(theirs)), np.maximum(theirs.chosen, 0)
    p = model.click_probability(asked, slates)
    none = np.maximum(1 - p.sum(axis=1), 1e-12)
    log_p = np.log(np.where(theirs.chosen >= 0, p[row, place], none)) if model.shown else np.full(len(row), np.nan)
    return np.column_stack([log_p, np.log(p[row, place] / p.sum(axis=1))])


def kept(data: Dataset, people: Array) -> Dataset:
    """The data set with these people's (bool[n_users]) pages and events alone."""
    shown = data.tables["impressions"]
    mine = shown.filter(pl.Series(people[shown["user_id"].to_numpy()]))
    part = data.where(people[data.events.user])
    return Dataset(
        name=data.name, users=data.users, items=data.items, events=part.events, catalogue=data.catalogue,
        tables={"impressions": mine},
    )  # fmt: skip


def before(choices: Choices) -> Ragged:
    """What the maker of each choice had chosen before it, on the same page too; choices stand in order."""
    film = np.where(choices.chosen >= 0, choices.slate[np.arange(len(choices)), np.maximum(choices.chosen, 0)], -1)
    owner, item = [], []
    first = 0
    for i in range(len(choices)):
        if choices.user[i] != choices.user[first]:
            first = i
        past = film[first:i][film[first:i] >= 0]
        owner.append(np.full(len(past), i))
        item.append(past)
    return Ragged.grouped(np.concatenate(owner), len(choices), item=np.concatenate(item).astype(np.int32))


def softmax(mine: Choices, parts: tuple[str, ...], n_items: int, seed: int) -> Callable[[Choices], Array]:
    """A softmax over what is left of a page and nothing, whose worth depends on how much is left.

    Each place and each film has a number, where `parts` says so, drawn around 0 with the spread of half a unit.
    """
    logits = {"nothing": torch.zeros(mine.slate.shape[1] + 1)}
    logits |= {"place": torch.zeros(mine.slate.shape[1])} if "place" in parts else {}
    logits |= {"film": torch.zeros(n_items)} if "film" in parts else {}
    logits = {name: value.requires_grad_() for name, value in logits.items()}

    def log_p(choices: Choices) -> tuple[Tensor, Tensor]:
        slate = torch.from_numpy(choices.slate.astype(np.int64))
        held = slate >= 0
        score = torch.zeros(slate.shape)
        score = score + logits["place"] if "place" in parts else score
        score = score + logits["film"][slate.clamp(min=0)] if "film" in parts else score
        score = score.masked_fill(~held, -torch.inf)
        none = logits["nothing"][held.sum(dim=1)][:, None]
        return torch.cat([none, score], dim=1).log_softmax(dim=1), score.log_softmax(dim=1)

    def of(choices: Choices) -> tuple[Tensor, Tensor]:
        both, which = log_p(choices)
        chosen = torch.from_numpy(choices.chosen)
        return both.gather(1, chosen[:, None] + 1)[:, 0], which.gather(1, chosen.clamp(min=0)[:, None])[:, 0]

    def loss(batch: Choices) -> Tensor:
        prior = sum(((logits[n] ** 2).sum() / (2 * 0.5**2) for n in parts), torch.zeros(()))
        return -of(batch)[0].mean() + prior / len(mine)

    descend(loss, logits, lambda epoch, generator: [mine], descent=STEADY, run=Run(seed=seed), belongs=str(parts))

    def told(choices: Choices) -> Array:
        with torch.no_grad():
            return np.column_stack([part.double().numpy() for part in of(choices)])

    return told
