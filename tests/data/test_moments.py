"""Moments at which something was gone for: pages acted on, or single events, and what may be learnt before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from interplay.data import moments
from interplay.data.moments import Moments, cut
from interplay.types import Dataset, Events, Ids

MINUTE = 60_000_000


def shown(n_users: int = 20, pages: int = 14) -> Dataset:
    """Each person sees pages of five of 30 things, a page an hour, clicks the second thing, and the third of every
    other page; the last thing of a page is never seen. Every third page is a search."""
    rng, rows, done = np.random.default_rng(0), [], []
    for page in range(pages):
        for user in range(n_users):
            request, at = f"r{user}-{page}", (page * 60 + user) * MINUTE
            items = rng.permutation(30)[:5]
            surface = "search" if page % 3 == 2 else "feed"
            rows += [
                {"request_id": request, "user_id": f"u{user}", "timestamp": at, "item_id": f"i{item}", "slot": slot,
                 "seen": slot < 4, "surface": surface}
                for slot, item in enumerate(items.tolist())
            ]  # fmt: skip
            clicked = items[1:3] if page % 2 else items[1:2]
            done += [(user, int(item), at + (1 + k) * MINUTE // 4, request) for k, item in enumerate(clicked)]
    done.sort(key=lambda d: (d[0], d[2]))
    events = Events(
        user=np.array([d[0] for d in done], np.int32), item=np.array([d[1] for d in done], np.int32),
        time=np.array([d[2] for d in done], np.int64), ordered=True,
        context={"request_id": np.array([d[3] for d in done])},
    )  # fmt: skip
    return Dataset(
        name="shown", users=Ids([f"u{u}" for u in range(n_users)]), items=Ids([f"i{i}" for i in range(30)]),
        events=events, tables={"impressions": pl.DataFrame(rows)},
    )  # fmt: skip


def test_pages_of_a_feed_that_were_acted_on_are_moments_with_what_was_left(monkeypatch):
    monkeypatch.setattr(moments, "FEWEST", 20)
    data = shown()
    found = Moments.of(data)
    request = data.events.context["request_id"]
    table = data.tables["impressions"]
    assert len(found) == 20 * 10 - 20, "searches are not among them, nor anybody's first event"
    for i in (0, 7, 101):
        page = table.filter(pl.col("request_id") == request[found.at[i]])
        own = np.flatnonzero(request == request[found.at[i]])
        assert own[0] == found.at[i] and set(page["surface"]) == {"feed"}
        assert set(found.truth.row(i)["item"].tolist()) == set(data.events.item[own].tolist())
        seen = set(data.items.index(page.filter(pl.col("seen"))["item_id"].to_list()).tolist())
        assert set(found.left.row(i)["item"].tolist()) == seen - set(found.truth.row(i)["item"].tolist())
    asked = found.asked(data)
    assert (asked.user == -1).all() and asked.at is not None
    for i in (0, 7, 101):
        assert (asked.history.row(i)["time"] < asked.at[i]).all()


def test_without_pages_or_with_a_few_every_event_is_a_moment():
    data = shown(4, 5)
    for bare in (data, replace(data, tables={})):
        found = Moments.of(bare)
        assert len(found) == len(data.events) - 4 and not len(found.left["item"])
        assert (found.truth.lengths == 1).all()


def test_one_fold_cuts_by_time_and_several_by_people_and_neither_shows_what_is_asked_about():
    data, rng = shown(), np.random.default_rng(1)
    ((older, asked),) = cut(data, Moments.of(data), 1, 1000, rng)
    since = int(data.events.time[asked.at].min())
    assert len(asked) > 0 and int(older.events.time.max()) < since
    assert int(older.tables["impressions"]["timestamp"].max()) < since
    for others, asked in cut(data, Moments.of(data), 3, 1000, rng):
        people = set(data.events.user[asked.at].tolist())
        assert people and not people & set(others.events.user.tolist())
        assert not people & set(data.users.index(others.tables["impressions"]["user_id"].to_list()).tolist())
    untimed = replace(data, events=replace(data.events, time=None), tables={})
    assert len(list(cut(untimed, Moments.of(untimed), 1, 1000, rng))) == 2, "without times people are dealt into two"
