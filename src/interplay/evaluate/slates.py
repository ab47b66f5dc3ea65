"""Off-policy estimates for whole slates: K places, a reward at each, and three beliefs about what a reward depends on.

sips         on everything shown                    the weight of the whole slate
iips         on its own item and place alone        weights of each item at its place (Li et al., KDD 2018)
rips         on its own item and those above it     weights of prefixes (McInerney et al., KDD 2020)
cascade-dr   as rips, with a reward model           (Kiyohara et al., WSDM 2022)
pi           the slate's reward is a sum over its (place, item) pairs; the pseudo-inverse of the logging design
             (Swaminathan et al., NIPS 2017; from memory)

The right belief matters more than variance: iips on rewards that cascade gives a narrow interval around a wrong value.
Names that begin with `sn` are self-normalised: divided by the mean weight of each place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from interplay.errors import BadData, Undecidable
from interplay.evaluate.intervals import Terms, persons
from interplay.types import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Chances:
    """How likely a policy is to show the logged slates; only what an estimator asks for need be there."""

    slate: Array | None = None  # float64[n]: the whole slate
    item: Array | None = None  # float64[n, k]: the item at its place, whatever stands above
    prefix: Array | None = None  # float64[n, k]: the first places down to this one

    @staticmethod
    def stepwise(step: Array) -> Chances:
        """From float64[n, k]: the chance of each item given those above it, as a log holds it."""
        prefix = np.cumprod(step, axis=1)
        return Chances(slate=prefix[:, -1], prefix=prefix)

    @staticmethod
    def independent(item: Array) -> Chances:
        """Of a policy that fills every place without looking at the others: float64[n, k]."""
        prefix = np.cumprod(item, axis=1)
        return Chances(slate=prefix[:, -1], prefix=prefix, item=item)


@dataclass(frozen=True, kw_only=True, eq=False)
class SlateLog:
    """n slates of k places: rewards, and how likely the logger was to show what it showed."""

    reward: Array  # float64[n, k]
    logged: Chances
    candidate: Chances
    items: Array | None = None  # int64[n, k]
    context: Array | None = None  # float64[n, d]
    who: Array | None = None  # int64[n]

    def __post_init__(self) -> None:
        if not np.isfinite(self.reward).all():
            raise BadData("some rewards of the slates are NaN or inf; leave those slates out, and say how many")
        for name in ("slate", "item", "prefix"):
            p = getattr(self.logged, name)
            if p is not None and not ((p > 0) & (p <= 1 + 1e-9)).all():
                raise BadData(f"some logged chances ({name}) are not in (0, 1]; a logged slate had a chance")
            q = getattr(self.candidate, name)
            if q is not None and not ((q >= 0) & (q <= 1 + 1e-9)).all():
                raise BadData(
                    f"some of the candidate's chances ({name}) are not in [0, 1]; give its chance of what was logged, "
                    "0 where it would not show it"
                )

    def weight(self, name: str) -> Array:
        """pi_e / pi_b of "slate", "item" or "prefix"."""
        above, below = getattr(self.candidate, name), getattr(self.logged, name)
        if above is None or below is None:
            raise BadData(f"this estimator needs the chances of each {name} under both policies; give Chances({name}=)")
        return above / below


def sips(log: SlateLog) -> Terms:
    return Terms.mean(log.weight("slate") * log.reward.sum(axis=1))


def iips(log: SlateLog) -> Terms:
    return Terms.mean((log.weight("item") * log.reward).sum(axis=1))


def rips(log: SlateLog) -> Terms:
    return Terms.mean((log.weight("prefix") * log.reward).sum(axis=1))


def sn_sips(log: SlateLog) -> Terms:
    return _normalised(log.weight("slate")[:, None], log.reward)


def sn_iips(log: SlateLog) -> Terms:
    return _normalised(log.weight("item"), log.reward)


def sn_rips(log: SlateLog) -> Terms:
    return _normalised(log.weight("prefix"), log.reward)


def _normalised(weight: Array, reward: Array) -> Terms:
    """The sum over places of weighted means, to first order as one average: its terms carry the right error."""
    mean = weight.mean(axis=0)
    if (mean == 0).any():
        raise Undecidable(f"no logged slate counts at place {int(np.argmax(mean == 0))}: the candidate shows others")
    own = (weight * reward).mean(axis=0) / mean
    return Terms.mean((own + weight * (reward - own) / mean).sum(axis=1))


SLATE_ESTIMATORS: Mapping[str, Callable[[SlateLog], Terms]] = {
    "sips": sips, "iips": iips, "rips": rips, "snsips": sn_sips, "sniips": sn_iips, "snrips": sn_rips,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Cascade-DR


def cascade_dr(log: SlateLog, modelled: Array, expected: Array) -> Terms:
    """rips with a reward model, float64[n, k] each: Q_k of the prefix that was shown, and its mean over what the
    candidate would put at place k. Q_k is all that is still to come from place k on; 0 gives rips."""
    weight = log.weight("prefix")
    before = np.concatenate([np.ones((len(weight), 1)), weight[:, :-1]], axis=1)
    return Terms.mean((weight * (log.reward - modelled) + before * expected).sum(axis=1))


def cascade_model(
    log: SlateLog, steps: Array, *, folds: int = 3, ridge: float = 1.0, seed: int = 0
) -> tuple[Array, Array]:
    """Q_k of the logged prefixes and its mean under the candidate, for `cascade_dr`; fitted backwards, across folds.

    `steps` float64[n, k, items] is the candidate's chance of every item at a place, given what was logged above it.
    Q_k is a ridge regression on the context and on one column for each item at each place so far, weighted by the
    prefix; what follows place k enters by its own model's mean (a linear form that is ours).
    """
    if log.items is None:
        raise BadData("a reward model of slates needs the logged items; give SlateLog(items=)")
    n, k = log.items.shape
    count, person = steps.shape[2], persons(log.who, n)
    people = int(person.max(initial=-1)) + 1
    if people < folds:
        raise BadData(f"{people} persons cannot be dealt into {folds} folds; log longer or lower folds")
    fold = (np.random.default_rng(seed).permutation(people) % folds)[person]
    context = np.zeros((n, 0)) if log.context is None else log.context
    shown = np.eye(count)[log.items]  # float64[n, k, items]
    weight, modelled, expected = log.weight("prefix"), np.zeros((n, k)), np.zeros((n, k))
    for f in range(folds):
        rest, here, later = fold != f, fold == f, np.zeros(n)
        for place in reversed(range(k)):
            above = np.concatenate([np.ones((n, 1)), context, shown[:, :place].reshape(n, -1)], axis=1)
            x = np.concatenate([above, shown[:, place]], axis=1)
            y = log.reward[:, place] + later
            at = weight[rest, place] / max(float(weight[rest, place].mean()), 1e-300)
            gram = (x[rest] * at[:, None]).T @ x[rest] + ridge * np.diag(np.r_[1e-9, np.ones(x.shape[1] - 1)])
            told = np.linalg.solve(gram, x[rest].T @ (at * y[rest]))
            modelled[here, place] = x[here] @ told
            later = above @ told[: above.shape[1]] + steps[:, place] @ told[above.shape[1] :]
            expected[here, place] = later[here]
    return modelled, expected


# --------------------------------------------------------------------------------------------------------------------
# The pseudo-inverse


def pseudo_inverse(log: SlateLog, gram: Array, target: Array) -> Terms:
    """For rewards of whole slates that are sums over their (place, item) pairs.

    gram    float64[k * items, k * items], E[s s'] of the logger's slates written as pairs; [n, ...] by context
    target  float64[k * items], E[s] of the candidate's; [n, k * items] by context
    """
    if log.items is None:
        raise BadData("the pseudo-inverse needs the logged items; give SlateLog(items=)")
    n, k = log.items.shape
    width = np.shape(target)[-1] // k
    pair = np.arange(k) * width + log.items
    inverse = np.linalg.pinv(gram, hermitian=True)
    told = np.einsum("...i,...ij->...j", target, inverse)
    told = np.broadcast_to(told, (n, k * width))
    weight = np.take_along_axis(told, pair, axis=1).sum(axis=1)
    return Terms.mean(weight * log.reward.sum(axis=1))


def design(slates: Array, chance: Array, count: int) -> tuple[Array, Array]:
    """E[s s'] and E[s] of a policy that shows each of `slates` (int64[m, k]) by its chance, with items 0..count - 1."""
    m, k = slates.shape
    pairs = np.zeros((m, k * count))
    np.put_along_axis(pairs, np.arange(k) * count + slates, 1.0, axis=1)
    return (pairs * chance[:, None]).T @ pairs, chance @ pairs


def uniform_design(count: int, k: int) -> Array:
    """E[s s'] of a logger that draws k of `count` items without replacement, all alike."""
    same, other = np.eye(count) / count, (1 - np.eye(count)) / max(count * (count - 1), 1)
    blocks = [[same if i == j else other for j in range(k)] for i in range(k)]
    return np.block(blocks)
