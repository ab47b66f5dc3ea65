"""Losses: functions from scores to one number, lower is better. A row's weight of 0 leaves it out of the mean.

Shapes: `positive` [n], `negative` [n, m] (or [n] for one negative each), `weight` [n]. Cases with numbers worked by
hand stand in the tests.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (torch's own custom)
from torch import Tensor


def averaged(losses: Tensor, weight: Tensor | None = None) -> Tensor:
    """The mean over rows, or the mean weighted by `weight`; 0 where no row weighs anything.

    >>> float(averaged(torch.tensor([1.0, 3.0, 9.0]), torch.tensor([1.0, 1.0, 0.0])))
    2.0
    """
    if weight is None:
        return losses.mean()
    return (losses * weight).sum() / weight.sum().clamp_min(1e-12)


def _wide(negative: Tensor) -> Tensor:
    return negative[:, None] if negative.dim() == 1 else negative


def bpr(positive: Tensor, negative: Tensor, weight: Tensor | None = None) -> Tensor:
    """-log sigmoid(positive - negative), Rendle et al. 2009; written as softplus, which does not overflow."""
    return averaged(F.softplus(_wide(negative) - positive[:, None]).mean(dim=1), weight)


def bce(positive: Tensor, negative: Tensor, weight: Tensor | None = None) -> Tensor:
    """-log sigmoid(positive) - sum log(1 - sigmoid(negative)), as SASRec has it (Kang and McAuley 2018, eq. 7)."""
    return averaged(F.softplus(-positive) + F.softplus(_wide(negative)).sum(dim=1), weight)


def gbce(
    positive: Tensor, negative: Tensor, n_items: int, calibration: float = 0.75, weight: Tensor | None = None
) -> Tensor:
    """Generalised BCE (Petrov and Macdonald 2023, eq. 9): sigmoid(positive) to the power beta undoes overconfidence.

    beta = a (t (1 - 1/a) + 1/a) with sampling rate a = m / (n_items - 1) and t = `calibration`; t = 0 is plain BCE.
    Divided by m + 1, as in the paper.
    """
    wide = _wide(negative)
    m = wide.shape[1]
    sampling = min(m / max(n_items - 1, 1), 1.0)
    beta = sampling * (calibration * (1.0 - 1.0 / sampling) + 1.0 / sampling)
    return averaged((beta * F.softplus(-positive) + F.softplus(wide).sum(dim=1)) / (m + 1), weight)


def sampled_softmax(
    positive: Tensor,
    negative: Tensor,
    temperature: float = 1.0,
    positive_log_q: Tensor | None = None,
    negative_log_q: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """-log of the positive's share among itself and its negatives.

    Scores are divided by `temperature`; log q, the log of how often an item is drawn, is subtracted after that, so
    that an item drawn often is not pushed down for it. `negative` and its log q may be [m]: shared by all rows.
    """
    positive, negative = positive / temperature, negative / temperature
    if positive_log_q is not None:
        positive = positive - positive_log_q
    if negative_log_q is not None:
        negative = negative - negative_log_q
    if negative.dim() == 1:
        negative = negative.expand(len(positive), -1)
    return averaged(torch.logaddexp(positive, negative.logsumexp(dim=1)) - positive, weight)


def in_batch_softmax(
    users: Tensor,
    items: Tensor,
    temperature: float = 1.0,
    log_q: Tensor | None = None,
    clashes: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Row i's own item against everybody else's: users and items [n, d], inner products over `temperature`.

    `log_q` [n] corrects for popular items being in the batch more often (Yi et al. 2019). `clashes` bool[n, n] is True
    where item j must not count against user i (the same item again, or one the user also took).
    """
    logits = users @ items.T / temperature
    if log_q is not None:
        logits = logits - log_q
    if clashes is not None:
        own = torch.eye(len(users), dtype=torch.bool, device=users.device)
        logits = logits.masked_fill(clashes & ~own, -torch.inf)
    return averaged(logits.logsumexp(dim=1) - logits.diagonal(), weight)


class _PoolLogSumExp(torch.autograd.Function):
    """The exponentials are made once, in place, and serve the gradient too: its only passes are two products."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, pool: Tensor, row: Tensor, column: Tensor) -> Tensor:
        scores = rows @ pool.T
        scores[row, column] = -torch.inf
        top = scores.max(dim=1, keepdim=True).values
        top = torch.where(top.isfinite(), top, torch.zeros_like(top))
        total = scores.sub_(top).exp_().sum(dim=1, keepdim=True)
        ctx.save_for_backward(rows, pool, scores, total)
        return (top + total.log())[:, 0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        rows, pool, scores, total = ctx.saved_tensors
        each = gradient[:, None] / total.clamp_min(1e-30)
        return (scores @ pool) * each, scores.T @ (rows * each), None, None


def pool_log_sum_exp(rows: Tensor, pool: Tensor, hidden: tuple[Tensor, Tensor]) -> Tensor:
    """[n]: log sum over the pool of exp(rows . pool), without the (row, column) places in `hidden`.

    rows [n, d], pool [m, d]. A row whose whole pool is hidden has -inf.
    """
    return _PoolLogSumExp.apply(rows.float(), pool.float(), *hidden)  # type: ignore[no-untyped-call]


def multinomial(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """-sum over items of target * log softmax(logits): Mult-VAE's likelihood (Liang et al. 2018, eq. 2)."""
    return averaged(-(target * F.log_softmax(logits, dim=1)).sum(dim=1), weight)


def gaussian_kl(mean: Tensor, log_variance: Tensor, weight: Tensor | None = None) -> Tensor:
    """KL of N(mean, exp(log_variance)) from N(0, 1), summed over dimensions."""
    return averaged(0.5 * (mean**2 + log_variance.exp() - log_variance - 1.0).sum(dim=1), weight)


def annealed(step: int, steps: int, cap: float = 1.0) -> float:
    """A weight that rises evenly from 0 to `cap` over `steps` steps and stays there.

    >>> [annealed(s, 100, cap=0.2) for s in (0, 50, 100, 500)]
    [0.0, 0.1, 0.2, 0.2]
    """
    return cap * min(step / steps, 1.0) if steps > 0 else cap
