"""Says what a World gets wrong: whether it repeats itself, keeps its seeds apart, tells no future and keeps its rates.

    wrong = checked(lambda: PairWorld(config), first_at_hand, rates={"click": (0.46, "show")})
    assert not wrong, wrong

A policy is any function from Requests to Slates that depends on nothing else. Sentences come back, not exceptions, so
that all of what is wrong is seen at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from interplay.types import Array, Events, Reply, Requests, Slates, World

Policy = Callable[[Requests], Slates]


def first_at_hand(requests: Requests) -> Slates:
    """The first k of the candidates that the requests name."""
    items = np.asarray(requests.context["candidates"])[:, : requests.k].astype(np.int32)
    return Slates(items=items, scores=np.where(items >= 0, 0.0, -np.inf).astype(np.float32))


def walked(world: World, policy: Policy, *, seed: int, steps: int) -> list[tuple[Requests, Slates, Events]]:
    """What was asked, answered and done in the first steps after a reset."""
    asked: Requests | None = world.reset(seed)
    out: list[tuple[Requests, Slates, Events]] = []
    while asked is not None and len(out) < steps:
        slates = policy(asked)
        events, following = world.step(Reply(slates=slates))
        out.append((asked, slates, events))
        asked = following
    return out


def checked(
    make: Callable[[], World], policy: Policy = first_at_hand, *, steps: int = 20,
    rates: Mapping[str, tuple[float, str]] | None = None, within: float = 0.05,
) -> list[str]:  # fmt: skip
    """Everything that is wrong with a world, in sentences; [] when nothing was found.

    `rates` says of a kind of event how many there should be for each event of another kind, within the given share and
    three standard errors of what was seen.
    """
    wrong: list[str] = []
    world = make()
    first = walked(world, policy, seed=1, steps=steps)
    if not first:
        return ["nobody asked for anything"]
    if not _same(first, walked(make(), policy, seed=1, steps=steps)):
        wrong.append("two worlds made alike and reset with the same seed went different ways")
    if not _same(first, walked(world, policy, seed=1, steps=steps)):
        wrong.append("after a reset the same seed went another way: something is left over from before")
    if _same(first, walked(world, policy, seed=2, steps=steps)):
        wrong.append("another seed went the same way")
    last = np.iinfo(np.int64).min
    had: set[tuple[int, int]] = set()
    begin = first[0][0].at
    for number, (asked, slates, events) in enumerate(first):
        if begin is not None and "time" in asked.history:  # what people come with, from before the world began
            had |= set(itertools.compress(_past(asked), asked.history["time"] < begin.min()))
        wrong += [f"step {number}: {said}" for said in _of_step(asked, slates, events, had)]
        if asked.at is not None:
            if int(asked.at.min(initial=last)) < last:
                wrong.append(f"step {number}: requests come from before what has happened already")
            last = max(last, int(asked.at.min(initial=last)))
        had |= set(zip(events.user.tolist(), events.item.tolist(), strict=True))
    return wrong + (_rates(first, rates, within) if rates else [])


def _past(asked: Requests) -> list[tuple[int, int]]:
    """(person, item) of everything in the histories."""
    owner = np.repeat(asked.user, asked.history.lengths)
    return list(zip(owner.tolist(), asked.history["item"].tolist(), strict=True))


def _of_step(asked: Requests, slates: Slates, events: Events, had: set[tuple[int, int]]) -> list[str]:
    out = []
    unknown = [pair for pair in _past(asked) if pair[1] >= 0 and pair not in had]
    if unknown:
        out.append(f"the history of person {unknown[0][0]} holds item {unknown[0][1]}, which has not happened")
    if asked.at is not None and "time" in asked.history:
        late = asked.history["time"] > np.repeat(asked.at, asked.history.lengths)
        if late.any():
            out.append(f"{int(late.sum())} events of histories are later than their request")
    if len(events) and asked.at is not None and events.time is not None:
        start = np.full(int(max(asked.user.max(initial=0), events.user.max(initial=0))) + 1, np.iinfo(np.int64).max)
        np.minimum.at(start, asked.user, asked.at)
        if (events.time < start[events.user]).any():
            out.append("something happened before it was asked for")
    shown = {
        (int(u), int(i)) for u, row in zip(asked.user, slates.items, strict=True) for i in row if i >= 0
    }  # fmt: skip
    strange = set(zip(events.user.tolist(), events.item.tolist(), strict=True)) - shown
    if strange:
        out.append(f"events of (person, item) {min(strange)}, which was not shown")
    return out


def _rates(
    walk: list[tuple[Requests, Slates, Events]], rates: Mapping[str, tuple[float, str]], within: float
) -> list[str]:
    counts: dict[str, int] = {}
    for _, _, events in walk:
        assert events.kind is not None
        for kind, n in zip(events.kinds, np.bincount(events.kind, minlength=len(events.kinds)), strict=True):
            counts[kind] = counts.get(kind, 0) + int(n)
    out = []
    for kind, (expected, of) in rates.items():
        n = counts.get(of, 0)
        seen = counts.get(kind, 0) / max(n, 1)
        slack = within * expected + 3 * np.sqrt(expected * (1 - min(expected, 1.0)) / max(n, 1))
        if abs(seen - expected) > slack:
            out.append(
                f"{kind} happens {seen:.5f} times for each {of}; expected {expected:.5f}, give or take {slack:.5f}"
            )
    return out


def swapped(make: Callable[[], World], policy: Policy, *, seed: int = 1, steps: int = 20) -> tuple[float, float]:
    """Events for each place shown when the policy's pages are turned upside down: (the upper half's, the lower's).

    In a world without an effect of place the better items of a turned page still do better; with one, what stands on
    top gains. Compare with `halves` of the page as it was.
    """

    def turned(requests: Requests) -> Slates:
        page = policy(requests)
        held = (page.items >= 0).sum(axis=1, keepdims=True)
        at = np.where(np.arange(page.items.shape[1]) < held, held - 1 - np.arange(page.items.shape[1]), 0)
        turn = np.arange(page.items.shape[1]) < held
        return Slates(
            items=np.where(turn, np.take_along_axis(page.items, at, 1), -1).astype(np.int32),
            scores=np.where(turn, 0.0, -np.inf).astype(np.float32),
        )  # fmt: skip

    return halves(walked(make(), turned, seed=seed, steps=steps))


def halves(walk: list[tuple[Requests, Slates, Events]], kind: str = "click") -> tuple[float, float]:
    """How often a place of the upper and of the lower half of pages got an event of a kind."""
    hits, places = np.zeros(2), np.zeros(2)
    for asked, slates, events in walk:
        row = {int(u): i for i, u in enumerate(asked.user)}
        assert events.kind is not None
        wanted = events.kind == (events.kinds.index(kind) if kind in events.kinds else 0)
        k = slates.items.shape[1]
        half = (np.arange(k) >= (k + 1) // 2).astype(int)
        places += [(slates.items[:, half == h] >= 0).sum() for h in (0, 1)]
        for user, item in zip(events.user[wanted], events.item[wanted], strict=True):
            hits[half[int(np.flatnonzero(slates.items[row[int(user)]] == item)[0])]] += 1
    up, low = hits / np.maximum(places, 1)
    return float(up), float(low)


def _same(first: list[Any], second: list[Any]) -> bool:
    if len(first) != len(second):
        return False
    for (asked, slates, events), (again, others, happened) in zip(first, second, strict=True):
        columns: list[tuple[Array | None, Array | None]] = [
            (asked.user, again.user), (asked.at, again.at), (asked.history["item"], again.history["item"]),
            (slates.items, others.items), (events.user, happened.user), (events.item, happened.item),
            (events.time, happened.time), (events.kind, happened.kind), (events.value, happened.value),
        ]  # fmt: skip
        if not all((a is None and b is None) or np.array_equal(a, b) for a, b in columns):  # type: ignore[arg-type]
            return False
    return True
