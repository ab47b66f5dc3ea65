"""Interplay: a personalization engine you can talk to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interplay.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> Any:
    """The clients, loaded when they are asked for."""
    if name in ("Client", "AsyncClient"):
        from interplay import client

        return getattr(client, name)
    raise AttributeError(f"module 'interplay' has no attribute {name!r}")
