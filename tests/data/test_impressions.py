"""What was shown, into the store and out of it: as it was, once, for whom it was, with the chances it had."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from interplay.data.examples import Examples
from interplay.data.pages import Pages
from interplay.data.store.happened import Happened
from interplay.data.store.impressions import impressions, keep, queried
from interplay.data.store.loading import ingest
from interplay.data.store.people import merge_people
from interplay.data.store.snapshot import snapshot
from interplay.errors import BadData

SHOWN = pl.DataFrame(
    {
        "request_id": ["q1", "q1", "q2", "q2"], "user_id": ["ada", "ada", None, None], "slot": [0, 1, 0, 1],
        "timestamp": [10, 10, 20, 20], "policy": ["soft"] * 4, "candidate_hash": ["h"] * 4,
        "item_id": ["lamp", "tea", "tea", "fern"], "propensity": [0.5, 0.25, 1.0, None], "row": [0] * 4,
        "explored": [True, False, False, False], "seen": [True, None, False, True], "temperature": [0.8] * 4,
    }
)  # fmt: skip


def click(event_id: str, item: str, request: str | None, user: str = "ada", time: int = 30) -> Happened:
    return Happened(event_id=event_id, user_id=user, item_id=item, event_type="click", time=time, request_id=request)


def test_impressions_come_back_as_they_were_and_are_kept_once(store):
    assert keep(store, SHOWN) == 4 and keep(store, SHOWN) == 0
    back = impressions(store)
    assert back.select(SHOWN.columns).equals(SHOWN.with_columns(pl.col("row", "slot").cast(pl.Int32)))
    assert impressions(store, after=10)["request_id"].unique().to_list() == ["q2"]


def test_a_snapshot_brings_what_rankers_and_policies_learn_from(store):
    keep(store, SHOWN)
    store.append([click("a", "tea", "q1"), click("b", "fern", None, "bo")])
    assert not snapshot(store).dataset.tables, "only where it is asked for"
    data = snapshot(store, shown=True).dataset
    pages = Pages.of(data)
    place = {name: i for i, name in enumerate(data.items)}
    np.testing.assert_array_equal(pages.items[0, 0], [place["lamp"], place["tea"]])
    np.testing.assert_array_equal(pages.clicked[0, 0], [False, True])
    assert pages.user.tolist() == [data.users.names.index("ada"), -1]
    examples = Examples.of(data)
    assert examples.labels["click"].tolist() == [0.0, 1.0, 0.0], "what is known not to have been seen is left out"


def test_the_words_of_a_search_stand_beside_what_was_shown_for_it(store):
    keep(store, SHOWN)
    for request, query in (("q1", "red lamp"), ("q2", None), ("gone", "tea")):
        store.answered.traced(request, lambda query=query: {"query": query, "stages": []}, user="ada", time=10)
    store.database.flush()
    assert queried(store, impressions(store))["query"].to_list() == ["red lamp", "red lamp", None, None]
    assert queried(store, impressions(store).clear()).columns[-1] == "query"


def test_pages_that_nobody_has_answered_yet_say_so(store):
    keep(store, SHOWN)
    store.append([click("a", "tea", None, time=5)])
    with pytest.raises(BadData, match=r"has shown 3 things, all of them after the last event .*ask again once"):
        Pages.of(snapshot(store, shown=True).dataset)


def test_a_visitors_impressions_follow_the_merge(store):
    keep(store, SHOWN)
    store.append([click("a", "tea", "q1", "grace")])
    merge_people(store, "ada", "grace")
    assert impressions(store)["user_id"].to_list() == ["grace", "grace", None, None]


def test_a_file_of_impressions_is_ingested_and_bad_chances_refused_by_row(store, tmp_path):
    wrong = SHOWN.with_columns(pl.Series("propensity", [0.5, 0.0, 1.5, None]))
    wrong.write_csv(tmp_path / "shown.csv")
    report = ingest(store, tmp_path / "shown.csv")
    assert report.refused == 2 and len(impressions(store)) == 2
    assert set(impressions(store)["policy"]) == {"soft"}


@pytest.mark.parametrize("policy", [None, [None] * 4, [None, "", " ", None], ["soft", None, "soft", "soft"]])
def test_a_policy_that_nobody_named_stays_unnamed(store, policy):
    frame = SHOWN.drop("policy") if policy is None else SHOWN.with_columns(pl.Series("policy", policy, pl.String))
    keep(store, frame)
    assert impressions(store)["policy"].to_list() == [(p or "").strip() for p in policy or [""] * 4]


def test_a_file_without_a_policy_names_nobody_after_the_file(store, tmp_path):
    SHOWN.drop("policy").write_csv(tmp_path / "shown.csv")
    ingest(store, tmp_path / "shown.csv")
    assert set(impressions(store)["policy"]) == {""}


def test_what_cannot_be_impressions_is_refused(store):
    with pytest.raises(BadData, match="lack slot"):
        keep(store, SHOWN.drop("slot"))
    with pytest.raises(BadData, match="2 of 4 propensities"):
        keep(store, SHOWN.with_columns(pl.Series("propensity", [0.5, 0.0, 1.5, None])))


def test_places_on_a_page_and_chances_of_shelves_are_kept_and_bad_ones_refused(store, tmp_path):
    there = SHOWN.with_columns(
        page=pl.Series(["q1", "q1", "q1", None], dtype=pl.String), shelf=pl.Series([0, 0, 1, None], dtype=pl.Int32),
        place=pl.Series([1, 0, 0, None], dtype=pl.Int32), shelf_propensity=pl.Series([1.0, 1.0, 0.25, None]),
    )  # fmt: skip
    there.write_csv(tmp_path / "shown.csv")
    assert ingest(store, tmp_path / "shown.csv").refused == 0
    columns = ["page", "shelf", "place", "shelf_propensity"]
    assert impressions(store).select(columns).equals(there.select(columns))
    store.append([click("a", "tea", "q2")])
    data = snapshot(store, shown=True).dataset
    whole = Pages.of(data, whole=True)
    names = [[[data.items[i] for i in row if i >= 0] for row in page] for page in whole.items]
    assert names == [[["tea", "lamp"]], [["fern"]]], "the tea of the second row was not seen"
    wrong = there.with_columns(shelf_propensity=pl.Series([1.0, 1.0, 2.0, None]), request_id=pl.lit("q9"))
    wrong.write_csv(tmp_path / "wrong.csv")
    assert ingest(store, tmp_path / "wrong.csv").refused == 1
    with pytest.raises(BadData, match=r"1 of 4 propensities of shelves are not in \(0, 1\]"):
        keep(store, wrong)
