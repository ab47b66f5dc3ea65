"""The collector rests while very much is made, and only then."""

from __future__ import annotations

import gc

import pytest

from interplay.ops.garbage import uncollected


def test_the_collector_rests_and_comes_back_whatever_happens() -> None:
    assert gc.isenabled()
    with uncollected(), uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="no"), uncollected():
        raise ValueError("no")
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()  # whoever wanted it so keeps it so
    finally:
        gc.enable()
