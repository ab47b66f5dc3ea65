"""Small made data that every room's tests may use."""

from __future__ import annotations

import numpy as np

from interplay.types import Dataset, Events, Ids

DAY = 86_400_000_000


def made(
    pairs: list[tuple[int, int]] | np.ndarray,
    n_users: int | None = None,
    n_items: int | None = None,
    *,
    times: bool = True,
    name: str = "made",
    texts: list[str] | None = None,
) -> Dataset:
    """A dataset from (user, item) pairs in time order, one event a minute."""
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    n_users = n_users if n_users is not None else int(pairs[:, 0].max(initial=-1)) + 1
    n_items = n_items if n_items is not None else int(pairs[:, 1].max(initial=-1)) + 1
    order = np.argsort(pairs[:, 0], kind="stable")
    time = (1_700_000_000_000_000 + np.arange(len(pairs)) * 60_000_000)[order]
    catalogue = None
    if texts is not None:
        import polars as pl

        catalogue = pl.DataFrame({"title": texts})
    return Dataset(
        name=name, users=Ids([f"u{i}" for i in range(n_users)]), items=Ids([f"i{i}" for i in range(n_items)]),
        events=Events(
            user=pairs[order, 0].astype(np.int32), item=pairs[order, 1].astype(np.int32),
            time=time if times else None, ordered=True,
        ),
        catalogue=catalogue,
    )  # fmt: skip


WORDS = ("lamp", "tea", "ledger", "fern", "moon", "salt", "brass", "harbour", "paper", "plum", "wren", "tide")


def crowd(n_users: int = 60, n_items: int = 40, events: int = 700, seed: int = 0) -> Dataset:
    """People with two tastes over a catalogue with a text each, users and items without events among them."""
    rng = np.random.default_rng(seed)
    taste = rng.integers(0, 2, n_users)
    user = rng.integers(0, n_users - 3, events)
    half = (n_items - 2) // 2
    skew = (rng.random(events) ** 2 * half).astype(int)
    item = np.where(rng.random(events) < 0.85, skew + taste[user] * half, rng.integers(0, 2 * half, events))
    texts = [f"{WORDS[i % 12]} {WORDS[(i * 5 + 3) % 12]} number {i}" for i in range(n_items)]
    return made(np.column_stack([user, item]), n_users, n_items, texts=texts, name="crowd")
