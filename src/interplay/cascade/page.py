"""From a ranked list to a page: variety, caps and pins.

relevance   the ranked order as it stands
mmr         maximal marginal relevance; Carbonell and Goldstein, SIGIR 1998
dpp         greedy maximum of a determinantal point process; Chen, Zhang and Zhou, NeurIPS 2018, algorithm 1

All three choose one item a step for a whole batch at once; a step needs only the likeness of each candidate to the item
just chosen, so no candidates x candidates matrix is ever built. The first k of a page of n > k are the page of k.
Departs from dpp: the likeness of different items is multiplied by TWIN; without it twins are never shown together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from interplay.configure import Share, Size
from interplay.errors import BadSetting, UnknownName, nearest, unknown
from interplay.types import Array, Dataset, State

LABELS = 8  # labels of an item that count for likeness
BLOCK = 128  # requests arranged at once: the vectors of their candidates stay in cache
TWIN = 0.95  # likeness that dpp sees between two items that look the same


@dataclass(frozen=True, kw_only=True)
class PageConfig:
    variety: str = "relevance"  # a name in VARIETIES
    balance: Share = 0.7  # 1 is relevance alone, 0 variety alone
    likeness: str = "categories"  # a catalogue column (shared labels) or a table of item vectors (cosine)
    places: Size = 60  # so many places are chosen for variety; what follows keeps its order
    caps: Mapping[str, Size] = field(default_factory=dict)  # catalogue column -> most items of one value on a page
    pins: Mapping[str, Size] = field(default_factory=dict)  # item id -> place (1 is the first), where rules allow it


# --------------------------------------------------------------------------------------------------------------------
# How alike two items are, on [0, 1] for labels and [-1, 1] for vectors


Among: TypeAlias = Callable[[Array], Array]  # position of one candidate for each request, int[n] -> likeness, [n, m]


class Vectors:
    """Cosine of item vectors: float32[n_items, dim]."""

    def __init__(self, vectors: Array) -> None:
        norm = np.linalg.norm(vectors, axis=1, keepdims=True)
        self.vectors = (vectors / np.maximum(norm, 1e-12)).astype(np.float32)

    def among(self, items: Array) -> Among:
        """How alike one candidate of each request is to all its candidates, items[n, m]."""
        own, row = self.vectors[items], np.arange(len(items))
        return lambda at: np.matmul(own, own[row, at][:, :, None])[:, :, 0].astype(np.float64)


class Labels:
    """Shared labels over the geometric mean of their numbers (the cosine of label sets): codes int32[n_items, most]."""

    def __init__(self, codes: Array) -> None:
        self.codes = codes  # padded with -1
        self.count = (codes >= 0).sum(axis=1)

    def among(self, items: Array) -> Among:
        """How alike one candidate of each request is to all its candidates, items[n, m]."""
        own, count, row = self.codes[items], self.count[items], np.arange(len(items))

        def to(at: Array) -> Array:
            one = own[row, at][:, None, :, None]
            shared = ((one == own[:, :, None, :]) & (one >= 0)).sum(axis=(2, 3))
            return shared / np.sqrt(np.maximum(count[row, at][:, None] * count, 1))

        return to


def coded(column: pl.Series) -> Array:
    """int32[n_items, most]: the labels of each item (a text, a number or a list of them) as codes, padded with -1."""
    lists = (
        column if isinstance(column.dtype, pl.List) else column.to_frame().select(pl.concat_list(pl.all())).to_series()
    )
    frame = pl.DataFrame({"item": np.arange(len(lists)), "label": lists}).explode("label").drop_nulls().unique()
    frame = frame.with_columns(pl.col("label").cast(pl.String).rank("dense").cast(pl.Int32).alias("code") - 1)
    frame = frame.sort("item", "code").with_columns(pl.int_range(pl.len()).over("item").alias("place"))
    frame = frame.filter(pl.col("place") < LABELS)
    out = np.full((len(lists), max(int(frame["place"].max() or 0) + 1, 1)), -1, np.int32)  # type: ignore[arg-type]
    out[frame["item"].to_numpy(), frame["place"].to_numpy()] = frame["code"].to_numpy()
    return out


# --------------------------------------------------------------------------------------------------------------------
# One step of choosing: `gain` says what each candidate would add, `chose` hears what was taken


class _Relevance:
    def __init__(self, relevance: Array, like: Among, balance: float) -> None:
        self.gain = relevance

    def chose(self, at: Array) -> None:
        """What was taken changes nothing."""


class _Mmr(_Relevance):
    """gain_j = balance * relevance_j - (1 - balance) * max over chosen i of likeness(i, j)."""

    def __init__(self, relevance: Array, like: Among, balance: float) -> None:
        self.relevance, self.like, self.balance = relevance, like, balance
        self.gain, self.nearest = balance * relevance, np.full(relevance.shape, -np.inf)

    def chose(self, at: Array) -> None:
        self.nearest = np.maximum(self.nearest, self.like(at))
        self.gain = self.balance * self.relevance - (1 - self.balance) * self.nearest


class _Dpp(_Relevance):
    """gain_j = log d_j^2, the growth of log det L of the chosen, with L_ij = q_i S_ij q_j and q = exp(a * relevance).

    a = balance / (2 (1 - balance)) as in the paper's equation 14. Candidates that add nothing (d_j^2 below `nothing`)
    follow in the order of relevance.
    """

    nothing = 1e-10

    def __init__(self, relevance: Array, like: Among, balance: float) -> None:
        self.relevance, self.like = relevance, like
        self.tilt = balance / max(2 * (1 - balance), 1e-6)
        self.left = np.ones(relevance.shape)  # d_j^2 / q_j^2: what of item j is not yet spanned by the chosen
        self.rows: list[Array] = []  # the Cholesky factor of S, one row for each chosen item
        self._gain()

    def _gain(self) -> None:
        spent = self.left < self.nothing
        log = 2 * self.tilt * self.relevance + np.log(np.maximum(self.left, self.nothing))
        self.gain = np.where(spent, self.relevance - 1e6, log)

    def chose(self, at: Array) -> None:
        row = np.arange(len(at))
        spent = self.left[row, at] < self.nothing
        like = TWIN * self.like(at)
        like[row, at] = 1.0
        known = sum((r * r[row, at][:, None] for r in self.rows), np.zeros(like.shape))
        e = (like - known) / np.sqrt(np.maximum(self.left[row, at], self.nothing))[:, None]
        e[spent] = 0.0
        self.rows.append(e)
        self.left = np.maximum(self.left - e**2, 0.0)
        self._gain()


VARIETIES: dict[str, Callable[[Array, Among, float], _Relevance]] = {"relevance": _Relevance, "mmr": _Mmr, "dpp": _Dpp}


def arrange(
    items: Array,
    scores: Array,
    n: int,
    *,
    variety: str = "relevance",
    balance: float = 0.7,
    likeness: Vectors | Labels | None = None,
    places: int = 60,
    caps: Sequence[tuple[Array, int]] = (),
) -> Array:
    """Positions of the candidates to show, int64[len(items), n], best first, -1 where a page is short.

    items int32[n_requests, m] ranked by scores float32[n_requests, m], padded with -1. `caps` are pairs (codes
    int32[n_items], most): no more than `most` items of one code; -1 is no code. Relevance is the score on [0, 1] within
    the request.
    """
    if variety not in VARIETIES:
        raise unknown("variety", variety, VARIETIES)
    if not 0 <= balance <= 1:
        raise BadSetting(f"balance is {balance}; expected a number from 0 (variety alone) to 1 (relevance alone)")
    held = items >= 0
    plain = variety == "relevance" or balance == 1 or likeness is None
    if plain and not caps:
        return np.where(held[:, :n], np.arange(min(n, items.shape[1]))[None, :], -1)
    if len(items) > BLOCK:
        more: dict[str, Any] = {
            "variety": variety,
            "balance": balance,
            "likeness": likeness,
            "places": places,
            "caps": caps,
        }
        blocks = range(0, len(items), BLOCK)
        return np.concatenate([arrange(items[b : b + BLOCK], scores[b : b + BLOCK], n, **more) for b in blocks])
    low = np.where(held, scores, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(held, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        relevance = np.where(held & (high > low), (scores.astype(np.float64) - low) / (high - low), 0.0)
    chooser = _Relevance(relevance, np.zeros_like, balance)
    if not plain and likeness is not None:
        chooser = VARIETIES[variety](relevance, likeness.among(np.maximum(items, 0)), balance)
    free, row = held.copy(), np.arange(len(items))
    labels = [(np.where(held, codes[items], -1), most) for codes, most in caps]
    out = np.full((len(items), min(n, items.shape[1])), -1, np.int64)
    for place in range(out.shape[1]):
        if place == places and not caps:  # the rest as it was ranked
            rest = np.argsort(~free, axis=1, kind="stable")[:, : out.shape[1] - place]
            out[:, place:] = np.where(np.take_along_axis(free, rest, 1), rest, -1)
            break
        gain = chooser.gain if place < places and not plain else -np.arange(items.shape[1], dtype=np.float64)[None, :]
        at = np.where(free, gain, -np.inf).argmax(axis=1)  # the first of equals: the better ranked
        chosen = free[row, at]
        if not chosen.any():
            break
        out[:, place] = np.where(chosen, at, -1)
        free[row, at] = False
        for codes, most in labels:
            mine = codes[row, at]
            shown = np.where(
                out[:, : place + 1] >= 0, np.take_along_axis(codes, np.maximum(out[:, : place + 1], 0), 1), -2
            )
            full = ((shown == mine[:, None]).sum(axis=1) >= most) & chosen & (mine >= 0)
            free &= ~(full[:, None] & (codes == mine[:, None]))
        if place < places and not plain:
            chooser.chose(at)
    return out


# --------------------------------------------------------------------------------------------------------------------
# The page of a cascade


class Page:
    """`arrange` with its columns, vectors and pins looked up in a data set."""

    def __init__(self, config: PageConfig = PageConfig()) -> None:
        self.config = config

    def fit(self, dataset: Dataset, vectors: Mapping[str, Array], absent: Collection[str] = ()) -> Page:
        """`vectors` are the item vectors that sources have, by source; the data set's own tables come on top.

        Likeness by a source that is `absent` leaves the page in the order of relevance.
        """
        config, tables = self.config, {**vectors, **dataset.vectors}
        self.arrays: dict[str, Array] = {}
        if config.variety != "relevance" and config.likeness not in absent:
            if config.likeness in tables:
                self.arrays["vectors"] = np.asarray(tables[config.likeness], np.float32)
            else:
                self.arrays["labels"] = coded(_column(dataset, config.likeness, "likeness", tables))
        for column, most in config.caps.items():
            if most < 1:
                raise BadSetting(f"caps allow {most} items of one {column}; expected at least 1")
            self.arrays[f"cap_{column}"] = coded(_column(dataset, column, "caps", ()))[:, 0]
        pinned = sorted(config.pins.items(), key=lambda pin: pin[1])
        index = dataset.items.index([item for item, _ in pinned])
        if (index < 0).any():
            raise UnknownName(
                f"pins name the item {pinned[int(index.argmin())][0]!r}, which the catalogue does not hold"
            )
        self.arrays["pinned"] = index
        self.arrays["pinned_at"] = np.array([place - 1 for _, place in pinned], np.int64)
        return self.ready()

    def ready(self) -> Page:
        """Likeness and caps made of `config` and `arrays`."""
        arrays = self.arrays
        self.likeness: Vectors | Labels | None = None
        if "vectors" in arrays:
            self.likeness = Vectors(arrays["vectors"])
        elif "labels" in arrays:
            self.likeness = Labels(arrays["labels"])
        self.caps = [(arrays[f"cap_{column}"], most) for column, most in self.config.caps.items()]
        return self

    def order(self, items: Array, scores: Array, n: int) -> Array:
        """Positions of the candidates to show: int64[n_requests, n], -1 where a page is short."""
        c = self.config
        return arrange(
            items,
            scores,
            n,
            variety=c.variety,
            balance=c.balance,
            likeness=self.likeness,
            places=c.places,
            caps=self.caps,
        )

    def state(self) -> State:
        return State(arrays=self.arrays)

    def restore(self, state: State) -> Page:
        self.arrays = dict(state.arrays)
        return self.ready()


def _column(dataset: Dataset, name: str, setting: str, tables: Any) -> pl.Series:
    held = [] if dataset.catalogue is None else dataset.catalogue.columns
    if name not in held:
        known = [*held, *tables]
        raise UnknownName(
            f"page.{setting} names {name!r}, which {dataset.name!r} does not have; "
            f"nearest: {nearest(name, known) or known}"
        )
    assert dataset.catalogue is not None
    return dataset.catalogue[name]
