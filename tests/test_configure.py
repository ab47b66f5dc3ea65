"""Settings are converted where nothing is lost, and refused with the nearest name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from interplay.configure import Count, PartShare, Positive, Share, Size, configured, parsed
from interplay.errors import BadSetting, UnknownName


@dataclass(frozen=True, kw_only=True)
class Inner:
    epochs: int = 10
    rate: float = 0.1


@dataclass(frozen=True, kw_only=True)
class Outer:
    ridge: float = 1.0
    dim: int = 8
    loss: str = "bce"
    keep: bool = False
    dims: tuple[int, ...] = (4,)
    cut: float | None = None
    descent: Inner = field(default_factory=lambda: Inner(rate=0.5))


def test_later_layers_win_and_text_is_converted():
    got = configured(Outer, {"dim": 16, "ridge": 2}, {"dim": "32", "keep": "true", "dims": "8,4", "cut": "none"})
    assert (got.dim, got.ridge, got.keep, got.dims, got.cut) == (32, 2.0, True, (8, 4), None)


def test_a_nested_mapping_changes_only_what_it_names():
    assert configured(Outer, parsed(["descent.epochs=3"])).descent == Inner(epochs=3, rate=0.5)
    both = configured(Outer, {"descent": {"epochs": 3}}, {"descent": {"rate": "0.2"}})
    assert both.descent == Inner(epochs=3, rate=0.2)


def test_an_unknown_setting_names_the_nearest():
    with pytest.raises(UnknownName, match="has no setting 'rigde'; did you mean 'ridge'"):
        configured(Outer, {"rigde": 1})


@pytest.mark.parametrize("wrong", [{"dim": "2.5"}, {"dim": True}, {"keep": "maybe"}, {"ridge": "much"}, {"loss": 3}])
def test_a_value_of_the_wrong_kind_is_refused(wrong):
    with pytest.raises(BadSetting, match=next(iter(wrong))):
        configured(Outer, wrong)


def test_a_pair_without_a_value_is_refused():
    with pytest.raises(BadSetting, match="key=value"):
        parsed(["ridge"])


@dataclass(frozen=True, kw_only=True)
class Bounded:
    dim: Size = 64
    layers: tuple[Size, ...] = (8, 4)
    warm: Count = 0
    ridge: float = 1.0
    rate: Positive | None = None
    dropout: PartShare = 0.1
    share: Share = 1.0
    weights: Mapping[str, Positive] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dim": -4}, "Bounded.dim is -4; expected a whole number, 1 or more"),
        ({"dim": "0"}, "Bounded.dim is '0'; expected a whole number, 1 or more"),
        ({"layers": "8,0"}, "Bounded.layers is '0'; expected a whole number, 1 or more"),
        ({"layers": 8}, "Bounded.layers is 8; expected a list"),
        ({"warm": -1}, "Bounded.warm is -1; expected a whole number, 0 or more"),
        ({"ridge": "nan"}, "Bounded.ridge is 'nan'; expected a number"),
        ({"ridge": float("inf")}, "Bounded.ridge is inf; expected a number"),
        ({"dim": "inf"}, "Bounded.dim is 'inf'"),
        ({"rate": 0}, "Bounded.rate is 0; expected a number, above 0"),
        ({"rate": "nan"}, "Bounded.rate is 'nan'; expected a number, above 0"),
        ({"dropout": 1}, "Bounded.dropout is 1; expected a number, from 0 to below 1"),
        ({"share": 1.5}, "Bounded.share is 1.5; expected a number, from 0 to 1"),
        ({"weights": {"click": -2}}, "Bounded.weights.click is -2; expected a number, above 0"),
        ({"weights": 3}, "Bounded.weights is 3; expected names with a value each"),
    ],
)
def test_a_number_out_of_bounds_is_refused_with_its_name_what_was_found_and_what_was_expected(wrong, said):
    with pytest.raises(BadSetting) as refused:
        configured(Bounded, wrong)
    assert str(refused.value).startswith(said)


def test_the_ends_that_belong_to_a_range_are_taken():
    got = configured(Bounded, {"dim": "1", "warm": 0, "dropout": 0, "share": 0, "rate": "none", "layers": [1]})
    assert (got.dim, got.warm, got.dropout, got.share, got.rate, got.layers) == (1, 0, 0.0, 0.0, None, (1,))
    assert configured(Bounded, parsed(["weights.click=2"])).weights == {"click": 2.0}


def test_settings_of_its_own_are_not_a_number():
    with pytest.raises(BadSetting, match=r"Outer.descent is '3'; it has settings of its own, as in descent\.KEY"):
        configured(Outer, {"descent": "3"})
