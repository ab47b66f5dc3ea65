"""Click models: each likelihood is the paper's, worked out over everything that may have happened unseen."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from interplay.learn.looking import MODELS, Cells, Grid, simulate


def sigmoid(x: float) -> float:
    return 1 / (1 + np.exp(-x))


def drawn(name: str, grid: Grid, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {k: torch.randn(v.shape, generator=generator) for k, v in MODELS[name].start(grid).items()}


def every_page(grid: Grid) -> torch.Tensor:
    return torch.tensor(list(product([0.0, 1.0], repeat=grid.rows * grid.columns))).reshape(-1, grid.rows, grid.columns)


@pytest.mark.parametrize("name", sorted(set(MODELS) - {"one-choice"}))
def test_the_chances_of_all_pages_add_up_to_one_and_agree_with_the_chance_of_each_click(name: str) -> None:
    grid = Grid(rows=2, columns=3, visible=2, topics=0)
    logits, clicked = drawn(name, grid), every_page(grid)
    one = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(1))
    satisfied = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(2)) if MODELS[name].satisfies else None
    wide = [None if x is None else x.expand(len(clicked), 2, 3) for x in (one, satisfied)]
    cells = Cells(torch.ones(clicked.shape, dtype=torch.bool), clicked)
    p = MODELS[name].likelihood(logits, grid, cells, *wide).double().exp()
    assert p.sum().item() == pytest.approx(1, abs=2e-4)
    single = Cells(cells.held[:1], clicked[:1])
    marginal = MODELS[name].marginals(logits, grid, single, one, satisfied)[0]
    torch.testing.assert_close((p[:, None, None] * clicked).sum(dim=0).float(), marginal, atol=2e-4, rtol=1e-3)


def test_dbn_is_the_sum_over_where_the_reader_stopped() -> None:
    grid = Grid(rows=1, columns=3, visible=5, topics=0)
    on, attraction, ends = 0.8, [0.5, -0.3, 0.9], [0.2, 1.1, -0.7]
    logits = {"on": torch.tensor([on])}
    for clicked in product([0, 1], repeat=3):
        slow = 0.0
        for last in range(3):  # the last cell that was looked at
            p = 1.0
            for c in range(last + 1):
                a, s = sigmoid(attraction[c]), sigmoid(ends[c])
                p *= a if clicked[c] else 1 - a
                stays = (1 - s if clicked[c] else 1.0) * sigmoid(on)
                p *= stays if c < last else (1.0 if last == 2 else 1 - stays)
            slow += p if not any(clicked[last + 1 :]) else 0.0
        cells = Cells(torch.ones(1, 1, 3, dtype=torch.bool), torch.tensor(clicked).float().reshape(1, 1, 3))
        told = MODELS["dbn"].likelihood(
            logits, grid, cells, torch.tensor(attraction).reshape(1, 1, 3), torch.tensor(ends).reshape(1, 1, 3)
        )
        assert told.exp().item() == pytest.approx(slow, abs=1e-5)


def test_a_carousel_is_entered_by_its_topic_swiped_on_and_left() -> None:
    grid = Grid(rows=2, columns=4, visible=2, topics=3)
    enter, swipe = torch.tensor([0.3, -1.0, 0.8]), 0.4
    logits = {"enter": enter, "swipe": torch.tensor([swipe]), "after": torch.tensor([-40.0])}
    attraction = torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(0))
    topic = torch.tensor([[2, 0]])
    cells = Cells(torch.ones(1, 2, 4, dtype=torch.bool), torch.zeros(1, 2, 4), topic)
    marginal = MODELS["carousel"].marginals(logits, grid, cells, attraction, None)[0]
    still = 1.0  # nobody goes on after a click
    for r in range(2):
        scanned, row = sigmoid(float(enter[topic[0, r]])), []
        for c in range(4):
            scanned *= sigmoid(swipe) if c == 2 else 1.0
            row.append(scanned * sigmoid(float(attraction[0, r, c])))
            scanned -= row[-1]
        np.testing.assert_allclose(marginal[r].numpy(), still * np.array(row), atol=1e-5)
        still *= 1 - sum(row)


def test_one_choice_is_a_softmax_over_the_cells_and_none() -> None:
    grid = Grid(rows=1, columns=2, visible=5, topics=0)
    logits = {"place": torch.tensor([[0.5, -0.5]]), "nothing": torch.tensor([1.0])}
    attraction = torch.tensor([[[0.2, 0.7]]])
    held = torch.ones(1, 1, 2, dtype=torch.bool)
    weights = np.exp([1.0, 0.7, 0.2])
    for clicked, slow in (([0.0, 0.0], 0), ([1.0, 0.0], 1), ([0.0, 1.0], 2)):
        told = MODELS["one-choice"].likelihood(logits, grid, Cells(held, torch.tensor([[clicked]])), attraction, None)
        assert told.exp().item() == pytest.approx(weights[slow] / weights.sum(), abs=1e-6)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_simulated_clicks_come_as_often_as_the_model_says(name: str) -> None:
    grid, n = Grid(rows=2, columns=3, visible=2, topics=0), 20_000
    logits = drawn(name, grid, seed=3)
    wide = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(4))
    attraction, satisfied = wide[:1].expand(n, 2, 3), wide[1:].expand(n, 2, 3)
    satisfied = satisfied if MODELS[name].satisfies else None
    cells = Cells(torch.ones(n, 2, 3, dtype=torch.bool), torch.zeros(n, 2, 3))
    clicked = simulate(name, logits, grid, cells, attraction, satisfied, torch.Generator().manual_seed(5))
    marginal = MODELS[name].marginals(logits, grid, cells, attraction, satisfied)[0]
    torch.testing.assert_close(clicked.float().mean(dim=0), marginal, atol=0.015, rtol=0)
