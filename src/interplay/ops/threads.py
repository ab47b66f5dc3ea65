"""Work spread over the cores, one span of rows to a thread.

Kernels compiled with `nogil=True`, and BLAS kept to one thread meanwhile: threads that wait by spinning would take the
cores from those that work.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

THREADS = max(1, min(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1), os.cpu_count() or 1))


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="spread")


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Inside, every call into BLAS runs on the thread that makes it."""
    with _blas().limit(limits=1, user_api="blas"):
        yield


def one_thread_a_request() -> None:
    """For a process that answers many at once: networks compute on the thread that asks them. What a second thread
    saves one small answer it takes from the others, which wait for it by spinning."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for a library that is loaded later
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


@contextmanager
def one_network() -> Iterator[None]:
    """Inside, no other network computes for an answer.

    A network of a request is hundreds of small calls, each of which gives Python's lock away. Two that take it from
    each other all the time need half as much processor time again, and four twice as much.
    """
    with _network:
        yield


_network = threading.Lock()


def spread(work: Callable[[int, int], None], n: int, chunk: int) -> None:
    """`work(lo, hi)` for all spans of at most `chunk` of 0..n. Spans must not depend on each other, nor spread again.

    >>> seen = []
    >>> spread(lambda lo, hi: seen.append((lo, hi)), 5, 2)
    >>> sorted(seen)
    [(0, 2), (2, 4), (4, 5)]
    """
    spans = [(lo, min(lo + chunk, n)) for lo in range(0, n, chunk)]
    if len(spans) < 2 or THREADS == 1:
        for lo, hi in spans:
            work(lo, hi)
        return
    with one_blas_thread():
        for _ in _pool().map(lambda span: work(*span), spans):
            pass
