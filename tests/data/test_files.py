"""Files of every kind, whole, broken and cut off; and directories that appear whole or not at all."""

from __future__ import annotations

import gzip
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest

from interplay.data.files import batches, delimiter, read_table, typed, written_whole
from interplay.data.read import validate
from interplay.data.report import Report
from interplay.data.tables import from_frames, read_directory
from interplay.errors import BadData

LOG = pl.DataFrame({"user_id": ["ann", "bob", "ann"], "item_id": ["tea", "tea", "jam"], "value": [1.0, 2.0, 3.0]})


def test_one_log_in_any_kind_of_file_is_the_same_dataset(tmp_path: Path):
    LOG.write_parquet(tmp_path / "a.parquet")
    LOG.write_csv(tmp_path / "a.csv")
    LOG.write_csv(tmp_path / "a.tsv", separator="\t")
    LOG.write_csv(tmp_path / "semi.csv", separator=";", include_bom=True)
    LOG.write_ndjson(tmp_path / "a.jsonl")
    LOG.write_ipc(tmp_path / "a.arrow")
    pa.feather.write_feather(LOG.to_arrow(), tmp_path / "a.feather")
    with (
        pa.OSFile(str(tmp_path / "stream.arrow"), "wb") as out,
        pa.ipc.new_stream(out, LOG.to_arrow().schema) as writer,
    ):
        writer.write_table(LOG.to_arrow())
    expected = from_frames("a", LOG).fingerprint
    found = {p.name: read_directory(p).fingerprint for p in tmp_path.iterdir()}
    assert len(found) == 8 and set(found.values()) == {expected}


def test_broken_csv_lines_are_named_by_their_row_and_the_others_are_read(tmp_path: Path):
    file = tmp_path / "log.csv"
    file.write_text('user_id,item_id,value\na,1,2\nb,2\n\nc,"x, y",4\nd,4,5,6\ne,5,nan\n')
    with pytest.raises(
        BadData, match=r"3 of 5 rows cannot be used; the first: log.csv, row 2: 2 fields where the header has 3"
    ):
        read_directory(file)
    report = validate(file)
    assert sorted((p.row, p.column) for p in report.problems) == [(2, None), (4, None), (5, "value")]
    assert (report.rows, report.kept, report.refused) == (5, 2, 3)


def test_row_numbers_survive_broken_lines_across_blocks(tmp_path: Path):
    lines = [f"u{i},i{i},{i}" if i % 7 else f"u{i},i{i}" for i in range(1, 30_001)]
    lines[20_000] = "u,i,much"
    (tmp_path / "log.csv").write_text("user_id,item_id,value\n" + "\n".join(lines) + "\n")
    report = Report("log")
    parts = list(batches(tmp_path / "log.csv", report, rows=1000))
    assert len(parts) > 1
    kept = pl.concat(parts)
    assert (kept["user_id"].head(20_000 - 2857) == "u" + kept["__row"].cast(pl.String).head(20_000 - 2857)).all()
    assert (
        report.refused == 30_000 // 7 and any(p.row == 20_001 for p in validate(tmp_path / "log.csv").problems) is False
    )
    from_frames("log", kept.filter(pl.col("value") != "much"))
    told = Report("again")
    from_frames("log", kept, bad="skip", report=told)
    assert [(p.row, p.column) for p in told.problems] == [(20_001, "value")]


@pytest.mark.parametrize("columns", ["user_id,item_id", "item_id,title"])
def test_a_quote_that_is_never_closed_does_not_swallow_rows_in_silence(tmp_path: Path, columns):
    file = tmp_path / ("interactions.csv" if "user_id" in columns else "items.csv")
    file.write_text(f'{columns}\na,1\nb,"2\nc,3\nd,4\n')
    report = validate(tmp_path)
    assert report.kept == 1 and [p.row for p in report.problems] == [2] and "quote" in str(report)


def test_line_breaks_inside_closed_quotes_are_part_of_the_text(tmp_path: Path):
    (tmp_path / "items.csv").write_text('item_id,title\na,"one\ntwo"\nb,5" pipe\nc,"three\nfour"\n')
    d = read_directory(tmp_path)
    assert set(d.catalogue["title"]) == {"one\ntwo", '5" pipe', "three\nfour"}


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_a_file_that_was_cut_off_gives_one_sentence(tmp_path: Path, ending):
    big = pl.DataFrame({"user_id": np.arange(5000), "item_id": np.arange(5000) * 7 % 1000})
    file = tmp_path / f"interactions.{ending}"
    big.write_parquet(file) if ending == "parquet" else big.write_ipc(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BadData, match=f"interactions.{ending} cannot be read after row 0: it is cut off or damaged"):
        read_directory(tmp_path)
    report = validate(tmp_path)
    assert not report.ok and len(report.unreadable) == 1


def test_damage_inside_a_parquet_file_is_found_with_the_row_before_it(tmp_path: Path):
    file = tmp_path / "log.parquet"
    pl.DataFrame(
        {"user_id": np.arange(200_000), "item_id": np.random.default_rng(0).integers(0, 2**40, 200_000)}
    ).write_parquet(file, row_group_size=20_000, compression="zstd")
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 2000] = os.urandom(2000)
    file.write_bytes(raw)
    assert not validate(file).ok


def test_files_without_a_header_or_with_an_unknown_ending_are_said(tmp_path: Path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.csv").write_text("user_id,user_id\n1,2\n")
    (tmp_path / "log.xlsx").write_text("x")
    for name, said in (("empty.csv", "is empty"), ("twice.csv", "names a column twice"), ("log.xlsx", "no known kind")):
        with pytest.raises(BadData, match=said):
            read_table(tmp_path / name, Report("x"))
    with pytest.raises(BadData, match="no file at"):
        read_table(tmp_path / "gone.csv", Report("x"))


def test_a_header_alone_is_an_empty_log(tmp_path: Path):
    (tmp_path / "log.csv").write_text("user_id,item_id,value\n")
    pl.DataFrame(schema={"user_id": pl.Int64, "item_id": pl.Int64}).write_parquet(tmp_path / "log.parquet")
    for file in tmp_path.iterdir():
        assert len(read_directory(file).events) == 0 and "has no events" in str(validate(file))


def test_broken_json_lines_are_refused(tmp_path: Path):
    (tmp_path / "log.jsonl").write_text('{"user_id": 1, "item_id": 2}\n{"user_id": 1,\n[1]\n')
    report = validate(tmp_path / "log.jsonl")
    assert report.kept == 1 and [p.row for p in report.problems] == [2, 3]


def test_text_columns_are_typed_by_all_their_values():
    assert typed(pl.Series(["1", None, "3"])).dtype == pl.Int64
    assert typed(pl.Series(["1.5", "2"])).dtype == pl.Float64
    assert typed(pl.Series(["007", "2"])).dtype == pl.String
    assert typed(pl.Series(["1", "x"])).dtype == pl.String
    assert typed(pl.Series([None], dtype=pl.String)).dtype == pl.String
    assert delimiter("a,b;c\td") in ",;\t" and delimiter("user\titem") == "\t"


def test_a_directory_is_written_whole_or_not_at_all(tmp_path: Path):
    target = tmp_path / "out"
    with pytest.raises(RuntimeError), written_whole(target) as fresh:
        (fresh / "a").write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with written_whole(target) as fresh:
        (fresh / "a").write_text("whole")
    with pytest.raises(RuntimeError), written_whole(target, replace=True) as fresh:
        raise RuntimeError
    assert (target / "a").read_text() == "whole" and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_leaves_what_was_there(tmp_path: Path):
    """The limit on file size stands in for the full disk: the kernel refuses the write in the same way."""
    script = f"""
import resource, numpy as np
from interplay.data.tables import from_frames, write_directory
from interplay.errors import InterplayError
small = from_frames("s", {{"user_id": [1], "item_id": [2]}})
write_directory(small, {str(tmp_path / "out")!r})
big = from_frames("b", {{"user_id": np.arange(60000), "item_id": np.arange(60000)}})
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, {resource.RLIM_INFINITY}))
try:
    write_directory(big, {str(tmp_path / "out")!r}, replace=True)
except (InterplayError, OSError) as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "InterplayError no room left to write" in done.stdout and "unharmed" in done.stdout, (
        done.stdout + done.stderr
    )
    assert len(read_directory(tmp_path / "out").events) == 1 and len(list(tmp_path.iterdir())) == 1


def test_gzip_is_no_kind_of_ours_and_says_so(tmp_path: Path):
    with gzip.open(tmp_path / "log.csv.gz", "wt") as out:
        out.write("user_id,item_id\n1,2\n")
    with pytest.raises(BadData, match="no known kind"):
        read_directory(tmp_path / "log.csv.gz")
