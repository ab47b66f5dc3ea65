"""KuaiRand as its publisher ships it (Gao et al., CIKM 2022): what was shown, and every kind of answer to it.

    log_standard_*.csv           one row per shown video: user_id, video_id, time_ms, is_click, is_like, long_view ...
    user_features_*.csv          what is known of each person
    video_features_basic_*.csv   what is known of each video

Each row of a log becomes an impression, and each answer that was given an event of its kind under the same request.
The randomly exposed rows (log_random_*.csv) are the variant `random`, beside the standard ones. The statistics of
videos (video_features_statistic_*.csv) are sums over the whole month, so they know the answers: they are not read.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl

from interplay.data.report import Report
from interplay.data.tables import from_frames
from interplay.errors import BadData
from interplay.types import Dataset

ANSWERS = {
    "is_click": "click", "is_like": "like", "long_view": "long_view", "is_follow": "follow", "is_comment": "comment",
    "is_forward": "forward", "is_hate": "hate", "is_profile_enter": "profile",
}  # fmt: skip
LOGGED = "log_standard_*.csv"
UNKNOWN = -124  # what the publisher writes where it does not know


def kuairand(
    path: str | Path,
    *,
    name: str | None = None,
    random: bool = False,
    bad: str = "raise",
    report: Report | None = None,
) -> Dataset:
    """The Dataset in a folder of KuaiRand's CSV files, or in its folder `data`; `random` adds the exposed at random.

    Errors: BadData for a folder without a log, or a log without one of the columns that are needed.
    """
    path = Path(path)
    held = kuairand_frames(path, random=random)
    return from_frames(
        name or path.name, held["interactions"], held.get("items"), held.get("users"),
        {"impressions": held["impressions"]}, bad=bad, report=report, files={"interactions": LOGGED},
    )  # fmt: skip


def kuairand_frames(path: Path, *, random: bool = False) -> dict[str, pl.DataFrame]:
    """interactions, impressions and, where they are told, items and users. Errors: BadData."""
    folder = path / "data" if (path / "data").is_dir() else path
    logs = sorted(folder.glob(LOGGED)) + (sorted(folder.glob("log_random_*.csv")) if random else [])
    if not logs:
        held = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
        raise BadData(f"{folder} holds no {LOGGED}; it holds {held}")
    shown = pl.concat([_log(p) for p in logs]).sort("timestamp", maintain_order=True)
    shown = shown.with_columns(request_id=pl.int_range(pl.len(), dtype=pl.Int64))
    events = pl.concat([
        shown.filter(pl.col(column) == 1).select("user_id", "item_id", "timestamp", "request_id", "tab")
        .with_columns(event_type=pl.lit(kind))
        for column, kind in ANSWERS.items() if column in shown.columns
    ])  # fmt: skip
    impressions = shown.select(
        "request_id", "user_id", "item_id", "timestamp", "tab", policy=pl.lit("unknown"),
        slot=pl.lit(0, pl.Int32), explored=(pl.col("is_rand") == 1),
    )  # fmt: skip
    told = {"interactions": events, "impressions": impressions, "items": _videos(folder), "users": _people(folder)}
    return {table: frame for table, frame in told.items() if frame is not None}


def _log(path: Path) -> pl.DataFrame:
    """One file of shown videos with our names for who, what and when; times are milliseconds there."""
    table = pl.read_csv(path)
    needed = ("user_id", "video_id", "time_ms", "is_click")
    missing = [c for c in needed if c not in table.columns]
    if missing:
        raise BadData(f"{path.name} has no column {missing[0]!r}; expected {', '.join(needed)}; it has {table.columns}")
    extra = [pl.lit(0).alias(c) for c in ("tab", "is_rand") if c not in table.columns]
    table = table.with_columns(*extra, timestamp=pl.col("time_ms").cast(pl.Int64) * 1000)
    kept = [c for c in ANSWERS if c in table.columns]
    return table.rename({"video_id": "item_id"}).select("user_id", "item_id", "timestamp", "tab", "is_rand", *kept)


def _videos(folder: Path) -> pl.DataFrame | None:
    """The catalogue; tags are its categories, and what is a number of somebody or something is a name."""
    found = sorted(folder.glob("video_features_basic_*.csv"))
    if not found:
        return None
    table = pl.read_csv(found[0], schema_overrides={"tag": pl.String}).rename({"video_id": "item_id"})
    named = [c for c in ("author_id", "music_id", "music_type") if c in table.columns]
    told = [pl.col(c).cast(pl.Int64).cast(pl.String) for c in named]
    if "tag" in table.columns:
        told.append(pl.col("tag").str.split(",").alias("categories"))
    return table.with_columns(told).drop("tag", strict=False)


def _people(folder: Path) -> pl.DataFrame | None:
    """What is known of people; the hashed features are names, and what the publisher does not know is missing."""
    found = sorted(folder.glob("user_features_*.csv"))
    if not found:
        return None
    table = pl.read_csv(found[0])
    whole = [c for c, kind in table.schema.items() if kind.is_integer() and c != "user_id"]
    table = table.with_columns(pl.when(pl.col(c) != UNKNOWN).then(pl.col(c)).alias(c) for c in whole)
    hashed = [c for c in table.columns if c.startswith("onehot_feat")]
    return table.with_columns(pl.col(c).cast(pl.Int64).cast(pl.String) for c in hashed)
