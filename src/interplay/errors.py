"""The exceptions a caller may want to catch. Each says what was found, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InterplayError(Exception):
    """Anything that a person can cause and mend."""


class BadData(InterplayError, ValueError):
    """A file, a row or a table that cannot be used as it stands."""


class UnknownName(InterplayError, ValueError):
    """A system, data set, setting, metric or bench that does not exist."""


class BadSetting(InterplayError, ValueError):
    """A setting with a value that cannot be meant."""


class TooLarge(InterplayError, ValueError):
    """The data are larger than this system can hold."""


class Mismatch(InterplayError, ValueError):
    """A model and the data, split or version it is used with do not belong together."""


class Leakage(InterplayError):
    """Something that must not be known at fit time was used."""


class Undecidable(InterplayError):
    """The log cannot tell what was asked of it; the sentence names what is missing."""


class MissingExtra(InterplayError, ImportError):
    """An optional dependency is not installed."""


class Unavailable(InterplayError):
    """What was asked may work later: a database is down, or too much is waiting."""


class Unsupported(InterplayError):
    """This system does not do what was asked of it."""


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The names closest to a mistyped one, best first.

    >>> nearest("sasrek", ["ease", "sasrec", "slim"])
    ['sasrec']
    """
    return difflib.get_close_matches(name.lower(), list(known), n=n, cutoff=0.62)


def unknown(what: str, name: str, known: Iterable[str]) -> UnknownName:
    """The sentence for a name that does not exist.

    >>> str(unknown("system", "sasrek", ["ease", "sasrec"]))
    "no system called 'sasrek'; nearest: ['sasrec']"
    """
    listed = sorted(known)
    close = nearest(name, listed)
    return UnknownName(f"no {what} called {name!r}; " + (f"nearest: {close}" if close else f"known: {listed}"))


def extra(package: str, name: str) -> MissingExtra:
    """The sentence for an absent optional dependency."""
    return MissingExtra(f"{package} is not installed; install it with: pip install 'interplay[{name}]'")
