"""Policies that try things: what is believed of each candidate, and a way of choosing under that belief.

epsilon-greedy   the best of the page's candidates, and now and then any of them
lin-ucb          Li et al., WWW 2010              a linear belief, optimistic by `alpha` standard deviations
lin-ts           Agrawal and Goyal, ICML 2013     the same belief, by Thompson sampling
logistic-ts      Chapelle and Li, NeurIPS 2011    a logistic belief (Laplace), by Thompson sampling
bernoulli-ts     Chapelle and Li, NeurIPS 2011    a click rate for each item (Beta), by Thompson sampling

Learns from pages that were shown (data/pages.py), all at once (`fit`) or as they come (`update`): a Gaussian over the
weights of 2 * dim + 4 numbers, or two numbers for each item; and item vectors of `dim` numbers from the log, to tell
what a person's past has to do with a thing. Keeps nothing of people.

A chance at a place is exact, and is logged as the column `propensity` (ops/choosing.py): a belief draws from particles
that are fixed until it learns more, and `floor` keeps every candidate possible. Requests without a draw are answered
without trying anything.

Departs from the papers: one set of weights for all items, whose numbers tell the items apart, instead of one set for
each; full covariance for logistic-ts, where the paper keeps the diagonal; a number for the place at which a thing was
shown, which is 0 when choosing; click rates count a trial at a lower place as that share of a trial which the place is
clicked of the first. Thompson sampling is by `particles` draws, so chances below 1 / particles come from `floor` alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from interplay.configure import NotNegative, Positive, Share, Size
from interplay.data.pages import Pages
from interplay.errors import BadData, BadSetting, unknown
from interplay.ops.choosing import (
    Caps,
    Chooser,
    Greedy,
    Shares,
    Together,
    at_some,
    chances,
    choose,
    offered,
    page_of,
    places,
)
from interplay.ops.sparse import history_matrix
from interplay.ops.spectra import top_right_singular
from interplay.types import Array, Dataset, Ragged, Requests, Rows, Run, Slates, State, World

BLOCK = 4096  # pages learnt from at once
WIDE = 200  # draws that tell how wide a belief is


@dataclass(frozen=True, kw_only=True)
class BanditsConfig:
    belief: str = "linear"  # a name in BELIEFS
    way: str = "thompson"  # a name in WAYS
    epsilon: Share = 0.1  # epsilon: the share of places at which anything may come
    alpha: NotNegative = 1.0  # optimism, in standard deviations of what is believed
    together: bool = False  # thompson: one particle for a whole page instead of one for each place
    floor: Share = 0.02  # thompson and optimism: the share of places at which anything may come
    particles: Size = 200  # thompson: how many draws stand for the belief
    ridge: Positive = 10.0  # precision of the weights before anything is learnt
    noise: Positive = 0.3  # linear: standard deviation of a click around its chance
    clicks: Positive = 1.0  # click rates: clicks, and
    trials: Positive = 20.0  # trials, that are counted before anything is learnt
    trust: NotNegative = 0.05  # clicks that the first candidate is worth more than the last before anything is learnt
    dim: Size = 8  # length of the item vectors
    window: Size = 50  # last events of a history that tell taste
    kinds: tuple[str, ...] = ("click",)  # events that answer a page
    newest: Size | None = None  # pages that a fit learns from; None is all of them
    surface: str = ""  # only pages that were shown there, where impressions name their surface


# --------------------------------------------------------------------------------------------------------------------
# What is known of a candidate


class Scene:
    """Numbers for (request, item): 1, popularity, likeness to the past, the item's vector, and its product with the
    past's."""

    def __init__(self, vectors: Array, popularity: Array, window: int) -> None:
        self.vectors, self.popularity, self.window = vectors, popularity, window

    @staticmethod
    def of(dataset: Dataset, config: BanditsConfig, rows: Rows) -> Scene:
        log = history_matrix(dataset.log, dataset.n_items)
        _, vectors = top_right_singular(log, config.dim)
        vectors = vectors * np.sqrt(dataset.n_items)
        wide = np.zeros((dataset.n_items, config.dim))
        wide[:, : vectors.shape[1]] = vectors
        wide /= np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1.0)
        known = np.log1p(rows.popularity.astype(np.float64))
        return Scene(wide.astype(np.float32), ((known - known.mean()) / max(known.std(), 1e-9)).astype(np.float32),
                     config.window)  # fmt: skip

    @property
    def width(self) -> int:
        return 3 + 2 * self.vectors.shape[1]

    def past(self, history: Ragged) -> Array:
        """float32[n, dim]: the mean vector of each history."""
        kept = history.where((history["item"] >= 0) & (history["item"] < len(self.vectors))).last(self.window)
        flat = np.concatenate([np.zeros((1, self.vectors.shape[1])), np.cumsum(self.vectors[kept["item"]], axis=0)])
        total = flat[kept.offsets[1:]] - flat[kept.offsets[:-1]]
        return (total / np.maximum(kept.lengths, 1)[:, None]).astype(np.float32)

    def of_items(self, past: Array, items: Array) -> Array:
        """float32[n, m, width] for int[n, m] items; items that came later have a mean popularity and no vector."""
        known = (items >= 0) & (items < len(self.vectors))
        at = np.where(known, items, 0)
        vector = self.vectors[at] * known[..., None] if len(self.vectors) else np.zeros((*items.shape, past.shape[1]))
        popular = np.where(known, self.popularity[at], 0.0) if len(self.vectors) else np.zeros(items.shape)
        both = vector * past[:, None, :]
        ones = np.ones(items.shape)
        return np.concatenate(
            [np.stack([ones, popular, both.sum(axis=2)], axis=2), vector, both], axis=2, dtype=np.float32
        )


# --------------------------------------------------------------------------------------------------------------------
# What is believed


class Order:
    """Nothing is learnt: the order in which candidates come is all there is."""

    def __init__(self, config: BanditsConfig, width: int, n_items: int) -> None:
        self.arrays: dict[str, Array] = {}

    def learn(self, x: Array, items: Array, place: Array, reward: Array) -> None:
        """What happened changes nothing."""

    def mean(self, x: Array, items: Array) -> Array:
        return np.zeros(items.shape)

    def doubt(self, x: Array, items: Array) -> Array:
        return np.zeros(items.shape)

    def particles(self, x: Array, items: Array, n: int) -> Array:
        return np.zeros((n, *items.shape))


class Linear:
    """Weights with a Gaussian belief: precision A = ridge I + sum x x', mean A^-1 sum x r, covariance noise^2 A^-1."""

    def __init__(self, config: BanditsConfig, width: int, n_items: int) -> None:
        self.config, d = config, width + 1  # the last number is the place
        self.arrays = {"a": config.ridge * np.eye(d), "b": np.zeros(d)}

    def learn(self, x: Array, items: Array, place: Array, reward: Array) -> None:
        x = np.concatenate([x, np.log2(1 + place)[:, None]], axis=1).astype(np.float64)
        self.arrays["a"] = self.arrays["a"] + x.T @ x
        self.arrays["b"] = self.arrays["b"] + x.T @ reward

    @property
    def weights(self) -> Array:
        return np.linalg.solve(self.arrays["a"], self.arrays["b"])

    @property
    def root(self) -> Array:
        """R with R R' = covariance."""
        return self.config.noise * np.linalg.inv(np.linalg.cholesky(self.arrays["a"])).T

    def mean(self, x: Array, items: Array) -> Array:
        return x @ self.weights[:-1]

    def doubt(self, x: Array, items: Array) -> Array:
        return np.linalg.norm(x @ self.root[:-1], axis=-1)

    def particles(self, x: Array, items: Array, n: int) -> Array:
        noise = np.random.default_rng(self.seed).standard_normal((len(self.arrays["b"]), n))
        drawn = self.weights[:, None] + self.root @ noise
        return np.moveaxis(x @ drawn[:-1].astype(np.float32), -1, 0)

    @property
    def seed(self) -> int:
        """Particles are the same until more is learnt."""
        return int(abs(self.arrays["a"].trace()) * 1e3) % 2**31


class Logistic(Linear):
    """The same over the log-odds of a click: the mode of the posterior and its curvature there (Laplace)."""

    def __init__(self, config: BanditsConfig, width: int, n_items: int) -> None:
        super().__init__(config, width, n_items)
        self.arrays["w"] = np.zeros(width + 1)
        self.arrays["w"][0] = np.log(config.clicks / max(config.trials - config.clicks, 1e-9))

    def learn(self, x: Array, items: Array, place: Array, reward: Array) -> None:
        x = np.concatenate([x, np.log2(1 + place)[:, None]], axis=1).astype(np.float64)
        before, precision, w = self.arrays["w"], self.arrays["a"], self.arrays["w"].copy()

        def loss(at: Array) -> float:
            score = x @ at
            return float(
                (np.logaddexp(0, score) - reward * score).sum() + (at - before) @ precision @ (at - before) / 2
            )

        for _ in range(50):
            p = _sigmoid(x @ w)
            curve = precision + (x * (p * (1 - p))[:, None]).T @ x
            step = np.linalg.solve(curve, precision @ (w - before) + x.T @ (p - reward))
            while np.abs(step).max() >= 1e-8 and loss(w - step) > loss(w):
                step = step / 2  # Newton's step may overshoot where the odds are far from even
            w = w - step
            if np.abs(step).max() < 1e-8:
                break
        p = _sigmoid(x @ w)
        self.arrays["a"], self.arrays["w"] = precision + (x * (p * (1 - p))[:, None]).T @ x, w

    @property
    def weights(self) -> Array:
        return self.arrays["w"]

    @property
    def root(self) -> Array:
        return np.linalg.inv(np.linalg.cholesky(self.arrays["a"])).T

    def mean(self, x: Array, items: Array) -> Array:
        return _sigmoid(super().mean(x, items))

    def doubt(self, x: Array, items: Array) -> Array:
        p = self.mean(x, items)
        return super().doubt(x, items) * p * (1 - p)

    def particles(self, x: Array, items: Array, n: int) -> Array:
        return _sigmoid(super().particles(x, items, n))


class Items:
    """A click rate for each item: Beta(clicks, trials - clicks), place by place corrected."""

    def __init__(self, config: BanditsConfig, width: int, n_items: int) -> None:
        self.config = config
        self.arrays = {"clicks": np.zeros(n_items), "trials": np.zeros(n_items), "places": np.zeros((100, 2))}
        self.drawn: tuple[Any, Array] | None = None

    def learn(self, x: Array, items: Array, place: Array, reward: Array) -> None:
        a = self.arrays
        at = np.minimum(place, len(a["places"]) - 1).astype(np.int64)
        a["places"] = a["places"] + np.stack([np.bincount(at, reward, 100), np.bincount(at, minlength=100)], axis=1)
        rate = (a["places"][:, 0] + 1) / (a["places"][:, 1] + 20)
        seen = np.minimum(rate / rate[0], 1.0)[at]  # a place that is hardly looked at tells little
        n = len(a["clicks"])
        a["clicks"] = a["clicks"] + np.bincount(items, reward, n)
        a["trials"] = a["trials"] + np.bincount(items, seen, n)

    def _beta(self, items: Array) -> tuple[Array, Array]:
        c, a = self.config, self.arrays
        known = (items >= 0) & (items < len(a["clicks"]))
        at = np.where(known, items, 0)
        clicks, trials = (
            np.where(known, a[k][at], 0.0) if len(a[k]) else np.zeros(items.shape) for k in ("clicks", "trials")
        )
        return c.clicks + clicks, c.trials - c.clicks + np.maximum(trials - clicks, 0.0)

    def mean(self, x: Array, items: Array) -> Array:
        up, down = self._beta(items)
        return up / (up + down)

    def doubt(self, x: Array, items: Array) -> Array:
        up, down = self._beta(items)
        return np.sqrt(up * down / (up + down + 1)) / (up + down)

    def particles(self, x: Array, items: Array, n: int) -> Array:
        n_items = len(self.arrays["clicks"])
        learnt = (self.arrays["trials"].sum(), self.arrays["clicks"].sum(), n)
        if self.drawn is None or self.drawn[0] != learnt:  # 4 * particles * items bytes; the last stands for newcomers
            up, down = self._beta(np.arange(n_items + 1))
            noise = np.random.default_rng(int(learnt[0] * 1e3) % 2**31)
            self.drawn = learnt, noise.beta(up, down, (n, n_items + 1)).astype(np.float32)
        return self.drawn[1][:, np.where((items >= 0) & (items < n_items), items, n_items)]


BELIEFS: dict[str, Callable[..., Any]] = {"order": Order, "items": Items, "linear": Linear, "logistic": Logistic}
WAYS = ("epsilon", "optimism", "thompson")


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-np.clip(x, -30, 30)))


def _some(dataset: Dataset, newest: int | None, surface: str) -> pl.DataFrame:
    """The impressions of the newest pages of a surface, of those whose answers are in the log."""
    shown, times = dataset.tables["impressions"], dataset.events.time
    if surface and "surface" in shown.columns:
        shown = shown.filter(pl.col("surface") == surface)
    if newest is None or "timestamp" not in shown.columns:
        return shown
    if times is not None:  # a part of a log has the pages of all of it
        answered = shown.filter(pl.col("timestamp") <= int(times.max()))
        shown = answered if len(answered) else shown
    pages = shown.select("request_id", "timestamp").unique("request_id", keep="first", maintain_order=True)
    return shown.join(pages.sort("timestamp", maintain_order=True).tail(newest), on="request_id", how="semi")


# --------------------------------------------------------------------------------------------------------------------
# The policy


class Bandits:
    """Chooses pages from candidates, knows the chance of each choice, and learns from what became of them."""

    def __init__(self, config: BanditsConfig = BanditsConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Bandits:
        """Forget what was believed and learn from the pages of the table `impressions`; without it, start untaught."""
        c = self.config
        for what, given, known in (("belief", c.belief, BELIEFS), ("way of choosing", c.way, WAYS)):
            if given not in known:
                raise unknown(what, given, known)
        if not 0 <= c.epsilon <= 1 or not 0 <= c.floor <= 1 or c.particles < 1 or c.ridge <= 0 or c.trials <= c.clicks:
            raise BadSetting(
                "a bandit needs epsilon and floor from 0 to 1, particles >= 1, ridge > 0 and trials > clicks; found "
                f"{c.epsilon}, {c.floor}, {c.particles}, {c.ridge}, {c.trials} and {c.clicks}"
            )
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; a bandit needs to know the things it may show")
        self.rows = Rows.of(dataset)
        self.scene = Scene.of(dataset, c, self.rows)
        self.belief = BELIEFS[c.belief](c, self.scene.width, dataset.n_items)
        self.fitted: dict[str, Any] = {"pages": 0}
        if "impressions" in dataset.tables:
            shown = _some(dataset, c.newest, c.surface)
            pages = Pages.of(replace(dataset, tables={"impressions": shown}), c.kinds)
            self.update(pages, pages.requests(dataset))
        return self

    def update(self, pages: Pages, requests: Requests) -> Bandits:
        """Learn from pages that were shown to these requests (row by row), on top of what is believed already."""
        line = pages.line()
        for lo in range(0, len(line), BLOCK):
            part, asked = (
                line.take(np.arange(lo, min(lo + BLOCK, len(line)))),
                requests.slice(lo, min(lo + BLOCK, len(line))),
            )
            items = part.items[:, 0]
            row, place = np.nonzero((items >= 0) & (items < self.rows.n_items))
            x = self.scene.of_items(self.scene.past(asked.history), items)[row, place]
            reward = part.clicked[:, 0][row, place].astype(np.float64)
            self.belief.learn(x, items[row, place], place.astype(np.float64), reward)
        self.fitted["pages"] = self.fitted.get("pages", 0) + len(line)
        return self

    def taught(self, pages: Pages, requests: Requests) -> Bandits:
        """A policy that has learnt from these pages too; this one goes on believing what it does."""
        other = copy.copy(self)
        other.belief, other.fitted = copy.copy(self.belief), dict(self.fitted)
        other.belief.arrays = dict(self.belief.arrays)  # learning replaces them
        return other.update(pages, requests)

    # ------------------------------------------------------------------------------------------------------ choosing

    def choose(
        self, requests: Requests, candidates: Slates, k: int, caps: Caps = (), where: Sequence[int] = ()
    ) -> Slates:
        """k of the candidates of each request, with the columns propensity (of the item at its place, given those
        above), explored (it is not what would have been best), low and high (`believed`).

        With `where` it fills those places (from 1) alone; all others take the next candidate as it comes.
        """
        free = offered(candidates.items)
        x, worth = self._seen(requests, candidates)
        best = Greedy(self.belief.mean(x, candidates.items) + worth)
        drawn = requests.draw is not None
        draw = requests.draw if requests.draw is not None else np.zeros(len(requests), np.uint64)
        chooser = self._chooser(x, worth, candidates.items) if drawn else best
        chosen = choose(at_some(chooser, where), free, k, draw, caps)
        page = page_of(candidates, chosen, at_some(best, where), free, caps)
        if drawn:
            seen = np.take_along_axis(x, np.maximum(chosen.at, 0)[..., None], 1)
            page = replace(page, columns={**page.columns, **self._between(seen, page.items)})
        return page

    def believed(self, requests: Requests, items: Array) -> tuple[Array, Array]:
        """float32[n, m] each: between what the chance of a click on each item (int[n, m], -1 pads) is believed to lie,
        nine times in ten."""
        told = self._between(self.scene.of_items(self.scene.past(requests.history), items), items)
        return told["low"], told["high"]

    def _between(self, x: Array, items: Array) -> dict[str, Array]:
        each = np.sort(self.belief.particles(x, items, WIDE), axis=0)
        ends = {"low": each[WIDE // 20], "high": each[-1 - WIDE // 20]}
        return {
            name: np.where(items >= 0, np.clip(end, 0.0, 1.0), 0.0).astype(np.float32) for name, end in ends.items()
        }

    def propensities(self, requests: Requests, candidates: Slates) -> Array:
        """float64[n, m]: the chance that each candidate takes the first place; 0 for padding and for what stands there
        already."""
        x, worth = self._seen(requests, candidates)
        return self._chooser(x, worth, candidates.items).next(offered(candidates.items))

    def chances(
        self, requests: Requests, candidates: Slates, shown: Array, caps: Caps = (), where: Sequence[int] = ()
    ) -> Array:
        """float64[n, k]: the chance that these items (int[n, k], -1 pads) take these places, each given those above."""
        x, worth = self._seen(requests, candidates)
        at = places(shown, candidates.items)
        return chances(at_some(self._chooser(x, worth, candidates.items), where), offered(candidates.items), at, caps)

    def _seen(self, requests: Requests, candidates: Slates) -> tuple[Array, Array]:
        """What is known of each candidate, and what its place among them is worth."""
        x = self.scene.of_items(self.scene.past(requests.history), candidates.items)
        m = candidates.items.shape[1]
        return x, np.broadcast_to(self.config.trust * (1 - np.arange(m) / max(m - 1, 1)), candidates.items.shape)

    def _chooser(self, x: Array, worth: Array, items: Array) -> Chooser:
        c = self.config
        if c.way == "thompson":
            drawn = self.belief.particles(x, items, c.particles) + worth[None]
            return (Together if c.together else Shares)(drawn, c.floor)
        mean = self.belief.mean(x, items) + worth
        if c.way == "optimism":
            return Greedy(mean + c.alpha * self.belief.doubt(x, items), c.floor)
        return Greedy(mean, c.epsilon)

    # -------------------------------------------------------------------------------------------------------- keeping

    def state(self) -> State:
        held = {"vectors": self.scene.vectors, "popularity": self.scene.popularity}
        return State.joined(
            rows=self.rows.state(), scene=State(arrays=held),
            belief=State(arrays=self.belief.arrays, facts={"pages": self.fitted.get("pages", 0)}),
        )  # fmt: skip

    def restore(self, state: State) -> Bandits:
        self.rows, scene, belief = Rows.restore(state.within("rows")), state.within("scene"), state.within("belief")
        self.scene = Scene(scene.arrays["vectors"], scene.arrays["popularity"], self.config.window)
        self.belief = BELIEFS[self.config.belief](self.config, self.scene.width, self.rows.n_items)
        self.belief.arrays = {name: np.array(array) for name, array in belief.arrays.items()}
        self.fitted = dict(belief.facts)
        return self

    def forget(self, users: Array) -> Bandits:
        """Nothing is kept of people but how many events each had at the fit."""
        events = self.rows.events.copy()
        events[np.asarray(users)[(np.asarray(users) >= 0) & (np.asarray(users) < self.rows.n_users)]] = 0
        self.rows = replace(self.rows, events=events)
        return self
