"""Splits: every event in one part, no future in train, histories that never show what is judged, hashes that hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from interplay.data.split import RULES, split
from interplay.data.tables import from_frames
from interplay.errors import BadData, BadSetting, Leakage, UnknownName
from interplay.types import TEST, TEST_FOLD, TRAIN, VALID, VALID_FOLD, Dataset

NOON = 1_700_000_000_000_000
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def log(user, item, minute, *, session=None, parts=None) -> Dataset:
    columns = {"user_id": user, "item_id": item, "timestamp": [NOON + int(m) * 60_000_000 for m in minute]}
    if session is not None:
        columns["session_id"] = session
    if parts is not None:
        columns["split"] = parts
    return from_frames("log", columns)


@st.composite
def logs(draw, sessions: bool = False):
    n = draw(st.integers(5, 80))
    column = lambda hi: draw(st.lists(st.integers(0, hi), min_size=n, max_size=n))
    return log(column(6), column(9), column(30), session=column(5) if sessions else None)


def tried(dataset: Dataset, rule: str, **more):
    try:
        return split(dataset, rule, **more)
    except BadData:  # too small for the rule, and says so
        assume(False)


@quick
@given(logs(sessions=True), st.sampled_from([r for r in RULES if r != "given"]), st.integers(0, 3))
def test_parts_partition_the_events_and_the_hash_is_stable(dataset, rule, seed):
    s = tried(dataset, rule, seed=seed)
    again = split(dataset, rule, seed=seed)
    assert len(s.part) == len(dataset.events) and set(np.unique(s.part)) <= {0, 1, 2, 3, 4}
    assert sum(s.sizes.values()) == len(dataset.events)
    assert s.hash == again.hash and (s.part == again.part).all()
    both, test = s.fitted("train+valid"), (s.part == TEST) | (s.part == TEST_FOLD)
    assert len(both.events) + int(test.sum()) == len(dataset.events)
    assert both.users == dataset.users and both.items == dataset.items


@quick
@given(logs(sessions=True), st.sampled_from([r for r in RULES if r != "given"]))
def test_what_is_judged_is_never_fitted_and_each_request_is_as_it_was_before(dataset, rule):
    s = tried(dataset, rule)
    for which, on in ((TEST, "train+valid"), (TEST, "train"), (VALID, "train")):
        requests, truth = s.judged(which, on)
        assert len(requests) == len(truth) and (truth.lengths > 0).all()
        assert len(requests.at) == len(requests) and (requests.user >= 0).all()
        if len(requests):
            assert (requests.history["time"] <= np.repeat(requests.at, requests.history.lengths)).all()
        held = {(int(dataset.events.user[i]), int(dataset.events.item[i])) for i in np.flatnonzero(s.part == which)}
        asked = {(int(requests.user[r]), int(i)) for r in range(len(requests)) for i in truth.row(r)["item"]}
        assert asked == held
        for r in range(len(requests)):
            assert len(set(truth.row(r)["item"].tolist())) == truth.lengths[r]
    if rule not in ("strong", "session"):
        shown = s.judged(TEST)[0]
        for r in range(len(shown)):
            mine = (dataset.events.user == shown.user[r]) & (s.part != TEST)
            assert shown.history.row(r)["item"].tolist() == dataset.events.item[mine].tolist()


@quick
@given(logs(), st.floats(0.05, 0.3), st.floats(0.05, 0.4))
def test_a_time_split_never_learns_from_the_future(dataset, valid, test):
    s = tried(dataset, "time", valid=valid, test=test)
    when = lambda part: dataset.events.time[s.part == part]
    assert when(TRAIN).max() < min(when(VALID).min(initial=2**62), when(TEST).min(initial=2**62))
    if (s.part == VALID).any():
        assert when(VALID).max() < when(TEST).min(initial=2**62)
    assert (s.part == TEST).sum() >= np.floor(test * len(s.part))


@quick
@given(logs())
def test_a_users_time_split_cuts_each_user_between_moments(dataset):
    s = tried(dataset, "user-time", valid=0.2, test=0.2)
    for user in range(dataset.n_users):
        mine = slice(dataset.offsets[user], dataset.offsets[user + 1])
        part, time = s.part[mine], dataset.events.time[mine]
        assert (np.diff(part) >= 0).all(), "train, then valid, then test"
        assert all(len(set(part[time == t])) == 1 for t in set(time)), "a moment is in one part"
        if len(set(time)) == len(time):
            assert (part == TEST).sum() == np.floor(0.2 * len(time) + 1e-6)


@quick
@given(logs())
def test_last_out_takes_the_last_and_the_one_before_of_users_with_three(dataset):
    s = tried(dataset, "last-out")
    for user in range(dataset.n_users):
        mine = s.part[dataset.offsets[user] : dataset.offsets[user + 1]].tolist()
        expected = [TRAIN] * len(mine) if len(mine) < 3 else [TRAIN] * (len(mine) - 2) + [VALID, TEST]
        assert mine == expected
    requests, truth = s.judged(TEST)
    assert (truth.lengths == 1).all() and len(np.unique(requests.user)) == len(requests)


@quick
@given(logs())
def test_random_gives_everyone_with_three_events_all_three_parts(dataset):
    s = split(dataset, "random", seed=1) if np.diff(dataset.offsets).max() else None
    for user in range(dataset.n_users):
        mine = s.part[dataset.offsets[user] : dataset.offsets[user + 1]].tolist()
        assert {TRAIN, VALID, TEST} <= set(mine) if len(mine) >= 3 else set(mine) <= {TRAIN}


def crowd(n=4000, users=100, seed=0, **more) -> Dataset:
    rng = np.random.default_rng(seed)
    return log(rng.integers(0, users, n), rng.integers(0, 50, n), np.sort(rng.integers(0, n, n)), **more)


def test_shares_are_kept_and_seeds_differ():
    d = crowd()
    s = split(d, "random", seed=0, valid=0.1, test=0.2)
    assert abs((s.part == TEST).mean() - 0.2) < 0.01 and abs((s.part == VALID).mean() - 0.1) < 0.01
    assert s.hash != split(d, "random", seed=1, valid=0.1, test=0.2).hash
    assert s.hash != split(d, "strong", seed=0).hash
    other = replace(d, events=replace(d.events, item=d.events.item[::-1].copy()))
    assert split(other, "random", seed=0, valid=0.1, test=0.2).hash != s.hash
    t = split(d, "time")
    assert abs((t.part == TEST).mean() - 0.1) < 0.01 and abs((t.part == VALID).mean() - 0.1) < 0.01


def test_strong_never_learns_from_held_out_people_and_shows_four_fifths():
    d = crowd()
    s = split(d, "strong")
    roles = {u: set(s.part[d.offsets[u] : d.offsets[u + 1]]) for u in range(d.n_users)}
    assert sum(r == {TEST, TEST_FOLD} for r in roles.values()) == 10
    assert sum(r == {VALID, VALID_FOLD} for r in roles.values()) == 10
    assert all(r in ({TRAIN}, {VALID, VALID_FOLD}, {TEST, TEST_FOLD}) for r in roles.values())
    requests, _ = s.judged(TEST)
    assert set(requests.user) == {u for u, r in roles.items() if TEST in r}
    assert not np.isin(requests.user, s.fitted("train+valid").events.user).any()
    events = np.bincount(d.events.user)[requests.user]
    np.testing.assert_array_equal(requests.history.lengths, events - np.round(events * 0.2))


def test_sessions_are_judged_by_their_last_item_with_the_rest_shown():
    d = log(
        ["a"] * 5 + ["b"] * 5,
        [1, 2, 3, 4, 5, 1, 2, 3, 6, 7],
        [0, 1, 2, 3, 4, 5, 6, 7, 20, 21],
        session=["s", "s", "t", "t", "t", "u", "u", None, "v", "v"],
    )
    s = split(d, "session", valid=0.25, test=0.25)
    requests, truth = s.judged(TEST)
    assert [d.users[u] for u in requests.user] == ["b"]
    assert [d.items[i] for i in requests.history.row(0)["item"]] == [6] and d.items[truth.row(0)["item"][0]] == 7
    requests, truth = s.judged(VALID)
    assert [d.items[i] for i in requests.history.row(0)["item"]] == [1] and d.items[truth.row(0)["item"][0]] == 2
    fitted = s.fitted("train").events
    assert fitted.time.max() < d.events.time[s.part == VALID].min()
    assert {d.users[u] for u in fitted.user} == {"a"}


def test_one_user_may_have_several_sessions_to_judge():
    d = log(["a"] * 9, range(9), range(9), session=[0, 0, 0, 1, 1, 1, 2, 2, 2])
    requests, _ = split(d, "session", valid=0.34, test=0.33).judged(VALID)
    assert len(requests) == 1 and requests.history.lengths.tolist() == [2]


def test_given_is_honoured_and_a_missing_validation_part_is_drawn_and_said():
    parts = ["train"] * 6 + ["valid"] * 2 + ["test"] * 2
    d = log(["a", "b"] * 5, range(10), range(10), parts=parts)
    s = split(d)
    assert s.rule == "given" and (s.part == d.events.part).all()
    assert not any("no validation" in n for n in s.notes)
    rng = np.random.default_rng(0)
    d = log(rng.integers(0, 10, 400), rng.integers(0, 30, 400), range(400), parts=["train"] * 350 + ["test"] * 50)
    s, other = split(d), split(d, seed=1)
    assert (
        abs((s.part == VALID).sum() - 35) <= 5 and "10% of each user's train events were drawn (seed 0)" in s.notes[0]
    )
    assert (s.part[d.events.part == TEST] == TEST).all() and s.hash != other.hash
    assert len(np.unique(d.events.user[s.part == VALID])) == 10


def test_the_default_rule_is_given_else_time_else_random():
    assert split(crowd()).rule == "time"
    assert split(from_frames("x", {"user_id": [1] * 9, "item_id": range(9)})).rule == "random"


def test_histories_may_be_chosen_but_never_hold_what_is_judged():
    d = crowd(users=20)
    s = split(d, "random")
    own = s.judged(TEST)[0].history
    assert (own.lengths == s.judged(TEST, history="train+valid")[0].history.lengths).all()
    assert (s.judged(TEST, history="train")[0].history.lengths < own.lengths).all()
    assert len(s.judged(TEST, history="none")[0].history["item"]) == 0
    earlier = s.judged(TEST, history="earlier")[0]
    first = np.array([d.events.time[(d.events.user == u) & (s.part == TEST)].min() for u in earlier.user])
    assert (earlier.at == first).all()
    with pytest.raises(Leakage, match="validation part cannot judge"):
        s.judged(VALID, on="train+valid")
    with pytest.raises(Leakage, match="history of the requests"):
        s.judged(VALID, history="train+valid")
    with pytest.raises(UnknownName, match="no history called 'all'"):
        s.judged(TEST, history="all")
    with pytest.raises(UnknownName, match="train\\+valid"):
        s.fitted("train+vaild")


def test_a_moment_is_never_before_its_history():
    d = log(["a"] * 6, range(6), range(6))
    s = replace(split(d, "random"), part=np.array([TEST, TRAIN, TRAIN, VALID, TRAIN, TRAIN], np.int8))
    requests, _ = s.judged(TEST)
    assert requests.at[0] == d.events.time[-1]


def test_leaks_that_a_rule_carries_by_nature_are_counted_in_the_notes():
    d = log(["a", "a", "a", "b", "b", "b"], [1, 2, 1, 3, 4, 5], [0, 1, 2, 10, 11, 12])
    s = split(d, "last-out")
    assert any("1 of 2 test events are older" in n for n in s.notes)
    assert any("1 test events repeat an item" in n for n in s.notes)
    assert not any("older" in n for n in split(crowd(), "time").notes)


@pytest.mark.parametrize(
    ("columns", "rule", "said"),
    [
        ({}, "time", "needs a timestamp column"),
        ({}, "last-out", "neither timestamp nor order"),
        ({}, "given", "has no split column"),
        ({}, "session", "needs a session_id column"),
        ({"session_id": [1, 1, 2]}, "session", "so it needs a timestamp"),
        ({"timestamp": [NOON] * 3}, "time", "too close in time"),
        ({"split": ["test"] * 3}, None, "has no train rows"),
        ({"split": ["train"] * 3}, None, "has no test rows"),
    ],
)
def test_a_rule_that_the_data_cannot_carry_is_refused_with_a_sentence(columns, rule, said):
    with pytest.raises(BadData, match=said):
        split(from_frames("log", {"user_id": [1, 1, 1], "item_id": [1, 2, 3], **columns}), rule)


def test_nothing_to_split_unknown_rules_and_impossible_shares_are_refused():
    empty = from_frames("log", {"user_id": [], "item_id": []})
    with pytest.raises(BadData, match="has no events"):
        split(empty)
    with pytest.raises(UnknownName, match="no split called 'last_out'; nearest: \\['last-out'\\]"):
        split(crowd(50), "last_out")
    with pytest.raises(BadSetting, match="shares"):
        split(crowd(50), "random", valid=0.6, test=0.5)


def test_one_user_and_one_item_split_or_say_why_not():
    one = log(["a"], ["x"], [0])
    with pytest.raises(BadData, match=r"too small|too close"):
        split(one)
    s = split(one, "random")
    assert s.sizes == {"train": 1} and any("nothing is in the test part" in n for n in s.notes)
    requests, truth = s.judged(TEST)
    assert len(requests) == len(truth) == 0 and len(requests.at) == 0


def test_users_without_events_are_not_asked():
    d = from_frames(
        "log", {"user_id": ["a"] * 5, "item_id": range(5), "order": range(5)}, users={"user_id": ["a", "quiet"]}
    )
    requests, _ = split(d, "last-out").judged(TEST)
    assert [d.users[u] for u in requests.user] == ["a"] and requests.at is None
