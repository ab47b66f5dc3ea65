"""The command line: what it prints, what it leaves behind, how it exits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from interplay.cli import app, main


def interplay(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "interplay.cli", *arguments]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "160"}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli")
    rows = [
        f"u{u},i{(u * 3 + s) % 11},{1_700_000_000_000_000 + (u * 7 + s) * 1_000_000_000}"
        for u in range(12)
        for s in range(6)
    ]
    (path / "log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    items = "".join(f"i{i},Thing number {i},{i * 5}\n" for i in range(11))
    assert interplay("ingest", "log.csv", "--out", "data", cwd=path).returncode == 0
    (path / "data" / "items.csv").write_text("item_id,title,price\n" + items)
    return path


def test_fit_evaluate_ask(folder):
    said = interplay(
        "fit", "item-knn", "--data", "data", "--out", "model", "--split", "random", "--set", "k=5", cwd=folder
    )
    assert said.returncode == 0, said.stderr
    said = interplay(
        "evaluate", "model", "--data", "data", "--metrics", "recall@5,ndcg@5", "--json", "o.json", cwd=folder
    )
    assert said.returncode == 0, said.stderr
    told = json.loads((folder / "o.json").read_text())
    assert set(told) == {"metrics", "protocol", "panel"} and set(told["metrics"]) == {"recall@5", "ndcg@5"}
    assert 0 < told["panel"]["coverage@5"] <= 1 and "coverage@5" in said.stdout
    assert told["protocol"]["split"]["rule"] == "random" and told["protocol"]["candidates"] == "all items"
    said = interplay(
        "ask", "model", "--user", "u3", "-k", "3", "--where", "price < 40", "--exclude", "i1", "--json", cwd=folder
    )
    shown = json.loads(said.stdout)
    assert shown and all(int(row["item_id"][1:]) < 8 and row["item_id"] != "i1" for row in shown)
    assert shown[0]["title"].startswith("Thing number")


def test_reads_of_the_test_part_are_kept_with_the_model_and_outlive_another_fit(folder):
    fit = ("fit", "popular", "--data", "data", "--out", "read", "--split", "random")
    judge = ("evaluate", "read", "--data", "data", "--metrics", "recall@5")
    assert interplay(*fit, cwd=folder).returncode == 0
    first = interplay(*judge, cwd=folder)
    assert "test part read 1 time by" in first.stdout and "warning" not in first.stderr
    assert interplay(*fit, cwd=folder).returncode == 0
    second = interplay(*judge, cwd=folder)
    assert "test part read 2 times by" in second.stdout and "warning: what is chosen" in second.stderr
    reads = [json.loads(line) for line in (folder / "read" / "reads.jsonl").read_text().splitlines()]
    assert len(reads) == 2 and {"when", "command", "data", "part", "metrics"} <= set(reads[1])
    assert "evaluate read --data data" in reads[1]["command"]


def test_systems_as_json(folder):
    listed = json.loads(interplay("systems", "--json", cwd=folder).stdout)
    assert all({"name", "kind", "paper", "needs"} <= set(row) for row in listed)
    assert {"popular", "ease", "lightgcn", "sasrec", "hybrid"} <= {row["name"] for row in listed}


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["fit", "easse", "--data", "data", "--out", "no"], 2, "nearest: ['ease'"),
        (["fit", "ease", "--data", "data", "--out", "no", "--set", "rigde=1"], 2, "did you mean 'ridge'?"),
        (["fit", "ease", "--data", "nowhere", "--out", "no"], 2, "nowhere"),
        (["fit", "ease", "--data", "data", "--out", "no", "--split", "tiem"], 2, "nearest: ['time']"),
        (["fit", "ease", "--data", "data", "--out", "no", "--on", "test"], 1, "expected 'train' or 'train+valid'"),
        (["evaluate", "nothing", "--data", "data"], 1, "no model at nothing"),
        (["ask", "nothing"], 1, "no model at nothing"),
        (["bench", "gowala"], 2, "nearest: ['gowalla'"),
        (["srve", "x"], 2, "nearest: ['serve']"),
        (["serve"], 1, "say what to serve"),
        (["serve", "--store", "no.db"], 1, "no store at no.db; `interplay ingest FILES --store no.db` makes one"),
        (["train", "ease", "--store", "no.db"], 1, "no store at no.db"),
        (["train", "easse", "--store", "no.db"], 2, "nearest: ['ease'"),
        (["ingest", "data"], 1, "say where to: --store WHERE"),
        (["modls", "list"], 2, "nearest: ['models']"),
        (["data", "how", "gowala"], 2, "gowalla"),
    ],
)
def test_what_a_person_gets_wrong_is_said_in_a_sentence(folder, arguments, code, sentence):
    said = interplay(*arguments, cwd=folder)
    assert said.returncode == code, said.stderr
    assert sentence in said.stderr and "Traceback" not in said.stderr
    assert not (folder / "no").exists(), "a failed fit leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["bench", "gowalla", "--seeds", "a"], 1, "--seeds names 'a'; expected whole numbers from 0 to"),
        (["bench", "gowalla", "--systems", "lightgnc", "--table"], 2, "nearest: ['lightgcn'"),
        (["bench", "gowalla", "--systems", "lightgnc", "--verify"], 2, "nearest: ['lightgcn'"),
        (["fit", "popular", "--data", "market:abc", "--out", "no"], 1, "expected market or market:SEED"),
        (["fit", "popular", "--data", "data", "--out", "no", "--metric", "foo@20"], 2, "no metric called 'foo'"),
        (["fit", "popular", "--data", "data", "--out", "no", "--seed", "-1"], 2, "Invalid value for '--seed'"),
        (["fit", "popular", "--data", "data", "--out", "no", "--time-unit", "days"], 1, "no time unit called 'days'"),
        (["fit", "ials", "--data", "data", "--out", "no", "--set", "dim=-4"], 1, "IalsConfig.dim is '-4'; expected a "
                                                                              "whole number, 1 or more"),
        (["fit", "item-knn", "--data", "data", "--out", "no", "--set", "k=0"], 1, "ItemKnnConfig.k is '0'"),
        (["fit", "ease", "--data", "data", "--out", "no", "--set", "ridge=nan"], 1, "EaseConfig.ridge is 'nan'"),
        (["serve", "--port", "99999"], 2, "Invalid value for '--port'"),
        (["serve", "--rate", "nan"], 2, "Invalid value for '--rate'"),
        (["ask", "model", "-k", "0"], 2, "Invalid value for '-k'"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_meant_is_refused_where_it_enters(
    folder, arguments, code, sentence, monkeypatch, capsys
):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["interplay", *arguments])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    told = " ".join(capsys.readouterr().err.replace("│", "").split())
    assert ended.value.code == code and sentence in told
    assert not (folder / "no").exists()


def test_fit_and_evaluate_say_what_the_files_held_and_read_other_time_units(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    Path("odd").mkdir()
    log = Path("log.csv").read_text().splitlines()
    seconds = [line[:-6] for line in log[1:]]  # of 16 digits
    Path("odd/interactions.csv").write_text("\n".join([log[0], *seconds, seconds[0]]) + "\n")
    Path("odd/items.csv").write_text("item_id,price\ni0,nan\ni1,3\ni2,inf\n")
    monkeypatch.setattr(sys, "argv", ["interplay", "fit", "popular", "--data", "odd", "--out", "sorry"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1 and "--time-unit seconds" in capsys.readouterr().err
    for arguments in (["fit", "popular", "--out", "timely"], ["evaluate", "timely"]):
        done = CliRunner().invoke(app, [*arguments, "--data", "odd", "--time-unit", "seconds"])
        assert done.exit_code == 0, done.output
        assert "interactions.csv: 73 rows in, 73 kept, 0 refused" in done.stderr
        assert "items.csv: 2 NaN or infinite values of price are taken as missing" in done.stderr
        assert "1 rows repeat another row's user_id, item_id, timestamp" in done.stderr


def test_a_model_is_not_judged_on_other_data(folder):
    assert (
        interplay("fit", "popular", "--data", "data", "--out", "other", "--split", "random", cwd=folder).returncode == 0
    )
    shorter = (folder / "log.csv").read_text().splitlines()[:-1]
    (folder / "shorter.csv").write_text("\n".join(shorter) + "\n")
    said = interplay("evaluate", "other", "--data", "shorter.csv", cwd=folder)
    assert said.returncode == 1 and "Evaluate on the data it was fitted on" in said.stderr


def test_refused_rows_are_named_and_change_the_exit_code(folder):
    (folder / "bad.csv").write_text("user_id,item_id\nada,tea\n,lamp\n")
    said = interplay("ingest", "bad.csv", "--out", "some", cwd=folder)
    assert said.returncode == 3 and "row 2, column user_id" in said.stdout
    assert interplay("validate", "some", cwd=folder).returncode == 0


def test_doctor_says_what_is_there(folder):
    said = interplay("doctor", cwd=folder)
    assert said.returncode == 0 and "torch" in said.stdout


def test_a_store_is_filled_trained_dumped_and_cleaned_by_commands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    pairs = zip(rng.integers(0, 60, 900), (rng.random(900) ** 2 * 40).astype(int), strict=True)
    rows = [f"u{u},i{i},{1_700_000_000_000_000 + n * 60_000_000}" for n, (u, i) in enumerate(pairs)]
    Path("log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(rows) + "\n")
    Path("items.csv").write_text("item_id,title\n" + "".join(f"i{i},Thing {i}\n" for i in range(40)))

    def said(*arguments: str, store: str = "shop.db") -> str:
        done = CliRunner().invoke(app, [*arguments, "--store", store])
        assert done.exit_code == 0, (arguments, done.output, done.exception)
        return done.stdout

    assert "900" in said("ingest", "log.csv", "items.csv")
    first = said("train", "item-knn")
    assert first.startswith("model 1 (item-knn) is live.") and "against popular" in first
    assert "model 2 (item-knn) is live. promoted without a gate" in said("train", "--gate", "always")
    assert "model 1 is live" in said("models", "rollback") and "live" in said("models", "list")
    assert "model 2 is live" in said("models", "promote", "2")
    key = said("keys", "create", "till", "--scopes", "read").strip()
    listed = said("keys", "list")
    assert key.startswith("ip_") and "till" in listed and key not in listed
    assert "revoked" in said("keys", "revoke", listed.split("\n")[1].split()[0])
    assert '"event_type": "view"' in said("export", "u1")
    assert "900 events" in said("dump", "shop.dump") and "erased" in said("erase", "u1")
    assert "restored" in said("restore", "shop.dump", store="other.db") and "u1" in said(
        "export", "u1", store="other.db"
    )
    gone = CliRunner().invoke(app, ["export", "u1", "--store", "shop.db"])
    assert gone.exit_code == 1 and "no user called 'u1'" in str(gone.exception)
    assert "0 events" in said("compact", "--days", "1", "--keep", "2")
