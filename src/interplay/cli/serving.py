"""Serving: a fitted system, a store, or the built-in market, over HTTP. Each stays in the foreground."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from interplay.cli.shared import STORE, app, number_option, opened, seed_option, shown
from interplay.errors import BadSetting

PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one")]
HostOption = Annotated[str, typer.Option("--host", help="the address to listen on")]


@app.command()
def serve(
    model: Annotated[Path | None, typer.Argument(help="a model directory; none: what is live in the store")] = None,
    port: PortOption = 8080,
    host: HostOption = "127.0.0.1",
    store: Annotated[str | None, STORE] = None,
    open_: Annotated[bool, typer.Option("--open", help="let everybody in where there is no key")] = False,
    origin: Annotated[list[str] | None, typer.Option(help="a site whose pages may ask (CORS); repeatable")] = None,
    rate: Annotated[float | None, number_option("requests a second of a key that names none of its own")] = None,
    photos: Annotated[Path | None, typer.Option(help="the directory of photographs that the catalogue names")] = None,
    photo_host: Annotated[list[str] | None, typer.Option(help="a host that browsers may load them from")] = None,
) -> None:
    """Serve a fitted system, or the live models of a store's tenants: HTTP API and page. Stays in the foreground.

    A model directory without a store is served from memory: what happens is forgotten at the end. With an empty store
    the model and its data go into the store first.
    """
    from interplay.fitted import Fitted
    from interplay.ops.garbage import lean_heap
    from interplay.serve.engine import Engine
    from interplay.serve.photos import Photos

    lean_heap()  # before loading begins threads with heaps of their own

    shot = Photos(folder=photos, hosts=tuple(h.lower() for h in photo_host or ()))
    if store is None:
        if model is None:
            raise BadSetting(
                "say what to serve: a model directory, --store WHERE, or both to begin a store with a model"
            )
        _run(Engine.of(Fitted.load(model)), host, port, open_, origins=tuple(origin or ()), rate=rate, photos=shot)
        return
    from interplay.learning import Schedule, install

    with opened(store, new=model is not None) as held:
        if model is not None:
            with shown() as progress:
                install(held, Fitted.load(model), progress=progress)
        tenants = {name: held.within(name) for name in held.tenants()}
        engines = {name: Engine.over(one) for name, one in tenants.items() if name == held.tenant or one.models.live()}
        schedules = [
            Schedule(tenants[name], store, engine.scene.learning.every).start()
            for name, engine in engines.items()
            if engine.scene.learning.every
        ]
        try:
            _run(engines, host, port, open_, keys=held.keys, origins=tuple(origin or ()), rate=rate, photos=shot)
        finally:
            for schedule in schedules:
                schedule.stop()


@app.command()
def demo(
    port: PortOption = 8080,
    host: HostOption = "127.0.0.1",
    seed: Annotated[int, seed_option("another market")] = 0,
    items: Annotated[int, typer.Option(help="things in the market", min=1)] = 5000,
    people: Annotated[int, typer.Option(help="people in the market", min=1)] = 2000,
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

    with (
        tempfile.TemporaryDirectory(prefix="interplay-") as folder,
        opened(store or f"{folder}/x.db", new=True) as held,
    ):
        if held.models.live() is None:
            with shown() as progress:
                progress("market", {"said": f"making {items:,} things and {people:,} people"})
                data = market(seed=seed, n_items=items, n_people=people).dataset
                progress("market", {"said": f"{len(data.events):,} events of simulated people"})
                fitted = Fitted.learn(recipe, data, run=Run(seed=seed, progress=progress))
                install(held, fitted, progress=progress)
        _run(Engine.over(held), host, port, False)


def _run(
    engine: Any, host: str, port: int, everybody: bool, *, keys: Any = None, origins: tuple[str, ...] = (),
    rate: float | None = None, photos: Any = None,
) -> None:  # fmt: skip
    from interplay.serve.app import create_app
    from interplay.serve.guard import GuardConfig
    from interplay.serve.photos import Photos
    from interplay.serve.run import guarded, run
    from interplay.serve.spans import exported

    guarded(host, 0 if keys is None else len(keys), opened=everybody)  # refuses a door left open by oversight
    guard = GuardConfig(origins=origins, rate=rate)
    app = create_app(engine, keys=keys, guard=guard, photos=photos or Photos(), spans=exported())
    run(app, host, port, lines=not sys.stderr.isatty())  # a person reads the address, a collector the lines
