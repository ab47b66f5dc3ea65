"""Several processes that descend as one: each takes every W-th batch, and all move by the mean of their gradients.

A descent is joined by standing inside an initialised `torch.distributed` process group. Everything that workers must
not see differently (the gradient, whether the loss is a number, that time is up, that a checkpoint is due, what
validation said) is told by one exchange and read off what came back, so that no two ever disagree or wait in vain.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from interplay.errors import InterplayError
from interplay.types import Array

NO_BATCH = object()  # what a worker has in a round that is not full


class Parted(InterplayError):
    """Another worker of this descent has gone."""


class Epoch:
    """Batches of `make(rows, generator)` for the rows of each part, made as they are asked for.

    Sized, so that the schedule can move with every step.
    """

    def __init__(
        self, parts: Sequence[Array], make: Callable[[Array, np.random.Generator], Any], generator: np.random.Generator
    ) -> None:
        self.parts, self.make, self.generator = parts, make, generator

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[Any]:
        return (self.make(rows, self.generator) for rows in self.parts)

    def dealt(self, rank: int, size: int) -> Iterator[Any]:
        """Every `size`-th batch from `rank` on, drawn by a generator of the rank's own; NO_BATCH where none is left."""
        own = self.generator.spawn(size)[rank]
        for lo in range(0, len(self.parts), size):
            yield self.make(self.parts[lo + rank], own) if lo + rank < len(self.parts) else NO_BATCH


class Alone:
    """A descent in one process: nothing is exchanged."""

    rank, size = 0, 1

    def seed(self, seed: int) -> int:
        return seed

    def dealt(self, made: Iterable[Any]) -> Iterator[Any]:
        return iter(made)

    def begin(self, held: Mapping[str, Tensor]) -> None:
        """All start from the first one's tensors."""

    def mean(self, moving: Sequence[Tensor], loss: float | None, due: tuple[bool, ...]) -> tuple[float, list[bool]]:
        """Gradients become their mean over who had a batch; returns the mean loss and the first one's `due`."""
        assert loss is not None
        return loss, list(due)

    def first(self, value: float) -> float:
        """The first one's value."""
        return value

    def gathered(self, own: Tensor) -> Tensor:
        """What all hold; in company with a row for each."""
        return own

    def own(self, gathered: Tensor) -> Tensor:
        """This one's part of what was gathered."""
        return gathered

    def checkpoint(self, file: Path) -> Any:
        """What `torch.load` reads, the same for all; None where there is no checkpoint."""
        return file if file.exists() else None


class Together(Alone):
    """One of several workers; `device` is where exchanged tensors lie."""

    def __init__(self, device: str) -> None:
        self.rank, self.size, self.device = dist.get_rank(), dist.get_world_size(), device
        self.buffer: Tensor | None = None

    def seed(self, seed: int) -> int:
        """Each draws its own dropout."""
        return seed if self.rank == 0 else int(np.random.SeedSequence([seed, self.rank]).generate_state(1)[0])

    def dealt(self, made: Iterable[Any]) -> Iterator[Any]:
        """Batch i * size + rank of every round i; NO_BATCH where the last round has none for this worker."""
        if isinstance(made, Epoch):
            yield from made.dealt(self.rank, self.size)
            return
        batches = iter(made)
        while round_ := list(islice(batches, self.size)):
            yield round_[self.rank] if self.rank < len(round_) else NO_BATCH

    def begin(self, held: Mapping[str, Tensor]) -> None:
        for tensor in held.values():
            if tensor.numel():
                raw = tensor.detach().contiguous().reshape(-1).view(torch.uint8)
                with _heard():
                    dist.broadcast(raw, 0)
                with torch.no_grad():
                    tensor.copy_(raw.view(tensor.dtype).reshape(tensor.shape))

    def mean(self, moving: Sequence[Tensor], loss: float | None, due: tuple[bool, ...]) -> tuple[float, list[bool]]:
        sizes = [p.numel() for p in moving]
        if self.buffer is None:
            kind = torch.float32
            for p in moving:
                kind = torch.promote_types(kind, p.dtype)
            self.buffer = torch.empty(sum(sizes) + len(moving) + 2 + len(due), dtype=kind, device=self.device)
        *slots, rest = torch.split(self.buffer, [*sizes, len(moving) + 2 + len(due)])
        for slot, p in zip(slots, moving, strict=True):
            slot.zero_() if p.grad is None else slot.copy_(p.grad.reshape(-1))
        told = [p.grad is not None for p in moving] + [loss is not None, loss or 0.0]
        told += due if self.rank == 0 else [False] * len(due)
        rest.copy_(torch.tensor(told, dtype=rest.dtype))
        with _heard():
            dist.all_reduce(self.buffer)
        *moved, count, total = (answer := rest.tolist())[: len(moving) + 2]
        self.buffer[: sum(sizes)] /= count
        for slot, p, there in zip(slots, moving, moved, strict=True):
            p.grad = slot.view(p.shape).to(p.dtype) if there else None
        return total / count, [bool(flag) for flag in answer[len(moving) + 2 :]]

    def first(self, value: float) -> float:
        held = torch.tensor([value], dtype=torch.float64, device=self.device)
        with _heard():
            dist.broadcast(held, 0)
        return float(held)

    def gathered(self, own: Tensor) -> Tensor:
        held = own.to(self.device)
        rows = [torch.empty_like(held) for _ in range(self.size)]
        with _heard():
            dist.all_gather(rows, held)
        return torch.stack(rows).cpu()

    def own(self, gathered: Tensor) -> Tensor:
        return gathered[self.rank].clone()

    def checkpoint(self, file: Path) -> Any:
        found = np.fromfile(file, np.uint8) if self.rank == 0 and file.exists() else np.zeros(0, np.uint8)
        length = int(self.first(len(found)))
        if not length:
            return None
        raw = torch.from_numpy(found) if self.rank == 0 else torch.empty(length, dtype=torch.uint8)
        raw = raw.to(self.device)
        with _heard():
            dist.broadcast(raw, 0)
        return io.BytesIO(raw.cpu().numpy().tobytes())


@contextmanager
def _heard() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise Parted(f"a worker of this training has ended: {error}") from error


def company(device: str) -> Alone:
    """Whom a descent in this process goes with."""
    return Together(device) if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1 else Alone()
