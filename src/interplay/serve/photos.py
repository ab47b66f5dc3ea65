"""Photographs that a catalogue names, in the frame of the drawing: files of the operator's directory, pictures written
into the catalogue itself (`data:image/png;base64,...`), and other hosts where the operator allows them."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from interplay.data.store.store import DEFAULT
from interplay.errors import BadSetting

KINDS = {"jpg": "jpeg"} | {kind: kind for kind in ("png", "jpeg", "webp", "gif", "avif")}  # SVG may hold scripts
LONGEST = 512 << 10  # characters of a picture inside the catalogue
_INSIDE = re.compile(r"data:image/(png|jpeg|webp|gif|avif);base64,([A-Za-z0-9+/=\s]+)")
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?")


@dataclass(frozen=True, kw_only=True)
class Photo:
    """Where a photograph is: exactly one of the three."""

    file: Path | None = None
    body: bytes | None = None
    address: str | None = None  # of another host
    kind: str = ""  # png, jpeg, webp, gif, avif; unknown of another host's


@dataclass(frozen=True, kw_only=True)
class Photos:
    """Where photographs may come from; by default only from the catalogue itself."""

    folder: Path | None = None  # of the tenant `default`; another tenant's lie in a directory of its name in there
    hosts: tuple[str, ...] = ()  # as in "cdn.shop.example"; browsers load from them, over https alone

    def __post_init__(self) -> None:
        if self.folder is not None and not self.folder.is_dir():
            raise BadSetting(f"no directory of photographs at {self.folder}")
        for host in self.hosts:
            if not _HOST.fullmatch(host):
                raise BadSetting(f"the host of photographs is {host!r}; expected a name as in cdn.shop.example")

    @property
    def policy(self) -> str:
        """Where a page may load pictures from, as its Content-Security-Policy says it."""
        return " ".join(("img-src 'self' data:", *(f"https://{host}" for host in self.hosts)))

    def found(self, named: str, tenant: str = DEFAULT) -> Photo | None:
        """The photograph of that name; None where there is none, or it may not be loaded."""
        if named.startswith("data:"):
            return _inside(named)
        try:
            asked = urlsplit(named)
        except ValueError:
            return None
        if asked.scheme or asked.netloc:
            allowed = asked.scheme == "https" and asked.netloc.lower() in self.hosts
            return Photo(address=named) if allowed else None
        return self._file(unquote(asked.path), tenant)

    def _file(self, path: str, tenant: str) -> Photo | None:
        kind = KINDS.get(path.rpartition(".")[2].lower())
        if self.folder is None or kind is None or "\0" in path:
            return None
        own = self.folder if tenant == DEFAULT else self.folder / tenant
        try:
            file = (own / path.lstrip("/")).resolve()
            held = file.is_relative_to(own.resolve()) and file.is_file()
        except OSError:  # a name that is too long, a link that leads to itself
            return None
        return Photo(file=file, kind=kind) if held else None


def _inside(named: str) -> Photo | None:
    written = _INSIDE.fullmatch(named) if len(named) <= LONGEST else None
    if written is None:
        return None
    try:
        return Photo(body=base64.b64decode(written[2]), kind=written[1])
    except binascii.Error:
        return None
