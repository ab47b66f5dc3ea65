"""Things to sell: a catalogue composed from the market's vocabulary.

Titles come from a grammar per kind and are made distinct; texts say, in a sentence or two, what the columns hold, so
that search and conversation have words to find. Every maker has a style: moods, a price level and colours it prefers.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from typing import Any, TypeVar

import polars as pl

from interplay.worlds import wares
from interplay.worlds.wares import COLOURS, KINDS, MOODS, Kind

COLUMNS = ("item_id", "title", "text", "categories", "kind", "maker", "price", "mood", "genre", "form", "colour",
           "material", "traits", "added")  # fmt: skip
HOUR = 3_600_000_000  # microseconds
PLASTICS = ("plastic", "nylon", "polyester")
_SLOT, _ARTICLE = re.compile(r"\{(\w+)\}"), re.compile(r"\b([Aa]) (?=[aeiouAEIOU])")
_START = re.compile(r"(?:^|[.] )[a-z]")
_SMALL = frozenset(("of", "on", "a", "the", "to", "and", "at", "in"))
T = TypeVar("T")


def catalogue(n_items: int, seed: int, *, first_day: int, days: int) -> pl.DataFrame:
    """`n_items` things, one row each: item_id, title, text, categories, kind, maker, price (euros), mood, genre, form,
    colour, material, traits, added (microseconds). One in seven is added while the market is open (`first_day`,
    microseconds, and `days`); the others were there before."""
    rng = random.Random(f"catalogue {seed}")
    total = sum(k.share for k in KINDS.values())
    counts = {kind: int(k.share / total * n_items) for kind, k in KINDS.items()}
    for kind in list(KINDS)[: n_items - sum(counts.values())]:
        counts[kind] += 1
    counts["book"] += n_items - sum(counts.values())
    makers, taken = _makers(random.Random(f"makers {seed}")), set[str]()
    rows = [_thing(kind, number, makers[kind], rng, taken) for kind in KINDS for number in range(counts[kind])]
    rng.shuffle(rows)
    for row in rows:
        hours = rng.random() * days * 21.6 if rng.random() < 1 / 7 else -rng.random() * 400 * 24
        row["added"] = first_day + int(hours) * HOUR
    words = pl.List(pl.String)
    other: dict[str, Any] = {"categories": words, "price": pl.Float64, "traits": words, "added": pl.Int64}
    return pl.DataFrame(rows, schema={name: other.get(name, pl.String) for name in COLUMNS})


def _makers(rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    """kind -> its makers with their style; an author keeps to one or two genres."""
    first, last, styles = wares.FIRST, wares.LAST, dict[str, dict[str, Any]]()
    authors = {f"{f} {last[(a * step + 3) % len(last)]}" for a, f in enumerate(first) for step in (7, 11, 13)}
    authors |= {f"{f[0]}. {last[(a * 17 + 5) % len(last)]}" for a, f in enumerate(first[::2])}
    named = {"book": sorted(authors), **wares.MAKERS}
    for name in (name for kind in KINDS for name in named[kind]):
        if name not in styles:
            mood = [rng.gammavariate(0.35, 1) + 0.01 for _ in MOODS]
            styles[name] = {
                "name": name, "mood": mood, "level": math.exp(rng.gauss(0, 0.22)), "colours": rng.sample(COLOURS, 4),
                "weight": math.exp(rng.gauss(0, 0.6)),
                "genres": rng.sample(list(wares.BOOKS), 1 + (rng.random() < 0.35)),
            }  # fmt: skip
    return {kind: [styles[name] for name in named[kind]] for kind in KINDS}


def _thing(
    kind: str, number: int, makers: Sequence[dict[str, Any]], rng: random.Random, taken: set[str]
) -> dict[str, Any]:
    about = KINDS[kind]
    maker = rng.choices(makers, [m["weight"] for m in makers])[0]
    form = _one(list(about.forms), rng)
    genre = _one(maker["genres"] if kind == "book" else about.genres, rng) if about.genres else None
    mood = "dark" if genre == "horror" and rng.random() < 0.7 else rng.choices(MOODS, maker["mood"])[0]
    colour, material = _one(maker["colours"], rng), _one(about.made_of.get(form, about.materials), rng)
    traits = {trait for trait, often in about.traits.items() if rng.random() < often}
    if material in PLASTICS:
        traits.add("plastic")
    elif kind != "lamp":  # any lamp may have plastic parts
        traits.discard("plastic")
    if genre in ("herbal", "roasted"):
        traits.add("decaf")
    slots = _slots(kind, about, form, genre, mood, colour, material, rng)
    title = _title(kind, about, slots, rng, taken)
    noise = min(max(rng.gauss(0, about.spread), -2 * about.spread), 2 * about.spread)
    said = _filled(_one(wares.BOOKS[str(genre)][1] if kind == "book" else about.texts, rng), slots, rng)
    if kind in wares.COLOURED and colour not in f"{title} {said}".lower():
        said += f" In {colour}."
    for trait in rng.sample(sorted(traits), min(2, len(traits))):
        said += " " + _one(wares.TRAITS[trait], rng)
    return {
        "item_id": f"{kind}-{number:04d}", "title": title, "text": _START.sub(lambda m: m[0].upper(), said),
        "categories": [about.label, (genre or slots["noun"]).capitalize()], "kind": kind, "maker": maker["name"],
        "price": _price(about.price * about.forms[form][1] * maker["level"] * math.exp(noise)), "mood": mood,
        "genre": genre, "form": form, "colour": colour, "material": material, "traits": sorted(traits),
    }  # fmt: skip


def _slots(
    kind: str, about: Kind, form: str, genre: str | None, mood: str, colour: str, material: str, rng: random.Random
) -> dict[str, Any]:
    """What the patterns of this thing may use: a word that is fixed, or a tuple of which any will do."""
    slots: dict[str, Any] = {
        "noun": _one(about.forms[form][0], rng), "colour": colour, "material": material, "feel": wares.FEELS[mood],
        "name": wares.NAMES, "name2": wares.NAMES, "names": wares.PLURALS, "thing": _THINGS, "look": wares.LOOKS,
        "quality": wares.QUALITIES, "number": wares.NUMBERS, "count": _COUNTS, "ordinal": wares.ORDINALS,
        "colour2": [c for c in COLOURS if c != colour], "glaze": _one(wares.GLAZES, rng),
        "size": _one(wares.SIZES, rng), "n": _PLATES, "role": wares.ROLES, "place": wares.PLACES,
    }  # fmt: skip
    if kind == "tea":
        tastes = rng.sample(wares.TEA_TASTES[str(genre)], 2)
        slots |= {"tea": wares.TEA_NOUNS[str(genre)], "taste": tastes[0], "taste2": tastes[1]}
    elif kind == "seeds":
        slots["plant"] = _one(wares.PLANTS[str(genre)], rng)
    elif kind == "print":
        slots["subject"] = _one(wares.SUBJECTS[str(genre)], rng)
    elif kind == "game":
        slots["play"] = wares.PLAYS[str(genre)]
    elif kind == "book":
        slots["theme"] = wares.BOOKS[str(genre)][0]
    return slots


_THINGS = tuple(n.lower() for n in wares.NAMES)
_COUNTS = tuple(n.lower() for n in wares.NUMBERS)
_PLATES = tuple(map(str, range(1, 60)))


def _filled(pattern: str, slots: dict[str, Any], rng: random.Random) -> str:
    """The pattern with every slot replaced; a slot with a capital letter gives a capital letter."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        value = slots[name.lower()]
        word = value if isinstance(value, str) else _one(value, rng)
        return word[0].upper() + word[1:] if name[0].isupper() else word

    return _ARTICLE.sub(r"\1n ", _SLOT.sub(one, pattern))


def _title(kind: str, about: Kind, slots: dict[str, Any], rng: random.Random, taken: set[str]) -> str:
    """A title that no other thing has; after many tries it gets a number."""
    title = ""
    for _ in range(40):
        title = _filled(_one(about.titles, rng), slots, rng)
        if kind == "book":
            title = " ".join(w if w in _SMALL else w[0].upper() + w[1:] for w in title.split())
        title = title[0].upper() + title[1:]
        words = [w for w in title.lower().replace(",", "").split() if len(w) > 3]
        if title not in taken and len(set(words)) == len(words):
            break
    else:
        title = f"{title}, no. {len(taken)}"
    taken.add(title)
    return title


def _price(euros: float) -> float:
    """A price as shops write it: 3.5, 8.9, 12, 34."""
    if euros >= 20:
        return float(round(euros))
    half = max(round(euros * 2), 3)
    return half / 2 - 0.1 if half % 2 == 0 and euros < 15 and half > 8 else half / 2


def _one(values: Sequence[T], rng: random.Random) -> T:
    return values[int(rng.random() * len(values))]
