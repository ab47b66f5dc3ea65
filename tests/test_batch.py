"""Lists for many people: those that each would have been given alone, in bounded memory, in a file that is whole."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import interplay.answering as answering
from interplay.answering import answer_all
from interplay.cli import app
from interplay.errors import BadData, BadSetting, InterplayError, Unsupported
from interplay.fitted import Fitted
from small import crowd

ODD = ["u3", "nobody", "u0", "u3", "u41"]
RULE = "title != 'brass plum number 18'"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("batch") / "model"
    Fitted.learn("item-knn", crowd(), settings={"k": 5}).save(place)
    return place


@pytest.fixture(scope="module")
def numbered(tmp_path_factory) -> Path:
    """A model whose people and items are whole numbers, without a catalogue."""
    log = pl.DataFrame({"user_id": [1, 1, 2, 2, 30, 30, 4], "item_id": [10, 20, 10, 20, 50, 60, 50]})
    place = tmp_path_factory.mktemp("numbered") / "model"
    Fitted.learn("item-knn", log).save(place)
    return place


def alone(model: Path, user: object, **asked: object) -> list[tuple]:
    shown = Fitted.load(model).recommend([user], **asked)
    return list(zip(shown["rank"], shown["item_id"], shown["score"].round(5), strict=True))


@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_everybody_is_given_the_list_they_would_have_been_given_alone(model, tmp_path, ending):
    (tmp_path / "people.txt").write_text("\n".join(ODD) + "\n")
    told = answer_all(model, tmp_path / "people.txt", tmp_path / f"lists.{ending}", k=4, where=RULE, block=2)
    read = {"parquet": pl.read_parquet, "csv": pl.read_csv, "jsonl": pl.read_ndjson}[ending]
    lists = read(tmp_path / f"lists.{ending}")
    assert lists.columns == ["user_id", "rank", "item_id", "score", "title"]
    assert (told.people, told.unknown, told.rows) == (5, 1, len(lists)) and told.empty == 0
    wanted = [(user, *row) for user in ODD for row in alone(model, user, k=4, where=RULE)]
    assert list(zip(*(lists[c] for c in ("user_id", "rank", "item_id")), strict=True)) == [w[:3] for w in wanted]
    assert lists["score"].round(5).to_list() == pytest.approx([w[3] for w in wanted], abs=1e-4)
    titles = dict(zip(crowd().items, crowd().catalogue["title"], strict=True))
    assert lists["title"].to_list() == [titles[i] for i in lists["item_id"]]


def test_all_is_everybody_whom_the_model_knows_and_rules_hold(model, tmp_path):
    told = answer_all(model, "all", tmp_path / "lists.parquet", k=3, exclude=["i0", "i1"], block=7)
    lists = pl.read_parquet(tmp_path / "lists.parquet")
    assert told.people == 60 and told.unknown == 0 and lists["user_id"].unique(maintain_order=True).to_list() == [
        f"u{i}" for i in range(60)
    ]  # fmt: skip
    assert not lists["item_id"].is_in(["i0", "i1"]).any()


@pytest.mark.parametrize("column", ["user_id", "user"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_people_are_named_by_a_column(model, tmp_path, column, ending):
    frame = pl.DataFrame({"age": range(4), column: ["u1", None, "u2", "stranger"]})
    getattr(frame, f"write_{ending}")(tmp_path / f"people.{ending}")
    told = answer_all(model, tmp_path / f"people.{ending}", tmp_path / "lists.csv", k=2)
    assert (told.people, told.unknown) == (3, 1)
    assert [str(p) for p in told.refused.problems] == [f"people.{ending}, row 2, column {column}: names nobody"]


def test_whole_numbers_stay_whole_numbers(numbered, tmp_path):
    (tmp_path / "people.txt").write_text("user_id\n30\n99\n")
    told = answer_all(numbered, tmp_path / "people.txt", tmp_path / "lists.parquet", k=2)
    lists = pl.read_parquet(tmp_path / "lists.parquet")
    assert lists.schema["user_id"] == lists.schema["item_id"] == pl.Int64 and told.unknown == 1
    assert set(lists["user_id"]) == {30, 99} and lists.columns == ["user_id", "rank", "item_id", "score"]
    (tmp_path / "names.txt").write_text("30\nada\n")
    with pytest.raises(BadData, match="names 'ada'; the people of this model are whole numbers"):
        answer_all(numbered, tmp_path / "names.txt", tmp_path / "other.csv")
    assert not (tmp_path / "other.csv").exists()


def test_no_more_than_a_block_is_asked_for_at_once(model, tmp_path, monkeypatch):
    sizes, real = [], Fitted.recommend
    monkeypatch.setattr(
        Fitted, "recommend", lambda self, users, **more: sizes.append(len(users)) or real(self, users, **more)
    )
    pl.DataFrame({"user_id": [f"u{i % 60}" for i in range(25)]}).write_parquet(tmp_path / "people.parquet")
    answer_all(model, tmp_path / "people.parquet", tmp_path / "lists.csv", k=2, block=10)
    assert sizes == [10, 10, 5]


def test_a_run_that_is_stopped_leaves_what_was_there(model, tmp_path, monkeypatch):
    out = tmp_path / "lists.parquet"
    answer_all(model, "all", out, k=2)
    before, real, asked = out.read_bytes(), answering._answered, []

    def stopped(task, people):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(people)
        return real(task, people)

    monkeypatch.setattr(answering, "_answered", stopped)
    with pytest.raises(KeyboardInterrupt):
        answer_all(model, "all", out, k=9, block=10)
    assert out.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["lists.parquet"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [("people.csv", "name\nu1\n", "people are named by user_id or user"), ("people.txt", "\n", "names nobody"),
     ("people.csv", "user_id\n", "names nobody")],
)  # fmt: skip
def test_a_file_that_names_nobody_is_refused(model, tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadData, match=said):
        answer_all(model, tmp_path / name, tmp_path / "lists.csv")
    assert not (tmp_path / "lists.csv").exists()


def test_what_cannot_be_written_or_asked_is_refused_at_once(model, tmp_path):
    with pytest.raises(BadSetting, match=r"\.parquet, \.csv, \.jsonl"):
        answer_all(model, "all", tmp_path / "lists.xlsx")
    with pytest.raises(InterplayError):
        answer_all(model, "all", tmp_path / "lists.csv", where="prise < 3")
    with pytest.raises(BadData, match="--users takes a file of ids, or all"):
        answer_all(model, tmp_path / "none.csv", tmp_path / "lists.csv")
    assert not list(tmp_path.iterdir())


def test_two_workers_write_the_same_file(model, tmp_path):
    for workers in (0, 2):
        answer_all(model, "all", tmp_path / f"{workers}.csv", k=5, block=9, workers=workers)
    assert (tmp_path / "0.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_the_command_counts_strangers_and_wants_both_ends(model, tmp_path):
    (tmp_path / "people.txt").write_text("\n".join(ODD))
    asked = [
        "ask",
        str(model),
        "--users",
        str(tmp_path / "people.txt"),
        "--out",
        str(tmp_path / "lists.jsonl"),
        "-k",
        "3",
    ]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0 and "15 rows for 5 people" in said.output and "1 of them unknown" in said.output
    one = CliRunner().invoke(app, ["ask", str(model), "--user", "u0", "-k", "3", "--json"])
    lines = [json.loads(line) for line in (tmp_path / "lists.jsonl").read_text().splitlines()]
    assert [r["item_id"] for r in json.loads(one.output)] == [r["item_id"] for r in lines if r["user_id"] == "u0"]
    for wrong in (["--users", "all"], ["--out", "x.csv"], ["--users", "all", "--out", "x.csv", "--user", "u1"]):
        refused = CliRunner().invoke(app, ["ask", str(model), *wrong])
        assert isinstance(refused.exception, BadSetting) and "--users and --out" in str(refused.exception)


def test_a_ranker_finds_no_lists(tmp_path):
    from test_contract import labelled

    Fitted.learn("lr", labelled(), settings={"descent": {"epochs": 1}}).save(tmp_path / "ranker")
    with pytest.raises(Unsupported, match="orders candidates"):
        answer_all(tmp_path / "ranker", "all", tmp_path / "lists.csv")
    assert not (tmp_path / "lists.csv").exists()
