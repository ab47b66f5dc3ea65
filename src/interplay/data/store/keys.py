"""API keys: the text goes to its owner once; the store keeps a hash of it.

    text, key = store.keys.create("the shop's server", scopes=["read", "write"], rate=50)
    store.keys.find(hashed(text))                  # the Key, of whichever tenant; None if unknown or revoked

Keys are few and asked for with every request, so each process holds them all and looks again after a second.
"""

from __future__ import annotations

import builtins
import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from interplay.data.store import schema as t
from interplay.data.store.store import Store, now
from interplay.errors import BadSetting, UnknownName, unknown

SCOPES = ("read", "write", "admin")
PREFIX = "ip_"  # of every key, so that one that leaked is recognised
FRESH = 1.0  # seconds after which a key that another process revoked opens nothing here either


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known of a key; its text is not."""

    key_id: str
    tenant: str
    scopes: frozenset[str]
    rate: float | None = None  # requests a second; None is no limit of its own
    name: str = ""
    made_at: int = 0
    revoked_at: int | None = None

    def may(self, scope: str) -> bool:
        """An admin key may do everything; one that writes need not be allowed to read."""
        return scope in self.scopes or "admin" in self.scopes


def hashed(text: str) -> str:
    """SHA-256 of a key; a slow hash would add nothing to 256 random bits.

    >>> hashed("ip_example")[:12]
    'fb64f54ea297'
    """
    return hashlib.sha256(text.encode()).hexdigest()


class Keys:
    """Keys of one tenant to make, list and revoke; keys of all tenants to find and count."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._held: dict[str, Key] = {}
        self._read = -FRESH

    def create(
        self, name: str = "", *, scopes: Sequence[str] = ("read", "write"), rate: float | None = None
    ) -> tuple[str, Key]:
        """A new key: its text, which can be read this once, and what is kept of it."""
        for scope in scopes:
            if scope not in SCOPES:
                raise unknown("scope", scope, SCOPES)
        if not scopes:
            raise BadSetting(f"a key without scopes opens nothing; expected some of {', '.join(SCOPES)}")
        if rate is not None and not rate > 0:
            raise BadSetting(f"the rate is {rate}; expected more than 0 requests a second, or nothing for no limit")
        text = PREFIX + secrets.token_urlsafe(32)
        key = Key(
            key_id=hashed(text)[:12], tenant=self.store.tenant, scopes=frozenset(scopes), rate=rate, name=name,
            made_at=now(),
        )  # fmt: skip
        row = {
            "tenant": key.tenant, "key_id": key.key_id, "digest": hashed(text), "name": name,
            "scopes": " ".join(s for s in SCOPES if s in key.scopes), "rate": rate, "made_at": key.made_at,
        }  # fmt: skip
        self.store.database.write(lambda connection: connection.execute(sa.insert(t.keys), row))
        self._read = -FRESH
        return text, key

    def find(self, digest: str) -> Key | None:
        """The key with this hash, of whichever tenant; None for one that does not exist or was revoked.

        The one question that is asked across tenants: its answer says for which tenant all others are asked.
        """
        return self._all().get(digest)

    def __len__(self) -> int:
        """How many keys open anything, of all tenants: a service without any is open to everybody."""
        return len(self._all())

    def _all(self) -> dict[str, Key]:
        if time.monotonic() - self._read > FRESH:
            rows = self.store.database.rows(sa.select(t.keys).where(t.keys.c.revoked_at.is_(None)))
            self._held, self._read = {row.digest: _key(row) for row in rows}, time.monotonic()
        return self._held

    def list(self) -> builtins.list[Key]:
        """The tenant's keys, revoked ones too, oldest first."""
        query = sa.select(t.keys).where(self.store.mine(t.keys)).order_by(t.keys.c.made_at, t.keys.c.key_id)
        return [_key(row) for row in self.store.database.rows(query)]

    def revoke(self, key_id: str) -> None:
        """Open nothing with this key from now on."""
        change = (
            sa.update(t.keys)
            .where(self.store.mine(t.keys), t.keys.c.key_id == key_id, t.keys.c.revoked_at.is_(None))
            .values(revoked_at=now())
        )
        if not self.store.database.write(lambda connection: connection.execute(change).rowcount):
            raise UnknownName(f"no key {key_id!r} to revoke; `interplay keys list` names those there are")
        self._read = -FRESH


def _key(row: sa.Row[tuple[object, ...]]) -> Key:
    return Key(
        key_id=row.key_id, tenant=row.tenant, scopes=frozenset(row.scopes.split()), rate=row.rate, name=row.name,
        made_at=row.made_at, revoked_at=row.revoked_at,
    )  # fmt: skip
