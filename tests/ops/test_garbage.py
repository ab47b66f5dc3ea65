"""The collector rests while very much is made, and walks what stays once."""

from __future__ import annotations

import gc
import weakref

import pytest

from interplay.ops.garbage import _freeze, uncollected, walk_all, walk_once


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


def test_what_outlived_a_full_collection_is_walked_again_only_when_asked() -> None:
    class Held:
        pass

    try:
        walk_once()
        kept = Held()
        kept.me = kept
        told = weakref.ref(kept)
        gc.collect()  # it outlives this one
        assert gc.get_freeze_count() > 0
        del kept
        gc.collect()
        assert told() is not None
        walk_all()
        gc.collect()
        assert told() is None
    finally:
        gc.callbacks.remove(_freeze)
        gc.unfreeze()
