"""Fusion agrees with its definitions, worked one request and one item at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplay.cascade.fuse import FusionConfig, fused
from interplay.errors import BadSetting, UnknownName
from interplay.types import Rows, Slates

ITEMS = 9
ROWS = Rows(
    n_users=0, n_items=ITEMS, keys=np.array([5, 3, 8, 1, 9, 2, 7, 4, 6], np.uint64),
    popularity=np.zeros(ITEMS, np.float32), events=np.zeros(0, np.int32),
)  # fmt: skip


@st.composite
def lists(draw: st.DrawFn) -> dict[str, Slates]:
    n = draw(st.integers(1, 3))
    out = {}
    for name in draw(st.sampled_from([["a"], ["a", "b"], ["b", "c"], ["a", "b", "c"]])):
        slates = Slates.empty(n, 6)
        for i in range(n):
            items = draw(st.lists(st.integers(0, ITEMS - 1), unique=True, max_size=6))
            scores = sorted(draw(st.lists(st.integers(-4, 8), min_size=len(items), max_size=len(items))), reverse=True)
            slates.items[i, : len(items)], slates.scores[i, : len(items)] = items, scores
        out[name] = slates
    return out


WEIGHTS = {"a": 1.0, "b": 0.5, "c": 2.0}


def slow(given_lists: dict[str, Slates], config: FusionConfig, i: int) -> dict[int, dict[str, float]]:
    """item -> what each list that names it adds."""
    out: dict[int, dict[str, float]] = {}
    for turn, (name, slates) in enumerate(given_lists.items()):
        row = slates.row(i)
        scores = np.array([s for _, s in row])
        for place, (item, score) in enumerate(row):
            if config.method == "reciprocal":
                part = WEIGHTS[name] / (config.constant + place + 1)
            elif config.method == "interleaved":
                part = 1 / (1 + turn + len(given_lists) * place)
            elif scores.max() == scores.min():
                part = WEIGHTS[name]
            else:
                spread = scores.max() - scores.min() if config.normalise == "minmax" else scores.std()
                part = WEIGHTS[name] * (score - scores.min()) / spread
            out.setdefault(item, {})[name] = part
    return out


@settings(max_examples=150, deadline=None)
@given(
    lists(),
    st.sampled_from(["reciprocal", "weighted", "interleaved"]),
    st.sampled_from(["minmax", "standard"]),
    st.integers(1, ITEMS),
)
def test_a_fused_list_is_the_sum_of_what_its_sources_say(given_lists, method, normalise, n) -> None:
    config = FusionConfig(method=method, normalise=normalise)
    slates = fused(given_lists, WEIGHTS, config, ROWS, n)
    for i in range(len(slates)):
        parts = slow(given_lists, config, i)
        join = max if method == "interleaved" else sum
        score = {item: join(p.values()) for item, p in parts.items()}
        order = sorted(score, key=lambda item: (-round(score[item], 9), ROWS.keys[item]))[:n]
        items = [item for item, _ in slates.row(i)]
        assert len(items) == len(set(items)) == len(order)
        for place, (item, due) in enumerate(zip(items, order, strict=True)):
            assert slates.scores[i, place] == pytest.approx(score[item], rel=1e-5, abs=1e-6)
            # Sums of other parts may tie but for the last bit, and then either may stand first.
            assert item == due or score[item] == pytest.approx(score[due], rel=1e-9)
            named = {name for s, name in enumerate(WEIGHTS) if slates.columns["source"][i, place] >> s & 1}
            assert named == set(parts[item])
            for name in given_lists:
                assert slates.columns[f"part_{name}"][i, place] == pytest.approx(parts[item].get(name, 0.0), abs=1e-6)


def test_unknown_methods_are_refused_with_the_nearest() -> None:
    one = {"a": Slates.empty(1, 2)}
    with pytest.raises(UnknownName, match="reciprocal"):
        fused(one, WEIGHTS, FusionConfig(method="reciprocl"), ROWS, 2)
    with pytest.raises(UnknownName, match="minmax"):
        fused(one, WEIGHTS, FusionConfig(method="weighted", normalise="min-max"), ROWS, 2)
    with pytest.raises(BadSetting, match="at least one source"):
        fused({}, WEIGHTS, FusionConfig(), ROWS, 2)
