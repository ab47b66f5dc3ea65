"""The page of published systems: one row each.

Other numbers are a row; another loss, encoder or sampler is a function in its family's file and a row; another idea is
a new file in `models/`. Listing the systems imports none of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from interplay.configure import configured
from interplay.errors import unknown


@dataclass(frozen=True, kw_only=True)
class System:
    """A name, what builds it, where it was published, what it needs and what it must solve."""

    name: str
    about: str  # one line, for people
    model: str = ""  # "linear:Ease", a class in models/
    config: str = ""  # its settings, in the same file
    preset: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""  # instead of a class: a file in recipes/
    paper: str = ""
    kind: str = "model"  # model, policy, world, judge, benchmark, checklist
    needs: frozenset[str] = frozenset(
        {"interactions"}
    )  # tables or columns: interactions, timestamp, order, texts, queries
    solves: frozenset[str] = frozenset()  # puzzles in worlds/puzzles.py
    epochs: bool = False  # learns in epochs: how many is chosen on validation

    def settings(self) -> type:
        """The config dataclass of this system."""
        return getattr(importlib.import_module(f"interplay.models.{self.model.split(':')[0]}"), self.config)  # type: ignore[no-any-return]

    def build(self, *overrides: Mapping[str, Any]) -> Any:
        """A new, unfitted instance: field defaults, then the preset, then the overrides."""
        module, _, name = self.model.partition(":")
        cls = getattr(importlib.import_module(f"interplay.models.{module}"), name)
        return cls(configured(self.settings(), self.preset, *overrides))


POOLED = {  # one pool of negatives for a batch of whole users: a full step costs little more than the graph itself
    "loss": "softmax",
    "similarity": "cosine",
    "temperature": 0.15,
    "prior": 0.5,
    "negatives": 4096,
    "grouped": True,
    "ridge": 0.0,
    "descent": {"rate": 0.02, "batch": 60_000, "epochs": 120, "every": 20, "schedule": "cosine"},
}
NGCF = {
    "encoder": "ngcf",
    "dropout": 0.1,
    "ridge": 1e-5,
    "descent": {"rate": 1e-4, "batch": 1024, "epochs": 400, "every": 10},
}

ROWS: tuple[System, ...] = (
    System(
        name="popular",
        about="What most people touched",
        model="counts:Popular",
        config="PopularConfig",
        paper="Folklore; the floor of every table",
        solves=frozenset(),
    ),
    System(
        name="trending",
        about="What people touch of late, as of the request",
        model="counts:Trending",
        config="TrendingConfig",
        paper="Folklore",
        needs=frozenset({"interactions", "timestamp"}),
        solves=frozenset({"fashion"}),
    ),
    System(
        name="item-knn",
        about="The items most alike to those in the history",
        model="neighbours:ItemKnn",
        config="ItemKnnConfig",
        paper="Deshpande and Karypis, TOIS 2004",
        solves=frozenset({"groups"}),
    ),
    System(
        name="user-knn",
        about="What the people most alike to you took",
        model="neighbours:UserKnn",
        config="UserKnnConfig",
        paper="Resnick et al., CSCW 1994",
        solves=frozenset({"groups"}),
    ),
    System(
        name="rp3beta",
        about="A walk item, person, item that popular ends attract less",
        model="neighbours:Rp3Beta",
        config="Rp3BetaConfig",
        paper="Paudel et al., TiiS 2017",
        solves=frozenset({"groups"}),
    ),
    System(
        name="slim",
        about="Each item as a sparse sum of few others",
        model="linear:Slim",
        config="SlimConfig",
        paper="Ning and Karypis, ICDM 2011",
        solves=frozenset({"groups"}),
    ),
    System(
        name="ease",
        about="Each item as a weighted sum of all others, in closed form",
        model="linear:Ease",
        config="EaseConfig",
        paper="Steck, WWW 2019",
        solves=frozenset({"groups"}),
    ),
    System(
        name="ease-block",
        about="The same for large catalogues: each item from those most alike to it",
        model="linear:BlockEase",
        config="BlockEaseConfig",
        paper="Steck, WWW 2019; Ning and Karypis, ICDM 2011",
        solves=frozenset({"groups"}),
    ),
    System(
        name="ials",
        about="Vectors for people and items by alternating least squares",
        model="factors:Ials",
        config="IalsConfig",
        paper="Hu, Koren and Volinsky, ICDM 2008; Rendle et al., RecSys 2022",
        epochs=True,
        solves=frozenset({"groups"}),
    ),
    System(
        name="gf-cf",
        about="Clicks spread over the graph of people and items, in closed form",
        model="spectral:Spectral",
        config="SpectralConfig",
        paper="Shen et al., CIKM 2021",
        solves=frozenset({"groups"}),
    ),
    System(
        name="gf-cf-randomized",
        about="The same with singular vectors from a few rounds of subspace iteration",
        model="spectral:Spectral",
        config="SpectralConfig",
        preset={"decomposition": "randomized"},
        paper="Shen et al., CIKM 2021; Halko, Martinsson and Tropp, SIAM Review 2011",
        solves=frozenset({"groups"}),
    ),
    System(
        name="bspm",
        about="Clicks blurred over the graph, then sharpened",
        model="spectral:Sharpened",
        config="SharpenedConfig",
        paper="Choi et al., SIGIR 2023",
        solves=frozenset({"groups"}),
    ),
    System(
        name="bm25",
        about="Search by shared words; without a query, texts like those of the history",
        model="lexical:Bm25",
        config="Bm25Config",
        paper="Robertson et al., TREC-3 1994",
        needs=frozenset({"texts", "queries"}),
    ),
    System(
        name="minilm",
        about="Search by meaning; without a query, texts that mean what the history means",
        model="dense:Dense",
        config="DenseConfig",
        paper="Reimers and Gurevych, EMNLP 2019; Wang et al., NeurIPS 2020",
        needs=frozenset({"texts", "queries"}),
    ),
    System(
        name="hybrid",
        about="Search by shared words and by meaning, fused",
        recipe="hybrid.toml",
        paper="Cormack, Clarke and Buettcher, SIGIR 2009; Bruch et al., TOIS 2023",
        needs=frozenset({"texts", "queries"}),
    ),
    System(
        name="recbot",
        about="A feed that obeys what people say: filter, matcher, attenuator and taste under standing wishes",
        recipe="recbot.toml",
        paper="RecBot, arXiv 2509.21317, 2025",
        needs=frozenset({"interactions", "order", "texts"}),
    ),
    System(
        name="blend",
        about="Three views of one log, added up: a spectrum, a regression, factors",
        recipe="blend.toml",
        paper="Ours; weighted sums after Bruch et al., TOIS 2023",
        solves=frozenset({"groups"}),
    ),
    System(
        name="markov",
        about="What came next for others who had your last items",
        model="transitions:Markov",
        config="MarkovConfig",
        paper="Folklore; the floor of next-item tables",
        needs=frozenset({"interactions", "order"}),
        solves=frozenset({"cycle", "switch"}),
    ),
    System(
        name="markov-skip3",
        about="The same with the settings of a floor printed beside neural sequence models",
        model="transitions:Markov",
        config="MarkovConfig",
        preset={"skip": 3, "decay": 0.5, "recency": 0.5, "source_power": 0.5, "target_power": 0.5},
        paper="Folklore; the floor of next-item tables",
        needs=frozenset({"interactions", "order"}),
        solves=frozenset({"cycle", "switch"}),
    ),
    System(
        name="sasrec",
        about="Self-attention over the last events, learnt with sampled softmax",
        model="sequences:Sequences",
        config="SequencesConfig",
        paper="Kang and McAuley, ICDM 2018",
        needs=frozenset({"interactions", "order"}),
        solves=frozenset({"cycle", "switch"}),
        epochs=True,
    ),
    System(
        name="sasrec-full",
        about="The same, learnt with cross-entropy over the whole catalogue",
        model="sequences:Sequences",
        config="SequencesConfig",
        preset={"loss": "full"},
        paper="Kang and McAuley, ICDM 2018; Klenitskiy and Vasilev, RecSys 2023",
        needs=frozenset({"interactions", "order"}),
        solves=frozenset({"cycle"}),
        epochs=True,
    ),
    System(
        name="sasrec-bce",
        about="The same as published: one negative for each place",
        model="sequences:Sequences",
        config="SequencesConfig",
        preset={"loss": "bce", "sampler": "each", "negatives": 1},
        paper="Kang and McAuley, ICDM 2018",
        needs=frozenset({"interactions", "order"}),
        solves=frozenset({"cycle"}),
        epochs=True,
    ),
    System(
        name="gsasrec",
        about="The same with many negatives and a loss that undoes their overconfidence",
        model="sequences:Sequences",
        config="SequencesConfig",
        preset={"loss": "gbce"},
        paper="Petrov and Macdonald, RecSys 2023",
        needs=frozenset({"interactions", "order"}),
        solves=frozenset({"cycle"}),
        epochs=True,
    ),
    System(
        name="gru4rec",
        about="A recurrent network over the last events",
        model="sequences:Sequences",
        config="SequencesConfig",
        preset={"encoder": "recurrent"},
        paper="Hidasi et al., ICLR 2016",
        needs=frozenset({"interactions", "order"}),
        solves=frozenset({"cycle"}),
        epochs=True,
    ),
    System(
        name="mult-vae",
        about="Squeezes a history to a few numbers and reads the catalogue back from them",
        model="autoencoders:MultVae",
        config="MultVaeConfig",
        paper="Liang et al., WWW 2018",
        solves=frozenset({"groups"}),
        epochs=True,
    ),
    System(
        name="mult-dae",
        about="The same without the variational part",
        model="autoencoders:MultVae",
        config="MultVaeConfig",
        preset={"variational": False},
        paper="Liang et al., WWW 2018",
        solves=frozenset({"groups"}),
        epochs=True,
    ),
    System(
        name="two-tower",
        about="People and items meet in one space; items may come with content alone",
        model="towers:TwoTower",
        config="TwoTowerConfig",
        paper="Yi et al., RecSys 2019",
        solves=frozenset({"groups"}),
        epochs=True,
    ),
    System(
        name="bpr-mf",
        about="A vector per person and item, learnt by comparing what was taken with what was not",
        model="pairwise:Pairwise",
        config="PairwiseConfig",
        paper="Rendle et al., UAI 2009",
        epochs=True,
        solves=frozenset({"groups"}),
    ),
    System(
        name="mf-ssm",
        about="The same against thousands of items at once, by angle",
        model="pairwise:Pairwise",
        config="PairwiseConfig",
        preset=POOLED,
        paper="Wu et al., TOIS 2024",
        epochs=True,
        solves=frozenset({"groups"}),
    ),
    System(
        name="lightgcn",
        about="Vectors smoothed over the graph of people and items",
        model="graphs:Graphs",
        config="GraphsConfig",
        paper="He et al., SIGIR 2020",
        epochs=True,
        solves=frozenset({"groups"}),
    ),
    System(
        name="lightgcn-ssm",
        about="The same, learnt against thousands of items at once, by angle",
        model="graphs:Graphs",
        config="GraphsConfig",
        preset=POOLED,
        paper="He et al., SIGIR 2020; Wu et al., TOIS 2024",
        epochs=True,
        solves=frozenset({"groups"}),
    ),
    System(
        name="ngcf",
        about="Smoothing with weights, products and all layers side by side",
        model="graphs:Graphs",
        config="GraphsConfig",
        preset=NGCF,
        paper="Wang et al., SIGIR 2019",
        epochs=True,
    ),
    System(
        name="ngcf-ssm",
        about="The same, learnt against thousands of items at once, by angle",
        model="graphs:Graphs",
        config="GraphsConfig",
        preset=NGCF
        | POOLED
        | {"descent": {"rate": 0.01, "batch": 60_000, "epochs": 30, "every": 10, "schedule": "cosine"}},
        paper="Wang et al., SIGIR 2019; Wu et al., TOIS 2024",
        epochs=True,
        solves=frozenset({"groups"}),
    ),
)

SYSTEMS: dict[str, System] = {row.name: row for row in ROWS}


def system(name: str) -> System:
    """The row called `name`, or a refusal with the nearest names."""
    if name not in SYSTEMS:
        raise unknown("system", name, SYSTEMS)
    return SYSTEMS[name]
