"""The panel beside the accuracy: what is shown, to whom, how concentrated and how alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from interplay import metrics as measures
from interplay.errors import BadSetting
from interplay.evaluate.judged import Judged
from interplay.types import Array, Dataset, Rows, Slates


def panel(
    judged: Judged,
    fitted: Dataset,
    *,
    k: int = 20,
    vectors: Array | None = None,
    genres: Array | None = None,
    primitive: Slates | None = None,
) -> dict[str, float]:
    """Measures beyond accuracy of the lists that were judged, by name; means over the requests that have a value.

    A measure that no request has a value for is left out.

    fitted     what the system learnt from: popularity and profiles are counted there
    vectors    float[n_items, d] for `ild`; name the space beside the number
    genres     float[n_items, g] for `calibration_kl`
    primitive  lists of a simple system for the same requests, for `serendipity`
    """
    if judged.slates.items.shape[1] < k:
        raise BadSetting(
            f"the judged lists hold {judged.slates.items.shape[1]} places and the panel looks at {k}; "
            f"judge a metric at {k} or more, such as recall@{k}, or lower k"
        )
    slates, rows = judged.slates, Rows.of(fitted)
    history, popularity, n = fitted.histories(judged.who), rows.popularity, fitted.n_items
    told = {
        "coverage": measures.coverage(slates, n, k),
        "gini": measures.gini(slates, n, k),
        "entropy": measures.entropy(slates, n, k),
        "novelty": _mean(measures.novelty(slates, popularity, int((rows.events > 0).sum()), k)),
        "arp": _mean(measures.arp(slates, popularity, k)),
        "popularity_lift": _mean(measures.popularity_lift(slates, history, popularity, k)),
        "tail_share": _mean(measures.tail_share(slates, popularity, k)),
    }
    if len(slates) > 1:
        told["personalisation"] = measures.personalisation(slates, k)
    if vectors is not None:
        told["ild"] = _mean(measures.ild(slates, vectors, k))
    if genres is not None:
        told["calibration_kl"] = _mean(measures.calibration_kl(slates, history, genres, k))
    if primitive is not None:
        told["serendipity"] = _mean(measures.serendipity(slates, judged.truth, primitive, k))
    return {f"{name}@{k}": value for name, value in told.items() if np.isfinite(value)}


HEADS = {  # measure -> the head of its column; the order of the columns
    "coverage": "coverage", "gini": "Gini", "entropy": "entropy, bits", "novelty": "novelty, bits", "arp": "ARP",
    "popularity_lift": "lift", "tail_share": "tail", "personalisation": "personal", "ild": "ILD",
    "calibration_kl": "KL", "serendipity": "serendipity",
}  # fmt: skip
KINDS = 500  # so many categories at most, the most frequent ones, make the space of `ild` and `calibration_kl`


def kinds(dataset: Dataset) -> Array | None:
    """float32[n_items, g]: 1 where an item has a category of the catalogue; None where the catalogue tells of none."""
    if dataset.catalogue is None or "categories" not in dataset.catalogue.columns:
        return None
    told = dataset.catalogue.select(pl.col("categories").alias("kind")).with_row_index("item")
    told = told.explode("kind") if isinstance(told.schema["kind"], pl.List) else told
    told = told.drop_nulls().filter(pl.col("kind").cast(pl.String).str.strip_chars() != "")
    if not len(told):
        return None
    frequent = told["kind"].value_counts().sort(["count", "kind"], descending=[True, False])["kind"].head(KINDS)
    at = told.join(pl.DataFrame({"kind": frequent}).with_row_index("column"), on="kind")
    out = np.zeros((dataset.n_items, len(frequent)), np.float32)
    out[at["item"].to_numpy(), at["column"].to_numpy()] = 1.0
    return out


def markdown(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The panels of several systems, by name, as the lines of one table; a measure that none has is left out."""
    names = [m for m in HEADS if any(told.partition("@")[0] == m for panel in rows.values() for told in panel)]
    lines = ["| system | " + " | ".join(HEADS[m] for m in names) + " |", "|---|" + "---|" * len(names)]
    for system, told in rows.items():
        by = {name.partition("@")[0]: value for name, value in told.items()}
        cells = [_short(by[m]) if m in by else "" for m in names]
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return lines


def _short(value: float) -> str:
    """Three figures or so.

    >>> _short(0.1234), _short(-0.5), _short(12.345), _short(1234.5)
    ('.123', '-.500', '12.35', '1,234')
    """
    if abs(value) < 0.9995:
        return f"{value:.3f}".replace("0.", ".", 1)
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"


def _mean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
