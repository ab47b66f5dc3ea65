"""The benches of steering, on something small: sessions end at the target, readings count what they should."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.said import Mention, Parsed
from interplay.errors import UnknownName
from interplay.protocols.readings import Turn as Labelled
from interplay.protocols.readings import judge_dialogues, judge_turns
from interplay.protocols.sessions import SHOP, answerers, ordinary, play, scene
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
