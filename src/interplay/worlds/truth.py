"""What the market's people really want. Judges may look; models, dialogue and the parser's tests may not.

Everything here is a pure function of the seed, the catalogue and the number of people. What people do with their
wants, step by step, is in `people.py`.

A person's taste is a vector over the columns of an item (kind, mood, genre, traits, colour, price level) and over
eight hidden directions that no column shows (style of the maker, and of the thing). It is a mixture of two of 24
characters plus something of one's own, and turns slowly from one such mixture towards another as days go by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import expit, ndtri

from interplay.types import Array
from interplay.worlds.wares import COLOURS, KINDS, MOODS, TRAITS

CHARACTERS, HIDDEN = 24, 8
KIND_NAMES = tuple(KINDS)
LOOK_AGAIN = 0.72  # a slot is examined this much less often than the one before it
ROW_AGAIN = 0.6  # and a row than the row above it


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How strongly people act on what they want; log-odds unless said otherwise."""

    plain: float = -4.0  # of a click on an examined item of no interest
    taste: float = 2.0  # per standard deviation of utility
    intent: float = 1.3  # more, when it is of the kind they came for
    asked: float = 1.4  # more, when it has what they searched for
    seen: float = -0.35  # each time it was shown lately
    clicked: float = -1.0  # when looked at already
    owned: float = -3.5  # when bought, and it lasts; a third of that when it is used up
    keep: float = -3.7
    cart: float = -3.6
    buy: float = -0.6  # of buying what lies in the basket
    match: float = 0.8  # more, when it has the mood of what was just bought
    rate: float = 0.3  # share of purchases that are rated


def _codes(column: pl.Series, names: Sequence[str]) -> Array:
    """int64[n]: the place of each value among `names`."""
    place = {name: i for i, name in enumerate(names)}
    return np.array([place[value] for value in column], np.int64)


class Truth:
    """The latents of one market.

    items: float32[n_items, d] item features; start, end: float32[n_people, d] tastes a person turns between;
    turn: float32[n_people] radians a day; quality: float32[n_items]; kind, mood: int64[n_items], as numbers.
    """

    def __init__(self, items: pl.DataFrame, n_people: int, seed: int, habits: Habits = Habits()) -> None:
        rng = np.random.default_rng([seed, 201])
        self.seed, self.habits, self.n_people, self.n_items = seed, habits, n_people, len(items)
        self.kind, self.mood = _codes(items["kind"], KIND_NAMES), _codes(items["mood"], MOODS)
        self.lasts = np.array([k.lasts for k in KINDS.values()])[self.kind]
        self.quality = rng.normal(0, 0.45, self.n_items).astype(np.float32)
        self.rise = rng.normal(0, 0.5, self.n_items).astype(np.float32)  # how much a passing fashion lifts it
        self.peak = rng.uniform(-20, 80, self.n_items).astype(np.float32)  # on which day
        self.items, self.groups = self._features(items, rng)
        characters = self._characters(rng)
        self.start, self.end = self._people(characters, rng)
        self.turn = (rng.beta(1.5, 4, n_people) * np.pi / 2 / 60).astype(np.float32)
        self.rate = np.clip(rng.lognormal(-1.55, 0.7, n_people), 0.02, 0.9)  # visits a day
        usual = rng.choice([8.0, 12.5, 18.0, 21.0], n_people, p=[0.15, 0.2, 0.25, 0.4])
        self.hour = usual + rng.normal(0, 0.7, n_people)
        self.searches = rng.beta(2, 4, n_people)  # share of visits that begin with a query
        self.patience = rng.gamma(4, 0.5, n_people)
        self.intents = self._intents()

    def _features(self, items: pl.DataFrame, rng: np.random.Generator) -> tuple[Array, dict[str, slice]]:
        """Centred one-hot columns, the price level inside a kind, and the hidden directions."""
        level = items.with_columns((pl.col("price").rank() / pl.len()).over("kind").alias("level"))["level"].to_numpy()
        makers, maker = np.unique(items["maker"].to_numpy().astype(str), return_inverse=True)
        style = rng.normal(0, 1, (len(makers), HIDDEN))
        hidden = 0.75 * style[maker] + 0.66 * rng.normal(0, 1, (self.n_items, HIDDEN))
        genre = items["genre"].fill_null("").to_numpy().astype(str)
        genres = sorted({g for k in KINDS.values() for g in k.genres})
        traits = np.array([[t in held for t in TRAITS] for held in items["traits"].to_list()], np.float64)
        parts = {
            "kind": np.eye(len(KIND_NAMES))[self.kind], "mood": np.eye(len(MOODS))[self.mood],
            "genre": (genre[:, None] == np.array(genres)).astype(float), "trait": traits,
            "colour": np.eye(len(COLOURS))[_codes(items["colour"], COLOURS)],
            "price": (level[:, None] - 0.5) * 2, "hidden": hidden,
        }  # fmt: skip
        groups, at = {}, 0
        for name, part in parts.items():
            groups[name] = slice(at, at + part.shape[1])
            at += part.shape[1]
        joined = np.concatenate([p - p.mean(axis=0) for p in parts.values()], axis=1)
        return joined.astype(np.float32), groups

    def _characters(self, rng: np.random.Generator) -> Array:
        """float64[CHARACTERS, d]: what sorts of people there are."""
        out = np.zeros((CHARACTERS, self.items.shape[1]))
        plan = {  # how many are liked, how much; how many are not, how little
            "kind": (4, 1.5, 2, -0.8), "mood": (2, 1.1, 1, -0.9), "genre": (7, 1.2, 5, -1.2),
            "trait": (3, 0.8, 2, -0.8), "colour": (3, 0.6, 2, -0.5),
        }  # fmt: skip
        for name, (liked, much, disliked, little) in plan.items():
            group = self.groups[name]
            for row in out:
                order = group.start + rng.permutation(group.stop - group.start)
                row[order[:liked]] = much * rng.uniform(0.6, 1.4, liked)
                row[order[liked : liked + disliked]] = little * rng.uniform(0.6, 1.4, disliked)
        out[:, self.groups["price"]] = rng.normal(-0.25, 0.5, (CHARACTERS, 1))
        out[:, self.groups["hidden"]] = rng.normal(0, 0.42, (CHARACTERS, HIDDEN))
        return out

    def _people(self, characters: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        """Tastes on the first day and those they turn towards, scaled so that utility varies by one over items."""
        own = rng.normal(0, 0.16, (self.n_people, characters.shape[1]))
        own[:, self.groups["hidden"]] *= 1.8
        first, second, third = (rng.integers(0, CHARACTERS, self.n_people) for _ in range(3))
        share = rng.uniform(0.55, 0.9, (self.n_people, 1))

        def scaled(mix: Array) -> Array:
            spread = np.sqrt(np.einsum("ud,de,ue->u", mix, np.cov(self.items.T), mix))
            return (mix / np.maximum(spread, 1e-9)[:, None]).astype(np.float32)

        start = scaled(share * characters[first] + (1 - share) * characters[second] + own)
        return start, scaled(0.5 * characters[third] + 0.5 * characters[first] + own)

    def _intents(self) -> Array:
        """float32[n_people, kinds]: how often a person comes for each kind."""
        on_sale = np.bincount(self.kind, minlength=len(KIND_NAMES))
        liking = self.start[:, self.groups["kind"]] * 1.4 + np.log(on_sale + 1)
        odds = np.exp(liking - liking.max(axis=1, keepdims=True))
        return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)

    # ---- what a judge asks

    def tastes(self, users: Array, day: Array | float = 0.0) -> Array:
        """float32[len(users), d] on a day (one number, or one for each user)."""
        angle = (self.turn[users] * day)[:, None]
        return (np.cos(angle) * self.start[users] + np.sin(angle) * self.end[users]).astype(np.float32)

    def lift(self, items: Array, day: Array | float = 0.0) -> Array:
        """What everybody adds to an item: its quality and, around its day, its fashion."""
        return self.quality[items] + self.rise[items] * np.exp(-(((day - self.peak[items]) / 8.0) ** 2))

    def utility(self, users: Array, items: Array | None = None, day: float = 0.0) -> Array:
        """float32[len(users), n]: how much each user wants each item (all by default), in standard deviations."""
        chosen = np.arange(self.n_items) if items is None else np.asarray(items)
        return (self.tastes(users, day) @ self.items[chosen].T + self.lift(chosen, day)).astype(np.float32)

    def wants(self, users: Array, slates: Array, day: Array | float = 0.0) -> Array:
        """float32[n, k]: utility of slate row i for user i; padding (-1) is wanted by nobody."""
        day = np.asarray(day, np.float32)
        held = np.einsum("ud,ukd->uk", self.tastes(users, day), self.items[slates])
        held += self.lift(slates, day[:, None] if day.ndim else day)
        return np.where(slates >= 0, held, -np.inf)

    def best(self, users: Array, n: int, day: float = 0.0) -> Array:
        """int64[len(users), n]: the items each user wants most, best first."""
        wanted = self.utility(users, day=day)
        top = np.argpartition(-wanted, n - 1, axis=1)[:, :n]
        return np.take_along_axis(top, np.argsort(-np.take_along_axis(wanted, top, 1), axis=1, kind="stable"), 1)

    @staticmethod
    def examination(k: int, per_row: int = 5) -> Array:
        """float64[k]: chance that each place of a page is examined, for rows of `per_row` places."""
        place = np.arange(k)
        return 0.96 * ROW_AGAIN ** (place // per_row) * LOOK_AGAIN ** (place % per_row)

    def click_probability(self, users: Array, slates: Array, day: Array | float = 0.0, *, per_row: int = 5) -> Array:
        """float64[n, k]: chance of a click at each place of an unasked page, before any weariness.

        Clicks at different places are independent given why the person came, and that is averaged out: the expected
        number of clicks of a slate is the sum of its row.
        """
        wanted = self.habits.plain + self.habits.taste * self.wants(users, slates, day)
        came = self.intents[users[:, None], self.kind[slates]]
        chance = came * expit(wanted + self.habits.intent) + (1 - came) * expit(wanted)
        return np.where(slates >= 0, chance * self.examination(slates.shape[1], per_row), 0.0)


def keyed(seed: int, purpose: str, *keys: Array | int) -> Array:
    """uint64: where a stream of draws begins, the same for the same keys.

    Every person, day and page has a stream of its own. Nobody's draws depend on who else is there, so two policies can
    be compared on the very same people.
    """
    name = int.from_bytes(hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest(), "little")
    state = np.full(1, name, np.uint64)
    for key in keys:
        state = _mixed(state ^ (np.atleast_1d(key).astype(np.uint64) * _STEP + _STEP))
    return state


def draws(state: Array, first: int, count: int) -> Array:
    """float64[n, count] in (0, 1): draws `first`, `first + 1`, ... of each stream."""
    word = _mixed(state[:, None] + np.arange(first + 1, first + count + 1, dtype=np.uint64) * _STEP)
    return ((word >> _TO_UNIT).astype(np.float64) + 0.5) * 2.0**-53


_STEP, _TO_UNIT = np.uint64(0x9E3779B97F4A7C15), np.uint64(11)
_SHIFTS = tuple(map(np.uint64, (30, 27, 31)))
_FACTORS = tuple(map(np.uint64, (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)))


def _mixed(x: Array) -> Array:
    """The finaliser of splitmix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    x = (x ^ (x >> _SHIFTS[0])) * _FACTORS[0]
    x = (x ^ (x >> _SHIFTS[1])) * _FACTORS[1]
    return x ^ (x >> _SHIFTS[2])


def normal(state: Array, first: int, count: int) -> Array:
    """float64[n, count]: standard normal draws of each stream."""
    return ndtri(draws(state, first, count))
