"""The memory of a process that holds very much for long: the garbage collector, and the heaps of its threads."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import threading
import time
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


def lean_heap(every: float = 60.0) -> None:
    """For a server that answers for weeks: its memory does not grow with the hours.

    glibc gives every thread a heap of its own, and what one let go of another cannot use: the threads share two heaps
    from now on, unless MALLOC_ARENA_MAX says otherwise. Between what lives long, a hole stays the process's even where
    nothing lies in it: every so many seconds such pages go back to the system. Nothing is done where the C library is
    another one.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    if "MALLOC_ARENA_MAX" not in os.environ:
        libc.mallopt(_ARENA_MAX, 2)

    def trim() -> None:
        while True:
            time.sleep(every)
            libc.malloc_trim(0)

    threading.Thread(target=trim, name="heap", daemon=True).start()


_ARENA_MAX = -8  # M_ARENA_MAX of malloc.h
