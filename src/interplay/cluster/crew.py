"""Independent jobs on several processes or machines.

    from interplay.cluster import spread
    for answer in spread(work, jobs, workers=4, shared=model): ...     # work(model, job), in the jobs' order

A worker is a process with one core and one thread. A cluster that runs already is joined by RAY_ADDRESS or `address=`,
else one is started on this machine and shut down when the work is done.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from interplay.errors import BadSetting, InterplayError, Unavailable, extra

Job = TypeVar("Job")
Result = TypeVar("Result")

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
STARTED = {  # how Ray is started here: no statistics sent, no advice, workers as urgent as who asked for them
    "RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_worker_niceness": "0",
}  # fmt: skip
PATIENCE = 10.0  # seconds that cores which are about to be given back are waited for
NEEDED = {"CPU": "cores", "GPU": "GPUs"}
TRIES = 2  # workers that a job may end before it is given up


class Lost(InterplayError):
    """A worker ended in the midst of its work, and the work could not be done elsewhere."""


def spread(
    work: Callable[[Any, Job], Result],
    jobs: Iterable[Job],
    *,
    workers: int = 0,
    shared: Any = None,
    address: str | None = None,
    ordered: bool = True,
) -> Iterator[Result]:
    """`work(shared, job)` of every job, in the jobs' order, or (`ordered=False`) each as soon as it is there.

    No workers is this very process, job after job as results are asked for. With workers, each holds a copy of `shared`
    of its own, and at most two jobs a worker are begun or wait to be taken, so memory is bounded however many jobs
    there are. What `work` raises comes out as itself. A job whose worker ends is begun once more on a new one.

    Raises BadSetting for fewer than 0 workers, Unavailable where the cluster has too few free cores, Lost for a job
    that ended two workers, MissingExtra without Ray.

    >>> list(spread(lambda base, job: base + job, [1, 2, 3], shared=10))
    [11, 12, 13]
    """
    if workers < 0:
        raise BadSetting(f"{workers} workers; expected 0 (this process) or more")
    if not workers:
        for job in jobs:
            yield work(shared, job)
        return
    with joined(workers, address) as ray:
        crew = _Crew(ray, work, shared, workers)
        try:
            yield from crew.done(iter(jobs), 2 * workers, ordered)
        finally:
            crew.leave()


@contextmanager
def joined(workers: int, address: str | None = None, kinds: tuple[str, ...] = ("CPU",)) -> Iterator[Any]:
    """Ray, connected to a cluster with so many free cores (and GPUs, if asked for); afterwards as it was before."""
    try:
        import ray
    except ImportError:
        raise extra("ray", "cluster") from None
    ours = not ray.is_initialized()
    where = address or os.environ.get("RAY_ADDRESS") or "local"
    if ours:
        for name, value in STARTED.items():
            os.environ.setdefault(name, value)
        try:
            ray.init(address=where, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray tells a machine that is too busy, too, by a bare Exception
            ray.shutdown()
            what = "Ray could not be started here" if where == "local" else f"no Ray cluster answers at {where!r}"
            raise Unavailable(f"{what}: {error}") from error
    try:
        for kind in kinds:
            _find_room(ray, workers, kind)
        yield ray
    finally:
        if ours:
            ray.shutdown()


def _find_room(ray: Any, workers: int, kind: str) -> None:
    until = time.monotonic() + PATIENCE
    while (free := int(ray.available_resources().get(kind, 0))) < workers:
        there = int(ray.cluster_resources().get(kind, 0))
        if there < workers or time.monotonic() > until:
            raise Unavailable(
                f"{workers} workers need {workers} free {NEEDED[kind]}; this cluster has {there}, of which {free} are "
                "free. Ask for fewer workers, or join a larger cluster by RAY_ADDRESS"
            )
        time.sleep(0.2)


class _Hand:
    """What runs in a worker. Bytes go in and come out, so that what is held is the worker's own to write to."""

    def __init__(self, held: bytes, path: list[str]) -> None:
        sys.path += [place for place in path if place not in sys.path]  # what could be imported there can be here
        self.held = held

    @cached_property
    def task(self) -> tuple[Callable[[Any, Any], Any], Any]:
        """The work and what is shared, unpacked by the first job: what goes wrong then is told as it is."""
        task: tuple[Callable[[Any, Any], Any], Any] = pickle.loads(self.held)
        self.held = b""
        return task

    def do(self, job: bytes) -> bytes:
        from ray import cloudpickle

        work, shared = self.task
        done: bytes = cloudpickle.dumps(work(shared, pickle.loads(job)))  # type: ignore[no-untyped-call]
        return done


@dataclass(eq=False)
class _Begun:
    """A job that a worker has."""

    job: Any
    hand: Any = None
    ended: int = 0  # workers that ended with it
    result: Callable[[], Any] | None = None  # gives what came of it, or raises


class _Crew:
    """The workers of one `spread`, each with one job at a time."""

    def __init__(self, ray: Any, work: Callable[..., Any], shared: Any, workers: int) -> None:
        self.ray = ray
        self.held = ray.put(ray.cloudpickle.dumps((work, shared)))
        self.idle = [self._hire() for _ in range(workers)]
        self.running: dict[Any, _Begun] = {}

    def done(self, jobs: Iterator[Any], most: int, ordered: bool) -> Iterator[Any]:
        """Results; never more than `most` jobs are begun and not handed out."""
        begun: list[_Begun] = []  # in the jobs' order
        more = True
        while True:
            while more and self.idle and len(begun) < most:
                try:
                    begun.append(one := _Begun(next(jobs)))
                except StopIteration:
                    more = False
                else:
                    self._begin(one, self.idle.pop())
            if not begun:
                return
            ready = next((b for b in (begun[:1] if ordered else begun) if b.result is not None), None)
            if ready is None:
                self._wait()
                continue
            begun.remove(ready)
            assert ready.result is not None
            yield ready.result()

    def leave(self) -> None:
        for hand in [*self.idle, *(b.hand for b in self.running.values())]:
            self.ray.kill(hand)

    def _hire(self) -> Any:
        options = {"num_cpus": 1, "max_restarts": 0, "runtime_env": {"env_vars": ONE_THREAD}}
        return self.ray.remote(**options)(_Hand).remote(self.held, sys.path)

    def _begin(self, one: _Begun, hand: Any) -> None:
        one.hand = hand
        self.running[hand.do.remote(self.ray.cloudpickle.dumps(one.job))] = one

    def _wait(self) -> None:
        """Until one of the running jobs has come to an end."""
        (ref,), _ = self.ray.wait(list(self.running), num_returns=1)
        one = self.running.pop(ref)
        try:
            value = pickle.loads(self.ray.get(ref))
            one.result = lambda: value
        except self.ray.exceptions.RayTaskError as error:
            one.result = _raising(error.cause, error)
        except self.ray.exceptions.RayError as error:
            one.ended += 1
            if one.ended < TRIES:
                self._begin(one, self._hire())
                return
            lost = Lost(f"the job {_short(one.job)} ended {TRIES} workers, one after the other: {why(error)}")
            one.result = _raising(lost, error)
            self.idle.append(self._hire())
            return
        self.idle.append(one.hand)


def why(error: BaseException) -> str:
    """What Ray says of a worker's end, on one line."""
    return " ".join(str(error).split())[:300]


def _raising(error: BaseException, cause: BaseException) -> Callable[[], Any]:
    def raising() -> Any:
        raise error from cause

    return raising


def _short(job: Any) -> str:
    said = repr(job)
    return said if len(said) <= 80 else said[:77] + "..."
