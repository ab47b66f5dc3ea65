"""What all commands share: the application, options that mean the same everywhere, progress and tables."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from interplay.errors import BadData, BadSetting

app = typer.Typer(
    name="interplay", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A personalization engine you can talk to.",
)  # fmt: skip
data_app = typer.Typer(no_args_is_help=True, help="The public data sets known by name.")
models_app = typer.Typer(no_args_is_help=True, help="The model versions of a store.")
keys_app = typer.Typer(no_args_is_help=True, help="The API keys of a store.")
GROUPS = {"data": data_app, "models": models_app, "keys": keys_app}
for _name, _group in GROUPS.items():
    app.add_typer(_group, name=_name)

UNIT = typer.Option(
    "--time-unit", help="of the timestamp column, where it is not microseconds: seconds, milliseconds..."
)
DataOption = Annotated[str, typer.Option("--data", help="a known data set, a directory, a file, or 'market'")]
TimeUnitOption = Annotated[str | None, UNIT]
STORE = typer.Option("--store", envvar="INTERPLAY_DATABASE_URL", help="a store: an SQLite file or a postgresql:// URL")
StoreOption = Annotated[str, STORE]
TenantOption = Annotated[str, typer.Option("--tenant", help="whose part of the store")]
SEEDS = 2**32 - 1  # the largest that every generator of random numbers takes
SplitOption = Annotated[str | None, typer.Option(help="given, time, user-time, last-out, random, strong or session")]
DeviceOption = Annotated[str, typer.Option("--device", help="where networks learn: cpu, cuda, or cuda:1 of several")]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="a setting; repeatable")]


def seed_option(help_: str) -> Any:
    """An option that takes what every generator of random numbers takes as a seed."""
    return typer.Option(help=help_, min=0, max=SEEDS)


def number_option(help_: str, *, low: float = 0.0, high: float | None = None) -> Any:
    """An option that takes a finite number of at least `low`."""
    return typer.Option(help=help_, min=low, max=high, callback=_finite)


def _finite(value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):  # a range lets NaN through
        raise typer.BadParameter(f"{value} is not a finite number")
    return value


def names(spoken: str | None) -> list[str] | None:
    """What was listed with commas; None where nothing was."""
    return None if spoken is None else [part.strip() for part in spoken.split(",") if part.strip()]


def seeds(spoken: str | None) -> list[int] | None:
    """Seeds that were listed with commas."""
    listed = names(spoken)
    for one in listed or ():
        if not one.isdecimal() or int(one) > SEEDS:
            raise BadSetting(f"--seeds names {one!r}; expected whole numbers from 0 to {SEEDS}, such as --seeds 0,1,2")
    return None if listed is None else [int(one) for one in listed]


def read(data: str, time_unit: str | None = None) -> Any:
    """The data set; what its files held, kept and lacked is said where progress is."""
    from interplay import experiment
    from interplay.data.report import Report

    report = Report(data)
    dataset = experiment.dataset(data, time_unit=time_unit, report=report)
    for line in report.lines():
        print(line, file=sys.stderr)
    return dataset


@contextmanager
def opened(where: str, tenant: str = "default", *, new: bool = False) -> Iterator[Any]:
    """The store, closed at the end. A file that is not there is made only if it may be `new`."""
    from interplay.data.store.store import Store

    if not new and "://" not in where and not Path(where).exists():
        raise BadData(f"no store at {where}; `interplay ingest FILES --store {where}` makes one")
    store = Store.open(where, tenant=tenant)
    try:
        yield store
    finally:
        store.close()


def console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


@contextmanager
def shown() -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """A bar per stage that says how far it is (`done` of `total`); other facts stand beside it as words.

    Where nobody looks at a terminal, a line at the start of each stage and every ten seconds.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def said(stage: str, facts: Mapping[str, Any]) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None, facts="")
            known = {"total": facts["total"], "completed": facts.get("done", 0)} if "total" in facts else {}
            bars.update(tasks[stage], facts=_worded(facts), **known)

        yield said
        for task in tasks.values():
            bars.update(task, total=1, completed=1)


def _worded(facts: Mapping[str, Any]) -> str:
    rest = {k: v for k, v in facts.items() if k not in ("done", "total", "said")}
    words = [str(facts["said"])] if "said" in facts else []
    return ", ".join([*words, *(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rest.items())])


def _lines(every: float = 10.0) -> Callable[[str, Mapping[str, Any]], None]:
    begun, told = time.monotonic(), dict[str, float]()

    def said(stage: str, facts: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - told.get(stage, -every) >= every:
            told[stage] = now
            far = f"{facts.get('done', 0):,} of {facts['total']:,}" if "total" in facts else ""
            words = ", ".join(w for w in (far, _worded(facts)) if w)
            print(f"{now - begun:6.1f} s  {stage}" + (f": {words}" if words else ""), file=sys.stderr, flush=True)

    return said
