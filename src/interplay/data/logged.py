"""Logged bandit feedback: what was shown at a place, by what chance, and whether it was clicked.

    campaign("obd_small").logs["random"]        # action, position, reward, propensity and context of every impression

Reads a campaign of the Open Bandit Dataset (Saito et al., NeurIPS D&B 2021) as a prepared copy, one Parquet file for
each logging policy beside `items.parquet` and `bts_prior.parquet`, or as its publisher ships it:
POLICY/CAMPAIGN/CAMPAIGN.csv with item_context.csv. Rows are single (item, position) impressions: those of one page
cannot be joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from interplay.data.read import roots
from interplay.errors import BadData
from interplay.types import Array

POLICIES = ("random", "bts")
LOGGED = ("timestamp", "item_id", "position", "click", "propensity_score")


@dataclass(frozen=True, kw_only=True, eq=False)
class Feedback:
    """n impressions of one logging policy, oldest first."""

    action: Array  # int64[n]
    position: Array  # int64[n], from 0
    reward: Array  # float64[n]
    propensity: Array  # float64[n]
    context: Array  # float64[n, d]: who was shown it, one column for each value of each feature


@dataclass(frozen=True, kw_only=True, eq=False)
class Campaign:
    """The same people and items under several policies."""

    logs: Mapping[str, Feedback]  # by logging policy
    about: Array  # float64[items, e]
    positions: int
    prior: tuple[Array, Array] | None = None  # alpha and beta of Thompson sampling, float64[items] each

    @property
    def n_items(self) -> int:
        return len(self.about)


def campaign(where: str | Path) -> Campaign:
    """The campaign in a directory, or in the data set of that name. Refused where a policy's log is missing."""
    path = Path(where)
    if not path.is_dir():
        path = next((root / str(where) for root in roots() if (root / str(where)).is_dir()), path)
    frames = {policy: _frame(path, policy) for policy in POLICIES}
    missing = [policy for policy, frame in frames.items() if frame is None]
    if missing:
        raise BadData(
            f"{path} holds no log of {' and '.join(missing)}; expected POLICY.parquet, or POLICY/CAMPAIGN/CAMPAIGN.csv "
            "as the Open Bandit Dataset has it. Set INTERPLAY_DATA to the directory that holds prepared sets"
        )
    held = {policy: _checked(policy, frame) for policy, frame in frames.items() if frame is not None}
    features = [c for c in held["random"].columns if c.startswith("user_feature")]
    values = {c: sorted({v for f in held.values() for v in f[c].to_list()}, key=str) for c in features}
    items = _items(path)
    count = int(max(f["item_id"].max() for f in held.values())) + 1  # type: ignore[arg-type,type-var]
    positions = sorted({p for f in held.values() for p in f["position"].to_list()})
    logs = {policy: _feedback(frame, values, positions) for policy, frame in held.items()}
    about = np.zeros((count, 0)) if items is None else _described(items)
    return Campaign(logs=logs, about=about, positions=len(positions), prior=_prior(path))


def _frame(path: Path, policy: str) -> pl.DataFrame | None:
    prepared = path / f"{policy}.parquet"
    if prepared.is_file():
        return pl.read_parquet(prepared)
    shipped = sorted(path.glob(f"{policy}/*/*.csv")) + sorted(path.glob(f"{policy}/*.csv"))
    files = [f for f in shipped if f.stem != "item_context"]
    return pl.read_csv(files[0]) if files else None


def _checked(policy: str, frame: pl.DataFrame) -> pl.DataFrame:
    lacking = [c for c in LOGGED if c not in frame.columns]
    if lacking:
        raise BadData(f"the log of {policy} lacks {', '.join(lacking)}; expected {', '.join(LOGGED)}")
    return frame.sort("timestamp", maintain_order=True)


def _feedback(frame: pl.DataFrame, values: Mapping[str, list[object]], positions: list[int]) -> Feedback:
    columns = [(frame[c] == v).to_numpy().astype(float) for c, listed in values.items() for v in listed]
    return Feedback(
        action=frame["item_id"].to_numpy().astype(np.int64), reward=frame["click"].to_numpy().astype(np.float64),
        position=np.searchsorted(positions, frame["position"].to_numpy()),
        propensity=frame["propensity_score"].to_numpy().astype(np.float64),
        context=np.column_stack(columns) if columns else np.zeros((len(frame), 0)),
    )  # fmt: skip


def _items(path: Path) -> pl.DataFrame | None:
    prepared = path / "items.parquet"
    if prepared.is_file():
        return pl.read_parquet(prepared).sort("item_id")
    shipped = sorted(path.rglob("item_context.csv"))
    return pl.read_csv(shipped[0]).sort("item_id") if shipped else None


def _described(items: pl.DataFrame) -> Array:
    """Numbers as they are, scaled; codes and words as one column for each value."""
    parts = []
    for name in items.columns:
        if name.startswith("item_feature"):
            column = items[name]
            if column.dtype.is_float():
                number = column.to_numpy()
                parts.append(((number - number.mean()) / max(float(number.std()), 1e-9))[:, None])
            else:
                parts.append(np.column_stack([(column == v).to_numpy() for v in column.unique().sort()]).astype(float))
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(items), 0))


def _prior(path: Path) -> tuple[Array, Array] | None:
    file = path / "bts_prior.parquet"
    if not file.is_file():
        return None
    held = pl.read_parquet(file).sort("item_id")
    return held["alpha"].to_numpy().astype(float), held["beta"].to_numpy().astype(float)
