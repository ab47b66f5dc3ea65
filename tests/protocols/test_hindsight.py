"""The benches of off-policy evaluation hold on small logs, and a campaign is read in either layout."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest

from interplay.benches import BENCHES
from interplay.data.logged import campaign
from interplay.errors import BadData, UnknownName
from interplay.evaluate.estimators import ESTIMATORS
from interplay.evaluate.offpolicy import weighted
from interplay.evaluate.slates import SLATE_ESTIMATORS
from interplay.protocols import hindsight, hindsight_slates


def value(log, candidate, name, seed=0):
    q = hindsight.modelled(log, candidate, name, seed=seed)
    rounds = weighted(log, candidate, *(() if q is None else q[:2]))
    return ESTIMATORS[name].terms(rounds, 0.0).value


def test_on_digits_the_direct_method_is_far_off_and_its_correction_is_not():
    log, candidate, truth = hindsight.digits(0)
    assert 0.8 < truth < 0.95 and set(np.unique(log.reward)) == {0.0, 1.0}
    off = {name: abs(value(log, candidate, name) - truth) / truth for name in ("dm", "ips", "dr")}
    assert off["dm"] > 0.3 and off["ips"] < 0.12 and off["dr"] < 0.1


def test_a_reward_model_of_context_and_action_together_brings_the_direct_method_home():
    log, candidate, truth = hindsight._synthetic(0)
    off = [
        abs(hindsight.modelled(log, candidate, "dm", seed=0, crossed=crossed).expected.mean() - truth) / truth
        for crossed in (False, True)
    ]
    assert off[0] > 0.15 and off[1] < 0.04, "rewards are of both together; their sum knows only half of it"


def test_the_synthetic_logger_prefers_what_earns_little():
    log, mean = hindsight.synthetic(0, n=2000)
    assert log.reward.mean() < mean.mean() - 0.05
    np.testing.assert_allclose(log.propensity, log.chances[np.arange(2000), log.action])
    again, _ = hindsight.synthetic(0, n=2000)
    np.testing.assert_array_equal(log.action, again.action)


def test_the_slate_trap_catches_who_believes_in_independent_places():
    seen = {name: hindsight_slates.trap("cascade", name, seed=0, resamples=100) for name in ("sips", "iips", "rips")}
    assert seen["rips"]["right_order"] == 1.0 and seen["iips"]["right_order"] == 0.0
    for side in ("stacking", "spreading"):
        assert seen["rips"][f"{side}_low"] < seen["rips"][f"{side}_truth"] < seen["rips"][f"{side}_high"]
        assert not seen["iips"][f"{side}_low"] < seen["iips"][f"{side}_truth"] < seen["iips"][f"{side}_high"]


def test_in_the_market_pages_of_other_habits_are_worth_what_people_do_with_them():
    log, truths = hindsight_slates.walked(0.5, 4, n_items=300, n_people=300, days=8, truths=4)
    earned = SLATE_ESTIMATORS["snrips"](log)
    same = SLATE_ESTIMATORS["sips"](type(log)(reward=log.reward, logged=log.logged, candidate=log.logged))
    assert same.value == pytest.approx(log.reward.sum(axis=1).mean())
    assert earned.value == pytest.approx(truths.mean(), abs=0.08)
    assert np.abs(log.weight("prefix").mean(axis=0) - 1).max() < 0.15, "the log may show all that the candidate may"


def shown(n: int, seed: int, policy: str) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    chance = np.full(5, 0.2) if policy == "random" else np.array([0.4, 0.3, 0.1, 0.1, 0.1])
    item = rng.choice(5, n, p=chance)
    return pl.DataFrame(
        {
            "timestamp": np.arange(n), "item_id": item, "position": rng.integers(1, 4, n),
            "click": (rng.random(n) < 0.05 + 0.05 * (item < 2)).astype(int), "propensity_score": chance[item],
            "user_feature_0": [("a", "b")[u] for u in rng.integers(0, 2, n)],
        }
    )  # fmt: skip


@pytest.mark.parametrize("layout", ["prepared", "as published"])
def test_a_campaign_is_read_in_either_layout_and_each_policy_judged_from_the_others_log(tmp_path, layout):
    items = pl.DataFrame(
        {"item_id": range(5), "item_feature_0": [0.1, 0.5, 0.2, 0.9, 0.4], "item_feature_1": [1, 1, 2, 2, 3]}
    )
    for seed, policy in enumerate(("random", "bts")):
        frame = shown(4000, seed, policy)
        if layout == "prepared":
            frame.write_parquet(tmp_path / f"{policy}.parquet")
            items.write_parquet(tmp_path / "items.parquet")
        else:
            (tmp_path / policy / "women").mkdir(parents=True)
            frame.write_csv(tmp_path / policy / "women" / "women.csv")
            items.write_csv(tmp_path / policy / "women" / "item_context.csv")
    made = campaign(tmp_path)
    assert made.n_items == 5 and made.positions == 3 and made.about.shape == (5, 4) and made.prior is None
    assert set(hindsight.directions(made)) == {"random to bts", "bts to random"}
    for direction in hindsight.directions(made):
        for name in ("ips", "dr", "constant"):
            told = hindsight.cross(made, direction, name)["metrics"]
            assert abs(told["estimate"] - told["truth"]) < 4 * told["noise"] * told["truth"] + 0.02
    assert hindsight.cross(made, "random to bts", "ips")["metrics"]["effective"] > 1000


def test_a_campaign_without_one_of_its_logs_is_refused(tmp_path):
    shown(50, 0, "random").write_parquet(tmp_path / "random.parquet")
    with pytest.raises(BadData, match="no log of bts"):
        campaign(tmp_path)
    shown(50, 0, "bts").drop("click").write_parquet(tmp_path / "bts.parquet")
    with pytest.raises(BadData, match="lacks click"):
        campaign(tmp_path)


def test_every_bench_has_its_judge_and_every_row_its_estimator(monkeypatch):
    monkeypatch.setattr(hindsight, "RUNS", {"offpolicy-digits": 2, "offpolicy-synthetic": 2})
    monkeypatch.setattr(hindsight, "REPEATS", 2)
    quick = {"offpolicy-digits": "snips", "offpolicy-coverage": "ips, near", "offpolicy-slates": "pi, independent"}
    for name, label in quick.items():
        page = BENCHES[name]
        told = hindsight.judge(page, page.entry(label), 0)
        assert (
            set(told["metrics"]) <= set(page.metrics)
            and told["protocol"]
            and np.isfinite(list(told["metrics"].values())).all()
        )
    for name, page in BENCHES.items():
        own = ("offpolicy-learning", "offpolicy-slates", "offpolicy-market", "offpolicy-recipes")
        if page.kind == "offpolicy" and name not in own:
            assert all(e.system in ESTIMATORS or e.system == hindsight.CONSTANT for e in page.entries), name
    with pytest.raises(UnknownName, match="offpolicy-digits"):
        hindsight.judge(BENCHES["gowalla"], BENCHES["gowalla"].entries[0], 0)


def record(error: float, errors: list[float], **more) -> dict:
    metrics = {"error": error, "sd": 0.1, "effective": 500.0}
    return {"metrics": metrics, "facts": {"errors": errors, **more}, "protocol": {"judged": "the way"},
            "seconds": {"all": 2.0}}  # fmt: skip


def test_errors_are_compared_log_by_log_with_an_interval():
    luck = np.random.default_rng(0).random(30)
    held = {("dr", 0): record(0.5, (0.1 * luck).tolist()), ("dm", 0): record(0.7, (0.1 * luck + 0.2).tolist()),
            ("ips", 0): record(0.6, (0.1 * luck[::-1]).tolist())}  # fmt: skip
    lines = hindsight.table(BENCHES["offpolicy-digits"], held, None).splitlines()
    assert "The way. One seed. Differences from `dr` are paired by log" in lines[2] and "seeds" not in lines[4]
    cells = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    assert "| +0.2000 (+0.2000 to +0.2000) |" in cells["dm"], "each log is off by as much more"
    assert re.search(r"0\.0000 \(-0\.\d+ to \+0\.\d+\)", cells["ips"]), "as much in all, not log by log"
    assert "(+" not in cells["dr"]


def test_a_table_says_how_many_seeds_its_means_are_over():
    page = BENCHES["offpolicy-slates"]
    metrics = dict.fromkeys(page.metrics, 1.5)
    one = {"metrics": metrics, "facts": {}, "protocol": {"judged": "Clicks"}, "seconds": {"all": 1.0}}
    held = {("sips, cascade", 0): one, ("sips, cascade", 1): {**one, "metrics": {**metrics, "stacking": 2.5}},
            ("rips, cascade", 0): one}  # fmt: skip
    said = hindsight.table(page, held, None)
    assert "Figures are means over seeds, ends of intervals too." in said
    rows = [line for line in said.splitlines() if line.startswith("| `")]
    assert "| 2.0000 |" in rows[0] and rows[0].endswith("| 2 | 1 |") and rows[1].endswith("| 1 | 1 |")
    assert "1.6290 / 1.6920 (Open Bandit Pipeline's slate notebook, truth 1.6125 / 1.6893; another protocol)" in rows[0]
