"""The whole page as one thing: which of the candidates, in what order, each place knowing what stands above it.

pagellm   Xu et al., "Enhanced Whole Page Optimization via Mixed-Grained Reward", arXiv 2506.09084, 2025

Learns from lists that a base ranker gives people it was not fitted on: two rewards from pairs of pages
(learn/page_rewards.py), then a policy that is supervised first and reinforced by both (learn/page_policy.py). Keeps
for each item what it says, who took it, how often and its group: about 130 numbers; nothing of people.

Departs from the paper: a pointer network over candidates stands in the place of a language model, whose weights are
not to be had. Where a text model is configured (`proposals` above 0), it proposes orders beside the policy's and the
base's, and the same rewards choose among them; no weight of it is updated. Pairs, networks and sizes are ours. A tenth
of the people is held out: rewards and policy are checked on them, and where their ndcg says so, the base order stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import nn

from interplay.configure import Count, InnerShare, Size
from interplay.data.lists import Lists, Things, described, folded, things
from interplay.data.shelves import Shelves
from interplay.errors import BadData, Unsupported, unknown
from interplay.learn.descend import seeded
from interplay.learn.page_policy import Mixed, PagePolicy, PolicyConfig, gains, ppo, vary, warm
from interplay.learn.page_rails import Chosen, RailConfig, Rails
from interplay.learn.page_rewards import FAMILIES, RewardConfig, Rewards, Seen, crowding
from interplay.llm import NoReply, TextModel, configured
from interplay.ops.choosing import again
from interplay.ops.threads import one_network
from interplay.types import Array, Dataset, Requests, Run, Slates, State, World

FEWEST = 50  # lists below which nothing is learnt, and the base order stays
BLOCK = 256  # pages arranged at once
TOLD = 20  # items of a history that a text model is told


@dataclass(frozen=True, kw_only=True)
class PagesConfig:
    places: Size = 20  # places that are arranged; what follows keeps the base order
    pool: Size = 100  # candidates they are chosen from
    vectors: str = "words"  # a table of item vectors, or how titles and texts are read: "words", or "text" by MiniLM
    dim: Size = 64  # of what is kept of an item, twice
    groups: Size = 64  # clusters of items that stand for categories where the catalogue has none
    folds: Size = 3  # of people; the base ranker is fitted once for each, on the others. 1: once, on the older log
    moments: Size = 60_000  # past moments that are asked about, at most
    check: InnerShare = 0.1  # share of people held out of all learning here
    reward: RewardConfig = field(default_factory=RewardConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    doubts: bool = True  # the base order stays where people held out are served better by it
    rails: RailConfig = field(default_factory=RailConfig)  # the shelves of a page, where it has any
    proposals: Count = 0  # orders that a text model is asked for, where one is configured
    seed: Count | None = None  # of learning; None takes the run's

    def __post_init__(self) -> None:
        for name in self.reward.margins:
            if name not in FAMILIES:
                raise unknown("family of pairs", name, FAMILIES)


class Proposals(BaseModel):
    """What a text model answers: orders of the candidates' numbers, each best first."""

    orders: list[list[int]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Arranged:
    """How the candidates of each request stand now."""

    order: Array  # int64[n, m]: position in the base order of what stands at each place; a permutation of every row
    columns: Mapping[
        str, Array
    ]  # of each candidate: `slot` (what it earns at its place), `alike` (to the nearest above)
    stood: Array  # int64[n, k]: the page as it would stand without the arranger, positions in the base order, -1 pads
    before: Array  # float32[n, 2]: that page's reward: the part of its items, and its own as a whole
    after: Array  # ... of this one
    by: tuple[str, ...]  # who made it: "policy", "base" or "text model"
    rails: Chosen | None = None  # the shelves below it, where they were asked for


class Pages:
    """Orders the first page of what others found; its verbs are fit, arrange, attend, state and restore."""

    def __init__(self, config: PagesConfig = PagesConfig()) -> None:
        places = config.places
        self.config = replace(
            config, reward=replace(config.reward, places=places), policy=replace(config.policy, places=places)
        )
        self.text_model: TextModel | None = configured() if config.proposals else None
        self.texts: Sequence[str] = ()  # of the items, for a text model; `attend` brings them

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(
        self, dataset: Dataset, *, run: Run = Run(), world: World | None = None, base: Callable[[], Any] | None = None
    ) -> Pages:
        """Learn to arrange what `base()` finds: a new ranker with the verbs fit and retrieve at each call."""
        if base is None:
            raise Unsupported("pagellm orders what others found; name it as [arranger] in a recipe, beside its sources")
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; a page is learnt from what people went for next")
        c = self.config
        run = replace(run, checkpoint=None, validation=None, seed=run.seed if c.seed is None else c.seed)
        train, check = self.gather(dataset, base, run=run)
        if len(train) + len(check) >= FEWEST and len(train) and len(check):
            self.reward(train, check, run=run)
            if not c.reward.shuffled:  # a control has nothing to reinforce by
                self.supervise(train, run=run)
                self.reinforce(train, check, run=run)
                if c.rails.shelves:
                    self.fitted["rails"] = self.rails.learn(*self.could, self.things, run=run, doubts=c.doubts)
        return self.attend(dataset)

    def gather(self, dataset: Dataset, base: Callable[[], Any], *, run: Run = Run()) -> tuple[Lists, Lists]:
        """What is known of things, and the lists to learn from and those of the people held out."""
        c = self.config
        self.things = things(
            dataset, vectors=c.vectors, dim=c.dim, groups=c.groups, seed=run.seed, progress=run.progress
        )
        pool = max(c.pool, c.rails.pool) if c.rails.shelves else c.pool
        parts = list(folded(dataset, self.things, base, pool=pool, folds=c.folds, most=c.moments, dim=c.dim, run=run))
        self._build(run.seed)
        self.trusted = False
        none = described(self.things, Requests.strangers([]), Slates.empty(0, 1))
        lists = Lists.joined([told for told, _, _ in parts]) if parts else none
        self.usual = Lists.joined([some for _, some, _ in parts]) if parts else none
        self.fitted: dict[str, Any] = {"lists": len(lists)}
        people = np.unique(lists.user)
        apart = people[np.random.default_rng([run.seed, 37]).random(len(people)) < c.check]
        out = np.isin(lists.user, apart)
        if c.rails.shelves and parts:
            could = Shelves.joined([Shelves.of_lists(told, counts) for told, _, counts in parts])
            self.could = could.take(np.flatnonzero(~out)), could.take(np.flatnonzero(out))
        lists, self.usual = lists.first(c.pool), self.usual.first(c.pool)
        found = lists.engaged.any(axis=1)
        return lists.take(np.flatnonzero(found & ~out)), lists.take(np.flatnonzero(found & out))

    def _build(self, seed: int) -> None:
        c, width = self.config, self.things.content.shape[1]
        self.rewards = Rewards(c.reward, width, seed)
        with seeded(seed):
            self.policy = PagePolicy(c.policy, width).eval()
        self.mixed = Mixed(self.rewards, c.policy.share)
        self.rails = Rails(c.rails, width, seed)

    def reward(self, train: Lists, check: Lists, *, run: Run = Run()) -> None:
        """Learn both rewards, and how often they are right about people held out."""
        losses = self.rewards.learn(train, self.things, run=run)
        accuracy = self.rewards.accuracy(check, self.things, seed=run.seed)
        self.fitted |= {"held_out": len(check), "losses": losses, "accuracy": accuracy}

    def supervise(self, train: Lists, *, run: Run = Run()) -> None:
        """The policy that reinforcement starts from, and stays near to."""
        self.fitted["warm"] = warm(self.policy, train, self.things, run=run)["losses"]

    def reinforce(self, train: Lists, check: Lists, *, run: Run = Run()) -> None:
        """Raise the reward of pages; the policy is trusted where it serves people held out no worse than the base."""
        supervised = self.ndcg(check)
        facts = ppo(self.policy, self.mixed, train, check, self.things, run=run)
        reinforced, alike = self.ndcg(check), vary(self.policy, self.usual, self.things)
        told = {
            "base": self.ndcg(check, base=True), "supervised": supervised, "reinforced": reinforced,
            "policy": self.ndcg(check),
        }  # fmt: skip
        self.trusted = not self.config.doubts or told["policy"] >= told["base"]
        self.fitted |= {"ndcg": told, "alike": alike, "ppo": facts, "trusted": self.trusted}

    @torch.no_grad()
    def ndcg(self, lists: Lists, *, base: bool = False) -> float:
        """Of greedy pages, or of the base order's, for what was gone for."""
        total, k = 0.0, self.config.places
        for lo in range(0, len(lists), BLOCK):
            seen = Seen.of(lists.take(np.arange(lo, min(lo + BLOCK, len(lists)))), self.things)
            page = first_of(seen.present.numpy(), k) if base else self.policy.greedy(seen, k)
            total += float(gains(seen, page).sum())
        return total / max(len(lists), 1)

    def attend(self, dataset: Dataset) -> Pages:
        """Take over the texts of a newer catalogue, where a text model is asked."""
        self.texts = dataset.texts() if self.config.proposals else ()
        return self

    # ------------------------------------------------------------------------------------------------------- arranging

    @torch.no_grad()
    def arrange(
        self, requests: Requests, slates: Slates, n: int, *, stood: Array | None = None, rails: bool = False
    ) -> Arranged:
        """Another order of every list: its first `n` places, at most `places`, chosen as one page.

        `stood` (positions, int64[n, k], -1 pads) is the page as it would stand otherwise, the head of the list where it
        is not given; with `rails` shelves are chosen for what follows. The list's order stays where nothing was
        learnt, or where people held out were better served by it.
        """
        items, k = slates.items, min(n, self.config.places)
        held = items >= 0
        order = np.tile(np.arange(items.shape[1]), (len(items), 1))
        head = first_of(held, k) if stood is None else stood[:, :k]
        columns = {name: np.zeros(items.shape, np.float32) for name in ("slot", "alike")}
        told = np.zeros((2, len(items), 2), np.float32)
        by, chosen = ["base"] * len(items), list[Chosen]()
        if self.trusted and items.shape[1] and k > 0:
            pool = min(self.config.pool, items.shape[1])
            shelves = self.config.rails.shelves  # numbers of a list are about all of it: as learnt, shelves or not
            wide = max(pool, min(self.config.rails.pool, items.shape[1])) if shelves else pool
            once = replace(slates, items=np.where(again(items), -1, items))
            every = described(self.things, requests, once.first(wide))
            lists = every.first(pool)
            for lo in range(0, len(items), BLOCK):
                rows = np.arange(lo, min(lo + BLOCK, len(items)))
                seen = Seen.of(lists.take(rows), self.things)
                with one_network():
                    page = self.policy.greedy(seen, k)
                was = np.where(head[rows] < pool, head[rows], -1)[:, : page.shape[1]]
                names = ["policy"] * len(rows)
                if self.text_model is not None and self.config.proposals:
                    page, names = self._chosen(requests.take(rows), once.items[rows, :pool], seen, was, page)
                with one_network():
                    told[1, rows], told[0, rows], slots = self.mixed.beside(seen, page, was)
                cell = np.nonzero(page >= 0)
                at = rows[cell[0]], page[cell]
                columns["slot"][at], columns["alike"][at] = slots[cell], crowding(seen, page)[cell][:, 0]
                order[rows] = _laid(page, once.items[rows] >= 0, held[rows])
                by[lo : lo + len(rows)] = names
                if rails and shelves:
                    kept = every.take(rows).ordered(order[rows][order[rows] < wide].reshape(len(rows), wide))
                    draw = None if requests.draw is None else requests.draw[rows]
                    with one_network():
                        chosen.append(self.rails.choose(Shelves.of_lists(kept, self.things), self.things, draw))
        return Arranged(
            order=order, columns=columns, stood=head, before=told[0], after=told[1], by=tuple(by),
            rails=Chosen.joined(chosen) if chosen else None,
        )  # fmt: skip

    def _chosen(
        self, requests: Requests, items: Array, seen: Seen, first: Array, page: Array
    ) -> tuple[Array, list[str]]:
        """For each request the best, by the mixed reward, of the policy's page, the base's, and a text model's."""
        page, names, k = page.copy(), ["policy"] * len(page), page.shape[1]
        for i in range(len(page)):
            asked = proposed(
                self.text_model, self.texts, requests.history.row(i)["item"], items[i], k, self.config.proposals
            )
            rivals = np.stack([page[i], first[i], *(completed(order, page[i]) for order in asked)])
            one = Seen(**{name: getattr(seen, name)[[i] * len(rivals)] for name in seen.__dataclass_fields__})
            with one_network():  # not while a text model is waited for
                worth = self.mixed.steps(*self.mixed.parts(one, torch.from_numpy(rivals))).sum(dim=1)
            at = int(worth.argmax())
            page[i], names[i] = rivals[at], ("policy", "base")[at] if at < 2 else "text model"
        return page, names

    # ----------------------------------------------------------------------------------------------------- remembering

    def state(self) -> State:
        nets = {"page": self.rewards.page, "item": self.rewards.item, "policy": self.policy}
        return State.joined(
            things=self.things.state(), rails=self.rails.state(),
            facts=State(facts={"trusted": self.trusted, "spreads": self.mixed.spreads()}),
            **{name: State(arrays={k: v.numpy() for k, v in net.state_dict().items()}) for name, net in nets.items()},
        )  # fmt: skip

    def restore(self, state: State) -> Pages:
        """What another instance of the same settings knew; `attend` brings the texts that a text model is told."""
        self.things, self.fitted = Things.restore(state.within("things")), {}
        self._build(0)
        nets: dict[str, nn.Module] = {"page": self.rewards.page, "item": self.rewards.item, "policy": self.policy}
        for name, net in nets.items():
            net.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in state.within(name).arrays.items()})
        facts = state.within("facts").facts
        self.trusted = bool(facts["trusted"])
        self.mixed.take_spreads(facts["spreads"])
        self.rails.restore(state.within("rails"))
        return self

    def forget(self, users: Array) -> None:
        """Nothing of single people is kept."""


# --------------------------------------------------------------------------------------------------------------------
# Parts


def first_of(held: Array, k: int) -> Array:
    """int64[b, k]: the base order's own page."""
    order = np.argsort(~held, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(held, order, 1), order, -1)


def _laid(page: Array, free: Array, held: Array) -> Array:
    """int64[b, m]: the page, then the other candidates in their order, then those that stand already, then padding."""
    m = held.shape[1]
    key = np.arange(m) + np.where(free, 0, np.where(held, m, 2 * m))
    row, place = np.nonzero(page >= 0)
    key[row, page[row, place]] = place - page.shape[1]
    return np.argsort(key, axis=1, kind="stable")


def proposed(
    model: TextModel | None, texts: Sequence[str], past: Array, items: Array, k: int, n: int
) -> list[list[int]]:
    """At most n orders of candidates (positions in `items`) that a text model proposes; none where it gives no answer.

    Numbers that name no candidate, and repeats, are dropped.
    """

    def told(item: int) -> str:
        return texts[item] if 0 <= item < len(texts) and texts[item] else "(no text)"

    held = np.flatnonzero(items >= 0)
    if model is None or not len(held):
        return []
    task = (
        f"Arrange a page of {k} places from the candidates for a person with this history: the likeliest to be wanted "
        f"first, different things, no near-duplicates. Propose {n} different orders of candidate numbers."
    )
    data = {
        "history": [told(int(i)) for i in past[-TOLD:]],
        "candidates": [{"number": int(at) + 1, "text": told(int(items[at]))} for at in held],
        "places": k, "proposals": n,
    }  # fmt: skip
    try:
        answer = model.reply(task, data, Proposals)
    except NoReply:
        return []
    known = set((held + 1).tolist())
    orders = [[number - 1 for number in dict.fromkeys(order) if number in known] for order in answer.orders[:n]]
    return [order for order in orders if order]


def completed(order: Sequence[int], page: Array) -> Array:
    """int64[k]: a proposed order as a page, filled up with what else stands on `page`.

    >>> completed([5], np.array([3, 5, 9])).tolist()
    [5, 3, 9]
    """
    k = int((page >= 0).sum())
    out = [*order[:k], *(at for at in page[:k].tolist() if at not in set(order[:k]))][:k]
    return np.array(out + [-1] * (len(page) - k), np.int64)
