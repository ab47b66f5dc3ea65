"""Model directories: what a fitted system knows, as files that are read back whole or refused with a sentence.

    manifest.json         what the caller says of the model, and under "store" the layout, file sizes and checksums
    arrays.safetensors    arrays of the state
    users.safetensors     arrays with a row per user, kept apart so that a person can be erased
    users.ids.parquet     external user ids; items.ids.parquet: external item ids
    NAME.parquet          further tables (a name that begins with "users." holds personal data)

Nothing is pickled. A directory is written beside its place and moved there when complete.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

import interplay
from interplay.data.files import recovered, written_whole
from interplay.errors import BadData, Mismatch
from interplay.types import EMPTY, Array, Ids, State

LAYOUT = 1  # raised when the meaning of the files changes; other layouts are refused
KINDS = "?bBhHiIlLqQefd"  # dtypes that safetensors holds


class Stored(NamedTuple):
    """A model directory, read."""

    manifest: dict[str, Any]
    state: State
    users: Ids
    items: Ids
    tables: dict[str, pl.DataFrame]


def save_model(
    path: str | Path,
    manifest: Mapping[str, Any],
    state: State,
    users: Ids,
    items: Ids,
    *,
    tables: Mapping[str, pl.DataFrame] = EMPTY,
) -> Path:
    """Write a model directory; one that stands at `path` stays until the new one is complete.

    Errors: InterplayError on a full disk (the old model is unharmed); TypeError for arrays that are not plain numbers.
    """
    path = Path(path)
    if path.exists() and not (path / "manifest.json").exists() and not (path.is_dir() and not any(path.iterdir())):
        raise BadData(f"{path} exists and is no model directory; choose another place for the model")
    with written_whole(path, replace=True) as fresh:
        _save_arrays(fresh / "arrays.safetensors", state.arrays)
        _save_arrays(fresh / "users.safetensors", state.users)
        _ids_frame(users).write_parquet(fresh / "users.ids.parquet")
        _ids_frame(items).write_parquet(fresh / "items.ids.parquet")
        for name, table in tables.items():
            table.write_parquet(fresh / f"{name}.parquet")
        files = {p.name: {"bytes": p.stat().st_size, "sha256": _digest(p)} for p in sorted(fresh.iterdir())}
        store = {
            "layout": LAYOUT, "interplay": interplay.__version__, "n_users": len(users), "n_items": len(items),
            "tables": sorted(tables), "facts": dict(state.facts), "files": files,
        }  # fmt: skip
        (fresh / "manifest.json").write_text(json.dumps({**manifest, "store": store}, indent=1, sort_keys=True) + "\n")
    return path


def load_model(path: str | Path) -> Stored:
    """Read a model directory that `save_model` wrote.

    Errors: Mismatch for another version's layout; BadData for what is missing, cut off or changed on disk.
    """
    path = recovered(Path(path))
    if not path.is_dir():
        raise BadData(f"no model at {path}; expected a directory that `interplay fit ... --out {path}` writes")
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        store = manifest.pop("store")
        layout, files = store["layout"], store.get("files", {})
    except FileNotFoundError:
        held = sorted(p.name for p in path.iterdir())[:8]
        raise BadData(f"{path} is no model directory: it has no manifest.json, only {held}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path / 'manifest.json'} is damaged ({error!r}); fit the model again") from error
    if layout != LAYOUT:
        raise Mismatch(
            f"{path} was written by Interplay {store.get('interplay', '?')} in layout {layout}; this is Interplay "
            f"{interplay.__version__} and reads layout {LAYOUT}. Fit the model again, or install that version"
        )
    for name, told in files.items():
        file = path / name
        if not file.is_file():
            raise BadData(f"{path} lacks {name}, which its manifest lists; copy the whole directory or fit again")
        if file.stat().st_size != told["bytes"]:
            raise BadData(
                f"{file} has {file.stat().st_size:,} bytes and should have {told['bytes']:,}: it was cut off or "
                "changed; copy the directory again or fit again"
            )
        if _digest(file) != told["sha256"]:
            raise BadData(f"{file} changed after it was written (its checksum differs); copy it again or fit again")
    try:
        state = State(
            arrays=load_file(path / "arrays.safetensors"), users=load_file(path / "users.safetensors"),
            facts=store["facts"],
        )  # fmt: skip
        users, items = (_ids(pl.read_parquet(path / f"{what}.ids.parquet")) for what in ("users", "items"))
        tables = {name: pl.read_parquet(path / f"{name}.parquet") for name in store["tables"]}
    except (SafetensorError, OSError, KeyError, pl.exceptions.PolarsError) as error:
        raise BadData(f"{path} cannot be read ({error}); fit the model again") from error
    if (len(users), len(items)) != (store["n_users"], store["n_items"]):
        raise BadData(f"{path}: the id files hold {len(users)} users and {len(items)} items, the manifest says "
                      f"{store['n_users']} and {store['n_items']}; fit the model again")  # fmt: skip
    return Stored(manifest, state, users, items, tables)


def _save_arrays(file: Path, arrays: Mapping[str, Array]) -> None:
    held = {name: np.asarray(a) for name, a in arrays.items()}
    odd = [f"{n} ({a.dtype})" for n, a in held.items() if a.dtype.char not in KINDS]
    if odd:
        raise TypeError(f"a state holds plain numbers only; these are not: {odd}")
    plain = {n: np.ascontiguousarray(a, a.dtype.newbyteorder("=")).reshape(a.shape) for n, a in held.items()}
    save_file(plain, file)


def _digest(file: Path) -> str:
    with file.open("rb") as held:
        return hashlib.file_digest(held, "sha256").hexdigest()


def _ids_frame(ids: Ids) -> pl.DataFrame:
    """Integers as integers, else text with a flag for those that were integers."""
    whole = [isinstance(n, int) for n in ids]
    if all(whole) and all(-(2**63) <= int(n) < 2**63 for n in ids):
        return pl.DataFrame({"id": pl.Series(ids.names, dtype=pl.Int64)})
    text = pl.Series([str(n) for n in ids], dtype=pl.String)
    return pl.DataFrame({"id": text, "whole": pl.Series(whole, dtype=pl.Boolean)} if any(whole) else {"id": text})


def _ids(table: pl.DataFrame) -> Ids:
    names = table["id"].to_list()
    if "whole" in table.columns:
        names = [int(n) if w else n for n, w in zip(names, table["whole"], strict=True)]
    return Ids(names)
