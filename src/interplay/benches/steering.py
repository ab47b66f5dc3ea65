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
            Entry(system="model", seeds=()),  # asked for by name, where a text model is configured
        ),
        note="All figures are of the half of the conversations that the rules were not worked on with (crc32 of the "
        "conversation's id). Slot F1 of `majority` is that of `rules` by construction: it names what the rules' marks "
        "name, and only calls all of it wanted. `unwanted` and `wanted` are the polarity of what is named in turns "
        "that hold a negation cue, by our labels; `disliked` is of ReDial's films, most of which nobody speaks ill of "
        "in words.",
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
    ("recbot-no-matcher", "the system without one tool"),
    ("recbot-no-attenuator", "the system without one tool"),
    ("recbot-no-meaning", "the system without one tool"),
)
_SASREC = tuple((label, "taste by sasrec") for label in ("sasrec", "sasrec-filter-all", "recbot-sasrec"))
_LARGE = Entry(system="recbot", label="recbot-10k", settings={"n_items": 10_000}, column="the system, 10,000 things")
_THRICE = ("recbot", "taste-filter-all", "popular-filter")  # the system and its best floors have three seeds
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
            entries=(
                *(
                    Entry(system=label, column=column, seeds=(0, 1, 2) if label in _THRICE else (0,))
                    for label, column in (*_ROWS, *(_SASREC if _data == "market" else ()))
                ),
                *((_LARGE,) if _data == "market" else ()),
            ),
            note="SR one command, MR up to five rounds, MRID six of which the last three are about something else. "
            "`recall` is Recall@10 of the feed after the one command. Violations are items shown that break an "
            "explicit must or never, by what was meant. Taste is `markov` in every row that does not say otherwise, "
            "and so is the feed before anything is said. `recbot-no-matcher` weighs nothing that is softly wanted, "
            "`-no-attenuator` nothing that is softly unwanted, `-no-meaning` no text by its meaning, and reads by cues "
            "alone.",
        )
    )
