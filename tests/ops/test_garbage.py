"""The collector rests while very much is made, and walks what stays once."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys
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


HEAPS = """
import ctypes, sys, threading
from interplay.ops.garbage import lean_heap
if sys.argv[1] == "few":
    lean_heap()
libc, gate = ctypes.CDLL(None), threading.Barrier(9)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
def work():
    libc.malloc(1000)
    gate.wait()
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
gate.wait()
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps of threads are glibc's")
def test_threads_share_two_heaps(tmp_path):
    def heaps(how: str, **more: str) -> int:
        environment = {k: v for k, v in os.environ.items() if k != "MALLOC_ARENA_MAX"} | more
        subprocess.run([sys.executable, "-c", HEAPS, how, str(tmp_path / how)], check=True, env=environment)
        return (tmp_path / how).read_text().count("<heap nr=")

    assert heaps("many") > 2
    assert heaps("few") <= 2
    assert heaps("few", MALLOC_ARENA_MAX="6") > 2  # whoever runs it knows better


HOLES = """
import sys, time
from interplay.ops.garbage import lean_heap
def held():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
if sys.argv[1] == "lean":
    lean_heap(every=0.05)
mixed = [(bytes(range(256)) * 256, b"x" * 1000) for _ in range(2000)]  # 64 KiB that go beside 1 that stays
full = held()
mixed = [stays for _, stays in mixed]
time.sleep(1.0)
print(full - held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps of threads are glibc's")
def test_holes_between_what_lives_long_go_back_to_the_system():
    def returned(how: str) -> int:
        run = subprocess.run([sys.executable, "-c", HOLES, how], check=True, capture_output=True, text=True)
        return int(run.stdout)  # KiB

    assert returned("lean") > 100_000 > 2 * returned("as it is")
