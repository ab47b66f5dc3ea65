"""Several workers that descend as one: the mean of their gradients, one decision for all, and after a kill the same."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from interplay.errors import BadSetting, Mismatch
from interplay.learn.descend import Descent, descend, seeded, shuffled
from interplay.learn.together import NO_BATCH, Alone, Epoch, Parted, Together, company
from interplay.types import Run

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X @ np.array([1.0, -2.0, 0.5])
FORK = multiprocessing.get_context("fork")


def begun(work, where, size=2):
    """Processes of a group of their own, and what they say."""
    where.mkdir(parents=True, exist_ok=True)
    heard, said = zip(*(FORK.Pipe(duplex=False) for _ in range(size)), strict=True)
    meeting = where / f"meeting-{time.monotonic_ns()}"

    def run(rank):
        torch.set_num_threads(1)
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)
        try:
            said[rank].send((True, work(rank)))
        except Exception as error:
            said[rank].send((False, error))
        os._exit(0)

    processes = [FORK.Process(target=run, args=(rank,)) for rank in range(size)]
    for process, line in zip(processes, said, strict=True):
        process.start()
        line.close()
    return processes, heard


def together(work, where, size=2):
    """What `work(rank)` gives to each worker, or its error; None where one was killed."""
    processes, heard = begun(work, where, size)
    answers = []
    try:
        for line in heard:
            assert line.poll(60), "a worker hangs"
            try:
                answers.append(line.recv()[1])
            except EOFError:
                answers.append(None)
    finally:
        for process in processes:
            process.kill()
            process.join()
    return answers


def weights():
    return torch.zeros(3, dtype=torch.float64, requires_grad=True)


def gap(weight, rows):
    return ((torch.from_numpy(X[rows]) @ weight - torch.from_numpy(Y[rows])) ** 2).mean()


def fixed(rows):
    return lambda epoch, generator: list(rows)


@pytest.mark.parametrize("clip", [0.0, 0.5])
@pytest.mark.parametrize("count", [1, 4, 5])
def test_two_workers_move_by_the_mean_of_their_batches(tmp_path, count, clip):
    batches = np.split(np.arange(40), [3, 11, 20, 31][: count - 1])
    descent = Descent(optimiser="sgd", rate=0.05, epochs=2, clip=clip)

    def work(rank):
        weight = weights()
        facts = descend(lambda rows: gap(weight, rows), {"w": weight}, fixed(batches), descent=descent, run=Run())
        return weight.detach().numpy(), facts["losses"], facts["steps"]

    (one, losses, steps), (other, *_) = together(work, tmp_path)
    slow, told = weights(), []
    for _ in range(2):
        for lo in range(0, count, 2):
            found = [gap(slow, rows) for rows in batches[lo : lo + 2]]
            (gradient,) = torch.autograd.grad(sum(found) / len(found), slow)
            if clip:
                gradient *= min(1.0, clip / float(gradient.norm()))
            with torch.no_grad():
                slow -= 0.05 * gradient
            told.append(float((sum(found) / len(found)).detach()))
    np.testing.assert_allclose(one, slow.detach().numpy(), rtol=1e-6)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(losses, np.reshape(told, (2, -1)).mean(axis=1), rtol=1e-6)
    assert steps == 2 * -(-count // 2)


def test_all_begin_where_the_first_one_does_and_what_has_no_gradient_stays(tmp_path):
    def work(rank):
        weight, idle = torch.full((2,), float(rank), requires_grad=True), torch.ones(2, requires_grad=True)
        held = {"w": weight, "idle": idle, "flag": torch.tensor([rank == 0]), "empty": torch.zeros(0)}
        descent = Descent(optimiser="adamw", weight_decay=0.5, rate=0.1, epochs=1)
        descend(lambda b: (weight * b).sum(), held, fixed([1.0, 3.0]), descent=descent, run=Run())
        return [held[k].detach().numpy() for k in ("w", "idle", "flag")]

    (one, idle, flag), (other, *_, its) = together(work, tmp_path)
    np.testing.assert_array_equal(one, other)
    assert (one < 0).all() and (idle == 1).all() and flag.all() and its.all()


def test_batches_are_dealt_out_and_others_are_not_made():
    def dealt(rank, size):
        made = Epoch(np.split(np.arange(10), 5), lambda rows, g: (rows[0], g.random()), np.random.default_rng(3))
        return list(made.dealt(rank, size))

    first, second = dealt(0, 2), dealt(1, 2)
    assert [b[0] for b in first] == [0, 4, 8] and [b[0] for b in second[:2]] == [2, 6] and second[2] is NO_BATCH
    drawn = [b[1] for b in [*first, *second[:2]]]
    assert len(set(drawn)) == 5 and drawn == [b[1] for b in [*dealt(0, 2), *dealt(1, 2)[:2]]]
    assert dealt(2, 8)[0][0] == 4 and dealt(6, 8) == [NO_BATCH]


def test_batches_that_have_no_length_are_dealt_out_too(tmp_path):
    def work(rank):
        weight, met = weights(), []

        def step(rows):
            met.append(rows)
            return gap(weight, [rows])

        facts = descend(step, {"w": weight}, lambda e, g: iter(range(5)), descent=Descent(epochs=1), run=Run())
        return met, facts["steps"]

    assert together(work, tmp_path) == [([0, 2, 4], 3), ([1, 3], 3)]


def dropped(run, pause=0.0, size=8, **descent):
    """A regression with dropout (random state matters) and Adam (optimiser state matters)."""
    with seeded(7):
        model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.3), nn.Linear(8, 1)).double()

    def step(rows):
        time.sleep(pause)
        return ((model(torch.from_numpy(X[rows]))[:, 0] - torch.from_numpy(Y[rows])) ** 2).mean()

    facts = descend(step, model, shuffled(len(X), size, lambda rows, g: rows), run=run, judge=lambda: -facts_of(model),
                    descent=Descent(rate=0.01, **descent), save_every=0.0)  # fmt: skip
    return [v.numpy() for v in model.state_dict().values()], {**facts, "seconds": 0}


def facts_of(model):
    return float(((model(torch.from_numpy(X))[:, 0] - torch.from_numpy(Y)) ** 2).mean())


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_group_that_is_killed_resumes_to_the_same_bits(tmp_path):
    judged = {"seed": 3, "validation": lambda model: 0.0}
    kept = Run(checkpoint=tmp_path / "kept", **judged)
    processes, heard = begun(lambda rank: dropped(kept, pause=0.004, epochs=15), tmp_path)
    while not (tmp_path / "kept" / "descent.pt").exists():
        assert processes[0].is_alive(), heard[0].recv()
        time.sleep(0.01)
    time.sleep(0.1)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    left = torch.load(tmp_path / "kept" / "descent.pt", weights_only=True)
    assert 0 < left["counters"]["steps"] < 15 * 3 and left["random"].shape[0] == 2
    assert not torch.equal(*left["random"])  # each draws its own dropout
    (resumed, facts), (other, _) = together(lambda rank: dropped(kept, epochs=15), tmp_path)
    (alone, expected), _ = together(lambda rank: dropped(Run(**judged), epochs=15), tmp_path)
    assert same(resumed, alone) and same(other, alone) and facts == expected
    with pytest.raises(Mismatch, match=r"workers differ"):
        dropped(kept, epochs=15)


def test_patience_and_what_validation_said_are_the_first_ones(tmp_path):
    def work(rank):
        curve = iter([1.0, 3.0, 2.0, 2.5, 9.0] if rank == 0 else [])
        weight = weights()
        run = Run(validation=lambda m: 0.0)
        return descend(lambda rows: gap(weight, rows), {"w": weight}, fixed(np.split(np.arange(40), 4)),
                       descent=Descent(patience=2), run=run, judge=lambda: next(curve))  # fmt: skip

    for facts in together(work, tmp_path):
        assert facts["stopped"] == "patience" and facts["best_epoch"] == 2 and facts["judged"][-1] == [4, 2.5]


def test_time_is_up_for_all_when_it_is_for_the_first(tmp_path):
    def work(rank):
        limited = Run(seconds=0.2 if rank == 0 else 1000.0, checkpoint=tmp_path / "kept")
        return dropped(limited, pause=0.02, epochs=1000)[1]

    one, other = together(work, tmp_path)
    assert one["cut"] and other["cut"] and one["steps"] == other["steps"] < 60


def test_a_loss_that_is_no_number_on_one_worker_ends_all(tmp_path):
    def work(rank, judged):
        weight, calls = weights(), iter(range(100))

        def step(rows):
            return gap(weight, rows) * (float("nan") if rank == 1 and next(calls) == 3 else 1.0)

        run = Run(validation=(lambda m: 0.0) if judged else None)
        facts = descend(step, {"w": weight}, fixed(np.split(np.arange(40), 4)), descent=Descent(), run=run,
                        judge=lambda: 1.0)  # fmt: skip
        return facts["stopped"]

    for said in together(lambda rank: work(rank, True), tmp_path):
        assert "the loss is nan at epoch 2, step 2" in said
    for error in together(lambda rank: work(rank, False), tmp_path):
        assert isinstance(error, BadSetting) and "epoch 2, step 2" in str(error)


def test_a_worker_that_is_gone_is_told_not_waited_for(tmp_path):
    def work(rank):
        weight, calls = weights(), iter(range(100))

        def step(rows):
            if rank == 1 and next(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            return gap(weight, rows)

        return descend(step, {"w": weight}, fixed(np.split(np.arange(40), 4)), descent=Descent(), run=Run())

    left, gone = together(work, tmp_path)
    assert isinstance(left, Parted) and "has ended" in str(left) and gone is None


@pytest.mark.parametrize(
    ("name", "world", "settings"),
    [("bpr-mf", "groups", {}), ("sasrec", "cycle", {"dim": 32}), ("two-tower", "groups", {})],
)
def test_systems_solve_their_puzzles_together(tmp_path, name, world, settings):
    from interplay.metrics import hit
    from interplay.systems import SYSTEMS
    from interplay.worlds.puzzles import PUZZLES

    assert world in SYSTEMS[name].solves
    puzzle = PUZZLES[world](0)

    def work(rank):
        model = SYSTEMS[name].build(settings, {"descent": {"batch": 64, "rate": 0.01}})
        model.fit(puzzle.dataset, run=Run(epochs=10))
        found = model.retrieve(puzzle.requests, puzzle.n)
        return found.items, hit(found, puzzle.truth, puzzle.n).mean()

    (first, share), (second, _) = together(work, tmp_path)
    popular = SYSTEMS["popular"].build().fit(puzzle.dataset).retrieve(puzzle.requests, puzzle.n)
    assert share >= 0.8 and share > hit(popular, puzzle.truth, puzzle.n).mean()
    np.testing.assert_array_equal(first, second)


def test_only_a_group_of_several_is_company(tmp_path):
    assert type(company("cpu")) is Alone
    assert together(lambda rank: type(company("cpu")) is Together, tmp_path) == [True, True]
    assert together(lambda rank: type(company("cpu")) is Together, tmp_path, size=1) == [False]
