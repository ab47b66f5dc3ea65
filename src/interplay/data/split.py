"""Which events may be learnt from, which are for choosing settings, and which are judged once at the end.

given     what the data set itself says (`Events.part`); a missing validation part is drawn from train, per user
time      two cut times for everybody, at quantiles of the events: train < t1 <= valid < t2 <= test
user-time each user's first events are train, the next valid, the last test; events of one moment stay together
last-out  each user's last event is test, the one before valid; users with fewer than three events stay in train
random    each user's events by lot, at least one test and one valid event for users with three or more
strong    some users are never learnt from: 80 % of their events are shown as history (a fold), 20 % are judged
session   the last sessions are held out: all but their last item is shown, the last item is judged

A split is a function of dataset, rule, shares and seed, and carries a hash of its outcome.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from interplay.errors import BadData, BadSetting, Leakage, unknown
from interplay.types import TEST, TEST_FOLD, TRAIN, VALID, VALID_FOLD, Array, Dataset, Ragged, Requests

FOLDS = {VALID: VALID_FOLD, TEST: TEST_FOLD}
FITTED = {"train": (TRAIN,), "train+valid": (TRAIN, VALID, VALID_FOLD)}  # the parts that a model may learn from
FOLD = 0.8  # share of a held-out user's events that is shown


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """A dataset with every event assigned to a part."""

    dataset: Dataset
    rule: str
    seed: int
    part: Array  # int8[n_events]: TRAIN, VALID, TEST, VALID_FOLD, TEST_FOLD
    notes: tuple[str, ...] = ()  # what a reader of the numbers should know

    @cached_property
    def hash(self) -> str:
        """sha256 of the data, the rule, the seed and the parts: equal for equal splits, on any machine."""
        h = hashlib.sha256(f"{self.rule}:{self.seed}:{self.dataset.fingerprint}:".encode())
        h.update(np.ascontiguousarray(self.part, np.int8).tobytes())
        return h.hexdigest()

    @property
    def sizes(self) -> dict[str, int]:
        """Events in each part that has any."""
        named = ("train", "valid", "test", "valid_fold", "test_fold")
        return {n: int(c) for n, c in zip(named, np.bincount(self.part, minlength=5), strict=True) if c}

    def describe(self) -> dict[str, Any]:
        """What is stored with a model and printed above a table."""
        return {
            "rule": self.rule,
            "seed": self.seed,
            "hash": self.hash,
            "events": self.sizes,
            "notes": list(self.notes),
        }

    def fitted(self, on: str = "train") -> Dataset:
        """The events that a model may learn from, in the same index space; `on` is "train" or "train+valid".

        Held-out people of a strong split are never in it, nor is anything of a held-out session.
        """
        if on not in FITTED:
            raise unknown("part to fit on", on, FITTED)
        return self.dataset.where(np.isin(self.part, FITTED[on]))

    def judged(
        self, which: int = TEST, on: str | None = None, *, history: str | None = None
    ) -> tuple[Requests, Ragged]:
        """One request for each user (or session) with events in part `which`, and what they went on to choose.

        Args:
            which: VALID or TEST.
            on: what the model was fitted on; by default "train" for VALID and "train+valid" for TEST.
            history: None for the rule's own (time, user-time, last-out: everything earlier; given, random: the fitted
                parts; strong, session: the fold), or "train", "train+valid", "earlier", "fold", "none".

        Returns:
            requests, with `at` the time of the first judged event (never before the end of the history), and the
            truth: column `item`, each item once.

        Errors: Leakage if the judged part was fitted on.
        """
        on = on or ("train" if which == VALID else "train+valid")
        if on not in FITTED:
            raise unknown("part to fit on", on, FITTED)
        if which in FITTED[on]:
            raise Leakage("the validation part cannot judge a model that was fitted on train+valid; fit on train")
        e = self.dataset.events
        owner, user = self._owners(which)
        held = np.flatnonzero((self.part == which) & (owner >= 0))
        n = len(user)
        pairs = np.unique(owner[held].astype(np.int64) * self.dataset.n_items + e.item[held]) if len(held) else held
        items = max(self.dataset.n_items, 1)
        truth = Ragged.grouped((pairs // items).astype(np.int64), n, item=(pairs % items).astype(np.int32))
        first = np.full(n, len(e), np.int64)
        np.minimum.at(first, owner[held], held)
        shown = self._history(which, on, history, owner, first)
        by = Ragged.grouped(owner[shown], n, **{k: c[shown] for k, c in e.history_columns().items()})
        return Requests(user=user, history=by, at=self._moment(by, first)), truth

    def _owners(self, which: int) -> tuple[Array, Array]:
        """int[n_events] the request that each event may belong to (-1: none), and int32[n] the user of each request."""
        e = self.dataset.events
        held = self.part == which
        if self.rule == "session":
            key = _session_keys(self.dataset)
            chosen, at = np.unique(key[held], return_index=True)
            return _lookup(chosen, key), e.user[held][at]
        chosen = np.unique(e.user[held])
        return _lookup(chosen, e.user), chosen.astype(np.int32)

    def _history(self, which: int, on: str, history: str | None, owner: Array, first: Array) -> Array:
        """Positions of the events that are shown to the requests."""
        own = {
            "last-out": "earlier", "time": "earlier", "user-time": "earlier", "strong": "fold", "session": "fold"
        }.get(self.rule, on)  # fmt: skip
        kind = history or own
        flags: Array
        if kind == "none":
            flags = np.zeros(len(owner), bool)
        elif kind == "earlier":
            allowed = (TRAIN, VALID, VALID_FOLD, TEST_FOLD, TEST) if which == TEST else (TRAIN, VALID_FOLD)
            before = np.arange(len(owner)) < first[owner] if len(first) else np.zeros(len(owner), bool)
            flags = before & np.isin(self.part, allowed) & (self.part != which)
        elif kind == "fold":
            flags = self.part == FOLDS[which]
        elif kind in FITTED:
            if which in FITTED[kind]:
                raise Leakage("the validation part cannot be the history of the requests that it judges")
            flags = np.isin(self.part, FITTED[kind])
        else:
            raise unknown("history", kind, ("train", "train+valid", "earlier", "fold", "none"))
        return np.flatnonzero(flags & (owner >= 0))

    def _moment(self, history: Ragged, first: Array) -> Array | None:
        """int64[n]: when each request is made. A lot may show history that is later than the first judged event; then
        the request is made after its history, so that `at` never contradicts it."""
        time = self.dataset.events.time
        if time is None:
            return None
        at = time[first] if len(first) else np.zeros(0, np.int64)
        if len(history["item"]):
            np.maximum.at(at, history.owner, history["time"])
        return at


def split(dataset: Dataset, rule: str | None = None, *, seed: int = 0, valid: float = 0.1, test: float = 0.1) -> Split:
    """Assign every event to a part; `rule` None takes given if the data set has one, else time, else random.

    A set of texts and queries without a log has an empty split.

    Errors: BadData where the data do not carry the rule (no times, no order, no sessions, too few events).
    """
    asked = rule
    if rule is None:
        rule = "given" if dataset.events.part is not None else "time" if dataset.events.time is not None else "random"
    if rule not in RULES:
        raise unknown("split", rule, RULES)
    if not (0 <= valid < 1 and 0 < test < 1 and valid + test < 1):
        raise BadSetting(f"valid={valid} and test={test} should be shares that leave something to learn from")
    if not len(dataset.events) and asked is None and "queries" in dataset.tables and dataset.catalogue is not None:
        said = f"{dataset.name} has no events: only what learns from texts can be fitted, judged by its queries"
        return Split(dataset=dataset, rule="given", seed=seed, part=np.zeros(0, np.int8), notes=(said,))
    if not len(dataset.events):
        raise BadData(f"{dataset.name} has no events; there is nothing to split")
    part, notes = RULES[rule](dataset, seed, valid, test)
    if not (part == TRAIN).any():
        raise BadData(f"{dataset.name} is too small for a {rule} split: no event is left to learn from")
    for which, name in ((VALID, "valid"), (TEST, "test")):
        if not (part == which).any():
            notes.append(f"nothing is in the {name} part: {dataset.name} is too small for a {rule} split")
    return Split(dataset=dataset, rule=rule, seed=seed, part=part, notes=(*notes, *_warnings(dataset, rule, part)))


# --------------------------------------------------------------------------------------------------------------------
# Rules: (dataset, seed, share of valid, share of test) -> parts and notes


def _given(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:
    given = dataset.events.part
    if given is None:
        raise BadData(f"{dataset.name} has no split column; choose time, last-out, random, strong or session")
    if not (given == TEST).any() or not (given == TRAIN).any():
        raise BadData(f"the split column of {dataset.name} has no {'test' if (given == TRAIN).any() else 'train'} rows")
    part = given.astype(np.int8).copy()
    if (part == VALID).any() or not valid:
        return part, []
    train = np.flatnonzero(part == TRAIN)
    rank, count = _lots(dataset.events.user[train], dataset.n_users, seed)
    taken = np.where(count >= 2, np.maximum(np.round(count * valid), 1), 0)
    part[train[rank < taken]] = VALID
    return part, [
        f"the data set gives no validation part: {valid:.0%} of each user's train events were drawn (seed {seed})"
    ]


def _time(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:
    time = dataset.events.time
    if time is None:
        raise BadData(f"a time split needs a timestamp column; {dataset.name} has none. Choose random or last-out")
    first, second = _cuts(time, valid, test)
    part = _period(time, first, second)
    if not (part == TRAIN).any():
        raise BadData(f"the events of {dataset.name} lie too close in time for a time split; choose random or last-out")
    return part, [f"cut at {np.datetime64(first, 'us')} and {np.datetime64(second, 'us')} UTC"]


def _user_time(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:
    e = dataset.events
    if e.time is None and not e.ordered:
        raise BadData(f"user-time needs the order of events; {dataset.name} has neither timestamp nor order column")
    starts, count = dataset.offsets[:-1][e.user], np.diff(dataset.offsets)[e.user]
    first = np.arange(len(e))  # the first event of the same user at the same moment: all of them are in its part
    if e.time is not None:
        new = np.concatenate([[True], (np.diff(e.user) != 0) | (np.diff(e.time) != 0)])
        first = np.maximum.accumulate(np.where(new, first, 0))
    done = (first - starts) / np.maximum(count, 1)
    part = np.where(done >= 1 - test - 1e-9, TEST, np.where(done >= 1 - valid - test - 1e-9, VALID, TRAIN))
    return part.astype(np.int8), []


def _last_out(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:
    e = dataset.events
    if e.time is None and not e.ordered:
        raise BadData(f"last-out needs the order of events; {dataset.name} has neither timestamp nor order column")
    part = np.full(len(e), TRAIN, np.int8)
    ends = dataset.offsets[1:][np.diff(dataset.offsets) >= 3]
    part[ends - 1], part[ends - 2] = TEST, VALID
    return part, []


def _random(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:
    rank, count = _lots(dataset.events.user, dataset.n_users, seed)
    tests = np.where(count >= 3, np.maximum(np.round(count * test), 1), 0)
    valids = np.where((count >= 3) & (valid > 0), np.maximum(np.round(count * valid), 1), 0)
    return np.where(rank < tests, TEST, np.where(rank < tests + valids, VALID, TRAIN)).astype(np.int8), []


def _strong(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:
    e = dataset.events
    able = np.flatnonzero(np.diff(dataset.offsets) >= 2)
    drawn = np.random.default_rng([seed, 1]).permutation(able)
    n_test = min(max(round(len(able) * test), 1), max(len(able) - 1, 0))
    n_valid = min(max(round(len(able) * valid), 1), max(len(able) - 1 - n_test, 0)) if valid else 0
    role = np.full(dataset.n_users, TRAIN, np.int8)
    role[drawn[:n_test]], role[drawn[n_test : n_test + n_valid]] = TEST, VALID
    rank, count = _lots(e.user, dataset.n_users, seed)
    fold = rank >= np.maximum(np.round(count * (1 - FOLD)), 1)
    folded = np.array([TRAIN, VALID_FOLD, TEST_FOLD], np.int8)
    part = np.where(fold, folded[role[e.user]], role[e.user]).astype(np.int8)
    return part, [
        f"{n_test:,} people are held out for test and {n_valid:,} for validation; {FOLD:.0%} of theirs is shown"
    ]


def _session(dataset: Dataset, seed: int, valid: float, test: float) -> tuple[Array, list[str]]:
    e = dataset.events
    if e.session is None or not (e.session >= 0).any():
        raise BadData(f"a session split needs a session_id column; {dataset.name} has none")
    if e.time is None:
        raise BadData(
            f"a session split takes the last sessions, so it needs a timestamp column; {dataset.name} has none"
        )
    inside = np.flatnonzero(e.session >= 0)
    _, which, size = np.unique(_session_keys(dataset)[inside], return_inverse=True, return_counts=True)
    end = np.full(len(size), np.iinfo(np.int64).min)
    np.maximum.at(end, which, e.time[inside])  # by its end: then nothing that is fitted is later than a cut
    first, second = _cuts(end, valid, test)
    period = _period(end, first, second)
    last = np.zeros(len(size), np.int64)
    np.maximum.at(last, which, inside)  # the log is sorted by time inside a user, so also inside a session
    folded = np.array([TRAIN, VALID_FOLD, TEST_FOLD], np.int8)
    part = folded[_period(e.time, first, second)]  # events outside any session: by their own time
    part[inside] = folded[period[which]]
    judged = (size >= 2) & (period != TRAIN)
    part[last[judged]] = period[judged]
    return part, [f"sessions that end at or after {np.datetime64(second, 'us')} UTC are test"]


RULES: dict[str, Callable[[Dataset, int, float, float], tuple[Array, list[str]]]] = {
    "given": _given, "time": _time, "user-time": _user_time, "last-out": _last_out, "random": _random,
    "strong": _strong, "session": _session,
}  # fmt: skip


def _cuts(moments: Array, valid: float, test: float) -> tuple[int, int]:
    """The moments at which validation and test begin."""
    ordered = np.sort(moments)
    places = (int(np.ceil(share * len(ordered) - 1e-9)) for share in (1 - valid - test, 1 - test))
    first, second = (int(ordered[min(place, len(ordered) - 1)]) for place in places)
    return first, second


def _period(moments: Array, first: int, second: int) -> Array:
    """int8: the part of each moment; those of one moment always fall on the same side of a cut."""
    return np.where(moments >= second, TEST, np.where(moments >= first, VALID, TRAIN)).astype(np.int8)


def _lots(user: Array, n_users: int, seed: int) -> tuple[Array, Array]:
    """For each event its place in a random order of its user's events, and how many its user has."""
    count = np.bincount(user, minlength=n_users)
    order = np.lexsort((np.random.default_rng(seed).random(len(user)), user))
    rank = np.empty(len(user), np.int64)
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    rank[order] = np.arange(len(user)) - starts[user[order]]
    return rank, count[user]


def _session_keys(dataset: Dataset) -> Array:
    """int64[n_events]: one number per (user, session); -1 outside of sessions."""
    e = dataset.events
    assert e.session is not None
    _, dense = np.unique(e.session, return_inverse=True)
    return np.where(e.session >= 0, e.user.astype(np.int64) * (int(dense.max(initial=0)) + 1) + dense, -1)


def _lookup(chosen: Array, values: Array) -> Array:
    """int64: the place of each value in the sorted `chosen`, -1 where it is not there."""
    if not len(chosen):
        return np.full(len(values), -1, np.int64)
    at = np.minimum(np.searchsorted(chosen, values), len(chosen) - 1)
    return np.where(chosen[at] == values, at, -1)


def _warnings(dataset: Dataset, rule: str, part: Array) -> list[str]:
    """Two leaks that a rule may carry by nature, counted: other people's future, and answers inside the history."""
    e, notes = dataset.events, []
    test, learnt = part == TEST, np.isin(part, FITTED["train+valid"])
    if e.time is not None and test.any() and learnt.any() and rule not in ("time", "session"):
        older = int((e.time[test] < e.time[learnt].max()).sum())
        if older:
            notes.append(f"{older:,} of {int(test.sum()):,} test events are older than the latest event learnt from")
    pair = e.user.astype(np.int64) * max(dataset.n_items, 1) + e.item
    known = np.sort(pair[learnt | (part == TEST_FOLD)])
    again = int((_lookup(known, pair[test]) >= 0).sum())
    if again:
        notes.append(f"{again:,} test events repeat an item of the same user's history; --seen drop cannot answer them")
    return notes
