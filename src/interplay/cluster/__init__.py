"""The same work on Ray, when one process or one machine is not enough (`pip install 'interplay[cluster]'`).

    spread(work, jobs, workers=4)                       independent jobs, their results in order
    fit("sasrec", parts, workers=4)                     one training, every worker with batches of its own
    sharded(index, shards=4)                            the exact nearest items, each worker with a part of the vectors

Nothing here imports Ray before it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interplay.cluster.crew import Lost, spread

if TYPE_CHECKING:
    from interplay.cluster.shards import sharded
    from interplay.cluster.training import fit

__all__ = ["Lost", "fit", "sharded", "spread"]


def __getattr__(name: str) -> Any:
    """What needs the models, loaded when it is asked for: a worker that runs other jobs starts without it."""
    if name == "fit":
        from interplay.cluster.training import fit

        return fit
    if name == "sharded":
        from interplay.cluster.shards import sharded

        return sharded
    raise AttributeError(f"module 'interplay.cluster' has no attribute {name!r}")
