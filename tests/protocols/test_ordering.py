"""Orders of systems in simulators and by people, logged estimates beside the truth, lots by weight, and speed."""

import numpy as np
import pytest

from interplay.benches import BENCHES, Entry
from interplay.data.split import split
from interplay.data.tables import from_frames
from interplay.errors import UnknownName
from interplay.fitted import built
from interplay.ops.racing import inclusion
from interplay.protocols import lasting, lasting_logged, ordering, simulating
from interplay.types import TRAIN, VALID
from interplay.worlds.learned import LearnedConfig, LearnedWorld
from interplay.worlds.stylised import InterestConfig, InterestWorld, OrganicConfig, OrganicWorld


@pytest.fixture(scope="module")
def rated():
    """People of two tastes rate what they meet, mostly of the half of the films that pleases them."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(60), 120)
    own = [np.concatenate([2 * rng.permutation(100)[:90] + u % 2, 2 * rng.permutation(100)[:30] + 1 - u % 2])
           for u in range(60)]  # fmt: skip
    item = np.concatenate([rng.permutation(items) for items in own])
    likes = rng.random(len(user)) < np.where((user % 2) == (item % 2), 0.9, 0.2)
    return from_frames("stars", {
        "user_id": user, "item_id": item, "timestamp": 10**15 + 10**11 * np.arange(len(user)),
        "value": np.where(likes, 5.0, 2.0),
    })  # fmt: skip


def test_tau_counts_pairs_of_systems_the_same_way_round():
    assert ordering.tau(np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 30, 40])) == 1
    assert ordering.tau(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == -1
    assert ordering.tau(np.zeros(3), np.array([3.0, 2, 1])) == 0


def test_agreement_is_full_where_both_sides_are_the_same_and_its_interval_holds_it():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(300, 4)) + np.array([0.0, 1.0, 2.0, 2.01])
    real = ordering.Worth(values=values, who=np.arange(300))
    tau, low, high, apart, same = ordering.agreement(real, real, paired=True)
    assert (tau, low, high, same) == (1, 1, 1, 1) and apart == 5, "of six pairs one cannot be told apart"
    other = ordering.Worth(values=rng.normal(size=(300, 4)) - np.array([0.0, 1.0, 2.0, 3.0]), who=np.arange(300))
    assert ordering.agreement(other, real, paired=False)[0] < -0.5
    mean, low, high = ordering.halved(real, resamples=200)
    assert 0.6 < mean <= 1 and low <= mean <= high


def test_held_out_people_and_the_learned_world_prefer_who_knows_tastes(rated):
    parts = split(rated, "user-time")
    models = {name: built(name).fit(parts.fitted("train+valid")) for name in ("popular", "ease")}
    found, first = ordering.held_out(parts, models)
    assert len(first.who) == 60 and found.values[:, 1].mean() > found.values[:, 0].mean()
    assert first.values[:, 1].mean() > first.values[:, 0].mean() and first.values.max() <= 1
    world = LearnedWorld(rated, parts.part == TRAIN, parts.part == VALID, LearnedConfig(dim=2, places=4))
    world.reset(0)
    own = ordering.simulated(world, models, steps=2)
    assert own.values.shape == (60, 2) and world.at == 0, "each model goes on from a copy"


def test_a_log_by_lot_is_what_systems_learn_from_in_a_stylised_world():
    world = OrganicWorld(OrganicConfig(people=80, items=30, appeal=5.0))
    log = ordering.by_lot(world, 0, steps=4)
    kinds = np.bincount(log.events.kind, minlength=2)
    assert kinds[0] > kinds[1] and world.at == 4, "views of their own accord are most of it"
    interest = InterestWorld(InterestConfig(people=80, items=30))
    models = {"popular": built("popular").fit(ordering.by_lot(interest, 0, steps=4))}
    assert (ordering.simulated(interest, models, steps=3).values >= 0).all()


def test_the_chance_to_be_drawn_is_that_of_drawing():
    rng = np.random.default_rng(0)
    scores = 1.5 * rng.standard_normal((3, 8))
    scores[1, 6:] = -np.inf
    said = inclusion(scores, 3)
    luck = scores[:, None] - np.log(-np.log(rng.random((3, 40_000, 8))))
    for row in range(3):
        top = np.argsort(-luck[row], axis=1)[:, :3]
        np.testing.assert_allclose(said[row], np.bincount(top.ravel(), minlength=8) / 40_000, atol=0.01)
    np.testing.assert_allclose(said.sum(axis=1), 3, atol=1e-5)
    assert inclusion(scores[1:2], 6).round(9).tolist() == [[1.0] * 6 + [0.0] * 2]


@pytest.fixture(scope="module")
def begun():
    few = {(lasting, "PEOPLE"): 80, (lasting, "MAKERS"): 30, (lasting, "LOG"): 6}
    few |= {(lasting_logged, "LOG"): 6, (lasting_logged, "DAYS"): 6, (lasting_logged, "LUCKS"): 2}
    before = {(module, name): getattr(module, name) for module, name in few}
    for (module, name), value in few.items():
        setattr(module, name, value)
    lasting.beginning.cache_clear()
    yield lasting.beginning("usual", 0)
    lasting.beginning.cache_clear()
    for (module, name), value in before.items():
        setattr(module, name, value)


def test_estimates_from_the_log_stand_near_what_the_pages_would_have_brought(begun):
    page = BENCHES["longterm-logged"]
    old = lasting_logged.judge(page, Entry(system="old policy"), 0)
    assert old["metrics"]["effective"] == old["facts"]["showings"] and old["metrics"]["paths"] == old["facts"]["people"]
    assert old["metrics"]["click"] == pytest.approx(old["metrics"]["click_served"])
    m = lasting_logged.judge(page, Entry(system="random"), 0)["metrics"]
    assert m["paths"] == 0 and 30 < m["effective"] < old["metrics"]["effective"] / 2
    assert abs(m["click"] - m["click_once"]) < 0.06 and m["click_once"] < old["metrics"]["click"]


def test_tables_are_rendered_from_records(tmp_path):
    rows = {}
    page = BENCHES["longterm-logged"]
    m = dict.fromkeys(("effective", "paths", *(f"{o}{x}" for o in ("click", "gift") for x in
                                               ("", "_low", "_high", "_once", "_served"))), 0.5)  # fmt: skip
    rows["random", 0] = {"metrics": m, "protocol": {"judged": "so"}}
    assert "| `random` | 0 | 0 | 0.500 (0.500 to 0.500) |" in lasting_logged.table(page, rows, tmp_path)
    simulators = {("interest", 0): {"metrics": {}, "facts": {"steps_a_second": 123_000}, "protocol": {"judged": "so"}}}
    assert "| 123 | 1 |\n" in simulating.table(BENCHES["simulators"], simulators, tmp_path)
    worth = dict.fromkeys(ordering.POLICIES, 0.25)
    told = {f"{m}_{k}": 0.5 for m in ("found", "rated") for k in ("tau", "low", "high", "same")}
    record = {
        "metrics": {**told, "found_apart": 9, "rated_apart": 4}, "protocol": {"judged": "so"}, "seconds": {"all": 1.0},
        "facts": {"found": worth, "rated": worth, "own": worth},
    }  # fmt: skip
    said = ordering.table(BENCHES["policy-ranking"], {("learned", 0): record}, tmp_path)
    assert (
        "| `learned` | +0.50 (+0.50 to +0.50) | 4 of 9 |" in said
        and said.count("| 0.25 | 0.25 | 0.25 | 0.25 | 0.25 | 0.25 |") == 3
    )


def test_ten_thousand_people_are_served_in_a_second_and_an_unknown_simulator_is_refused():
    assert simulating.speed(InterestWorld(InterestConfig(people=500)), least=5000) > 10_000
    with pytest.raises(UnknownName):
        ordering.judge(BENCHES["policy-ranking"], Entry(system="oracle"), 0)
