"""Who has read which test part, and how often.

Reading the test part once per final model is what makes a number worth having. Every read is noted. The same fitted
object may read one test part once; a second time is refused unless the caller says `reread=True`. Other objects of the
same class (another seed, another setting) may read it too, because a proof set and its ablations need that, but the
count goes into the protocol, stands above the table, and tells how much choosing the test part could have fed. Reads
by a saved model are kept in `reads.jsonl` in its directory, over processes and over later fits to the same place.
"""

from __future__ import annotations

import json
import shlex
import sys
import weakref
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interplay.errors import BadData, InterplayError, Leakage

LOG = "reads.jsonl"  # in a model directory: what was saved there, and has read which test part


@dataclass(frozen=True, kw_only=True)
class Read:
    """One look at a test part."""

    system: str  # the class of the model
    part: str  # the hash of the split, or of the data and its queries
    metrics: tuple[str, ...]
    nth: int  # how often this class has now read this part
    again: bool  # the same object had read it before, and said so
    when: str  # UTC
    data: str = ""  # the fingerprint of the data
    command: str = ""  # what the process was called with


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


def note(model: Any, part: str, metrics: tuple[str, ...], *, data: str = "", log: Path | None = None) -> Read:
    """Note one read of test part `part`; with `log`, append it to that file and count what stands there.

    Errors: BadData for a damaged log; InterplayError for one that cannot be written: no figure without its line.
    """
    system, again = type(model).__name__, _held(model, part)
    earlier = sum(r.system == system and r.part == part for r in READS)
    logged = sum(t["system"] == system and t["part"] == part for t in logged_reads(log)) if log else 0
    read = Read(
        system=system, part=part, metrics=metrics, nth=max(earlier, logged) + 1, again=again,
        when=datetime.now(UTC).isoformat(timespec="seconds"), data=data,
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
    )  # fmt: skip
    READS.append(read)
    if not again:
        _seen.append((_weakly(model), part))
    if log:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "a") as out:
                out.write(json.dumps(asdict(read), sort_keys=True) + "\n")
        except OSError as error:
            raise InterplayError(
                f"{log} cannot be written ({error.strerror}), and every read of a test part is noted there; make "
                "the directory writable, or copy it to where it is"
            ) from error
    return read


def logged_reads(log: Path) -> list[dict[str, Any]]:
    """The reads that stand in a log, oldest first; none where there is no log. Errors: BadData for a damaged line."""
    out = []
    for n, line in enumerate(log.read_text().splitlines() if log.exists() else (), 1):
        try:
            out.append({"system": "", "part": "", **json.loads(line)})
        except (ValueError, TypeError) as error:
            raise BadData(f"{log}, line {n} is damaged; mend or remove that line") from error
    return out


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
