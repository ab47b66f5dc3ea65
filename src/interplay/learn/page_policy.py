"""A page chosen item by item: a pointer over what is left of the candidates, supervised first, then by reinforcement.

Choice    logit_j = s_j + q . h_j + a near_j + b same_j: what a transformer over all candidates says of j, the choices
          so far (their mean and the place, as a query), and how near j comes to what stands above it
Warm-up   cross-entropy with better pages (learn/page_rewards.py), place by place
Variety   a push away from what stands above, logit_j - p near_j, as small as keeps pages as varied as those of the base
          order (ours)
Ppo       Schulman et al., arXiv 1707.06347: clipped ratios, advantages by GAE with a value at each place, a bonus for
          entropy. Each place earns its part of the item reward at once, the page its reward at the end, each divided by
          its running spread; the price of leaving the supervised policy adapts to the divergence that is wanted

After PageLLM (arXiv 2506.09084), with this network in the place of a language model; all sizes are ours. With a and b
and the query zero, as before any learning, a page is a draw of Plackett-Luce.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor, nn

from interplay.configure import Count, NotNegative, PartShare, Positive, Share, Size
from interplay.data.lists import NUMBERS, Lists, Things
from interplay.data.shelves import Shelves
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.learn.layers import Block, mlp
from interplay.learn.page_rewards import Inputs, Rewards, Seen, better, by_place, discount, likeness, picked
from interplay.learn.plain import array, plain, ready
from interplay.ops.pointing import pointed
from interplay.types import Array, Run

Numbers = TypeVar("Numbers", Tensor, Array)
NEVER = -1e9  # the logit of what cannot be chosen


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    places: Size = 20  # places that are chosen; what follows keeps the base order
    dim: Size = 32
    layers: Size = 1
    heads: Size = 2
    dropout: PartShare = 0.1
    imitation: NotNegative = 0.0  # warm-up: weight of a place that the base filled, beside 1 for what was gone for
    rounds: Count = 16  # of ppo; 0 leaves the supervised policy
    pages: Size = 256  # pages drawn a round
    passes: Size = 2  # over the pages of a round
    batch: Size = 128
    rate: Positive = 3e-4
    share: Share = 0.2  # the page's reward against that of its items: lambda
    clip: Positive = 0.2
    trace: Share = 0.95  # lambda of GAE
    bonus: NotNegative = 0.01  # on the entropy of a choice
    price: NotNegative = 0.05  # at first, of divergence from the supervised policy
    wanted: Positive = 3.0  # divergence of a page that the price is steered to
    most: Positive = 15.0  # divergence at which reinforcement stops
    every: Size = 4  # rounds between checks
    crowding: Positive | None = 1.0  # likeness inside a page, at most so many times the base order's; None leaves it
    slack: NotNegative = 0.005  # what a page may lose in ndcg on the people held out, as a share, for a better reward
    descent: Descent = field(
        default_factory=lambda: Descent(
            optimiser="adamw", rate=2e-3, weight_decay=0.01, batch=128, epochs=6, schedule="cosine", clip=1.0
        )
    )


@dataclass(frozen=True)
class Walk:
    """A page as it was chosen, place by place."""

    page: Tensor  # int64[b, k], -1 where nothing was left
    said: Tensor  # [b, k]: log chance of each choice
    entropy: Tensor  # [b, k]
    value: Tensor  # [b, k]: what was still expected before the choice


class PagePolicy(nn.Module):
    """Chooses the places of a page in turn."""

    push: Tensor

    def __init__(self, config: PolicyConfig, width: int, numbers: int = len(NUMBERS)) -> None:
        super().__init__()
        dim = config.dim
        self.config = config
        self.inputs = Inputs(width, dim, numbers)
        self.blocks = nn.ModuleList(
            Block(dim, config.heads, config.dropout, hidden=2 * dim, activation="gelu", causal=False)
            for _ in range(config.layers)
        )
        self.score = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 1))
        self.place = nn.Parameter(torch.randn(config.places, dim) * 0.02)
        self.query = nn.Linear(2 * dim, dim)
        nn.init.zeros_(self.query.weight)
        nn.init.zeros_(self.query.bias)
        self.crowd = nn.Parameter(torch.zeros(2))
        self.register_buffer("push", torch.zeros(()))
        self.worth = mlp([3 * dim, dim, 1], "gelu")

    def read(self, seen: Seen) -> tuple[Tensor, Tensor, Tensor]:
        """(states [b, m, dim], logits before any choice [b, m], the person [b, dim])."""
        items, person = self.inputs(seen)
        x = torch.cat([person[:, None], items * seen.present[..., None]], dim=1)
        there = torch.cat([torch.ones_like(seen.present[:, :1]), seen.present], dim=1)
        for block in self.blocks:
            x = block(x, there)
        return x[:, 1:], self.score(x[:, 1:])[:, :, 0], x[:, 0]

    def walk(self, seen: Seen, k: int, pick: Callable[[int, Tensor], Tensor]) -> Walk:
        """A page of k places; `pick(place, logits [b, m])` chooses, int64[b]."""
        stand, chosen = _Standing(seen, *self.read(seen)), list[list[Tensor]]()
        for place in range(min(k, seen.present.shape[1], self.config.places)):
            context = stand.context(place, self.place)
            logits = stand.logits(place, self.query(context), self.crowd, self.push)
            chance = F.log_softmax(logits, dim=1)
            at = pick(place, logits)
            spread = -(chance.exp() * chance).sum(dim=1)
            value = self.worth(torch.cat([stand.person, context], dim=1))[:, 0]
            able = stand.take(at)
            chosen.append([torch.where(able, at, -1), torch.where(able, chance[stand.rows, at], 0.0),
                           torch.where(able, spread, 0.0), value])  # fmt: skip
        if not chosen:
            none = torch.zeros((len(seen.present), 0))
            return Walk(none.long(), none, none, none)
        return Walk(*(torch.stack(column, dim=1) for column in zip(*chosen, strict=True)))

    def greedy(self, seen: Seen, k: int) -> Array:
        """The likeliest choice at every place, int64[b, k]; of equals the better ranked."""
        return self.laid(seen, k)[0]

    def laid(
        self, seen: Seen, k: int, *, best: bool = True, tried: int = -1, lot: Array | None = None
    ) -> tuple[Array, Array]:
        """(a page of k places, int64[b, k], -1 where nothing was left; the chance of each choice, float64[b, k]).

        The likeliest takes each place, or the first that is left where not `best`; the place `tried` is drawn by `lot`
        (float64[b]). What `walk` does, without torch: a live request is one small page, for which each of torch's
        calls costs more than its arithmetic.
        """
        states, first = ready(self)(seen)
        like, group, held = seen.like.numpy(), seen.group.numpy(), seen.present.numpy()
        pull, alike = array(self.crowd)
        return pointed(
            states, first, like, group, held, array(self.query.weight), array(self.query.bias), array(self.place),
            float(pull - array(self.push)), float(alike), min(k, first.shape[1], self.config.places), best, tried,
            np.zeros(len(first)) if lot is None else lot,
        )  # fmt: skip

    def drawn(self, seen: Seen, k: int, generator: torch.Generator) -> Walk:
        """A page drawn from the policy."""
        return self.walk(
            seen, k, lambda place, logits: torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
        )

    def given(self, seen: Seen, page: Tensor) -> Walk:
        """The chances of a page that is known; a place of -1 is taken as certain."""
        return self.walk(seen, page.shape[1], lambda place, logits: page[:, place].clamp(min=0))


@plain.register
def _(policy: PagePolicy) -> Callable[[Seen], tuple[Array, Array]]:
    inputs, score, blocks = plain(policy.inputs), plain(policy.score), [plain(block) for block in policy.blocks]

    def read(seen: Seen) -> tuple[Array, Array]:
        """What `PagePolicy.read` says of the candidates."""
        (items, person), present = inputs(seen), seen.present.numpy()
        x = np.concatenate([person[:, None], items * present[..., None]], axis=1)
        there = np.concatenate([np.ones_like(present[:, :1]), present], axis=1)
        for block in blocks:
            x = block(x, there)
        states = np.ascontiguousarray(x[:, 1:])
        return states, np.ascontiguousarray(score(states)[:, :, 0])

    return read


class _Standing:
    """Where a page stands after some choices."""

    def __init__(self, seen: Seen, states: Tensor, first: Tensor, person: Tensor) -> None:
        b, m, dim = states.shape
        self.seen, self.states, self.first, self.person = seen, states, first, person
        self.rows, self.free = torch.arange(b), seen.present.clone()
        self.total, self.near, self.same = torch.zeros(b, dim), torch.zeros(b, m), torch.zeros(b, m)

    def context(self, place: int, places: Tensor) -> Tensor:
        """float[b, 2 dim]: the mean of the choices, and the place."""
        return torch.cat([self.total / max(place, 1), places[place].expand(len(self.rows), -1)], dim=1)

    def logits(self, place: int, query: Tensor, crowd: Tensor, push: Tensor) -> Tensor:
        """float[b, m]; NEVER where nothing is left to choose."""
        asked = torch.bmm(self.states, query[:, :, None])[:, :, 0] / self.states.shape[2] ** 0.5
        crowded = (crowd[0] - push) * self.near + crowd[1] * self.same / max(place, 1)
        return (self.first + asked + crowded).masked_fill(~self.free, NEVER)

    def take(self, at: Tensor) -> Tensor:
        """Put a candidate of each row on its page; bool[b], False where it was not to be had."""
        seen, rows = self.seen, self.rows
        able = self.free[rows, at]
        self.total = self.total + self.states[rows, at] * able[:, None]
        self.near = torch.where(able[:, None], torch.maximum(self.near, seen.like[rows, at]), self.near)
        group = seen.group[rows, at][:, None]
        self.same = self.same + ((seen.group == group) & (group >= 0) & able[:, None])
        self.free = self.free.clone()
        self.free[rows, at] = False
        return able


# --------------------------------------------------------------------------------------------------------------------
# Supervised


def warm(policy: PagePolicy, lists: Lists | Shelves, known: Things, *, run: Run) -> dict[str, Any]:
    """Learn to choose as better pages have it; facts of the descent."""
    c = policy.config
    policy.inputs.scale(lists)

    def made(rows: Array, rng: np.random.Generator) -> tuple[Seen, Tensor]:
        seen = Seen.of(lists.take(rows), known)
        return seen, torch.from_numpy(better(seen.engaged.numpy(), seen.present.numpy(), c.places, rng))

    def step(batch: tuple[Seen, Tensor]) -> Tensor:
        seen, page = batch
        if c.imitation == 0:  # what follows what was gone for has no say
            page = page[:, : int(seen.engaged.sum(dim=1).max())]
        wanted = picked(seen.engaged, page) & (page >= 0)
        weight = torch.where(wanted, 1.0, c.imitation) * torch.from_numpy(discount(page.shape[1]))
        return -(policy.given(seen, page).said * weight).sum(dim=1).mean()

    return descend(step, policy, shuffled(len(lists), c.descent.batch, made), descent=c.descent, run=run, name="warm")


# --------------------------------------------------------------------------------------------------------------------
# Reinforced


class Spread:
    """The mean and the spread of all numbers met so far (Welford, by batches)."""

    def __init__(self) -> None:
        self.n, self.mean, self.square = 0, 0.0, 0.0

    def meet(self, values: Tensor) -> None:
        n, mean = values.numel(), float(values.mean())
        square = float(((values - mean) ** 2).sum())
        apart, total = mean - self.mean, self.n + n
        self.square += square + apart**2 * self.n * n / max(total, 1)
        self.mean += apart * n / max(total, 1)
        self.n = total

    @property
    def sd(self) -> float:
        return max((self.square / (self.n - 1)) ** 0.5, 1e-6) if self.n > 1 else 1.0


@dataclass
class Mixed:
    """share * z(page) + (1 - share) * z(items), with running means and spreads."""

    rewards: Rewards
    share: float
    page: Spread = field(default_factory=Spread)
    item: Spread = field(default_factory=Spread)

    @torch.no_grad()
    def parts(self, seen: Seen, page: Tensor) -> tuple[Tensor, Tensor]:
        """(R_p float[b], w_k g float[b, k])."""
        return self.rewards.page(seen, [page])[0], by_place(self.rewards.item(seen), page)

    def grains(self, whole: Numbers, places: Numbers) -> tuple[Numbers, Numbers]:
        """(the part of the items, the page's own part) of the mixed reward, float[b] each: their sum."""
        return self.slots(places).sum(1), self.share * (whole - self.page.mean) / self.page.sd

    def beside(self, seen: Seen, page: Array, other: Array) -> tuple[Array, Array, Array]:
        """(the grains of the mixed reward of two pages, [b, 2] each, and what the first one's places earn, [b, k])."""
        whole, worth = ready(self.rewards.page)(seen, [page, other]), ready(self.rewards.item)(seen)
        rows, weight = np.arange(len(page))[:, None], discount(page.shape[1])
        places = [np.where(p >= 0, worth[rows, np.maximum(p, 0)] * weight, 0) for p in (page, other)]
        mixed = [np.stack(self.grains(w, p), axis=1) for w, p in zip(whole, places, strict=True)]
        return mixed[0], mixed[1], self.slots(places[0])

    def spreads(self) -> dict[str, dict[str, float]]:
        """What was met so far, for a state."""
        return {name: dict(vars(getattr(self, name))) for name in ("page", "item")}

    def take_spreads(self, told: Mapping[str, Mapping[str, float]]) -> None:
        """What another one had met."""
        for name, held in told.items():
            vars(getattr(self, name)).update(held)

    def meet(self, whole: Tensor, places: Tensor) -> None:
        self.page.meet(whole)
        self.item.meet(places.sum(dim=1))

    def slots(self, places: Numbers) -> Numbers:
        """The item reward's part of what each place earns, [b, k]."""
        return (1 - self.share) * (places - self.item.mean / max(places.shape[1], 1)) / self.item.sd

    def steps(self, whole: Tensor, places: Tensor) -> Tensor:
        """What each place earns, [b, k]: its sum is the mixed reward."""
        out = self.slots(places)
        last = torch.zeros_like(out)
        last[:, -1] = self.share * (whole - self.page.mean) / self.page.sd
        return out + last


def advantages(reward: Tensor, value: Tensor, trace: float) -> Tensor:
    """Generalised advantages without discounting: A_k = delta_k + trace * A_(k+1), [b, k].

    >>> advantages(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.5, 0.5]]), 1.0)  # with trace 1: the rest minus value
    tensor([[0.5000, 0.5000]])
    """
    after = torch.cat([value[:, 1:], torch.zeros_like(value[:, :1])], dim=1)
    delta, out = reward + after - value, torch.zeros_like(value)
    running = torch.zeros_like(value[:, 0])
    for k in range(value.shape[1] - 1, -1, -1):
        running = delta[:, k] + trace * running
        out[:, k] = running
    return out


def ppo(
    policy: PagePolicy, mixed: Mixed, lists: Lists | Shelves, check: Lists | Shelves, known: Things, *, run: Run
) -> dict[str, Any]:  # fmt: skip
    """Raise the mixed reward of drawn pages; afterwards the policy is the best one by the people held out.

    The best is the one with the highest mixed reward of those whose ndcg on `check` is within `slack` of the highest,
    the supervised one among them. Facts: a row for every round and for every check.
    """
    c = policy.config
    rounds = c.rounds if run.epochs is None else min(c.rounds, run.epochs)
    reference = copy.deepcopy(policy).eval()
    policy.eval()  # the same network draws and learns: no dropout
    optimiser = torch.optim.Adam(policy.parameters(), lr=c.rate)
    rng, price = np.random.default_rng([run.seed, 31]), c.price
    log: list[dict[str, float]] = []
    with seeded(run.seed):
        draws = torch.Generator().manual_seed(run.seed)
        held = [_checked(policy, mixed, check, known, 0)]
        for number in range(1, rounds + 1):
            rows = rng.permutation(len(lists))[: c.pages]
            told = _round(policy, reference, mixed, lists.take(rows), known, optimiser, price, rng, draws)
            log.append({"round": number, "price": price, **told})
            price *= (
                1.5 if told["divergence"] > 1.5 * c.wanted else 1 / 1.5 if told["divergence"] < c.wanted / 1.5 else 1
            )
            run.progress("ppo", log[-1])
            stop = told["divergence"] > c.most
            if number % c.every == 0 or number == rounds or stop:
                held.append(_checked(policy, mixed, check, known, number))
            if stop:
                break
    best = max(h["ndcg"] for h, _ in held)
    able = [(h, kept) for h, kept in held if h["ndcg"] >= (1 - c.slack) * best]

    def reward(h: dict[str, float]) -> float:
        by_item = (h["item"] - mixed.item.mean) / mixed.item.sd
        return c.share * (h["page"] - mixed.page.mean) / mixed.page.sd + (1 - c.share) * by_item

    chosen, kept = max(able, key=lambda one: reward(one[0]))
    policy.load_state_dict(kept)
    return {"rounds": log, "checks": [h for h, _ in held], "chosen": chosen["round"]}


def _round(
    policy: PagePolicy, reference: PagePolicy, mixed: Mixed, lists: Lists | Shelves, known: Things,
    optimiser: torch.optim.Optimizer, price: float, rng: np.random.Generator, draws: torch.Generator,
) -> dict[str, float]:  # fmt: skip
    """One round: pages are drawn, judged, and learnt from a few times."""
    c = policy.config
    seen = Seen.of(lists, known)
    with torch.no_grad():
        drawn = policy.drawn(seen, c.places, draws)
        apart = drawn.said - reference.given(seen, drawn.page).said
        whole, places = mixed.parts(seen, drawn.page)
        mixed.meet(whole, places)
        earned = mixed.steps(whole, places)
        advantage = advantages(earned - price * apart, drawn.value, c.trace)
        target = advantage + drawn.value
        there = drawn.page >= 0
        scale = advantage[there].std().clamp(min=1e-6) if int(there.sum()) > 1 else torch.ones(())
        advantage = (advantage - advantage[there].mean()) / scale
    clipped, entropies = [], []
    for _ in range(c.passes):
        order = rng.permutation(len(lists))
        for lo in range(0, len(order), c.batch):
            rows = torch.from_numpy(order[lo : lo + c.batch])
            part = Seen(**{name: getattr(seen, name)[rows] for name in seen.__dataclass_fields__})
            now = policy.given(part, drawn.page[rows])
            flag = there[rows]
            ratio = (now.said - drawn.said[rows]).exp()
            gain = torch.minimum(ratio * advantage[rows], ratio.clamp(1 - c.clip, 1 + c.clip) * advantage[rows])
            error = (now.value - target[rows]) ** 2
            loss = (0.5 * error - gain - c.bonus * now.entropy)[flag].mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimiser.step()
            clipped.append(float(((ratio.detach() - 1).abs() > c.clip)[flag].float().mean()))
            entropies.append(float(now.entropy.detach()[flag].mean()))
    return {
        "reward": float(earned.sum(dim=1).mean()), "page": float(whole.mean()), "item": float(places.sum(1).mean()),
        "divergence": float(apart.sum(dim=1).mean()), "entropy": float(np.mean(entropies)),
        "clipped": float(np.mean(clipped)),
    }  # fmt: skip


@torch.no_grad()
def _checked(
    policy: PagePolicy, mixed: Mixed, check: Lists | Shelves, known: Things, number: int
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """How greedy pages do for people held out, and the parameters that made them."""
    told: dict[str, list[float]] = {"ndcg": [], "page": [], "item": []}
    for lo in range(0, len(check), 256):
        seen = Seen.of(check.take(np.arange(lo, min(lo + 256, len(check)))), known)
        page = policy.greedy(seen, policy.config.places)
        whole, places = mixed.parts(seen, torch.from_numpy(page))
        told["ndcg"] += gains(seen, page).tolist()
        told["page"] += whole.tolist()
        told["item"] += places.sum(dim=1).tolist()
    means = {name: float(np.mean(values)) if values else 0.0 for name, values in told.items()}
    return {"round": number, **means}, {k: v.detach().clone() for k, v in policy.state_dict().items()}


def gains(seen: Seen, page: Array) -> Array:
    """float32[b]: ndcg of a page for what was gone for."""
    weight, engaged = discount(page.shape[1]), seen.engaged.numpy()
    gain = (np.take_along_axis(engaged, np.maximum(page, 0), 1) & (page >= 0)) @ weight
    most = np.minimum(engaged.sum(axis=1), page.shape[1])
    ideal = np.concatenate([np.zeros(1, np.float32), weight.cumsum()])[most]
    return gain / np.maximum(ideal, np.float32(1e-9))


# --------------------------------------------------------------------------------------------------------------------
# Variety

PUSHES = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 9.0)
HALVINGS = 5  # of the gap between a push that is too small and one that is not


@torch.no_grad()
def vary(policy: PagePolicy, usual: Lists | Shelves, known: Things) -> dict[str, float]:
    """Give the policy the smallest push with which its pages of usual lists are as varied as `crowding` asks.

    Returns the likeness inside pages: the base order's, the policy's, and with the push. What people went for is not
    looked at.
    """
    base = _alike(None, usual, known, policy.config.places)
    wanted = np.inf if policy.config.crowding is None else policy.config.crowding * base

    def tried(push: float) -> float:
        policy.push.fill_(push)
        return _alike(policy, usual, known, policy.config.places)

    first = last = tried(0.0)
    low = high = 0.0
    for push in PUSHES if first > wanted else ():
        low, high, last = high, push, tried(push)
        if last <= wanted:
            break
    for _ in range(HALVINGS if low < high and last <= wanted else 0):  # the smallest that does, between the two
        push = (low + high) / 2
        alike = tried(push)
        low, high, last = (low, push, alike) if alike <= wanted else (push, high, last)
    policy.push.fill_(high)
    return {"base": base, "policy": first, "varied": last, "push": high}


def _alike(policy: PagePolicy | None, check: Lists | Shelves, known: Things, k: int) -> float:
    """Mean likeness of two items of a page, of a policy's pages or of the base order's."""
    total, n = 0.0, 0
    for lo in range(0, len(check), 256):
        seen = Seen.of(check.take(np.arange(lo, min(lo + 256, len(check)))), known)
        first = np.arange(min(k, seen.present.shape[1]))
        page = np.where(seen.present.numpy()[:, first], first, -1) if policy is None else policy.greedy(seen, k)
        pairs = (page >= 0)[:, :, None] & (page >= 0)[:, None] & ~np.eye(page.shape[1], dtype=bool)
        total, n = total + float(likeness(seen, page)[pairs].sum()), n + int(pairs.sum())
    return total / max(n, 1)
