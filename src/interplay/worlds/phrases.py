"""How the market's people put into words what they look for. Parsers and their tests may not look here.

A query is phrased from one facet of one thing the writer has in mind: its genre, form, mood, a trait, material, colour,
maker or title. The words are the writer's own: synonyms that the catalogue need not use, a price now and then, a typing
slip now and then. `Facets` tells which items have what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import polars as pl

from interplay.types import Array
from interplay.worlds.wares import COLOURED, FEELS, KINDS

CALLED = {  # a word that stands twice is used twice as often
    "book": ("book", "book", "novel", "something to read"), "lamp": ("lamp", "lamp", "light"),
    "tea": ("tea", "tea", "something to drink"), "tool": ("tool", "tool", "hand tool"),
    "pot": ("pot", "pottery", "ceramics"), "textile": ("blanket", "textile", "cloth"),
    "game": ("game", "game", "something to play"), "print": ("print", "picture", "art print", "poster"),
    "bag": ("bag", "bag"), "toy": ("toy", "toy", "plaything"), "seeds": ("seeds", "seeds", "something to plant"),
    "stationery": ("stationery", "writing things"),
}  # fmt: skip
GENRES = {
    "mystery": ("mystery", "crime", "detective", "whodunit"), "horror": ("horror", "scary", "ghost"),
    "poetry": ("poetry", "poems", "verse"), "nature": ("nature", "plants and birds", "natural history"),
    "essays": ("essays", "essay"), "cooking": ("cooking", "recipes", "cookbook"),
    "scifi": ("science fiction", "sci-fi", "space"), "comedy": ("funny", "comedy", "humorous"),
    "history": ("history", "historical"), "romance": ("romance", "love story", "romantic"),
    "green": ("green",), "black": ("black",), "white": ("white",),
    "herbal": ("herbal", "herb"), "roasted": ("roasted", "barley"), "spiced": ("chai", "spiced"),
    "cards": ("card", "cards"), "board": ("board",), "puzzle": ("puzzle", "jigsaw"), "dice": ("dice",),
    "words": ("word", "spelling"), "landscape": ("landscape",), "city": ("city", "street"),
    "botanical": ("botanical", "plant"), "abstract": ("abstract", "geometric"), "flowers": ("flower",),
    "herbs": ("herb",), "vegetables": ("vegetable",), "grasses": ("grass", "ornamental grass"),
}  # fmt: skip
MOODS = {
    "calm": ("calm", "peaceful", "relaxing"), "warm": ("warm", "cosy", "snug"), "dark": ("dark", "gloomy"),
    "bright": ("bright", "cheerful", "colourful"), "fresh": ("fresh", "airy"), "plain": ("plain", "simple", "minimal"),
}  # fmt: skip
TRAITS = {
    "quiet": ("for quiet hours", "quiet"), "evening": ("for the evening", "for slow evenings"),
    "camp": ("for camping", "for the tent"), "recycled": ("recycled", "from recycled material"),
    "handmade": ("handmade", "made by hand"), "gift": ("as a present", "gift"),
    "kids": ("for children", "for a five year old"), "travel": ("for travelling", "for a trip"),
    "decaf": ("without caffeine", "decaf"), "organic": ("organic",), "vegan": ("vegan", "without animal products"),
}  # fmt: skip
T = TypeVar("T")
UNASKED = ("colour", "material")  # of books, teas, games and seeds
COLUMNS = {  # how often a query is phrased from each, where the item has it
    "genre": 0.24, "form": 0.2, "mood": 0.13, "traits": 0.18, "material": 0.1, "colour": 0.1, "maker": 0.08,
    "title": 0.12,
}  # fmt: skip


class Facets:
    """What can be asked for: (kind, column, value) triples, and which items have them.

    names: the triples; the first len(KINDS) are the kinds themselves. of: int32[n_items, m], padded with -1.
    offsets, members: the items of every facet, one after the other.
    """

    def __init__(self, items: pl.DataFrame) -> None:
        self.names: list[tuple[str, str, str]] = [(kind, "kind", kind) for kind in KINDS]
        index = {name: i for i, name in enumerate(self.names)}
        columns = [c for c in COLUMNS if c != "title"]
        held: list[list[int]] = []
        self.by_column: list[dict[str, list[int]]] = []  # per item: column -> facets
        for row in items.select("kind", *columns).iter_rows(named=True):
            mine: dict[str, list[int]] = {}
            for column in columns if row["kind"] in COLOURED else [c for c in columns if c not in UNASKED]:
                value = row[column]
                for one in value if isinstance(value, list) else [value] if value else []:
                    if column == "traits" and one not in TRAITS:
                        continue
                    name = (row["kind"], column, one)
                    mine.setdefault(column, []).append(index.setdefault(name, len(index)))
                    if len(index) > len(self.names):
                        self.names.append(name)
            self.by_column.append(mine)
            held.append([index[(row["kind"], "kind", row["kind"])], *(f for listed in mine.values() for f in listed)])
        width = max(len(h) for h in held)
        self.of = np.array([h + [-1] * (width - len(h)) for h in held], np.int32)
        item, place = np.nonzero(self.of >= 0)
        facet = self.of[item, place]
        self.members = item[np.argsort(facet, kind="stable")]
        self.offsets = np.concatenate([[0], np.cumsum(np.bincount(facet, minlength=len(self.names)))])
        self.titles, self.prices = items["title"].to_list(), items["price"].to_list()


def phrased(facets: Facets, targets: Array, draw: Array) -> tuple[list[str], Array]:
    """A query for each target item and the facet it was phrased from (-1: the title), by the writer's own draws
    (float64[len(targets), 7])."""
    asked = np.full(len(targets), -1, np.int64)
    listed = zip(np.asarray(targets).tolist(), draw.tolist(), strict=True)
    return [_phrase(facets, target, row, asked, i) for i, (target, row) in enumerate(listed)], asked


def _phrase(facets: Facets, target: int, draw: list[float], asked: Array, i: int) -> str:
    mine = facets.by_column[target]
    open_to = {c: w for c, w in COLUMNS.items() if c == "title" or c in mine}
    marks = np.cumsum(list(open_to.values()))
    column = list(open_to)[int(np.searchsorted(marks, draw[0] * marks[-1], side="right"))]
    if column == "title":
        words = sorted((w.strip(",") for w in facets.titles[target].split()), key=len)[-2:]
        said = " ".join(w for w in facets.titles[target].replace(",", "").split() if w in words).lower()
    else:
        facet = _pick(mine[column], draw[1])
        asked[i] = facet
        kind, _, value = facets.names[facet]
        noun = _pick(CALLED[kind], draw[2])
        said = _worded(kind, column, value, noun, draw[3])
    if draw[4] < 0.1:
        above = next((p for p in (5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300) if p > facets.prices[target]), 500)
        said += f" under {above}"
    if draw[5] < 0.05:
        said = _slipped(said, draw[6])
    return said


def _worded(kind: str, column: str, value: str, noun: str, draw: float) -> str:
    if column == "genre":
        word = _pick(GENRES[value], draw)
        alone = noun.startswith("something") or word in ("recipes", "cookbook", "poems", "chai")
        return word if alone else f"{word} {noun}"
    if column == "form":
        named = kind not in ("book", "tea", "game", "seeds")  # other forms have names of their own
        return _pick(KINDS[kind].forms[value][0], draw) if named else f"{value} {noun}"
    if column == "mood":
        word = _pick(MOODS[value] + FEELS[value][:1], draw)
        return f"something {word} {noun[10:]}" if noun.startswith("something") else f"{word} {noun}"
    if column == "traits":
        word = _pick(TRAITS[value], draw)
        return f"{noun} {word}" if " " in word or noun.startswith("something") else f"{word} {noun}"
    if column == "maker":
        return f"{value} {noun}" if draw < 0.6 and not noun.startswith("something") else f"{noun} by {value}"
    return f"{noun} in {value}" if noun.startswith("something") or draw < 0.2 else f"{value} {noun}"


def _slipped(text: str, draw: float) -> str:
    """Two neighbouring letters of the longest word change places."""
    word = max(text.split(), key=len)
    if len(word) < 5:
        return text
    at = 1 + int(draw * (len(word) - 2))
    return text.replace(word, word[:at] + word[at + 1] + word[at] + word[at + 2 :], 1)


def _pick(values: Sequence[T], draw: float) -> T:
    return values[int(draw * len(values))]
