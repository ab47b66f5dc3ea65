"""A tenant as one file, and back.

A dump is a zip archive: `dump.json` (schema, moment, counts), one `TABLE.jsonl` for each table, and the files of models
and refused rows. It is taken at one moment, while the store is in use. Whoever was erased after a dump was taken is
taken out of it again when it is restored.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.database import HEAD
from interplay.data.store.people import Forget, digest, tombstones
from interplay.data.store.store import COUNTERS, Store, now
from interplay.errors import BadData, Mismatch

TABLES = (t.users, t.items, t.vectors, t.events, t.impressions, t.traces, t.models, t.moves, t.keys, t.batches,
          t.experiments, t.tombstones)  # fmt: skip
CHUNK = 10_000  # rows


def dump(store: Store, path: str | Path) -> dict[str, int]:
    """Write everything of the tenant into one file, whole or not at all; rows by table.

    Errors: BadData where `path` exists.
    """
    path = Path(path)
    if path.exists():
        raise BadData(f"{path} exists already; choose another file for the dump or remove it first")
    store.database.flush()
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh, counts = path.with_name(f".{path.name}.new-{os.getpid()}"), {}
    try:
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out, store.database.read() as c:
            head = c.execute(sa.select(t.tenants).where(store.mine(t.tenants))).mappings().one()
            for table in TABLES:
                with out.open(f"{table.name}.jsonl", "w", force_zip64=True) as lines:
                    counts[table.name] = 0
                    for rows in _read(store, c, table):
                        lines.write("".join(json.dumps(row) + "\n" for row in rows).encode())
                        counts[table.name] += len(rows)
            kept = [m.folder for m in store.models.list()]
            for file in sorted(store.files().rglob("*")):
                name = file.relative_to(store.files()).as_posix()
                if file.is_file() and (name.startswith("refused/") or any(name.startswith(f"{k}/") for k in kept)):
                    out.write(file, f"files/{name}")
            about = {"interplay": "store", "schema": HEAD, "at": now(), "tenant": store.tenant, "rows": counts}
            out.writestr(
                "dump.json", json.dumps({**about, "head": {k: head[k] for k in (*COUNTERS, "live", "made_at")}})
            )
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return counts


def _read(store: Store, connection: sa.Connection, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    names = [c.name for c in table.columns if c.name != "tenant"]
    query = sa.select(*(table.c[n] for n in names)).where(store.mine(table)).order_by(*table.primary_key.columns)
    result = connection.execution_options(stream_results=True).execute(query)
    while part := result.fetchmany(CHUNK):
        yield [{n: _plain(v) for n, v in zip(names, row, strict=True)} for row in part]


def _plain(value: Any) -> Any:
    return base64.b64encode(value).decode() if isinstance(value, (bytes, memoryview)) else value


def restore(store: Store, path: str | Path, *, forget: Forget, replace: bool = False) -> dict[str, int]:
    """Read a dump into an empty tenant, or with `replace` in place of what it holds; rows by table.

    People who were erased since the dump was taken stay erased: their rows are left out, and `forget` takes theirs out
    of the models. Engines that serve from the store have to be started again. Errors: Mismatch for the dump of a newer
    version; BadData for a file that is no dump, and for a tenant that is not empty.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("dump.json"))
            _check(store, path, about, replace)
            files = _unpacked(store, archive)
            gone = tombstones(store, since=about["at"])
            positions = _erased(archive, gone)
            counts = store.database.write(lambda c: _filled(store, c, archive, about, positions))
    except FileNotFoundError:
        raise BadData(f"no file at {path}; expected a dump that `interplay dump` wrote") from None
    except (zipfile.BadZipFile, KeyError, ValueError) as wrong:
        if isinstance(wrong, (BadData, Mismatch)):
            raise
        raise BadData(
            f"{path} is no dump, or is damaged ({wrong}); expected a file that `interplay dump` wrote"
        ) from wrong
    if positions:
        for model in store.models.list():
            store.models.rewrite(model, lambda copy: forget(copy, sorted(positions)))
    if gone:
        for file in files:
            if file.suffix == ".csv":  # rows that were refused may name anybody, so none of them is brought back
                file.unlink()
    return counts


def _check(store: Store, path: Path, about: Mapping[str, Any], replace: bool) -> None:
    if about.get("interplay") != "store":
        raise BadData(f"{path} is no dump of a store")
    if about["schema"] > HEAD:
        raise Mismatch(
            f"{path} was written with schema {about['schema']}; this Interplay reads up to {HEAD}. Restore it with the "
            "version that wrote it, or a newer one"
        )
    head = store.head()
    if not replace and head[:3] != (0, 0, 0):
        raise BadData(
            f"the tenant {store.tenant!r} of {store.database.said} holds {store.count():,} events and {head.n_items:,} "
            "items already; restore into a new store, or say that it replaces what is there: --replace"
        )


def _unpacked(store: Store, archive: zipfile.ZipFile) -> list[Path]:
    root, out = store.files().resolve(), []
    for name in archive.namelist():
        if not name.startswith("files/") or name.endswith("/"):
            continue
        target = (root / name.removeprefix("files/")).resolve()
        if not target.is_relative_to(root):
            raise BadData(f"the dump holds a file outside its place: {name!r}; it was not made by `interplay dump`")
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as held, target.open("wb") as written:
            shutil.copyfileobj(held, written)
        out.append(target)
    return out


def _filled(
    store: Store, connection: sa.Connection, archive: zipfile.ZipFile, about: Mapping[str, Any],
    positions: set[int],
) -> dict[str, int]:  # fmt: skip
    """All tables from the archive, in one transaction, but for the people at `positions`."""
    before = store.locked(connection)
    for table in TABLES:
        if table is not t.tombstones:
            connection.execute(sa.delete(table).where(store.mine(table)))
    counts: dict[str, int] = {}
    blank = {"name": None, "columns": None, "whole": False, "merged_into": None, "erased": True}
    blank["version"] = about["head"]["people_version"] + 1
    for table in TABLES:
        counts[table.name] = 0
        for rows in _lines(archive, table):
            if table is t.users:
                rows = [row | blank if row["position"] in positions else row for row in rows]
            elif "user" in table.c:
                rows = [row for row in rows if row["user"] not in positions]
            unless = ", ".join(f'"{c.name}"' for c in table.primary_key.columns)
            listed = [{"tenant": store.tenant, **row} for row in rows]
            counts[table.name] += store.database.insert(connection, table, listed, unless=unless)
    head = {k: about["head"][k] for k in (*COUNTERS, "live")}
    for name in ("items_version", "people_version"):  # whoever looks sees that something changed
        head[name] = max(head[name], getattr(before, name)) + 1
    store.moved(connection, **head)
    return counts


def _lines(archive: zipfile.ZipFile, table: sa.Table) -> Iterator[list[dict[str, Any]]]:
    """The rows of a table, in parts; columns that came with a later schema are empty."""
    columns = [c for c in table.columns if c.name != "tenant"]
    coded = {c.name for c in columns if isinstance(c.type, sa.LargeBinary)}
    if f"{table.name}.jsonl" not in archive.namelist():  # a table that came with a later schema
        return
    with archive.open(f"{table.name}.jsonl") as lines:
        part: list[dict[str, Any]] = []
        for line in lines:
            told = json.loads(line)
            row = {c.name: told.get(c.name) for c in columns}
            part.append(row | {n: base64.b64decode(row[n]) for n in coded})
            if len(part) == CHUNK:
                yield part
                part = []
        if part:
            yield part


def _erased(archive: zipfile.ZipFile, gone: list[tuple[str, str]]) -> set[int]:
    """Positions of the people that tombstones are about, and of the names that were merged into theirs."""
    salts: dict[str, set[str]] = {}
    for salt, told in gone:
        salts.setdefault(salt, set()).add(told)
    out: set[int] = set()
    merged: dict[int, int] = {}
    for row in (row for rows in _lines(archive, t.users) for row in rows) if gone else ():
        name = row["name"]
        if row["merged_into"] is not None:
            merged[row["position"]] = row["merged_into"]
        if name is not None and any(digest(name, salt) in told for salt, told in salts.items()):
            out.add(row["position"])
    return out | {position for position, into in merged.items() if into in out}
