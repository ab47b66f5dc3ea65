"""How a taste is put in words: a value or a range of any catalogue's column as the name of things.

    of_value("traits", "travel")           # things with the trait travel
    of_value("genres", "Drama", kind=True) # drama
    of_value("directed_by", "Ang Lee")     # things directed by Ang Lee
    of_range(number, 1)                    # things with more than 320 pages

English in its rules for plurals, as tongue.py, and in nothing else: the words are the catalogue's own columns and
values.
"""

from __future__ import annotations

import re

from interplay.dialogue.lexicon import Number

CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
TOWARDS = frozenset({"about", "as", "at", "by", "for", "from", "in", "of", "on", "to", "under", "with"})
PLURAL = frozenset({"people", "feet"})
SAME = frozenset({"series", "species", "news", "lens", "means"})  # one form for both
IES = frozenset({"movies", "cookies", "calories", "brownies", "hoodies", "smoothies", "selfies", "ties", "pies"})


def of_value(column: str, value: str, *, kind: bool = False, maker: bool = False) -> str:
    """Things with one value of a column of labels.

    `kind`: the column says what a thing is, so its value names things by itself; `maker`: it says who made them.

    >>> of_value("tags", "slow_burn"), of_value("made_in", "France"), of_value("brand", "Oxo", maker=True)
    ('things with the tag slow burn', 'things made in France', 'things by Oxo')
    >>> of_value("genre", "Drama", kind=True), of_value("genre", "Sci-Fi", kind=True)
    ('drama', 'Sci-Fi')
    """
    said = value.replace("_", " ")
    if maker:
        return f"things by {said}"
    if kind:  # "Green tea" is written so to begin a label with; "R&B" and "Sci-Fi" are names
        return said[:1].lower() + said[1:] if said[1:] == said[1:].lower() else said
    name = named(column)
    if name.split()[-1] in TOWARDS:
        return f"things {name} {said}"
    return f"things with the {singular(name)} {said}"


def of_range(number: Number, end: int) -> str:
    """Things in the lower (end -1) or the upper third (1) of a column of numbers."""
    bound = number.third if end < 0 else number.twothirds
    *rest, last = named(number.column).split()
    under = "under" if end < 0 else "over"
    if number.family == "year":
        return f"things from {'before' if end < 0 else 'after'} {bound:.0f}"
    if singular(last) != last or last in PLURAL:
        return f"things with {'fewer' if end < 0 else 'more'} than {figure(bound)} {' '.join([*rest, last])}"
    if last not in number.units:
        rest, unit = [*rest, last], ""
    else:  # weight_kg, or kg alone
        unit = f" {last}"
    name = " ".join(rest)
    has = f" with {'an' if name[0] in 'aeiou' else 'a'} {name}" if name else ""
    return f"things{has} {under} {figure(bound)}{unit}"


def named(column: str) -> str:
    """A column's name as words.

    >>> named("release_year"), named("dropHeight")
    ('release year', 'drop height')
    """
    return " ".join(CAMEL.sub(" ", column).replace("_", " ").split()).lower() or column


def singular(name: str) -> str:
    """A name whose last word speaks of one thing.

    >>> [singular(n) for n in ("traits", "dietary categories", "classes", "movies", "status", "series", "mood")]
    ['trait', 'dietary category', 'class', 'movie', 'status', 'series', 'mood']
    """
    rest, _, word = name.rpartition(" ")
    if word in SAME or len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return name
    if word.endswith("ies") and word not in IES:
        word = word[:-3] + "y"
    else:
        word = word[:-2] if word.endswith(("sses", "xes", "ches", "shes")) else word[:-1]
    return f"{rest} {word}".strip()


def figure(value: float) -> str:
    """A number as it is read: no more than two decimals, thousands apart.

    >>> figure(20.0), figure(33.3333), figure(1250000)
    ('20', '33.33', '1,250,000')
    """
    return f"{value:,.2f}".rstrip("0").rstrip(".")
