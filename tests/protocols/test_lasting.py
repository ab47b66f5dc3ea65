"""The benches of long-term worth, on a few people and days."""

import numpy as np
import pytest

from interplay.benches import BENCHES, Entry
from interplay.data.pairs import DAY, Interactions
from interplay.errors import UnknownName
from interplay.protocols import lasting
from interplay.protocols.lasting_pairs import (
    Cut,
    Foretelling,
    Scene,
    ahead,
    cut,
    foretold,
    monthly,
    sums_of,
)

T0 = 1_700_000_000_000_000


@pytest.fixture(scope="module")
def begun():
    few = {"PEOPLE": 50, "MAKERS": 30, "LOG": 10, "SERVED": 6}
    before = {name: getattr(lasting, name) for name in few}
    for name, value in few.items():
        setattr(lasting, name, value)
    yield lasting.beginning("usual", 0)
    lasting.beginning.cache_clear()
    for name, value in before.items():
        setattr(lasting, name, value)


def test_rows_serve_the_same_people_and_leave_the_log_s_end_alone(begun):
    shown = begun.world.shown.copy()
    page = BENCHES["longterm"]
    told = {name: lasting.judge(page, Entry(system=name), 0)["metrics"] for name in ("random", "ctr-greedy")}
    assert told["ctr-greedy"]["clicks"] > told["random"]["clicks"]
    assert lasting.judge(page, Entry(system="random"), 0)["metrics"] == told["random"]
    np.testing.assert_array_equal(begun.world.shown, shown)


def test_a_learnt_row_serves_and_reports_what_it_left_out(begun):
    settings = {"descent": {"epochs": 1}, "hidden": 8}
    told = lasting.judge(BENCHES["longterm"], Entry(system="rliv-ua", settings=settings), 0)
    assert told["metrics"]["clicks"] > 0 and 0 < told["facts"]["censored"] <= 1
    with pytest.raises(UnknownName):
        lasting.judge(BENCHES["longterm"], Entry(system="best"), 0)


def test_the_table_pairs_seeds(tmp_path):
    page, rows = BENCHES["longterm"], {}
    for seed, more in ((0, 10.0), (1, 20.0), (2, 30.0)):
        for label, clicks in (("ctr-greedy", 100.0), ("rliv-ua", 100.0 + more)):
            figures = dict.fromkeys(page.metrics, 1.0) | {"clicks": clicks}
            rows[label, seed] = {"metrics": figures, "protocol": {"judged": "so"}}
    line = next(x for x in lasting.table(page, rows, tmp_path).splitlines() if x.startswith("| `rliv-ua`"))
    assert "+20.0 % (-4.8 to +44.8)" in line  # t with two degrees of freedom: 4.303 * 10 / sqrt(3)


def test_sums_follow_a_pair_until_it_stays_away():
    met = Interactions(
        user=np.zeros(4, np.int64), maker=np.array([1, 1, 2, 1]),
        time=T0 + (np.array([0.0, 2.0, 3.0, 40.0]) * DAY).astype(np.int64), outcome=np.ones((4, 1), np.float32),
    )  # fmt: skip
    assert sums_of(met, 0.9, 14.0)[:, 0].tolist() == pytest.approx([1 + 0.81, 1, 1, 1])


def scene() -> Scene:
    day = np.array([0, 50, 100, 210, 230, 400], float)
    met = Interactions(
        user=np.array([0, 0, 1, 0, 1, 0]), maker=np.zeros(6, np.int64), time=T0 + (day * DAY).astype(np.int64),
        outcome=np.ones((6, 1), np.float32),
    )  # fmt: skip
    plan = Foretelling(ahead=100, every=50, discount=0.99)
    return Scene(met=met, learnt=T0 + 200 * DAY, judged=T0 + 300 * DAY, n_users=2, n_makers=1, plan=plan)


def test_a_cut_holds_what_was_and_what_came():
    now = cut(scene(), T0 + 200 * DAY, np.zeros((1, 1), np.float32))
    assert now.count.tolist() == [2, 1] and now.last.tolist() == [50, 0] and now.age.tolist() == [200, 100]
    np.testing.assert_allclose(now.future, [0.99**10, 0.99**30])


def test_months_of_a_pair_follow_each_other_and_end_where_the_future_begins():
    made = monthly(scene(), np.zeros((1, 1), np.float32), target="critic")
    assert made.time.max() < T0 + 300 * DAY
    for row in np.flatnonzero(made.after >= 0):
        assert made.time[made.after[row]] - made.time[row] == 50 * DAY
    assert made.reward.sum() == pytest.approx(0.99**10 + 0.99**30, rel=1e-5)  # both from day 200 on


def test_lift_shares_ties_and_calibration_compares_sums():
    future = np.array([1.0] * 5 + [0.0] * 15)
    none = np.zeros((20, 1))
    now = Cut(user=none, maker=none, count=np.full(20, 2), last=none, age=none, future=future, x=none)
    told = foretold(np.array([2.0] * 5 + [1.0] * 15), now)
    assert told["lift"] == pytest.approx(4.0) and told["calibration"] == pytest.approx(5.0) and told["rank"] == 1.0
    assert foretold(np.r_[2.0, np.ones(18), 0.0], now)["lift"] == pytest.approx((1 + 4 / 18) / 2 / 0.25)


def test_how_much_more_a_row_foretells_has_an_interval_over_buyers():
    rng = np.random.default_rng(0)
    future = rng.random(400)
    told = Cut(
        user=np.arange(400) // 2, maker=np.arange(400), count=np.ones(400), last=np.zeros(400), age=np.ones(400),
        future=future, x=np.zeros((400, 1)),
    )  # fmt: skip
    noise = rng.random(400)
    more, low, high = ahead(future + noise, future + 4 * noise, told, 0)
    assert 0 < low < more < high and ahead(future, future, told, 0) == (0, 0, 0)
