"""Two demonstrations that a protocol can change the winner; their figures stand in docs/evaluation.md.

sampled_reversal           the same lists, ranked by full and by sampled measures
temporal_against_last_out  the same systems, judged after a global cut in time and by leaving each last event out
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from interplay.data.split import Split, split
from interplay.evaluate.compare import Values, compare, figure
from interplay.evaluate.judged import Judged
from interplay.evaluate.replay import replay
from interplay.evaluate.sampled import SampledMeasure, sampled
from interplay.types import TEST, Array, Dataset, Retriever


def sampled_reversal(
    systems: Mapping[str, Retriever],
    parts: Split,
    *,
    metrics: Sequence[str] = ("recall@10", "ndcg@10"),
    negatives: int = 100,
    draws: int = 3,
    on: str | None = None,
    which: int = TEST,
) -> dict[str, Any]:
    """Judge fitted systems by full and by sampled ranking, and name the pairs whose order turns.

    Returns JSON-able numbers: per metric and system the full and the sampled mean (over `draws` draws), Kendall's tau
    of the two orders, and each swapped pair with both paired verdicts.
    """
    asked: dict[str, Any] = {"which": which, "on": on, "metrics": metrics, "reread": True}
    full = {name: replay(model, parts, **asked) for name, model in systems.items()}
    few: dict[str, dict[str, Array]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SampledMeasure)  # what it would say is what is being shown
        for name, model in systems.items():
            judged = sampled(model, parts, negatives=negatives, draws=draws, **asked)
            few[name] = {m.partition("~")[0]: values for m, values in judged.users.items()}
    out: dict[str, Any] = {"protocol": dict(next(iter(full.values())).protocol), "negatives": negatives, "metrics": {}}
    for metric in metrics:
        whole = {name: judged.mean()[metric] for name, judged in full.items()}
        part = {name: float(values[metric].mean()) for name, values in few.items()}
        pairs = swapped(whole, part)
        out["metrics"][metric] = {
            "full": whole, "sampled": part, "tau": agreement(whole, part)["tau"],
            "swapped": [
                {
                    "better_in_full": a, "better_in_sampled": b,
                    "full": _verdict({b: full[b], a: full[a]}, metric),
                    "sampled": _verdict({a: few[a], b: few[b]}, metric),
                }
                for a, b in pairs
            ],
        }  # fmt: skip
    return out


def temporal_against_last_out(
    fits: Mapping[str, Callable[[Dataset], Retriever]],
    dataset: Dataset,
    *,
    metric: str = "ndcg@20",
    seed: int = 0,
) -> dict[str, Any]:
    """Fit and judge the same systems under a global cut in time and under leave-last-out; compare the two orders.

    `fits` maps a name to a function that returns a system fitted on the data set it is given. Returns JSON-able
    numbers: per rule the mean of each system, over all requests and over the warm ones, and how many judged events are
    older than the newest fitted one; Spearman's rho and Kendall's tau of the orders; the swapped pairs.
    """
    rules: dict[str, Any] = {}
    for rule in ("time", "last-out"):
        parts = split(dataset, rule, seed=seed)
        learnt = parts.fitted("train+valid")
        judged: dict[str, Judged] = {
            name: replay(fit(learnt), parts, metrics=(metric,), reread=True) for name, fit in fits.items()
        }
        some = next(iter(judged.values()))
        rules[rule] = {
            "all": {name: j.mean()[metric] for name, j in judged.items()},
            "warm": {name: j.groups()["warm"].get(metric) for name, j in judged.items()},
            "requests": len(some), "cold": int(some.cold.sum()),
            "test_events": int((parts.part == TEST).sum()), "older_than_fitted": some.protocol["older_than_fitted"],
        }  # fmt: skip
    first, second = rules["time"]["all"], rules["last-out"]["all"]
    return {"metric": metric, "rules": rules, **agreement(first, second), "swapped": swapped(first, second)}


def agreement(first: Mapping[str, float], second: Mapping[str, float]) -> dict[str, float]:
    """Spearman's rho and Kendall's tau of two orders of the same systems."""
    from scipy import stats

    a, b = [first[name] for name in first], [second[name] for name in first]
    return {"rho": float(stats.spearmanr(a, b).statistic), "tau": float(stats.kendalltau(a, b).statistic)}


def swapped(first: Mapping[str, float], second: Mapping[str, float]) -> list[tuple[str, str]]:
    """The pairs (a, b) with a above b in `first` and b above a in `second`.

    >>> swapped({"x": 0.3, "y": 0.2, "z": 0.1}, {"x": 0.5, "y": 0.6, "z": 0.1})
    [('x', 'y')]
    """
    ordered = sorted(first, key=lambda name: -first[name])
    return [(a, b) for a, b in combinations(ordered, 2) if first[a] > first[b] and second[a] < second[b]]


def _verdict(pair: Mapping[str, Values | Sequence[Values]], metric: str) -> str:
    """How the second of two systems compares with the first, in words and numbers."""
    row = compare(pair, metrics=[metric]).rows[1]
    return (
        f"{row.verdict}, {row.difference[metric]:+.4f} "
        f"[{figure(row.difference_low[metric])}, {figure(row.difference_high[metric])}]"
    )
