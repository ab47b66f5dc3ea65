"""The one training loop, a function: the model hands it a step, it never owns the model.

    facts = descend(step, parameters, batches, descent=config.descent, run=run, judge=lambda: run.validation(self))

`step(batch)` returns a scalar loss; `batches(epoch, generator)` an iterable of batches that depends on nothing but its
two arguments (the generator is seeded by seed and epoch). Everything random inside a step (dropout) draws from torch's
global generator, which the loop seeds and afterwards puts back as it was.

With `run.checkpoint` set, a run killed at any moment goes on from its last checkpoint and ends with the same bits as
one that was left alone: parameters, optimiser, random state, position inside the epoch and the best so far are kept.

Inside a `torch.distributed` group of W workers, worker r takes every W-th batch from r on and all move by the mean of
their gradients (learn/together.py), so a step is as one with a batch of W * descent.batch. The first worker judges and
writes checkpoints; a run resumes with as many workers as it had.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from interplay.configure import Count, NotNegative, Positive, Size, SomeShare
from interplay.errors import BadSetting, Mismatch, unknown
from interplay.learn.together import NO_BATCH, Epoch, company
from interplay.types import Array, Run

Batches = Callable[[int, np.random.Generator], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class Descent:
    """How parameters move. The loop reads all of it but `batch`, which is for whoever makes the batches."""

    optimiser: str = "adam"  # a name in OPTIMISERS
    rate: Positive = 1e-3
    weight_decay: NotNegative = 0.0
    schedule: str = "constant"  # a name in SCHEDULES; runs over `epochs`, also when a refit stops before
    warmup: NotNegative = 0.0  # epochs during which the rate rises from 0
    plateau: SomeShare = 1.0  # what the rate is multiplied by after every judgement without a better one
    clip: NotNegative = 0.0  # largest norm of the whole gradient; 0 leaves it alone
    epochs: Size = 100
    patience: Count = 10  # judgements without a better one before stopping; 0 never stops early
    batch: Size = 1024
    every: Size = 1  # epochs between judgements
    bf16: bool = False  # run the step in bfloat16 where torch's autocast allows it


OPTIMISERS: dict[str, Callable[[list[Tensor], Descent], torch.optim.Optimizer]] = {
    "adam": lambda p, d: torch.optim.Adam(p, lr=d.rate, weight_decay=d.weight_decay, fused=_fusible(p)),
    "adamw": lambda p, d: torch.optim.AdamW(p, lr=d.rate, weight_decay=d.weight_decay, fused=_fusible(p)),
    "sgd": lambda p, d: torch.optim.SGD(p, lr=d.rate, weight_decay=d.weight_decay),
    "adagrad": lambda p, d: torch.optim.Adagrad(p, lr=d.rate, weight_decay=d.weight_decay),
}

SCHEDULES: dict[str, Callable[[float], float]] = {  # share of the run that is over -> share of the rate
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "linear": lambda done: 1.0 - done,
}


def _fusible(parameters: list[Tensor]) -> bool:
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)


def rate_at(descent: Descent, epoch: float) -> float:
    """The learning rate after `epoch` epochs (a fraction inside one): warm-up, then the schedule.

    >>> [rate_at(Descent(rate=1.0, warmup=2, schedule="linear", epochs=10), e) for e in (0, 1, 2, 6, 10)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if epoch < descent.warmup:
        return descent.rate * epoch / descent.warmup
    over = max(descent.epochs - descent.warmup, 1e-9)
    return descent.rate * SCHEDULES[descent.schedule](min((epoch - descent.warmup) / over, 1.0))


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's global randomness starts from `seed` inside and is put back afterwards; wrap it round initialisation."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def shuffled(n: int, size: int, make: Callable[[Array, np.random.Generator], Any]) -> Batches:
    """Batches of `make(rows, generator)` over 0..n-1 in a new random order each epoch; the last may be smaller."""

    def batches(epoch: int, generator: np.random.Generator) -> Iterable[Any]:
        order = generator.permutation(n)
        return Epoch([order[lo : lo + size] for lo in range(0, n, size)], make, generator)

    return batches


def descend(
    step: Callable[[Any], Tensor],
    parameters: nn.Module | Mapping[str, Tensor],
    batches: Batches,
    *,
    descent: Descent,
    run: Run,
    judge: Callable[[], float] | None = None,
    belongs: str = "",
    name: str = "descent",
    save_every: float = 60.0,
) -> dict[str, Any]:
    """Minimise `step` over `parameters`, in place; afterwards they are the best judged ones, or the last.

    `judge` (higher is better) is used where `run.validation` is set; it runs without gradients and, for a module, in
    eval mode. `run.epochs` means exactly so many epochs and the last parameters. `belongs` says what a checkpoint
    belongs to (settings, data): another one is refused. A checkpoint is written every `save_every` seconds.

    Returns JSON-able facts: epochs (finished), best_epoch, best, losses (mean of each epoch), judged ([epoch, value]),
    steps, seconds, stopped ("epochs", "patience", "time", or a sentence), cut (True when time ran out).
    Raises BadSetting when the loss is no longer a number and nothing judged could be kept.
    """
    _check(descent)
    loop = _Loop(parameters, descent, run, judge if run.validation is not None else None, belongs, name)
    with seeded(loop.company.seed(run.seed)), _repeatable(loop.device):
        loop.resume()
        if not loop.stopped:
            loop.go(step, batches, save_every)
    return loop.facts()


def _check(descent: Descent) -> None:
    for what, given, known in (("optimiser", descent.optimiser, OPTIMISERS), ("schedule", descent.schedule, SCHEDULES)):
        if given not in known:
            raise unknown(what, given, known)
    if not descent.rate > 0 or descent.epochs < 0 or descent.every < 1 or descent.batch < 1:
        raise BadSetting(f"a descent needs rate > 0, epochs >= 0, every >= 1 and batch >= 1; found {descent}")


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On the CPU, sums over repeated indices are taken in a fixed order, so the same seed gives the same bits."""
    if device.type != "cpu":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


class _Loop:
    """Where a descent stands; all of it goes into a checkpoint."""

    def __init__(
        self, parameters: nn.Module | Mapping[str, Tensor], descent: Descent, run: Run,
        judge: Callable[[], float] | None, belongs: str, name: str,
    ) -> None:  # fmt: skip
        self.module = parameters if isinstance(parameters, nn.Module) else None
        held = parameters.state_dict(keep_vars=True) if isinstance(parameters, nn.Module) else parameters
        self.held: dict[str, Tensor] = dict(held)  # buffers too: they belong to the best as much as the weights
        self.moving = [p for p in self.held.values() if p.requires_grad]
        self.optimiser = OPTIMISERS[descent.optimiser](self.moving, descent)
        self.descent, self.run, self.judge = descent, run, judge
        self.device = next((p.device for p in self.moving), torch.device("cpu"))  # where the parameters lie
        self.company = company(str(self.device))
        self.last = descent.epochs if run.epochs is None else run.epochs
        self.file = None if run.checkpoint is None else Path(run.checkpoint) / f"{name}.pt"
        self.signature = {
            "belongs": belongs, "seed": run.seed, "descent": asdict(descent), "epochs": run.epochs,
            "shapes": {k: list(v.shape) for k, v in self.held.items()},
        }  # fmt: skip
        self.signature |= {"workers": self.company.size} if self.company.size > 1 else {}
        self.epoch = self.step = self.steps = self.stale = 0  # stale: judgements since the best
        self.total, self.stopped, self.before, self.slow = 0.0, "", 0.0, 1.0  # slow: share of the rate that is left
        self.losses: list[float] = []
        self.judged: list[list[float]] = []
        self.best: dict[str, Tensor] | None = None
        self.best_value, self.best_epoch, self.fresh = -math.inf, 0, False  # fresh: moved since the last judgement
        self.started = time.monotonic()

    @property
    def _cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.started

    def go(self, step: Callable[[Any], Tensor], batches: Batches, save_every: float) -> None:
        saved = said = time.monotonic()
        self.company.begin(self.held)
        self._mode(training=True)
        while self.epoch < self.last and not self.stopped:
            made = batches(self.epoch, np.random.default_rng([self.run.seed, self.epoch]))
            length = -(-len(made) // self.company.size) if isinstance(made, Sized) else 0
            for batch in islice(self.company.dealt(made), self.step, None):
                over, due = self._move(step, batch, (self.step / length) if length else 0.0, saved + save_every)
                if self.stopped:
                    break
                if over:
                    if self.file is not None:  # a run with more time goes on from here
                        self.save()
                    self.stopped = "time"
                    break
                if self.file is not None and due:
                    self.save()
                    saved = time.monotonic()
                if time.monotonic() - said >= 10.0:
                    said = time.monotonic()
                    self._say(loss=self.total / self.step, step=self.step, steps=length)
            if not self.stopped:
                self._close_epoch()
        self._finish()

    def _move(self, step: Callable[[Any], Tensor], batch: Any, within: float, save_at: float) -> list[bool]:
        """One step; returns whether time is over and whether a checkpoint is due."""
        rate = rate_at(self.descent, self.epoch + within) * self.slow
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        own = None if batch is NO_BATCH else self._slope(step, batch)
        over = self.run.seconds is not None and self.seconds >= self.run.seconds
        value, told = self.company.mean(self.moving, own, (over, time.monotonic() >= save_at))
        if not math.isfinite(value):
            self.stopped = (
                f"the loss is {value} at epoch {self.epoch + 1}, step {self.step + 1}; "
                f"lower descent.rate (now {self.descent.rate}) or set descent.clip (now {self.descent.clip})"
            )
            if self.best is None:
                raise BadSetting(self.stopped)
            return told
        if self.descent.clip > 0:
            nn.utils.clip_grad_norm_(self.moving, self.descent.clip)
        self.optimiser.step()
        self.total += value
        self.step, self.steps, self.fresh = self.step + 1, self.steps + 1, True
        return told

    def _slope(self, step: Callable[[Any], Tensor], batch: Any) -> float:
        """The loss of a batch, and where it is a number its gradients."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.descent.bf16):
            loss = step(batch)
        value = float(loss.detach())
        if math.isfinite(value):
            loss.backward()  # type: ignore[no-untyped-call]
        return value

    def _close_epoch(self) -> None:
        if not self.step:
            self.stopped = "there was nothing to learn from"
            return
        self.losses.append(self.total / self.step)
        self.epoch, self.step, self.total = self.epoch + 1, 0, 0.0
        if self.judge is not None and (self.epoch % self.descent.every == 0 or self.epoch == self.last):
            self._judge()
            if self.run.epochs is None and 0 < self.descent.patience <= self.stale:
                self.stopped = "patience"
        self._say(loss=self.losses[-1])

    def _judge(self) -> None:
        assert self.judge is not None
        self._mode(training=False)
        with seeded(self.run.seed), torch.no_grad():  # judging must not change what is learnt
            value = self.company.first(float(self.judge()) if self.company.rank == 0 else 0.0)
        self._mode(training=True)
        epoch = max(self.epoch, 1)
        self.judged.append([epoch, value])
        self.fresh, self.stale = False, self.stale + 1
        if value > self.best_value or self.best is None:
            self.best_value, self.best_epoch, self.stale = value, epoch, 0
            self.best = {k: v.detach().clone() for k, v in self.held.items()}
        else:
            self.slow *= self.descent.plateau

    def _finish(self) -> None:
        if self.stopped == "time" and self.judge is not None and self.fresh:
            self._judge()
        self.stopped = self.stopped or "epochs"
        if self.best is not None and self.run.epochs is None:
            self._put(self.best)
        self._mode(training=False)
        if self.file is not None and self.stopped != "time":
            self.save()

    def _mode(self, *, training: bool) -> None:
        if self.module is not None:
            self.module.train(training)

    def _put(self, saved: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for key, tensor in self.held.items():
                tensor.copy_(saved[key])

    def _say(self, **more: float) -> None:
        said = {"epoch": self.epoch, "of": self.last, "seconds": round(self.seconds, 1), **more}
        if self.judged:
            said["judged"] = self.judged[-1][1]
        if self.company.rank == 0:
            self.run.progress("learn", said)

    def facts(self) -> dict[str, Any]:
        refit = self.run.epochs is not None
        return {
            "epochs": self.epoch, "best_epoch": self.epoch if refit or self.best is None else self.best_epoch,
            "best": self.best_value if self.judged else None, "losses": self.losses, "judged": self.judged,
            "steps": self.steps, "seconds": round(self.seconds, 3), "stopped": self.stopped,
            "cut": self.stopped == "time",
        }  # fmt: skip

    COUNTERS = ("epoch", "step", "steps", "stale", "total", "losses", "judged", "best_value", "best_epoch", "fresh",
                "stopped", "slow")  # fmt: skip

    def save(self) -> None:
        """Write the checkpoint beside the old one and swap: a kill leaves one of the two, whole."""
        assert self.file is not None
        kept = {
            "signature": self.signature, "counters": {k: getattr(self, k) for k in self.COUNTERS},
            "seconds": self.seconds, "parameters": {k: v.detach() for k, v in self.held.items()}, "best": self.best,
            "optimiser": self.optimiser.state_dict(), "random": self.company.gathered(torch.get_rng_state()),
            "random_cuda": [self.company.gathered(s) for s in torch.cuda.get_rng_state_all()] if self._cuda else [],
        }  # fmt: skip
        if self.company.rank > 0:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.file.with_suffix(".new")
        with fresh.open("wb") as out:
            torch.save(kept, out)
            out.flush()
            os.fsync(out.fileno())
        os.replace(fresh, self.file)

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        source = None if self.file is None else self.company.checkpoint(self.file)
        if source is None:
            return
        kept = torch.load(source, map_location="cpu", weights_only=True)
        mine, other = self.signature, kept["signature"]
        differ = [k for k in mine | other if mine.get(k) != other.get(k)]
        if differ:
            raise Mismatch(
                f"{self.file} is the checkpoint of another run ({', '.join(differ)} differ); "
                "give this run a directory of its own, or remove the file to start afresh"
            )
        self._put(kept["parameters"])
        self.optimiser.load_state_dict(kept["optimiser"])
        for counter, value in kept["counters"].items():
            setattr(self, counter, value)
        self.best, self.before = kept["best"], kept["seconds"]
        torch.set_rng_state(self.company.own(kept["random"]))
        if kept["random_cuda"]:
            torch.cuda.set_rng_state_all([self.company.own(state) for state in kept["random_cuda"]])
