"""Processes beside the service that learn and estimate: started for an errand, watched, and ended with the service."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading

from interplay.data.store.store import Store
from interplay.errands import Errand, Errands, where

log = logging.getLogger("interplay.engine")


class Workshop:
    """The processes that this service has started for one tenant."""

    def __init__(self, store: Store) -> None:
        self.store, self.errands = store, Errands(store)
        self._working: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, errand: Errand) -> None:
        """Start a process for an errand that was put; returns at once. Like the service it computes on one thread."""
        command = [sys.executable, "-m", "interplay.cli", "errand", errand.errand_id, "--tenant", self.store.tenant]
        said = tempfile.TemporaryFile()  # noqa: SIM115 (the thread that waits closes it)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            env={**os.environ, "INTERPLAY_DATABASE_URL": where(self.store)},  # it may hold a password: no argument
        )  # fmt: skip
        self._working[errand.errand_id] = process

        def wait() -> None:
            status = process.wait()
            with said:
                said.seek(0)
                lines = said.read().decode(errors="replace").strip().splitlines()
            self._working.pop(errand.errand_id, None)
            if status:
                log.error("the %s %s ended with %s: %s", errand.kind, errand.errand_id, status, "\n".join(lines[-20:]))
                last = lines[-1] if lines else "it said nothing"
                self.errands.fail(errand.errand_id, f"its process ended with status {status}: {last}")

        threading.Thread(target=wait, name=f"errand-{errand.errand_id}", daemon=True).start()

    def stop(self, errand_id: str) -> None:
        """Forget an errand, and end its process where it is ours."""
        self.errands.drop(errand_id)
        process = self._working.get(errand_id)
        if process is not None:
            process.terminate()

    def close(self) -> None:
        """End what is still at work; those who asked are told."""
        for errand_id, process in list(self._working.items()):
            self.errands.fail(errand_id, "the service closed before it had ended; ask again")
            process.terminate()
