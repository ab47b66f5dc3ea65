"""Words as they are compared: lower case, without accents, plural and singular alike; and how far two words are apart.

English in its rules for plurals, and in nothing else.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

WORD = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)*")


def plain(text: str) -> str:
    """Lower case, without accents, with straight quotes.

    >>> plain("Crème Brûlée’s")
    "creme brulee's"
    """
    flat = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    return "".join(c for c in flat if not unicodedata.combining(c))


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """One form for singular and plural.

    >>> stem("comedies") == stem("comedy"), stem("glasses") == stem("glass"), stem("houses") == stem("house")
    (True, True, True)
    >>> stem("children's") == stem("children"), stem("scarves") == stem("scarf")
    (True, True)
    """
    word = word.removesuffix("'s").removesuffix("'").replace("'", "")
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 4 and word.endswith(("ses", "xes", "zes", "ches", "shes")):
        word = word[:-2]
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if len(word) > 4 and word.endswith("ie"):
        word = word[:-2] + "y"
    word = word[:-1] if len(word) > 4 and word.endswith("e") else word
    return word[:-1] + "f" if len(word) > 3 and word.endswith("v") else word  # scarves, knives


def stems(text: str) -> tuple[str, ...]:
    """The words of a text as stems.

    >>> stems("Sci-Fi lamps")
    ('sci', 'fi', 'lamp')
    """
    return tuple(stem(w) for w in WORD.findall(plain(text)))


def apart(a: str, b: str, most: int = 3) -> int:
    """Letters to change, add, drop or swap with the next to get from one word to the other; above `most` is most + 1.

    >>> apart("lantren", "lantern"), apart("tea", "lamp")
    (1, 4)
    """
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return min(last[-1], most + 1)


def closest(word: str, known: Iterable[str], *, most: int = 2, n: int = 3) -> list[str]:
    """The nearest known words, best first; a short word must be nearer than a long one."""
    reach = 0 if len(word) < 4 else 1 if len(word) < 6 else most
    found = []
    for other in known:
        if abs(len(other) - len(word)) <= reach:
            distance = apart(word, other, reach)
            if distance <= reach:
                found.append((distance, other[:1] != word[:1], other))
    return [other for *_, other in sorted(found)[:n]]
