"""The paper's student, small: heads on a MiniLM encoder, learnt from simulated sessions, in place of the rules.

RecBot distils a teacher's trajectories into one model. Here the teacher is the simulator itself (worlds/talkers.py),
which knows what it says and what it means by it. On frozen word-piece vectors one head says of each piece whether it
names something and whether that is wanted (slot and polarity in one), and on the sentence's vector one says the act.
Only phrasings of the validation half are learnt from. It reads real people worse than the rules do (docs/benches.md,
bench `readings`), so the engine ships the rules and this stays a row of that bench.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from interplay.data.encode import encode_texts, encode_tokens
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.said import Mention, Parsed
from interplay.dialogue.tongue import plain, stems
from interplay.types import Array
from interplay.worlds.talkers import Column, Speech, Talkers

SIGNS = ("outside", "wanted", "unwanted")
ACTS = ("wish", "critique", "reject")
ACT_OF = {"want": "wish", "only": "wish", "drift": "wish", "about": "wish", "decade": "wish", "like": "critique",
          "swap": "critique", "less": "critique", "avoid": "reject"}  # fmt: skip
COMMANDS = 3000
STEPS, RATE, RIDGE = 300, 0.05, 1e-4


@dataclass(frozen=True, eq=False)
class Head:
    """A linear softmax over vectors of unit length and a constant."""

    weights: Array  # [dim + 1, classes]

    def chances(self, vectors: Array) -> Array:
        """float[n, classes]."""
        logits = _with_constant(vectors) @ self.weights
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    @staticmethod
    def learn(vectors: Array, classes: Array, n: int, *, seed: int = 0) -> Head:
        """Cross-entropy with every class weighing the same, by gradient steps with momentum."""
        x, y = _with_constant(vectors), np.eye(n, dtype=np.float32)[classes]
        weight = (1.0 / np.maximum(y.sum(axis=0), 1))[classes][:, None] * len(x) / n
        w = np.zeros((x.shape[1], n), np.float32)
        speed = np.zeros_like(w)
        for _ in range(STEPS):
            grown = x.T @ ((Head(w).chances(vectors) - y) * weight) / len(x) + RIDGE * w
            speed = 0.9 * speed + grown
            w = w - RATE * 20 * speed
        return Head(w)


def _with_constant(vectors: Array) -> Array:
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return np.concatenate([unit, np.ones((len(unit), 1), np.float32)], axis=1).astype(np.float32)


def commands(frame: pl.DataFrame, n: int, *, seed: int = 0) -> list[tuple[str, list[tuple[int, int, bool]], str]]:
    """n simulated commands: the text, what is named in it (start, end, wanted), and the act."""
    speech = Speech(columns=(Column(name="genres", many="{} movies"), Column(name="actors")), year="year", text="text")
    talkers = Talkers(frame, speech, phrasings="validation", seed=seed)
    rng = np.random.default_rng(seed)
    able = [i for i in range(len(frame)) if talkers.of[i]]
    out = []
    for k in range(n):
        target, shown = int(rng.choice(able)), [int(i) for i in rng.choice(able, 10)]
        said, keys = talkers.say(k, 0, target, shown)
        named = []
        for key in keys:
            word = talkers.columns[key[0]].words(key[1])[0] if key[0] in talkers.columns else key[1]
            at = said.text.lower().find(word.lower()) if key[0] != "like" else -1
            if at >= 0:
                named.append((at, at + len(word), key in talkers.of[target] or key[0] == "text"))
        out.append((said.text, named, next((ACT_OF[x] for x in said.kinds if x in ACT_OF), "wish")))
    return out


def student(words: Lexicon, *, n: int = COMMANDS, seed: int = 0) -> Callable[[str], Parsed]:
    """Learn the heads on simulated commands about this catalogue, and read with them."""
    made = commands(words.frame, n, seed=seed)
    pieces, signs = [], []
    for (_, named, _), (places, vectors) in zip(made, encode_tokens([t for t, *_ in made]), strict=True):
        for (a, b), vector in zip(places, vectors, strict=True):
            inside = next((w for s, e, w in named if s <= a and b <= e), None)
            pieces.append(vector)
            signs.append(0 if inside is None else 1 if inside else 2)
    slots = Head.learn(np.stack(pieces), np.array(signs), len(SIGNS))
    acts = Head.learn(encode_texts([t for t, *_ in made]), np.array([ACTS.index(a) for *_, a in made]), len(ACTS))

    def read(text: str) -> Parsed:
        places, vectors = encode_tokens([text])[0]
        chances = slots.chances(vectors) if len(places) else np.zeros((0, 3))
        mentions = tuple(_mentions(text, places, chances, words))
        act = ACTS[int(acts.chances(encode_texts([text]))[0].argmax())]
        return Parsed(text=text, acts=(act,), mentions=mentions, by="student")

    return read


def _mentions(text: str, places: Sequence[tuple[int, int]], chances: Array, words: Lexicon) -> list[Mention]:
    """Runs of pieces that name something, each typed by the catalogue, with the mean polarity of its pieces."""
    out, run = list[Mention](), list[int]()
    for i in range(len(places) + 1):
        if i < len(places) and chances[i].argmax() != 0:
            run.append(i)
            continue
        if run:
            said = text[places[run[0]][0] : places[run[-1]][1]]
            signs = chances[run].sum(axis=0)
            key = stems(said)
            bare = stems(re.sub(r"\(\d{4}\)", "", plain(said)))
            kind = words.senses[key][0].column if key in words.senses else "title" if bare in words.titles else "text"
            out.append(Mention(text=said, kind=kind, wanted=bool(signs[1] >= signs[2])))
            run = []
    return out
