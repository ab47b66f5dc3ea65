"""The directory format: what comes in, what is refused and how it is said, and that it comes back the same."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from interplay.data.read import validate
from interplay.data.report import Report
from interplay.data.tables import from_frames, read_directory, write_directory
from interplay.errors import BadData
from interplay.types import TEST, TRAIN, VALID

LOG = {"user_id": ["ann", "bob", "ann", "cy"], "item_id": ["tea", "tea", "jam", "rye"]}
NOON = 1_700_000_000_000_000


def named(dataset) -> list[tuple]:
    """Events with external names, in canonical order."""
    e = dataset.events
    return [(dataset.users[u], dataset.items[i]) for u, i in zip(e.user, e.item, strict=True)]


def test_every_kind_of_table_gives_the_same_dataset():
    frames = [LOG, pl.DataFrame(LOG), pl.LazyFrame(LOG), pd.DataFrame(LOG), pa.table(LOG), pa.record_batch(LOG)]
    prints = {from_frames("shop", f).fingerprint for f in frames}
    assert len(prints) == 1
    with pytest.raises(BadData, match="found int"):
        from_frames("shop", 7)


def test_index_order_is_a_hash_of_the_id_and_follows_neither_popularity_nor_first_appearance():
    items = [i for i in range(200) for _ in range(200 - i)]
    d = from_frames("shop", {"user_id": [0] * len(items), "item_id": items})
    assert (np.diff(d.items.keys.astype(float)) > 0).all()
    counts = np.bincount(d.events.item)
    assert abs(np.corrcoef(counts, np.arange(200))[0, 1]) < 0.3
    shuffled = from_frames(
        "shop", pl.DataFrame({"user_id": [0] * len(items), "item_id": items}).sample(fraction=1, shuffle=True, seed=1)
    )
    assert d.items == shuffled.items


def test_events_are_sorted_by_user_time_order_and_row():
    d = from_frames(
        "shop",
        {
            "user_id": ["a"] * 5,
            "item_id": [1, 2, 3, 4, 5],
            "timestamp": [NOON, NOON, NOON - 1, NOON, NOON],
            "order": [2, 1, 9, 2, 0],
        },
    )
    assert [i for _, i in named(d)] == [3, 5, 2, 1, 4]


def test_an_order_column_alone_orders_the_history():
    d = from_frames("shop", {"user_id": ["a", "a", "a"], "item_id": [1, 2, 3], "order": [2, 0, 1]})
    assert d.events.ordered and d.events.time is None and [i for _, i in named(d)] == [2, 3, 1]


def test_ids_are_strings_or_integers_and_seven_finds_seven():
    log = pd.DataFrame({"user_id": [1, "x", 7], "item_id": [1.0, 2.0, 2.0]})
    d = from_frames("shop", log, items={"item_id": ["1", "2"], "title": ["one", "two"]})
    assert d.users.index(["7", 7, "x"]).tolist() == [d.users.index(["7"])[0]] * 2 + [d.users.index(["x"])[0]]
    assert d.n_items == 2 and d.catalogue["title"][int(d.items.index([2])[0])] == "two"


def test_what_the_columns_mean_is_kept():
    d = from_frames(
        "shop",
        {
            **LOG,
            "timestamp": ["2024-01-02T03:04:05Z", "2024-01-02", "2024-01-02 05:04:05.5+02:00", "2024-01-02T00:00:01"],
            "value": ["1", "2.5", "3", "4"],
            "event_type": ["view", "buy", "view", "view"],
            "session_id": ["x", None, "x", "y"],
            "split": ["train", "valid", "TEST", "train"],
            "surface": ["home", "home", "cart", None],
        },
    )
    e, ann = d.events, int(d.users.index(["ann"])[0])
    mine = e.user == ann
    at = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp() * 1e6
    assert e.time[mine].tolist() == [at, at + 500_000]
    assert sorted(zip(e.value, (e.kinds[k] for k in e.kind), strict=True)) == [
        (1, "view"),
        (2.5, "buy"),
        (3, "view"),
        (4, "view"),
    ]
    assert len(set(e.session[mine])) == 1 and (e.session == -1).sum() == 1
    assert sorted(e.part) == [TRAIN, TRAIN, VALID, TEST] and set(e.context["surface"]) == {"home", "cart", None}


@pytest.mark.parametrize(("unit", "per_second"), [("seconds", 1), ("milliseconds", 1e3), ("nanoseconds", 1e9)])
def test_times_in_another_unit_are_named_and_converted_when_said(unit, per_second):
    times = (np.array([1.5e9, 1.6e9, 1.7e9, 1.71e9]) * per_second).astype(np.int64)
    with pytest.raises(BadData, match=f"timestamp: .* look like {unit} .*expected microseconds"):
        from_frames("shop", {**LOG, "timestamp": times})
    d = from_frames("shop", {**LOG, "timestamp": times}, time_unit=unit)
    assert sorted(d.events.time) == [
        1_500_000_000_000_000,
        1_600_000_000_000_000,
        1_700_000_000_000_000,
        1_710_000_000_000_000,
    ]


def test_one_odd_time_neither_hides_nor_fakes_a_wrong_unit():
    log = {"user_id": [1] * 300, "item_id": [1] * 300, "timestamp": [0] + [1_600_000_000 + i for i in range(299)]}
    with pytest.raises(BadData, match="seconds"):
        from_frames("shop", log)
    from_frames("toy", {**log, "timestamp": range(0, 300 * 86_400_000_000, 86_400_000_000)})  # days from 1970 on
    assert len(from_frames("one", {"user_id": [1], "item_id": [1], "timestamp": [NOON]}).events) == 1


def test_dates_of_any_resolution_are_understood():
    day = [datetime(2024, 5, 1, tzinfo=UTC)] * 4
    for column in (pl.Series(day).cast(pl.Datetime("ns", "UTC")), pl.Series(day).dt.date(), pl.Series(day)):
        assert from_frames("shop", {**LOG, "timestamp": column}).events.time[0] == 1_714_521_600_000_000


BAD = [
    ("value", [1.0, float("nan"), 2.0, 3.0], 2, "nan is not a finite number"),
    ("value", [1.0, 2.0, float("inf"), 3.0], 3, "inf is not a finite number"),
    ("value", ["1", "2", "much", "3"], 3, "'much' is not a number"),
    ("value", [1.0, None, 2.0, 3.0], 2, "is missing"),
    ("user_id", ["ann", None, "bob", "cy"], 2, "the id is missing"),
    ("item_id", ["tea", "", "jam", "rye"], 2, "the id is missing"),
    ("item_id", [1.0, 2.5, 3.0, 4.0], 2, "not a whole number"),
    ("timestamp", [NOON, None, NOON, NOON], 2, "the time is missing"),
    ("timestamp", [NOON, float("nan"), NOON, NOON], 2, "expected a finite number"),
    ("timestamp", [str(NOON), str(NOON), "noon", str(NOON)], 3, "'noon' is no time"),
    ("split", ["train", "rest", "test", "valid"], 2, "expected train, valid or test"),
    ("order", [1, 2, float("inf"), 4], 3, "not a finite number"),
    ("event_type", ["view", None, "view", "view"], 2, "is missing"),
]


@pytest.mark.parametrize(("column", "values", "row", "reason"), BAD)
def test_a_bad_cell_is_named_by_row_column_and_reason_and_the_rest_is_counted(column, values, row, reason):
    bad = pl.DataFrame({**LOG, column: values}, strict=False)
    with pytest.raises(
        BadData, match=rf"1 of 4 rows cannot be used; the first: interactions, row {row}, column {column}: .*{reason}"
    ):
        from_frames("shop", bad)
    report = Report("shop")
    d = from_frames("shop", bad, bad="skip", report=report)
    c = report.counts("interactions")
    assert (c.rows, c.kept, c.refused, len(d.events)) == (4, 3, 1, 3)


def test_a_row_with_two_faults_is_refused_once():
    report = Report("shop")
    from_frames(
        "shop", {"user_id": [None, "a"], "item_id": [None, 1], "value": [np.nan, 1.0]}, bad="skip", report=report
    )
    assert report.refused == 1 and len(report.problems) == 1 and report.kept == 1


def test_columns_that_are_missing_or_of_no_use_are_said_with_the_nearest():
    with pytest.raises(BadData, match=r"no column user_id: it has .*'userid'.*rename 'userid'"):
        from_frames("shop", {"userid": [1], "item_id": [1]})
    with pytest.raises(BadData, match="is no id"):
        from_frames("shop", {"user_id": [[1]], "item_id": [1]})
    with pytest.raises(BadData, match="no time unit called 'hours'"):
        from_frames("shop", {**LOG, "timestamp": [1, 2, 3, 4]}, time_unit="hours")


@pytest.mark.parametrize("unit", [None, "milliseconds"])
def test_one_row_in_seconds_among_others_is_refused_with_its_row(unit):
    ticks = 1000 if unit else 1_000_000
    times = [1_700_000_000 * ticks, 1_700_000_100, 1_700_000_200 * ticks, 1_700_000_300 * ticks]
    log = {"user_id": [1, 1, 2, 2], "item_id": [1, 2, 1, 2], "timestamp": times}
    with pytest.raises(
        BadData, match=rf"row 2, column timestamp: 1700000100 looks like seconds, among {unit or 'micro'}"
    ):
        from_frames("shop", log, time_unit=unit)
    assert len(from_frames("shop", log, time_unit=unit, bad="skip").events) == 3


def test_times_that_are_no_calendar_times_are_left_alone():
    times = [0, 1_000_000_000, 2_000_000_000, 30_000_000_000]  # microseconds after somebody's own start
    assert len(from_frames("shop", {**LOG, "timestamp": times}).events) == 4


def test_repeated_rows_are_events_and_are_counted():
    report = Report("shop")
    d = from_frames(
        "shop", {"user_id": [1, 1, 1], "item_id": [2, 2, 2], "timestamp": [NOON, NOON, NOON + 1]}, report=report
    )
    assert len(d.events) == 3 and any("1 rows repeat" in n for n in report.notes)


def test_an_empty_log_loads_and_says_so():
    report = Report("shop")
    d = from_frames("shop", {"user_id": [], "item_id": []}, items={"item_id": [1, 2]}, report=report)
    assert (len(d.events), d.n_users, d.n_items) == (0, 0, 2) and "has no events" in str(report)


def test_items_of_the_log_that_the_catalogue_lacks_get_an_index_and_a_note():
    report = Report("shop")
    d = from_frames(
        "shop", LOG, items={"item_id": ["tea", "new"], "title": ["Tea", "New"], "price": [1.0, np.nan]}, report=report
    )
    assert d.n_items == 4 and len(d.catalogue) == 4 and "2 items of the log are not in items" in str(report)
    titles = dict(zip(d.items, d.catalogue["title"], strict=True))
    assert titles == {"tea": "Tea", "new": "New", "jam": None, "rye": None}
    assert d.catalogue["price"].is_nan().sum() == 0 and "NaN or infinite" in str(report)


def test_an_item_described_twice_is_refused():
    with pytest.raises(BadData, match="items, row 3, column item_id: 'tea' is described twice"):
        from_frames("shop", LOG, items={"item_id": ["tea", "jam", "tea"]})


def test_vectors_follow_their_items_and_must_be_finite():
    report = Report("shop")
    given = {"item_id": ["rye", "tea", "unheard"], "v": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]}
    d = from_frames("shop", LOG, vectors={"look": given}, report=report)
    rows = dict(zip(d.items, d.vectors["look"].tolist(), strict=True))
    assert rows == {"rye": [1, 2], "tea": [3, 4], "jam": [0, 0]}
    assert "left out" in str(report) and "theirs is zero" in str(report)
    as_array = from_frames("shop", LOG, items={"item_id": ["tea", "jam", "rye"]}, vectors={"look": np.eye(3)})
    assert as_array.vectors["look"][int(as_array.items.index(["jam"])[0])].tolist() == [0, 1, 0]
    for wrong, said in (
        ({"item_id": ["tea"], "v": [[np.nan]]}, "must be finite"),
        ({"item_id": ["tea", "jam"], "v": [[1.0], [1.0, 2.0]]}, "different length"),
        ({"item_id": ["tea"], "v": [1.0]}, "one list column"),
        (np.eye(2), "one row per item"),
    ):
        with pytest.raises(BadData, match=said):
            from_frames("shop", LOG, vectors={"look": wrong})


def rich():
    return from_frames(
        "shop",
        {
            **LOG,
            "timestamp": [NOON, NOON + 5, NOON + 9, NOON],
            "value": [1.0, 2.0, 3.0, 4.0],
            "event_type": ["view", "buy", "view", "view"],
            "session_id": [4, 5, 4, 6],
            "split": ["train", "test", "valid", "train"],
            "page": [1, 2, 3, 4],
        },
        items={
            "item_id": ["tea", "jam", "rye", "new"],
            "title": ["Tea", "Jam", "Rye", "New"],
            "categories": [["a"], ["b"], [], None],
        },
        users={"user_id": ["ann", "bob", "cy", "dee"], "age": [30, 40, 50, 60]},
        tables={"queries": {"query_id": [1], "text": ["tea"]}},
        vectors={"look": {"item_id": ["tea", "jam"], "v": [[1.0], [2.0]]}, "face": {"user_id": ["ann"], "v": [[1.0]]}},
    )


def test_what_is_written_is_read_back_equal(tmp_path: Path):
    d = rich()
    back = read_directory(write_directory(d, tmp_path / "shop"))
    assert back.fingerprint == d.fingerprint and back.items == d.items and back.users == d.users
    assert back.events.kinds == d.events.kinds and (back.events.session == d.events.session).all()
    assert (back.events.context["page"] == d.events.context["page"]).all()
    assert back.catalogue.equals(d.catalogue) and back.people.equals(d.people)
    assert back.tables["queries"].equals(d.tables["queries"]) and len(back.tables["user_vectors/face"]) == 1
    assert (back.vectors["look"] == d.vectors["look"]).all()
    assert validate(tmp_path / "shop").ok


def test_an_order_without_times_is_read_back_equal(tmp_path: Path):
    d = from_frames("shop", {**LOG, "order": [3, 1, 2, 0]})
    back = read_directory(write_directory(d, tmp_path / "shop"))
    assert back.events.ordered and back.fingerprint == d.fingerprint


def test_a_directory_is_not_overwritten_unless_asked(tmp_path: Path):
    write_directory(rich(), tmp_path / "shop")
    with pytest.raises(BadData, match="exists already"):
        write_directory(rich(), tmp_path / "shop")
    write_directory(rich(), tmp_path / "shop", replace=True)
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]


def test_validate_counts_and_lists_without_raising(tmp_path: Path):
    pl.DataFrame({**LOG, "value": [1.0, np.nan, 2.0, np.inf]}).write_parquet(tmp_path / "interactions.parquet")
    (tmp_path / "stray.csv").write_text("a\n1\n")
    report = validate(tmp_path)
    assert not report.ok and report.refused == 2 and [p.row for p in report.problems] == [2, 4]
    assert "interactions.parquet: 4 rows in, 2 kept, 2 refused" in str(report)
    assert "stray.csv is no table of the format" in str(report)


def test_a_missing_directory_and_one_without_a_log_are_said(tmp_path: Path):
    assert "no data set at" in str(validate(tmp_path / "nowhere"))
    (tmp_path / "notes.md").write_text("x")
    with pytest.raises(BadData, match=r"holds no interactions.parquet .* it holds \['notes.md'\]"):
        read_directory(tmp_path)


def test_one_log_in_two_files_is_ambiguous(tmp_path: Path):
    pl.DataFrame(LOG).write_parquet(tmp_path / "interactions.parquet")
    pl.DataFrame(LOG).write_csv(tmp_path / "interactions.csv")
    with pytest.raises(BadData, match="twice"):
        read_directory(tmp_path)
