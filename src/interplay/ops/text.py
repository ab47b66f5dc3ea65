"""Words: from texts to lists of terms, and lists of strings as arrays.

`terms` cuts texts into lower-case words of two or more letters or digits, leaves out the commonest English words and
reduces the rest to their stems (Snowball, Porter's second English stemmer, from the extra `lexical`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise

import numpy as np

from interplay.errors import BadSetting, extra, nearest
from interplay.types import Array

WORD = re.compile(r"\w\w+")

# The words that Lucene's English analyser has left out since its first years: they match nearly every text.
STOP_WORDS = frozenset(
    WORD.findall(
        "an and are as at be but by for if in into is it no not of on or such that the their then there these they "
        "this to was will with"
    )
)


def words(text: str) -> list[str]:
    """Lower-case words of two or more letters or digits, in order.

    >>> words("A desk-lamp, 40 W")
    ['desk', 'lamp', '40']
    """
    return WORD.findall(text.lower())


def terms(texts: Sequence[str], *, stem: str = "english") -> list[list[str]]:
    """Per text its stemmed words without stop words, in order; `stem` is a Snowball language, or "none".

    >>> terms(["The lamps of Mary"], stem="none")
    [['lamps', 'mary']]
    """
    cut = [[w for w in words(text) if w not in STOP_WORDS] for text in texts]
    if stem == "none":
        return cut
    distinct = sorted(set(chain.from_iterable(cut)))
    stems = dict(zip(distinct, _stemmer(stem).stemWords(distinct), strict=True))
    return [[stems[w] for w in line] for line in cut]


def _stemmer(language: str):  # type: ignore[no-untyped-def]
    try:
        import Stemmer
    except ImportError:
        raise extra("PyStemmer", "lexical") from None
    if language not in Stemmer.algorithms():
        close = nearest(language, Stemmer.algorithms())
        raise BadSetting(
            f"stem is {language!r}; expected 'none' or a Snowball language, nearest: {close or ['english']}"
        )
    return Stemmer.Stemmer(language)  # a new one for each call: a stemmer must not be shared between threads


def packed(strings: Sequence[str]) -> dict[str, Array]:
    """Strings as two arrays, so that they can lie beside the numbers of a model: utf-8 bytes and int64 offsets.

    >>> unpacked(packed(["tea", "", "thé"]))
    ['tea', '', 'thé']
    """
    encoded = [s.encode() for s in strings]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(e) for e in encoded], out=offsets[1:])
    return {"bytes": np.frombuffer(b"".join(encoded), np.uint8), "offsets": offsets}


def unpacked(arrays: Mapping[str, Array]) -> list[str]:
    """What `packed` was given."""
    joined, offsets = arrays["bytes"].tobytes(), arrays["offsets"].tolist()
    return [joined[a:b].decode() for a, b in pairwise(offsets)]
