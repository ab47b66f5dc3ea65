"""One fit and one judgement: the same path for the command line, the benches and a notebook.

    parts = divided("sasrec", dataset("ml-1m"), "last-out")
    fitted = fit("sasrec", parts, on="train+valid")     # epochs chosen on validation, then a refit on both
    judged = evaluate(fitted, dataset("ml-1m"))         # the test part, read once and told

Nothing but `evaluate` reads the test part.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from interplay.data.read import load
from interplay.data.report import Report
from interplay.data.split import Split, split
from interplay.errors import BadSetting, Mismatch, Unsupported
from interplay.evaluate.audit import audit
from interplay.evaluate.judged import shown
from interplay.evaluate.labelled import JudgedExamples
from interplay.evaluate.panel import kinds, panel
from interplay.evaluate.replay import BLOCK, Asked, Judged, replay, validation
from interplay.fitted import Fitted, built, manifest
from interplay.learn.device import usable
from interplay.metrics import parse
from interplay.ranking import METRICS, Division, divide, evaluate_ranker, fit_ranker, ranks
from interplay.systems import SYSTEMS
from interplay.types import TEST, Dataset, Run

Progress = Callable[[str, Mapping[str, Any]], None]


def dataset(name: str | Path, *, time_unit: str | None = None, report: Report | None = None) -> Dataset:
    """A data set by name, a directory, a file, or the built-in `market` (`market:SEED`); arguments as of `load`."""
    kind, _, seed = str(name).partition(":")
    if kind == "market" and not Path(str(name)).exists():
        from interplay.worlds.market import market

        if seed and not seed.isdecimal():
            raise BadSetting(f"{name!r} names no market; expected market or market:SEED, with a whole number as seed")
        return market(seed=int(seed or 0)).dataset
    return load(name, time_unit=time_unit, report=report)


def divided(system: str, data: Dataset, rule: str | None = None, *, seed: int = 0) -> Split | Division:
    """The parts of a data set as a system needs them: of the log, or for a ranker of its labelled examples."""
    return divide(data, rule, seed=seed) if ranks(system) else split(data, rule, seed=seed)


def fit(
    system: str,
    parts: Split | Division,
    *,
    on: str = "train",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    metric: str = "ndcg@20",
    seconds: float | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    choice: Mapping[str, Any] | None = None,
    device: str = "cpu",
) -> Fitted:
    """Fit on the split's train part, or choose the epochs there and refit on train + valid for that many.

    A system that learns in epochs is judged by `metric` on the validation part; nothing reads the test part here.
    A ranker stops by the AUC of the validation rows. `choice` is what an earlier fit of the same settings with another
    seed chose: its epochs are taken over. Networks learn on `device` (cpu, cuda) and lie on the processor afterwards.
    """
    _check_device(system, device)
    if isinstance(parts, Division):
        return fit_ranker(
            system, parts, on=on, settings=settings, seed=seed, seconds=seconds, checkpoint=checkpoint,
            progress=progress, choice=choice, device=device,
        )  # fmt: skip
    if on not in ("train", "train+valid"):
        raise BadSetting(f"--on is {on!r}; expected 'train' or 'train+valid'")
    parse(metric)  # a wrong one is refused even where nothing is chosen by it
    settings = dict(settings or {})
    common: dict[str, Any] = {"seed": seed, "seconds": seconds, "device": device}
    common |= {"progress": progress} if progress else {}
    begun = time.perf_counter()
    model = built(system, settings)
    learns = system in SYSTEMS and SYSTEMS[system].epochs
    facts: dict[str, Any] = {} if choice is None else dict(choice)
    judge = validation(parts, metric) if learns else None
    if on == "train" or (learns and not facts):
        run = Run(validation=judge, checkpoint=checkpoint and checkpoint / "choose", **common)
        model.fit(parts.fitted("train"), run=run)
        facts = {"chosen_on": metric, **getattr(model, "fitted", {})} if learns else {}
    if on == "train+valid":
        epochs = facts.get("best_epoch")
        model = built(system, settings)
        run = Run(epochs=epochs, checkpoint=checkpoint and checkpoint / "refit", **common)
        model.fit(parts.fitted(on), run=run)
    audit(parts, parts.fitted(on), on=on, which=TEST, model=model, validation=judge if on == "train" else None)
    told = manifest(
        system, parts.dataset, settings, run, model, seconds=time.perf_counter() - begun, choice=facts,
        split={"rule": parts.rule, "seed": parts.seed, "hash": parts.hash, "on": on},
    )  # fmt: skip
    return Fitted(model=model, dataset=parts.fitted(on), manifest=told)


def _check_device(system: str, device: str) -> None:
    """Refuse a device that is not there, or that the system would leave idle."""
    if usable(device) != "cpu" and system in SYSTEMS and not (SYSTEMS[system].recipe or SYSTEMS[system].on_device):
        raise Unsupported(f"{system} learns on the processor; fit it without a device")


def evaluate(
    fitted: Fitted,
    data: Dataset,
    *,
    metrics: Sequence[str] | None = None,
    history: str | None = None,
    seen: str = "drop",
    log: Path | None = None,
) -> Judged | JudgedExamples:
    """Judge a fitted system on the test part of the very split it was fitted with.

    By default a ranker is judged by AUC, log loss, AUC per group and calibration, all else by recall@20 and ndcg@20.
    The read is appended to `log`; the command line keeps one in the model directory.
    """
    if ranks(fitted.name):  # its split's hash has the data in it
        return evaluate_ranker(fitted, data, metrics or METRICS, log=log)
    told = fitted.manifest
    if told["data"]["fingerprint"] != data.fingerprint:
        raise Mismatch(
            f"this model was fitted on {told['data']['name']!r} ({told['data']['n_events']} events, fingerprint "
            f"{told['data']['fingerprint'][:12]}); the data given are {data.name!r} ({len(data.events)} events, "
            f"{data.fingerprint[:12]}). Evaluate on the data it was fitted on, or fit it again"
        )
    if "split" not in told:
        raise Mismatch("this model was fitted on everything, so no test part is left; fit it with a split to judge it")
    parts = split(data, told["split"]["rule"], seed=told["split"]["seed"])
    if parts.hash != told["split"]["hash"]:
        raise Mismatch(
            f"the split {parts.rule} with seed {parts.seed} has hash {parts.hash[:12]}; the model was fitted with "
            f"{told['split']['hash'][:12]}. It was made by another version: fit it again"
        )
    return replay(
        fitted.model, parts, which=TEST, on=told["split"]["on"], metrics=tuple(metrics or ("recall@20", "ndcg@20")),
        seen=seen, history=history, log=log,
    )  # fmt: skip


def beyond(judged: Judged, data: Dataset) -> dict[str, float]:
    """What the judged lists are beside accurate: the panel, from the same requests, asked as their protocol says.

    Distances are of the catalogue's categories, where it has them; the obvious list of `serendipity` is `popular`'s.
    """
    told = judged.protocol
    parts = split(data, told["split"]["rule"], seed=told["split"]["seed"])
    learnt, k = parts.fitted(told["on"]), judged.slates.items.shape[1]
    asked = Asked.of(parts, TEST, on=told["on"], seen=told["seen"], history=told["history"])
    obvious, _ = shown(built("popular").fit(learnt), asked.requests, k, block=BLOCK)
    space = kinds(data)
    return panel(judged, learnt, k=k, vectors=space, genres=space, primitive=obvious)
