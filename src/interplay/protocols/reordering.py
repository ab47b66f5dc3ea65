"""Benches of personalised ranking: what somebody takes next among drawn items, and purchases under a query.

    next-*           one taken item and one drawn item of the same person while learning; judged among 99 drawn items,
                     and by putting the first 100 of a base ranker in a new order
    search-phones    the first 200 of BM25 in a new order, for people who bought before (purchases.py)

A model is judged on everybody and on newcomers: people with few events, and the same requests with all but the last few
events of their history cut off. Floors are retrievers: a candidate counts by its place in their list of all things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.benches import Bench, Entry
from interplay.data.examples import Examples, candidates, moments
from interplay.data.features import FeatureView
from interplay.data.read import load
from interplay.data.split import Split, split
from interplay.errors import BadData
from interplay.evaluate.compare import Comparison, compare
from interplay.fitted import built
from interplay.learn.negatives import taken, uniform
from interplay.protocols.purchases import purchases
from interplay.protocols.tables import ruled
from interplay.ranking import milliseconds, ranks
from interplay.types import TEST, TRAIN, VALID, Array, Dataset, Ragged, Requests, Run

EVENTS = 60_000  # events learnt from at most
PEOPLE = 3000  # people judged at most
DRAWN = 99  # items beside the one that was taken
FIRST = 100  # of the base ranker
FEW = 5  # training events that a newcomer has at most
COMMON: Mapping[str, Any] = {"window": 20, "descent": {"batch": 1024}}


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One row: its metrics, protocol, facts, and a value per person for the paired tests."""
    return purchases(page, entry, seed) if page.name.startswith("search") else _next(page, entry, seed)


# --------------------------------------------------------------------------------------------------------------------
# The next item


def _next(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    data = load(page.data)
    parts = split(data, "last-out")
    fitted, learns = parts.fitted("train+valid"), ranks(entry.system)
    model = built(entry.system, {**COMMON, **entry.settings} if learns else entry.settings)
    if learns:
        model.fit(data, examples=pairs(parts, EVENTS), run=Run(seed=seed))
    else:
        model.fit(fitted)
    asked = Asked.of(parts, PEOPLE)
    said = partial(scores, model, asked.view) if learns else partial(places, model, data.n_items)
    rng = np.random.default_rng(1)
    some = np.column_stack([asked.truth, drawn(asked, rng)])
    lists = built("markov").fit(fitted).retrieve(asked.requests, FIRST).items
    cut = asked.shortened(1 + asked.requests.user % 3)
    values = {}
    for name, requests in (("", asked.requests), ("_cut", cut)):
        values[f"auc{name}"], values[f"ndcg{name}"] = among(said(requests, some))
    values["reranked"] = gain(said(asked.requests, lists), lists == asked.truth[:, None])
    values["base"] = gain(-np.tile(np.arange(FIRST, dtype=np.float64), (len(lists), 1)), lists == asked.truth[:, None])
    metrics = {k: float(v.mean()) for k, v in values.items()}
    if asked.few.any():
        metrics |= {f"{k}_few": float(values[k][asked.few].mean()) for k in ("auc", "ndcg")}
    return {
        "metrics": metrics,
        "protocol": {
            "data": f"{data.name}, leave one out: {len(asked.truth):,} people judged, {int(asked.few.sum()):,} of them "
                    f"(_few) with at most {FEW} training events; _cut: all but the last one to three events withheld",
            "learnt": f"Learnt from at most {EVENTS:,} training events, each beside one drawn item that the person has "
                      "not taken, stopped by the AUC of the validation events" if learns else
                      "Fitted on all events but everybody's last",
            "judged": f"auc and ndcg (at 10) are of the taken item among {DRAWN} evenly drawn ones: sampled measures, "
                      f"which say little of a whole catalogue. reranked: ndcg@10 of the first {FIRST} of `markov` in "
                      f"the model's order; in markov's own it is {metrics['base']:.4f}",
        },
        "facts": _facts(model, data, asked.examples(model, some)) if learns else {},
        "rows": {k: values[k] for k in values if k != "base"} | {"few": asked.few.astype(np.float32)},
    }  # fmt: skip


def _facts(model: Any, data: Dataset, some: Examples) -> dict[str, Any]:
    """What is to be known of a network: how long it learnt, its size and pace, and how its experts are used."""
    return {
        "epochs": model.fitted["best_epoch"], "parameters": sum(p.numel() for p in model.learnt.net.parameters()),
        "ms": round(milliseconds(model, data), 3), "usage": model.usage(some),
    }  # fmt: skip


def pairs(parts: Split, most: int, *, seed: int = 0) -> Examples:
    """Training and validation events with what the person had before, each beside one item they never took.

    Histories end where the event stands in the person's order: days are the times of some logs, and too coarse.
    """
    fitted = parts.fitted("train+valid")
    part = parts.part[parts.part != TEST]
    rng = np.random.default_rng([seed, 5])
    train = np.flatnonzero(part == TRAIN)
    valid = np.flatnonzero(part == VALID)
    chosen = np.sort(np.concatenate([rng.permutation(train)[:most], rng.permutation(valid)[: most // 5]]))
    e = fitted.events
    user = np.repeat(e.user[chosen], 2)
    other = uniform(e.user[chosen], fitted.n_items, rng, keys=taken(fitted))
    item = np.column_stack([e.item[chosen], other]).reshape(-1).astype(np.int32)
    at = None if e.time is None else np.repeat(e.time[chosen], 2)
    made = moments(FeatureView(fitted), user, item, at, ends=np.repeat(chosen, 2))
    label = np.tile(np.array([1, 0], np.float32), len(chosen))
    return replace(made, labels={"take": label}, group=user.astype(np.int64), part=np.repeat(part[chosen], 2))


class Asked:
    """The people judged: what they had, what they took next, and who of them is a newcomer."""

    def __init__(self, requests: Requests, truth: Array, few: Array, view: FeatureView, held: Ragged) -> None:
        self.requests, self.truth, self.few, self.view, self.held = requests, truth, few, view, held

    @staticmethod
    def of(parts: Split, most: int) -> Asked:
        requests, truth = parts.judged(TEST)
        rows = np.sort(np.random.default_rng(0).permutation(len(requests))[:most])
        requests = requests.take(rows)
        plain = {k: c for k, c in requests.history.columns.items() if k != "time"}
        history = Ragged(offsets=requests.history.offsets, columns=plain)
        few = requests.history.lengths - 1 <= FEW  # less the validation event
        view = FeatureView(parts.fitted("train+valid"))
        took = truth["item"][truth.offsets[:-1]][rows]
        return Asked(replace(requests, history=history), took, few, view, history)

    def shortened(self, kept: Array) -> Requests:
        """The same requests with only the last `kept` (int[n]) events of each history."""
        history = self.requests.history
        place = np.arange(history.offsets[-1]) - np.repeat(history.offsets[1:], history.lengths)
        return replace(self.requests, history=history.where(-place <= np.repeat(kept, history.lengths)))

    def examples(self, model: Any, items: Array) -> Examples:
        """A few of the judged moments, for what is said of the gate."""
        few = np.arange(min(50, len(items)))
        coder = model.learnt.coder
        return candidates(
            self.view, self.requests.take(few), items[few], fields=coder.fields, numbers=coder.numbers
        )  # fmt: skip


def drawn(asked: Asked, rng: np.random.Generator) -> Array:
    """int64[n, DRAWN]: items that are neither the taken one nor in the history, without repetition.

    Fewer of them where the catalogue is so small that somebody has taken nearly all of it.
    """
    n_items, lengths = asked.view.dataset.n_items, asked.requests.history.lengths
    wide = min(DRAWN, n_items - 1 - int(lengths.max(initial=0)))
    if wide < 1:
        raise BadData(f"somebody has taken all of the {n_items} items; there is nothing to draw beside the next one")
    out = np.zeros((len(asked.truth), wide), np.int64)
    for i, took in enumerate(asked.truth):
        gone = np.append(asked.requests.history.row(i)["item"], took)
        left = np.setdiff1d(rng.permutation(n_items)[: wide + len(gone)], gone)
        out[i] = rng.permutation(left)[:wide]
    return out


def scores(model: Any, view: FeatureView, requests: Requests, items: Array, block: int = 200) -> Array:
    """float64[n, k]: the probability of each candidate, -inf at padding."""
    coder, out = model.learnt.coder, np.full(items.shape, -np.inf)
    for lo, part in requests.blocks(block):
        here = items[lo : lo + block]
        said = model.predict(candidates(view, part, here, fields=coder.fields, numbers=coder.numbers))["take"]
        out[lo : lo + block] = np.where(here >= 0, said.reshape(here.shape), -np.inf)
    return out


def places(model: Any, n_items: int, requests: Requests, items: Array, block: int = 200) -> Array:
    """float64[n, k]: minus the place of each candidate in a retriever's list of all things; -inf at padding."""
    out = np.full(items.shape, -np.inf)
    for lo, part in requests.blocks(block):
        whole, here = model.retrieve(part, n_items).items, items[lo : lo + block]
        score = np.full((len(whole), n_items), -np.inf)
        row, at = np.nonzero(whole >= 0)
        score[row, whole[row, at]] = -at
        out[lo : lo + block] = np.where(here >= 0, np.take_along_axis(score, np.maximum(here, 0), 1), -np.inf)
    return out


def among(score: Array) -> tuple[Array, Array]:
    """AUC and ndcg@10 of the first column among the others; ties count half.

    >>> among(np.array([[0.5, 0.1, 0.9]]))[0].tolist()
    [0.5]
    """
    above = (score[:, 1:] > score[:, :1]).sum(axis=1) + 0.5 * (score[:, 1:] == score[:, :1]).sum(axis=1)
    found = np.where(above < 10, 1.0 / np.log2(2.0 + above), 0.0)
    return 1.0 - above / (score.shape[1] - 1), found


def gain(score: Array, right: Array) -> Array:
    """float64[n]: ndcg@10 of lists in the order of `score` (kept where equal) with at most one right item each."""
    order = np.argsort(-score, axis=1, kind="stable")[:, :10]
    hit = np.take_along_axis(right, order, axis=1)
    return (hit / np.log2(2.0 + np.arange(hit.shape[1]))).sum(axis=1)


# --------------------------------------------------------------------------------------------------------------------
# The table


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Rows of figures, and below them the paired test of each against the baseline in every figure."""
    rows = {e.label: [r for (label, _), r in held.items() if label == e.label] for e in page.entries}
    rows = {label: own for label, own in rows.items() if own}
    base = page.baseline if page.baseline in rows else next(iter(rows))
    shown = [m for m in page.metrics if any(m in r["metrics"] for own in rows.values() for r in own)]
    verdicts = _compared(rows, shown, base, root)
    told = list(rows.values())[-1][-1]["protocol"]  # of a row that learns: floors stand first
    published = any(entry.published for entry in page.entries)
    head = ["row", *(m.replace("_", " ") for m in shown), *(["published"] if published else []), "trials"]
    lines = [page.about, "", " ".join(f"{v}." for v in told.values()), ""]
    lines += ruled([*head, "parameters", "ms", "epochs", "s"])
    tests = ruled([f"against {base}", *(m.replace("_", " ") for m in shown)])
    for group in page.columns():
        lines += [f"| **{group}** |" + " |" * (len(head) + 3)] if group else []
        for entry in page.entries:
            if entry.column == group and entry.label in rows:
                lines.append("| " + " | ".join(_cells(entry, rows[entry.label], shown, published)) + " |")
            if entry.column == group and entry.label in rows and entry.label != base:
                cells = [verdicts[m][entry.label].told(m.removesuffix("_few")) for m in shown]
                tests.append("| " + " | ".join([f"`{entry.label}`", *cells]) + " |")
    return "\n".join([*lines, "", TESTED, "", *tests, *(["", page.note] if page.note else [])])


TESTED = (
    "Paired tests over people, seeds averaged and drawn: the difference with its 95 % bootstrap interval; `better` and "
    "`worse` need an interval without 0 and a Holm-corrected p below .05."
)


def _compared(
    rows: Mapping[str, Sequence[Mapping[str, Any]]], shown: Sequence[str], base: str, root: Path
) -> dict[str, Comparison]:
    """For each figure the comparison that it belongs to: of everybody, or (`_few`) of the newcomers alone."""
    read = {label: [_kept(root, r) for r in own] for label, own in rows.items()}
    out: dict[str, Comparison] = {}
    for few in (False, True):
        names = [m.removesuffix("_few") for m in shown if m.endswith("_few") == few]
        if names:
            told = compare({k: [_part(v, names, few=few) for v in own] for k, own in read.items()}, metrics=names,
                           baseline=base)  # fmt: skip
            out |= {m + "_few" * few: told for m in names}
    return out


def _part(values: Mapping[str, Array], names: Sequence[str], *, few: bool) -> dict[str, Array]:
    rows = values["few"] > 0 if few else slice(None)
    return {name: values[name][rows] for name in names}


def _kept(root: Path, record: Mapping[str, Any]) -> dict[str, Array]:
    return {c.name: c.to_numpy().astype(np.float64) for c in pl.read_parquet(root / record["users"]["file"])}


def _cells(entry: Entry, own: Sequence[Mapping[str, Any]], shown: Sequence[str], published: bool) -> list[str]:
    cells = [entry.shown + (f" ({len(own)} seeds)" if len(own) > 1 else "")]
    for m in shown:
        figures = [r["metrics"][m] for r in own if m in r["metrics"]]
        spread = f" ± {np.std(figures, ddof=1):.4f}".replace("0.", ".", 1) if len(figures) > 1 else ""
        cells.append(f"{np.mean(figures):.4f}".replace("0.", ".", 1) + spread if figures else "")
    cells += [entry.published_text()] if published else []
    cells.append("" if entry.trials is None else str(entry.trials))
    for fact, shape, over in (("parameters", ",.0f", np.mean), ("ms", ".1f", min), ("epochs", ".1f", np.mean)):
        known = [r["facts"][fact] for r in own if fact in r["facts"]]
        cells.append(format(float(over(known)), shape) if known else "")
    return [*cells, f"{np.mean([r['seconds']['all'] for r in own]):.0f}"]
