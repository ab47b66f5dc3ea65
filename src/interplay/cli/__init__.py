"""The command line: thin commands, each a call of one library function.

Exit codes: 0 done, 1 refused (the sentence says what to mend), 2 wrong usage or an unknown name, 3 a check found
something, 130 interrupted.
"""

from __future__ import annotations

import sys

from interplay.cli import research, serving, stores, tuning  # each adds its commands
from interplay.cli.shared import GROUPS, app
from interplay.errors import InterplayError, UnknownName, nearest

__all__ = ["app", "main", "research", "serving", "stores", "tuning"]


def main() -> None:
    """The console script: sentences instead of tracebacks for everything a person can mend."""
    arguments = sys.argv[1:]
    commands = [c.name or c.callback.__name__ for c in app.registered_commands if c.callback]
    commands += list(GROUPS)
    if arguments and not arguments[0].startswith("-") and arguments[0] not in commands:
        close = nearest(arguments[0], commands)
        print(
            f"no command called {arguments[0]!r}; " + (f"nearest: {close}" if close else f"known: {sorted(commands)}"),
            file=sys.stderr,
        )
        sys.exit(2)
    try:
        app()
    except UnknownName as error:
        print(f"interplay: {error}", file=sys.stderr)
        sys.exit(2)
    except (InterplayError, OSError, MemoryError) as error:
        print(f"interplay: {error or 'out of memory; choose a smaller system or data set'}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interplay: interrupted; nothing was replaced", file=sys.stderr)
        sys.exit(130)
