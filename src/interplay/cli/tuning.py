"""Searching for settings: tune."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from interplay.cli.shared import (
    DataOption,
    SetOption,
    SplitOption,
    TimeUnitOption,
    app,
    console,
    number_option,
    read,
    seed_option,
    shown,
)

if TYPE_CHECKING:
    from interplay.tuning import Tuned

SPACE = typer.Option(
    "--space", metavar="KEY=SPEC", help="what is searched: 'ridge=1..100 log', k=5..50 or loss=a|b; repeatable"
)


@app.command()
def tune(
    system: Annotated[str, typer.Argument(help="a system's name or a recipe file (shop.toml)")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="the directory that keeps the trials; a search that is there goes on")],
    split: SplitOption = None,
    metric: Annotated[
        str | None, typer.Option(help="what is chosen by, on validation: ndcg@20; for rankers auc")
    ] = None,
    space: Annotated[list[str] | None, SPACE] = None,
    set_: SetOption = None,
    minutes: Annotated[float | None, number_option("the budget, in minutes of processor time over all workers")] = None,
    trials: Annotated[int | None, typer.Option(help="the budget, in trials; whichever ends first", min=1)] = None,
    people: Annotated[
        int | None, typer.Option(help="judge a drawn sample of so many people, the same for each trial", min=2)
    ] = None,
    workers: Annotated[int, typer.Option(help="0: in this process; else so many at once, by Ray", min=0)] = 0,
    seed: Annotated[int, seed_option("decides the split, the search and everything learnt")] = 0,
    sampler: Annotated[str, typer.Option(help="tpe or random")] = "tpe",
    time_unit: TimeUnitOption = None,
) -> None:
    """Search settings on the validation part within a budget; the test part is not touched."""
    from interplay import experiment, tuning
    from interplay.configure import parsed

    settings = parsed(set_ or [])
    budget: dict[str, Any] = {
        "minutes": minutes,
        "trials": trials,
        "people": people,
        "sampler": sampler,
        "metric": metric,
    }
    tuning.asked(system, space or [], settings, **budget)  # what is wrong is told before any data are read
    parts = experiment.divided(system, read(data, time_unit), split, seed=seed)
    with shown() as progress:
        found = tuning.tune(
            system, parts, specs=space or [], settings=settings, workers=workers, seed=seed, out=out,
            progress=progress, **budget,
        )  # fmt: skip
    print(f"{system} on {parts.dataset.name}, split {parts.rule} seed {seed}, {found.metric} on the validation part")
    _table(found)
    _told(found)
    best = ["interplay", "fit", system, "--data", data, *(["--split", split] if split else []), "--seed", str(seed)]
    best += ["--metric", found.metric] if metric and found.metric != "ndcg@20" else []
    for pair in [*(set_ or []), *found.pairs]:
        best += ["--set", pair]
    print(f"best: {shlex.join([*best, '--on', 'train+valid', '--out', f'{out.name}-best'])}")


def _table(found: Tuned, most: int = 10) -> None:
    """The best trials with their intervals."""
    from rich.table import Table

    from interplay.tuning.spaces import written

    epochs = any(t.epochs is not None for t in found.trials)
    head = ["", "trial", found.metric, "95 % interval", *found.space, *(["epochs"] if epochs else []), "CPU s"]
    listed = Table(*head, box=None, header_style="bold")
    for place, trial in enumerate(found.ranked[:most], 1):
        value, error = trial.value or 0.0, trial.error or 0.0
        cells = [
            str(place),
            str(trial.number),
            f"{value:.4f}",
            f"{value - 1.96 * error:.4f} to {value + 1.96 * error:.4f}",
        ]
        cells += [written(trial.settings[key]) for key in found.space]
        cells += ["" if trial.epochs is None else str(trial.epochs)] if epochs else []
        listed.add_row(*cells, f"{trial.cpu:.1f}")
    console().print(listed)


def _told(found: Tuned) -> None:
    """How much was spent, how far the figures can be believed, and what to do next."""
    best, ranked, failed = found.best, found.ranked, found.failed
    print(
        f"{len(found.trials)} trials{f', {len(failed)} of them failed,' if failed else ''} in {found.cpu / 60:.2f} "
        f"minutes of processor time; {found.ended}"
    )
    for why in dict.fromkeys(t.said for t in failed):
        print(f"failed ({sum(t.said == why for t in failed)}): {why}")
    if len(ranked) > 1:
        print(
            f"{len(found.near)} of {len(ranked)} lie within one standard error ({best.error:.4f}) of the best: "
            f"{found.plateau}. Between them chance may have decided; the best of many looks better than it is"
        )
    first = next((t for t in ranked if t.number == 0), None)
    if first is not None:
        what = (
            "nothing was better" if best is first else f"the best {best.value:.4f}, {_gap(found, first.value or 0.0)}"
        )
        print(f"the settings as they stood (trial 0) gave {first.value:.4f}; {what}")
    for sentence in found.edges:
        print(sentence)


def _gap(found: Tuned, value: float) -> str:
    gap = (found.best.value or 0.0) - value
    return f"{abs(gap):.4f} {'more' if gap > 0 else 'less'}"
