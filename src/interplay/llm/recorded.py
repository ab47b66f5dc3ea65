"""What a text model answered, kept: asked again it is not asked, and without a model its answers can be replayed.

    Recorded(model, folder).about("ada").reply(task, data, Answer)     # asks once, then answers from the folder
    Recorded(None, folder)                                             # replay: what was never asked is no reply

A recording is one JSON file, named by a hash of the model, the task, the data, the shape and the person it is about. It
names that person, so that erasing one finds it; recordings that are about nobody are found by the names in them.
What is answered while somebody is erased must not be kept afterwards: a `Keeper` decides that.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from interplay.llm import NoReply, Shape, TextModel, read

KEPT = 20_000  # recordings of one folder; beyond, the oldest make room
EVERY = 500  # new recordings between two countings
# Called when a question is asked; what it gives is called with what writes the answer down, and does that or not.
Keeper = Callable[[], Callable[[Callable[[], None]], None]]


def always() -> Callable[[Callable[[], None]], None]:
    """The keeper of a folder from which nobody is erased."""
    return lambda write: write()


class Recorded:
    """A text model with a memory in a directory; several processes may share it."""

    def __init__(
        self,
        model: TextModel | None,
        folder: Path,
        *,
        name: str = "",
        person: str | None = None,
        keeper: Keeper = always,
    ) -> None:
        """`model` None replays. `name` stands in for the model's own, as when one is replayed."""
        self.model, self.folder, self.person, self.keeper = model, folder, person, keeper
        self.name = name or str(getattr(model, "model", type(model).__name__))
        self.new = itertools.count(1)  # recordings, those about persons among them

    def about(self, person: Any) -> Recorded:
        """The same memory for what concerns one person."""
        held = copy.copy(self)
        held.person = None if person is None else str(person)
        return held

    def reply(self, task: str, data: Mapping[str, Any], shape: type[Shape]) -> Shape:
        """What was answered to the same question before, or is answered now."""
        asked = {"model": self.name, "person": self.person, "task": task, "data": dict(data),
                 "shape": shape.model_json_schema()}  # fmt: skip
        told = json.dumps(asked, sort_keys=True, ensure_ascii=False, default=str)
        path = self.folder / f"{hashlib.blake2b(told.encode(), digest_size=16).hexdigest()}.json"
        try:
            return read(json.dumps(json.loads(path.read_text())["reply"]), shape)
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError, NoReply):
            path.unlink(missing_ok=True)  # cut off, or of a shape that has changed
        if self.model is None:
            raise NoReply("nothing was recorded of this question, and only recordings are asked")
        keep = self.keeper()
        said = self.model.reply(task, data, shape)
        recording = {**json.loads(told), "at": time.time(), "reply": said.model_dump(mode="json")}
        keep(lambda: _written(path, recording))
        if next(self.new) % EVERY == 0:
            old = sorted(self.folder.glob("*.json"), key=lambda p: p.stat().st_mtime)
            for one in old[:-KEPT]:
                one.unlink(missing_ok=True)
        return said


def _written(path: Path, recording: Mapping[str, Any]) -> None:
    """Write a recording, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{secrets.token_hex(4)}")
    part.write_text(json.dumps(recording, ensure_ascii=False))
    os.replace(part, path)


def remembering(model: TextModel | None, folder: Path, keeper: Keeper = always) -> TextModel | None:
    """The model with a memory in a directory; with INTERPLAY_TEXT_MODEL_REPLAY set only the memory answers."""
    if model is None:
        return None
    held = Recorded(model, folder, keeper=keeper)
    return Recorded(None, folder, name=held.name) if os.environ.get("INTERPLAY_TEXT_MODEL_REPLAY") else held


def about(model: TextModel, person: Any) -> TextModel:
    """The model, told whom a question concerns where it remembers answers."""
    return model.about(person) if isinstance(model, Recorded) else model


def recordings(folder: Path, names: Set[str]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Recordings about these people, and those in which one of the names stands; one that cannot be read might."""
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            told = json.loads(text)
        except ValueError:
            told = {}
        said = json.dumps([told.get("data"), told.get("reply")], ensure_ascii=False)  # the rest is the engine's own
        if not told or told.get("person") in names or any(name in said for name in names):
            yield path, told
