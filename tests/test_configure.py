"""Settings are converted where nothing is lost, and refused with the nearest name."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from interplay.configure import configured, parsed
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
