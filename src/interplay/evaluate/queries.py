"""Judging search: queries with graded judgements, over the whole catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from interplay import metrics as measures
from interplay.errors import BadData
from interplay.evaluate.judged import Judged, as_rows, inside, shown
from interplay.evaluate.reads import refuse_second
from interplay.types import Array, Dataset, Ragged, Requests, Retriever

NEEDED = {"queries": ("query_id", "text"), "qrels": ("query_id", "item_id", "relevance")}


def replay_queries(
    retriever: Retriever,
    dataset: Dataset,
    split: str = "test",
    metrics: str | Sequence[str] = ("ndcg-linear@10", "mrr@10", "recall@100"),
    *,
    relevant: float | None = None,
    reread: bool = False,
    log: Path | None = None,
    block: int = 1024,
) -> Judged:
    """Judge search by the tables `queries` (query_id, text, split) and `qrels` (query_id, item_id, relevance, split).

    `ndcg-linear` has gain r, as trec_eval and so BEIR computes it; `ndcg` has gain 2^r - 1; for 0/1 judgements they
    agree. `relevant` makes grades binary: at or above it an item counts 1, below 0. Judged items that are not in the
    catalogue stay in the truth, where nothing can hit them. Queries without a relevant item are left out and counted.
    """
    names = tuple(measures.parse(metrics))
    asked = _table(dataset, "queries", split)
    qrels = _table(dataset, "qrels", split)
    part, pool = _hash(dataset, asked, qrels), _judgements(dataset, asked, qrels)
    if relevant is not None:
        single = np.asarray(pool["relevance"], np.float32)  # 2.33 as files hold it is below 2.33 in double precision
        graded = (single >= np.float32(relevant)).astype(np.float64)
        pool = Ragged(offsets=pool.offsets, columns={**pool.columns, "relevance": graded})
    rows = measures.judgeable(pool)
    if not len(rows):
        raise BadData(f"no query of split {split!r} of {dataset.name!r} has a relevant item; look at qrels.relevance")
    pool = pool.take(rows)
    requests = Requests(
        user=np.full(len(rows), -1, np.int32), history=Ragged.of([[]] * len(rows)),
        query=asked["text"].gather(rows).to_list(),
    )  # fmt: skip
    if split == "test":
        refuse_second(retriever, part, reread=reread)
    cut = max(k for _, k in measures.parse(names).values())
    slates, seconds = shown(retriever, requests, cut, block=block)
    top = slates.first(10)
    unjudged = 1.0 - inside(as_rows(top), pool).sum() / max(int((top.items >= 0).sum()), 1)
    judged = Judged(
        users=measures.measure(slates, pool, names), who=requests.user, cold=np.zeros(len(rows), bool), slates=slates,
        truth=pool.where(pool["relevance"] > 0), seconds=seconds,
        protocol={
            "data": dataset.name, "fingerprint": dataset.fingerprint, "n_items": dataset.n_items,
            "split": {"rule": "queries", "seed": 0, "hash": part}, "part": split, "candidates": "all items",
            "requests": len(rows), "left_out": len(asked) - len(rows),
            "relevant": "relevance > 0" if relevant is None else f"relevance >= {relevant}, gain 0 or 1",
            "judged_items_unknown": int((pool["item"] >= dataset.n_items).sum()),
            "unjudged_share_of_10": round(float(unjudged), 4), "ties": "hash of the item id",
            "system": type(retriever).__name__, "metrics": list(names),
        },
    )  # fmt: skip
    return judged.noted(retriever, part, log) if split == "test" else judged


def _hash(dataset: Dataset, *tables: pl.DataFrame) -> str:
    """Names the catalogue, the queries and the judgements: equal for equal ones, on any machine."""
    h = hashlib.sha256(dataset.fingerprint.encode())
    for name, table in zip(NEEDED, tables, strict=True):
        h.update(table.select(NEEDED[name]).write_csv().encode())
    return f"queries:{h.hexdigest()}"


def _table(dataset: Dataset, name: str, split: str) -> pl.DataFrame:
    table = dataset.tables.get(name)
    if table is None or any(column not in table.columns for column in NEEDED[name]):
        found = "none" if table is None else table.columns
        raise BadData(f"search is judged by the table {name!r} with {list(NEEDED[name])}; {dataset.name!r} has {found}")
    return table.filter(pl.col("split") == split) if "split" in table.columns else table


def _judgements(dataset: Dataset, asked: pl.DataFrame, qrels: pl.DataFrame) -> Ragged:
    """Row i: the judged items of query i and their relevance. Unknown items get indices behind the catalogue."""
    numbered = asked.select(pl.col("query_id").cast(pl.String)).with_row_index("row")
    found = qrels.with_columns(pl.col("query_id").cast(pl.String)).join(numbered, on="query_id", maintain_order="left")
    ids = found["item_id"].to_list()
    item: Array = dataset.items.index(ids).astype(np.int64)
    unknown = np.flatnonzero(item < 0)
    item[unknown] = dataset.n_items + np.unique([str(ids[i]) for i in unknown], return_inverse=True)[1]
    relevance = found["relevance"].cast(pl.Float64).to_numpy()
    return Ragged.grouped(found["row"].to_numpy(), len(asked), item=item, relevance=relevance)
