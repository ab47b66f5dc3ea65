"""The command line: thin commands, each a call of one library function.

Exit codes: 0 done, 1 refused (the sentence says what to mend), 2 wrong usage or an unknown name, 3 a check found
something, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from interplay.errors import BadSetting, InterplayError, UnknownName, nearest

app = typer.Typer(
    name="interplay", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
    help="A personalization engine you can talk to.",
)  # fmt: skip
data_app = typer.Typer(no_args_is_help=True, help="The public data sets known by name.")
models_app = typer.Typer(no_args_is_help=True, help="The model versions of a store.")
keys_app = typer.Typer(no_args_is_help=True, help="The API keys of a store.")
app.add_typer(data_app, name="data")
app.add_typer(models_app, name="models")
app.add_typer(keys_app, name="keys")

UNIT = typer.Option(
    "--time-unit", help="of the timestamp column, where it is not microseconds: seconds, milliseconds..."
)
STORE = typer.Option("--store", envvar="INTERPLAY_DATABASE_URL", help="a store: an SQLite file or a postgresql:// URL")
TENANT = typer.Option("--tenant", help="whose part of the store")
DataOption = Annotated[str, typer.Option("--data", help="a known data set, a directory, a file, or 'market'")]


@app.command()
def systems(as_json: Annotated[bool, typer.Option("--json", help="a list of objects")] = False) -> None:
    """List the published systems: name, what it does, where it was published, what it needs."""
    from interplay.systems import ROWS

    if as_json:
        rows = [
            {"name": r.name, "kind": r.kind, "paper": r.paper, "needs": sorted(r.needs), "about": r.about} for r in ROWS
        ]
        print(json.dumps(rows, indent=1))
        return
    from rich.table import Table

    listed = Table("name", "what it does", "needs", "published", box=None, header_style="bold")
    for r in ROWS:
        listed.add_row(r.name, r.about, ", ".join(sorted(r.needs)), r.paper)
    _console().print(listed)


@app.command()
def validate(
    path: Annotated[Path, typer.Argument(help="a data set directory")],
    time_unit: Annotated[str | None, UNIT] = None,
) -> None:
    """Check a data set directory: every bad row with its file, row, column and reason."""
    from interplay.data.tables import validate as check

    report = check(path, time_unit=time_unit)
    print(report)
    if not report.ok:
        raise typer.Exit(3)


@app.command()
def ingest(
    files: Annotated[
        list[Path], typer.Argument(help="CSV, Parquet, Arrow or JSON-lines files, or data set directories")
    ],
    out: Annotated[Path | None, typer.Option(help="write a data set directory (interactions only)")] = None,
    store: Annotated[str | None, STORE] = None,
    tenant: Annotated[str, TENANT] = "default",
    refused: Annotated[Path | None, typer.Option(help="with --out: file for refused rows (OUT/refused.csv)")] = None,
    batch: Annotated[int, typer.Option(help="rows held in memory at once")] = 500_000,
    time_unit: Annotated[str | None, UNIT] = None,
) -> None:
    """Stream files of any size into a store, or into a data set directory; memory is bounded by the batch."""
    if (out is None) == (store is None):
        raise BadSetting(
            "say where to: --store WHERE (a store to serve from) or --out DIR (a data set), one of the two"
        )
    with _progress() as progress:
        if out is not None:
            from interplay.data.ingest import ingest as stream

            report = stream(files, out, refused=refused, batch=batch, time_unit=time_unit, progress=progress)
        else:
            from interplay.data.store.loading import ROWS
            from interplay.data.store.loading import ingest as keep

            with _opened(store, tenant) as opened:
                report = keep(opened, files, batch=min(batch, ROWS), time_unit=time_unit, progress=progress)
    print(report)
    if report.refused:
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
    _console().print(listed)


@data_app.command("how")
def data_how(name: str) -> None:
    """Source, licence and layout of a data set."""
    from interplay.data.read import how

    print(how(name))


@data_app.command("get")
def data_get(name: str) -> None:
    """Download a data set from its own publisher into the cache, and record the checksum it had."""
    from interplay.data.read import get

    with _progress() as progress:
        print(get(name, progress=progress))


@app.command()
def fit(
    system: Annotated[str, typer.Argument(help="a system's name or a recipe file (shop.toml)")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="the model directory to write")],
    split: Annotated[str | None, typer.Option(help="given, time, last-out, random, strong or session")] = None,
    on: Annotated[
        str, typer.Option(help="train, or train+valid: choose epochs on valid, then refit on both")
    ] = "train",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="a setting; repeatable")] = None,
    seed: Annotated[int, typer.Option(help="decides the split and everything learnt")] = 0,
    metric: Annotated[str, typer.Option(help="what epochs are chosen by, on validation")] = "ndcg@20",
) -> None:
    """Fit a system or a recipe; a failed fit leaves no OUT."""
    from interplay import experiment
    from interplay.configure import parsed
    from interplay.data.split import split as cut
    from interplay.fitted import built

    settings = parsed(set_ or [])
    built(system, settings)  # a wrong name or setting is refused before any data are read
    parts = cut(experiment.dataset(data), split, seed=seed)
    checkpoint = out.with_name(f".{out.name}.checkpoint")
    with _progress() as progress:
        fitted = experiment.fit(
            system, parts, on=on, settings=settings, seed=seed, metric=metric, checkpoint=checkpoint, progress=progress
        )
        fitted.save(out)
    _remove(checkpoint)
    told = fitted.manifest
    print(
        f"{system} fitted on {told['data']['name']} ({told['data']['n_events']:,} events, {told['data']['n_users']:,} "
        f"users, {told['data']['n_items']:,} items), split {parts.rule} seed {seed}, {on}, "
        f"in {told['fitted']['seconds']:.1f} s: {out}"
    )


@app.command()
def evaluate(
    model: Annotated[Path, typer.Argument(help="a model directory")],
    data: DataOption,
    metrics: Annotated[str, typer.Option(help="comma-separated, like recall@20,ndcg@20")] = "recall@20,ndcg@20",
    history: Annotated[str | None, typer.Option(help="train, train+valid or fold: what is known of people")] = None,
    seen: Annotated[str, typer.Option(help="drop or keep what the history holds")] = "drop",
    as_json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="also write the figures here")] = None,
) -> None:
    """Judge a fitted system on the test part of its own split, against the whole catalogue."""
    from rich.table import Table

    from interplay import experiment
    from interplay.fitted import Fitted

    fitted = Fitted.load(model)
    judged = experiment.evaluate(
        fitted, experiment.dataset(data), metrics=[m.strip() for m in metrics.split(",") if m.strip()],
        history=history, seen=seen,
    )  # fmt: skip
    mean = {m: float(v) for m, v in judged.mean().items()}
    if as_json:
        as_json.write_text(json.dumps({"metrics": mean, "protocol": judged.protocol}, indent=1, default=str) + "\n")
    for name, value in judged.protocol.items():
        print(f"{name}: {value}")
    listed = Table("metric", "mean", "95 % interval", box=None, header_style="bold")
    for name, (low, high) in judged.intervals().items():
        listed.add_row(name, f"{mean[name]:.4f}", f"{low:.4f} to {high:.4f}")
    _console().print(listed)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="a bench of benches.py")],
    systems: Annotated[str | None, typer.Option(help="only these rows, comma-separated")] = None,
    seeds: Annotated[str | None, typer.Option(help="comma-separated; each row's own by default")] = None,
    resume: Annotated[bool, typer.Option(help="skip what is recorded, go on from checkpoints")] = False,
    table: Annotated[bool, typer.Option(help="print the table of what is recorded, run nothing")] = False,
    verify: Annotated[bool, typer.Option(help="rerun one recorded row, drawn at random")] = False,
) -> None:
    """Run a bench and append its records to results/, or print its table, or check a record."""
    from interplay import experiment

    if table:
        print(experiment.table(name))
    elif verify:
        if not experiment.verify(name):
            raise typer.Exit(3)
    else:
        experiment.run_bench(
            name, systems=systems.split(",") if systems else None,
            seeds=[int(s) for s in seeds.split(",")] if seeds else None, resume=resume,
        )  # fmt: skip
        print(experiment.table(name))


@app.command()
def ask(
    model: Annotated[Path, typer.Argument(help="a model directory")],
    user: Annotated[str | None, typer.Option(help="who asks; a stranger if nobody knows them")] = None,
    k: Annotated[int, typer.Option("-k", help="how many")] = 10,
    query: Annotated[str | None, typer.Option(help="search for this")] = None,
    exclude: Annotated[str | None, typer.Option(help="item ids to withhold, comma-separated")] = None,
    where: Annotated[str | None, typer.Option(help="a predicate over the catalogue, like 'price < 20'")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="a list of objects")] = False,
) -> None:
    """Ask a fitted system for a list."""
    from rich.table import Table

    from interplay.fitted import Fitted

    if k < 1:
        raise BadSetting(f"-k is {k}; expected 1 or more")
    fitted = Fitted.load(model)
    items = [part.strip() for part in (exclude or "").split(",") if part.strip()]
    frame = fitted.recommend(
        users=[user if user is not None else ""], queries=None if query is None else [query], k=k, exclude=items,
        where=where,
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
    _console().print(listed)
    if not rows:
        print("nothing may be shown under these rules", file=sys.stderr)


@app.command()
def serve(
    model: Annotated[Path | None, typer.Argument(help="a model directory; none: what is live in the store")] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8080,
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    store: Annotated[str | None, STORE] = None,
    tenant: Annotated[str, TENANT] = "default",
) -> None:
    """Serve a fitted system, or the live model of a store: HTTP API and page. Stays in the foreground.

    A model directory without a store is served from memory: what happens is forgotten at the end.
    """
    from interplay.fitted import Fitted
    from interplay.serve.engine import Engine

    if store is None:
        if model is None:
            raise BadSetting(
                "say what to serve: a model directory, --store WHERE, or both to begin a store with a model"
            )
        _serve(Engine.of(Fitted.load(model)), host, port)
        return
    from interplay.learning import Schedule, install

    with _opened(store, tenant) as opened:
        if model is not None:
            with _progress() as progress:
                install(opened, Fitted.load(model), progress=progress)
        engine = Engine.over(opened)
        live = opened.models.live()
        recipe = Fitted.load(opened.models.path(live)).recipe if live else None
        hours = recipe.learning.every if recipe else None
        schedule = Schedule(opened, store, hours).start() if hours else None
        try:
            _serve(engine, host, port, keys=opened.keys)
        finally:
            if schedule is not None:
                schedule.stop()


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="0 takes a free one")] = 8080,
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    seed: Annotated[int, typer.Option(help="another market")] = 0,
    items: Annotated[int, typer.Option(help="things in the market")] = 5000,
    people: Annotated[int, typer.Option(help="people in the market")] = 2000,
    recipe: Annotated[str, typer.Option(help="what serves it")] = "market.toml",
    store: Annotated[str | None, typer.Option(help="keep the market here, to go on with later")] = None,
) -> None:
    """Make the built-in market, learn it, serve it. Stays in the foreground and prints the address."""
    import tempfile

    from interplay.fitted import Fitted
    from interplay.learning import install
    from interplay.serve.engine import Engine
    from interplay.types import Run
    from interplay.worlds.market import market

    with tempfile.TemporaryDirectory(prefix="interplay-") as folder:
        where = store or str(Path(folder) / "market.db")
        with _opened(where, "default") as opened:
            if opened.models.live() is None:
                with _progress() as progress:
                    progress("market", {"said": f"making {items:,} things and {people:,} people"})
                    data = market(seed=seed, n_items=items, n_people=people).dataset
                    progress("market", {"said": f"{len(data.events):,} events of simulated people"})
                    fitted = Fitted.learn(recipe, data, run=Run(seed=seed, progress=progress))
                    install(opened, fitted, progress=progress)
            _serve(Engine.over(opened), host, port)


@app.command()
def train(
    store: Annotated[str, STORE],
    system: Annotated[str | None, typer.Argument(help="a system or recipe; none: as the live model was made")] = None,
    tenant: Annotated[str, TENANT] = "default",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="a setting; repeatable")] = None,
    seed: Annotated[int, typer.Option(help="decides everything learnt")] = 0,
    gate: Annotated[
        str | None, typer.Option(help="'not worse', 'better' or 'always'; the recipe's [learning] by default")
    ] = None,
) -> None:
    """Learn from a store: judge on the newest slice, and promote what is not worse than the live model."""
    from dataclasses import replace

    from interplay import learning
    from interplay.configure import parsed
    from interplay.fitted import built
    from interplay.recipe import LearningConfig, load_recipe

    settings = parsed(set_ or [])
    config = None
    if system is not None:
        built(system, settings)  # a wrong name or setting is refused before any data are read
    if gate is not None:
        own = load_recipe(system).learning if system and system.endswith(".toml") else LearningConfig()
        config = replace(own, gate=gate)
    with _opened(store, tenant) as opened, _progress() as progress:
        done = learning.train(opened, system, settings=settings, learning=config, seed=seed, progress=progress)
    if done.model is None:
        print(f"not promoted. {done.said}")
        raise typer.Exit(3)
    print(f"model {done.model.version} ({done.model.name}) is live. {done.said}")


@models_app.command("list")
def models_list(store: Annotated[str, STORE], tenant: Annotated[str, TENANT] = "default") -> None:
    """The versions of a store's model, oldest first."""
    from datetime import UTC, datetime

    from rich.table import Table

    listed = Table("", "version", "made", "system", "judged", box=None, header_style="bold")
    with _opened(store, tenant) as opened:
        for m in opened.models.list():
            made = datetime.fromtimestamp(m.made_at / 1e6, UTC).isoformat(sep=" ", timespec="seconds")
            listed.add_row("live" if m.live else "", str(m.version), made, m.name, str(m.facts.get("said", "")))
    _console().print(listed)


@models_app.command("promote")
def models_promote(version: int, store: Annotated[str, STORE], tenant: Annotated[str, TENANT] = "default") -> None:
    """Serve this version from now on; services over the store notice by themselves."""
    with _opened(store, tenant) as opened:
        print(f"model {opened.models.promote(version).version} is live")


@models_app.command("rollback")
def models_rollback(store: Annotated[str, STORE], tenant: Annotated[str, TENANT] = "default") -> None:
    """Serve again what served before."""
    with _opened(store, tenant) as opened:
        print(f"model {opened.models.rollback().version} is live")


@keys_app.command("create")
def keys_create(
    store: Annotated[str, STORE],
    name: Annotated[str, typer.Argument(help="whose key it is, for the list")] = "",
    tenant: Annotated[str, TENANT] = "default",
    scopes: Annotated[str, typer.Option(help="some of read, write, admin, comma-separated")] = "read,write",
    rate: Annotated[float | None, typer.Option(help="requests a second; no limit of its own by default")] = None,
) -> None:
    """Make an API key. It is shown this once; from the first key on, a service over the store asks for one."""
    with _opened(store, tenant) as opened:
        text, _ = opened.keys.create(name, scopes=[s.strip() for s in scopes.split(",") if s.strip()], rate=rate)
    print(text)


@keys_app.command("list")
def keys_list(store: Annotated[str, STORE], tenant: Annotated[str, TENANT] = "default") -> None:
    """The API keys of a store, by their ids."""
    from rich.table import Table

    listed = Table("id", "name", "scopes", "a second", "", box=None, header_style="bold")
    with _opened(store, tenant) as opened:
        for k in opened.keys.list():
            rate = "" if k.rate is None else f"{k.rate:g}"
            listed.add_row(k.key_id, k.name, " ".join(sorted(k.scopes)), rate, "revoked" if k.revoked_at else "")
    _console().print(listed)


@keys_app.command("revoke")
def keys_revoke(key_id: str, store: Annotated[str, STORE], tenant: Annotated[str, TENANT] = "default") -> None:
    """Let a key open nothing any more."""
    with _opened(store, tenant) as opened:
        opened.keys.revoke(key_id)
    print(f"key {key_id} is revoked")


@app.command()
def dump(
    store: Annotated[str, STORE],
    file: Annotated[Path, typer.Argument(help="the file to write")],
    tenant: Annotated[str, TENANT] = "default",
) -> None:
    """Write everything of a store's tenant into one file, while it is in use."""
    from interplay.data.store.dumping import dump as write

    with _opened(store, tenant) as opened:
        counts = write(opened, file)
    print(f"{file}: " + ", ".join(f"{n:,} {name}" for name, n in counts.items() if n))


@app.command()
def restore(
    store: Annotated[str, STORE],
    file: Annotated[Path, typer.Argument(help="a file that dump wrote")],
    tenant: Annotated[str, TENANT] = "default",
    replace: Annotated[bool, typer.Option("--replace", help="in place of what the store holds")] = False,
) -> None:
    """Read a dump into a store. Whoever was erased since stays erased."""
    from interplay import learning

    with _opened(store, tenant) as opened:
        counts = learning.restore(opened, file, replace=replace)
    print("restored " + ", ".join(f"{n:,} {name}" for name, n in counts.items() if n))


@app.command()
def export(
    store: Annotated[str, STORE],
    user: Annotated[str, typer.Argument(help="the person's id")],
    tenant: Annotated[str, TENANT] = "default",
) -> None:
    """Print everything that a store holds of a person, as JSON."""
    from interplay.data.store.people import export_person

    with _opened(store, tenant) as opened:
        print(json.dumps(export_person(opened, user), indent=1, ensure_ascii=False))


@app.command()
def erase(
    store: Annotated[str, STORE],
    user: Annotated[str, typer.Argument(help="the person's id")],
    tenant: Annotated[str, TENANT] = "default",
) -> None:
    """Erase a person from everything that a store owns: log, profile, traces, model files, refused rows."""
    from interplay import learning

    with _opened(store, tenant) as opened:
        done = learning.erase(opened, user)
    print(
        f"erased {done.events:,} events, {done.impressions:,} impressions, {done.traces:,} traces, rows of "
        f"{done.models} models and {done.refused} refused rows. What is left in shared item parameters changes with "
        "the next training"
    )


@app.command()
def compact(
    store: Annotated[str, STORE],
    tenant: Annotated[str, TENANT] = "default",
    days: Annotated[float | None, typer.Option(help="first drop what was kept more than so many days ago")] = None,
    keep: Annotated[int | None, typer.Option(help="model versions to keep; all by default")] = None,
) -> None:
    """Give room back: old rows, old models, what interrupted trainings left."""
    from interplay.data.store.upkeep import compact as tidy
    from interplay.data.store.upkeep import retain

    with _opened(store, tenant) as opened:
        dropped = retain(opened, days) if days is not None else {}
        gone = tidy(opened, keep=keep)
    said = [f"{n:,} {name}" for name, n in dropped.items()] + [f"{gone} model directories"]
    print("dropped " + ", ".join(said))


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
    }  # fmt: skip
    missing = 0
    for module, use in wanted.items():
        there = importlib.util.find_spec(module) is not None
        missing += not there
        print(f"{'found  ' if there else 'missing'} {module}: {use}")
    for root in roots():
        print(f"data sets are looked for in {root}" + ("" if root.exists() else " (not there)"))
    if missing:
        print("what is missing is only needed for what stands beside it")


# --------------------------------------------------------------------------------------------------------------------


@contextmanager
def _opened(where: str | None, tenant: str) -> Iterator[Any]:
    from interplay.data.store.store import Store

    store = Store.open(where, tenant=tenant)
    try:
        yield store
    finally:
        store.close()


def _serve(engine: Any, host: str, port: int, *, keys: Any = None) -> None:
    import socket

    import uvicorn

    from interplay.serve.app import create_app

    engine.warm()
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, port))
        except OSError as error:
            raise BadSetting(f"port {port} on {host} is taken ({error.strerror}); choose another: --port 0") from None
        config = uvicorn.Config(create_app(engine, keys=keys), log_level="warning")
        print(f"http://{host}:{listening.getsockname()[1]}", flush=True)
        uvicorn.Server(config).run(sockets=[listening])


def _console() -> Any:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def _remove(path: Path) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _progress() -> Iterator[Callable[[str, Mapping[str, Any]], None]]:
    """A bar per stage that says how far it is (`done` of `total`); other facts stand beside it as words."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def said(stage: str, facts: Mapping[str, Any]) -> None:
            rest = {k: v for k, v in facts.items() if k not in ("done", "total", "said")}
            words = [str(facts["said"])] if "said" in facts else []
            words += [f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in rest.items()]
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None, facts="")
            known = {"total": facts["total"], "completed": facts.get("done", 0)} if "total" in facts else {}
            bars.update(tasks[stage], facts=", ".join(words), **known)

        yield said
        for task in tasks.values():
            bars.update(task, total=1, completed=1)


def main() -> None:
    """The console script: sentences instead of tracebacks for everything a person can mend."""
    arguments = sys.argv[1:]
    commands = [c.name or c.callback.__name__ for c in app.registered_commands if c.callback]
    commands += ["data", "models", "keys"]
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


if __name__ == "__main__":
    main()
