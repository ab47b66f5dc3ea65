"""Learning from files and judging what was learnt: systems, data, fit, evaluate, bench, ask."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from interplay.cli.shared import (
    DataOption,
    DeviceOption,
    SetOption,
    SplitOption,
    TimeUnitOption,
    app,
    console,
    data_app,
    names,
    number_option,
    read,
    seed_option,
    shown,
)
from interplay.cli.shared import seeds as seeds_of
from interplay.errors import BadSetting


@app.command()
def systems(as_json: Annotated[bool, typer.Option("--json", help="a list of objects")] = False) -> None:
    """List the published systems: name, what it does, where it was published, what it needs."""
    from interplay.systems import ROWS

    if as_json:
        rows = [
            {"name": r.name, "kind": r.kind, "paper": r.paper, "needs": sorted(r.needs), "about": r.about}
            | ({"command": r.command} if r.command else {})
            for r in ROWS
        ]
        print(json.dumps(rows, indent=1))
        return
    from rich.table import Table

    listed = Table("name", "what it does", "needs", "published", box=None, header_style="bold")
    for r in ROWS:
        about = f"{r.about}: `{r.command}`" if r.command else r.about
        listed.add_row(r.name, about, ", ".join(sorted(r.needs)), r.paper)
    console().print(listed)


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="a data set directory")],
    time_unit: TimeUnitOption = None,
) -> None:
    """Check a data set directory: every bad row with its file, row, column and reason."""
    from interplay.data.read import validate as check

    report = check(path, time_unit=time_unit)
    print(report)
    if not report.ok:
        raise typer.Exit(3)


@data_app.command("list")
def data_list() -> None:
    """The data sets known by name."""
    from rich.table import Table

    from interplay.data.read import known

    listed = Table("name", "what it is", box=None, header_style="bold")
    for name, about in known().items():
        listed.add_row(name, about)
    listed.add_row("market", "the built-in demo world, made on the spot (market:SEED for another)")
    console().print(listed)


@data_app.command("how")
def data_how(name: str) -> None:
    """Source, licence and layout of a data set."""
    from interplay.data.read import how

    print(how(name))


@data_app.command("get")
def data_get(name: str) -> None:
    """Download a data set from its own publisher into the cache, and record the checksum it had."""
    from interplay.data.read import get

    with shown() as progress:
        print(get(name, progress=progress))


@app.command()
def fit(
    system: Annotated[str, typer.Argument(help="a system's name or a recipe file (shop.toml)")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="the model directory to write")],
    split: SplitOption = None,
    on: Annotated[
        str, typer.Option(help="train, or train+valid: choose epochs on valid, then refit on both")
    ] = "train",
    set_: SetOption = None,
    seed: Annotated[int, seed_option("decides the split and everything learnt")] = 0,
    metric: Annotated[str, typer.Option(help="what epochs are chosen by, on validation; for rankers AUC")] = "ndcg@20",
    workers: Annotated[int, typer.Option(help="0: in this process; else so many by Ray, a batch each", min=0)] = 0,
    device: DeviceOption = "cpu",
    time_unit: TimeUnitOption = None,
) -> None:
    """Fit a system or a recipe; a failed fit leaves no OUT."""
    from functools import partial

    from interplay import cluster, experiment
    from interplay.configure import parsed
    from interplay.fitted import built

    settings = parsed(set_ or [])
    built(system, settings)  # a wrong name or setting is refused before any data are read
    parts = experiment.divided(system, read(data, time_unit), split, seed=seed)
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    fit_ = partial(cluster.fit, workers=workers) if workers else experiment.fit
    with shown() as progress:
        fitted = fit_(
            system, parts, on=on, settings=settings, seed=seed, metric=metric, checkpoint=checkpoint,
            progress=progress, device=device,
        )  # fmt: skip
        fitted.save(out)
    shutil.rmtree(checkpoint, ignore_errors=True)
    told = fitted.manifest
    labelled = told["data"].get("n_examples", 0)
    held = f"{labelled:,} examples" if labelled else f"{told['data']['n_events']:,} events"
    print(
        f"{system} fitted on {told['data']['name']} ({held}, {told['data']['n_users']:,} "
        f"users, {told['data']['n_items']:,} items), split {parts.rule} seed {seed}, {on}, "
        f"in {told['fitted']['seconds']:.1f} s: {out}"
    )


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="a model directory")],
    data: DataOption,
    metrics: Annotated[
        str | None, typer.Option(help="comma-separated, like recall@20,ndcg@20, or for a ranker auc,logloss:click")
    ] = None,
    history: Annotated[str | None, typer.Option(help="train, train+valid or fold: what is known of people")] = None,
    seen: Annotated[str, typer.Option(help="drop or keep what the history holds")] = "drop",
    as_json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="also write the figures here")] = None,
    time_unit: TimeUnitOption = None,
) -> None:
    """Judge a fitted system on the test part of its own split: against the whole catalogue, a ranker by its labels."""
    from rich.table import Table

    from interplay import experiment
    from interplay.evaluate.judged import Judged
    from interplay.evaluate.reads import LOG
    from interplay.fitted import Fitted

    fitted, dataset, log = Fitted.load(model), read(data, time_unit), model / LOG
    judged = experiment.evaluate(
        fitted, dataset, history=history, seen=seen, log=log,
        metrics=names(metrics),
    )  # fmt: skip
    mean = {m: float(v) for m, v in judged.mean().items()}
    panel = experiment.beyond(judged, dataset) if isinstance(judged, Judged) else {}
    if as_json:
        told = {"metrics": mean, "protocol": judged.protocol, "panel": panel}
        as_json.write_text(json.dumps(told, indent=1, default=str) + "\n")
    for name, value in judged.protocol.items():
        print(f"{name}: {value}")
    listed = Table("metric", "mean", "95 % interval", box=None, header_style="bold")
    for name, (low, high) in judged.intervals().items():
        listed.add_row(name, f"{mean[name]:.4f}", f"{low:.4f} to {high:.4f}")
    console().print(listed)
    if panel:
        beside = Table("beyond accuracy", "mean", box=None, header_style="bold")
        for name, value in panel.items():
            beside.add_row(name, f"{value:.4f}")
        console().print(beside)
    times = judged.protocol["test_reads"]
    print(f"test part read {times} time{'s' * (times > 1)} by this model or others of its kind at this place ({log})")
    if times > 1:
        print(
            "warning: what is chosen by a second look at the test part is fitted to it; choose on the validation part",
            file=sys.stderr,
        )


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="a bench; none of that name: the known ones are told")],
    systems: Annotated[str | None, typer.Option(help="only these rows, comma-separated")] = None,
    seeds: Annotated[str | None, typer.Option(help="comma-separated; each row's own by default")] = None,
    resume: Annotated[bool, typer.Option(help="skip what is recorded, go on from checkpoints")] = False,
    table: Annotated[bool, typer.Option(help="print the table of what is recorded, run nothing")] = False,
    verify: Annotated[bool, typer.Option(help="rerun one recorded row, drawn at random")] = False,
    workers: Annotated[int, typer.Option(help="rows at once, over Ray; 0: one after the other", min=0)] = 0,
    search: Annotated[
        float | None, typer.Option(help="search the rows' settings on validation, so many CPU minutes each")
    ] = None,
    device: DeviceOption = "cpu",
) -> None:
    """Run a bench and append its records to results/, or print its table, or check a record."""
    from interplay import reporting, results

    rows, drawn = names(systems), seeds_of(seeds)
    if search is not None:
        from interplay import searches

        searches.search(name, search, systems=rows)
        return
    if verify:
        if not results.verify(name, systems=rows):
            raise typer.Exit(3)
        return
    if not table:
        results.run_bench(name, systems=rows, seeds=drawn, resume=resume, workers=workers, device=device)
    print(reporting.table(name, systems=rows if table else None))


@app.command()
def ask(
    model: Annotated[Path, typer.Argument(help="a model directory")],
    user: Annotated[str | None, typer.Option(help="who asks; a stranger if nobody knows them")] = None,
    users: Annotated[
        str | None,
        typer.Option(help="lists for many: 'all', or a file of ids (column user_id, or one a line in a .txt)"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where their lists go: .parquet, .csv or .jsonl")] = None,
    k: Annotated[int, typer.Option("-k", help="how many", min=1)] = 10,
    query: Annotated[str | None, typer.Option(help="search for this")] = None,
    exclude: Annotated[str | None, typer.Option(help="item ids to withhold, comma-separated")] = None,
    where: Annotated[str | None, typer.Option(help="a predicate over the catalogue, like 'price < 20'")] = None,
    workers: Annotated[int, typer.Option(help="with --users, 0: in this process; else so many by Ray", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="a list of objects")] = False,
) -> None:
    """Ask a fitted system for a list, or for the lists of many people at once."""
    if users is not None or out is not None or workers:
        if users is None or out is None or user is not None or query is not None or as_json:
            raise BadSetting(
                "lists for many people take --users and --out, and no --user, --query or --json: "
                f"interplay ask {model} --users all --out lists.parquet"
            )
        _ask_many(model, users, out, k=k, exclude=names(exclude) or [], where=where, workers=workers)
        return
    from rich.table import Table

    from interplay.fitted import Fitted

    fitted = Fitted.load(model)
    frame = fitted.recommend(
        users=[user if user is not None else ""], queries=None if query is None else [query], k=k,
        exclude=names(exclude) or [], where=where,
    )  # fmt: skip
    catalogue = fitted.dataset.catalogue
    titles = None if catalogue is None or "title" not in catalogue.columns else catalogue["title"].to_list()
    index = fitted.dataset.items.index(frame["item_id"].to_list())
    rows = [
        {"rank": r["rank"], "item_id": r["item_id"], "score": r["score"]} | ({"title": titles[i]} if titles else {})
        for r, i in zip(frame.iter_rows(named=True), index.tolist(), strict=True)
    ]
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    listed = Table("", "item", *(["title"] if titles else []), "score", box=None, header_style="bold")
    for row in rows:
        listed.add_row(
            str(row["rank"]), str(row["item_id"]), *([str(row["title"])] if titles else []), f"{row['score']:.4g}"
        )
    console().print(listed)
    if not rows:
        print("nothing may be shown under these rules", file=sys.stderr)


def _ask_many(model: Path, users: str, out: Path, **asked: Any) -> None:
    from interplay.answering import answer_all

    with shown() as progress:
        told = answer_all(model, users, out, progress=progress, **asked)
    for problem in told.refused.problems[:10]:
        print(problem, file=sys.stderr)
    print(
        f"{told.rows:,} rows for {told.people:,} people: {out}"
        + (f"; {told.unknown:,} of them unknown, who got what strangers get" if told.unknown else "")
        + (f"; {told.empty:,} of them may be shown nothing" if told.empty else "")
        + (f"; {told.refused.refused:,} rows of {users} refused" if told.refused.refused else "")
    )


@app.command()
def rehearse(
    model: Annotated[Path, typer.Argument(help="a model directory")],
    data: DataOption,
    world: Annotated[str, typer.Option(help="learned, logistic, item, global; or agents")] = "learned",
    people: Annotated[int, typer.Option(help="how many of the log's people", min=1)] = 20,
    pages: Annotated[int, typer.Option(help="how many pages each is shown", min=1)] = 5,
    seed: Annotated[int, seed_option("decides who comes and what they do")] = 0,
    seconds: Annotated[float, number_option("agents: how long one answer may take")] = 30.0,
    time_unit: TimeUnitOption = None,
) -> None:
    """Show a fitted system to simulated people of a log with ratings, and say how far they are like the real ones.

    Agents are spoken for by a text model (INTERPLAY_TEXT_MODEL_URL); without one, recorded agents stand in for them.
    """
    from interplay.fitted import Fitted
    from interplay.llm import configured
    from interplay.protocols.rehearsing import rehearse as rehearsed

    told = rehearsed(
        Fitted.load(model), read(data, time_unit), world=world, people=people, pages=pages, seed=seed,
        model=configured(seconds=seconds),
    )  # fmt: skip
    print(f"{told.pages} pages: " + ", ".join(f"{n} {kind}" for kind, n in told.counts.items()))
    if told.spoken:
        print(f"text model: {told.spoken['answered']} of {told.spoken['pages']} pages answered; "
              f"{told.spoken['fell_back']} by the learned simulator")  # fmt: skip
        for why, n in told.spoken["reasons"].items():
            print(f"  {n}: {why}")
    if told.mark:
        print(f"RECORDED AGENTS: {told.mark}")
    like, of = told.likeness, "recorded" if told.mark else "learned" if told.spoken else world
    print(f"the {of} simulator on ratings it has not seen: auc {like['auc']:.3f}, said over true {like['base']:.2f}")
    print(
        f"told apart from real answers with an AUC of {like['apart']:.2f}; .5 is best. No gain with real people follows"
    )


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing, and what that means."""
    import importlib.metadata
    import importlib.util
    import os
    import platform

    import interplay
    from interplay.data.read import roots

    print(f"interplay {interplay.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores")
    wanted = {
        "torch": "models that learn by gradient", "sentence_transformers": "search by meaning (extra: text)",
        "bm25s": "search by words (extra: lexical)", "Stemmer": "word stems (extra: lexical)",
        "faiss": "approximate indexes (extra: ann)", "matplotlib": "plots (extra: plots)",
        "lightgbm": "boosted trees (extra: trees)", "gymnasium": "worlds as environments (extra: sim)",
        "ray": "several workers or machines (extra: cluster)", "optuna": "search for settings (extra: tune)",
        "psycopg": "stores in PostgreSQL (extra: postgres)", "opentelemetry": "spans (extra: telemetry)",
    }  # fmt: skip
    missing = 0
    for module, use in wanted.items():
        there = importlib.util.find_spec(module) is not None
        missing += not there
        print(f"{'found  ' if there else 'missing'} {module}: {use}")
    if importlib.util.find_spec("torch") is not None:
        from interplay.learn.device import gpus

        seen = [f"cuda:{i} {name}" for i, name in enumerate(gpus())]
        print(f"networks may learn on {', '.join(['cpu', *seen])}" + ("" if seen else " (torch sees no GPU)"))
    for root in roots():
        print(f"data sets are looked for in {root}" + ("" if root.exists() else " (not there)"))
    if missing:
        print("what is missing is only needed for what stands beside it")
