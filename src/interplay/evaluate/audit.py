"""The leakage audit: what was fitted, known or chosen by must not hold what is judged. A leak fails the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from interplay.errors import BadSetting, Leakage, Mismatch
from interplay.types import EMPTY, TEST, VALID, Array, Dataset, Events, Rows

if TYPE_CHECKING:
    from interplay.data.split import Split

NAMES = {0: "train", 1: "valid", 2: "test", 3: "valid fold", 4: "test fold"}


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was looked at and found clean, one sentence each."""

    checked: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(self.checked)


def audit(
    split: Split,
    fitted: Dataset,
    *,
    on: str = "train+valid",
    which: int = TEST,
    model: Any = None,
    counts: Mapping[str, Array] = EMPTY,
    vocabulary: Array | None = None,
    validation: Callable[[Any], float] | None = None,
) -> Audit:
    """Raise Leakage where anything fitted, known or chosen by holds what `which` will be judged on.

    fitted      the data set that was handed to `fit`
    model       a fitted model; its `rows` (popularity, events per user) are compared with what `on` holds
    counts      statistics per item by name (float[n_items]), such as a popularity table made elsewhere
    vocabulary  items (int[]) that are treated as known from behaviour
    validation  what chose the epochs or settings (`Run.validation`)
    """
    if on not in ("train", "train+valid"):
        raise BadSetting(f"on is {on!r}; expected 'train' or 'train+valid'")
    if fitted.users != split.dataset.users or fitted.items != split.dataset.items:
        raise Mismatch("the fitted data and the split have different index spaces; fit on split.fitted(on)")
    allowed = split.fitted(on)
    checked = [
        _events(split, fitted, allowed, on), _times(split, fitted, which), _histories(split, which, on),
        *_statistics(model, counts, vocabulary, allowed), _choice(validation, on),
    ]  # fmt: skip
    return Audit(checked=tuple(sentence for sentence in checked if sentence))


def _numbered(*logs: Events) -> list[Array]:
    """One number per event and log, equal where user, item and time (where known) are."""
    timed = all(log.time is not None for log in logs)
    columns = [np.concatenate([log.user for log in logs]), np.concatenate([log.item for log in logs])]
    columns += [np.concatenate([log.time for log in logs if log.time is not None])] if timed else []
    order = np.lexsort(columns)
    changed = np.zeros(len(order), bool)
    for column in columns:
        changed[1:] |= np.diff(column[order]) != 0
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(changed)
    return np.split(number, np.cumsum([len(log) for log in logs])[:-1])


def _beyond(found: Events, allowed: Events) -> Array:
    """int64[]: events of `found` that occur there more often than in `allowed`."""
    a, b = _numbered(found, allowed)
    width = int(max(a.max(initial=0), b.max(initial=0))) + 1
    excess = np.bincount(a, minlength=width) > np.bincount(b, minlength=width)
    return np.flatnonzero(excess[a])


def _events(split: Split, fitted: Dataset, allowed: Dataset, on: str) -> str:
    extra = _beyond(fitted.events, allowed.events)
    if len(extra):
        a, b = _numbered(fitted.events.where(extra), split.dataset.events)
        parts, sizes = np.unique(split.part[np.isin(b, a)], return_counts=True)
        named = {NAMES[int(p)]: int(s) for p, s in zip(parts, sizes, strict=True)}
        raise Leakage(
            f"{len(extra)} fitted events do not belong to {on!r} of this split (they match events of "
            f"{named or 'no part'}); fit on split.fitted({on!r})"
        )
    return f"all {len(fitted.events)} fitted events belong to {on!r}"


def _times(split: Split, fitted: Dataset, which: int) -> str:
    when, held = split.dataset.events.time, fitted.events.time
    judged = split.part == which
    if split.rule != "time" or when is None or held is None or not judged.any():
        return ""
    cut = int(when[judged].min())
    late = int((held >= cut).sum())
    if late:
        raise Leakage(f"{late} fitted events are not older than the first judged one ({cut}); fit on split.fitted(on)")
    return f"every fitted event is older than the first judged one ({cut})"


def _histories(split: Split, which: int, on: str) -> str:
    if which == VALID and on != "train":
        raise Leakage("the validation part is judged after a fit on 'train'; 'train+valid' holds it")
    requests, _ = split.judged(which, on)
    known, data = requests.history, split.dataset
    if requests.at is not None and "time" in known:
        late = int((known["time"] > np.repeat(requests.at, known.lengths)).sum())
        if late:
            raise Leakage(f"{late} history events are later than the moment they belong to; cut histories at `at`")
    named = requests.user[known.owner] >= 0
    shown = Events(user=requests.user[known.owner][named], item=known["item"][named],
                   time=known["time"][named] if "time" in known else None)  # fmt: skip
    if split.rule != "session":  # there, what one session is judged on is rightly the next one's past
        wrong = _beyond(_distinct(shown), data.events.where(split.part != which))
        if len(wrong):
            raise Leakage(f"{len(wrong)} history events are judged ones; a history ends before what is judged begins")
    return f"no history of {len(requests)} requests holds a judged event"


def _distinct(events: Events) -> Events:
    """Each event once: several requests of one user repeat a history."""
    (number,) = _numbered(events)
    return events.where(np.sort(np.unique(number, return_index=True)[1]))


def _statistics(model: Any, counts: Mapping[str, Array], vocabulary: Array | None, allowed: Dataset) -> list[str]:
    checked, known = [], Rows.of(allowed)
    total = np.bincount(allowed.events.item, minlength=allowed.n_items)
    rows = getattr(model, "rows", None)
    if isinstance(rows, Rows):
        _compare("the model's popularity", rows.popularity, known.popularity)
        _compare("the model's events per user", rows.events, known.events)
        checked.append("popularity and events per user of the model come from the fitted part")
    for name, values in counts.items():
        _compare(name, values, total)
        checked.append(f"{name} counts nothing outside the fitted part")
    if vocabulary is not None:
        future = np.setdiff1d(vocabulary, np.flatnonzero(total))
        if len(future):
            raise Leakage(
                f"{len(future)} items of the vocabulary have no event in the fitted part (first: "
                f"{allowed.items[int(future[0])]!r}); build vocabularies from split.fitted(on)"
            )
        checked.append(f"all {len(vocabulary)} items of the vocabulary occur in the fitted part")
    return checked


def _compare(name: str, found: Array, allowed: Array) -> None:
    width = max(len(found), len(allowed))
    over = np.flatnonzero(np.pad(found, (0, width - len(found))) > np.pad(allowed, (0, width - len(allowed))) + 1e-6)
    if len(over):
        raise Leakage(f"{name} counts more than the fitted part holds at {len(over)} places; count on split.fitted(on)")


def _choice(validation: Callable[[Any], float] | None, on: str) -> str:
    if validation is None:
        return ""
    which = getattr(validation, "which", None)
    if which == TEST:
        raise Leakage("epochs or settings were chosen on the test part; choose by evaluate.replay.validation(split)")
    if on == "train+valid":
        raise Leakage(
            "this fit on 'train+valid' was judged on the validation part that it holds; choose epochs after a fit on "
            "'train', then refit with Run(epochs=...)"
        )
    return "epochs were chosen " + ("on the validation part" if which == VALID else "by a judge that is unknown here")
