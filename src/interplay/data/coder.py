"""From examples to integers and small numbers: vocabularies and scales learnt from the training part alone.

A value that training did not hold, or held fewer than `floor` times, has code 0. A missing value is a value like any
other where training has it. Numbers become their place among the training values, from 0 to 1, so that no outlier is
large; -1 says that there is none. Items of histories share the codes of the field `item`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from interplay.data.examples import Examples
from interplay.data.keyed import MISSING, keyed
from interplay.data.labelled import ITEM, USER
from interplay.errors import BadData
from interplay.types import EMPTY, Array, Ragged, State

KNOTS = 65  # quantiles that a number's scale remembers


@dataclass(frozen=True, kw_only=True, eq=False)
class Coded:
    """n examples as a model reads them."""

    fields: Array  # int32[n, K], 0 is unknown or rare
    numbers: Array  # float32[n, M] from 0 to 1, -1 is missing; never NaN
    sequences: Mapping[str, Array] = EMPTY  # name -> int32[n, L], codes of items, oldest first, 0s in front
    labels: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))  # float32[n, T], 0 where not known
    mask: Array = field(default_factory=lambda: np.zeros((0, 0), bool))  # bool[n, T]: the label is known

    def __len__(self) -> int:
        return len(self.fields)

    def take(self, rows: Array) -> Coded:
        """The given rows, in the given order."""
        return Coded(
            fields=self.fields[rows], numbers=self.numbers[rows],
            sequences={k: c[rows] for k, c in self.sequences.items()}, labels=self.labels[rows], mask=self.mask[rows],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Coder:
    """How examples are coded. Make one with `Coder.fit`."""

    fields: tuple[str, ...]
    sizes: tuple[int, ...]  # codes of each field, 0 included
    numbers: tuple[str, ...]
    sequences: tuple[str, ...]
    tasks: tuple[str, ...]
    window: int  # items of a history that are coded
    keys: Mapping[str, tuple[Array, Array]]  # field -> (sorted int64 keys, int32 their codes); `user` is in `users`
    knots: Mapping[str, tuple[Array, Array]]  # number -> (increasing values, their places)
    users: Array  # int32[n_users]: the code of each user, 0 without one; empty where there is no field `user`

    @staticmethod
    def fit(examples: Examples, *, floor: int = 1, window: int = 50, n_users: int = 0, histories: bool = True) -> Coder:
        """Vocabularies and scales of these examples, which should be the training part and nothing else.

        Without `histories` nothing reads them, so none is coded; their items have codes all the same.

        Errors: BadData where there is nothing to learn from.
        """
        if not len(examples) or not examples.labels:
            raise BadData("there are no labelled examples to learn from; a ranker needs some in the training part")
        keys: dict[str, tuple[Array, Array]] = {}
        sizes = []
        for name, column in examples.fields.items():
            found = keyed(column)
            if name == ITEM:
                found = np.concatenate([found, *(s["item"].astype(np.int64) for s in examples.sequences.values())])
            value, count = np.unique(found, return_counts=True)
            kept = value[(count >= max(floor, 1)) & ((value != MISSING) | (name not in (USER, ITEM)))]
            keys[name] = kept, np.arange(1, len(kept) + 1, dtype=np.int32)
            sizes.append(len(kept) + 1)
        users = np.zeros(0, np.int32)
        if USER in keys:
            value, code = keys.pop(USER)
            users = np.zeros(max(n_users, int(value.max(initial=-1)) + 1), np.int32)
            users[value] = code
        return Coder(
            fields=tuple(examples.fields), sizes=tuple(sizes), numbers=tuple(examples.numbers),
            sequences=tuple(examples.sequences) if histories and ITEM in examples.fields else (), tasks=examples.tasks,
            window=window, keys=keys, knots={n: _scale(c) for n, c in examples.numbers.items()}, users=users,
        )  # fmt: skip

    def code(self, examples: Examples) -> Coded:
        """Codes of any examples; a column that they lack is missing in every row."""
        n = len(examples)
        fields = np.zeros((n, len(self.fields)), np.int32)
        for place, name in enumerate(self.fields):
            column = examples.fields.get(name)
            fields[:, place] = self.codes(name, np.array([MISSING]) if column is None else keyed(_distinct(column)))
        numbers = np.full((n, len(self.numbers)), -1.0, np.float32)
        for place, name in enumerate(self.numbers):
            if name in examples.numbers:
                numbers[:, place] = self._placed(name, _distinct(examples.numbers[name]))
        labels = np.full((n, len(self.tasks)), np.nan, np.float32)
        for place, task in enumerate(self.tasks):
            if task in examples.labels:
                labels[:, place] = examples.labels[task]
        known = np.isfinite(labels)
        return Coded(
            fields=fields, numbers=numbers, labels=np.where(known, labels, 0.0), mask=known,
            sequences={s: self._row(examples.sequences.get(s), n) for s in self.sequences},
        )  # fmt: skip

    @property
    def asks(self) -> dict[str, tuple[str, ...]]:
        """What `candidates` is to make for it."""
        return {"fields": self.fields, "numbers": self.numbers, "sequences": self.sequences}

    def codes(self, name: str, keys: Array) -> Array:
        """int32[n]: the code of each key (int64[n]) of one field."""
        if name == USER:
            inside = (keys >= 0) & (keys < len(self.users))
            return np.where(inside, self.users[np.where(inside, keys, 0)], 0) if len(self.users) else inside * 0
        known, code = self.keys[name]
        if not len(known):
            return np.zeros(len(keys), np.int32)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[at] == keys, code[at], 0)

    def _placed(self, name: str, column: Array) -> Array:
        value, place = self.knots[name]
        known = np.isfinite(column)
        return np.where(known, np.interp(np.where(known, column, 0.0), value, place), -1.0)

    def _row(self, history: Ragged | None, n: int) -> Array:
        """int32[n, window]: the last items of each history, at the right end."""
        out = np.zeros((n, self.window), np.int32)
        if history is not None and len(history["item"]):
            last = history.last(self.window)
            column = np.arange(last.offsets[-1]) - np.repeat(last.offsets[1:], last.lengths) + self.window
            out[last.owner, column] = self.codes(ITEM, last["item"].astype(np.int64))
        return out

    def forgetting(self, users: Array) -> Coder:
        """The same without the codes of these users (int[]): from now on they are unknown."""
        left = self.users.copy()
        users = np.asarray(users)
        left[users[(users >= 0) & (users < len(left))]] = 0
        return Coder(**{**vars(self), "users": left})

    def state(self) -> State:
        arrays = {f"keys.{n}": k for n, (k, _) in self.keys.items()} | {
            f"codes.{n}": c for n, (_, c) in self.keys.items()
        }
        arrays |= {f"knots.{n}": v for n, (v, _) in self.knots.items()}
        arrays |= {f"places.{n}": p for n, (_, p) in self.knots.items()}
        facts = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items() if k not in (
            "keys", "knots", "users")}  # fmt: skip
        return State(arrays=arrays, users={"codes": self.users}, facts=facts)

    @staticmethod
    def restore(state: State) -> Coder:
        a = state.arrays
        facts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in state.facts.items()}
        return Coder(
            keys={n: (a[f"keys.{n}"], a[f"codes.{n}"]) for n in facts["fields"] if n != USER},
            knots={n: (a[f"knots.{n}"], a[f"places.{n}"]) for n in facts["numbers"]},
            users=state.users["codes"], **facts,
        )  # fmt: skip


def _distinct(column: Array) -> Array:
    """The first value alone of a column that repeats it in place, which a request does with all it says of itself."""
    return column[:1] if isinstance(column, np.ndarray) and column.strides == (0,) else column


def _scale(column: Array) -> tuple[Array, Array]:
    """Quantiles of a number and the share of the values below each, stretched from 0 to 1."""
    known = np.sort(column[np.isfinite(column)].astype(np.float64))
    if not len(known):
        return np.zeros(1), np.zeros(1)
    value = np.unique(np.quantile(known, np.linspace(0, 1, KNOTS)))
    place = (np.searchsorted(known, value, "left") + np.searchsorted(known, value, "right")) / (2.0 * len(known))
    width = place[-1] - place[0]
    return value, (place - place[0]) / width if width > 0 else place * 0.0
