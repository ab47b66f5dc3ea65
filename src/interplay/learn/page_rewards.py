"""What a page is worth, learnt from pairs of pages that differ in one respect.

Pairs   made of what a person went for next. The better page has it at the top, then candidates in the base order. The
        worse one: relevance, other candidates in its place; ranking, it further down; diversity, other items of one
        category until the entropy of categories has dropped by 30 %; redundancy, near-duplicates of what stands there
Page    a small transformer over the person and the items at their places, read off the person and the mean of the
        places, the first weighing most: -log sigmoid(R(better) - R(worse) - margin)
Item    a sum over places, R(page) = sum_k w_k g(person, item_k), w_k = 1 / log2(k + 1), from pairs in which the item
        gone for changes places with a lower one, weighted by the difference of the two weights

After PageLLM (arXiv 2506.09084): the four families, the two rewards and the swaps are the paper's; how pairs are made,
the networks and the margins are ours. The rest of a better page is drawn from the base order by Plackett-Luce (places
as 1 / place), so that a reward meets candidates that the base did not put on its first page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import NotNegative, PartShare, Size
from interplay.data.lists import NUMBERS, Lists, Things
from interplay.data.shelves import Shelves
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.learn.layers import Block, mlp
from interplay.learn.plain import array, plain
from interplay.types import Array, Run

DROP = 0.3  # how far the entropy of categories falls in a pair of diversity
LEFT = 3.0  # how much likelier than others what was left stands in for what was gone for, as a logarithm
INSERTED = 4  # near-duplicates of a pair of redundancy, at most
MARGINS: Mapping[str, float] = {"relevance": 1.0, "ranking": 0.5, "diversity": 0.25, "redundancy": 0.25}
DISTANCES = ((1, 2), (3, 5), (6, 10), (11, 1000))  # places between the two items of a swap


@dataclass(frozen=True, kw_only=True)
class RewardConfig:
    places: Size = 20  # places of a page that are judged
    dim: Size = 32
    layers: Size = 1
    heads: Size = 2
    dropout: PartShare = 0.1
    twin: NotNegative = 0.7  # likeness from which on two items are near-duplicates
    margins: Mapping[str, NotNegative] = field(default_factory=lambda: dict(MARGINS))  # families learnt from
    shuffled: bool = False  # a control: which of two pages is the better one is drawn by lot
    descent: Descent = field(
        default_factory=lambda: Descent(
            optimiser="adamw", rate=2e-3, weight_decay=0.01, batch=128, epochs=6, schedule="cosine", clip=1.0
        )
    )


@dataclass(frozen=True)
class Seen:
    """A batch of lists as networks read them."""

    numbers: Tensor  # [b, m, len(NUMBERS)]
    vectors: Tensor  # [b, m, d]: what candidates say
    past: Tensor  # [b, d]
    like: Tensor  # [b, m, m]: likeness of candidates
    group: Tensor  # int64[b, m], -1 for none
    present: Tensor  # bool[b, m]
    engaged: Tensor  # bool[b, m]
    passed: Tensor  # bool[b, m]: looked at and left

    @staticmethod
    def of(lists: Lists | Shelves, known: Things) -> Seen:
        """Of lists of items; of shelves, each of which is read as one thing."""
        if isinstance(lists, Shelves):
            near = torch.from_numpy(lists.vectors)
            return Seen(
                numbers=torch.from_numpy(lists.numbers), vectors=near, past=torch.from_numpy(lists.past),
                like=near @ near.transpose(1, 2), group=torch.from_numpy(lists.group.astype(np.int64)),
                present=torch.from_numpy(lists.held), engaged=torch.from_numpy(lists.engaged),
                passed=torch.from_numpy(lists.passed),
            )  # fmt: skip
        inside = (lists.items >= 0) & (lists.items < len(known.group))
        at = np.where(inside, lists.items, 0)

        def rows(table: Array) -> Tensor:
            return torch.from_numpy(np.where(inside[..., None], table[at], np.float32(0)))

        vectors, near = rows(known.content), rows(known.likeness)
        return Seen(
            numbers=torch.from_numpy(lists.numbers), vectors=vectors, past=torch.from_numpy(lists.past),
            like=near @ near.transpose(1, 2),
            group=torch.from_numpy(np.where(inside, known.group[at], -1).astype(np.int64)),
            present=torch.from_numpy(lists.held), engaged=torch.from_numpy(lists.engaged),
            passed=torch.from_numpy(lists.passed),
        )  # fmt: skip


def discount(k: int) -> Array:
    """float32[k]: 1 / log2(place + 1), the weight of each place.

    >>> discount(3).round(3).tolist()
    [1.0, 0.6309999823570251, 0.5]
    """
    return (1 / np.log2(np.arange(k) + 2)).astype(np.float32)


# --------------------------------------------------------------------------------------------------------------------
# Pages and pairs: positions of candidates, int64[b, k], -1 where a page is short


def better(engaged: Array, held: Array, k: int, rng: np.random.Generator) -> Array:
    """What was gone for on top, completed in the order of the candidates from a stirred choice of them."""
    n, m = engaged.shape
    order = np.arange(m)
    key = rng.gumbel(size=(n, m)) - np.log(order + 1.0)
    key = np.where(engaged, 1e6 - order, np.where(held, key, -np.inf))
    chosen = np.argsort(-key, axis=1, kind="stable")[:, :k]
    rows = np.arange(n)[:, None]
    place = np.where(engaged[rows, chosen], chosen - m, chosen).astype(float)
    place[~held[rows, chosen]] = np.inf
    sorted_ = np.take_along_axis(chosen, np.argsort(place, axis=1, kind="stable"), 1)
    return np.where(held[rows, sorted_], sorted_, -1)


def _free(page: Array, held: Array) -> Array:
    """bool[b, m]: candidates that are not on the page."""
    free = held.copy()
    row, place = np.nonzero(page >= 0)
    free[row, page[row, place]] = False
    return free


def without_relevance(page: Array, seen: Seen, config: RewardConfig, rng: np.random.Generator) -> tuple[Array, Array]:
    """Other candidates in the place of what was gone for: what was looked at and left, where that is known."""
    engaged, held, left = seen.engaged.numpy(), seen.present.numpy(), seen.passed.numpy()
    free = _free(page, held) & ~engaged
    stirred = rng.gumbel(size=free.shape) - np.log(np.arange(free.shape[1]) + 1.0)
    key = np.where(free, stirred + LEFT * left, -np.inf)
    order = np.argsort(-key, axis=1, kind="stable")
    count = (np.take_along_axis(engaged, np.maximum(page, 0), 1) & (page >= 0)).sum(axis=1)
    out, rows = page.copy(), np.arange(len(page))
    for i in range(int(count.max(initial=0))):
        out[:, i] = np.where(count > i, order[rows, min(i, order.shape[1] - 1)], out[:, i])
    return out, (count > 0) & (free.sum(axis=1) >= count)


def without_ranking(page: Array, seen: Seen, config: RewardConfig, rng: np.random.Generator) -> tuple[Array, Array]:
    """The same items, what was gone for further down."""
    wanted = np.take_along_axis(seen.engaged.numpy(), np.maximum(page, 0), 1) & (page >= 0)
    count, size = wanted.sum(axis=1, keepdims=True), (page >= 0).sum(axis=1, keepdims=True)
    target = count + rng.random(page.shape) * np.maximum(size - count, 0)
    key = np.where(wanted, target, np.arange(page.shape[1])).astype(float)
    key[page < 0] = np.inf
    out = np.take_along_axis(page, np.argsort(key, axis=1, kind="stable"), 1)
    return out, (count[:, 0] > 0) & (size[:, 0] > count[:, 0])


def entropy(codes: Array) -> Array:
    """float64[b]: the entropy of the codes of each row, where -1 is nothing.

    >>> entropy(np.array([[0, 0, 1, 1], [2, 2, 2, -1]])).round(3).tolist()
    [0.693, 0.0]
    """
    held = codes >= 0
    same = ((codes[:, :, None] == codes[:, None]) & held[:, None]).sum(axis=2)
    share = same / np.maximum(held.sum(axis=1, keepdims=True), 1)
    each = np.where(held, -np.log(np.where(held, share, 1)), 0)
    return each.sum(axis=1) / np.maximum(held.sum(axis=1), 1)


def without_diversity(page: Array, seen: Seen, config: RewardConfig, rng: np.random.Generator) -> tuple[Array, Array]:
    """Items of other categories give way, from the bottom, to candidates of the page's most frequent one."""
    engaged, held, group = seen.engaged.numpy(), seen.present.numpy(), seen.group.numpy()
    rows = np.arange(len(page))

    def codes(of: Array) -> Array:
        return np.where(of >= 0, np.take_along_axis(group, np.maximum(of, 0), 1), -1)

    on = codes(page)
    first = entropy(on)
    same = ((on[:, :, None] == on[:, None]) & (on >= 0)[:, None]).sum(axis=2)
    most = on[rows, same.argmax(axis=1)]
    free = _free(page, held) & ~engaged & (group == most[:, None]) & (most >= 0)[:, None]
    out, done = page.copy(), np.zeros(len(page), bool)
    for place in range(page.shape[1] - 1, -1, -1):
        at = np.maximum(out[:, place], 0)
        go = ~done & (out[:, place] >= 0) & (group[rows, at] != most) & ~engaged[rows, at] & free.any(axis=1)
        pick = free.argmax(axis=1)
        out[:, place] = np.where(go, pick, out[:, place])
        free[rows[go], pick[go]] = False
        done |= entropy(codes(out)) <= (1 - DROP) * first
    return out, done & (first > 0)


def without_freshness(page: Array, seen: Seen, config: RewardConfig, rng: np.random.Generator) -> tuple[Array, Array]:
    """Near-duplicates of what stands on the page push out others at random."""
    engaged, held, like = seen.engaged.numpy(), seen.present.numpy(), seen.like.numpy()
    rows = np.arange(len(page))
    on = np.zeros(held.shape, bool)
    row, place = np.nonzero(page >= 0)
    on[row, page[row, place]] = True
    free = held & ~on & ~engaged
    near = np.where(on[:, None] & free[:, :, None], like, -1).max(axis=2)  # of each free candidate to the page
    twins = np.argsort(-near, axis=1, kind="stable")
    out = page.copy()
    may = (page >= 0) & ~np.take_along_axis(engaged, np.maximum(page, 0), 1)
    places = np.argsort(np.where(may, rng.random(page.shape), np.inf), axis=1)
    for i in range(min(INSERTED, page.shape[1], held.shape[1])):
        twin = twins[:, i]
        go = (near[rows, twin] >= config.twin) & may[rows, places[:, i]]
        out[rows[go], places[go, i]] = twin[go]
    return out, (out != page).any(axis=1)


Worsening = Callable[[Array, Seen, RewardConfig, np.random.Generator], tuple[Array, Array]]
FAMILIES: dict[str, Worsening] = {  # page -> a page that is worse in one respect, and whether there is one
    "relevance": without_relevance, "ranking": without_ranking, "diversity": without_diversity,
    "redundancy": without_freshness,
}  # fmt: skip


def swaps(page: Array, seen: Seen, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """(page, the same after the swap, a, b): what was gone for stands at place a, and changes with a lower place b.

    Where there is nothing to swap, a = b.
    """
    wanted = np.take_along_axis(seen.engaged.numpy(), np.maximum(page, 0), 1) & (page >= 0)
    rows, size = np.arange(len(page)), (page >= 0).sum(axis=1)
    at = wanted.argmax(axis=1)
    a = np.floor(rng.random(len(page)) * np.maximum(size - 1, 1)).astype(int)
    b = a + 1 + np.floor(rng.random(len(page)) * np.maximum(size - 1 - a, 0)).astype(int)
    able = wanted.any(axis=1) & (size > 1)
    a, b = np.where(able, a, at), np.where(able, np.minimum(b, np.maximum(size - 1, 0)), at)
    first = page.copy()
    first[rows, at], first[rows, a] = page[rows, a], page[rows, at]
    second = first.copy()
    second[rows, a], second[rows, b] = first[rows, b], first[rows, a]
    able &= ~np.take_along_axis(seen.engaged.numpy(), np.maximum(second[rows, a], 0)[:, None], 1)[:, 0]
    return first, second, a, np.where(able, b, a)


# --------------------------------------------------------------------------------------------------------------------
# The networks


class Inputs(nn.Module):
    """Each candidate as a vector: its numbers, what it says, and what it says beside what the person's past says."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int, dim: int, numbers: int) -> None:
        super().__init__()
        self.told = nn.Linear(width, dim)
        self.net = mlp([numbers + 2 * dim, dim, dim], "gelu")
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))

    def scale(self, lists: Lists | Shelves) -> None:
        """Take the mean and the spread of each number over the candidates of some lists."""
        held = lists.numbers[lists.held]
        if len(held):
            self.mean.copy_(torch.from_numpy(held.mean(axis=0)))
            self.spread.copy_(torch.from_numpy(np.maximum(held.std(axis=0), 1e-3)))

    def forward(self, seen: Seen) -> tuple[Tensor, Tensor]:
        """(float[b, m, dim] of candidates, float[b, dim] of the person)."""
        said, past = self.told(seen.vectors), self.told(seen.past)
        numbers = (seen.numbers - self.mean) / self.spread
        return self.net(torch.cat([numbers, said, said * past[:, None]], dim=2)), past


@plain.register
def _(net: Inputs) -> Callable[[Seen], tuple[Array, Array]]:
    told, joined, mean, spread = plain(net.told), plain(net.net), array(net.mean), array(net.spread)

    def read(seen: Seen) -> tuple[Array, Array]:
        said, past = told(seen.vectors.numpy()), told(seen.past.numpy())
        numbers = (seen.numbers.numpy() - mean) / spread
        return joined(np.concatenate([numbers, said, said * past[:, None]], axis=2)), past

    return read


def picked(table: Tensor, page: Tensor) -> Tensor:
    """table[b, page]: float[b, k, ...] of float[b, m, ...], with place -1 read as 0."""
    return table[torch.arange(len(page))[:, None], page.clamp(min=0)]


class PageReward(nn.Module):
    """One number for a whole page."""

    def __init__(self, config: RewardConfig, width: int, numbers: int = len(NUMBERS)) -> None:
        super().__init__()
        self.inputs = Inputs(width, config.dim, numbers)
        self.place = nn.Parameter(torch.randn(config.places, config.dim) * 0.02)
        self.above = nn.Linear(2, config.dim)
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, config.dropout, hidden=2 * config.dim, activation="gelu", causal=False)
            for _ in range(config.layers)
        )
        self.head = mlp([2 * config.dim, config.dim, 1], "gelu")

    def forward(self, seen: Seen, pages: Sequence[Tensor]) -> Tensor:
        """float[len(pages), b] for pages int64[b, k], k at most `places`."""
        items, person = self.inputs(seen)
        return torch.stack([self._page(items, person, seen, page) for page in pages])

    def _page(self, items: Tensor, person: Tensor, seen: Seen, page: Tensor) -> Tensor:
        present = page >= 0
        near = torch.from_numpy(crowding(seen, page.numpy()))
        token = picked(items, page) + self.place[: page.shape[1]] + self.above(near)
        x = torch.cat([person[:, None], token * present[..., None]], dim=1)
        there = torch.cat([torch.ones_like(present[:, :1]), present], dim=1)
        for block in self.blocks:
            x = block(x, there)
        weight = torch.from_numpy(discount(page.shape[1]))[:, None] * present[..., None]
        items_seen = (x[:, 1:] * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1e-6)
        return self.head(torch.cat([x[:, 0], items_seen], dim=1))[:, 0]


@plain.register
def _(net: PageReward) -> Callable[[Seen, Sequence[Array]], Array]:
    inputs, above, place, head = plain(net.inputs), plain(net.above), array(net.place), plain(net.head)
    blocks = [plain(block) for block in net.blocks]

    def worth(seen: Seen, pages: Sequence[Array]) -> Array:
        (items, person), n = inputs(seen), len(pages)
        page = np.concatenate(pages)  # all at once: what differs between them is the page alone
        present, again = page >= 0, np.tile(np.arange(len(items)), n)
        near = np.concatenate([crowding(seen, p) for p in pages])
        token = items[again[:, None], np.maximum(page, 0)] + place[: page.shape[1]] + above(near)
        x = np.concatenate([person[again][:, None], token * present[..., None]], axis=1)
        there = np.concatenate([np.ones_like(present[:, :1]), present], axis=1)
        for block in blocks:
            x = block(x, there)
        weight = discount(page.shape[1])[:, None] * present[..., None]
        mean = (x[:, 1:] * weight).sum(axis=1) / np.maximum(weight.sum(axis=1), np.float32(1e-6))
        return head(np.concatenate([x[:, 0], mean], axis=1)).reshape(n, -1)

    return worth


def likeness(seen: Seen, page: Array) -> Array:
    """float32[b, k, k]: of every two places of a page; a place of -1 is read as the first candidate."""
    at = np.maximum(page, 0)
    return seen.like.numpy()[np.arange(len(page))[:, None, None], at[:, :, None], at[:, None]]


def crowding(seen: Seen, page: Array) -> Array:
    """float32[b, k, 2]: the likeness of each place to the nearest above it, and the share of its category above it."""
    present, at, rows = page >= 0, np.maximum(page, 0), np.arange(len(page))[:, None]
    group = seen.group.numpy()[rows, at]
    above = np.tri(page.shape[1], k=-1, dtype=bool) & present[:, None]
    nearest = np.where(above, likeness(seen, page), np.float32(0)).max(axis=2, initial=0)
    same = ((group[:, :, None] == group[:, None]) & (group >= 0)[:, :, None] & above).sum(axis=2)
    return np.stack([nearest, same / np.maximum(above.sum(axis=2), 1)], axis=2).astype(np.float32)


class ItemReward(nn.Module):
    """What each candidate is worth at the first place; a page is the sum over its places, discounted."""

    def __init__(self, config: RewardConfig, width: int, numbers: int = len(NUMBERS)) -> None:
        super().__init__()
        self.inputs = Inputs(width, config.dim, numbers)
        self.head = nn.Sequential(nn.GELU(), nn.Linear(config.dim, 1))

    def forward(self, seen: Seen) -> Tensor:
        """g, float[b, m]."""
        return self.head(self.inputs(seen)[0])[:, :, 0]


@plain.register
def _(net: ItemReward) -> Callable[[Seen], Array]:
    inputs, head = plain(net.inputs), plain(net.head)
    return lambda seen: head(inputs(seen)[0])[:, :, 0]


def by_place(worth: Tensor, page: Tensor) -> Tensor:
    """w_k g at each place, float[b, k]; their sum is the item reward of a page."""
    weight = torch.from_numpy(discount(page.shape[1]))
    return torch.where(page >= 0, picked(worth, page) * weight, 0.0)


# --------------------------------------------------------------------------------------------------------------------
# Learning and checking


class Rewards:
    """Both rewards, learnt from the same lists."""

    def __init__(self, config: RewardConfig, width: int, seed: int = 0, numbers: int = len(NUMBERS)) -> None:
        self.config = config
        with seeded(seed):
            self.page = PageReward(config, width, numbers).eval()
            self.item = ItemReward(config, width, numbers).eval()

    def learn(self, lists: Lists | Shelves, known: Things, *, run: Run) -> dict[str, list[float]]:
        """Mean losses of every epoch, by reward."""
        c = self.config
        for net in (self.page, self.item):
            net.inputs.scale(lists)
        lot = np.random.default_rng([run.seed, 23]).random(len(lists)) < 0.5 if c.shuffled else None

        def made(rows: Array, rng: np.random.Generator) -> tuple[Seen, Array, Array | None, np.random.Generator]:
            seen = Seen.of(lists.take(rows), known)
            page = better(seen.engaged.numpy(), seen.present.numpy(), c.places, rng)
            return seen, page, None if lot is None else lot[rows], rng

        batches = shuffled(len(lists), c.descent.batch, made)
        facts = {
            name: descend(step, net, batches, descent=c.descent, run=run, name=name)
            for name, net, step in (("page", self.page, self._page_step), ("item", self.item, self._item_step))
        }
        return {name: told["losses"] for name, told in facts.items()}

    def _page_step(self, batch: tuple[Seen, Array, Array | None, np.random.Generator]) -> Tensor:
        seen, good, lot, rng = batch
        sign = torch.ones(len(good)) if lot is None else torch.from_numpy(np.where(lot, -1.0, 1.0).astype(np.float32))
        pairs = [FAMILIES[name](good, seen, self.config, rng) for name in self.config.margins]
        scores = self.page(seen, [torch.from_numpy(p) for p in (good, *(page for page, _ in pairs))])
        loss = torch.zeros(())
        for worse, (_, valid), margin in zip(scores[1:], pairs, self.config.margins.values(), strict=True):
            flag = torch.from_numpy(valid)
            each = F.softplus(margin - sign * (scores[0] - worse))
            loss = loss + torch.where(flag, each, 0.0).sum() / max(len(good), 1)
        return loss

    def _item_step(self, batch: tuple[Seen, Array, Array | None, np.random.Generator]) -> Tensor:
        seen, good, lot, rng = batch
        sign = torch.ones(len(good)) if lot is None else torch.from_numpy(np.where(lot, -1.0, 1.0).astype(np.float32))
        first, second, a, b = swaps(good, seen, rng)
        worth = self.item(seen)
        gain = by_place(worth, torch.from_numpy(first)).sum(dim=1) - by_place(worth, torch.from_numpy(second)).sum(
            dim=1
        )
        w = discount(good.shape[1])
        weight = torch.from_numpy(np.abs(w[a] - w[b]))
        return (weight * F.softplus(-sign * gain)).sum() / weight.sum().clamp(min=1e-6)

    @torch.no_grad()
    def accuracy(self, lists: Lists | Shelves, known: Things, *, seed: int = 0, rounds: int = 1) -> dict[str, float]:
        """How often the better page of a pair gets the higher reward, by family; swaps also by their distance.

        Pairs of equal rewards count one half. What no pair could be made of is left out.
        """
        right: dict[str, list[Array]] = {}
        rng = np.random.default_rng([seed, 29])
        for lo in range(0, len(lists) * rounds, 256):
            rows = np.arange(lo, min(lo + 256, len(lists) * rounds)) % len(lists)
            seen = Seen.of(lists.take(rows), known)
            good = better(seen.engaged.numpy(), seen.present.numpy(), self.config.places, rng)
            pairs = {name: make(good, seen, self.config, rng) for name, make in FAMILIES.items()}
            scores = self.page(seen, [torch.from_numpy(p) for p in (good, *(page for page, _ in pairs.values()))])
            for (name, (_, valid)), worse in zip(pairs.items(), scores[1:], strict=True):
                right.setdefault(name, []).append(_right((scores[0] - worse).numpy())[valid])
            first, second, a, b = swaps(good, seen, rng)
            worth = self.item(seen)
            gain = (by_place(worth, torch.from_numpy(first)) - by_place(worth, torch.from_numpy(second))).sum(dim=1)
            said, apart = _right(gain.numpy()), b - a
            right.setdefault("swap", []).append(said[apart > 0])
            for low, high in DISTANCES:
                name = f"swap {low}-{high}" if high < 1000 else f"swap {low}+"
                right.setdefault(name, []).append(said[(apart >= low) & (apart <= high)])
        joined = {name: np.concatenate(parts) for name, parts in right.items()}
        return {name: float(v.mean()) for name, v in joined.items() if len(v)} | {
            f"{name} pairs": float(len(joined.get(name, ()))) for name in (*FAMILIES, "swap")
        }


def _right(difference: Array) -> Array:
    return (difference > 0) + 0.5 * (difference == 0)
