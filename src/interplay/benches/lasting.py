"""Long-term worth of pairs: a world with known truth, what adjacent states cost, and real pairs foretold."""

from __future__ import annotations

from typing import Any

from interplay.benches.values import Bench, Entry, add

_SEEDS = tuple(range(10))
_LASTING: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("random", "random", {}),
    ("popularity", "popularity", {}),
    ("ctr-greedy", "ctr-greedy", {}),
    ("myopic", "myopic", {}),
    ("rliv-ua", "return regression", {"target": "return", "worth": 0.3}),
    ("rliv-ua", "request dqn", {"target": "page", "worth": 0.3}),
    ("rliv-ua", "rliv-ua", {"worth": 0.1}),
    ("rliv-ua", "without adjacent states", {"approximation": "wait", "worth": 0.1}),
    ("rliv-ua", "adjacent: just after", {"approximation": "after", "worth": 0.1}),
    ("rliv-ua", "without one critic a task", {"single": True, "worth": 0.1}),
    ("rliv-ua", "without looking at the task before", {"progressive": False, "worth": 0.1}),
    ("rliv-ua", "without the auxiliary task", {"auxiliary": 0.0, "worth": 0.1}),
    ("rliv-ua", "without the conservative term", {"conservative": 0.0, "worth": 0.1}),
)
add(
    Bench(
        name="longterm",
        version=3,  # 1: nothing selected, a slower slow copy; 2: rates of a world up to a fifth off
        about="**Pairs of people and makers** in a world with known truth, set to the rates of a real log.",
        data="",
        kind="longterm",
        metrics=("clicks", "follows", "gifts", "worth", "median", "retained", "gini", "new"),
        baseline="ctr-greedy",
        note="`worth` (w) was chosen in another world of the usual laws (seed 100) from .1, .3, 1 and 3 (request dqn: "
        "from .1 and .3), as that with the largest `worth` of those that lost at most 1 % of the clicks; ablations "
        "keep that of the whole.",
        entries=tuple(
            Entry(
                system=name,
                label=label if shape == "usual" else f"{label}, other laws",
                settings=settings if shape == "usual" else settings | {"shape": shape},
                column=column,
                seeds=_SEEDS,
            )
            for shape, column in (
                ("usual", "the world that settings were chosen in"),
                ("other", "other laws of weariness, following and giving; the same settings"),
            )
            for name, label, settings in _LASTING
        ),
    )
)
add(
    Bench(
        name="longterm-bias",
        version=2,  # 1: a slower slow copy
        about="**Adjacent states** instead of a pair's own next interaction: what they cost in truth and save in days.",
        data="",
        kind="pairs",
        metrics=(
            "bias_click",
            "bias_follow",
            "bias_gift",
            "bias_all",
            "newest_all",
            "rank_all",
            "rank_click",
            "rank_follow",
            "rank_gift",
            "delay",
            "used",
            "censored",
        ),
        entries=tuple(
            Entry(system="rliv-ua", label=label, settings=settings, seeds=(0, 1, 2))
            for label, settings in (
                ("true next interaction", {"approximation": "wait"}),
                ("the person's next request", {"approximation": "request"}),
                ("just after", {"approximation": "after"}),
                ("no critic: sums within the log", {"target": "return"}),
            )
        ),
    )
)
add(
    Bench(
        name="longterm-pairs",
        version=2,  # 1: some rows had a faster slow copy
        about="**Real pairs**: buyers and brands of Amazon Cell Phones 2014, foretold with a cut in time.",
        data="amazon-phone-colarec",
        kind="pairs",
        metrics=("rank", "lift", "calibration", "repeated"),
        baseline="boosting",
        entries=(
            Entry(system="last-count"),
            Entry(system="bg-nbd"),
            Entry(system="boosting", seeds=(0, 1, 2)),
            Entry(system="rliv-ua", label="sums regressed", settings={"target": "return"}, seeds=(0, 1, 2)),
            Entry(system="rliv-ua", label="rliv-ua", settings={"approximation": "wait"}, seeds=(0, 1, 2)),
        ),
        note="No row was searched for; where `boosting` and the critics have their settings from was not written down. "
        "A step of `rliv-ua` is a month, so it waits for the pair's own next one: adjacent states are not tried here.",
    )
)  # fmt: skip
add(
    Bench(
        name="longterm-logged",
        version=1,
        about="**What a log says of them before they serve**, in a world with known truth.",
        data="",
        kind="logged",
        metrics=("effective", "paths", "click", "click_once", "click_served", "gift", "gift_once", "gift_served"),
        entries=(
            Entry(system="old policy"),
            *(Entry(system=name) for name in ("random", "popularity", "ctr-greedy", "myopic")),
            Entry(system="rliv-ua", label="return regression", settings={"target": "return", "worth": 0.3}),
            Entry(system="rliv-ua", settings={"worth": 0.1}),
        ),
        note="Clicks are shares of showings, gifts log(1 + amount) by 1,000 showings. Settings are those of the bench "
        "`longterm`, chosen in another world.",
    )
)
