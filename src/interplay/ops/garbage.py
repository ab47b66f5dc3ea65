"""The garbage collector of a process that holds very much for long."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def uncollected() -> Iterator[None]:
    """Nothing is looked for that could be thrown away: among a million fresh rows the collector would walk all of them
    again and again, which takes as long as making them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def walk_once() -> None:
    """From now on whatever outlives a full collection is not walked by the next one, which over a large shop would stop
    every request for half a second. `walk_all` lets the next one see everything."""
    if _freeze not in gc.callbacks:
        gc.callbacks.append(_freeze)
    gc.collect()


def walk_all() -> None:
    """Let the next full collection see what outlived earlier ones too, since much of it was just let go of."""
    gc.unfreeze()


def _freeze(phase: str, about: Mapping[str, Any]) -> None:
    if phase == "stop" and about["generation"] == 2:
        gc.freeze()
