"""Replaying: full ranking, honest histories, groups apart, one read of the test part."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from interplay.data.split import split
from interplay.data.tables import from_frames
from interplay.errors import BadData, BadSetting, InterplayError, Leakage, Mismatch, UnknownName
from interplay.evaluate import reads
from interplay.evaluate.queries import replay_queries
from interplay.evaluate.replay import replay, validation
from interplay.evaluate.sampled import SampledMeasure, expected_hit, sampled
from interplay.models.counts import Popular
from interplay.types import TEST, VALID, Dataset, Events, Ids, Requests, Slates


def log(n_users: int = 40, n_items: int = 25, events: int = 600, seed: int = 0, *, repeats: bool = False) -> Dataset:
    """People who come at random moments; the last five appear only at the end."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(0, 10**9, events))
    late = np.arange(events) >= 0.85 * events
    user = np.where(late, rng.integers(0, n_users, events), rng.integers(0, n_users - 5, events))
    item = (rng.random(events) ** 2 * n_items).astype(np.int64)
    if not repeats:
        kept = np.sort(np.unique(user * n_items + item, return_index=True)[1])
        user, item, time = user[kept], item[kept], time[kept]
    order = np.lexsort((time, user))
    return Dataset(
        name="log", users=Ids(range(n_users)), items=Ids([f"i{i}" for i in range(n_items)]),
        events=Events(user=user[order].astype(np.int32), item=item[order].astype(np.int32), time=time[order]),
    )  # fmt: skip


def popular(parts, on="train+valid"):
    return Popular().fit(parts.fitted(on))


class Constant:
    """The first n items for everybody, rules or not."""

    def retrieve(self, requests: Requests, n: int) -> Slates:
        out = Slates.empty(len(requests), n)
        out.items[:], out.scores[:] = np.arange(n), -np.arange(n)
        return out


class Told:
    """Lists by the names of people, as they stand here."""

    def __init__(self, dataset: Dataset, lists: dict[str, list[str]]) -> None:
        self.lists = {int(dataset.users.index([u])[0]): dataset.items.index(items) for u, items in lists.items()}

    def retrieve(self, requests: Requests, n: int) -> Slates:
        out = Slates.empty(len(requests), n)
        for row, user in enumerate(requests.user.tolist()):
            shown = self.lists[user][:n]
            out.items[row, : len(shown)], out.scores[row, : len(shown)] = shown, -np.arange(len(shown))
        return out


def test_three_people_worked_by_hand():
    train = [("ada", "a"), ("bob", "b"), ("cyd", "c"), ("dan", "d")]
    test = [("ada", i) for i in "bcde"] + [("bob", "a"), ("cyd", "d"), ("cyd", "e")]
    rows = [(u, i, part) for part, pairs in (("train", train), ("test", test)) for u, i in pairs]
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "split"], orient="row")
    parts = split(from_frames("hand", frame, pl.DataFrame({"item_id": list("abcdef")})), "given")
    # of three places: ada hits first and third of four relevant, bob the second with his only one, cyd none of two
    model = Told(parts.dataset, {"ada": ["b", "f", "c"], "bob": ["e", "a", "c"], "cyd": ["a", "b", "f"]})
    names = ("recall", "recall-capped", "precision", "hit", "mrr", "map", "ndcg")
    judged = replay(model, parts, metrics=[f"{name}@3" for name in names])
    row = {str(parts.dataset.users[u]): i for i, u in enumerate(judged.who)}
    assert set(row) == {"ada", "bob", "cyd"}  # dan has nothing to be judged by
    second = 1 / np.log2(3)  # what the second place is worth; the third is worth 1 / log2(4) = 1/2
    by_hand = {
        "recall": (2 / 4, 1 / 1, 0), "recall-capped": (2 / 3, 1 / 1, 0), "precision": (2 / 3, 1 / 3, 0),
        "hit": (1, 1, 0), "mrr": (1, 1 / 2, 0), "map": ((1 / 1 + 2 / 3) / 3, (1 / 2) / 1, 0),
        "ndcg": ((1 + 1 / 2) / (1 + second + 1 / 2), second / 1, 0),
    }  # fmt: skip
    for name, values in by_hand.items():
        found = [judged.users[f"{name}@3"][row[person]] for person in ("ada", "bob", "cyd")]
        np.testing.assert_allclose(found, values, err_msg=name)
    assert judged.mean()["recall@3"] == pytest.approx(0.5)
    assert judged.mean()["ndcg@3"] == pytest.approx((0.70392 + 0.63093 + 0) / 3, abs=1e-5)


@pytest.mark.parametrize("rule", ["time", "last-out", "random", "strong"])
def test_popularity_is_what_a_loop_over_users_finds(rule):
    parts = split(log(), rule, valid=0.1, test=0.2)
    judged = replay(popular(parts), parts, metrics=("recall@5", "mrr@5"))
    requests, truth = parts.judged(TEST, "train+valid")
    fitted = parts.fitted("train+valid").events
    count = np.bincount(np.unique(fitted.user.astype(np.int64) * 25 + fitted.item) % 25, minlength=25)
    keys = parts.dataset.items.keys
    recalls = []
    for i in range(len(requests)):
        known = set(requests.history.row(i)["item"].tolist())
        shown = sorted(set(range(25)) - known, key=lambda a: (-count[a], keys[a]))[:5]
        relevant = set(truth.row(i)["item"].tolist()) - known
        if relevant:
            recalls.append(len(relevant & set(shown)) / len(relevant))
    np.testing.assert_allclose(judged.users["recall@5"], recalls)
    assert judged.mean()["recall@5"] == pytest.approx(np.mean(recalls))


def test_the_protocol_says_what_was_done_and_is_json():
    parts = split(log(), "time")
    told = replay(popular(parts), parts, metrics="recall@5").protocol
    assert json.loads(json.dumps(told)) == told
    assert told["split"]["hash"] == parts.hash and told["split"]["rule"] == "time"
    assert (told["part"], told["on"], told["seen"], told["candidates"]) == ("test", "train+valid", "drop", "all items")
    assert told["history"] == "earlier" and told["metrics"] == ["recall@5"] and told["older_than_fitted"] == 0


def test_the_same_model_gives_the_same_answer_in_any_block_size():
    parts = split(log(), "random")
    model = popular(parts)
    first = replay(model, parts)
    again = replay(model, parts, block=3, reread=True)
    assert first.slates.equals(again.slates) and first.mean() == again.mean()


def test_cold_and_warm_people_are_reported_apart():
    parts = split(log(), "time", test=0.2)
    judged = replay(popular(parts), parts, metrics="recall@5")
    fitted = set(parts.fitted("train+valid").events.user.tolist())
    assert judged.cold.tolist() == [int(u) not in fitted for u in judged.who]
    told = judged.groups()
    assert told["cold"]["requests"] == judged.cold.sum() > 0
    both = sum(told[g]["requests"] * told[g]["recall@5"] for g in ("warm", "cold")) / len(judged)
    assert both == pytest.approx(judged.mean()["recall@5"])
    with pytest.raises(UnknownName, match=r"nearest: .*warm"):
        judged.mean("warmer")


def test_held_out_people_with_a_fold_are_not_cold():
    parts = split(log(), "strong", test=0.2)
    assert not replay(popular(parts), parts).cold.any()


def test_seen_items_are_withheld_unless_they_may_come_again():
    parts = split(log(repeats=True), "time")
    model = popular(parts)
    dropped, kept = replay(model, parts), replay(model, parts, seen="keep", reread=True)
    requests, truth = parts.judged(TEST, "train+valid")
    again = sum(len(set(truth.row(i)["item"]) & set(requests.history.row(i)["item"])) for i in range(len(requests)))
    assert dropped.protocol["repeats_not_counted"] == again > 0
    assert kept.protocol["repeats_not_counted"] == 0 and len(kept.truth["item"]) == len(dropped.truth["item"]) + again


def test_other_histories_may_be_asked_for():
    parts = split(log(), "time")
    model = popular(parts)
    none = replay(model, parts, history="none")
    assert none.protocol["history"] == "none"
    top = none.slates.items[0]
    assert (none.slates.items == top).all()  # nobody has seen anything, so all get the same list
    assert not (replay(model, parts, history="train", reread=True).slates.items == top).all()
    with pytest.raises(UnknownName, match="history"):
        replay(model, parts, history="trian")
    with pytest.raises(BadSetting, match="no folds"):
        replay(model, parts, history="fold")


def test_a_system_that_shows_what_is_withheld_is_refused():
    parts = split(log(), "time")
    with pytest.raises(Mismatch, match="obey requests"):
        replay(Constant(), parts)


def test_settings_that_cannot_be_meant_are_refused():
    parts = split(log(), "time")
    model = popular(parts)
    for wrong in ({"seen": "maybe"}, {"on": "test"}, {"which": 0}):
        with pytest.raises(BadSetting):
            replay(model, parts, **wrong)
    with pytest.raises(Leakage, match="see itself"):
        replay(model, parts, which=VALID, on="train+valid")


def test_nothing_to_judge_is_said():
    parts = split(log(), "time")
    nobody = replace(parts, part=np.zeros_like(parts.part))
    with pytest.raises(BadData, match="nothing to judge"):
        replay(popular(parts), nobody)


def test_intervals_and_the_table_of_users():
    parts = split(log(), "time")
    judged = replay(popular(parts), parts)
    low, high = judged.intervals()["recall@20"]
    assert low <= judged.mean()["recall@20"] <= high
    table = judged.table(parts.dataset.users)
    assert table.height == len(judged) and table["recall@20"].mean() == pytest.approx(judged.mean()["recall@20"])


# --------------------------------------------------------------------------------------------------------------------
# Reading the test part


def test_a_second_read_of_the_test_part_is_refused_unless_meant(tmp_path):
    reads.forget_reads()
    parts, file = split(log(), "time"), tmp_path / "reads.jsonl"
    model = popular(parts)
    assert replay(model, parts, log=file).protocol["test_reads"] == 1
    with pytest.raises(Leakage, match=r"reread=True"):
        replay(model, parts)
    assert replay(model, parts, reread=True, log=file).protocol["test_reads"] == 2
    assert [json.loads(line)["again"] for line in file.read_text().splitlines()] == [False, True]
    assert len(reads.READS) == 2


def test_the_log_of_reads_counts_on_in_the_next_process(tmp_path):
    parts, file = split(log(), "time"), tmp_path / reads.LOG
    for nth in (1, 2, 3):
        reads.forget_reads()  # as a new process begins
        assert replay(popular(parts), parts, metrics="recall@5", log=file).protocol["test_reads"] == nth
    told = reads.logged_reads(file)[-1]
    assert (told["part"], told["data"], told["metrics"]) == (parts.hash, parts.dataset.fingerprint, ["recall@5"])
    assert told["command"] and told["when"].endswith("+00:00")
    file.write_text(file.read_text() + "not json\n")
    with pytest.raises(BadData, match=r"reads\.jsonl, line 4 is damaged"):
        replay(popular(parts), parts, log=file)


def test_a_read_that_cannot_be_noted_gives_no_figure(tmp_path):
    (tmp_path / "file").write_text("")
    parts = split(log(), "time")
    with pytest.raises(InterplayError, match="cannot be written"):
        replay(popular(parts), parts, log=tmp_path / "file" / reads.LOG)


def test_another_model_may_read_and_is_counted():
    reads.forget_reads()
    parts = split(log(), "time")
    counted = [replay(popular(parts), parts).protocol["test_reads"] for _ in range(3)]
    assert counted == [1, 2, 3]
    assert replay(popular(parts), split(log(seed=1), "time")).protocol["test_reads"] == 1


def test_a_read_that_failed_was_none():
    parts = split(log(), "time")
    wrong = Constant()
    for _ in range(2):
        with pytest.raises(Mismatch):
            replay(wrong, parts)


def test_the_validation_part_may_be_read_at_will():
    parts = split(log(), "random")
    model, judge = popular(parts, "train"), validation(parts, "recall@5")
    assert judge(model) == judge(model) == replay(model, parts, which=VALID, metrics="recall@5").mean()["recall@5"]
    few = validation(parts, "recall@5", at_most=4)
    assert len(few.asked.requests) == 4 and few(model) == few(model)


def test_validation_on_the_test_part_is_refused():
    with pytest.raises(Leakage, match="validation part only"):
        validation(split(log(), "time"), which=TEST)


# --------------------------------------------------------------------------------------------------------------------
# Sampled measures


def test_a_sampled_measure_warns_and_carries_its_negatives_in_its_name():
    parts = split(log(), "last-out")
    with pytest.warns(SampledMeasure, match="recall@3~5neg"):
        judged = sampled(popular(parts), parts, negatives=5, metrics="recall@3")
    assert list(judged.users) == ["recall@3~5neg"] and "5 drawn" in judged.protocol["candidates"]


@pytest.mark.filterwarnings("ignore::interplay.evaluate.sampled.SampledMeasure")
def test_with_all_negatives_the_sampled_measure_is_the_full_one():
    parts = split(log(), "last-out")
    model = popular(parts)
    full = replay(model, parts, metrics="recall@3,ndcg@3")
    few = sampled(model, parts, negatives=25, metrics="recall@3,ndcg@3", reread=True)
    np.testing.assert_allclose(few.users["recall@3~25neg"], full.users["recall@3"])
    np.testing.assert_allclose(few.users["ndcg@3~25neg"], full.users["ndcg@3"])


@pytest.mark.filterwarnings("ignore::interplay.evaluate.sampled.SampledMeasure")
def test_a_sampled_rank_is_drawn_as_the_formula_says():
    parts = split(log(n_users=400, n_items=60, events=4000), "last-out")
    model = popular(parts)
    full = replay(model, parts, metrics="mrr@60")
    rank = np.round(1 / full.users["mrr@60"])
    free = 60 - parts.judged(TEST)[0].history.lengths  # nobody comes back to an item in this log
    asked = {"negatives": 4, "metrics": "hit@2", "reread": True}
    found = [sampled(model, parts, seed=seed, **asked).mean()["hit@2~4neg"] for seed in range(20)]
    expected = np.mean([expected_hit(r, n, 4, 2) for r, n in zip(rank, free, strict=True)])
    assert np.mean(found) == pytest.approx(expected, abs=0.015)  # drawn without replacement, so not exactly binomial


# --------------------------------------------------------------------------------------------------------------------
# Search


class Fixed:
    """Answers each query with the list written for it."""

    def __init__(self, answers):
        self.answers = answers

    def retrieve(self, requests, n):
        out = Slates.empty(len(requests), n)
        for i, query in enumerate(requests.query):
            listed = self.answers[query][:n]
            out.items[i, : len(listed)], out.scores[i, : len(listed)] = listed, -np.arange(len(listed))
        return out


def library() -> Dataset:
    return Dataset(
        name="library", users=Ids([]), items=Ids(["a", "b", "c", "d"]),
        events=Events(user=np.zeros(0, np.int32), item=np.zeros(0, np.int32)),
        tables={
            "queries": pl.DataFrame({"query_id": [1, 2, 3, 4], "text": ["one", "two", "three", "four"],
                                     "split": ["test", "test", "test", "train"]}),
            "qrels": pl.DataFrame({
                "query_id": [1, 1, 1, 2, 2, 3, 4], "item_id": ["a", "b", "c", "d", "zz", "a", "a"],
                "relevance": [2, 1, 0, 1, 1, 0, 1], "split": ["test"] * 6 + ["train"],
            }),
        },
    )  # fmt: skip


def test_search_is_judged_by_graded_gains():
    names = "ndcg@10,ndcg-linear@10,mrr@10,recall@10"
    judged = replay_queries(Fixed({"one": [1, 0], "two": [0, 3]}), library(), metrics=names)
    lg = 1 / np.log2(3)
    assert judged.users["ndcg-linear@10"][0] == pytest.approx((1 + 2 * lg) / (2 + lg))
    assert judged.users["ndcg@10"][0] == pytest.approx((1 + 3 * lg) / (3 + lg))
    assert judged.users["mrr@10"].tolist() == [1.0, 0.5]
    assert judged.users["recall@10"].tolist() == [1.0, 0.5]  # a judged item that the catalogue lacks is still missed
    assert judged.users["ndcg-linear@10"][1] == pytest.approx(lg / (1 + lg))
    told = judged.protocol
    assert (told["requests"], told["left_out"], told["judged_items_unknown"]) == (2, 1, 1)
    assert told["unjudged_share_of_10"] == 0.25


def test_grades_may_be_made_binary():
    judged = replay_queries(Fixed({"one": [1, 0]}), library(), metrics="mrr@10,ndcg@10", relevant=2)
    assert judged.users["mrr@10"].tolist() == [0.5] and judged.users["ndcg@10"][0] == pytest.approx(1 / np.log2(3))


def test_a_grade_on_the_line_counts_however_the_file_holds_it():
    shelf = library()
    thirds = shelf.tables["qrels"].with_columns(relevance=pl.lit(2.33, pl.Float32))  # 2.3299999 in double precision
    shelf = replace(shelf, tables={**shelf.tables, "qrels": thirds})
    answers = Fixed({"one": [1, 0], "two": [3], "three": [0]})
    assert replay_queries(answers, shelf, metrics="mrr@10", relevant=2.33).users["mrr@10"].tolist() == [1.0, 1.0, 1.0]


def test_search_without_judgements_is_refused():
    with pytest.raises(BadData, match="'qrels' with"):
        replay_queries(Fixed({}), replace(library(), tables={"queries": library().tables["queries"]}))
    with pytest.raises(BadData, match="no query of split 'valid'"):
        replay_queries(Fixed({}), library(), split="valid")
