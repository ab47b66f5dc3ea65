"""A fitted system before simulated people, from Python and from the command line."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from interplay.cli import app
from interplay.data.read import load
from interplay.errors import BadSetting, Mismatch, UnknownName
from interplay.fitted import Fitted
from interplay.llm import NoReply, Scripted
from interplay.protocols.rehearsing import rehearse


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A log of ratings as a file, and a model fitted on it."""
    path, rng = tmp_path_factory.mktemp("rehearsal"), np.random.default_rng(0)
    rows = [f"u{u},i{i},{1_700_000_000_000_000 + (u * 40 + n) * 60_000_000},{rng.integers(1, 6)}"
            for u in range(40) for n, i in enumerate(rng.permutation(50)[:20])]  # fmt: skip
    (path / "log.csv").write_text("user_id,item_id,timestamp,value\n" + "\n".join(rows) + "\n")
    Fitted.learn("popular", load(path / "log.csv")).save(path / "model")
    return path


def test_agents_answer_for_people_and_what_fell_back_is_told(folder):
    fitted, data = Fitted.load(folder / "model"), load(folder / "log.csv")
    asked = []

    def every_other(page):
        asked.append(page)
        if len(asked) % 2:
            raise NoReply("tired")
        return {"answers": [{"place": page["page"][0]["place"], "looks": True, "clicks": True}], "leaves": False}

    told = rehearse(fitted, data, world="agents", people=4, pages=3, model=Scripted(by=every_other))
    assert told.pages == 12 and told.spoken["fell_back"] == told.spoken["reasons"]["tired"] == 6
    assert told.counts["click"] == 6 and 0 < told.likeness["auc"] < 1
    assert not told.mark
    with pytest.raises(BadSetting, match="needs people and pages"):
        rehearse(fitted, data, people=0)
    with pytest.raises(UnknownName):
        rehearse(fitted, data, world="learnt")
    with pytest.raises(Mismatch):
        rehearse(fitted, replace(data, items=data.items.extended(["new"])))


def test_without_a_text_model_recorded_agents_stand_in_and_the_answer_is_marked(folder, monkeypatch):
    fitted, data = Fitted.load(folder / "model"), load(folder / "log.csv")
    told = rehearse(fitted, data, world="agents", people=10, pages=3)
    assert told.mark.startswith("no text model is configured") and "recorded agents" in told.mark and not told.spoken
    assert told.pages == 30 and told.counts["rate"] == told.counts["click"] <= told.counts["look"] <= 30 * 4
    assert told.likeness["auc"] == pytest.approx(0.5, abs=0.1) and told.likeness["base"] > 1.2
    monkeypatch.delenv("INTERPLAY_TEXT_MODEL_URL", raising=False)
    arguments = ["rehearse", str(folder / "model"), "--data", str(folder / "log.csv"), "--world", "agents"]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0 and "RECORDED AGENTS: no text model is configured" in said.output, said.output
    assert "the recorded simulator on ratings it has not seen" in said.output


def test_the_command_says_what_people_did_and_how_far_they_are_real(folder, monkeypatch):
    arguments = ["rehearse", str(folder / "model"), "--data", str(folder / "log.csv"), "--people", "5", "--pages", "2"]
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code == 0, said.output
    assert "10 pages: " in said.output and "No gain with real people follows" in said.output
    monkeypatch.setenv("INTERPLAY_TEXT_MODEL_URL", "http://127.0.0.1:9/v1")
    said = CliRunner().invoke(app, [*arguments, "--world", "agents"])
    assert "0 of 10 pages answered; 10 by the learned simulator" in said.output and "gave no answer" in said.output
