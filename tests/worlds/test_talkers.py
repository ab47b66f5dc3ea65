"""Simulated talkers: what they say is true of what they look for, judged by what was meant, in words of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import interplay
from interplay.errors import BadSetting
from interplay.worlds import sayings
from interplay.worlds.talkers import Column, Speech, Talkers

N = 60
FRAME = pl.DataFrame({
    "item_id": np.arange(N), "title": [f"Thing {i}" for i in range(N)],
    "kind": [("lamp", "bowl", "rug")[i % 3] for i in range(N)], "tint": [("teal", "plum")[i % 2] for i in range(N)],
    "label": [["plum"] if i % 7 == 0 else ["soft"] for i in range(N)], "price": 3.0 + np.arange(N),
    "text": [f"Quiet and heavy, number {'lantern' if i % 30 == 0 else 'harbour'}." for i in range(N)],
})  # fmt: skip
SPEECH = Speech(columns=(Column(name="kind", many="{}s"), Column(name="tint")), price="price", text="text")


def talk(seed: int = 0, target: int = 8, **more: object):
    shown = [0, 1, 3, 4, 6, 40, 41, 42, 43, 44]
    return Talkers(FRAME, SPEECH, seed=seed).say(1, 0, target, shown, **more)[0]


def test_there_are_at_least_two_hundred_phrasings_in_two_halves_that_share_none():
    assert sayings.count() >= 200
    first, second = sayings.half("validation"), sayings.half("test")
    for group, lines in sayings.GROUPS.items():
        assert not set(first[group]) & set(second[group]) and len(first[group]) + len(second[group]) == len(lines)
    every = [line for lines in sayings.GROUPS.values() for line in lines]
    assert len(every) == len(set(every))


def test_dialogue_shares_no_phrasing_with_the_talkers():
    """No run of four words of a saying stands in the parser's source, and nothing of it is imported there."""
    source = ""
    for name in (
        "cues", "acts", "amounts", "clauses", "kin", "leaning", "lexicon", "parse", "said", "spans", "state", "tongue",
    ):  # fmt: skip
        path = Path(interplay.__file__).parent / "dialogue" / f"{name}.py"
        assert "worlds" not in path.read_text()
        source += re.sub(r"[^a-z' ]+", " ", path.read_text().lower())
    source = re.sub(r" +", " ", source)
    for lines in sayings.GROUPS.values():
        for line in lines:
            for part in re.split(r"\{\w+\}", line.lower()):
                words = re.findall(r"[a-z']+", part)
                for at in range(len(words) - 3):
                    assert " ".join(words[at : at + 4]) not in source, line


@pytest.mark.parametrize("seed", range(40))
def test_what_is_said_is_true_of_what_is_looked_for(seed: int):
    said = talk(seed)
    assert said.text and not said.broken(np.array([8])).any()


def test_a_no_is_true_of_the_later_target_too():
    for seed in range(40):
        assert not talk(seed, also=13).broken(np.array([8, 13])).any()


def test_the_same_seed_says_the_same_and_nothing_is_said_twice():
    assert talk(3).text == talk(3).text
    talkers, before = Talkers(FRAME, SPEECH, seed=5), []
    for turn in range(5):
        _, after = talkers.say(1, turn, 8, [0, 1, 3, 4], before)
        assert len(after) > len(before)
        before = after
    assert len(set(before[:3])) == 3


def test_a_word_that_names_values_of_two_columns_means_either():
    talkers = Talkers(FRAME, SPEECH)
    plum = talkers.has["tint", "plum"]
    assert plum[7] and plum[0] and not plum[2]  # by tint, by label, by neither


def test_another_errand_names_what_is_sought_now():
    said, keys = Talkers(FRAME, SPEECH).turn_to(1, 3, 8)
    assert said.kinds == ("drift",) and keys[0] in (("kind", "rug"), ("tint", "teal"))


def test_an_unknown_half_is_refused():
    with pytest.raises(BadSetting, match="phrasings is 'train'"):
        Talkers(FRAME, SPEECH, phrasings="train")


def test_what_is_said_does_not_depend_on_the_process():
    """Sets of words are ordered anew in every process; nothing that is drawn may follow them."""
    code = (
        "from test_talkers import FRAME, SPEECH; from interplay.worlds.talkers import Talkers\n"
        "t = Talkers(FRAME, SPEECH)\n"
        "print([t.say(p, 0, p, [0, 1, 3, 4, 6, 40, 41])[0].text for p in range(30)])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, cwd=Path(__file__).parent,
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1
