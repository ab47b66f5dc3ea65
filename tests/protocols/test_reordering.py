"""The benches of personalised ranking: what is learnt from, who is asked, and the table."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from interplay import reporting, results
from interplay.benches import BENCHES, Bench, Entry
from interplay.data.split import split
from interplay.fitted import built
from interplay.protocols import outcomes, reordering
from interplay.types import TEST, TRAIN, VALID
from models.test_outcomes import rated
from small import crowd

QUICK = {"descent": {"epochs": 1}}


def test_each_event_stands_beside_an_item_that_was_never_taken():
    data = crowd()
    parts = split(data, "last-out")
    told = reordering.pairs(parts, 200)
    user, item = told.fields["user"].reshape(-1, 2), told.fields["item"].reshape(-1, 2)
    took = {
        u: set(data.events.item[(data.events.user == u) & (parts.part != TEST)].tolist()) for u in range(data.n_users)
    }
    assert all(a in took[u] and b not in took[u] for (u, _), (a, b) in zip(user.tolist(), item.tolist(), strict=True))
    assert told.labels["take"].reshape(-1, 2).tolist() == [[1.0, 0.0]] * len(user)
    assert set(np.unique(told.part)) == {TRAIN, VALID}
    history = told.sequences["history"]
    fitted = parts.fitted("train+valid")
    for i in range(0, len(told), 37):
        whole = fitted.histories(user.reshape(-1)[[i]])["item"].tolist()
        past = history.row(i)["item"].tolist()
        assert past == whole[: len(past)], "what came before, oldest first"


def test_the_people_asked_keep_their_order_and_may_be_cut_to_newcomers():
    parts = split(crowd(), "last-out")
    asked = reordering.Asked.of(parts, 20)
    assert len(asked.truth) == 20 and "time" not in asked.requests.history
    some = reordering.drawn(asked, np.random.default_rng(0))
    for i in range(20):
        seen = set(asked.requests.history.row(i)["item"].tolist()) | {int(asked.truth[i])}
        assert not seen & set(some[i].tolist())
    cut = asked.shortened(np.full(20, 2))
    for i in range(20):
        assert cut.history.row(i)["item"].tolist() == asked.requests.history.row(i)["item"].tolist()[-2:]


def test_measures_among_a_few_and_of_a_new_order():
    area, found = reordering.among(np.array([[0.9, 0.1, 0.2], [0.1, 0.1, 0.9]]))
    assert area.tolist() == [1.0, 0.25] and found[0] == 1.0 and found[1] == pytest.approx(1 / np.log2(3.5))
    right = np.array([[False, True, False]])
    assert reordering.gain(np.array([[0.1, 0.9, 0.5]]), right).tolist() == [1.0]
    assert reordering.gain(np.zeros((1, 3)), right)[0] == pytest.approx(1 / np.log2(3))


def test_a_floor_puts_candidates_in_the_order_of_its_list_of_all_things():
    data = crowd()
    parts = split(data, "last-out")
    asked = reordering.Asked.of(parts, 20)
    items = np.column_stack([asked.truth, reordering.drawn(asked, np.random.default_rng(0))])[:, :6]
    items[0, 5] = -1
    model = built("popular").fit(parts.fitted("train+valid"))
    said = reordering.places(model, data.n_items, asked.requests, items, block=7)
    for i, row in enumerate(model.retrieve(asked.requests, data.n_items).items):
        order = {int(item): at for at, item in enumerate(row) if item >= 0}
        assert said[i].tolist() == [-order[item] if item in order else -np.inf for item in items[i].tolist()]
    assert said[0, 5] == -np.inf


def test_newcomers_are_tested_on_their_own(tmp_path):
    """Over everybody the two rows are level; among newcomers one is far ahead."""
    few = np.arange(200) % 4 == 0
    lot = np.random.default_rng(0).random(200) * 0.1
    base = {"auc": 0.5 + lot, "few": few.astype(np.float32)}
    other = {"auc": 0.5 + lot[::-1] + np.where(few, 0.3, -0.1), "few": base["few"]}
    rows = {}
    for name, values in (("din", base), ("aw-moe", other)):
        pl.DataFrame(values).write_parquet(tmp_path / f"{name}.parquet")
        rows[name] = [{"users": {"file": f"{name}.parquet"}}]
    told = reordering._compared(rows, ["auc", "auc_few"], "din", tmp_path)
    assert told["auc"].n == 200 and told["auc_few"].n == 50
    assert told["auc"]["aw-moe"].verdict == "cannot tell"
    ahead = told["auc_few"]["aw-moe"].told("auc")
    assert ahead.startswith("better: +.") and "[+." in ahead


@pytest.mark.parametrize(
    ("kind", "name", "rows"),
    [
        ("outcomes", "outcomes", (Entry(system="lookup"), Entry(system="infnet", settings=QUICK),
                                  Entry(system="din", label="apart", settings={**QUICK, "apart": True}))),
        ("reordering", "next", (Entry(system="din", settings=QUICK), Entry(system="aw-moe", settings=QUICK),
                                Entry(system="markov"))),
    ],
)  # fmt: skip
def test_rows_are_judged_recorded_and_shown(kind, name, rows, tmp_path, monkeypatch):
    page = Bench(
        name=name, version=1, about="**Small**.", data="small", kind=kind, split="time", entries=rows,
        baseline=rows[0].label, metrics=("auc", "ndcg", "reranked") if kind == "reordering" else ("auc",),
    )  # fmt: skip
    monkeypatch.setitem(BENCHES, name, page)
    monkeypatch.setenv("INTERPLAY_RESULTS", str(tmp_path))
    module = {"outcomes": outcomes, "reordering": reordering}[kind]
    monkeypatch.setattr(module, "load", lambda _: rated() if kind == "outcomes" else crowd())
    for entry in rows:
        record = results.run_row(name, entry.label, 0)
        assert all(np.isfinite(v) for v in record["metrics"].values())
        if entry.system == "markov":  # its own list in its own order
            assert record["metrics"]["reranked"] == record["metrics"]["base"]
    shown = reporting.table(name)
    assert all(f"`{entry.label}`" in shown for entry in rows) and "**Small**." in shown
    tested = shown[shown.index(f"against {rows[0].label}") :]
    assert all((f"`{entry.label}`" in tested) == (entry is not rows[0]) for entry in rows) and "cannot tell: " in tested
