"""What rankers with a network share: tables, the masked loss, the whole-table ridge, calibration, keeping."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from interplay.data.coder import Coder
from interplay.data.examples import Examples
from interplay.errors import BadData, UnknownName
from interplay.learn.descend import Descent
from interplay.learn.ranked import ranked, sigmoid, temperature
from interplay.learn.tabular import Batch, Tables, TabularConfig, batch_of, cross_entropy, learn, shrinkage
from interplay.types import Requests, Run, Slates


def made(n: int = 400, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 6, n), rng.integers(0, 5, n)
    return Examples(
        fields={"user": user, "item": item}, numbers={"x": rng.normal(size=n).astype(np.float32)},
        labels={"click": ((user + item) % 2).astype(np.float32), "buy": (user > 2).astype(np.float32)},
    )  # fmt: skip


class Sums(nn.Module):
    def __init__(self, coder: Coder) -> None:
        super().__init__()
        self.tables = Tables(coder, 8, 0.1)
        self.out = nn.Linear(8, len(coder.tasks))

    def forward(self, batch: Batch) -> torch.Tensor:
        return self.out(self.tables(batch).prod(dim=1))


def test_a_number_is_a_bent_line_and_missing_has_a_vector_of_its_own():
    coder = Coder.fit(made())
    tables = Tables(coder, 3, 1.0)
    at = torch.tensor([[0.0], [1 / 16], [0.5], [1.0], [-1.0]])
    out = tables(Batch(torch.zeros(5, 2, dtype=torch.int64), at, {}, at, at))[:, 2].detach()
    steps, start, missing = tables.lines[0, :8].detach(), tables.lines[0, 8].detach(), tables.lines[0, 9].detach()
    slow = [start, start + steps[0] / 2, start + steps[:4].sum(0), start + steps.sum(0), missing]
    torch.testing.assert_close(out, torch.stack(slow))


def test_the_ridge_is_of_the_whole_table_whatever_the_batch_holds():
    net = Sums(Coder.fit(made()))
    (0.05 * shrinkage(net)).backward()
    torch.testing.assert_close(net.tables.weight.grad, 0.05 * net.tables.weight.detach())


def test_unknown_labels_play_no_part_in_the_loss():
    logits = torch.tensor([[0.0, 5.0], [2.0, -1.0]])
    batch = Batch(logits, logits, {}, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    torch.testing.assert_close(cross_entropy(logits, batch), (np.log(2) + torch.tensor(2.0).exp().log1p()) / 2)


def test_it_learns_stops_by_validation_and_what_it_kept_answers_alike():
    examples = made()
    config = TabularConfig(dim=8, descent=Descent(rate=0.05, batch=64, epochs=30, patience=5))
    learnt = learn(examples, config, Sums, Run(seed=1), n_users=8)
    assert learnt.fitted["best"] > 0.9 and set(learnt.fitted["temperature"]) == {"click", "buy"}
    again = type(learnt).restore(learnt.state(), Sums)
    for task, p in learnt.predict(examples).items():
        np.testing.assert_allclose(again.predict(examples)[task], p, atol=1e-6)
    rows = learnt.state().users["net.tables.user"]
    assert rows.shape == (8, 8) and not rows[6:].any() and rows[:6].any(axis=1).all()
    learnt.forget(np.array([3]))
    assert not learnt.state().users["net.tables.user"][3].any()
    stranger = Examples(fields={"user": np.array([3, -1]), "item": np.array([1, 1])})
    p = learnt.predict(stranger)["click"]
    assert p[0] == p[1], "who is forgotten is a stranger"


def test_a_batch_of_one_row_and_a_refit_of_so_many_epochs():
    class Normed(Sums):
        def forward(self, batch: Batch) -> torch.Tensor:
            return super().forward(batch) + self.norm(self.tables(batch).sum(dim=1))[:, :1]

        def __init__(self, coder: Coder) -> None:
            super().__init__(coder)
            self.norm = nn.BatchNorm1d(8)

    config = TabularConfig(descent=Descent(batch=50, epochs=9))
    learnt = learn(made(101), config, Normed, Run(epochs=2))
    assert learnt.fitted["epochs"] == 2 and learnt.fitted["temperature"] == {"click": 1.0, "buy": 1.0}


def test_a_task_without_any_known_label_and_an_unknown_weight_are_refused():
    examples = made(60)
    examples.labels["buy"][:] = np.nan
    with pytest.raises(BadData, match="the task 'buy' is known"):
        learn(examples, TabularConfig(), Sums, Run())
    with pytest.raises(UnknownName, match="no task called 'clik'; nearest"):
        learn(made(60), TabularConfig(weights={"clik": 1.0}), Sums, Run())


def test_temperature_finds_the_scale_that_probabilities_were_told_with():
    rng = np.random.default_rng(0)
    z = rng.normal(size=20_000) * 2
    label = rng.random(20_000) < sigmoid(z)
    assert abs(temperature(label, 3 * z) - 3.0) < 0.15 and temperature(np.ones(3), z[:3]) == 1.0


def test_the_order_is_a_weighted_sum_and_ties_go_by_the_items_key():
    coder = Coder.fit(made())
    slates = Slates(items=np.array([[2, 0, 1, -1]], np.int32), scores=np.zeros((1, 4), np.float32))
    said = {"click": np.array([0.5, 0.2, 0.5, 0.9]), "buy": np.array([0.0, 0.3, 0.0, 0.9])}
    requests = Requests.strangers([[]])

    def order(weights: dict[str, float]) -> list[int]:
        return ranked(requests, slates, None, lambda _: said, coder, weights).items[0].tolist()

    assert order({}) == [0, 1, 2, -1] and order({"click": 1.0}) == [1, 2, 0, -1]
    out = ranked(requests, slates, None, lambda _: said, coder, {"click": 1.0, "buy": 2.0})
    assert out.items[0, 0] == 0 and out.scores[0, 0] == pytest.approx(0.8)
    assert out.columns["p_buy"][0].tolist() == pytest.approx([0.3, 0.0, 0.0, 0.0])


def test_batches_carry_every_row_once():
    coder = Coder.fit(made(10))
    batch = batch_of(coder.code(made(10)), np.array([3, 1]))
    assert batch.fields.shape == (2, 2) and batch.labels.shape == (2, 2) and batch.mask.all()
