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
from interplay.errors import Unsupported, unknown


@dataclass(frozen=True, kw_only=True)
class System:
    """A name, what builds it, where it was published, what it needs and what it must solve."""

    name: str
    about: str  # one line, for people
    model: str = ""  # "linear:Ease", a class in models/
    config: str = ""  # its settings, in the same file
    preset: Mapping[str, Any] = field(default_factory=dict)
    recipe: str = ""  # instead of a class: a file in recipes/
    command: str = ""  # instead of either, where nothing is fitted: what runs it
    paper: str = ""
    kind: str = "model"  # model, policy, arranger, lifter, world, judge, benchmark, checklist
    needs: frozenset[str] = frozenset(
        {"interactions"}
    )  # tables or columns: interactions, timestamp, order, texts, queries, examples
    solves: frozenset[str] = frozenset()  # puzzles in worlds/puzzles.py
    epochs: bool = False  # learns in epochs: how many is chosen on validation

    @property
    def on_device(self) -> bool:
        """Whether it learns on `Run.device`; what does not learns on the processor, whatever is asked."""
        return self.model.split(":")[0] in ON_DEVICE

    def settings(self) -> type:
        """The config dataclass of this system; Unsupported where it is none that is fitted."""
        if self.command:
            raise Unsupported(f"{self.name} is a {self.kind} and nothing that is fitted; run `{self.command}`")
        return getattr(importlib.import_module(f"interplay.models.{self.model.split(':')[0]}"), self.config)

    def build(self, *overrides: Mapping[str, Any]) -> Any:
        """A new, unfitted instance: field defaults, then the preset, then the overrides."""
        config: Any = configured(self.settings(), self.preset, *overrides)
        module, _, name = self.model.partition(":")
        return getattr(importlib.import_module(f"interplay.models.{module}"), name)(config)


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

ON_DEVICE = {  # families in models/ whose networks learn on a GPU where one is asked for
    "autoencoders", "crosses", "crossing", "flows", "graphs", "interests", "multitask", "pairwise", "sequences",
    "towers",
}  # fmt: skip
RANKS = frozenset({"examples"})  # what a ranker learns from: an examples table, or what stands in for one

ROWS: tuple[System, ...] = (
    System(
        name="popular",
        about="What most people touched",
        model="counts:Popular",
        config="PopularConfig",
        paper="Folklore; the floor of every table",
        solves=frozenset({"fame"}),
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
        solves=frozenset({"words"}),
    ),
    System(
        name="minilm",
        about="Search by meaning; without a query, texts that mean what the history means",
        model="dense:Dense",
        config="DenseConfig",
        paper="Reimers and Gurevych, EMNLP 2019; Wang et al., NeurIPS 2020",
        needs=frozenset({"texts", "queries"}),
        solves=frozenset({"words"}),
    ),
    System(
        name="hybrid",
        about="Search by shared words and by meaning, fused",
        recipe="hybrid.toml",
        paper="Cormack, Clarke and Buettcher, SIGIR 2009; Bruch et al., TOIS 2023",
        needs=frozenset({"texts", "queries"}),
        solves=frozenset({"words"}),
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
        solves=frozenset({"groups"}),
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
    System(
        name="lookup",
        about="How often values and pairs of values ended well, smoothed and weighed",
        model="trees:Lookup",
        config="LookupConfig",
        paper="Folklore; the floor of click tables",
        needs=RANKS,
    ),
    System(
        name="lightgbm",
        about="Boosted trees over numbers, categories and how often they ended well",
        model="trees:Trees",
        config="TreesConfig",
        paper="Ke et al., NeurIPS 2017",
        needs=RANKS,
    ),
    System(
        name="lr",
        about="A weight for each value of each field: the floor of click prediction",
        model="crosses:Crosses",
        config="CrossesConfig",
        preset={"network": "lr", "descent": {"rate": 0.01}},
        paper="Richardson, Dominowska and Ragno, WWW 2007",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="fm",
        about="Every pair of fields by the product of two vectors",
        model="crosses:Crosses",
        config="CrossesConfig",
        preset={"network": "fm"},
        paper="Rendle, ICDM 2010",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="dnn",
        about="Embeddings of all fields side by side into a network",
        model="crosses:Crosses",
        config="CrossesConfig",
        paper="Covington, Adams and Sargin, RecSys 2016",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="deepfm",
        about="Products of pairs and a network over the same vectors",
        model="crosses:Crosses",
        config="CrossesConfig",
        preset={"network": "deepfm"},
        paper="Guo et al., IJCAI 2017",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="dcn-v2",
        about="Crosses of growing order beside a network",
        model="crosses:Crosses",
        config="CrossesConfig",
        preset={"network": "dcn-v2"},
        paper="Wang et al., WWW 2021",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="autoint",
        about="Fields attend to each other, beside a network",
        model="crosses:Crosses",
        config="CrossesConfig",
        preset={"network": "autoint"},
        paper="Song et al., CIKM 2019",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="finalmlp",
        about="Two networks with gates on their inputs, fused bilinearly",
        model="crosses:Crosses",
        config="CrossesConfig",
        preset={"network": "finalmlp"},
        paper="Mao et al., AAAI 2023",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="optinter",
        about="Decides for each pair of fields: remember, factorize or leave it be",
        model="crossing:Crossing",
        config="CrossingConfig",
        paper="Lyu et al., ICDE 2022",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="optinter-m",
        about="The same with every pair remembered",
        model="crossing:Crossing",
        config="CrossingConfig",
        preset={"method": "memorize"},
        paper="Lyu et al., ICDE 2022",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="optinter-f",
        about="The same with every pair factorized",
        model="crossing:Crossing",
        config="CrossingConfig",
        preset={"method": "factorize"},
        paper="Lyu et al., ICDE 2022",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="optinter-random",
        about="The same with methods drawn by lot",
        model="crossing:Crossing",
        config="CrossingConfig",
        preset={"method": "random"},
        paper="Lyu et al., ICDE 2022",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="off-policy",
        about="What another policy would have earned, from a log with chances; and policies learnt from such a log",
        model="policies:Policies",
        config="PoliciesConfig",
        kind="judge",
        paper="Saito et al., Open Bandit Pipeline, NeurIPS D&B 2021",
        needs=frozenset({"impressions"}),
    ),
    System(
        name="recgaze",
        about="Where people look on a page is told apart from what they like there",
        model="clicks:Clicks",
        config="ClicksConfig",
        kind="judge",
        paper="De Leon-Martinez et al., SIGIR 2025; arXiv 2602.16541, 2026",
        needs=frozenset({"impressions"}),
        solves=frozenset({"slots"}),
    ),
    System(
        name="din",
        about="Past events weighted by the candidate, into a network",
        model="interests:Interests",
        config="InterestsConfig",
        paper="Zhou et al., KDD 2018",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="cate-moe",
        about="The same with several networks, mixed by the candidate's category",
        model="interests:Interests",
        config="InterestsConfig",
        preset={"experts": 4, "gate": "category", "by": ("item.categories", "categories")},
        paper="After Xiao et al., arXiv 2104.02677",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="aw-moe",
        about="The same with several networks, mixed by past events, steady when few of them are known",
        model="interests:Interests",
        config="InterestsConfig",
        preset={"experts": 4, "gate": "events", "contrast": 0.01},
        paper="Gong et al., ICDE 2023",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="shared-bottom",
        about="Several outcomes from one shared network",
        model="multitask:Multitask",
        config="MultitaskConfig",
        paper="Caruana, Machine Learning 1997",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="mmoe",
        about="Several outcomes, each with a mixture of its own over shared experts",
        model="multitask:Multitask",
        config="MultitaskConfig",
        preset={"body": "mmoe"},
        paper="Ma et al., KDD 2018",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="ple",
        about="Several outcomes from shared experts and their own, level by level",
        model="multitask:Multitask",
        config="MultitaskConfig",
        preset={"body": "ple"},
        paper="Tang et al., RecSys 2020",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="infnet",
        about="Several outcomes, each of which looks at fields and histories in its own way",
        model="flows:Flows",
        config="FlowsConfig",
        paper="INFNet, arXiv 2508.11565, 2025",
        needs=RANKS,
        epochs=True,
    ),
    System(
        name="epsilon-greedy",
        about="What a linear belief holds best, and now and then anything",
        model="bandits:Bandits",
        config="BanditsConfig",
        preset={"way": "epsilon"},
        kind="policy",
        paper="Folklore; Sutton and Barto, 1998",
    ),
    System(
        name="lin-ucb",
        about="What may be best as far as a linear belief can tell",
        model="bandits:Bandits",
        config="BanditsConfig",
        preset={"way": "optimism"},
        kind="policy",
        paper="Li et al., WWW 2010",
    ),
    System(
        name="lin-ts",
        about="As often as a linear belief holds it best",
        model="bandits:Bandits",
        config="BanditsConfig",
        kind="policy",
        paper="Agrawal and Goyal, ICML 2013",
    ),
    System(
        name="logistic-ts",
        about="As often as a belief about log-odds holds it best",
        model="bandits:Bandits",
        config="BanditsConfig",
        preset={"belief": "logistic", "ridge": 1.0},
        kind="policy",
        paper="Chapelle and Li, NeurIPS 2011",
    ),
    System(
        name="bernoulli-ts",
        about="As often as its click rate may be the highest",
        model="bandits:Bandits",
        config="BanditsConfig",
        preset={"belief": "items"},
        kind="policy",
        paper="Chapelle and Li, NeurIPS 2011",
    ),
    System(
        name="pagellm",
        about="The first page chosen as a whole, by rewards learnt from what people went for",
        model="pages:Pages",
        config="PagesConfig",
        kind="arranger",
        paper="Xu et al., arXiv 2506.09084, 2025",
    ),
    System(
        name="dynamic-slate",
        about="What is chosen competes only with what stood beside it; doubt about it becomes trying",
        model="slates:DynamicSlate",
        config="SlatesConfig",
        paper="Eide et al., DMKD 2022",
        needs=frozenset({"interactions", "order"}),
        epochs=True,
    ),
    System(
        name="dynamic-slate-linear",
        about="The same with a state that is a running mean of what was chosen",
        model="slates:DynamicSlate",
        config="SlatesConfig",
        preset={"user": "linear"},
        paper="Eide et al., DMKD 2022",
        needs=frozenset({"interactions", "order"}),
        epochs=True,
        solves=frozenset({"switch"}),
    ),
    System(
        name="rliv-ua",
        about="What a person and a maker will be to each other over weeks, as a factor in the ranking",
        model="longterm:LongTerm",
        config="LongTermConfig",
        kind="lifter",
        paper="RLIV-UA, arXiv 2507.16253, 2025; of which the abstract is all we know",
        needs=frozenset({"interactions", "timestamp", "makers"}),
    ),
    System(
        name="simulators",
        about="People who answer pages: learnt from ratings, recorded, or stylised; the first two held against a log",
        command="interplay bench simulators --table",
        kind="world",
        paper="After RecSim, RecoGym, KuaiSim, Agent4Rec, and what is wrong with them",
    ),
    System(
        name="ctr-benchmarks",
        about="Click predictors over fields, optinter and boosted trees on one public split, beside published figures",
        command="interplay bench frappe --table",
        kind="benchmark",
        paper="Zhu et al., BARS, SIGIR 2022",
        needs=RANKS,
    ),
    System(
        name="recsys-evaluation",
        about="What a figure needs to be believed, held to wherever one is made: splits, floors, intervals, leaks",
        command="interplay evaluate MODEL",
        kind="checklist",
        paper="Rendle et al., RecSys 2022; Krichene and Rendle, KDD 2020; and others",
    ),
)

SYSTEMS: dict[str, System] = {row.name: row for row in ROWS}


def system(name: str) -> System:
    """The row called `name`, or a refusal with the nearest names."""
    if name not in SYSTEMS:
        raise unknown("system", name, SYSTEMS)
    return SYSTEMS[name]
