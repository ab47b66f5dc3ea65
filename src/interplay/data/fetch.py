"""Downloads of public sets from their own publisher, and the cache they are kept in.

The checksum that was seen is written beside the files; none is known beforehand and none is invented. A later download
of the same file that differs from what was recorded is reported, not silently taken.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from interplay.data.files import written_whole
from interplay.errors import BadData

RECORD = "download.json"
Progress = Callable[[str, Mapping[str, Any]], None]


def cache() -> Path:
    """Where downloads are kept: `INTERPLAY_CACHE`, else `interplay` in the user's cache directory."""
    home = os.environ.get("INTERPLAY_CACHE")
    return Path(home) if home else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "interplay"


def fetched(
    name: str,
    url: str,
    target: Path,
    *,
    marks: tuple[str, ...],
    again: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Download the zip archive at `url` and unpack it to `target`; returns the record that is kept beside the files.

    Nothing is downloaded twice unless `again`. `marks`: one of these files shows that the archive is what it should be.
    Errors: BadData where the address does not answer, or what arrives is not the data set.
    """
    before = json.loads((target / RECORD).read_text()) if (target / RECORD).exists() else None
    if before is not None and not again:
        return before
    if target.exists() and before is None:
        raise BadData(f"{target} exists and was not downloaded by us; remove it first")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as held:
        archive = Path(held) / "archive"
        digest, size = _download(name, url, archive, progress)
        record = {"name": name, "url": url, "sha256": digest, "bytes": size,
                  "at": datetime.now(UTC).isoformat(timespec="seconds")}  # fmt: skip
        if before is not None and before["sha256"] != digest:
            record["changed_from"] = before["sha256"]
        with written_whole(target, replace=before is not None) as fresh:
            _unpack(archive, fresh, url)
            if not any((fresh / mark).exists() for mark in marks):
                held_files = sorted(p.name for p in fresh.iterdir())
                raise BadData(f"{url} holds {held_files}; expected one of {list(marks)}")
            (fresh / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    return record


def _download(name: str, url: str, to: Path, progress: Progress | None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=60) as answer, to.open("wb") as out:
            answer.raise_for_status()
            length = answer.headers.get("content-length")
            for chunk in answer.iter_raw():
                out.write(chunk)
                digest.update(chunk)
                size += len(chunk)
                if progress is not None:
                    progress(f"get {name}", {"done": size, **({"total": int(length)} if length else {})})
    except httpx.HTTPStatusError as error:
        raise BadData(f"{url} answered {error.response.status_code}; nothing was stored") from error
    except httpx.HTTPError as error:
        raise BadData(f"{url} could not be read ({type(error).__name__}: {error}); nothing was stored") from error
    if length and size != int(length):
        raise BadData(f"{url} ended after {size} of {length} bytes; nothing was stored")
    return digest.hexdigest(), size


def _unpack(archive: Path, into: Path, url: str) -> None:
    """The archive's files, less the one folder that usually holds them all; nothing may be written outside `into`."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [m for m in zipped.infolist() if not m.is_dir()]
            for member in members:
                parts = PurePosixPath(member.filename).parts
                if ".." in parts or PurePosixPath(member.filename).is_absolute():
                    raise BadData(f"{url} holds a file that would be written elsewhere: {member.filename}")
                inner = Path(*parts[1:]) if len(parts) > 1 else Path(parts[0])
                (into / inner).parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as source, (into / inner).open("wb") as out:
                    shutil.copyfileobj(source, out)
    except zipfile.BadZipFile as error:
        raise BadData(f"{url} is no zip archive ({error}); nothing was stored") from error
