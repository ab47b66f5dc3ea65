"""One answer, and how it is kept: in memory for a while, in the store for longer, where any replica finds it."""

from __future__ import annotations

import base64
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from interplay.data.store.store import Store
from interplay.errors import UnknownName
from interplay.types import EMPTY, Arrangement, Array, Boost, Slates, Stage, Trace, Wish


class NotHere(UnknownName):
    """An item, or an earlier answer, that the engine does not have."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """One answer, in indices, with all that is needed to say how it came about and to ask for more."""

    request_id: str
    user: str | None
    at: int  # microseconds UTC on the engine's clock
    draw: int
    slates: Slates  # one row
    trace: Trace
    seconds: float
    query: str | None = None
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] | None = None  # items, allowed, found, ranked, shown
    asked: Mapping[str, Any] = EMPTY  # what `Engine.answer` or `Engine.similar` was asked, to ask it again
    more: bool = False  # whether there may be further items

    @property
    def items(self) -> list[int]:
        return [item for item, _ in self.slates.row(0)]


def packed(answer: Answer) -> dict[str, Any]:
    """An answer as what `ops.jsons` can write."""
    asked = dict(answer.asked)
    if asked.get("masks"):
        asked["masks"] = {name: [len(m), _bits(m)] for name, m in asked["masks"].items()}
    if asked.get("boosts"):
        asked["boosts"] = [asdict(boost) for boost in asked["boosts"]]
    if asked.get("wishes"):
        asked["wishes"] = [asdict(wish) for wish in asked["wishes"]]
    if asked.get("arrangement") is not None:
        wanted = asked["arrangement"]
        asked["arrangement"] = {
            "caps": dict(wanted.caps), "diversity": wanted.diversity, "arranger": wanted.arranger,
            "rails": wanted.rails,
        }  # fmt: skip
    return {
        "request_id": answer.request_id, "user": answer.user, "at": answer.at, "draw": str(answer.draw),
        "items": answer.items, "scores": [s for _, s in answer.slates.row(0)], "seconds": answer.seconds,
        "query": answer.query, "notes": answer.notes, "counts": answer.counts, "asked": asked, "more": answer.more,
        "trace": answer.trace.items, "stages": answer.trace.stages,
    }  # fmt: skip


def unpacked(told: Mapping[str, Any]) -> Answer:
    """The answer that `packed` told of."""
    asked = dict(told["asked"])
    if asked.get("masks"):
        asked["masks"] = {name: _mask(n, bits) for name, (n, bits) in asked["masks"].items()}
    if asked.get("boosts"):
        asked["boosts"] = tuple(Boost(**boost) for boost in asked["boosts"])
    if asked.get("wishes"):
        asked["wishes"] = tuple(Wish(**{**wish, "like": tuple(wish["like"])}) for wish in asked["wishes"])
    if asked.get("arrangement") is not None:
        asked["arrangement"] = Arrangement(**asked["arrangement"])
    stages = tuple(Stage(**stage) for stage in told["stages"])
    return Answer(
        request_id=told["request_id"], user=told["user"], at=told["at"], draw=int(told["draw"]),
        slates=Slates(
            items=np.array([told["items"]], np.int32).reshape(1, -1),
            scores=np.array([told["scores"]], np.float32).reshape(1, -1),
        ),
        trace=Trace(request_id=told["request_id"], stages=stages, items=tuple(told["trace"])),
        seconds=told["seconds"], query=told["query"], notes=tuple(told["notes"]), counts=told["counts"], asked=asked,
        more=told["more"],
    )  # fmt: skip


def _bits(mask: Array) -> str:
    return base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 1)).decode()


def _mask(n: int, bits: str) -> Array:
    return np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(bits)), np.uint8))[:n].astype(bool)


class Answers:
    """The last answers, and those that the store kept."""

    def __init__(self, store: Store, keep: int) -> None:
        self.store, self.keep = store, keep
        self._held: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def hold(self, answer: Answer) -> None:
        """Remember it here, and in the store within a moment."""
        with self._lock:
            self._held[answer.request_id] = answer
            while len(self._held) > self.keep:
                self._held.popitem(last=False)
        self.store.answered.traced(answer.request_id, lambda: packed(answer), user=answer.user, time=answer.at)

    def of(self, request_id: str) -> Answer:
        """An earlier answer, or a refusal."""
        with self._lock:
            held = self._held.get(request_id)
        if held is not None:
            return held
        told = self.store.answered.trace(request_id)
        if told is None:  # it may be about to be written
            self.store.database.flush()
            told = self.store.answered.trace(request_id)
        if told is None:
            raise NotHere(f"no answer {request_id!r} is kept; expected the request_id of one, as every answer has it")
        return unpacked(told)

    def forget(self, gone: Callable[[str], bool]) -> None:
        """Drop what was answered to people who are gone."""
        with self._lock:
            for request_id, answer in list(self._held.items()):
                if answer.user is not None and gone(answer.user):
                    del self._held[request_id]
