"""Ray, started once: jobs in order whatever happens to workers, a training shared, an index in parts."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from interplay import results
from interplay.cascade.index import Index, IndexConfig
from interplay.cluster import Lost, fit, sharded, spread
from interplay.cluster.crew import STARTED
from interplay.data.split import split
from interplay.errors import BadSetting, InterplayError, MissingExtra, Unavailable, UnknownName, Unsupported
from interplay.types import Ids, Ragged, Requests, Rows, RuleSet
from small import crowd


@pytest.fixture(scope="module")
def ray():
    import ray

    os.environ |= STARTED
    ray.init(address="local", num_cpus=2, num_gpus=0, object_store_memory=100 * 2**20, include_dashboard=False,
             log_to_driver=False)  # fmt: skip
    yield ray
    ray.shutdown()
    assert not below(os.getpid(), "raylet", "gcs_server"), "Ray left a process behind"


def below(parent, *names):
    """Processes under `parent` whose command holds one of the names; those that only wait to be buried are left out."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,stat,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in listed.splitlines()[1:]]
    family, grown = {parent}, True
    while grown:
        more = {int(pid) for pid, of, *_ in rows if int(of) in family} - family
        family, grown = family | more, bool(more)
    return [
        int(p) for p, _, stat, args in rows if int(p) in family and stat[0] != "Z" and any(n in args for n in names)
    ]


def added(shared, job):
    return shared + job


def test_without_workers_nothing_is_begun_before_it_is_asked_for():
    met = []
    results = spread(lambda shared, job: met.append(job) or job * shared, iter([1, 2, 3]), shared=10)
    assert next(results) == 10 and met == [1]
    assert list(results) == [20, 30]
    code = "import sys, interplay.cluster as c; list(c.spread(max, [1], shared=2)); print('ray' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "False"


def test_too_few_workers_and_no_ray_are_told(monkeypatch):
    with pytest.raises(BadSetting, match="-1 workers"):
        list(spread(added, [1], workers=-1))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"interplay\[cluster\]"):
        list(spread(added, [1], workers=1))


def first_waits(shared, job):
    """Job 0 ends after another one has; the array is a worker's own copy."""
    from interplay.ops.threads import THREADS

    own, marks = shared
    own[0] += 1
    if job == 12:
        raise UnknownName("no such thing; nearest: 'this'")
    if job:
        (Path(marks) / "done").touch()
    while not (Path(marks) / "done").exists():
        time.sleep(0.02)
    return job, os.getpid(), THREADS


def test_results_come_in_the_jobs_order_and_few_jobs_are_ahead(ray, tmp_path):
    taken, results, own = [], [], np.zeros(2)

    def jobs():
        for job in range(20):
            taken.append(job)
            yield job

    with pytest.raises(UnknownName, match=r"^no such thing; nearest: 'this'$"):  # what a job raises comes out as itself
        for result in spread(first_waits, jobs(), workers=2, shared=(own, str(tmp_path))):
            results.append(result)
            assert len(taken) <= len(results) + 4
    assert [job for job, *_ in results] == list(range(12)) and not own.any()
    assert {threads for *_, threads in results} == {1}
    assert len({pid for _, pid, _ in results} - {os.getpid()}) == 2


def waits_for_word(marks, job):
    while job == 0 and not (Path(marks) / "word").exists():
        time.sleep(0.02)
    return job


def test_results_come_as_they_are_ready_where_the_order_is_no_matter(ray, tmp_path):
    results = spread(waits_for_word, range(4), workers=2, shared=str(tmp_path), ordered=False)
    early = next(results)
    (tmp_path / "word").touch()  # until now job 0 could not end
    assert early != 0 and sorted([early, *results]) == [0, 1, 2, 3]


def deadly(marks, job):
    mark = Path(marks) / f"{job}-{os.getpid()}"
    mark.touch()
    if job == "always" or (job == "once" and len(list(mark.parent.glob("once-*"))) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return job


def test_a_job_whose_worker_ends_is_begun_once_more_and_then_named(ray, tmp_path):
    results = spread(deadly, ["a", "once", "b", "always", "c"], workers=1, shared=str(tmp_path))
    assert [next(results) for _ in range(3)] == ["a", "once", "b"]
    with pytest.raises(Lost, match="'always' ended 2 workers"):
        next(results)
    assert [len(list(tmp_path.glob(f"{job}-*"))) for job in ("a", "once", "always", "c")] == [1, 2, 2, 0]


def test_more_workers_than_the_cluster_has_room_for_are_refused(ray):
    with pytest.raises(Unavailable, match=r"5 workers need 5 free cores; this cluster has 2"):
        next(spread(added, [1], workers=5, shared=1))
    with pytest.raises(Unavailable, match=r"2 workers need 2 free GPUs; this cluster has 0"):
        fit("bpr-mf", PARTS, workers=2, device="cuda")


PARTS = split(crowd(), "user-time", seed=0)
SMALL = {"dim": 8, "descent": {"batch": 64, "epochs": 4, "every": 1}}


def test_a_training_is_shared_and_the_first_ones_model_comes_back(ray, tmp_path):
    told = []
    fitted = fit("bpr-mf", PARTS, workers=2, settings=SMALL, on="train+valid", checkpoint=tmp_path / "kept",
                 progress=lambda stage, facts: told.append(facts["epoch"]))  # fmt: skip
    assert fitted.manifest["workers"] == 2 and fitted.manifest["choice"]["epochs"] == 4 and 4 in told
    assert fitted.manifest["fitted"]["steps"] == fitted.manifest["fitted"]["epochs"] * -(-len_of_pairs() // 128)
    assert (tmp_path / "kept" / "refit" / "descent.pt").exists()
    fitted.save(tmp_path / "model")
    lists = fitted.recommend(["u1", "nobody"], k=5)
    assert len(lists) == 10
    assert type(fitted).load(tmp_path / "model").recommend(["u1", "nobody"], k=5).equals(lists)


def len_of_pairs():
    e = PARTS.fitted("train+valid").events
    return len(np.unique(np.column_stack([e.user, e.item]), axis=0))


def test_a_worker_that_ends_in_a_training_is_told(ray):
    def kill(stage, facts):
        if victims := below(os.getpid(), "ray::_Trainer"):
            with suppress(ProcessLookupError):  # it ended since it was looked for: the first kill had done it
                os.kill(victims[0], signal.SIGKILL)

    with pytest.raises(Lost, match=r"worker [12] of 2 ended while it was learning"):
        fit("bpr-mf", PARTS, workers=2, settings={**SMALL, "descent": {"epochs": 100_000, "patience": 0, "batch": 64}},
            progress=kill)  # fmt: skip


def test_what_cannot_be_shared_is_refused_before_anything_starts():
    for name in ("ease", "rliv-ua"):
        with pytest.raises(Unsupported, match=f"{name} does not learn by gradient steps"):
            fit(name, PARTS, workers=2)
    with pytest.raises(Unsupported, match="recipe"):
        fit("shop.toml", PARTS, workers=2)
    with pytest.raises(UnknownName, match="did you mean 'dim'"):
        fit("bpr-mf", PARTS, workers=2, settings={"dims": 3})
    with pytest.raises(BadSetting, match="at least 1"):
        fit("bpr-mf", PARTS, workers=0)


def test_rows_of_a_bench_run_side_by_side_and_the_command_alone_records_them(ray, tmp_path, monkeypatch):
    monkeypatch.setenv("INTERPLAY_RESULTS", str(tmp_path / "here"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = {"systems": ["popular", "trending"], "workers": 2, "said": lambda line: None}
    new = results.run_bench("market", **asked)
    assert results.records("market") == new and {r["label"] for r in new} == {"popular", "trending"}
    for record in new:
        assert record["machine"]["rows_at_once"] == 2 and record["protocol"]["test_reads"] == 1
        mean = float(np.mean(results.read_users(record)["ndcg@20"]))
        np.testing.assert_allclose(mean, record["metrics"]["ndcg@20"], atol=1e-5)
    assert results.run_bench("market", resume=True, **asked) == []
    with pytest.raises(InterplayError, match=r"market nobody seed 0 failed:\n(.|\n)*no row"):
        results._apart("", (results.bench("market"), "nobody", 0, True))


def asked(rng, n_items, n):
    """Requests with histories, exclusions and masks, some of which leave hardly anything."""
    masks = np.stack([rng.random(n_items - rng.integers(0, 9)) < 0.5 for _ in range(1)])
    few = np.zeros((1, n_items), bool)
    few[0, rng.choice(n_items, 3, replace=False)] = True
    masks = np.vstack([few[:, : masks.shape[1]], masks])
    lists = [rng.integers(-1, n_items + 3, rng.integers(0, 6)) for _ in range(2 * n)]
    applied = Ragged.of([rng.permutation(2)[: rng.integers(0, 3)] for _ in range(n)], column="mask")
    rules = RuleSet(masks=masks, applied=applied, exclude=Ragged.of(lists[n:]), withhold_seen=bool(rng.integers(2)))
    return Requests(user=np.full(n, -1, np.int32), history=Ragged.of(lists[:n]), rules=rules)


def test_an_index_in_parts_answers_as_the_whole_one(ray):
    rng = np.random.default_rng(0)
    ids = Ids([f"i{i}" for i in range(61)])
    rows = Rows(n_users=0, n_items=61, keys=ids.keys, popularity=rng.integers(0, 9, 61).astype(np.float32),
                events=np.zeros(0, np.int32))  # fmt: skip
    vectors = rng.integers(-1, 2, (61, 3)).astype(np.float32)  # whole numbers: many ties, and no rounding
    vectors[7] = 0
    whole = Index(IndexConfig(cosine=False, window=3)).hold(vectors, rows)
    with sharded(whole, shards=2) as parts:
        for case in range(30):
            requests, n = asked(rng, 61, 1 + case % 4), int(rng.choice([1, 4, 20, 61, 90]))
            queries = rng.integers(-2, 3, (len(requests), 3)).astype(np.float32)
            for mine, theirs in (
                (parts.search(queries, requests, n), whole.search(queries, requests, n)),
                (parts.retrieve(requests, n), whole.retrieve(requests, n)),
                (parts.similar_items(np.array([3, 7, 60, 61]), n), whole.similar_items(np.array([3, 7, 60, 61]), n)),
            ):
                np.testing.assert_array_equal(mine.items, theirs.items)
                np.testing.assert_array_equal(mine.scores, theirs.scores)
        assert (theirs.items[:, 10:] == -1).any()
        np.testing.assert_array_equal(parts.state().arrays["items.vectors"], whole.state().arrays["items.vectors"])
        with pytest.raises(BadSetting, match=r"shape \(1, 2\)"):
            parts.search(np.zeros((1, 2), np.float32), requests.slice(0, 1), 3)
    with pytest.raises(BadSetting, match="62 shards of 61 items"):
        sharded(whole, shards=62)
