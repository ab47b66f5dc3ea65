"""The memory of a process that holds very much for long: the garbage collector, and the heaps of its threads."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
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


def few_heaps() -> None:
    """The threads of this process share two heaps from now on. By itself glibc gives each of many threads a heap of its
    own, and what one has let go of another cannot use: a server that answers in turn on forty would grow for hours.

    Nothing is changed where MALLOC_ARENA_MAX is set, or where the C library is another one.
    """
    if platform.libc_ver()[0] == "glibc" and "MALLOC_ARENA_MAX" not in os.environ:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 2)


_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
