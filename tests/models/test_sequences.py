"""Sequence models against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from interplay.errors import BadSetting, UnknownName, Unsupported
from interplay.learn.descend import Descent
from interplay.models.sequences import (
    ENCODERS,
    LOSSES,
    Net,
    Places,
    Sequences,
    SequencesConfig,
    alike,
    windows,
)  # fmt: skip
from interplay.types import Ragged, Requests, Run
from small import crowd, made

SMALL = {"dim": 8, "window": 6, "descent": Descent(batch=64, epochs=2)}


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_a_later_item_changes_no_earlier_place(encoder):
    torch.manual_seed(0)
    net = Net(20, SequencesConfig(**SMALL, encoder=encoder, layers=2, heads=2)).eval()
    before, after = torch.tensor([[3, 1, 4, 1, 5]]), torch.tensor([[3, 1, 4, 9, 2]])
    one, other = net(before), net(after)
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3:], other[:, 3:])


@pytest.mark.parametrize("encoder", sorted(ENCODERS))
def test_an_earlier_item_changes_every_later_place(encoder):
    torch.manual_seed(0)
    net = Net(20, SequencesConfig(**SMALL, encoder=encoder)).eval()
    moved = (net(torch.tensor([[3, 1, 4]])) - net(torch.tensor([[7, 1, 4]]))).abs().sum(dim=2)
    assert (moved > 1e-6).all()


def places(m: int = 5, n_items: int = 7, drawn: torch.Tensor | None = None) -> Places:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(m, 4, generator=generator, requires_grad=True)
    table = torch.randn(n_items, 4, generator=generator, requires_grad=True)
    return Places(hidden, torch.arange(m) % n_items, table, torch.arange(n_items) if drawn is None else drawn)


def test_sampled_softmax_over_all_items_is_the_full_softmax():
    config = SequencesConfig(temperature=0.7)
    sampled, whole = (LOSSES[name](places(), config) for name in ("softmax", "full"))
    torch.testing.assert_close(sampled, whole)


def test_a_sampled_negative_stands_for_those_not_drawn():
    here = places(m=1, drawn=torch.tensor([2, 5]))
    score = (here.hidden @ here.table.T)[0].tolist()
    rest = 7 / 2 * (math.exp(score[2]) + math.exp(score[5]))
    expected = -math.log(math.exp(score[0]) / (math.exp(score[0]) + rest))
    assert LOSSES["softmax"](here, SequencesConfig()).item() == pytest.approx(expected, rel=1e-5)


def test_binary_losses_by_hand():
    here = places(m=1, drawn=torch.tensor([[3]]))
    score = (here.hidden @ here.table.T)[0].tolist()
    yes, no = math.log(1 + math.exp(-score[0])), math.log(1 + math.exp(score[3]))
    assert LOSSES["bce"](here, SequencesConfig()).item() == pytest.approx(yes + no, rel=1e-5)
    sampling, t = 1 / 6, 0.75
    beta = sampling * (t * (1 - 1 / sampling) + 1 / sampling)
    assert LOSSES["gbce"](here, SequencesConfig()).item() == pytest.approx((beta * yes + no) / 2, rel=1e-5)


def test_a_negative_that_is_the_wanted_item_does_not_count():
    with_it, without = places(m=1, drawn=torch.tensor([0, 3])), places(m=1, drawn=torch.tensor([3]))
    torch.testing.assert_close(LOSSES["bce"](with_it, SequencesConfig()), LOSSES["bce"](without, SequencesConfig()))
    alone = places(m=1, n_items=1)
    for name, loss in LOSSES.items():
        loss(alone, SequencesConfig()).backward()
        assert torch.isfinite(alone.hidden.grad).all(), name


def test_windows_cover_every_event_once_as_a_target():
    rng = np.random.default_rng(0)
    log = Ragged.of([np.arange(n) for n in rng.integers(0, 40, 30)])
    start, length, user = windows(log, 7, stretches=0)
    guessed = sorted((u, at) for s, n, u in zip(start, length, user, strict=True) for at in range(s + 1, s + n))
    expected = [(u, at) for u in range(30) for at in range(log.offsets[u] + 1, log.offsets[u + 1])]
    assert guessed == expected and length.max() <= 8
    latest, _, of = windows(log, 7, stretches=1)
    assert len(set(of.tolist())) == len(latest) == (log.lengths >= 2).sum()


def test_groups_hold_rows_of_like_length_and_lose_none():
    lengths = np.random.default_rng(0).integers(1, 50, 500)
    groups = alike(lengths, 200, np.random.default_rng(1))
    assert sorted(np.concatenate(groups).tolist()) == list(range(500))
    held = sum(len(g) * lengths[g].max() for g in groups)
    assert held < 1.1 * lengths.sum(), "hardly any padding"
    assert max(lengths[g].sum() for g in groups) <= 200 + 50


def test_the_loss_falls_and_a_ring_is_learnt():
    ring = made([(u, (u + t) % 12) for u in range(60) for t in range(6)])
    model = Sequences(SequencesConfig(dim=16, dropout=0.1, descent=Descent(batch=64, epochs=30, rate=5e-3)))
    model.fit(ring, run=Run(seed=0))
    assert model.fitted["losses"][-1] < 0.3 * model.fitted["losses"][0]
    slates = model.retrieve(Requests.strangers([[3, 4, 5], [10, 11]]), 1)
    assert slates.items[:, 0].tolist() == [6, 0]


PARTS = [
    {"loss": "full"}, {"loss": "gbce"}, {"loss": "bce", "sampler": "each", "negatives": 2}, {"encoder": "recurrent"},
    {"stretches": 0, "heads": 2, "layers": 2},
]  # fmt: skip


@pytest.mark.parametrize("settings", PARTS)
def test_every_part_trains(settings):
    quick = {**SMALL, "descent": Descent(batch=64, rate=1e-2)}
    model = Sequences(SequencesConfig(**quick, **settings)).fit(crowd(), run=Run(seed=0, epochs=6))
    assert model.fitted["epochs"] == 6 and model.fitted["losses"][-1] < model.fitted["losses"][0]


def test_only_the_window_is_read():
    model = Sequences(SequencesConfig(**SMALL)).fit(crowd(), run=Run(epochs=1))
    vectors = model.encode(Ragged.of([[9, 9, 9, 1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [1, 2, 10_000, 3, 4, 5, 6]]))
    np.testing.assert_array_equal(vectors[0], vectors[1])
    np.testing.assert_array_equal(vectors[1], vectors[2])


def test_without_a_known_item_popularity_answers():
    data = crowd()
    model = Sequences(SequencesConfig(**SMALL)).fit(data, run=Run(epochs=1))
    slates = model.retrieve(Requests.strangers([[], [10_000]]), 5)
    popular = np.sort(model.rows.popularity)[::-1][:5]
    np.testing.assert_array_equal(slates.scores, np.stack([popular, popular]))


def test_validation_chooses_the_epoch():
    judged = iter([0.1, 0.9, 0.2, 0.1, 0.0, 0.0])
    config = SequencesConfig(**{**SMALL, "descent": Descent(batch=64, epochs=6, patience=3)})
    model = Sequences(config).fit(crowd(), run=Run(validation=lambda m: next(judged) + 0 * len(m.vectors)))
    assert model.fitted["best_epoch"] == 2 and model.fitted["epochs"] == 5


def test_wrong_settings_and_orderless_logs_are_refused():
    with pytest.raises(UnknownName, match="softmax"):
        Sequences(SequencesConfig(loss="softmaxx")).fit(crowd())
    with pytest.raises(BadSetting, match="heads"):
        Sequences(SequencesConfig(dim=10, heads=4)).fit(crowd())
    loose = crowd()
    object.__setattr__(loose.events, "time", None)
    object.__setattr__(loose.events, "ordered", False)
    with pytest.raises(Unsupported, match="order"):
        Sequences().fit(loose)
