"""Words of one family: "animated" for Animation, "wooden" for wood, "science fiction" for Sci-Fi.

A word that names no value is read as the value that it is derived from, where the catalogue bears it out: of the items
whose texts have the word, enough have the value. Where hardly any text has the word, endings that are sure by
themselves suffice. The endings are English; nothing here knows what is sold.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplay.dialogue.tongue import WORD, plain

if TYPE_CHECKING:
    from interplay.dialogue.lexicon import Lexicon, Sense

ROOT = 4  # letters that two words of one family share at least
# Two words with one root and endings of one line belong together; those of SURE are believed without texts.
SURE = (
    ("ation", "ated"), ("nce", "ntic"), ("nce", "ntial"), ("y", "ic", "ical"), ("y", "ious"), ("", "tic", "tical"),
    ("", "en", "len"), ("e", "ous"), ("", "ous"), ("our", "orous"), ("", "istic"),
)  # fmt: skip
LIKELY = (
    ("er", "ing", "ed"),
    ("ing", "ed"),
    ("", "al"),
    ("", "ful"),
    ("", "ish"),
    ("", "y"),
    ("ion", "ive"),
    ("e", "inal"),
)
FEW = 5  # texts with the word: with fewer they say nothing
SHARE, LIFT = 0.4, 1.5  # of the items with the word that have the value, and how much more often than all items
SURE_SHARE, SURE_LIFT = 0.25, 2.0  # the same where the endings are sure
LOOKED = 5_000  # texts that are searched for a word, spread over the catalogue
SAMPLE = 200  # items whose values are looked at


def related(a: str, b: str, lines: Sequence[Sequence[str]]) -> bool:
    """Whether two words are one root with two endings of one line.

    >>> related("romance", "romantic", SURE), related("wood", "wooden", SURE), related("western", "west", SURE)
    (True, True, False)
    """
    shared = 0
    while shared < min(len(a), len(b)) and a[shared] == b[shared]:
        shared += 1
    return any(
        a[n:] != b[n:] and a[n:] in line and b[n:] in line for n in range(ROOT, shared + 1) for line in lines
    )  # fmt: skip


def shortened(short: Sequence[str], long: Sequence[str]) -> bool:
    """Whether each word of one name begins the word of the other: "sci fi" and "science fiction"; also "scifi".

    >>> shortened(["sci", "fi"], ["science", "fiction"]), shortened(["scifi"], ["science", "fiction"])
    (True, True)
    """
    if len(short) == 1 and len(long) == 2:
        return any(shortened((short[0][:n], short[0][n:]), long) for n in range(2, len(short[0]) - 1))
    return (
        len(short) == len(long) > 1
        and all(len(s) > 1 and whole.startswith(s) for s, whole in zip(short, long, strict=True))
        and tuple(short) != tuple(long)
    )


def kin(lexicon: Lexicon, said: Sequence[str]) -> tuple[Sense, ...] | None:
    """What the words stand for that are of one family with the name of a value; None for nothing, or nothing sure."""
    found: list[Sense] = []
    for sense, names in lexicon.families.get(said[0][:2], ()):
        by_form = shortened(names, said) or shortened(said, names)
        sure = by_form and len(said) == len(names)
        if len(said) == len(names) == 1:
            sure = related(names[0], said[0], SURE)
            by_form = sure or related(names[0], said[0], LIKELY)
        if by_form and _borne(lexicon, said, sense, sure=sure):
            found.append(sense)
    return tuple(sorted(found, key=lambda s: -s.count)[:1]) or None


def families(senses: Iterable[Sequence[Sense]], most: int) -> dict[str, list[tuple[Sense, tuple[str, ...]]]]:
    """Values with the words of their names by the first two letters; of columns with at most so many values."""
    every = {(s.column, s.value): s for found in senses for s in found}
    sizes = Counter(column for column, _ in every)
    out: dict[str, list[tuple[Sense, tuple[str, ...]]]] = defaultdict(list)
    for (column, value), sense in every.items():
        words = tuple(WORD.findall(plain(value)))
        if words and sizes[column] <= most:
            out[words[0][:2]].append((sense, words))
    return dict(out)


def _borne(lexicon: Lexicon, said: Sequence[str], sense: Sense, *, sure: bool) -> bool:
    pattern = r"(?i)\b" + r"[\s-]+".join(map(re.escape, said))
    step = max(lexicon.n_items // LOOKED, 1)
    having: Any = np.zeros(len(range(0, lexicon.n_items, step)), bool)
    for column in lexicon.prose:
        texts = lexicon.frame[column].gather_every(step).cast(pl.String)
        having |= texts.str.contains(pattern).fill_null(False).to_numpy()
    items = np.flatnonzero(having) * step
    if len(items) < FEW:
        return sure
    items = items[:: max(len(items) // SAMPLE, 1)]
    share = float(np.mean([_has(lexicon, int(i), sense) for i in items]))
    least, lift = (SURE_SHARE, SURE_LIFT) if sure else (SHARE, LIFT)
    return share >= least and share >= lift * sense.count / max(lexicon.n_items, 1)


def _has(lexicon: Lexicon, item: int, sense: Sense) -> bool:
    return any(sense.value in value.split("|") for value in lexicon.values(item, sense.column))
