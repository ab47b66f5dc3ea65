"""The page of benchmarks: versioned values. When the meaning of a bench changes, its version does.

A row's `settings` are the authors' published ones, or were selected on the validation part (`column` says which);
none was selected on test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interplay.errors import unknown


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row of a bench."""

    system: str
    label: str = ""  # unique in the bench; the system's name unless it stands twice
    settings: Mapping[str, Any] = field(default_factory=dict)
    column: str = ""  # the group it is shown under
    seeds: tuple[int, ...] = (0,)
    seconds: float | None = None  # time budget of a fit
    published: Mapping[str, float] = field(default_factory=dict)
    source: str = ""  # table the published figure came from
    same: bool = True  # whether the published figure has the same protocol

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.system)

    @property
    def shown(self) -> str:
        flat = [pair for k, v in self.settings.items() for pair in (v.items() if isinstance(v, Mapping) else [(k, v)])]
        told = ", ".join(f"{k}={v}" for k, v in flat)
        return f"`{self.label}`" + (f" {told}" if told else "")

    def published_text(self) -> str:
        if not self.published:
            return ""
        figures = " / ".join(f"{v:.4f}".lstrip("0") for v in self.published.values())
        return f"{figures} ({self.source}{'' if self.same else '; another protocol'})"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One table: the data, the split, who is judged, by what."""

    name: str
    version: int
    about: str
    data: str
    entries: tuple[Entry, ...]
    kind: str = "collaborative"  # search: judged by queries and qrels; sessions, readings, timing: by their own module
    split: str | None = None
    split_seed: int = 0
    on: str = "train+valid"
    select: str = "ndcg@20"  # what epochs are chosen by, on validation
    metrics: tuple[str, ...] = ("recall@20", "ndcg@20")
    baseline: str = "popular"
    relevant: float | None = None  # search: grades from here on count 1, others 0; None keeps the grades
    note: str = ""

    def entry(self, label: str) -> Entry:
        found = {e.label: e for e in self.entries}
        if label not in found:
            raise unknown(f"row of bench {self.name!r}", label, found)
        return found[label]

    def columns(self) -> list[str]:
        return list(dict.fromkeys(e.column for e in self.entries))


PUBLISHED = "authors' published settings"
SELECTED = "settings selected on the validation part"
BARS = "BARS leaderboard, same split"

BENCHES: dict[str, Bench] = {}


def _add(bench: Bench) -> None:
    BENCHES[bench.name] = bench


# --------------------------------------------------------------------------------------------------------------------
# Collaborative filtering: Gowalla, the exact NGCF / LightGCN split


def _gowalla(*, published: bool) -> tuple[Entry, ...]:
    """The rows that Gowalla and its re-split share; only the former has published figures."""

    def figures(recall: float, ndcg: float, source: str = BARS, *, same: bool = True) -> dict[str, Any]:
        return (
            {"published": {"recall@20": recall, "ndcg@20": ndcg}, "source": source, "same": same} if published else {}
        )

    theirs: dict[str, Any] = {"column": PUBLISHED if published else "settings published for the official split"}
    ours: dict[str, Any] = {"column": SELECTED}
    return (
        Entry(system="popular", **theirs),
        Entry(system="gf-cf", **theirs, **figures(0.1849, 0.1518)),
        Entry(
            system="gf-cf-randomized",
            column="our variant; its number of rounds was not chosen blind, see docs/benches.md",
            **figures(0.1849, 0.1518, "GF-CF, " + BARS, same=False),
        ),
        Entry(system="bspm", **theirs, **figures(0.1920, 0.1597, "BSPM-EM, SIGIR 2023")),
        Entry(system="user-knn", settings={"k": 100}, **ours),
        Entry(
            system="item-knn",
            settings={"similarity": "asymmetric", "balance": 0.7, "weighting": "activity"},
            **ours,
            **figures(0.1570, 0.1214),
        ),
        Entry(system="rp3beta", settings={"k": 1000, "beta": 0.3}, **ours),
        Entry(system="slim", **ours, **figures(0.1699, 0.1382)),
        Entry(
            system="ease-block", settings={"ridge": 50}, **ours, **figures(0.1765, 0.1467, "EASE, " + BARS, same=False)
        ),
        Entry(system="ials", settings={"dim": 256, "unobserved": 0.01}, **ours),
        Entry(
            system="bpr-mf",
            settings={
                "ridge": 0.01,
                "power": 0.5,
                "descent": {"rate": 0.002, "batch": 4096, "epochs": 40, "every": 4, "patience": 2},
            },
            seconds=1200,
            seeds=(0, 1, 2),
            **ours,
            **figures(0.1627, 0.1378),
        ),
        Entry(system="mf-ssm", seconds=2400, **ours),
        Entry(
            system="lightgcn-ssm",
            seconds=2700,
            seeds=(0, 1, 2),
            **ours,
            **figures(0.1820, 0.1547, "LightGCN by BPR, " + BARS),
        ),
        Entry(system="ngcf-ssm", seconds=2700, **ours, **figures(0.1570, 0.1327, "NGCF by BPR, " + BARS)),
        *(
            Entry(
                system=system,
                label=f"{system}-bpr",
                settings={"descent": {"every": 1}},
                seconds=2400,
                column="the papers' own settings (BPR), for the few epochs that 40 minutes hold, of hundreds",
                **figures(*theirs_by_bpr),
            )
            for system, theirs_by_bpr in (("lightgcn", (0.1820, 0.1547)), ("ngcf", (0.1570, 0.1327)))
            if published
        ),
        Entry(system="blend", **ours, **figures(0.1920, 0.1597, "BSPM-EM, SIGIR 2023", same=True)),
        Entry(
            system="bspm",
            label="bspm-selected",
            settings={"sharpening": 1.0},
            **ours,
            **figures(0.1920, 0.1597, "BSPM-EM, SIGIR 2023"),
        ),
    )


_add(
    Bench(
        name="gowalla",
        version=1,
        about="**Gowalla**, the exact NGCF / LightGCN split.",
        data="gowalla",
        split="given",
        baseline="gf-cf",
        entries=_gowalla(published=True),
        note="Mind that this test part over-samples popular items: of items with more than 1,000 events it holds 34 %, "
        "of those with at most 300 only 20 to 21 %. Settings selected on the validation part, which is no such sample, "
        "are at a disadvantage here; the re-split below is exchangeable.",
    )
)
_add(
    Bench(
        name="gowalla-resplit",
        version=1,
        about="**Gowalla, seeded re-split** of the same events: train, validation and test are exchangeable.",
        data="gowalla:resplit",
        split="given",
        baseline="gf-cf",
        entries=_gowalla(published=False),
    )
)

# --------------------------------------------------------------------------------------------------------------------
# Smaller sets

TUNED: dict[str, dict[str, Any]] = {  # selected on the validation part of ml-1m:ge3
    "item-knn": {"k": 200, "weighting": "activity"},
    "user-knn": {"k": 50},
    "rp3beta": {"k": 50},
    "ease": {"ridge": 300},
    "ials": {"unobserved": 0.3, "ridge": 0.007},
}
COLLABORATIVE = (
    "popular",
    "item-knn",
    "user-knn",
    "rp3beta",
    "slim",
    "ease",
    "ials",
    "bpr-mf",
    "mult-vae",
    "gf-cf",
    "lightgcn-ssm",
)

_add(
    Bench(
        name="ml-1m-ge3",
        version=1,
        about="**MovieLens-1M**, ratings of 3 and more, the given split.",
        data="ml-1m:ge3",
        split="given",
        baseline="ease",
        entries=tuple(Entry(system=s, seconds=900, settings=TUNED.get(s, {})) for s in COLLABORATIVE),
    )
)
_add(
    Bench(
        name="market",
        version=1,
        about="**The built-in market**: 5,000 things, 2,000 simulated people, global time.",
        data="market",
        split="time",
        baseline="ease",
        entries=tuple(Entry(system=s, seconds=600) for s in (*COLLABORATIVE, "trending", "markov", "two-tower")),
    )
)
_add(
    Bench(
        name="ml-100k-time",
        version=1,
        data="ml-100k",
        split="time",
        baseline="ease",
        about="**MovieLens-100K**, global time: what was fitted is older than what is judged. Many are cold.",
        entries=tuple(Entry(system=s, seconds=300) for s in (*COLLABORATIVE, "trending", "markov")),
    )
)
_add(
    Bench(
        name="ml-100k-user",
        version=1,
        data="ml-100k",
        split="last-out",
        baseline="ease",
        about="**MovieLens-100K**, per-user time: each person's last event. Other people's future is known.",
        metrics=("recall@10", "ndcg@10"),
        select="ndcg@10",
        entries=tuple(Entry(system=s, seconds=300) for s in (*COLLABORATIVE, "trending", "markov")),
    )
)

# --------------------------------------------------------------------------------------------------------------------
# Sequences

_add(
    Bench(
        name="amazon-beauty",
        version=1,
        data="amazon-beauty",
        split="last-out",
        baseline="markov",
        select="ndcg@10",
        about="**Amazon Beauty** (2014, 5-core), leave one out, whole catalogue, history removed.",
        metrics=("recall@10", "ndcg@10", "recall@5", "ndcg@5"),
        entries=(
            Entry(
                system="popular", published={"recall@10": 0.0112, "ndcg@10": 0.0054}, source="floor on the same file"
            ),
            Entry(
                system="item-knn",
                published={"recall@10": 0.0651, "ndcg@10": 0.0396},
                source="floor on the same file, with recency decay",
                same=False,
            ),
            Entry(
                system="markov-skip3",
                published={"recall@10": 0.0723, "ndcg@10": 0.0462},
                same=False,
                source="floor on the same file, fitted on train alone",
            ),
            Entry(system="markov"),
            Entry(
                system="sasrec",
                seconds=4500,
                published={"recall@10": 0.0921, "ndcg@10": 0.0531},
                source="SASRec with sampled softmax, eSASRec bench",
            ),
        ),
    )
)

# --------------------------------------------------------------------------------------------------------------------
# Search

_add(
    Bench(
        name="scifact",
        version=1,
        about="**BEIR SciFact**, test queries, whole corpus.",
        data="beir_scifact",
        kind="search",
        metrics=("ndcg@10", "mrr@10", "recall@100"),
        baseline="bm25",
        entries=(
            Entry(system="bm25", published={"ndcg@10": 0.679}, source="Anserini, flat"),
            Entry(system="minilm", published={"ndcg@10": 0.645}, source="MTEB"),
            Entry(system="hybrid"),
        ),
    )
)
_add(
    Bench(
        name="home-depot",
        version=2,
        data="home_depot_search",
        kind="search",
        baseline="bm25",
        about="**Home Depot** product search, titles only, our test queries, whole catalogue; relevant from 2.33 on.",
        metrics=("ndcg@10", "mrr@10", "recall@100"),
        relevant=2.33,
        entries=(
            Entry(system="bm25", published={"ndcg@10": 0.3727}, source="measured beside the data"),
            Entry(system="minilm"),
            Entry(system="hybrid"),
        ),
    )
)

# --------------------------------------------------------------------------------------------------------------------
# Steering: commands that real people wrote, and sessions with simulated ones

_add(
    Bench(
        name="readings",
        version=1,
        data="",
        kind="readings",
        about="**Reading commands**: seeker turns of IARD, and seekers' labels of ReDial (without `extra_test`).",
        metrics=("act_accuracy", "f1_acts", "slot_f1", "unwanted_f1", "wanted_f1", "disliked_f1"),
        entries=(
            Entry(system="majority"),
            Entry(system="gazetteer"),
            Entry(system="student"),
            Entry(system="rules"),
        ),
        note="All figures are of the half of the conversations that the rules were not worked on with (crc32 of the "
        "conversation's id). `unwanted` and `wanted` are the polarity of what is named in turns that hold a negation "
        "cue, by our labels; `disliked` is of ReDial's films, most of which nobody speaks ill of in words.",
    )
)
_ROWS = (
    ("ordinary", "floors that do not read"),
    ("bm25-last", "floors that do not read"),
    ("bm25-all", "floors that do not read"),
    ("minilm-last", "floors that do not read"),
    ("minilm-all", "floors that do not read"),
    ("popular-filter", "floors with our parser"),
    ("taste-filter", "floors with our parser"),
    ("taste-filter-all", "floors with our parser"),
    ("recbot", "the system"),
)
for _name, _data, _about in (
    ("steer-films", "ml-1m", "**Sessions over films**: MovieLens-1M with titles, genres, years and texts."),
    (
        "steer-shop",
        "market",
        "**Sessions in the market**: 5,000 things with price, colour, maker and ten other columns.",
    ),
):
    _add(
        Bench(
            name=_name,
            version=2,  # 1 drew what is said in the order of a set, so two processes differed
            data=_data,
            kind="sessions",
            about=_about,
            metrics=tuple(
                f"{figure}_{setting}"
                for setting in ("SR", "MR", "MRID")
                for figure in (("recall", "violations") if setting == "SR" else ("pass", "rounds", "violations"))
            ),
            baseline="taste-filter-all",
            entries=tuple(Entry(system=label, column=column) for label, column in _ROWS),
            note="SR one command, MR up to five rounds, MRID six of which the last three are about something else. "
            "`recall` is Recall@10 of the feed after the one command. Violations are items shown that break an "
            "explicit must or never, by what was meant. Taste is `markov` in every row that has any.",
        )
    )

# --------------------------------------------------------------------------------------------------------------------
# Time and memory: one row each, a function of timing.py

for _name, _about in {
    "columns": "**Columns**: building the requests of 30,000 people and their slates, beside scoring them.",
    "gowalla-speed": "**Speed on Gowalla**, beside implicit and RecBole in the same run.",
    "ingest": "**Ingestion** of 50 million generated rows.",
    "service": "**The service** over 100,000 items and 1,000,000 events on SQLite: 100 requests a second, open loop.",
}.items():
    _add(Bench(name=_name, version=1, about=_about, data="", kind="timing", entries=(Entry(system=_name),), metrics=()))
