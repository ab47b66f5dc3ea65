"""Small made data that every room's tests may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from interplay.benches import Bench, Entry
from interplay.data.tables import write_directory
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


def shop(n_items: int = 40) -> Dataset:
    """`crowd` with all that a row may need: kinds and values of events, makers of things, pages that were shown."""
    import polars as pl

    data = crowd(n_items=n_items)
    rng, e = np.random.default_rng(1), data.events
    kinds = ("view", "click", "follow", "gift")
    kind = rng.choice(4, len(e), p=(0.3, 0.5, 0.1, 0.1)).astype(np.int16)
    slate = np.stack([rng.permutation(n_items)[:5] for _ in range(len(e))])
    slot = rng.integers(0, 5, len(e))
    shown = np.flatnonzero(~(slate == e.item[:, None]).any(axis=1))
    slate[shown, slot[shown]] = e.item[shown]  # each event answers a page of its own, on which its item stands
    pages = np.repeat(np.arange(len(e)), 5)
    impressions = pl.DataFrame({
        "request_id": pages, "user_id": np.array(data.users.names)[e.user[pages]], "timestamp": e.time[pages] - 1,
        "slot": np.tile(np.arange(5), len(e)), "item_id": np.array(data.items.names)[slate.ravel()],
        "propensity": np.full(len(pages), 0.2),
    })  # fmt: skip
    events = replace(
        e, kind=kind, kinds=kinds, value=rng.lognormal(1, 1, len(e)).astype(np.float32),
        context={"request_id": np.arange(len(e))},
    )  # fmt: skip
    assert data.catalogue is not None
    catalogue = data.catalogue.with_columns(author_id=pl.Series([f"maker {i % 7}" for i in range(n_items)]))
    return replace(data, name="shop", events=events, catalogue=catalogue, tables={"impressions": impressions})


def small_bench(name: str, folder: Path, entries: Sequence[Entry]) -> Bench:
    """A bench of these rows over the crowd, which is written into the folder."""
    write_directory(crowd(), folder / "crowd")
    return Bench(
        name=name, version=1, about="**Small**.", data=str(folder / "crowd"), entries=tuple(entries), split="last-out",
        metrics=("recall@5", "ndcg@5"), select="ndcg@5",
    )  # fmt: skip
