"""The bench of simulators: a learnt one and three that know next to nothing, held against a log they have not seen.

Responses one step ahead and in closed loop, visits, who of the people likes much, and whether a classifier tells drawn
answers from real ones. Parts are cut by time: rates and models see nothing of what they are judged on. How fast people
are simulated is measured too, of these and of the stylised worlds, which have no log to be held against.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ks_2samp, spearmanr

from interplay.benches import Bench, Entry
from interplay.configure import configured
from interplay.data.read import load
from interplay.errors import unknown
from interplay.metrics import auc, ece, logloss
from interplay.types import Dataset, Reply, Slates
from interplay.worlds.learned import (
    SIMULATORS,
    Answers,
    LearnedConfig,
    LearnedWorld,
    Visits,
    lengths_of,
    parts_by_time,
    told_apart,
)
from interplay.worlds.stylised import Crowd, InterestWorld, OrganicWorld, TemptingWorld

STYLISED: Mapping[str, type[Crowd]] = {
    "interest": InterestWorld, "tempting": TemptingWorld, "organic": OrganicWorld
}  # fmt: skip
TIMED = 20_000  # steps of people


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One simulator's validation report as figures; of a stylised one its speed alone."""
    data = load(page.data)
    figures: dict[str, float] = {}
    if entry.system in STYLISED:
        world: Crowd = STYLISED[entry.system](seed=seed)  # type: ignore[call-arg]
        facts: dict[str, Any] = {}
    elif entry.system in SIMULATORS:
        config = configured(LearnedConfig, {"knows": entry.system}, entry.settings)
        figures, facts = validated(data, config, seed=seed)
        train, valid, _ = parts_by_time(data)
        world = LearnedWorld(data, train, valid, config, seed=seed)
    else:
        raise unknown("simulator", entry.system, (*SIMULATORS, *STYLISED))
    facts = {**facts, "steps_a_second": round(speed(world, seed=seed))}  # no metric: it is another one each time
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"{data.name}: learnt from the first 80 % of the ratings by time, calibrated on the next 10, "
                      "judged on the last 10, where most people are new. An answer is whether a rating is 4 or more",
            "measures": "`base` is the chance said over the share true; `closed` is the logloss when every answer of "
                        "the judged part was drawn and remembered instead of the true one; `people` is the rank "
                        "correlation of people's shares of likes, drawn against true; `apart` is the AUC of a "
                        "classifier of real against drawn answers (.5 is best); `visits` is the Kolmogorov-Smirnov "
                        "distance of visit lengths; a step is one person shown one page, in processor time on one core",
        },
        "facts": facts,
    }  # fmt: skip


def validated(data: Dataset, config: LearnedConfig, *, seed: int = 0) -> tuple[dict[str, float], dict[str, Any]]:
    """Figures and facts of one simulator on the last part of a log."""
    train, valid, test = parts_by_time(data)
    e, rng = data.events, np.random.default_rng([seed, 61])
    assert e.value is not None
    like = (e.value >= config.liked).astype(float)
    answers = Answers(config).fit(data, train, valid)
    x = answers.along(e, like, data.n_users)[test]
    said, true = answers.chances(x), like[test]
    drawn = (rng.random(len(said)) < said).astype(float)
    label, score = told_apart(x, true, drawn, seed=seed)
    own = like.copy()
    looped = answers.chances(answers.along(e, own, data.n_users, drawn=test, luck=rng)[test])
    user = e.user[test]
    many = np.flatnonzero(np.bincount(user, minlength=data.n_users) >= 10)
    total = np.maximum(np.bincount(user, minlength=data.n_users), 1)
    shares = [(np.bincount(user, a, data.n_users) / total)[many] for a in (own[test], true)]
    flat = config.knows != "learned"
    visits = Visits.of(e, like, train | valid, config.pause, flat=flat)
    lengths, real = visits.lengths(2000, float(true.mean()), rng), lengths_of(e, test, config.pause)
    figures = {
        "auc": auc(true, said), "logloss": logloss(true, said), "ece": ece(true, said),
        "base": float(said.mean() / true.mean()), "closed": logloss(true, looped),
        "people": float(spearmanr(*shares).statistic) if len(many) > 2 else 0.0, "apart": auc(label, score),
        "visits": float(ks_2samp(lengths, real).statistic),
    }  # fmt: skip
    return figures, {"rows": len(true), "people": len(many), "visits": len(real)}


def speed(world: Crowd, *, seed: int = 0, least: int = TIMED) -> float:
    """Steps of people in a second of processor time; a step is one person shown one page, by lot."""
    asked = world.reset(seed)
    done, spent, round_ = 0, 0.0, 0
    assert asked is not None
    while done < least:
        rng = np.random.default_rng([seed, round_, 62])
        first = rng.integers(0, world.n_items, len(asked))[:, None]
        items = ((first + 7 * np.arange(asked.k)) % world.n_items).astype(np.int32)
        reply = Reply(slates=Slates(items=items, scores=np.zeros(items.shape, np.float32)))
        begun = time.process_time()
        _, following = world.step(reply)
        spent += time.process_time() - begun
        done, round_ = done + len(asked), round_ + 1
        asked = following if following is not None else world.reset(seed + round_)
    return done / max(spent, 1e-9)


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """Means over seeds, and thousands of steps a second."""
    newest = list(held.values())[-1]
    lines = [page.about, "", " ".join(f"{v}." for v in newest["protocol"].values()), ""]
    head = ["row", *page.metrics, "thousand steps a second"]
    lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for entry in page.entries:
        own = [held[entry.label, s] for s in entry.seeds if (entry.label, s) in held]
        if own:
            told = [[r["metrics"][m] for r in own if m in r["metrics"]] for m in page.metrics]
            cells = [f"{np.mean(values):.4f}" if values else "" for values in told]
            fast = np.mean([r["facts"]["steps_a_second"] for r in own]) / 1000
            lines.append("| " + " | ".join([entry.shown, *cells, f"{fast:.0f}"]) + " |")
    return "\n".join([*lines, "", page.note] if page.note else lines)
