"""The models that a store remembers, and the pointer to the one that serves.

Promoting moves the pointer in one transaction; whoever serves sees it with the next request. Every move is kept, so a
roll-back goes to what served before.
"""

from __future__ import annotations

import builtins
import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import Store, now
from interplay.errors import BadData, Mismatch, UnknownName
from interplay.types import EMPTY


@dataclass(frozen=True, kw_only=True)
class Model:
    """One version of a tenant's model."""

    version: int
    name: str  # a system or a recipe
    folder: str  # below the tenant's files
    made_at: int
    last_row: int  # the log up to here was learnt
    facts: Mapping[str, Any]
    live: bool


class Registry:
    """The model versions of one tenant."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def list(self) -> list[Model]:
        """All versions, oldest first."""
        live = self.store.head().live
        c = t.models.c
        query = sa.select(c.version, c.name, c.folder, c.made_at, c.last_row, c.facts).where(self.store.mine(t.models))
        rows = self.store.database.rows(query.order_by(c.version))
        return [
            Model(
                version=r[0], name=r[1], folder=r[2], made_at=r[3], last_row=r[4], facts=json.loads(r[5]),
                live=r[0] == live,
            )
            for r in rows
        ]  # fmt: skip

    def live(self) -> Model | None:
        """The version that serves; None where none was promoted yet."""
        return next((m for m in self.list() if m.live), None)

    def get(self, version: int) -> Model:
        """One version, or a refusal that names those there are."""
        held = self.list()
        for model in held:
            if model.version == version:
                return model
        known = ", ".join(str(m.version) for m in held) or "none yet; `interplay train` makes one"
        raise UnknownName(f"no model version {version}; there are: {known}")

    def path(self, model: Model) -> Path:
        """The model's directory."""
        return self.store.files(*Path(model.folder).parts)

    def folder(self, name: str) -> str:
        """A new place for a model directory, below the store's files."""
        return f"models/{''.join(c if c.isalnum() or c in '-_' else '-' for c in name)}-{secrets.token_hex(6)}"

    def register(
        self, name: str, folder: str, *, last_row: int, facts: Mapping[str, Any] = EMPTY, promote: str | None = None,
        people_version: int | None = None,
    ) -> Model:  # fmt: skip
        """Remember a complete model directory; with `promote` (the reason) it serves from the same moment on.

        Errors: Mismatch where people were erased or merged since `people_version`: the model may still hold them.
        """
        if not (self.store.files(*Path(folder).parts) / "manifest.json").is_file():
            raise BadData(f"{folder} is no complete model directory of this store; save the model there first")

        def work(connection: sa.Connection) -> int:
            head = self.store.locked(connection)
            if people_version is not None and head.people_version != people_version:
                raise Mismatch("people changed while the model was made; take them out of it and register it then")
            given = sa.select(t.tenants.c.models).where(self.store.mine(t.tenants))
            version = connection.execute(given).scalar_one() + 1
            row = {
                "tenant": self.store.tenant, "version": version, "name": name, "folder": folder, "made_at": now(),
                "last_row": last_row, "facts": json.dumps(dict(facts), default=str),
            }  # fmt: skip
            connection.execute(sa.insert(t.models), row)
            self.store.moved(connection, models=version)
            if promote is not None:
                self._move(connection, version, promote)
            return version

        return self.get(self.store.database.write(work))

    def rewrite(self, model: Model, change: Callable[[Path], None]) -> None:
        """Change a version's files: in a copy, which takes the place of the old directory when it is complete."""
        old, folder = self.path(model), self.folder(Path(model.folder).name.rpartition("-")[0])
        copy = self.store.files(*Path(folder).parts)
        shutil.copytree(old, copy)
        change(copy)
        c = t.models.c
        which = sa.update(t.models).where(self.store.mine(t.models), c.version == model.version).values(folder=folder)
        self.store.database.write(lambda connection: connection.execute(which))
        shutil.rmtree(old, ignore_errors=True)

    def prune(self, keep: int) -> builtins.list[int]:
        """Forget all but the newest `keep` versions, the live one, the one before it, and the arms of experiments that
        are not over; those forgotten."""
        held, moves = self.list(), [m["version"] for m in self.moves()]
        arms = {arm.model for plan in self.store.experiments.list() if plan.state != "stopped" for arm in plan.arms}
        spared = {m.version for m in held[-keep:]} | {m.version for m in held if m.live} | set(moves[-2:]) | arms
        gone = [m for m in held if m.version not in spared]
        for model in gone:
            which = sa.delete(t.models).where(self.store.mine(t.models), t.models.c.version == model.version)
            self.store.database.write(lambda connection, which=which: connection.execute(which))  # type: ignore[misc]
            shutil.rmtree(self.path(model), ignore_errors=True)
        return [m.version for m in gone]

    def strays(self) -> builtins.list[Path]:
        """Directories below models/ that no version has: what an interrupted training or erasure left."""
        known = {self.path(m) for m in self.list()}
        root = self.store.files("models", "x").parent
        return sorted(p for p in root.iterdir() if p not in known) if root.is_dir() else []

    def promote(self, version: int, *, why: str = "by hand") -> Model:
        """Serve this version from now on."""
        model = self.get(version)
        if not (self.path(model) / "manifest.json").is_file():
            raise BadData(f"model {version} lacks its directory {self.path(model)}; restore it, or train again")

        def work(connection: sa.Connection) -> None:
            self.store.locked(connection)
            self._move(connection, version, why)

        self.store.database.write(work)
        return self.get(version)

    def rollback(self) -> Model:
        """Serve again what served before the present version; refused where nothing did."""

        def work(connection: sa.Connection) -> int:
            live = self.store.locked(connection).live
            c = t.moves.c
            moves = connection.execute(
                sa.select(c.version, c.why).where(self.store.mine(t.moves)).order_by(c.number.desc())
            ).all()
            served: builtins.list[int] = []  # what each roll-back left is no place to go back to
            skip = 0
            for version, why in moves:
                if why.startswith("roll-back"):
                    skip += 1
                elif skip:
                    skip -= 1
                else:
                    served.append(version)
            before = next((v for v in served if v != live), None)
            if before is None:
                raise BadData("nothing served before the present model; promote a version by its number instead")
            self._move(connection, before, f"roll-back from {live}")
            return before

        return self.get(self.store.database.write(work))

    def moves(self) -> builtins.list[dict[str, Any]]:
        """Every move of the pointer, oldest first: version, at, why."""
        c = t.moves.c
        query = sa.select(c.version, c.at, c.why).where(self.store.mine(t.moves)).order_by(c.number)
        return [{"version": r[0], "at": r[1], "why": r[2]} for r in self.store.database.rows(query)]

    def _move(self, connection: sa.Connection, version: int, why: str) -> None:
        last = sa.select(sa.func.max(t.moves.c.number)).where(self.store.mine(t.moves))
        number = (connection.execute(last).scalar() or 0) + 1
        row = {"tenant": self.store.tenant, "number": number, "version": version, "at": now(), "why": why}
        connection.execute(sa.insert(t.moves), row)
        self.store.moved(connection, live=version)
