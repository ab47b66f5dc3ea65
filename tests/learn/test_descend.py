"""The loop: what it returns, when it stops, and that a killed run ends as one that was left alone."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from torch import nn

from interplay.errors import BadSetting, Mismatch, UnknownName
from interplay.learn.descend import Descent, descend, rate_at, seeded, shuffled
from interplay.types import Run

X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
Y = X @ np.array([1.0, -2.0, 0.5], np.float32)


def problem(pause=0.0):
    """A small regression with dropout (random state matters) and Adam (optimiser state matters)."""
    with seeded(7):
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1))

    def step(rows):
        time.sleep(pause)
        return ((model(torch.from_numpy(X[rows]))[:, 0] - torch.from_numpy(Y[rows])) ** 2).mean()

    return model, step, shuffled(len(X), 8, lambda rows, generator: rows)


def trained(run, pause=0.0, **descent):
    model, step, batches = problem(pause)
    facts = descend(step, model, batches, descent=Descent(rate=0.01, **descent), run=run, judge=lambda: -error(model),
                    save_every=0.0)  # fmt: skip
    return model, facts


def error(model):
    with torch.no_grad():
        return float(((model(torch.from_numpy(X))[:, 0] - torch.from_numpy(Y)) ** 2).mean())


def same_bits(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_it_learns_and_says_what_it_did():
    model, facts = trained(Run(), epochs=60)
    assert error(model) < 1.0 < error(problem()[0])
    assert facts["epochs"] == facts["best_epoch"] == 60 and len(facts["losses"]) == 60
    assert facts["steps"] == 60 * 5 and facts["stopped"] == "epochs" and not facts["cut"]


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    first, again, other = (trained(Run(seed=s), epochs=3)[0] for s in (1, 1, 2))
    assert same_bits(first, again) and not same_bits(first, other)


def test_the_callers_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    trained(Run(), epochs=2)
    assert torch.equal(torch.rand(1), expected)


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from test_descend import *\n"
        "trained(Run(seed=3, checkpoint=Path(sys.argv[2]), validation=lambda m: 0.0), pause=0.004, epochs=60)"
    )
    here = str(__import__("pathlib").Path(__file__).parent)
    child = subprocess.Popen([sys.executable, "-c", script, here, str(tmp_path)])
    while not (tmp_path / "descent.pt").exists():
        assert child.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    time.sleep(0.35)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    left = torch.load(tmp_path / "descent.pt", weights_only=True)["counters"]
    assert 0 < left["steps"] < 300
    validation = lambda m: 0.0
    resumed, facts = trained(Run(seed=3, checkpoint=tmp_path, validation=validation), epochs=60)
    alone, expected = trained(Run(seed=3, validation=validation), epochs=60)
    assert same_bits(resumed, alone)
    assert {**facts, "seconds": 0} == {**expected, "seconds": 0}


def test_every_stop_inside_an_epoch_resumes_to_the_same_bits(tmp_path):
    alone, _ = trained(Run(), epochs=2)
    for stop in range(1, 10):
        model, step, batches = problem()
        taken = iter(range(stop))

        def interrupted(rows, step=step, taken=taken):
            if next(taken, None) is None:
                raise KeyboardInterrupt
            return step(rows)

        run = Run(checkpoint=tmp_path / str(stop))
        with pytest.raises(KeyboardInterrupt):
            descend(interrupted, model, batches, descent=Descent(rate=0.01, epochs=2), run=run, save_every=0.0)
        assert same_bits(trained(run, epochs=2)[0], alone)


def test_a_finished_run_is_not_run_again(tmp_path):
    first, facts = trained(Run(checkpoint=tmp_path), epochs=4)
    again, same = trained(Run(checkpoint=tmp_path), epochs=4)
    assert same_bits(first, again) and same["steps"] == facts["steps"]


def test_another_runs_checkpoint_is_refused(tmp_path):
    trained(Run(checkpoint=tmp_path), epochs=2)
    with pytest.raises(Mismatch, match="another run"):
        trained(Run(checkpoint=tmp_path, seed=1), epochs=2)


def test_patience_stops_early_and_gives_back_the_best():
    model, step, batches = problem()
    curve, seen = iter([1.0, 3.0, 2.0, 2.5, 9.0]), []

    def judge():
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        return next(curve)

    facts = descend(step, model, batches, descent=Descent(patience=2, epochs=50), run=Run(validation=lambda m: 0.0),
                    judge=judge)  # fmt: skip
    assert facts["stopped"] == "patience" and facts["epochs"] == 4 and facts["best_epoch"] == 2 and facts["best"] == 3.0
    assert facts["judged"] == [[1, 1.0], [2, 3.0], [3, 2.0], [4, 2.5]]
    assert all(torch.equal(v, seen[1][k]) for k, v in model.state_dict().items())


def test_judging_every_few_epochs_changes_nothing_that_is_learnt():
    often, _ = trained(Run(epochs=6, validation=lambda m: 0.0), epochs=6)
    never, _ = trained(Run(epochs=6), epochs=6)
    assert same_bits(often, never)


def test_a_refit_runs_exactly_so_many_epochs_on_the_same_schedule():
    _, facts = trained(Run(epochs=7, validation=lambda m: 0.0), epochs=3, patience=1)
    assert facts["epochs"] == facts["best_epoch"] == 7 and facts["stopped"] == "epochs"
    short, _ = trained(Run(epochs=2), epochs=10, schedule="cosine")
    model, step, batches = problem()
    descend(step, model, batches, descent=Descent(rate=0.01, epochs=10, schedule="cosine"), run=Run(epochs=2))
    assert same_bits(short, model)


def test_time_is_watched_at_every_step_and_a_run_with_more_time_goes_on(tmp_path):
    _, facts = trained(Run(seconds=0.1, checkpoint=tmp_path), pause=0.02, epochs=1000)
    assert facts["cut"] and facts["stopped"] == "time" and facts["seconds"] < 2 and facts["steps"] < 10
    _, more = trained(Run(seconds=facts["seconds"] + 0.1, checkpoint=tmp_path), pause=0.02, epochs=1000)
    assert more["steps"] > facts["steps"]


def test_a_loss_that_is_no_number_stops_with_a_sentence():
    model, step, batches = problem()
    with pytest.raises(BadSetting, match=r"loss is nan at epoch 1, step 1; lower descent\.rate"):
        descend(lambda rows: step(rows) * float("nan"), model, batches, descent=Descent(), run=Run())
    calls = iter(range(100))
    facts = descend(lambda rows: step(rows) * (1.0 if next(calls) < 7 else float("nan")), model, batches,
                    descent=Descent(), run=Run(validation=lambda m: 0.0), judge=lambda: 1.0)  # fmt: skip
    assert "epoch 2, step 3" in facts["stopped"] and facts["best_epoch"] == 1
    assert all(torch.isfinite(p).all() for p in model.parameters())


def test_nothing_to_learn_from_is_said():
    facts = descend(lambda b: b, problem()[0], lambda epoch, generator: [], descent=Descent(), run=Run())
    assert facts["stopped"] == "there was nothing to learn from" and facts["epochs"] == 0


def test_progress_is_told_each_epoch():
    told = []
    trained(Run(progress=lambda stage, facts: told.append((stage, facts["epoch"]))), epochs=3)
    assert told == [("learn", 1), ("learn", 2), ("learn", 3)]


def test_cosine_falls_from_the_rate_to_nothing():
    at = [rate_at(Descent(rate=2.0, schedule="cosine", epochs=4), e) for e in (0, 2, 4, 9)]
    np.testing.assert_allclose(at, [2.0, 1.0, 0.0, 0.0], atol=1e-12)


def test_clipping_bounds_the_step_of_sgd():
    weight = torch.zeros(2, requires_grad=True)
    descend(lambda b: (weight * torch.tensor([30.0, 40.0])).sum(), {"w": weight}, lambda e, g: [0],
            descent=Descent(optimiser="sgd", rate=1.0, clip=1.0, epochs=1), run=Run())  # fmt: skip
    torch.testing.assert_close(weight.detach(), torch.tensor([-0.6, -0.8]))


def test_bfloat16_learns_too():
    assert error(trained(Run(), epochs=60, bf16=True)[0]) < 1.0


def test_unknown_parts_are_refused():
    with pytest.raises(UnknownName, match="no optimiser called 'adan'; nearest: \\['adam'"):
        trained(Run(), optimiser="adan")
    with pytest.raises(BadSetting, match="rate > 0"):
        descend(lambda b: b, {}, lambda e, g: [], descent=Descent(rate=-1.0), run=Run())


def test_after_a_judgement_without_a_better_one_the_rate_falls():
    moved, values = [], iter([1.0, 0.5, 0.4, 0.3])
    weight = torch.zeros(1, requires_grad=True)

    def step(_):
        moved.append(float(weight.detach()))
        return weight.sum()

    slow = Descent(optimiser="sgd", rate=1.0, plateau=0.1, epochs=4, patience=0)
    judged = Run(validation=lambda model: 0.0)
    descend(step, {"w": weight}, lambda epoch, _: [None], descent=slow, run=judged, judge=lambda: next(values))
    np.testing.assert_allclose(np.diff(moved), [-1.0, -1.0, -0.1], atol=1e-6)
