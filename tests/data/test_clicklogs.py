"""Click logs as their publishers lay them out, on rows that we made."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplay.data.clicklogs import CRITEO, click_log, examples_of
from interplay.data.examples import Examples
from interplay.data.read import load
from interplay.errors import BadData
from interplay.ranking import divide


def test_criteos_own_file_has_tabs_and_no_header(tmp_path: Path, monkeypatch):
    rows = ["\t".join(["1", "5", *[""] * 12, *[f"h{i}" for i in range(25)], ""]),
            "\t".join(["0", "-1", *["3"] * 12, *[f"h{i}" for i in range(26)]])]  # fmt: skip
    (tmp_path / "criteo").mkdir()
    (tmp_path / "criteo" / "train.txt").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("INTERPLAY_DATA", str(tmp_path))
    examples = Examples.of(load("criteo"))
    assert len(examples.numbers) == 13 and len(examples.fields) == 26 and examples.labels["label"].tolist() == [1, 0]
    assert examples.numbers["I1"].tolist() == [5, -1] and np.isnan(examples.numbers["I2"][0])
    assert examples.fields["C26"][0] == -1 and examples.fields["C1"][0] == examples.fields["C1"][1]


def test_avazus_hours_are_moments_and_its_rows_are_split_by_them(tmp_path: Path):
    n = 40
    table = pl.DataFrame({
        "id": range(n), "click": [int(i % 4 == 0) for i in range(n)],
        "hour": [14102100 + 100 * (i // 10) + i % 10 for i in range(n)],
        "C1": [1005] * n, "site_id": [f"s{i % 3}" for i in range(n)], "device_ip": [f"ip{i}" for i in range(n)],
    })  # fmt: skip
    table.write_csv(tmp_path / "train.csv")
    data = click_log(tmp_path, "avazu")
    examples = Examples.of(data)
    assert examples.at[0] == int(datetime(2014, 10, 21, tzinfo=UTC).timestamp() * 1e6)
    assert set(examples.fields) == {"hour", "weekday", "C1", "site_id", "device_ip"} and examples.fields["hour"][3] == 3
    division = divide(data)
    assert division.rule == "time" and division.sizes["test"] == 4


def test_outcomes_of_several_kinds_are_tasks_and_parts_may_be_files(tmp_path: Path):
    shown = pl.DataFrame({"click": [1, 0], "purchase": [0, 0], "101": [1, 2], "D508": [0.5, 0.0]})
    for part in ("train", "test"):
        shown.write_parquet(tmp_path / f"{part}.parquet")
    examples = Examples.of(click_log(tmp_path, "ali-ccp"))
    assert examples.tasks == ("click", "purchase") and examples.part.tolist() == [2, 2, 0, 0]
    assert set(examples.numbers) == {"D508"} and set(examples.fields) == {"101"}
    queries = examples_of(
        pl.DataFrame({"search_id": [3], "categorical_1": [9], "numerical_1": [1], "click": [1], "conversion": [0]})
    )
    assert {"request_id", "label_click", "label_conversion"} <= set(queries.columns)
    assert queries["numerical_1"].dtype == pl.Float32
    shown.write_parquet(tmp_path / "more.parquet")
    with pytest.raises(BadData, match="some name no part"):
        click_log(tmp_path, "ali-ccp")
    assert len(CRITEO) == 40
