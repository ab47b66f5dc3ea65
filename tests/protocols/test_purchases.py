"""Lessons of product search: nothing of the query that is taught, and no purchase as evidence for itself."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.benches import Bench, Entry
from interplay.data.tables import from_frames
from interplay.protocols import purchases
from interplay.protocols.purchases import Shop, precision
from interplay.types import TRAIN, VALID


def shop(n_users: int = 40, n_items: int = 30, seed: int = 0):
    """Things of three kinds; each thing is bought under the queries of its kind; query 5 is asked in the test alone."""
    rng = np.random.default_rng(seed)
    rows = []
    for user in range(n_users):
        for item in rng.permutation(n_items)[:6]:
            kind = int(item) % 3
            rows += [(user, int(item), kind, "train"), (user, int(item), kind + 6, "train")][: 1 + item % 2]
    rows += [(u, (3 * u) % n_items, 5, "test") for u in range(8)]
    log = dict(zip(("user_id", "item_id", "query_id", "split"), zip(*rows, strict=True), strict=True))
    said = [
        "red case",
        "blue case",
        "loud horn",
        "",
        "",
        "red loud case",
        "small red case",
        "small blue case",
        "small loud horn",
    ]
    queries = {"query_id": list(range(9)), "text": said}
    things = {"item_id": list(range(n_items))}
    return from_frames("shop", {k: list(v) for k, v in log.items()}, things, tables={"queries": queries})


@pytest.fixture(scope="module")
def made() -> Shop:
    return Shop(shop())


def test_a_query_that_was_never_asked_is_known_to_nobody(made):
    score, count, several, main = made.known(0)
    plain = [int(made.bought[i].sum() - made.bought[i, 0]) for i in range(made.n)]
    assert count.tolist() == plain and (main != 0).all()
    only = (made.bought[:, 0] > 0) & ((made.bought > 0).sum(axis=1) == 1)
    assert only.any() and (several[only] == 0).all() and (score[only] == 0).all() and (main[only] == -1).all()


def test_lessons_are_of_things_found_under_another_query_too(made):
    lessons = made.lessons()
    assert set(np.unique(lessons.part)) == {TRAIN, VALID}
    label = lessons.labels["buy"]
    assert (np.nansum(label.reshape(-1, 1 + purchases.BESIDE), axis=1) == 1).all()
    assert (lessons.numbers["queries"][label == 1] >= 1).all()
    asked = lessons.fields["query.1"].reshape(-1, 1 + purchases.BESIDE)
    valid = lessons.part.reshape(-1, 1 + purchases.BESIDE)[:, 0] == VALID
    assert (asked == asked[:, :1]).all() and valid.any()


def test_a_purchase_is_no_evidence_for_itself(made):
    user, query, item = made.user[:5], made.query[:5], made.item[:5]
    other = np.array([next(j for j in range(made.n) if not made.owned[[u], [j]].sum()) for u in user])
    told = made.examples(user, query, np.column_stack([item, other]), item)
    together, owned = told.numbers["together"].reshape(-1, 2), made.owned.toarray()
    for i in range(5):
        theirs = (made.user == user[i]) & (made.query != query[i]) & (made.item != item[i])
        rest = owned.copy()
        rest[user[i]] = 0.0  # without this person
        for place, thing in enumerate((item[i], other[i])):
            slow = sum(
                (rest[:, j] * rest[:, thing]).sum() / np.sqrt(made.owners[j] * made.owners[thing])
                for j in np.unique(made.item[theirs]) if j != thing
            )  # fmt: skip
            assert together[i, place] == pytest.approx(slow, abs=1e-5)
            past = told.sequences["history"].row(2 * i + place)["item"]
            assert sorted(past.tolist()) == sorted(made.query[theirs].tolist()), "the same past for every candidate"


def test_precision_counts_the_whole_list():
    assert precision(np.array([4, 2, 9]), np.array([9])) == pytest.approx(1 / 3)
    assert precision(np.array([4, 2]), np.array([7])) == 0.0


@pytest.mark.parametrize("system", ["bm25", "aw-moe"])
def test_a_row_is_judged_on_every_person_and_query_of_the_test_part(system, monkeypatch):
    monkeypatch.setattr(purchases, "load", lambda name: shop())
    settings = {"descent": {"epochs": 1}, "by": ("query.1",)} if system != "bm25" else {}
    entry = Entry(system=system, settings=settings)
    told = purchases.purchases(Bench(name="search", version=1, about="", data="shop", entries=(entry,)), entry, 0)
    assert len(told["rows"]["map"]) == 8 and 0 < told["metrics"]["map"] <= 1
