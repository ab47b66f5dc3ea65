"""Interactions of pairs, and the store of where each pair stands."""

import numpy as np
import pytest

from interplay.data.pairs import DAY, Interactions, PairStates
from interplay.errors import BadData
from interplay.types import Dataset, Events, Ids

T0 = 1_700_000_000_000_000
KINDS = ("show", "click", "follow", "gift")


def log(rows: list[tuple[int, int, float, str, float]]) -> Dataset:
    """(user, item, minutes, kind, value) rows, in any order."""
    rows = sorted(rows, key=lambda r: (r[0], r[2]))
    user, item, minute, kind, value = map(list, zip(*rows, strict=True))
    events = Events(
        user=np.array(user, np.int32), item=np.array(item, np.int32), kinds=KINDS,
        time=T0 + (np.array(minute) * 60_000_000).astype(np.int64), value=np.array(value, np.float32),
        kind=np.array([KINDS.index(k) for k in kind], np.int16),
    )  # fmt: skip
    return Dataset(name="log", users=Ids(["a", "b", "c"]), items=Ids(["x", "y", "z"]), events=events)


def met(n: int, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    return Interactions(
        user=rng.integers(0, 6, n), maker=rng.integers(0, 5, n), time=T0 + np.sort(rng.choice(10**6, n, False)) * 10**7,
        outcome=(rng.random((n, 3)) < 0.4).astype(np.float32),
    )  # fmt: skip


def empty() -> PairStates:
    return PairStates.empty(np.random.default_rng(9).standard_normal((5, 2)), 3)


def equal(first: PairStates, second: PairStates) -> None:
    for name in ("key", "pair", "last", "person", "maker"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-5)


def test_what_happens_within_half_an_hour_is_one_interaction():
    data = log([(0, 0, 0, "show", 1), (0, 0, 1, "click", 1), (0, 0, 2, "gift", 9), (0, 0, 90, "show", 1),
                (1, 0, 1, "click", 1)])  # fmt: skip
    found = Interactions.of(data, ("click", "follow", "gift"), amounts=("gift",))
    assert found.user.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.outcome, [[1, 0, np.log(10)], [1, 0, 0], [0, 0, 0]], rtol=1e-6)


def test_items_of_one_maker_are_one_pair_and_what_nobody_made_is_left_out():
    data = log([(0, 0, 0, "click", 1), (0, 1, 5, "click", 1), (0, 2, 6, "click", 1)])
    found = Interactions.of(data, ("click",), makers=np.array([4, 4, -1]))
    assert found.maker.tolist() == [4]


def test_a_log_without_times_is_refused():
    events = Events(user=np.zeros(1, np.int32), item=np.zeros(1, np.int32))
    with pytest.raises(BadData, match="timestamps"):
        Interactions.of_events(events, ("click",))


def test_replayed_interactions_change_nothing():
    store = empty().update(met(50))
    again = store.update(met(50))
    equal(store, again)
    assert again.late == 50 - len(store)  # the last of each pair is the one that is still open, and holds it already


VISITS = [(0, 0, 0, "show", 1), (0, 0, 10, "click", 1), (0, 0, 12, "gift", 9), (1, 0, 15, "show", 1),
          (0, 0, 35, "follow", 1), (0, 0, 90, "show", 1), (0, 0, 95, "click", 1), (0, 1, 96, "gift", 2)]  # fmt: skip


def taken(store: PairStates, rows: list[tuple[int, int, float, str, float]]) -> PairStates:
    return store.update(Interactions.of(log(rows), ("click", "follow", "gift"), amounts=("gift",)))


def test_interactions_that_come_in_pieces_or_again_stand_as_if_they_had_come_whole_and_once():
    whole, pieces = taken(empty(), VISITS), empty()
    for row in VISITS:
        pieces = taken(taken(pieces, [row]), [row])  # one event after the other, each of them twice
    equal(whole, pieces)
    for row in VISITS[-3:]:
        equal(whole, taken(whole, [row]))
    equal(whole, taken(taken(empty(), VISITS[:1]), VISITS))  # shown while it is served, then all of it from the log
    assert whole.pair[0, 0] == 2 and whole.pair[0, 3:6].tolist() == [2, 1, 1]


def test_how_a_log_is_cut_into_batches_makes_no_difference():
    whole = met(60)
    parts = empty()
    for lo in range(0, 60, 7):
        parts = parts.update(whole.take(np.arange(lo, min(lo + 7, 60))))
    equal(empty().update(whole), parts)


def test_a_batch_in_disorder_is_sorted_and_what_comes_too_late_is_left_out_and_counted():
    whole = met(40)
    store = empty().update(whole.take(np.random.default_rng(1).permutation(40)))
    equal(store, empty().update(whole))
    late = Interactions(
        user=whole.user[-1:], maker=whole.maker[-1:], time=whole.time[-1:] - DAY, outcome=whole.outcome[-1:]
    )
    equal(store, store.update(late))
    assert store.update(late).late == 1


def test_an_update_leaves_the_store_it_came_from_alone():
    store = empty().update(met(20))
    before = {n: getattr(store, n).copy() for n in ("key", "pair", "last", "person", "maker")}
    store.update(met(60, seed=3))
    for name, was in before.items():
        np.testing.assert_array_equal(was, getattr(store, name))


def test_features_count_what_happened_and_are_finite_for_pairs_nobody_heard_of():
    one = Interactions(
        user=np.array([2, 2]), maker=np.array([1, 1]), time=np.array([T0, T0 + DAY]),
        outcome=np.array([[1, 0, 0], [0, 1, 0]], np.float32),
    )  # fmt: skip
    store = empty().update(one)
    x = store.features(np.array([2, 2, -1, 99]), np.array([1, 4, 1, 10_000]), T0 + 3 * DAY)
    assert np.isfinite(x).all() and x.shape == (4, store.width)
    assert x[0, 0] == 1 and x[1, 0] == 0
    assert x[0, 1] == pytest.approx(np.log(3))  # met twice
    assert x[0, 4] == pytest.approx(np.exp(-2), rel=1e-5) and x[0, 5] == pytest.approx(np.exp(-3), rel=1e-5)


def test_features_of_a_moment_know_nothing_of_what_comes_after():
    whole = met(60)
    early = whole.take(np.arange(30))
    at = int(early.time[-1]) + 1
    store = empty().update(early)
    before = store.features(whole.user, whole.maker, at)
    store.update(whole.take(np.arange(30, 60)))
    np.testing.assert_array_equal(before, store.features(whole.user, whole.maker, at))


def test_a_forgotten_person_has_no_pairs_and_state_moves_to_a_new_store():
    store = empty().update(met(50))
    gone = store.forget(np.array([2]))
    assert not (gone.key >> 32 == 2).any() and not gone.person[2].any()
    equal(store, PairStates.restore(store.state()))
    erased = store.state()
    for table in erased.users.values():
        table[2] = 0  # as an erasure empties the rows of saved models
    equal(gone, PairStates.restore(erased))
