"""One training on several workers: each takes every W-th batch, and all move by the mean of their gradients.

    from interplay.cluster import fit
    fitted = fit("sasrec", parts, workers=4)            # parts: a Split, as experiment.fit takes it

A step is as one with a batch of W * descent.batch; set `descent.batch` to the W-th part for the steps of one process.
What is exchanged is in learn/together.py. With a checkpoint directory a run that was killed goes on from it with as
many workers and ends with the same bits; on several machines the first worker's is the one that must see it.
"""

from __future__ import annotations

import pickle
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from interplay import experiment
from interplay.cluster.crew import ONE_THREAD, Lost, joined, why
from interplay.data.split import Split
from interplay.errors import BadSetting, Unsupported
from interplay.fitted import Fitted, built
from interplay.learn.together import Parted
from interplay.ranking import Division
from interplay.systems import system as row_of

GRACE = 5.0  # seconds that the others are waited for after one has failed: the first error heard may be a consequence
SILENCE = timedelta(hours=12)  # how long workers wait for the one that judges


def fit(
    system: str,
    parts: Split | Division,
    *,
    workers: int,
    address: str | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[str, Mapping[str, Any]], None] | None = None,
    device: str = "cpu",
    **options: Any,
) -> Fitted:
    """What `experiment.fit` gives, learnt by so many workers; `options` are its own: on, settings, seed, metric, ...

    Raises Unsupported for a system that does not learn by gradient steps, what a worker raised as it was, Lost where
    one ended, and as `spread` where the cluster is too small.
    """
    _check(system, workers)
    built(system, dict(options.get("settings") or {}))  # a wrong setting is refused before anything is started
    options |= {"checkpoint": checkpoint and checkpoint.absolute(), "device": device}
    cuda = device.startswith("cuda")
    with joined(workers, address, ("CPU", "GPU") if cuda else ("CPU",)) as ray:
        held = ray.put(ray.cloudpickle.dumps((system, parts, options)))
        asked = {"num_cpus": 1, "num_gpus": int(cuda), "max_concurrency": 2, "runtime_env": {"env_vars": ONE_THREAD}}
        hands = [ray.remote(**asked)(_Trainer).remote(held, sys.path) for _ in range(workers)]
        try:
            meeting = ray.get(hands[0].meeting.remote())
            running = [h.train.remote(r, workers, meeting, "nccl" if cuda else "gloo") for r, h in enumerate(hands)]
            told, state = pickle.loads(_awaited(ray, running, hands[0], progress))
        except ray.exceptions.RayError as error:
            raise Lost(f"a worker ended before it began to learn: {why(error)}") from error
        finally:
            for hand in hands:
                ray.kill(hand)
    model = built(system, dict(options.get("settings") or {})).restore(state)
    dataset = parts.fitted() if isinstance(parts, Division) else parts.fitted(told["split"]["on"])
    return Fitted(model=model, dataset=dataset, manifest=told | {"workers": workers})


def _check(system: str, workers: int) -> None:
    if workers < 1:
        raise BadSetting(f"{workers} workers; a training on a cluster needs at least 1")
    if system.endswith(".toml") or row_of(system).recipe:
        raise Unsupported(f"{system} is a recipe, which is fitted in one process; fit it without workers")
    row = row_of(system)
    if not row.epochs or "descent" not in {f.name for f in fields(row.settings())}:
        raise Unsupported(
            f"{system} does not learn by gradient steps over epochs, so workers cannot share its training; fit it "
            "without workers. bpr-mf, sasrec, two-tower, mult-vae, lightgcn and the neural rankers do"
        )


def _awaited(
    ray: Any, running: list[Any], first: Any, progress: Callable[[str, Mapping[str, Any]], None] | None
) -> bytes:
    """What the first worker learnt, once all have ended well; else the error that caused the others."""
    waiting = {ref: rank for rank, ref in enumerate(running)}
    errors: list[Exception] = []
    learnt = b""
    until = float("inf")
    while waiting and time.monotonic() < until:
        done, _ = ray.wait(list(waiting), timeout=0.5)
        if progress is not None and not errors:
            _relay(ray, first, progress)
        for ref in done:
            rank = waiting.pop(ref)
            try:
                learnt = ray.get(ref) or learnt
                continue
            except ray.exceptions.RayTaskError as error:
                errors.append(error.cause)
            except ray.exceptions.RayError as error:
                errors.append(Lost(f"worker {rank + 1} of {len(running)} ended while it was learning: {why(error)}"))
            until = min(until, time.monotonic() + GRACE)
    if errors:
        raise min(errors, key=lambda e: isinstance(e, Parted))
    if progress is not None:
        _relay(ray, first, progress)
    return learnt


def _relay(ray: Any, first: Any, progress: Callable[[str, Mapping[str, Any]], None]) -> None:
    try:
        for stage, facts in ray.get(first.told.remote()):
            progress(stage, facts)
    except ray.exceptions.RayError:
        return  # its end is told by its work


class _Trainer:
    """One worker of a training."""

    def __init__(self, held: bytes, path: list[str]) -> None:
        sys.path += [place for place in path if place not in sys.path]
        self.held = held
        self.said: list[tuple[str, Mapping[str, Any]]] = []

    def meeting(self) -> str:
        """An address at which the workers can find each other."""
        import ray.util

        address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        with socket.socket() as free:
            free.bind((address, 0))
            return f"tcp://{address}:{free.getsockname()[1]}"

    def train(self, rank: int, size: int, meeting: str, backend: str) -> bytes | None:
        """Learn with the others; the first one gives the manifest and the state."""
        import torch.distributed as dist

        system, parts, options = pickle.loads(self.held)
        dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=size, timeout=SILENCE)
        try:
            fitted = experiment.fit(system, parts, progress=self._hear, **options)
        finally:
            dist.destroy_process_group()
        return pickle.dumps((fitted.manifest, fitted.model.state())) if rank == 0 else None

    def told(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Progress since this was last asked."""
        said, self.said = self.said, []
        return said

    def _hear(self, stage: str, facts: Mapping[str, Any]) -> None:
        self.said.append((stage, dict(facts)))
