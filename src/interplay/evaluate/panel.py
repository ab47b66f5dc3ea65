"""The panel beside the accuracy: what is shown, to whom, how concentrated and how alike."""

from __future__ import annotations

import numpy as np

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
    return {f"{name}@{k}": value for name, value in told.items()}


def _mean(values: Array) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
