"""The benches of steering, on something small: sessions end at the target, readings count what they should."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from interplay.benches.values import Bench, Entry
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.modelled import Command, ModelWish
from interplay.dialogue.said import Mention, Parsed
from interplay.dialogue.state import Spoke, apply
from interplay.errors import BadSetting, UnknownName
from interplay.llm import NoReply
from interplay.protocols import readings, sessions
from interplay.protocols.readings import Turn as Labelled
from interplay.protocols.readings import judge_dialogues, judge_turns
from interplay.protocols.sessions import SHOP, Steering, Turn, answerers, ordinary, play, scene, timed
from interplay.protocols.student import Head, commands
from interplay.worlds.market import market


@pytest.fixture(scope="module")
def small():
    made = scene(market(n_items=500, n_people=150, days=14).dataset, SHOP, 40)
    rows = answerers(
        made, taste="item-knn", settings={"wishes": {"vectors": False}, "source": {"taste": {"system": "item-knn"}}}
    )
    return made, rows, Lexicon.of(made.dataset), ordinary(made, rows["ordinary"]())


def test_targets_are_new_to_their_people_and_left_out_of_the_fit(small):
    made, *_ = small
    for user, pair in zip(made.users, made.targets, strict=True):
        history = made.dataset.histories(np.array([user]))["item"]
        assert not np.isin(pair, history).any() and pair[0] != pair[1]


def test_steering_passes_more_sessions_and_breaks_fewer_words_than_a_feed_that_does_not_listen(small):
    made, rows, lexicon, first = small
    deaf = play(made, rows["ordinary"](), lexicon, "MR", phrasings="validation", first=first)
    steered = play(made, rows["recbot"](), lexicon, "MR", phrasings="validation", first=first)
    assert steered.passed.mean() > deaf.passed.mean() + 0.3
    assert steered.rounds.mean() < deaf.rounds.mean()
    assert steered.broken.sum() / steered.shown.sum() < 0.5 * deaf.broken.sum() / deaf.shown.sum()


def test_the_same_seed_plays_the_same_sessions(small):
    made, rows, lexicon, first = small
    one, two = (play(made, rows["recbot"](), lexicon, "SR", first=first) for _ in range(2))
    np.testing.assert_array_equal(one.passed, two.passed)
    np.testing.assert_array_equal(one.broken, two.broken)


def test_an_unknown_setting_is_refused(small):
    made, rows, lexicon, first = small
    with pytest.raises(UnknownName, match="no setting called 'XR'"):
        play(made, rows["ordinary"](), lexicon, "XR", first=first)


def test_polarity_is_judged_by_the_signs_of_the_named_things():
    turn = Labelled(
        turn_id="1/0", text="no horror but comedies", acts=frozenset({"REJ"}),
        slots=(("GENRE", "horror"), ("GENRE", "comedies")),
        half="other half", named="-+",
    )  # fmt: skip

    def read(_: str) -> Parsed:
        named = (
            Mention(text="horror", kind="genres", wanted=False),
            Mention(text="comedies", kind="genres", wanted=False),
        )
        return Parsed(text="", acts=("reject",), mentions=named)

    figures = judge_turns(read, [turn]).figures
    assert figures["unwanted_precision"] == 0.5 and figures["unwanted_recall"] == 1.0 and figures["act_accuracy"] == 1.0
    assert figures["slot_genre"] == 1.0


def test_a_film_is_disliked_by_name_or_by_refusing_what_was_suggested():
    dialogue = {
        "dialog": 1, "liked": {7: 0, 8: 0, 9: 1}, "names": {},
        "turns": [
            ("seeker", "I hated @7"), ("recommender", "try @8"), ("seeker", "no thanks"), ("seeker", "I loved @9"),
        ],
    }  # fmt: skip

    def read(text: str) -> Parsed:
        mentions = tuple(
            Mention(text=f"film {i}", kind="title", wanted="hated" not in text) for i in (7, 9) if f"film {i}" in text
        )
        return Parsed(text=text, acts=("reject",) if "no thanks" in text else ("other",), mentions=mentions)

    figures = judge_dialogues(read, [dialogue]).figures
    assert figures["disliked_f1"] == 1.0 and figures["liked_f1"] == 1.0


def test_the_students_commands_are_labelled_by_what_the_talker_meant():
    frame = pl.DataFrame({
        "genres": [["drama"], ["horror"], ["horror", "comedy"]] * 20, "actors": [["Ida Ray"], ["Bo Lee"], None] * 20,
        "year": list(range(1960, 2020)), "text": ["A quiet harbour."] * 60,
    })  # fmt: skip
    for text, named, act in commands(frame, 40):
        assert act in ("wish", "critique", "reject")
        for start, end, _ in named:
            assert text[start:end].strip()
    assert any(not wanted for _, named, _ in commands(frame, 40) for *_, wanted in named)


def test_a_head_learns_what_a_line_can_part():
    vectors = np.array([[1.0, 0.1], [0.9, -0.1], [-1.0, 0.2], [-0.8, 0.0]], np.float32)
    head = Head.learn(vectors, np.array([0, 0, 1, 1]), 2)
    assert head.chances(vectors).argmax(axis=1).tolist() == [0, 0, 1, 1]


def test_a_tool_that_is_left_out_weighs_nothing(small):
    made, rows, lexicon, _ = small
    cascade = rows["recbot"]().cascade
    read = sessions._reader(lexicon, rows["recbot"]())
    alone = rows["ordinary"]().feed([Turn(user=int(made.users[0]))])[0]
    shown = made.dataset.catalogue["kind"][alone[0]]
    for said, tool in (("more lamps", "matcher"), (f"less {shown}", "attenuator")):
        turn = Turn(user=int(made.users[0]))
        turn.state, _ = apply(turn.state, Spoke(event_id="e", at=1, parsed=read(said)))
        silent = [Turn(user=turn.user)]
        assert turn.state.wishes and not any(w.hard for w in turn.state.wishes)
        assert Steering(made, cascade, without=tool).feed([turn]) == Steering(made, cascade).feed(silent)
        assert Steering(made, cascade).feed([turn]) != Steering(made, cascade).feed(silent)


def test_turns_are_timed_one_at_a_time(small, monkeypatch):
    made, rows, lexicon, _ = small
    monkeypatch.setattr(sessions, "ALONE", 3)
    spent = timed(made, rows["recbot"](), lexicon, phrasings="validation")
    assert spent.shape == (3,) and (spent > 0).all()


def test_the_table_of_sessions_compares_the_same_sessions_of_the_same_seeds(tmp_path):
    page = Bench(
        name="steer", version=1, about="About.", data="", kind="sessions", metrics=("recall_SR",), note="Note.",
        entries=(Entry(system="floor", column="floors"), Entry(system="recbot", column="the system")),
    )  # fmt: skip
    held, lines = {}, []
    for label, seed, passed in (("floor", 0, [0, 0, 1, 0]), ("recbot", 0, [1, 1, 1, 0]), ("recbot", 1, [0, 0, 0, 0])):
        columns = {f"{what}_{s}": np.float32(passed) for s in ("SR", "MR", "MRID") for what in ("pass", "broken")}
        columns |= {f"shown_{s}": np.full(4, 10, np.float32) for s in ("SR", "MR", "MRID")}
        pl.DataFrame(columns).write_parquet(tmp_path / f"{label}-{seed}.parquet")
        facts = {"SR": {"broken": {"avoid": [2, 40]}}, "turn_milliseconds": {"median": 12.0, "p90": 30.0}}
        held[label, seed] = {
            "label": label, "seed": seed, "metrics": {"recall_SR": float(np.mean(passed))}, "facts": facts,
            "protocol": {"people": "four people"}, "seconds": {"all": 1.0},
            "users": {"file": f"{label}-{seed}.parquet"},
        }  # fmt: skip
        lines.append(f'{{"label": "{label}"}}')
    (tmp_path / "steer.jsonl").write_text("\n".join(lines))
    told = sessions.table(page, held, tmp_path)
    assert "| `recbot` | .3750 | 2 | 2 | 1 |" in told  # the mean over its two seeds
    assert "| `floor` | +0.500" in told and "| 4 |" in told  # over the sessions of seed 0 alone
    assert "SR 3.75 %" in told and "avoid 4 of 80" in told and "`recbot` 12 ms (30)" in told


def test_the_table_of_readings_tells_classes_intervals_and_what_is_left_out(tmp_path):
    turn = Labelled(
        turn_id="1/0", text="no horror", acts=frozenset({"REJ"}), slots=(("GENRE", "horror"),), half="other half",
        named="-",
    )  # fmt: skip
    read = judge_turns(
        lambda _: Parsed(text="", mentions=(Mention(text="horror", kind="genres", wanted=False),)), [turn]
    )
    spread = readings._spread(read)
    assert spread["unwanted_f1_interval"] == [1.0, 1.0] and spread["unwanted_found"] == 1
    record = {
        "label": "rules", "metrics": dict(read.figures) | {"disliked_f1": 0.5}, "protocol": {"halves": "one turn"},
        "facts": {w: dict(read.figures) | spread for w in ("other half", "worked-on half", "both")},
        "seconds": {"all": 1.0},
    }  # fmt: skip
    (tmp_path / "r.jsonl").write_text('{"label": "rules"}')
    page = Bench(
        name="r", version=1, about="About.", data="", metrics=("unwanted_f1", "disliked_f1"),
        entries=(Entry(system="rules"), Entry(system="model", seeds=())),
    )  # fmt: skip
    told = readings.table(page, {("rules", 0): record}, tmp_path)
    assert "| `rules` | both | 1.0000 | 1.0000 to 1.0000 | 1 / 0 / 0 |" in told and readings.NO_MODEL in told
    assert "| row | accept | reject | critique | ask | seen | wish |" in told


class Scripted:
    """A text model with one answer, or none."""

    def __init__(self, answer: Command | None) -> None:
        self.answer = answer

    def reply(self, task: str, data: object, shape: object) -> Command:
        if self.answer is None:
            raise NoReply("it is silent")
        return self.answer


def test_the_row_of_a_text_model_names_what_its_wishes_name(monkeypatch):
    words = Lexicon.of(pl.DataFrame({"title": ["Low Tide", "Hill"] * 3, "genres": [["Horror"], ["War"]] * 3}))
    monkeypatch.setattr(readings, "configured", lambda: None)
    with pytest.raises(BadSetting, match="no text model was configured"):
        readings.model(words)
    said = Command(wishes=[
        ModelWish(words="no horror", wanted=False, hard=True, column="genres", value="Horror"),
        ModelWish(words="Low Tide", wanted=True, hard=False),
    ])  # fmt: skip
    monkeypatch.setattr(readings, "configured", lambda: Scripted(said))
    named = [(m.text, m.kind, m.wanted) for m in readings.model(words)("no horror, like Low Tide").mentions]
    assert named == [("Horror", "genres", False), ("Low Tide", "title", True)]
    monkeypatch.setattr(readings, "configured", lambda: Scripted(None))
    silent = readings.model(words)("no horror")
    assert silent.by == "rules" and [m.polarity for m in silent.mentions] == ["-"]
