"""Who has read which test part, and how often.

Reading the test part once per final model is what makes a number worth having. Every read is noted. The same fitted
object may read one test part once; a second time is refused unless the caller says `reread=True`. Other objects of the
same class (another seed, another setting) may read it too, because a proof set and its ablations need that, but the
count goes into the protocol, stands above the table, and tells how much choosing the test part could have fed.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interplay.errors import Leakage


@dataclass(frozen=True, kw_only=True)
class Read:
    """One look at a test part."""

    system: str  # the class of the model
    part: str  # the hash of the split, or of the data and its queries
    metrics: tuple[str, ...]
    nth: int  # how often this class has now read this part
    again: bool  # the same object had read it before, and said so
    when: str  # UTC


READS: list[Read] = []
_seen: list[tuple[Callable[[], Any], str]] = []  # the object (weakly held) and what it read


def refuse_second(model: Any, part: str, *, reread: bool = False) -> None:
    """Raise Leakage when this very object has read test part `part` before, unless that is meant."""
    if not reread and _held(model, part):
        raise Leakage(
            f"this {type(model).__name__} has read test part {part[:20]} before, and choosing by a second look would "
            "fit the test. Choose on the validation part (evaluate.replay.validation), keep the first result, "
            "or say reread=True: the protocol then counts it"
        )


def note(model: Any, part: str, metrics: tuple[str, ...], *, log: Path | None = None) -> Read:
    """Note one read of test part `part`; with `log`, append it to that file and count what stands there."""
    system, again = type(model).__name__, _held(model, part)
    earlier = sum(r.system == system and r.part == part for r in READS)
    told = [json.loads(line) for line in log.read_text().splitlines() if line] if log and log.exists() else []
    logged = sum(t["system"] == system and t["part"] == part for t in told)
    read = Read(
        system=system, part=part, metrics=metrics, nth=max(earlier, logged) + 1, again=again,
        when=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip
    READS.append(read)
    if not again:
        _seen.append((_weakly(model), part))
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as out:
            out.write(json.dumps(asdict(read), sort_keys=True) + "\n")
    return read


def _held(model: Any, part: str) -> bool:
    return any(held() is model and read == part for held, read in _seen)


def _weakly(model: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(model)
    except TypeError:  # an object with slots: holding it keeps its identity its own
        return lambda: model


def forget_reads() -> None:
    """Start the count of this process anew; for tests."""
    READS.clear()
    _seen.clear()
