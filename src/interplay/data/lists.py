"""Ranked lists as those read them who arrange a page: what is known of each candidate, and what was gone for.

Lists to learn from come out of folds: people are dealt into folds, a base ranker and all counts are fitted on the
others, and every moment of a person's past at which something is known asks for a list. With one fold the log is cut by
time instead: the base is fitted on its older part, and the newer part asks. So nothing that a list says of a candidate
was learnt from the event that it is judged by. A moment is a page that was shown and acted on (table impressions), with
all that was gone for on it and what was looked at and left; where pages are not known, it is a single event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from interplay.data.encode import encode_texts
from interplay.data.fetch import cache
from interplay.data.moments import Moments, cut
from interplay.errors import BadData
from interplay.ops.sparse import interaction_matrix, scaled, symmetric_normalised
from interplay.ops.spectra import top_right_singular
from interplay.ops.text import terms
from interplay.types import Array, Dataset, Ragged, Requests, Run, Slates, State

NUMBERS = (
    "score", "share", "place", "popular", "content_last", "content_most", "content_mean", "taken_last", "taken_most",
    "taken_mean", "group",
)  # fmt: skip
RECENT = 10  # last events that candidates are held against
FADE = 0.7  # weight of one event further back, in means
ANY = 0.1  # share of all lists that is kept, to know what pages look like
BLOCK = 512  # lists described at once
WORTH_KEEPING = 512  # so many texts at once are kept in the cache directory


# --------------------------------------------------------------------------------------------------------------------
# What is known of things


@dataclass(frozen=True, kw_only=True, eq=False)
class Things:
    """Items by what they say and by who took them; unit vectors, or zeros where nothing is known."""

    content: Array  # float32[n_items, d]
    taken: Array  # float32[n_items, e]: leading directions of who took what
    popularity: Array  # float32[n_items], on [0, 1]
    group: Array  # int32[n_items]: first category, or a cluster of contents; -1 for none

    @property
    def likeness(self) -> Array:
        """The vectors by which two items are near-duplicates: what they say, or else who took them."""
        return self.content if self.content.any() else self.taken

    def counted(self, dataset: Dataset, *, dim: int, seed: int) -> Things:
        """The same contents with what another log says of who took what."""
        x = interaction_matrix(dataset)
        count = np.asarray(x.sum(axis=0)).ravel()
        popularity = np.log1p(count) / np.log1p(max(float(count.max(initial=0)), 1.0))
        _, found = top_right_singular(symmetric_normalised(x), dim, method="randomized", seed=seed)
        return replace(self, taken=unit(found), popularity=popularity.astype(np.float32))

    def state(self) -> State:
        return State(arrays={f.name: getattr(self, f.name) for f in fields(self)})

    @staticmethod
    def restore(state: State) -> Things:
        return Things(**{f.name: state.arrays[f.name] for f in fields(Things)})


def things(
    dataset: Dataset, *, vectors: str = "words", dim: int = 64, groups: int = 64, seed: int = 0,
    progress: Any = None,
) -> Things:  # fmt: skip
    """What a data set's catalogue says of its items, before anything is counted.

    `vectors` is a table of item vectors, a name in READINGS, or "": where nothing is said, contents are zeros and
    likeness is by who took what.
    """
    content = unit(_reduced(contents(dataset, vectors, dim, progress), dim))
    n = dataset.n_items
    bare = Things(
        content=content, taken=np.zeros((n, 0), np.float32), popularity=np.zeros(n, np.float32),
        group=np.full(n, -1, np.int32),
    ).counted(dataset, dim=dim, seed=seed)  # fmt: skip
    return replace(bare, group=_groups(dataset, bare.likeness, groups, seed))


def unit(vectors: Array) -> Array:
    """float32: rows of length one; a row of zeros stays one."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-9).astype(np.float32)


def contents(dataset: Dataset, vectors: str, dim: int = 64, progress: Any = None) -> Array:
    """float32[n_items, d]: a vector for each item that says anything, zeros for the others."""
    if vectors in dataset.vectors:
        return np.asarray(dataset.vectors[vectors], np.float32)
    if vectors not in READINGS:
        raise BadData(
            f"{dataset.name!r} has no item vectors called {vectors!r}; it has {sorted(dataset.vectors)}, and titles, "
            f"texts and categories are read by {sorted(READINGS)}"
        )
    texts = dataset.texts()
    told = np.array([bool(t.strip()) for t in texts], bool)
    if not told.any():
        return np.zeros((len(texts), 1), np.float32)
    said = READINGS[vectors]([t for t, has in zip(texts, told, strict=True) if has], dim, progress)
    out = np.zeros((len(texts), said.shape[1]), np.float32)
    out[told] = said
    return out


def _by_words(texts: Sequence[str], dim: int, progress: Any) -> Array:
    """Words by tf-idf, and the leading directions of what stands together (Deerwester et al., JASIS 1990)."""
    lines = terms(texts, stem="none")
    known = {word: i for i, word in enumerate(sorted(set(chain.from_iterable(lines))))}
    if not known:
        return np.zeros((len(texts), 1), np.float32)
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    column = np.fromiter((known[w] for w in chain.from_iterable(lines)), np.int64, len(owner))
    x = sp.csr_array((np.ones(len(owner)), (owner, column)), shape=(len(texts), len(known)))
    x.sum_duplicates()
    often = np.bincount(x.indices, minlength=len(known))
    x.data = np.log1p(x.data) * np.log1p(len(texts) / np.maximum(often, 1))[x.indices]
    length = np.sqrt(np.asarray(x.multiply(x).sum(axis=1)).ravel())
    x = scaled(x, left=1 / np.maximum(length, 1e-9))
    _, found = top_right_singular(x, dim, method="randomized")
    return np.asarray(x @ found, np.float32)


def _by_sense(texts: Sequence[str], dim: int, progress: Any) -> Array:
    folder = cache() / "vectors" if len(texts) >= WORTH_KEEPING else None
    return encode_texts(texts, cache=folder, progress=progress, precision="bfloat16")


READINGS: dict[str, Callable[[Sequence[str], int, Any], Array]] = {
    "words": _by_words,  # words that stand in the same texts: seconds for 10,000 items
    "text": _by_sense,  # MiniLM, from the extra `text`: minutes
    "": lambda texts, dim, progress: np.zeros((len(texts), 1), np.float32),
}


def _reduced(vectors: Array, dim: int) -> Array:
    """The leading `dim` directions of those that have a vector."""
    told = np.abs(vectors).sum(axis=1) > 0
    if not told.any() or vectors.shape[1] <= dim:
        return vectors[:, :dim]
    out = np.zeros((len(vectors), min(dim, vectors.shape[1])), np.float32)
    _, turn = np.linalg.eigh(vectors[told].T @ vectors[told])
    out[told] = vectors[told] @ turn[:, ::-1][:, :dim]
    return out


def _groups(dataset: Dataset, vectors: Array, groups: int, seed: int) -> Array:
    """int32[n_items]: the first category where the catalogue has any, else clusters by direction."""
    catalogue = dataset.catalogue
    if (
        catalogue is not None
        and "categories" in catalogue.columns
        and catalogue["categories"].null_count() < len(catalogue)
    ):
        column = catalogue["categories"]
        first = column.list.first() if isinstance(column.dtype, pl.List) else column
        return (first.cast(pl.String).rank("dense").cast(pl.Int32).fill_null(0) - 1).to_numpy().astype(np.int32)
    told = np.flatnonzero(np.abs(vectors).sum(axis=1) > 0)
    out = np.full(len(vectors), -1, np.int32)
    if not len(told):
        return out
    own = vectors[told]
    centre = own[np.random.default_rng([seed, 5]).permutation(len(own))[:groups]]
    for _ in range(15):
        at = (own @ centre.T).argmax(axis=1)
        total = np.zeros_like(centre)
        np.add.at(total, at, own)
        met = np.abs(total).sum(axis=1, keepdims=True) > 0
        centre = np.where(met, unit(total), centre)
    out[told] = (own @ centre.T).argmax(axis=1)
    return out


# --------------------------------------------------------------------------------------------------------------------
# Lists


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """n lists of m candidates in the order of a base ranker, padded with -1."""

    items: Array  # int32[n, m]
    numbers: Array  # float32[n, m, len(NUMBERS)]
    past: Array  # float32[n, d]: what the person's last events say, the newer the more
    recent: Array  # int32[n, RECENT]: the items of those events, the newest first, padded with -1
    engaged: Array  # bool[n, m]: gone for next
    passed: Array  # bool[n, m]: looked at on the same page and left
    user: Array  # int32[n]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def held(self) -> Array:
        """bool[n, m]: where there is a candidate."""
        return self.items >= 0

    def take(self, rows: Array) -> Lists:
        return Lists(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def first(self, m: int) -> Lists:
        """The first m candidates of each list."""
        return self.ordered(np.tile(np.arange(min(m, self.items.shape[1])), (len(self), 1)))

    def ordered(self, order: Array) -> Lists:
        """The same candidates of each list in another order, int64[n, m]."""
        cells = np.arange(len(self))[:, None], order
        cut = {name: getattr(self, name)[cells] for name in ("items", "numbers", "engaged", "passed")}
        return replace(self, **cut)

    @staticmethod
    def joined(parts: list[Lists]) -> Lists:
        return Lists(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Lists)})


def described(
    known: Things, requests: Requests, slates: Slates, truth: Ragged | None = None, left: Ragged | None = None
) -> Lists:
    """What is known of the candidates of each request; `truth` (column item) is what was gone for next, `left` what was
    looked at beside it and left."""
    parts = []
    for lo in range(0, max(len(slates), 1), BLOCK):
        hi = min(lo + BLOCK, len(slates))
        parts.append(_described(known, requests.history.slice(lo, hi), slates.items[lo:hi], slates.scores[lo:hi]))
    return Lists(
        items=slates.items, engaged=_among(slates.items, truth), passed=_among(slates.items, left),
        user=np.asarray(requests.user), numbers=np.concatenate([p[0] for p in parts]),
        past=np.concatenate([p[1] for p in parts]), recent=np.concatenate([p[2] for p in parts]),
    )  # fmt: skip


def _among(items: Array, told: Ragged | None) -> Array:
    """bool[n, m]: which candidates of each row are among the items told of it."""
    if told is None or not len(told["item"]):
        return np.zeros(items.shape, bool)
    size = int(max(items.max(initial=0), told["item"].max(initial=0))) + 2
    wanted = np.unique(told.owner * size + told["item"])
    return np.isin(np.arange(len(items))[:, None] * size + items, wanted) & (items >= 0)


def _described(known: Things, history: Ragged, items: Array, scores: Array) -> tuple[Array, Array, Array]:
    n, m = items.shape
    held, n_items = items >= 0, len(known.popularity)
    at = np.where(held & (items < n_items), items, -1)
    past = recent(history, n_items)
    weight = faded(past)
    out = np.zeros((n, m, len(NUMBERS)), np.float32)
    base = np.where(held, scores, 0).astype(np.float64)
    count = np.maximum(held.sum(axis=1, keepdims=True), 1)
    mean = base.sum(axis=1, keepdims=True) / count
    spread = np.sqrt((np.where(held, base - mean, 0) ** 2).sum(axis=1, keepdims=True) / count)
    low = np.where(held, base, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high = np.where(held, base, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    with np.errstate(invalid="ignore"):
        out[:, :, 0] = np.clip((base - mean) / np.maximum(spread, 1e-9), -5, 5)
        out[:, :, 1] = np.where(held, (base - low) / np.maximum(high - low, 1e-9), 0)
    out[:, :, 2] = 1 / np.log2(np.arange(m) + 2)
    out[:, :, 3] = np.where(at >= 0, known.popularity[at], 0)
    for first, vectors in ((4, known.content), (7, known.taken)):
        own, seen = _rows(vectors, at), _rows(vectors, past)
        alike = np.matmul(own, seen.transpose(0, 2, 1))  # [n, m, RECENT]
        out[:, :, first] = alike[:, :, 0]
        out[:, :, first + 1] = np.where(past[:, None] >= 0, alike, -1).max(axis=2)
        out[:, :, first + 2] = (alike * weight[:, None]).sum(axis=2)
    group, before = np.where(at >= 0, known.group[at], -2), np.where(past >= 0, known.group[past], -1)
    same = (group[:, :, None] == before[:, None]) & (before[:, None] >= 0)
    out[:, :, 10] = (same * weight[:, None]).sum(axis=2)
    out[~held] = 0
    out[(past < 0).all(axis=1), :, 4:] = 0
    return out, (_rows(known.content, past) * weight[:, :, None]).sum(axis=1), past


def recent(history: Ragged, n_items: int) -> Array:
    """int32[n, RECENT]: the last items of each history that are known, the newest first, padded with -1."""
    last = history.where((history["item"] >= 0) & (history["item"] < n_items)).last(RECENT)
    out = np.full((len(last.lengths), RECENT), -1, np.int32)
    out[last.owner, np.repeat(last.offsets[1:], last.lengths) - 1 - np.arange(len(last["item"]))] = last["item"]
    return out


def faded(past: Array) -> Array:
    """float32[n, RECENT]: the weight of each of the last items in means; rows sum to 1, or to 0 without any."""
    weight = np.where(past >= 0, FADE ** np.arange(RECENT), 0.0).astype(np.float32)
    return weight / np.maximum(weight.sum(axis=1, keepdims=True), np.float32(1e-9))


def _rows(vectors: Array, at: Array) -> Array:
    """vectors[at], zeros where `at` is -1."""
    return np.where(at[..., None] >= 0, vectors[at], np.float32(0))


# --------------------------------------------------------------------------------------------------------------------
# Lists to learn from


def folded(
    dataset: Dataset, known: Things, base: Callable[[], Any], *, pool: int, folds: int, most: int, dim: int, run: Run,
) -> Iterator[tuple[Lists, Lists, Things]]:  # fmt: skip
    """Fold by fold: lists of moments in people's pasts in which what came next is among the candidates, a tenth of all
    lists, whatever came next, and what was known of things.

    `base()` gives an unfitted ranker with the verbs fit and retrieve. At most `most` moments are asked about in all.
    One fold cuts the log by time; where it has no times, people are dealt into two.
    """
    rng = np.random.default_rng([run.seed, 17])
    for f, (older, asked) in enumerate(cut(dataset, Moments.of(dataset), folds, most, rng)):
        if not len(older.events) or not len(asked):
            continue
        ranker = base().fit(older, run=replace(run, checkpoint=None, validation=None))
        counts = known.counted(older, dim=dim, seed=run.seed)
        run.progress("lists", {"fold": f + 1, "of": folds, "moments": len(asked)})
        for lo in range(0, len(asked), 8 * BLOCK):
            part = asked.take(np.arange(lo, min(lo + 8 * BLOCK, len(asked))))
            requests = part.asked(dataset)
            lists = described(counts, requests, ranker.retrieve(requests, pool), part.truth, part.left)
            lists = replace(lists, user=dataset.events.user[part.at])
            some = rng.random(len(lists)) < ANY
            yield lists.take(np.flatnonzero(lists.engaged.any(axis=1))), lists.take(np.flatnonzero(some)), counts
