"""What another policy would have earned: estimates beside the truth."""

from __future__ import annotations

from interplay.benches.values import Bench, Entry, add

_OPE = "Open Bandit Pipeline's examples, 30 runs"
_FIGURES = {  # relative errors
    "digits": {
        "dm": 0.437, "ips": 0.030, "snips": 0.023, "dr": 0.016, "sndr": 0.022, "switch-dr": 0.035, "dros": 0.016,
    },
    "synthetic": {
        "dm": 0.0744, "ips": 0.0095, "snips": 0.0067, "dr": 0.0062, "sndr": 0.0061, "switch-dr": 0.0062,
        "dros": 0.0220,
    },
}  # fmt: skip
_CAMPAIGN = {
    "dm": 0.157, "ips": 0.311, "snips": 0.312, "dr": 0.292, "sndr": 0.302, "switch-dr": 0.258, "dros": 0.160,
}  # fmt: skip
_SLATES = {  # values of the optimal and of the anti-optimal policy, whose rewards cascade
    "sips": (1.629, 1.692), "rips": (1.627, 1.687), "iips": (1.675, 1.603),
}  # fmt: skip
_SINGLE = ("constant", "dm", "ips", "clipped", "snips", "sub-gaussian", "dr", "sndr", "switch-dr", "dros")
for _set, _about in {
    "digits": "**Digits as actions**: behaviour .4 classifier + .6 uniform, candidate .9 forest + .1 uniform, 30 logs.",
    "synthetic": "**A generated world**: 10,000 rounds, 30 actions, a logger that prefers what earns little, 20 logs.",
}.items():
    add(
        Bench(
            name=f"offpolicy-{_set}",
            version=1,
            about=_about,
            data="",
            kind="offpolicy",
            baseline="dr",
            metrics=("error", "sd", "effective"),
            entries=(
                *(
                    Entry(
                        system=name,
                        published={"error": _FIGURES[_set][name]} if name in _FIGURES[_set] else {},
                        source=_OPE if _set == "digits" else _OPE.replace("30", "20"),
                        same=False,
                    )
                    for name in _SINGLE
                ),
                *(
                    Entry(system=name, label=f"{name}, crossed", settings={"crossed": True})
                    for name in ("dm", "dr", "sndr", "switch-dr", "dros")
                ),
            ),
            note="`crossed`: the reward model has the products of context and action too; the others add both up.",
        )
    )
add(
    Bench(
        name="offpolicy-learning",
        version=1,
        about="**Policies learnt from a log** of 10,000 rounds over 10 actions.",
        data="",
        kind="offpolicy",
        metrics=("value", "estimate", "low", "high", "effective"),
        entries=(
            *(
                Entry(system=name, column="floors and ceiling", seeds=(0, 1, 2))
                for name in ("uniform", "logger", "best")
            ),
            *(
                Entry(
                    system="off-policy",
                    label=label,
                    settings=settings,
                    column="learnt",
                    seeds=(0, 1, 2),
                    published={"value": figure} if figure else {},
                    source="Open Bandit Pipeline's notebook; random .4999 there",
                    same=False,
                )
                for label, settings, figure in (
                    ("ipw", {"objective": "ipw", "temperature": 0.2}, 0.7824),
                    ("ips", {"objective": "ips"}, 0.0),
                    ("ips-network", {"objective": "ips", "hidden": 100}, 0.7359),
                    ("snips", {"objective": "snips"}, 0.0),
                    ("dr", {"objective": "dr"}, 0.0),
                    ("poem", {"objective": "poem"}, 0.0),
                    ("q-softmax", {"objective": "q", "temperature": 0.05}, 0.0),
                )
            ),
        ),
    )
)
add(
    Bench(
        name="offpolicy-obd",
        version=1,
        about="**Open Bandit Dataset, small, campaign men**: each of two policies judged from the other's 10,000 rows.",
        data="obd_small",
        kind="offpolicy",
        metrics=("estimate", "low", "high", "truth", "error", "noise", "effective"),
        entries=tuple(
            Entry(
                system=name,
                label=f"{name}, {direction}",
                settings={"direction": direction},
                column=direction,
                published={"error": _CAMPAIGN[name]} if name in _CAMPAIGN and direction == "random to bts" else {},
                source="Open Bandit Pipeline's examples, campaign all, 30 runs",
                same=False,
            )
            for direction in ("random to bts", "bts to random", "random to bts, by its prior")
            for name in _SINGLE
        ),
        note="The candidate of `random to bts` is the frequency of each item at each position in the other log, whose "
        "rewards play no part; `by its prior` is Thompson sampling by the campaign's prior, which had moved on. "
        "Published errors are of another campaign (all) and means over 30 runs; here a row is one estimate from one "
        "log.",
    )
)
add(
    Bench(
        name="offpolicy-slates",
        version=1,
        about="**The slate trap**: the right belief about what a reward depends on matters more than variance.",
        data="",
        kind="offpolicy",
        metrics=(
            "stacking", "stacking_low", "stacking_high", "stacking_truth",
            "spreading", "spreading_low", "spreading_high", "spreading_truth", "right_order",
        ),
        entries=tuple(
            Entry(
                system=name,
                label=f"{name}, {belief}",
                settings={"belief": belief},
                column=f"rewards are {belief}",
                seeds=(0, 1, 2),
                published=dict(zip(("stacking", "spreading"), _SLATES.get(name, ()), strict=False))
                if belief == "cascade"
                else {},
                source="Open Bandit Pipeline's slate notebook, truth 1.6125 / 1.6893",
                same=False,
            )
            for belief in ("independent", "cascade", "standard")
            for name in ("sips", "iips", "rips", "snsips", "sniips", "snrips", "cascade-dr", "pi")
        ),
        note="Published are values of the optimal and of the anti-optimal policy of another world, whose cascading "
        "rewards add up; here what attracts takes from what attracts below it. Compare the order, not the values.",
    )
)  # fmt: skip
add(
    Bench(
        name="offpolicy-coverage",
        version=1,
        about="**Coverage**: how often an interval that says 95 % holds the truth.",
        data="",
        kind="offpolicy",
        metrics=("effective", "bias", "width", "bootstrap", "normal", "bernstein", "hoeffding"),
        entries=tuple(
            Entry(
                system=name,
                label=f"{name}, {overlap}",
                settings={"overlap": overlap},
                column=f"logger and candidate are {overlap}",
            )
            for overlap in ("near", "middle", "far")
            for name in ("ips", "clipped", "snips", "dm", "dr", "sndr", "dros")
        ),
    )
)
add(
    Bench(
        name="offpolicy-market",
        version=1,
        about="**The market**: pages of its feed, judged for a shop with other habits, beside what people truly do.",
        data="",
        kind="offpolicy",
        metrics=(
            "estimate", "low", "high", "truth", "error", "noise", "logged", "effective_first", "effective_last",
        ),
        entries=tuple(
            Entry(
                system=name,
                label=f"{name}, {share:.0%} {habit}",
                settings={"habit": habit, "share": share},
                column=f"{share:.0%} more by {habit}",
            )
            for habit, share in (("facet", 0.4), ("facet", 0.8), ("random", 0.4), ("random", 0.8))
            for name in ("sips", "iips", "sniips", "rips", "snrips")
        ),
    )
)  # fmt: skip
add(
    Bench(
        name="offpolicy-recipes",
        version=1,
        about="**Recipes asked of a store's log**, as `interplay estimate` asks, beside the market's truth.",
        data="",
        kind="offpolicy",
        metrics=("told", "places", "estimate", "low", "high", "truth", "inside", "error", "logged", "effective"),
        entries=tuple(
            Entry(system="snrips", label=name, seeds=(0, 1, 2))
            for name in ("bolder", "timid", "certain", "taste", "untried")
        ),
        note="The log is of epsilon .5; `bolder` has .8, `timid` .2, `certain` none; `taste` is item-knn, `untried` "
        "ials, which puts first what the log never showed there and is refused. `told` is the share of logs that were "
        "not refused, `inside` that of intervals which hold the truth.",
    )
)
