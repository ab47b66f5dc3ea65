"""Rankers: labelled examples, several outcomes, personalised re-ranking."""

from __future__ import annotations

from typing import Any

from interplay.benches.values import Bench, Entry, add

_FLOORS, _SAME, _CROSSED = "floors", "same embedding, batch, stop and ridge", "pairs of fields remembered or not"
_PAIRS: dict[str, Any] = {"ridge": 0.05}
_FRAPPE: tuple[tuple[str, str, dict[str, Any], str, tuple[float, float] | None], ...] = (
    ("lookup", "lookup", {}, _FLOORS, None),
    ("lightgbm", "lightgbm", {}, _FLOORS, None),
    ("lr", "lr", {"ridge": 1e-6}, _SAME, (0.9356, 0.3076)),
    ("fm", "fm", {"ridge": 5e-6}, _SAME, (0.9671, 0.2065)),
    ("dnn", "dnn", {"ridge": 0.05}, _SAME, (0.9833, 0.1622)),
    ("deepfm", "deepfm", {"ridge": 0.05}, _SAME, (0.9842, 0.1482)),
    ("dcn-v2", "dcn-v2", {"ridge": 0.05}, _SAME, (0.9845, 0.1491)),
    ("autoint", "autoint", {"ridge": 0.05}, _SAME, (0.9848, 0.1490)),
    ("finalmlp", "finalmlp", {"ridge": 0.05, "dropout": 0.4, "heads": 10}, _SAME, (0.9861, 0.1484)),
    ("optinter", "optinter", _PAIRS, _CROSSED, None),
    ("optinter", "optinter-one", {**_PAIRS, "method": "one"}, _CROSSED, None),
    ("optinter-m", "optinter-m", _PAIRS, _CROSSED, None),
    ("optinter-f", "optinter-f", _PAIRS, _CROSSED, None),
    ("optinter-random", "optinter-random", _PAIRS, _CROSSED, None),
    ("optinter", "optinter-naive", {**_PAIRS, "method": "naive"}, _CROSSED, None),
    ("optinter", "optinter-seeing", {**_PAIRS, "blind": 0.0}, _CROSSED, None),
    ("optinter", "optinter-floor2", {**_PAIRS, "cross_floor": 2}, _CROSSED, None),
)
_ABLATIONS = ("optinter-naive", "optinter-seeing", "optinter-floor2")
add(
    Bench(
        name="frappe",
        version=1,
        data="frappe_x1",
        kind="ranking",
        split="given",
        on="train",
        baseline="dcn-v2",
        about="**Frappe**: which app is used in which context; beside each use two drawn apps that they never used.",
        metrics=("auc", "logloss_raw", "logloss", "ece_raw", "ece", "auc_new", "rows", "epochs", "ms"),
        entries=tuple(
            Entry(
                system=name,
                label=label,
                settings=settings,
                seeds=(0,) if label in ("lookup", *_ABLATIONS) else (0, 1, 2),
                seconds=1800,
                column=column,
                published={} if figures is None else dict(zip(("auc", "logloss"), figures, strict=True)),
                source="" if figures is None else "BARS, Frappe_x1",
            )
            for name, label, settings, column, figures in _FRAPPE
        ),
    )
)

# --------------------------------------------------------------------------------------------------------------------
# Several outcomes, and personalised ranking

_ONE, _ALL, _FLOW = "one model for each outcome", "all outcomes together", "ablations of infnet"
_PRINTED = {"residual": False, "doubled": False, "gated_by": "old", "pooled": "sum"}


def _outcomes(seeds: tuple[int, ...]) -> tuple[Entry, ...]:
    """Rows of like, love and dislike; those that are only looked at once have one seed."""
    net: dict[str, Any] = {"ridge": 0.001, "window": 20}
    return (
        Entry(system="lookup", column="floors"),
        Entry(system="lightgbm", column="floors"),
        Entry(system="dcn-v2", label="dcn-v2-apart", settings={**net, "apart": True}, column=_ONE),
        Entry(system="din", label="din-apart", settings={**net, "apart": True}, column=_ONE),
        Entry(system="dcn-v2", settings=net, seeds=seeds, column=_ALL),
        Entry(system="din", settings=net, seeds=seeds, column=_ALL),
        Entry(system="shared-bottom", settings=net, seeds=seeds, column=_ALL),
        Entry(system="mmoe", settings=net, seeds=seeds, column=_ALL),
        Entry(system="ple", settings={**net, "experts": 2, "own": 1}, seeds=seeds, column=_ALL),
        Entry(system="infnet", settings=net, seeds=seeds, column=_ALL),
        Entry(system="infnet", label="no-tasks", settings={**net, "task_tokens": False}, seeds=seeds, column=_FLOW),
        Entry(system="infnet", label="no-gates", settings={**net, "gates": False}, seeds=seeds, column=_FLOW),
        Entry(system="infnet", label="no-attention", settings={**net, "attention": False}, seeds=seeds, column=_FLOW),
        Entry(system="infnet", label="as-printed", settings={**net, **_PRINTED}, column=_FLOW),
    )


for _name, _split, _seeds, _about in (
    ("tasks-global", "time", (0, 1, 2), "**Three outcomes of a rating**, MovieLens-100K, global time 80/10/10."),
    ("tasks-user", "user-time", (0,), "**Three outcomes of a rating**, MovieLens-100K, each person's time 80/10/10."),
):
    add(
        Bench(
            name=_name,
            version=1,
            about=_about,
            data="ml-100k",
            kind="outcomes",
            split=_split,
            baseline="infnet",
            entries=_outcomes(_seeds),
            metrics=("auc", "gauc", "logloss"),
            note="± is the standard deviation over seeds. The verdicts are of each person's AUC, paired and "
            "Holm-corrected, over those who have both classes. `ms` is for 1,000 candidates with features joined.",
        )
    )

_WIDE = {"hidden": (200, 64)}  # one network with as many numbers as four of (64, 32)


def _next(seeds: tuple[int, ...], *, ablations: bool) -> tuple[Entry, ...]:
    """Rows of personalised ranking, of about equal size."""
    plain, one = "one network", "several networks and a gate"
    rows = [
        Entry(system="din", label="dnn", settings={**_WIDE, "pooling": "mean"}, seeds=seeds, column=plain),
        Entry(system="din", settings=_WIDE, seeds=seeds, column=plain),
        Entry(system="din", label="four-networks", settings={"experts": 4}, seeds=seeds, column=one),
        Entry(system="cate-moe", seeds=seeds, column=one),
        Entry(system="aw-moe", label="aw-moe-no-contrast", settings={"contrast": 0.0}, seeds=seeds, column=one),
        Entry(system="aw-moe", seeds=seeds, column=one),
    ]
    changes: dict[str, dict[str, Any]] = {
        "gate-unweighted": {"gate": "events-unweighted"}, "gate-undriven": {"gate": "events-undriven"},
        "gate-softmax": {"norm": "softmax"}, "mask-.1": {"mask": 0.1}, "mask-.5": {"mask": 0.5},
        "2-experts": {"experts": 2}, "8-experts": {"experts": 8},
    }  # fmt: skip
    if ablations:
        rows += [Entry(system="aw-moe", label=k, settings=v, column="ablations of aw-moe") for k, v in changes.items()]
    return tuple(rows)


for _name, _data, _rows, _about in (
    ("next-beauty", "amazon-beauty", _next((0, 1, 2), ablations=True), "**The next thing**, Amazon Beauty."),
    ("next-ml-1m", "ml-1m", _next((0,), ablations=False), "**The next film**, MovieLens-1M, in order, without times."),
):
    add(
        Bench(
            name=_name,
            version=1,
            about=_about,
            data=_data,
            kind="reordering",
            baseline="din",
            entries=_rows,
            metrics=("auc", "ndcg", "auc_few", "ndcg_few", "auc_cut", "ndcg_cut", "reranked"),
            note="`dnn` is din with evenly pooled histories; `four-networks` mixes four evenly. `ms` is for 1,000 "
            "candidates with features joined.",
        )
    )
add(
    Bench(
        name="search-phones",
        version=1,
        about="**Personal product search**, Amazon Cell Phones.",
        data="amazon_product_search_cellphones",
        kind="reordering",
        baseline="bm25",
        metrics=("map",),
        entries=(
            Entry(system="bm25", published={"map": 0.071}, source="BM25 and popularity, measured beside the data"),
            *(
                Entry(
                    system=e.system,
                    label=e.label,
                    settings={**e.settings, "by": ("query.1", "query.2", "query.3"), "ridge": 0.01},
                    seeds=(0, 1, 2),
                    column=e.column,
                )
                for e in _next((0,), ablations=False)
            ),
        ),
        note="HEM reports MAP .124 on this split (SIGIR 2017, from memory); it reads the words of reviews.",
    )
)
