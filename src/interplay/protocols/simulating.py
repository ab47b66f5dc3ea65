"""The bench of simulators: a learnt one and three that know next to nothing, held against a log they have not seen.

Responses one step ahead and in closed loop, visits, who of the people likes much, and whether a classifier tells drawn
answers from real ones. Parts are cut by time: rates and models see nothing of what they are judged on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import ks_2samp, spearmanr

from interplay.benches import Bench, Entry
from interplay.configure import configured
from interplay.data.read import load
from interplay.metrics import auc, ece, logloss
from interplay.types import Dataset
from interplay.worlds.learned import Answers, LearnedConfig, Visits, lengths_of, parts_by_time, told_apart


def judge(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    """One simulator's validation report as figures."""
    data = load(page.data)
    figures, facts = validated(data, configured(LearnedConfig, {"knows": entry.system}, entry.settings), seed=seed)
    return {
        "metrics": figures,
        "protocol": {
            "judged": f"{data.name}: learnt from the first 80 % of the ratings by time, calibrated on the next 10, "
                      "judged on the last 10, where most people are new. An answer is whether a rating is 4 or more",
            "measures": "`base` is the chance said over the share true; `closed` is the logloss when every answer of "
                        "the judged part was drawn and remembered instead of the true one; `people` is the rank "
                        "correlation of people's shares of likes, drawn against true; `apart` is the AUC of a "
                        "classifier of real against drawn answers (.5 is best); `visits` is the Kolmogorov-Smirnov "
                        "distance of visit lengths",
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
