"""Replay a split: ask for each judged moment what the system would have shown, and measure it against what happened.

Every item is a candidate, except what the request's history holds (`seen="drop"`). Users without anything relevant are
left out and counted. What was done is echoed in `Judged.protocol`, all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from interplay import metrics as measures
from interplay.errors import BadData, BadSetting, Leakage, unknown
from interplay.evaluate.judged import Judged, inside, shown
from interplay.evaluate.queries import replay_queries
from interplay.evaluate.reads import refuse_second
from interplay.types import TEST, VALID, Array, Dataset, Ragged, Requests, Retriever

if TYPE_CHECKING:
    from interplay.data.split import Split

__all__ = ["Asked", "Judged", "Validation", "replay", "replay_queries", "validation"]

PARTS = {VALID: "valid", TEST: "test"}
HISTORIES = ("train", "train+valid", "earlier", "fold", "none")
OWN = {  # what a rule's requests know
    "last-out": "earlier", "time": "earlier", "user-time": "earlier", "strong": "fold", "session": "fold"
}  # fmt: skip
BLOCK = 8192  # requests asked at once


def replay(
    retriever: Retriever,
    split: Split,
    *,
    which: int = TEST,
    on: str | None = None,
    metrics: str | Sequence[str] = ("recall@20", "ndcg@20"),
    seen: str = "drop",
    history: str | None = None,
    reread: bool = False,
    log: Path | None = None,
    block: int = BLOCK,
) -> Judged:
    """Judge a fitted system on a part of a split, against the whole catalogue. Same model, same answer.

    on       what it was fitted on: `train` or `train+valid` (the default for TEST; VALID is judged after `train`)
    seen     `drop`: items of the request's history are withheld, and do not count as relevant; `keep`: they may come
             again and count (music, groceries)
    history  what is known of people: None as the split's rule says, or one of HISTORIES
    reread   this very model has read this test part before, and that is meant
    log      a file to which every read of a test part is appended
    """
    names = tuple(measures.parse(metrics))
    asked = Asked.of(split, which, on=on, seen=seen, history=history)
    if which == TEST:
        refuse_second(retriever, split.hash, reread=reread)
    judged = asked.judge(retriever, names, block=block, also={"candidates": "all items"})
    return judged.noted(retriever, split.hash, log) if which == TEST else judged


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """The judged requests of a split with their truth: made once, put to any number of systems."""

    requests: Requests
    truth: Ragged
    cold: Array  # bool[n]
    protocol: Mapping[str, Any]

    @staticmethod
    def of(split: Split, which: int, *, on: str | None = None, seen: str = "drop", history: str | None = None) -> Asked:
        """Requests that have something relevant, with histories, rules and the beginning of the protocol."""
        on = on or ("train+valid" if which == TEST else "train")
        _check(split, which, on, seen, history)
        requests, truth = split.judged(which, on, history=history)
        fitted = split.fitted(on)
        truth = Ragged(offsets=truth.offsets, columns={c: truth[c] for c in ("item", "relevance") if c in truth})
        repeats = 0
        if seen == "drop":
            again = inside(truth, requests.history)
            repeats, truth = int(again.sum()), truth.where(~again)
        rows = measures.judgeable(truth)
        if not len(rows):
            raise BadData(
                f"the {PARTS[which]} part of {split.dataset.name!r} (rule {split.rule!r}) holds nothing to judge; "
                "choose another rule, or larger parts"
            )
        left_out = len(requests) - len(rows)
        requests, truth = requests.take(rows), truth.take(rows)
        requests = replace(requests, rules=replace(requests.rules, withhold_seen=seen == "drop"))
        known = np.append(np.diff(fitted.offsets) > 0, False)  # the last entry answers for a stranger, -1
        cold = ~known[requests.user] & (requests.history.lengths == 0)
        data = split.dataset
        return Asked(
            requests=requests, truth=truth, cold=cold,
            protocol={
                "data": data.name, "fingerprint": data.fingerprint, "n_users": data.n_users, "n_items": data.n_items,
                "split": {"rule": split.rule, "seed": split.seed, "hash": split.hash, "notes": list(split.notes)},
                "part": PARTS[which], "on": on, "history": history or OWN.get(split.rule, on), "seen": seen,
                "requests": len(requests), "left_out": left_out, "repeats_not_counted": repeats,
                "cold": int(cold.sum()), "older_than_fitted": _older(split, which, fitted),
                "ties": "hash of the item id",
            },
        )  # fmt: skip

    def judge(
        self, retriever: Retriever, names: Sequence[str], *, block: int = BLOCK, also: Mapping[str, Any]
    ) -> Judged:
        """Ask, check that nothing withheld was shown, measure."""
        cut = max(k for _, k in measures.parse(names).values())
        slates, seconds = shown(retriever, self.requests, cut, block=block)
        return Judged(
            users=measures.measure(slates, self.truth, names), who=self.requests.user, cold=self.cold, slates=slates,
            truth=self.truth, seconds=seconds,
            protocol={**self.protocol, **also, "system": type(retriever).__name__, "metrics": list(names)},
        )  # fmt: skip


def _check(split: Split, which: int, on: str, seen: str, history: str | None) -> None:
    if which not in PARTS:
        raise BadSetting(f"part {which} cannot be judged; expected VALID ({VALID}) or TEST ({TEST})")
    if on not in ("train", "train+valid"):
        raise BadSetting(f"on is {on!r}; expected 'train' or 'train+valid'")
    if seen not in ("drop", "keep"):
        raise BadSetting(f"seen is {seen!r}; expected 'drop' or 'keep'")
    if history is not None and history not in HISTORIES:
        raise unknown("history", history, HISTORIES)
    if history == "fold" and split.rule not in ("strong", "session"):
        raise BadSetting(f"rule {split.rule!r} has no folds; history 'fold' belongs to 'strong' and 'session'")
    if which == VALID and "train+valid" in (on, history):
        raise Leakage("the validation part is judged by what is fitted or known on 'train' only; it would see itself")


def _older(split: Split, which: int, fitted: Dataset) -> int | None:
    """How many judged events happened before the newest fitted one: other people's future was known."""
    when = split.dataset.events.time
    if when is None or not len(fitted.events) or fitted.events.time is None:
        return None
    return int((when[split.part == which] < fitted.events.time.max()).sum())


# --------------------------------------------------------------------------------------------------------------------
# Choosing epochs and settings


class Validation:
    """Judges a model as it stands on the validation part; what `Run.validation` takes. Higher is better."""

    which = VALID

    def __init__(self, split: Split, metric: str, *, seen: str = "drop", at_most: int | None = None) -> None:
        self.split, self.metric, self.seen, self.at_most = split, next(iter(measures.parse(metric))), seen, at_most

    @cached_property
    def asked(self) -> Asked:
        asked = Asked.of(self.split, VALID, on="train", seen=self.seen)
        if self.at_most is None or len(asked.requests) <= self.at_most:
            return asked
        chosen = np.random.default_rng(self.split.seed).choice(len(asked.requests), self.at_most, replace=False)
        rows = np.sort(chosen)
        return replace(asked, requests=asked.requests.take(rows), truth=asked.truth.take(rows), cold=asked.cold[rows])

    def __call__(self, model: Retriever) -> float:
        return self.asked.judge(model, (self.metric,), also={}).mean()[self.metric]


def validation(
    split: Split, metric: str = "ndcg@20", *, which: int = VALID, seen: str = "drop", at_most: int | None = None
) -> Validation:
    """A judge for `Run.validation`: the mean of one metric over the validation part, after a fit on `train`.

    `at_most` judges a seeded sample of so many requests, the same at every call. Raises Leakage for the test part: what
    is chosen on it cannot be judged on it.
    """
    if which != VALID:
        raise Leakage("validation chooses epochs and settings, so it may read the validation part only; drop `which`")
    return Validation(split, metric, seen=seen, at_most=at_most)
