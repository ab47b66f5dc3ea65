"""Keeping a store: what goes in, models and keys, dumps, and what is held of a person."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from interplay.cli.shared import (
    STORE,
    UNIT,
    DeviceOption,
    SetOption,
    StoreOption,
    TenantOption,
    app,
    console,
    keys_app,
    models_app,
    number_option,
    opened,
    seed_option,
    shown,
)
from interplay.errors import BadSetting


@app.command()
def ingest(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, Parquet, Arrow or JSON-lines files, data set directories, and what RecBole, MovieLens, Amazon "
            "reviews, Gorse, Personalize, BEIR, TREC and UBI write"
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="write a data set directory: a table for each kind of rows")] = None,
    store: Annotated[str | None, STORE] = None,
    tenant: TenantOption = "default",
    refused: Annotated[Path | None, typer.Option(help="with --out: file for refused rows (OUT/refused.csv)")] = None,
    batch: Annotated[int, typer.Option(help="rows held in memory at once", min=1)] = 500_000,
    time_unit: Annotated[str | None, UNIT] = None,
) -> None:
    """Stream files of any size into a store, or into a data set directory; memory is bounded by the batch."""
    with shown() as progress:
        if out is not None:
            from interplay.data.ingest import ingest as stream

            report = stream(files, out, refused=refused, batch=batch, time_unit=time_unit, progress=progress)
        elif store is not None:
            from interplay.data.store.loading import ROWS
            from interplay.data.store.loading import ingest as keep

            with opened(store, tenant, new=True) as held:
                report = keep(held, files, batch=min(batch, ROWS), time_unit=time_unit, progress=progress)
        else:
            raise BadSetting("say where to: --store WHERE (a store to serve from) or --out DIR (a data set directory)")
    print(report)
    if report.refused:
        raise typer.Exit(3)


@app.command()
def train(
    store: StoreOption,
    system: Annotated[str | None, typer.Argument(help="a system or recipe; none: as the live model was made")] = None,
    tenant: TenantOption = "default",
    set_: SetOption = None,
    seed: Annotated[int, seed_option("decides everything learnt")] = 0,
    gate: Annotated[
        str | None, typer.Option(help="'not worse', 'better', 'always' or 'never'; the recipe's [learning] by default")
    ] = None,
    device: DeviceOption = "cpu",
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
    with opened(store, tenant) as held, shown() as progress:
        done = learning.train(
            held, system, settings=settings, learning=config, seed=seed, device=device, progress=progress
        )
    if done.model is None:
        print(f"not promoted. {done.said}")
        raise typer.Exit(3)
    print(f"model {done.model.version} ({done.model.name}) is {'live' if done.promoted else 'kept'}. {done.said}")


@app.command()
def estimate(
    store: Annotated[str, typer.Option("--log", envvar="INTERPLAY_DATABASE_URL", help="the store whose log is asked")],
    policy: Annotated[list[str], typer.Option("--policy", help="a recipe, a system or a model directory; repeatable")],
    tenant: TenantOption = "default",
    reward: Annotated[str, typer.Option(help="the event type that counts")] = "click",
    places: Annotated[int | None, typer.Option(help="how far down a page; as far as the log carries")] = None,
    share: Annotated[float, typer.Option(help="the newest share of the pages; what is older is learnt")] = 0.5,
    most: Annotated[int | None, typer.Option(help="at most so many pages, the newest")] = None,
    since: Annotated[datetime | None, typer.Option(help="pages from here on, UTC, in the place of a share")] = None,
    until: Annotated[datetime | None, typer.Option(help="pages up to here, UTC")] = None,
    days: Annotated[float | None, typer.Option(help="pages of the last so many days of the log")] = None,
    seed: Annotated[int, seed_option("of fits and resamples")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="every number, for machines")] = False,
) -> None:
    """What other policies would have earned on the traffic that a store logged, or why its log cannot tell."""
    from interplay.estimating import estimate as asked
    from interplay.traffic import Window

    window = Window(share=share, most=most, since=_moment(since), until=_moment(until), days=days)
    with opened(store, tenant) as held, shown() as progress:
        told = asked(held, policy, reward=reward, places=places, window=window, seed=seed, progress=progress)
    if json_:
        print(json.dumps([one.as_json() for one in told], indent=1))
        return
    for one in told:
        print(("* " if one.chosen else "") + one.said)
        for note in one.notes:
            print(f"  {note}")


@app.command()
def looks(
    store: StoreOption,
    tenant: TenantOption = "default",
    kind: Annotated[str, typer.Option(help="the event type that answers a page")] = "click",
    seed: Annotated[int, seed_option("of the fit, who is left out, and resamples")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="every number, for machines")] = False,
) -> None:
    """Where on a page people look, learnt from a store's impressions, or why its log cannot tell."""
    from rich.table import Table

    from interplay.watching import watch

    with opened(store, tenant) as held, shown() as progress:
        seen = watch(held, kind, seed=seed, progress=progress)
    if json_:
        print(json.dumps(seen.as_json(), indent=1))
        return
    listed = Table("row", "place", "looked at", f"{kind}s a showing", "95 %", "shown", box=None, header_style="bold")
    for cell in (cell for row in seen.grid for cell in row if cell.shown):
        listed.add_row(
            str(cell.row), str(cell.place), f"{cell.examination:.0%}", f"{cell.rate:.4f}", str(cell.interval),
            f"{cell.shown:,}",
        )  # fmt: skip
    console().print(listed)
    print(seen.said)
    for said in (*seen.notes, *(row.said for row in seen.rows), seen.rows_said):
        if said:
            print(f"  {said}")


def _moment(said: datetime | None) -> int | None:
    """Microseconds UTC."""
    return None if said is None else round(said.replace(tzinfo=UTC).timestamp() * 1e6)


@app.command(hidden=True)
def errand(errand_id: str, store: StoreOption, tenant: TenantOption = "default") -> None:
    """Do what was asked over HTTP; a service starts this beside itself."""
    import os

    from interplay.errands import Errands

    os.nice(10)  # requests go first
    with opened(store, tenant) as held:
        print(Errands(held).run(errand_id).said)


@models_app.command("list")
def models_list(store: StoreOption, tenant: TenantOption = "default") -> None:
    """The versions of a store's model, oldest first."""
    from rich.table import Table

    listed = Table("", "version", "made", "system", "judged", box=None, header_style="bold")
    with opened(store, tenant) as held:
        for m in held.models.list():
            made = datetime.fromtimestamp(m.made_at / 1e6, UTC).isoformat(sep=" ", timespec="seconds")
            listed.add_row("live" if m.live else "", str(m.version), made, m.name, str(m.facts.get("said", "")))
    console().print(listed)


@models_app.command("promote")
def models_promote(version: int, store: StoreOption, tenant: TenantOption = "default") -> None:
    """Serve this version from now on; services over the store notice by themselves."""
    with opened(store, tenant) as held:
        print(f"model {held.models.promote(version).version} is live")


@models_app.command("rollback")
def models_rollback(store: StoreOption, tenant: TenantOption = "default") -> None:
    """Serve again what served before."""
    with opened(store, tenant) as held:
        print(f"model {held.models.rollback().version} is live")


@keys_app.command("create")
def keys_create(
    store: StoreOption,
    name: Annotated[str, typer.Argument(help="whose key it is, for the list")] = "",
    tenant: TenantOption = "default",
    scopes: Annotated[str, typer.Option(help="some of read, write, admin, comma-separated")] = "read,write",
    rate: Annotated[float | None, number_option("requests a second; no limit of its own by default")] = None,
) -> None:
    """Make an API key. It is shown this once; from the first key on, a service over the store asks for one."""
    with opened(store, tenant) as held:
        text, _ = held.keys.create(name, scopes=[s.strip() for s in scopes.split(",") if s.strip()], rate=rate)
    print(text)


@keys_app.command("list")
def keys_list(store: StoreOption, tenant: TenantOption = "default") -> None:
    """The API keys of a store, by their ids."""
    from rich.table import Table

    listed = Table("id", "name", "scopes", "a second", "", box=None, header_style="bold")
    with opened(store, tenant) as held:
        for k in held.keys.list():
            rate = "" if k.rate is None else f"{k.rate:g}"
            listed.add_row(k.key_id, k.name, " ".join(sorted(k.scopes)), rate, "revoked" if k.revoked_at else "")
    console().print(listed)


@keys_app.command("revoke")
def keys_revoke(key_id: str, store: StoreOption, tenant: TenantOption = "default") -> None:
    """Let a key open nothing any more."""
    with opened(store, tenant) as held:
        held.keys.revoke(key_id)
    print(f"key {key_id} is revoked")


@app.command()
def dump(
    store: StoreOption,
    file: Annotated[Path, typer.Argument(help="the file to write")],
    tenant: TenantOption = "default",
) -> None:
    """Write everything of a store's tenant into one file, while it is in use."""
    from interplay.data.store.dumping import dump as write

    with opened(store, tenant) as held:
        counts = write(held, file)
    print(f"{file}: " + ", ".join(f"{n:,} {name}" for name, n in counts.items() if n))


@app.command()
def restore(
    store: StoreOption,
    file: Annotated[Path, typer.Argument(help="a file that dump wrote")],
    tenant: TenantOption = "default",
    replace: Annotated[bool, typer.Option("--replace", help="in place of what the store holds")] = False,
) -> None:
    """Read a dump into a store. Whoever was erased since stays erased."""
    from interplay import learning

    with opened(store, tenant, new=True) as held:
        counts = learning.restore(held, file, replace=replace)
    print("restored " + ", ".join(f"{n:,} {name}" for name, n in counts.items() if n))


@app.command()
def export(
    store: StoreOption,
    user: Annotated[str, typer.Argument(help="the person's id")],
    tenant: TenantOption = "default",
) -> None:
    """Print everything that a store holds of a person, as JSON."""
    from interplay.data.store.people import export_person

    with opened(store, tenant) as held:
        print(json.dumps(export_person(held, user), indent=1, ensure_ascii=False))


@app.command()
def erase(
    store: StoreOption,
    user: Annotated[str, typer.Argument(help="the person's id")],
    tenant: TenantOption = "default",
) -> None:
    """Erase a person from everything that a store owns: log, profile, traces, model files, refused rows."""
    from interplay import learning

    with opened(store, tenant) as held:
        done = learning.erase(held, user)
    print(
        f"erased {done.events:,} events, {done.impressions:,} impressions, {done.traces:,} traces, rows of "
        f"{done.models} models, {done.refused} refused rows and {done.recordings} recordings. What is left in shared "
        "item parameters changes with the next training"
    )


@app.command()
def compact(
    store: StoreOption,
    tenant: TenantOption = "default",
    days: Annotated[float | None, typer.Option(help="first drop what was kept more than so many days ago")] = None,
    keep: Annotated[int | None, typer.Option(help="model versions to keep; all by default")] = None,
) -> None:
    """Give room back: old rows, old models, what interrupted trainings left."""
    from interplay.data.store.upkeep import compact as tidy
    from interplay.data.store.upkeep import retain

    with opened(store, tenant) as held:
        dropped = retain(held, days) if days is not None else {}
        gone = tidy(held, keep=keep)
    said = [f"{n:,} {name}" for name, n in dropped.items()] + [f"{gone} model directories"]
    print("dropped " + ", ".join(said))
