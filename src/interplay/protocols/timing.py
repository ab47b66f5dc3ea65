"""Benches of time and memory. Machines differ and are shared, so each compares with a peer timed in the same run.

columns         what building requests and slates costs beside scoring them (docs/decisions.md, 1)
gowalla-speed   fit, exact top-20 and full evaluation, against implicit and RecBole in their own processes
ingest          rows streamed into a data set directory, and the memory that took
service         the running service under load, in service.py
page            the page in a real browser, in painting.py

RecBole needs old packages, so it runs in an environment of its own, named by INTERPLAY_RECBOLE (a Python with
recbole 1.2.1, numpy 1.26.4, scipy 1.11.4, pandas < 2.2, setuptools < 70); without it its figures are left out. implicit
runs in this environment: pip install implicit threadpoolctl.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from interplay.benches import Bench, Entry
from interplay.data.ingest import measured, peak_memory
from interplay.data.read import load
from interplay.data.split import split
from interplay.errors import BadSetting, MissingExtra
from interplay.fitted import built
from interplay.metrics import measure
from interplay.models.spectral import Spectral
from interplay.ops.sparse import interaction_matrix
from interplay.ops.topk import best_dot
from interplay.protocols.painting import painted
from interplay.protocols.service import PARTS, per_answer
from interplay.types import Array, Dataset, Ragged, Requests, Rows, Run

REPEATS = 3


def clocked(work: Callable[[], Any], repeats: int = REPEATS) -> tuple[float, Any]:
    """(least seconds over the repeats, last result)"""
    least = np.inf
    for _ in range(repeats):
        begun = time.perf_counter()
        result = work()
        least = min(least, time.perf_counter() - begun)
    return float(least), result


# --------------------------------------------------------------------------------------------------------------------


def columns(*, n_users: int = 30_000, n_items: int = 40_000, events: int = 800_000, dim: int = 64) -> dict[str, float]:
    """Building the requests of 30,000 people and their top-20 slates, as a share of scoring them."""
    rng = np.random.default_rng(0)
    user, item = (
        np.sort(rng.integers(0, n_users, events)).astype(np.int32),
        rng.integers(0, n_items, events).astype(np.int32),
    )
    log = Ragged.grouped(user, n_users, item=item)
    rows = Rows(
        n_users=n_users, n_items=n_items, keys=rng.permutation(n_items).astype(np.uint64),
        popularity=np.ones(n_items, np.float32), events=np.zeros(n_users, np.int32),
    )  # fmt: skip
    users, items = (rng.standard_normal((n, dim), np.float32) for n in (n_users, n_items))
    everyone = np.arange(n_users, dtype=np.int32)
    build, requests = clocked(lambda: Requests(user=everyone, history=log.take(everyone)))
    score, slates = clocked(lambda: best_dot(users, items, requests, 20, rows))
    cut, _ = clocked(lambda: [slates.slice(lo, lo + 1024) for lo in range(0, n_users, 1024)])
    return {"requests_s": build, "scoring_s": score, "slates_s": cut, "share": (build + cut) / score}


def ingest(*, rows: int = 50_000_000) -> dict[str, float]:
    """Generated rows streamed from Parquet into a data set directory, in a process of its own, and its peak memory."""
    told = measured(rows)
    return {
        "rows": rows, "kept": told["kept"], "file_gib": told["file_bytes"] / 2**30, "seconds": told["seconds"],
        "rows_per_s": rows / told["seconds"], "peak_gib": told["peak_memory"] / 2**30,
    }  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------


def gowalla_speed() -> dict[str, float]:
    """The budget of the design: closed-form fit and full evaluation, and exact top-20 beside two peers."""
    python = os.environ.get("INTERPLAY_RECBOLE")
    _peers(python)  # refused before the work, not after it
    data = load("gowalla")
    parts = split(data, "given")
    out: dict[str, float] = {}
    fitted = parts.fitted("train+valid")
    Spectral().fit(_few(fitted))  # compiled code is loaded once, outside the clock
    begun = time.perf_counter()
    model = Spectral().fit(fitted, run=Run(seed=0))
    out["gf_cf_fit_s"] = time.perf_counter() - begun
    requests, truth = parts.judged(2, "train+valid")
    begun = time.perf_counter()
    slates = model.retrieve(requests, 20)
    out["gf_cf_top20_s"] = time.perf_counter() - begun
    begun = time.perf_counter()
    out["gf_cf_recall@20"] = float(measure(slates, truth, ["recall@20"])["recall@20"].mean())
    out["gf_cf_metrics_s"] = time.perf_counter() - begun
    out["gf_cf_all_s"] = out["gf_cf_fit_s"] + out["gf_cf_top20_s"] + out["gf_cf_metrics_s"]
    out["gf_cf_peak_gib"] = peak_memory() / 2**30
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, 64), np.float32) for n in (data.n_users, data.n_items))
    everyone = Requests.of(fitted, np.arange(data.n_users, dtype=np.int32))
    rows = Rows.of(fitted)
    importlib.import_module("torch")  # as wherever vectors were learnt: large searches multiply with it
    best_dot(users[:1024], items, everyone.slice(0, 1024), 20, rows)
    peer = _implicit(users, items, fitted)
    ours = [clocked(lambda: best_dot(users, items, everyone, 20, rows), 1)]
    theirs = [peer()]
    for _ in range(REPEATS - 1):  # turn about, so that both meet the same neighbours on the machine
        ours.append(clocked(lambda: best_dot(users, items, everyone, 20, rows), 1))
        theirs.append(peer())
    out["top20_s"], out["implicit_top20_s"] = min(s for s, _ in ours), min(s for s, _ in theirs)
    out["times_implicit"] = out["implicit_top20_s"] / out["top20_s"]
    out["lists_like_implicit"] = float((ours[0][1].items == theirs[0][1]).mean())
    one, three = clocked(lambda: _lightgcn(fitted, 1), 1), clocked(lambda: _lightgcn(fitted, 3), 1)
    out["lightgcn_ssm_epoch_s"] = (three[0] - one[0]) / 2
    if python:
        whole = out["top20_s"] + out["gf_cf_metrics_s"]
        for label, size in (("", 4096), ("_large_batch", 4_096_000)):  # its default, and what serves it best
            told = _recbole(python, fitted, parts.dataset.where(parts.part == 2), size)
            out |= {f"{k[:-2]}{label}_s": v for k, v in told.items() if not label or "evaluate" in k}
            out[f"times_recbole_evaluation{label}"] = told["recbole_evaluate_s"] / whole
    return out


REACHED = 0.178  # recall@20 on Gowalla's test part that `time-to-178` waits for
EVERY = 10  # epochs between two looks


def time_to_reach() -> dict[str, float]:
    """Seconds of learning until lightgcn-ssm, as its row of bench `gowalla` has it, is at .178 on the test part.

    Fitted on train + valid for the row's epochs; what the looks cost is taken off, and nothing is chosen by them.
    """
    parts = split(load("gowalla"), "given")
    requests, truth = parts.judged(2, "train+valid")
    out: dict[str, float] = {"recall@20": 0.0, "looks": 0.0}
    looking, begun = 0.0, time.perf_counter()

    def look(model: Any) -> float:
        nonlocal looking
        at = time.perf_counter()
        recall = float(measure(model.retrieve(requests, 20), truth, ["recall@20"])["recall@20"].mean())
        out["looks"] += 1
        if recall >= REACHED and "seconds" not in out:
            out["seconds"], out["epochs"], out["recall@20"] = at - begun - looking, EVERY * out["looks"], recall
        looking += time.perf_counter() - at
        return recall

    timed = {"descent": {"every": EVERY, "patience": 0}}
    built("lightgcn-ssm", timed).fit(parts.fitted("train+valid"), run=Run(seed=0, validation=look))
    return out | {"fit_seconds": time.perf_counter() - begun - looking}


def _peers(python: str | None) -> None:
    """Raise MissingExtra where a peer that is to be timed is not installed, and say how it is."""
    absent = [name for name in ("implicit", "threadpoolctl") if importlib.util.find_spec(name) is None]
    if absent:
        raise MissingExtra(
            f"gowalla-speed measures us beside implicit; not installed: {', '.join(absent)}. Install with: "
            f"pip install {' '.join(absent)}"
        )
    if python is None:
        return
    wanted = "'recbole==1.2.1' 'numpy==1.26.4' 'scipy==1.11.4' 'pandas<2.2' 'setuptools<70'"
    try:
        said = subprocess.run([python, "-c", "import recbole"], capture_output=True, text=True, check=False)
        why = said.stderr.strip().splitlines()[-1:] if said.returncode else None
    except OSError as error:
        why = [str(error)]
    if why is not None:
        raise MissingExtra(
            f"INTERPLAY_RECBOLE is {python}, which cannot import recbole ({' '.join(why)}); install into an "
            f"environment of its own: pip install {wanted}; or unset INTERPLAY_RECBOLE to leave RecBole out"
        )


def _lightgcn(fitted: Dataset, epochs: int) -> None:
    built("lightgcn-ssm").fit(fitted, run=Run(seed=0, epochs=epochs))


def _few(dataset: Dataset) -> Dataset:
    return dataset.where(np.arange(len(dataset.events)) < 2000)


def _implicit(users: Array, items: Array, fitted: Dataset) -> Callable[[], tuple[float, Array]]:
    """implicit's own top-k on the same vectors with the same items withheld, its BLAS on one thread as it asks."""
    import scipy.sparse as sp
    from implicit.cpu.topk import topk
    from threadpoolctl import threadpool_limits

    seen = sp.csr_matrix(interaction_matrix(fitted))

    def run() -> tuple[float, Array]:
        with threadpool_limits(1, user_api="blas"):
            return clocked(
                lambda: topk(items, users, 20, filter_query_items=seen, num_threads=os.cpu_count() or 1)[0], 1
            )

    return run


RECBOLE = """
    import json, sys, time, functools
    import numpy as np, torch
    torch.load = functools.partial(torch.load, weights_only=False)
    torch.set_num_threads(2)
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed, get_model, get_trainer
    folder, steps = sys.argv[1], int(sys.argv[2])
    config = Config(model="LightGCN", dataset="log", config_dict=dict(
        data_path=folder, benchmark_filename=["train", "valid", "test"],
        USER_ID_FIELD="user_id", ITEM_ID_FIELD="item_id",
        load_col={"inter": ["user_id", "item_id"]}, embedding_size=64, n_layers=3, train_batch_size=2048,
        eval_batch_size=int(sys.argv[3]),
        metrics=["Recall", "NDCG"], topk=[20], valid_metric="Recall@20", use_gpu=False,
        show_progress=False, save_dataset=False, save_dataloaders=False, state="ERROR",
        eval_args=dict(split={"RS": [8, 1, 1]}, order="RO", group_by="user", mode="full")))
    init_seed(0, True)
    data = create_dataset(config)
    train, valid, test = data_preparation(config, data)
    model = get_model("LightGCN")(config, train._dataset)
    trainer = get_trainer(config["MODEL_TYPE"], "LightGCN")(config, model)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    begun, done = time.perf_counter(), 0
    for batch in train:
        optimiser.zero_grad(); loss = model.calculate_loss(batch); loss.backward(); optimiser.step()
        done += 1
        if done == steps: break
    step = (time.perf_counter() - begun) / done
    begun = time.perf_counter()
    trainer.evaluate(test, load_best_model=False, show_progress=False)
    took = time.perf_counter() - begun
    print(json.dumps({"recbole_step_s": step, "recbole_epoch_s": step * len(train), "recbole_evaluate_s": took}))
"""


def _recbole(python: str, fitted: Dataset, test: Dataset, size: int, steps: int = 20) -> dict[str, float]:
    """LightGCN's seconds per epoch (from `steps` steps) and its full-sort evaluation, as RecBole 1.2.1 does them.

    `size` is its eval_batch_size, in scores.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "log"
        home.mkdir()
        for name, part in (("train", fitted), ("valid", _few(test)), ("test", test)):
            with open(home / f"log.{name}.inter", "w") as out:
                out.write("user_id:token\titem_id:token\n")
                out.writelines(f"{u}\t{i}\n" for u, i in zip(part.events.user, part.events.item, strict=True))
        script = Path(folder) / "run.py"
        script.write_text(textwrap.dedent(RECBOLE))
        said = subprocess.run(
            [python, str(script), str(folder), str(steps), str(size)],
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
        if said.returncode:
            raise BadSetting(f"RecBole did not run under {python}: {said.stderr.strip()[-800:]}")
        return json.loads(said.stdout.strip().splitlines()[-1])


TIMED: dict[str, Callable[[], dict[str, float]]] = {
    "columns": columns,
    "gowalla-speed": gowalla_speed,
    "time-to-178": time_to_reach,
    "ingest": ingest,
    "page": painted,
    **PARTS,
}


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One timed run; there is nothing random in it that a seed could fix."""
    return {"metrics": TIMED[entry.label](), "protocol": {}, "facts": {}}


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """The newest run of each row, one figure a line."""
    out = [page.about]
    for entry in page.entries:
        for newest in filter(None, [held.get((entry.label, 0))]):
            figures = [f"| {k.replace('_', ' ')} | {v:.4g} |" for k, v in per_answer(newest["metrics"]).items()]
            out += ["", f"| {entry.label}, {newest['date']} | |", "|---|---|", *figures]
    return "\n".join(out)
