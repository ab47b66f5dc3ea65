"""Where people look, whole pages, slates, and what trying things costs and brings."""

from __future__ import annotations

from interplay.benches.values import Bench, Entry, add

add(
    Bench(
        name="recgaze",
        version=1,
        data="",
        kind="looks",
        about="**Recovery on the 40 screens of RecGaze**: clicks of made people that follow one model exactly.",
        metrics=(
            "clicks", "true", "own", "position", "second", "margin", "low", "high", "perplexity", "looks", "looks_all",
            "taste",
        ),
        entries=tuple(
            Entry(system="recgaze", label=label, settings={"model": label}, seeds=(0, 1, 2))
            for label in (
                "pbm", "pbm-rank-one", "pbm-swipe", "observed", "cascade", "dbn", "carousel", "one-choice",
            )
        ),
        note="A row is a world. Log-likelihood a page of people who were held out: of the true model, of the row's own "
        "when fitted, of a click rate for each cell, and of the best other model; `margin` is own less second with its "
        "95 % bootstrap interval over pages, `against pbm` is own less that model. `looks` is the rank correlation of "
        "fitted with true examination over the 150 cells, `looks all` when fitted to all 3,480 pages, `taste` the "
        "correlation of the three weights of attraction. A seed is another world with other people.",
    )
)  # fmt: skip
add(
    Bench(
        name="row-order",
        version=1,
        data="",
        kind="looks",
        about="**The order of whole rows**, by a model fitted to other people, judged by the clicks truly expected.",
        metrics=("as_it_came", "by_score", "arranged", "more", "low", "high", "believed"),
        entries=tuple(
            Entry(system="recgaze", label=label, settings={"model": label}, seeds=(0, 1, 2))
            for label in ("pbm", "pbm-rank-one", "pbm-swipe")
        ),
        note="A row is a world of the bench `recgaze`, a seed another one. `by score` has what attracts most on "
        "top; `more` is what the arranged page has beyond it, with a 95 % bootstrap interval over people, its ends "
        "averaged over seeds; `believed` is the same by the fitted model.",
    )
)
add(
    Bench(
        name="positions",
        version=1,
        data="",
        kind="looks",
        about="**Places of real logs**: pages of four films (language-model agents), banners with three places.",
        metrics=tuple(f"{log}_{of}" for log in ("agents", "uniform", "bts") for of in ("ll", "gain", "low", "high")),
        entries=(
            Entry(system="recgaze", label="constant", settings={"model": "constant"}, column="floors"),
            Entry(system="recgaze", label="position", settings={"model": "position"}, column="floors"),
            Entry(system="recgaze", label="item", settings={"model": "item"}, column="floors"),
            *(
                Entry(system="recgaze", label=f"{model}{said}", settings={"model": model, **more}, column=group)
                for group, said, more in (
                    ("one number for each item", "", {"spread": 0.5}),
                    ("attraction linear in what is known of an item", ", about", {"attraction": "about"}),
                )
                for model in ("pbm", "pbm-rank-one", "cascade", "dbn")
            ),
            Entry(
                system="recgaze", label="pbm, em", settings={"model": "pbm", "estimator": "em"},
                column="one number for each item",
            ),
        ),
        note="Neither log is of real choices from real pages: the agents are language models, and three banners of one "
        "page cannot be joined. With 46 and 69 clicks the banners tell hardly any two models apart.",
    )
)  # fmt: skip

# --------------------------------------------------------------------------------------------------------------------
# The whole page

add(
    Bench(
        name="pages",
        version=3,  # 2 had neither stirred candidates nor the market
        about="**Whole pages**: the first 20 places out of 100 candidates, arranged by everyone in turn.",
        data="amazon-beauty",
        kind="pages",
        entries=(
            *(
                Entry(
                    system="pagellm",
                    label=name,
                    seeds=seeds,
                    settings={"data": f"amazon-{name}", "moments": 40_000} | more,
                )
                for name, seeds, more in (
                    ("beauty", (0, 1, 2), {"families": True}),
                    ("toys", (0, 1, 2), {}),
                    ("sports", (0,), {}),
                )
            ),
            Entry(
                system="pagellm",
                label="market",
                settings={
                    "data": "market",
                    "split": "time",
                    "base": "market.toml",
                    "folds": 1,
                    "moments": 12_000,
                    "rails": {"shelves": 6},
                },
            ),
        ),
        metrics=(),
        note="The paper says of its own sets that joint rewards raise NDCG@100 by up to 46.8 %, that without the page "
        "reward 17.8 % of it are lost and without the item reward 15.2 %; its tables were not seen, and another "
        "policy, other candidates and another cut-off stand here. Nothing was chosen on sports.",
    )
)


# --------------------------------------------------------------------------------------------------------------------
# Slates, and what trying things costs and brings

add(
    Bench(
        name="slates",
        version=2,  # 1 calibrated by a measure that chance drowns
        data="",
        kind="slating",
        about="**Slates of known taste**: a world over MovieLens-100K with drift and the choice of nothing.",
        baseline="gru-hier",
        metrics=(
            "nll", "nll_choice", "order", "order_cold", "clicks", "popular", "hits", "recall@20", "ndcg@20", "narrow",
            "covered", "fit",
        ),
        entries=(
            Entry(system="popular", column="floors", seeds=(1, 2, 3)),
            Entry(system="item-knn", column="floors", seeds=(1, 2, 3)),
            Entry(
                system="recgaze", label="recgaze, item", settings={"model": "item"}, column="floors", seeds=(1, 2, 3)
            ),
            Entry(system="recgaze", label="recgaze, pbm", column="floors", seeds=(1, 2, 3)),
            Entry(
                system="gru4rec", settings={"dim": 32, "descent": {"epochs": 10}}, column="floors", seeds=(1, 2, 3)
            ),
            *(
                Entry(
                    system=f"dynamic-slate{'' if user == 'gru' else '-linear'}", label=f"{user}-{label}",
                    settings={"groups": "group", "calibrate": True, **more}, column="dynamic-slate", seeds=(1, 2, 3),
                )
                for user in ("gru", "linear")
                for label, more in (
                    ("hier", {}), ("flat", {"groups": ""}), ("unicand", {"candidates": "all", "calibrate": False}),
                    ("distance", {"score": "distance", "power": 3.0}),
                    (
                        "released",
                        {"score": "distance", "power": 37.7, "dim": 25, "group_spread": 4.6, "item_spread": 0.82},
                    ),
                )
            ),
            Entry(
                system="dynamic-slate", label="static-hier", column="dynamic-slate", seeds=(1, 2, 3),
                settings={"groups": "group", "calibrate": True, "user": "static", "start": "own"},
            ),
        ),
        note="`nll` is the expected log loss of what people do on a page of the old policy, `nll_choice` of what "
        "they choose given that they choose; every row's scores get the same two fitted numbers, a factor and the "
        "worth of nothing. `order` is the rank correlation with true utilities over items that were shown, "
        "`order_cold` over the tenth that never was; `clicks` the true chance of a click on the row's own page of "
        "ten, `popular` how popular that page is (1 is most); `hits` the paper's mean count of later clicks "
        "among the first twenty. `static-hier` is matrix factorisation with the likelihood of slates: a vector for "
        "each person that nothing moves. Floors and `static-hier` ran untuned (0 trials); defaults of dynamic-slate "
        "were chosen on another world of the kind (seed 100), in trials that were not counted; `released` has the "
        "released settings of gru-hier. `narrow` and `covered` are the shares of true "
        "chances of a click inside 90 % intervals, before and after `calibrate`. A seed is another world.",
    )
)  # fmt: skip
add(
    Bench(
        name="slates-agents",
        version=1,
        data="",
        kind="slating",
        about="**Slates that language-model agents answered**: what is watched of a page of four films, foretold.",
        metrics=("ll", "gain", "low", "high", "which_ll", "which_gain", "which_low", "which_high"),
        entries=(
            *(
                Entry(system="floor", label=label, column="floors", seeds=(0, 1, 2))
                for label in ("left", "places", "films", "places and films")
            ),
            *(
                Entry(
                    system=f"dynamic-slate{'' if user == 'gru' else '-linear'}", label=f"{user}{said}", settings=more,
                    column="dynamic-slate", seeds=(0, 1, 2),
                )
                for user in ("gru", "linear")
                for said, more in ((", places", {"places": True}), ("", {}), (", drawn films", {"candidates": "all"}))
            ),
        ),
        note="Films watched of one page are taken from the top down, each without those before, so a place tells more "
        "than it would of single choices. `left` knows how many films are left on the page, every other row does too. "
        "`drawn films` learns from what was watched beside films drawn at random, and knows no worth of nothing. "
        "Nothing was chosen here: settings are the defaults of the world of slates.",
    )
)  # fmt: skip
add(
    Bench(
        name="slate-loop",
        version=1,
        data="",
        kind="slating",
        about="**Trying things on slates**: 30 rounds of showing, choosing and learning, true regret.",
        baseline="greedy",
        metrics=("clicks", "clicks_last", "regret", "regret_last", "entropy", "distance", "tried"),
        entries=tuple(
            Entry(system="dynamic-slate-linear", label=label, settings=settings, seeds=tuple(range(20)))
            for label, settings in (
                ("random", {"way": "greedy", "floor": 1.0}), ("greedy", {"way": "greedy"}),
                ("epsilon", {"way": "greedy", "floor": 0.1}), ("together", {"way": "together"}),
                ("apart", {"way": "apart"}), ("together, narrow", {"way": "together", "widen": 0.3}),
                ("apart, narrow", {"way": "apart", "widen": 0.3}),
            )
        ),
        note="`together` is Thompson sampling with one draw a page, `apart` in-slate Thompson sampling; `narrow` with "
        "less than a third of the doubt, as a likelihood of weight 10 would leave. `regret` is summed over the rounds, "
        "`_last` is the mean of the last ten; `entropy` of the groups on a page, `distance` is one less the cosine of "
        "the true item vectors.",
    )
)  # fmt: skip
add(
    Bench(
        name="market-regret",
        version=1,
        data="",
        kind="slating",
        about="**Trying things in the market**: 30 days of pages by a belief that starts untaught.",
        baseline="greedy",
        metrics=("clicks", "clicks_last", "regret", "regret_last", "entropy", "bought"),
        entries=tuple(
            Entry(system=system, label=label, seeds=tuple(range(10)))
            for label, system in (
                ("random", "epsilon-greedy"), ("greedy", "epsilon-greedy"), ("epsilon", "epsilon-greedy"),
                ("together", "lin-ts"), ("apart", "lin-ts"), ("lin-ucb", "lin-ucb"), ("logistic-ts", "logistic-ts"),
                ("bernoulli-ts", "bernoulli-ts"),
            )
        ),
        note="The belief is linear but for `logistic-ts` and `bernoulli-ts`. `together` is Thompson sampling with one "
        "draw a page, `apart` with one for each place, as have the last two rows; `bought` is purchases a visit. "
        "Nothing was tuned. The regret of every day is in the records (`facts.regret`).",
    )
)  # fmt: skip
add(
    Bench(
        name="market-beliefs",
        version=1,
        data="",
        kind="slating",
        about="**What a policy believes of the market**, learnt from all feeds of the log or from the newest.",
        metrics=("auc", "within", "logloss", "constant", "doubt"),
        entries=tuple(
            Entry(
                system=system, label=f"{system}-{newest or 'all'}", seeds=(0, 1, 2),
                settings={} if newest is None else {"newest": newest},
            )
            for system, newest in (
                ("lin-ts", None), ("lin-ts", 2000), ("logistic-ts", None), ("logistic-ts", 20_000),
                ("logistic-ts", 2000), ("logistic-ts", 1000), ("bernoulli-ts", None), ("bernoulli-ts", 5000),
            )
        ),
        note="`auc` and `within` (the mean over pages) are of what a thing is believed to be worth at the first place, "
        "`logloss` of the chance at its own, `constant` of one click rate for all; `doubt` is the mean standard "
        "deviation of a chance. `logistic-ts-2000` is the demo's, which was chosen on seed 0.",
    )
)  # fmt: skip

add(
    Bench(
        name="simulators",
        version=2,  # 1: without speed
        about="**Simulators of people who rate films**, held against ratings they have not seen.",
        data="ml-100k",
        kind="simulators",
        baseline="learned",
        metrics=(
            "auc", "logloss", "ece", "base", "closed", "people", "apart", "visits", "days", "shares", "popularity",
            "kinds", "deciles", "turns", "after_1", "after_5", "after_20", "boost", "tire", "swap", "best", "twice",
        ),
        entries=(
            *(Entry(system=name, seeds=(0, 1, 2)) for name in ("global", "item", "logistic", "learned")),
            Entry(system="recorded", seeds=(0, 1, 2)),
            *(Entry(system=name) for name in ("interest", "tempting", "organic")),
        ),
        note="`recorded` is of language-model agents (Agent4Rec's run of 1,000), whose answers are resampled by place "
        "and activity: nothing of it was learnt from these ratings, and what it says of a rating is how much such "
        "agents like of what they watch.",
    )
)  # fmt: skip

add(
    Bench(
        name="policy-ranking",
        version=1,
        about="**Does a simulator put systems in the order that real people do?** MovieLens-100K.",
        data="ml-100k",
        kind="ordering",
        split="user-time",
        metrics=("found_tau", "found_low", "found_high", "rated_tau", "rated_low", "rated_high"),
        entries=(
            Entry(system="held-out", label="one half of the people against the other"),
            *(Entry(system=name) for name in ("global", "item", "logistic", "learned")),
            *(Entry(system=name, label=f"stylised: {name}") for name in ("interest", "tempting", "organic")),
        ),
    )
)
