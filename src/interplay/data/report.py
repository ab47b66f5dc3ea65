"""What was found in somebody's files: rows in, kept and refused, each refusal with file, row, column and reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from interplay.errors import BadData
from interplay.types import Array

log = logging.getLogger("interplay.data")

SHOWN = 1000  # refused rows that are listed one by one; beyond that they are only counted


@dataclass(frozen=True)
class Problem:
    """One refused row. Rows count from 1; the header of a CSV file is not counted."""

    file: str
    row: int | None
    column: str | None
    reason: str

    def __str__(self) -> str:
        row = "" if self.row is None else f", row {self.row}"
        column = "" if self.column is None else f", column {self.column}"
        return f"{self.file}{row}{column}: {self.reason}"


@dataclass
class Counts:
    """Rows of one file: what came in is what was kept plus what was refused."""

    rows: int = 0
    kept: int = 0
    refused: int = 0


@dataclass
class Report:
    """Everything that reading some files brought to light; it grows while they are read."""

    name: str
    files: dict[str, Counts] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)  # the first `SHOWN`
    notes: list[str] = field(default_factory=list)  # worth knowing, nothing refused
    unreadable: list[str] = field(default_factory=list)  # files that could not be used at all
    sink: Callable[[str, int, str | None, str, str], None] | None = None  # told of each: file, row, column, why, what

    @property
    def rows(self) -> int:
        return sum(c.rows for c in self.files.values())

    @property
    def kept(self) -> int:
        return sum(c.kept for c in self.files.values())

    @property
    def refused(self) -> int:
        return sum(c.refused for c in self.files.values())

    @property
    def ok(self) -> bool:
        """True when every row of every file can be used."""
        return not self.refused and not self.unreadable

    def counts(self, file: str) -> Counts:
        return self.files.setdefault(file, Counts())

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)
            log.info("%s: %s", self.name, sentence)

    def refuse(
        self,
        file: str,
        rows: Sequence[int] | Array,
        column: str | None,
        reasons: Callable[[int], str],
        held: Callable[[int], str] | None = None,
    ) -> None:
        """Count `rows` (numbers in the file) as refused: `reasons(i)` says why, `held(i)` what stood there."""
        for i in range(min(len(rows), SHOWN - len(self.problems))):
            self.problems.append(Problem(file, int(rows[i]), column, reasons(i)))
        self.counts(file).refused += len(rows)
        if self.sink is not None:
            for i in range(len(rows)):
                self.sink(file, int(rows[i]), column, reasons(i), "" if held is None else held(i))

    def lines(self) -> list[str]:
        """What a person should read, most important first."""
        out = [*self.unreadable]
        for file, c in self.files.items():
            out.append(f"{file}: {c.rows:,} rows in, {c.kept:,} kept, {c.refused:,} refused")
        out += [str(p) for p in self.problems]
        if self.refused > len(self.problems):
            out.append(f"and {self.refused - len(self.problems):,} more refused rows")
        return out + self.notes

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def require(self) -> None:
        """Raise one sentence if any row was refused.

        Errors: BadData with the count and the first refused row.
        """
        if self.refused:
            first = f"; the first: {self.problems[0]}" if self.problems else ""
            raise BadData(
                f"{self.name}: {self.refused:,} of {self.rows:,} rows cannot be used{first}. Mend them, or ingest the "
                "files (interplay ingest FILES --out DIR): that keeps the good rows and writes the refused ones to a "
                "file of their own"
            )
