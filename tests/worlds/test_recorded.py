"""The world of recorded agents: its answers are the recording's, whatever is shown."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from test_learned import always, ratings

from interplay.errors import BadSetting
from interplay.types import Reply, Slates
from interplay.worlds.check import checked, walked
from interplay.worlds.learned import LearnedConfig, parts_by_time
from interplay.worlds.recorded import (
    LAST,
    PLACES,
    STARS,
    WATCHED,
    RecordedWorld,
    activity,
    counts,
    drawn_pages,
    drawn_stars,
)


def world(**more) -> RecordedWorld:
    train, valid, _ = parts_by_time(ratings())
    return RecordedWorld(ratings(), train, valid, LearnedConfig(dim=2, places=PLACES, **more))


def unmet(world: RecordedWorld):
    """A policy that shows what somebody has not met, anew on each page."""

    def policy(requests):
        page = [(np.flatnonzero(~world.seen[u]).tolist() + [-1] * PLACES)[:PLACES] for u in requests.user]
        return Slates(items=np.array(page, np.int32), scores=np.zeros((len(page), PLACES), np.float32))

    return policy


def test_a_recording_is_counted_by_activity_page_and_place(tmp_path):
    pl.DataFrame({"agent": [7, 9], "activity": [1, 3]}).write_parquet(tmp_path / "personas.parquet")
    pl.DataFrame({
        "agent": [7, 7, 7, 9, 9], "page": [1, 1, 2, 1, 1], "position": [0, 1, 0, 1, 3],
        "watched": [True, True, False, True, False], "rating": [4, 5, 0, 3, 0],
    }).write_parquet(tmp_path / "llm_agent_log.parquet")  # fmt: skip
    watched, last, stars = counts(tmp_path)
    assert {(a, b): int(watched[a, b]) for a, b in np.argwhere(watched)} == {(0, 0b11): 1, (0, 0): 1, (2, 0b10): 1}
    assert last.tolist() == [[0, 1, 0, 0, 0], [0] * 5, [1, 0, 0, 0, 0]]
    assert stars.tolist() == [[0, 1, 0], [1, 0, 1], [0, 0, 0], [0, 0, 0]]
    assert WATCHED.sum() == 3234 and LAST.sum() == 1000, "pages and agents of the one that is resampled"


def test_draws_have_the_rates_of_the_recording_places_together():
    rng, n = np.random.default_rng(0), 40_000
    for active in range(3):
        pages = drawn_pages(np.full(n, active), rng.random(n))
        column = (pages << np.arange(PLACES)).sum(axis=1)
        np.testing.assert_allclose(
            np.bincount(column, minlength=16) / n, WATCHED[active] / WATCHED[active].sum(), atol=0.01
        )
    stars = drawn_stars(rng.random((n, PLACES)))
    for place in range(PLACES):
        told = np.bincount(stars[:, place] - 3, minlength=3) / n
        np.testing.assert_allclose(told, STARS[place] / STARS[place].sum(), atol=0.01)


def test_nothing_is_wrong_with_the_world():
    assert checked(world, always([3, 7, 11, 15]), steps=3) == []
    made = world()
    share = WATCHED @ [bin(bits).count("1") for bits in range(16)] / WATCHED.sum(axis=1) / PLACES
    expected = float(share[made.active].mean())
    assert checked(world, unmet(made), steps=1, rates={"click": (expected, "look"), "rate": (1.0, "click")}) == []


def test_people_leave_after_as_many_pages_as_agents_of_their_activity_did():
    made = world(steps=2000)
    made.active = np.arange(made.n) % 3  # in this log all rate as much
    asked, last = made.reset(0), np.zeros((3, 5))
    for _ in range(1000):
        before = made.page.copy()
        items = np.full((len(asked), PLACES), -1, np.int32)
        _, asked = made.step(Reply(slates=Slates(items=items, scores=np.zeros(items.shape, np.float32))))
        gone = made.page == 0
        np.add.at(last, (made.active[gone], before[gone]), 1)
    for own, held in zip(last, LAST, strict=True):
        np.testing.assert_allclose(own / own.sum(), held / held.sum(), atol=0.025)


def test_what_is_shown_plays_no_part_and_what_stands_first_does():
    first, second = (walked(world(), always(page), seed=1, steps=1)[0] for page in ([3, 7, 11, 15], [15, 11, 7, 3]))
    seen = world().had
    clean = ~seen[:, [3, 7, 11, 15]].any(axis=1)

    def places(walk, page):
        _, _, events = walk
        hit = (events.kind == 2) & clean[events.user]
        return sorted((int(u), page.index(int(i))) for u, i in zip(events.user[hit], events.item[hit], strict=True))

    assert places(first, [3, 7, 11, 15]) == places(second, [15, 11, 7, 3])
    _, _, events = walked(world(), unmet(world()), seed=1, steps=1)[0]
    assert set(events.value[events.kind == 3].tolist()) <= {3.0, 4.0, 5.0}


def test_activity_is_dealt_in_the_recording_s_shares():
    told = activity(np.random.default_rng(0).permutation(1000) + 1)
    np.testing.assert_allclose(np.bincount(told) / 1000, LAST.sum(axis=1) / 1000, atol=0.002)
    assert activity(np.zeros(3)).tolist() == [0, 0, 0]


def test_pages_longer_than_the_recorded_are_refused():
    train, valid, _ = parts_by_time(ratings())
    with pytest.raises(BadSetting, match="4 places; found places=5"):
        RecordedWorld(ratings(), train, valid, LearnedConfig(dim=2, places=5))
