"""A small shop and a small film shelf that the tests of dialogue speak about. Their words are the tests' own."""

from __future__ import annotations

import numpy as np
import polars as pl

from interplay.data.tables import from_frames
from interplay.types import Dataset

KINDS = ("lantern", "kettle", "scarf", "saw")
SHADES = ("red", "blue", "green")
TEXTS = ("Keeps a tent dry.", "For a table by the harbour.", "Sings a little.", "Made at night.", "Weathered.", "Odd.")
MAKERS = ("Orla Finch", "Bo & Sons", "R. Teal")


def shop(n: int = 120) -> pl.DataFrame:
    """Kinds, shades, makers, tags, a price and a time to build, all of them cycling so that every mix exists."""
    i = np.arange(n)
    return pl.DataFrame({
        "item_id": [f"thing-{k}" for k in i],
        "title": [f"{SHADES[k % 3].title()} {KINDS[k % 4]} {k}" for k in i],
        "text": [TEXTS[k % 6] for k in i],
        "kind": [KINDS[k % 4] for k in i], "shade": [SHADES[k % 3] for k in i],
        "maker": [MAKERS[(k // 2) % 3] for k in i],
        "tags": [["wool"] if k % 4 == 2 else ["steel", "gift"] if k % 2 else ["gift"] for k in i],
        "price": 5.0 + (i * 7) % 60, "minutes": 20 + (i * 11) % 200,
    })  # fmt: skip


def films(n: int = 60) -> pl.DataFrame:
    """Genres in lists, a year, and titles as film catalogues write them."""
    genres = (["Horror"], ["Comedy"], ["Comedy", "Romance"], ["Sci-Fi", "Horror"], ["Film-Noir"], ["Children's"])
    i = np.arange(n)
    return pl.DataFrame({
        "item_id": i, "title": [f"Story of Number {k} ({1960 + k})" for k in i],
        "categories": [genres[k % 6] for k in i], "year": 1960 + i, "runtime": 70 + (i * 13) % 110,
    })  # fmt: skip


def dataset(frame: pl.DataFrame, n_users: int = 40) -> Dataset:
    """People who like two kinds each, so that taste has something to learn."""
    rng = np.random.default_rng(0)
    names = frame["item_id"].to_list()
    users, items = [], []
    for u in range(n_users):
        liked = [k for k in range(len(names)) if (k // 3) % 8 == u % 8]
        for k in rng.permutation(liked)[:8]:
            users.append(f"u{u}")
            items.append(names[k])
    log = pl.DataFrame({"user_id": users, "item_id": items, "timestamp": np.arange(len(users))})
    return from_frames("shop", log, items=frame)
