"""From standing wishes to an order of things: what is filtered, what is sought, what is held back, what is let go.

Four tools, after RecBot (arXiv 2509.21317):

    filter       hard wishes are rules; they act inside retrieval, and an explicit no is never let go
    matcher      what each thing meets of the soft wishes: a column says so, the words of its text do, or its meaning
                 is near (MiniLM); "like this one" is nearness to a thing, by meaning and by the labels of both
    attenuator   what each thing has of what is rather not wanted, scored by itself and taken away
    aggregator   taste, wanted and unwanted, each on [0, 1], joined by weights that were chosen on validation sessions

The collaborative matcher lives where the sources are: the cascade asks every source once more, for the things that meet
the wishes, so that taste orders them too (`leaning`). When nothing fits, wishes are let go in a stated order.

Learns nothing: it keeps one vector per item (encoded once, cached by content) and the columns of the catalogue.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import polars as pl

from interplay.configure import NotNegative
from interplay.data.encode import encode_texts
from interplay.data.fetch import cache
from interplay.dialogue.state import listed
from interplay.errors import BadSetting, InterplayError, MissingExtra
from interplay.ops.topk import best
from interplay.types import EVERYWHERE, Array, Dataset, Ragged, Requests, Rows, RuleSet, Run, Slates, State, Wish, World

KEPT = 512  # vectors of words remembered; so many texts and more are encoded once for all
HELD = 32 << 20  # bytes of parts remembered: one float32 per item each
MET = 0.5  # a part from here on counts as met
TIER = 300  # things that the leaning part of retrieval is to choose from, at least
_BOUND = re.compile(r"^(?P<column>`[^`]+`|[^\W\d]\w*) (?P<op><=?|>=?) (?P<value>-?[\d.e+]+)$")


class Masks(Protocol):
    """Something that finds what a sentence over columns is true of: the cascade's catalogue."""

    def mask(self, where: str, *, strict: bool = ...) -> Array: ...


@dataclass(frozen=True, kw_only=True)
class SteerConfig:
    taste: NotNegative = 0.5  # say of the sources' own order, beside 1 for every wish that is met
    unwanted: NotNegative = 1.0  # what each unwanted thing costs
    like: NotNegative = 1.0  # say of being like a thing that was pointed to
    meaning: NotNegative = 0.8  # say of nearness in meaning, where neither column nor words say more
    scale: str = "rank"  # how the sources' scores are put on [0, 1]: rank or minmax
    vectors: bool = (
        True  # whether texts are weighed by meaning; without it, or without the extra `text`, by words alone
    )


@dataclass(frozen=True, kw_only=True)
class Steered:
    """The wishes of one request as they are obeyed: hard ones that had to be let go are soft now."""

    wishes: tuple[Wish, ...]
    where: tuple[str, ...]  # the rules that hold, as sentences
    relaxed: tuple[tuple[int, str], ...] = ()  # (place of the wish, the sentence that says so)
    said: tuple[str, ...] = ()
    left: int = 0  # things that the rules leave


class Steer:
    """The tools over one catalogue."""

    def __init__(self, config: SteerConfig = SteerConfig()) -> None:
        if config.scale not in ("rank", "minmax"):
            raise BadSetting(f"scale is {config.scale!r}; expected 'rank' or 'minmax'")
        self.config = config
        self.catalogue: Masks | None = None
        self.frame = pl.DataFrame()
        self._labels: list[Array] | None = None
        self._parts: OrderedDict[tuple[Any, ...], Array] = OrderedDict()
        self._words: OrderedDict[str, Array] = OrderedDict()

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Steer:
        """Encode the texts of the catalogue; what was encoded before is taken from the cache."""
        self.rows = Rows.of(dataset)
        self.vectors = np.zeros((dataset.n_items, 0), np.float32)
        texts = dataset.texts()
        if self.config.vectors and any(t.strip() for t in texts):
            try:
                folder = cache() / "vectors" if len(texts) >= KEPT else None
                self.vectors = encode_texts(texts, cache=folder, progress=run.progress)
            except MissingExtra:
                pass  # wishes are weighed by columns and words; `facts` says so
        self.frame = pl.DataFrame() if dataset.catalogue is None else dataset.catalogue
        return self

    @property
    def weighs_meaning(self) -> bool:
        return self.vectors.shape[1] > 0

    def attend(self, catalogue: Masks, frame: pl.DataFrame | None) -> Steer:
        """The same over a newer catalogue: sentences and labels are about that one."""
        other = copy(self)
        other.catalogue, other.frame = catalogue, pl.DataFrame() if frame is None else frame
        other._parts, other._labels = OrderedDict(), None
        return other

    def state(self) -> State:
        return State.joined(rows=self.rows.state(), items=State(arrays={"vectors": self.vectors}))

    def restore(self, state: State) -> Steer:
        self.rows = Rows.restore(state.within("rows"))
        self.vectors = state.within("items").arrays["vectors"]
        return self

    # -------------------------------------------------------------------------------------------------------- planning

    def plan(self, wishes: Sequence[Wish], allowed: Array, at: int | None = None) -> Steered:
        """Which rules hold. `allowed` (bool[n_items]) is what other rules leave; a wish whose time is over is left out.

        A soft wish never empties the page, so when nothing is left the newest hard wish is let go first, then older
        ones; an explicit no never is. A soft wish that nothing left can meet is named.
        """
        said: list[str] = []
        out = list(wishes)
        rules: dict[int, Array] = {}
        for i, wish in enumerate(out):
            if wish.until is not None and at is not None and at > wish.until:
                out[i] = replace(wish, hard=False, where=None, like=(), text="")
            elif wish.hard and wish.where is not None:
                try:
                    rules[i] = self._mask(str(wish.rule), len(allowed))
                except InterplayError as problem:
                    said.append(f"the wish {wish.text!r} cannot be obeyed: {problem}")
                    out[i] = replace(wish, hard=False, where=None, text="")
        never = [i for i in rules if not wishes[i].wanted]
        must = [i for i in rules if wishes[i].wanted]
        pool = allowed.copy()
        for i in never:
            pool &= rules[i]
        dropped: list[int] = []
        while must and pool.any():
            held = pool & np.logical_and.reduce([rules[i] for i in must])
            if held.any():
                pool = held
                break
            dropped.append(must.pop())
        relaxed = []
        still = " Every “never” still holds." if never else ""
        for i in dropped:
            out[i] = replace(out[i], hard=False)
            others = " with everything else you asked" if len(wishes) > 1 else " here"
            relaxed.append(
                (i, f"{nothing(wishes[i])}{others}. For this answer I let go of it, and put the nearest first.{still}")
            )
        if not pool.any() and never and allowed.any():
            said.append(f"Every “never” still holds, and nothing is left: {listed([wishes[i].text for i in never])}.")
        for i in reversed(range(len(out))):  # the newest first
            soft = out[i]
            weighed = soft.wanted and not soft.hard and soft.text and i not in dropped and pool.any()
            if weighed and not (self.part(soft, len(allowed))[pool] > 0).any():
                relaxed.append((i, f"{nothing(soft)} of what is left. For this answer I let go of it.{still}"))
                out[i] = replace(soft, text="", where=None, like=())
        said.extend(sentence for _, sentence in relaxed)
        where = tuple(str(w.rule) for i, w in enumerate(out) if w.hard and w.where and i in rules)
        return Steered(
            wishes=tuple(out), where=where, relaxed=tuple(relaxed), said=tuple(said), left=int(pool.sum())
        )  # fmt: skip

    def _mask(self, where: str, n: int) -> Array:
        assert self.catalogue is not None
        mask = self.catalogue.mask(where, strict=False)[:n]
        return mask if len(mask) == n else np.pad(mask, (0, n - len(mask)), constant_values=True)

    # --------------------------------------------------------------------------------------------------------- scoring

    def part(self, wish: Wish, n: int | None = None) -> Array:
        """float32[n]: how far each item meets the wish, 0 to 1 (for an unwanted one: how much it has of it)."""
        n = self.rows.n_items if n is None else n
        key = (wish.where, wish.scope, wish.like, wish.text if wish.where is None or self._textual(wish) else "", n)
        part = self._parts.get(key)
        if part is None:
            part = self._part(wish, n)
            if wish.scope != EVERYWHERE:
                part = part * self._mask(wish.scope, n)
            self._parts[key] = part
            while len(self._parts) > 1 and len(self._parts) * 4 * n > HELD:
                self._parts.popitem(last=False)
        return part

    def _textual(self, wish: Wish) -> bool:
        return wish.where is not None and " contains " in wish.where and "title" in wish.where

    def _part(self, wish: Wish, n: int) -> Array:
        out = np.zeros(n, np.float32)
        if wish.like:
            return self.config.like * self._alike(wish.like, n)
        if wish.where is not None:
            try:
                out = self._mask(wish.where, n).astype(np.float32)
            except InterplayError:
                return out
            bound = _BOUND.match(wish.where)
            if bound:
                out = np.maximum(out, self._close(bound["column"].strip("`"), float(bound["value"]), n))
        if wish.text and (wish.where is None or self._textual(wish)) and self.weighs_meaning:
            out = np.maximum(out, self.config.meaning * self._near(bare(wish), n))
        return out

    def _close(self, column: str, value: float, n: int) -> Array:
        """Nearly there: below MET, falling with the distance to a bound."""
        held = np.full(n, np.nan)
        if column in self.frame.columns:
            series: Any = self.frame[column].cast(pl.Float64, strict=False).fill_null(float("nan"))
            held[: len(series)] = series.to_numpy()[:n]
        spread = (
            max(float(np.nanquantile(held, 0.75) - np.nanquantile(held, 0.25)), 1e-9) if np.isfinite(held).any() else 1
        )
        return np.nan_to_num(0.49 * np.exp(-np.abs(held - value) / spread)).astype(np.float32)

    def _near(self, words: str, n: int) -> Array:
        """Nearness in meaning: standard deviations above the mean of the catalogue, four or more of them being 1."""
        said = self._words.get(words)
        if said is None:
            said = self._words[words] = encode_texts([words])[0]
            if len(self._words) > KEPT:
                self._words.popitem(last=False)
        return _lifted(self.vectors @ said, n)

    def _alike(self, items: Sequence[int], n: int) -> Array:
        """Nearness to things: by meaning where there are vectors, and by the share of labels they have in common."""
        known = [i for i in items if 0 <= i < n]
        if not known:
            return np.zeros(n, np.float32)
        parts = []
        inside = [i for i in known if i < len(self.vectors)]
        if self.weighs_meaning and inside:
            parts.append(_lifted(self.vectors @ self.vectors[inside].mean(axis=0), n))
        shared = self._shared(known, n)
        if shared is not None:
            parts.append(shared)
        out = np.mean(parts, axis=0) if parts else np.zeros(n)
        out[known] = 0.0  # not the very things again
        return out.astype(np.float32)

    def _shared(self, items: Sequence[int], n: int) -> Array | None:
        """Of the labels these items have, the share (rare labels weigh more) that each item has too."""
        if self._labels is None:
            self._labels = _memberships(self.frame)
        total, weight = np.zeros(n), 0.0
        for member in self._labels:  # bool[values, n_items]
            mine = member[:, [i for i in items if i < member.shape[1]]].any(axis=1)
            if mine.any():
                rare = np.log(member.shape[1] / np.maximum(member[mine].sum(axis=1), 1))
                total[: member.shape[1]] += rare @ member[mine]
                weight += float(rare.sum())
        return total / weight if weight else None

    def scores(self, wishes: Sequence[Wish], n: int) -> tuple[Array, Array]:
        """(wanted, unwanted), float32[n] each: sums over the soft wishes."""
        wanted, unwanted = np.zeros(n, np.float32), np.zeros(n, np.float32)
        for wish in wishes:
            if not wish.hard and (wish.text or wish.like):
                if wish.wanted:
                    wanted += self.part(wish, n)
                else:
                    unwanted += self.part(wish, n)
        return wanted, unwanted

    # -------------------------------------------------------------------------------------------- inside the cascade

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """The items that meet the soft wishes best, the unwanted held back; none for who wished nothing."""
        size = self.rows.n_items
        if not any(map(_weighed, requests.wishes or ())):
            return Slates.empty(len(requests), min(n, max(size, 1)))

        def score(block: Requests) -> Array:
            out = np.full((len(block), size), -np.inf, np.float32)
            tie = 1e-3 * self.rows.popularity / max(float(self.rows.popularity.max(initial=1.0)), 1.0)
            for i, wishes in enumerate(block.wishes or [()] * len(block)):
                if _weighed(wishes):
                    wanted, unwanted = self.scores(wishes, size)
                    out[i] = np.where(wanted > 0, wanted - self.config.unwanted * unwanted + tie, -np.inf)
            return out

        return best(score, requests, n, self.rows)

    def leaning(self, requests: Requests) -> tuple[Array, RuleSet] | None:
        """Which requests have soft wishes that taste should order too, and the rules that keep to what meets most of
        them: at least TIER things where there are as many."""
        rows, masks = [], []
        size = self.rows.n_items
        for i, wishes in enumerate(requests.wishes or ()):
            soft = [w for w in wishes if not w.hard and w.wanted and (w.text or w.like)]
            if not soft:
                continue
            met = sum((self.part(w, size) >= MET).astype(np.int16) for w in soft)
            allowed = requests.rules.allowed(i, size)
            keep = np.zeros(size, bool)
            for least in range(len(soft), 0, -1):
                keep |= (met >= least) & allowed
                if keep.sum() >= TIER:
                    break
            if keep.any():
                rows.append(i)
                masks.append(keep)
        if not rows:
            return None
        applied = Ragged.of([[j] for j in range(len(rows))], "mask")
        rules = RuleSet(masks=np.stack(masks), names=("meets most of what was asked",) * len(rows), applied=applied,
                        withhold_seen=False)  # fmt: skip
        return np.array(rows), rules

    def rank(self, requests: Requests, slates: Slates, features: Any = None) -> Slates:
        """Candidates in the order of taste, wanted and unwanted together; rows without soft wishes stay as they are."""
        size = self.rows.n_items
        scores = slates.scores.astype(np.float32).copy()
        columns = {name: np.zeros(slates.items.shape, np.float32) for name in ("wanted", "unwanted", "taste")}
        for i, wishes in enumerate(requests.wishes or ()):
            if not any(not w.hard and (w.text or w.like) for w in wishes):
                continue
            wanted, unwanted = self.scores(wishes, size)
            items = slates.items[i]
            held = items >= 0
            at = np.where(held, items, 0)
            own = slates.columns["part_wishes"][i] if "part_wishes" in slates.columns else 0.0
            taste = self._scaled(slates.scores[i] - own, held)
            columns["wanted"][i], columns["unwanted"][i] = wanted[at] * held, unwanted[at] * held
            columns["taste"][i] = self.config.taste * taste
            whole = columns["taste"][i] + columns["wanted"][i] - self.config.unwanted * columns["unwanted"][i]
            scores[i] = np.where(held, whole, -np.inf)
        with np.errstate(invalid="ignore"):
            order = np.argsort(-scores, axis=1, kind="stable")
        return Slates(
            items=np.take_along_axis(slates.items, order, 1), scores=np.take_along_axis(scores, order, 1),
            columns={k: np.take_along_axis(c, order, 1) for k, c in {**slates.columns, **columns}.items()},
        )  # fmt: skip

    def _scaled(self, scores: Array, held: Array) -> Array:
        count = int(held.sum())
        if not count:
            return np.zeros(len(scores), np.float32)
        if self.config.scale == "rank":
            place = np.empty(len(scores))
            place[np.argsort(-np.where(held, scores, -np.inf), kind="stable")] = np.arange(len(scores))
            return np.where(held, 1.0 - place / count, 0.0).astype(np.float32)
        low, high = float(scores[held].min()), float(scores[held].max())
        return np.where(held, (scores - low) / (high - low) if high > low else 1.0, 0.0).astype(np.float32)

    def meets(
        self, wishes: Sequence[Wish], items: Sequence[int]
    ) -> list[tuple[list[tuple[int, float]], list[tuple[int, float]]]]:
        """For each item (wishes it meets, unwanted things it has), each as (place of the wish, figure 0 to 1)."""
        size = max([self.rows.n_items, *(i + 1 for i in items)])
        out: list[tuple[list[tuple[int, float]], list[tuple[int, float]]]] = [([], []) for _ in items]
        for j, wish in enumerate(wishes):
            if not (wish.text or wish.like) or (wish.hard and not wish.wanted):
                continue
            part = self.part(wish, size)
            for (met, against), item in zip(out, items, strict=True):
                if part[item] >= MET * (self.config.like if wish.like else 1.0):
                    (met if wish.wanted else against).append((j, float(part[item])))
        return out


def _weighed(wishes: Sequence[Wish]) -> bool:
    """Whether any of these asks softly for something."""
    return any(not w.hard and w.wanted and (w.text or w.like) for w in wishes)


def bare(wish: Wish) -> str:
    """The words of a wish without what only says how much it is meant."""
    return re.sub(
        r"^(?:rather|more|some|only|just|less(?: like)?|no|maybe|a bit more|not|without|fewer|like)\s+",
        "",
        wish.text.strip(),
        flags=re.I,
    )


def nothing(wish: Wish) -> str:
    """The beginning of the sentence that says that no thing is like that."""
    bound = wish.where is not None and _BOUND.match(wish.where) is not None
    return f"Nothing is {bare(wish)}" if bound else f"Nothing meets “{bare(wish)}”"


def _lifted(cosines: Array, n: int) -> Array:
    """Cosines as standard deviations above their mean, a quarter each, on [0, 1]; items without a vector have 0."""
    spread = float(cosines.std()) or 1.0
    out = np.zeros(n, np.float32)
    out[: len(cosines)] = np.clip((cosines - cosines.mean()) / (4 * spread), 0.0, 1.0)[:n]
    return out


def _memberships(frame: pl.DataFrame) -> list[Array]:
    """bool[values, n_items] of every label column: what things can have in common."""
    out = []
    for name in frame.columns:
        series = frame[name]
        if series.dtype not in (pl.String, pl.List(pl.String)) or name in ("item_id", "title", "text"):
            continue
        rows = pl.DataFrame({"item": np.arange(series.len()), "value": series})
        rows = (rows.explode("value") if series.dtype == pl.List(pl.String) else rows).drop_nulls()
        values = rows["value"].unique().sort()
        if not 2 <= len(values) <= 400 or rows.height < 2 * len(values):
            continue
        place = {v: i for i, v in enumerate(values)}
        member = np.zeros((len(values), series.len()), bool)
        member[[place[v] for v in rows["value"]], rows["item"].to_numpy()] = True
        out.append(member)
    return out
