"""Steering: commands that real people wrote, and sessions with simulated ones."""

from __future__ import annotations

from interplay.benches.values import Bench, Entry, add

add(
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
    add(
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
