"""The bench of click predictors: its rows, and a table that needs no data."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from interplay import reporting, results
from interplay.benches import BENCHES, Bench, Entry
from interplay.evaluate.labelled import JudgedExamples, parse
from interplay.metrics import auc
from interplay.protocols import predicting
from test_contract import labelled

QUICK = {"layers": (8,), "descent": {"epochs": 2, "batch": 64}}
SEARCH = {**QUICK, "scout": (8,), "trials": 3}


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[str, dict, object]:
    """A small bench: two networks under two seeds and a search, shown where the data cannot be read."""
    root = tmp_path_factory.mktemp("results")
    rows = (
        Entry(system="lr", settings={"descent": QUICK["descent"]}, seeds=(0, 1), trials=2),
        Entry(system="dnn", settings=QUICK, published={"auc": 0.9}, source="elsewhere", column="networks"),
        Entry(system="optinter", settings=SEARCH, column="networks"),
    )
    metrics = ("auc:click", "auc_valid:click", "logloss_valid:buy", "parameters", "epochs", "ms")
    page = Bench(name="clicks", version=1, about="**Clicks**.", data="small", kind="ranking", split="given", on="train",
                 entries=rows, baseline="lr", rivals={"networks": "optinter"}, metrics=metrics,
                 note="Said below.")  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BENCHES, "clicks", page)
        patch.setenv("INTERPLAY_RESULTS", str(root))
        patch.setattr(predicting, "load", lambda _: labelled())
        for entry in rows:
            for seed in entry.seeds:
                results.run_row("clicks", entry.label, seed)
        patch.delattr(predicting, "load")
        return reporting.table("clicks"), results.recorded(page), root


def lines(told: str, start: str) -> list[list[str]]:
    return [[c.strip() for c in row.split("|")[1:-1]] for row in told.splitlines() if row.startswith(f"| {start}")]


def test_the_paired_interval_comes_of_the_labels_kept_beside_the_logits(told):
    shown, held, root = told
    head, dnn, lr = lines(shown, "system")[0], lines(shown, "`dnn`")[0], lines(shown, "`lr`")[0]
    at = head.index("AUC against `lr`")
    frames = {key: pl.read_parquet(root / record["users"]["file"]) for key, record in held.items()}
    label, group = frames["lr", 0]["label_click"].to_numpy(), frames["lr", 0]["group"].to_numpy()
    assert set(np.unique(label)) <= {-1.0, 0.0, 1.0} and len(np.unique(group)) > 1
    area = {key: auc(label[label >= 0], f["logit_click"].to_numpy()[label >= 0]) for key, f in frames.items()}
    gap = area["dnn", 0] - (area["lr", 0] + area["lr", 1]) / 2
    assert float(dnn[at].split()[0]) == pytest.approx(gap, abs=1e-4)
    assert lr[at] == "" and dnn[head.index("published")] == ".9000 (elsewhere)" and lr[head.index("trials")] == "2"
    assert "Said below." in shown


def test_a_group_with_a_rival_is_compared_with_it_too(told):
    shown, *_ = told
    head = lines(shown, "system")[0]
    own, other = head.index("AUC against `lr`"), head.index("AUC against `optinter`")
    lr, dnn, pairs = (lines(shown, f"`{name}`")[0] for name in ("lr", "dnn", "optinter"))
    assert lr[other] == pairs[other] == "", "another group, and the rival itself"
    least, rival = (float(row[own].split()[0]) for row in (dnn, pairs))
    assert float(dnn[other].split()[0]) == pytest.approx(least - rival, abs=2e-4)


def test_seeds_are_compared_by_their_mean_auc_and_not_as_one_ensemble(tmp_path):
    rng = np.random.default_rng(0)
    label, group = rng.integers(0, 2, 400).astype(np.float16), rng.integers(0, 30, 400).astype(np.int32)
    page = Bench(name="noise", version=1, about="Noise.", data="none", kind="ranking", baseline="lr", metrics=("auc",),
                 entries=(Entry(system="lr", seeds=(0, 1, 2)), Entry(system="dnn")))  # fmt: skip
    held, logits = {}, {}
    for entry in page.entries:
        for seed in entry.seeds:
            logits[entry.label, seed] = z = (label + rng.normal(0, 2, 400)).round(1).astype(np.float16)
            pl.DataFrame({"logit_click": z.astype(np.float32), "label_click": label.astype(np.float32), "group": group}
                         ).write_parquet(tmp_path / f"{entry.label}-{seed}")  # fmt: skip
            held[entry.label, seed] = {"metrics": {"auc": auc(label, z)}, "facts": {"fit": 1.0}, "protocol": {},
                                       "users": {"file": f"{entry.label}-{seed}"}}  # fmt: skip
    several = [logits["lr", seed] for seed in range(3)]

    def gap(rows) -> float:
        return auc(label[rows], logits["dnn", 0][rows]) - np.mean([auc(label[rows], z[rows]) for z in several])

    judged = JudgedExamples(labels={"click": label}, said={}, group=group, metrics=parse("auc"))
    all_of_them = np.arange(400)
    slow = [gap(all_of_them), *np.percentile([gap(r) for r in judged.resamples(0, 200)], [2.5, 97.5])]
    cell = lines(predicting.table(page, held, tmp_path), "`dnn`")[0][2]
    told = [float(v.strip("[],")) for v in cell.split()]
    assert told == pytest.approx(slow, abs=1e-4)
    assert auc(label, np.mean(several, axis=0)) > np.mean([auc(label, z) for z in several]) + 0.05, (
        "an ensemble's is not"
    )


def test_figures_of_the_validation_part_and_what_is_kept_stand_in_the_table(told):
    shown, held, _ = told
    head, dnn = lines(shown, "system")[0], lines(shown, "`dnn`")[0]
    record = held["dnn", 0]
    assert {"auc_valid:click", "logloss_valid:buy"} <= set(record["metrics"])
    assert dnn[head.index("parameters")] == f"{record['facts']['parameters']:,}" != "0"
    loss = record["metrics"]["logloss_valid:buy"]
    assert float(dnn[head.index("logloss valid:buy")]) == pytest.approx(loss, abs=1e-4)


def test_what_the_search_chose_is_shown_pair_by_pair_with_its_trials_and_alpha(told):
    shown, held, _ = told
    facts = held["optinter", 0]["facts"]
    names = predicting.fields(held["optinter", 0])
    assert all(f"{a} x {b}" in facts["chosen"] for i, a in enumerate(names) for b in names[i + 1 :])
    said = {"memorize": "R", "factorize": "F", "naive": "-"}
    first = lines(shown, f"**{names[0]}**")[0][1:]
    assert first == [said[facts["chosen"][f"{names[0]} x {b}"]] for b in names[1:]]
    assert lines(shown, "seed 0")[0][1:] == [f"{t['auc']:.4f}".replace("0.", ".", 1) for t in facts["tried"]]
    steps = lines(shown, "step")[0][1:]
    assert steps == [str(s) for s in facts["alpha_steps"]] and steps[0] == "0"
    shares = np.array(facts["alpha"])
    top = int(shares[-1, :, 0].argmax())
    pairs = [f"{a} x {b}" for i, a in enumerate(names) for b in names[i + 1 :]]
    assert lines(shown, pairs[top])[0][1:] == [f"{v:.2f}" for v in shares[:, top, 0]]
