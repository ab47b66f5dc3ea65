"""What only a machine with a GPU can say. Not part of the suite, which runs without one:

python -m pytest tests/on_gpu.py
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist

from interplay.errors import Unsupported
from interplay.fitted import built
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.learn.device import maker, usable
from interplay.learn.together import Together
from interplay.systems import ROWS, SYSTEMS
from interplay.types import Requests, Run
from small import crowd, shop

LEARNERS = [row.name for row in ROWS if row.kind == "model" and row.on_device]


def learnt(name: str, device: str):
    data = shop() if "examples" in SYSTEMS[name].needs else crowd()
    return data, built(name).fit(data, run=Run(seed=1, epochs=2, device=device))


@pytest.mark.parametrize("name", LEARNERS)
def test_a_system_learns_there_as_here_and_serves_from_the_processor(name):
    data, here = learnt(name, "cpu")
    _, there = learnt(name, "cuda")
    mine, theirs = here.fitted["losses"], there.fitted["losses"]
    assert np.allclose(mine, theirs, rtol=0.1), f"losses {mine} here, {theirs} there"  # dropout draws differ
    state = there.state()
    assert all(np.isfinite(v).all() for v in state.arrays.values() if v.dtype.kind == "f")
    again = built(name).restore(state)
    if hasattr(there, "retrieve"):
        requests = Requests.of(data, np.arange(data.n_users, dtype=np.int32))
        one, two = there.retrieve(requests, 8), again.retrieve(requests, 8)
        assert np.allclose(one.scores, two.scores, rtol=1e-5) and (one.items == two.items).mean() > 0.99
    else:
        examples = there.examples(data)
        for task, said in there.predict(examples).items():
            assert np.allclose(said, again.predict(examples)[task], atol=1e-5), task


def test_a_run_that_was_cut_goes_on_there_from_its_checkpoint(tmp_path):
    with seeded(0):
        goal = torch.randn(512, 8)

    def run(epochs: int, folder) -> tuple[torch.Tensor, dict]:
        with seeded(1):
            net = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Dropout(0.2)).to("cuda")
        facts = descend(
            lambda rows: (net(goal[rows].cuda()) - 1).square().mean(), net, shuffled(512, 64, lambda rows, _: rows),
            descent=Descent(epochs=epochs, batch=64), run=Run(seed=1, device="cuda", checkpoint=folder),
        )  # fmt: skip
        return net[0].weight.detach().cpu(), facts

    whole, facts = run(6, None)
    assert facts["epochs"] == 6
    saved, _ = run(6, tmp_path)  # ended: the checkpoint holds all of it
    again, told = run(6, tmp_path)
    assert torch.allclose(saved, again) and told["epochs"] == 6
    assert torch.allclose(whole, saved, atol=1e-5)


def test_workers_speak_nccl():
    """One worker alone: the calls and their tensors, not the speed of several."""
    dist.init_process_group("nccl", init_method="tcp://127.0.0.1:29731", rank=0, world_size=1)
    try:
        company = Together("cuda")
        weight = torch.ones(4, device="cuda", requires_grad=True)
        (weight * torch.arange(4.0, device="cuda")).sum().backward()
        value, told = company.mean([weight], 2.5, (False, True))
        assert value == 2.5 and list(told) == [False, True]
        assert weight.grad is not None and weight.grad.tolist() == [0.0, 1.0, 2.0, 3.0]
        assert company.first(0.25) == 0.25
    finally:
        dist.destroy_process_group()


def test_what_is_there_is_named():
    assert usable("cuda:0") == "cuda:0" and maker("cuda")
    with pytest.raises(Unsupported, match="CUDA device"):
        usable("cuda:99")
