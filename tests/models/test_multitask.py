"""What tasks share: bodies worked task by task."""

import pytest
import torch

from interplay.models.multitask import BODIES, MultitaskConfig

X = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))


def body(name, n_tasks=3, **more):
    torch.manual_seed(0)
    return BODIES[name](5, n_tasks, MultitaskConfig(hidden=(8, 4), **more)).eval()


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("n_tasks", [1, 3])
def test_every_body_gives_each_task_a_vector(name, n_tasks):
    assert body(name, n_tasks)(X).shape == (6, n_tasks, 4)


def test_a_shared_bottom_says_the_same_to_every_task():
    said = body("shared-bottom")(X)
    torch.testing.assert_close(said[:, 0], said[:, 2])


def test_mmoe_is_a_softmax_of_experts_for_each_task():
    net = body("mmoe", experts=2)
    said = net.experts(X)
    for task in range(3):
        shares = net.gates.linear(X).view(6, 3, 2)[:, task].softmax(dim=1)
        torch.testing.assert_close(net(X)[:, task], shares[:, :1] * said[:, 0] + shares[:, 1:] * said[:, 1])


def test_ple_mixes_own_and_shared_experts_level_by_level():
    net = body("ple", n_tasks=2, experts=2, own=1, levels=2)
    streams = [X, X, X]  # two tasks and what is shared
    for depth, level in enumerate(net.levels):
        said = [expert(stream) for expert, stream in zip(level.experts, streams, strict=True)]
        pools = [torch.cat([said[0], said[2]], dim=1), torch.cat([said[1], said[2]], dim=1), torch.cat(said, dim=1)]
        after = []
        for gate, stream, pool in zip(level.gates, streams, pools, strict=False):
            shares = gate.linear(stream).softmax(dim=1)
            after.append(sum(shares[:, k, None] * pool[:, k] for k in range(pool.shape[1])))
        assert len(after) == (3 if depth == 0 else 2), "the last level has no shared stream"
        streams = after
    torch.testing.assert_close(net(X), torch.stack(streams, dim=1))


def test_a_task_of_ple_does_not_read_the_experts_of_another():
    net = body("ple", n_tasks=2, levels=1)
    before = net(X)[:, 0]
    with torch.no_grad():
        for weight in net.levels[0].experts[1].weights:
            weight.add_(1.0)
    after = net(X)
    torch.testing.assert_close(before, after[:, 0])
