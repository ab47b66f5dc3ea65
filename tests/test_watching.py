"""Where people look: known looks are found again through a real store, and what cannot be told is refused."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from interplay.cli import app
from interplay.data.store.happened import Happened
from interplay.data.store.impressions import impressions, keep
from interplay.data.store.store import Store
from interplay.errands import Errands
from interplay.errors import Undecidable, UnknownName
from interplay.watching import watch

START, MINUTE, THINGS = 1_700_000_000_000_000, 60_000_000, 12


def filled(store: Store, looks: list[list[float]], *, pages: int, liked: float = 0.5, mixed: bool = True) -> Store:
    """A store with pages of things in any place, clicked where they are looked at and liked; in any place where the
    page is `mixed`, always in the same one where it is not."""
    rng, grid = np.random.default_rng(0), np.array(looks)
    rows, places = grid.shape
    order = [rng.permutation(THINGS) if mixed else np.arange(THINGS) for _ in range(pages)]
    items = np.stack([o[: grid.size].reshape(rows, places) for o in order])
    clicked = rng.random(items.shape) < grid * (0.1 + liked * items / THINGS) * (liked > 0)
    user, at = rng.integers(0, pages // 5 + 1, pages), START + np.arange(pages) * MINUTE
    keep(store, pl.DataFrame({
        "request_id": np.repeat([f"q{i}" for i in range(pages)], grid.size), "timestamp": np.repeat(at, grid.size),
        "user_id": [f"p{u}" for u in np.repeat(user, grid.size)], "item_id": [f"i{i}" for i in items.ravel()],
        "row": np.tile(np.repeat(np.arange(rows), places), pages), "slot": np.tile(np.arange(places), rows * pages),
    }))  # fmt: skip
    store.append([
        Happened(event_id=f"e{i}-{r}-{c}", user_id=f"p{user[i]}", item_id=f"i{items[i, r, c]}", event_type="click",
                 time=int(at[i]) + 1, request_id=f"q{i}")
        for i, r, c in np.argwhere(clicked).tolist()
    ] or [Happened(event_id="e", user_id="p1", item_id="i1", event_type="click", time=int(at[-1]) + 1)])  # fmt: skip
    return store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store.open(tmp_path / "shop.db")


def test_looks_along_a_page_of_one_row_are_found_and_judged_better_than_click_rates(store):
    seen = watch(filled(store, [[1.0, 0.7, 0.45, 0.2]], pages=1500))
    np.testing.assert_allclose([c.examination for c in seen.grid[0]], [1.0, 0.7, 0.45, 0.2], atol=0.12)
    assert seen.model == "pbm" and seen.verdict == "better" and seen.interval.low > 0 and seen.rows == ()
    assert all(c.shown == 1500 and c.interval.low < c.rate < c.interval.high for c in seen.grid[0])
    assert (
        seen.said.startswith("place 1 is looked at most, place 4 ") and "tells more than the click rates" in seen.said
    )


def test_looks_on_a_grid_fall_as_they_truly_do_and_each_row_says_why_it_stands_there(store):
    true = np.array([1.0, 0.5, 0.2])[:, None] * np.array([1.0, 0.6, 0.35])
    seen = watch(filled(store, true.tolist(), pages=900))
    found = np.array([[c.examination for c in row] for row in seen.grid])
    assert seen.model == "pbm-rank-one" and np.abs(found - true).max() < 0.15
    assert (np.diff(found, axis=0) < 0).all() and (np.diff(found, axis=1) < 0).all()
    assert sorted(r.row for r in seen.rows) == [1, 2, 3] and "clicks are expected of it there" in seen.rows[0].said
    assert seen.said.startswith("place 1 of row 1 is looked at most, place 3 of row 3 ")


def test_where_things_never_move_the_answer_says_that_taste_and_looks_run_together(store):
    seen = watch(filled(store, [[1.0, 0.5, 0.25]], pages=400, mixed=False))
    assert seen.moved == 0.0 and "cannot be told from what is liked" in seen.notes[0] and seen.verdict != "better"


def test_few_clicks_and_few_people_are_called_what_they_are(store):
    seen = watch(filled(store, [[1.0, 0.5]], pages=40))
    assert "all of it is a guess" in seen.said and "too few to leave some out" in seen.notes[0]


def test_a_log_that_cannot_tell_is_refused_in_a_sentence(tmp_path):
    def refused(name: str, looks: list[list[float]], **more: float) -> str:
        errands = Errands(filled(Store.open(tmp_path / name), looks, **more))
        told = errands.run(errands.put("looks", {"kind": "click"}).errand_id)
        assert told.state == "refused" and told.answers == ()
        return told.said

    assert "has an event of type 'click' that names it" in refused("unclicked.db", [[1.0, 0.5]], pages=60, liked=0.0)
    assert "one place of a page was shown" in refused("single.db", [[1.0]], pages=60)
    assert "no place of a page was shown 20 times" in refused("young.db", [[1.0, 0.5]], pages=5)
    empty = Store.open(tmp_path / "empty.db")
    with pytest.raises(Undecidable, match="holds no impressions"):
        watch(empty)


def test_an_event_type_that_the_log_does_not_know_is_named(store):
    with pytest.raises(UnknownName, match=r"no events of type 'clack'; nearest: \['click'\]"):
        watch(filled(store, [[1.0, 0.5]], pages=30), "clack")


def test_the_command_prints_the_grid_and_the_same_for_machines(tmp_path):
    where = str(tmp_path / "shop.db")
    filled(Store.open(where), [[1.0, 0.4]], pages=300).close()
    plain = CliRunner().invoke(app, ["looks", "--store", where])
    assert plain.exit_code == 0 and "looked at" in plain.output and "place 1 is looked at most" in plain.output
    told = json.loads(CliRunner().invoke(app, ["looks", "--store", where, "--json"]).stdout)
    assert told["said"] in plain.output and len(told["grid"][0]) == 2 and told["pages"] == 300


def test_looks_are_told_of_whole_pages_where_a_page_is_made_of_several_answers(store, tmp_path):
    true = np.array([1.0, 0.5])[:, None] * np.array([1.0, 0.6, 0.35])
    source = filled(Store.open(tmp_path / "plain.db"), true.tolist(), pages=900)
    shown, clicks = impressions(source), source.tail()
    answer = pl.format("{}-{}", "request_id", "row")  # each row of a page is an answer of its own
    keep(store, shown.with_columns(
        request_id=answer, page=pl.format("{}-0", "request_id"), shelf="row", place="slot", row=pl.lit(0),
    ))  # fmt: skip
    stood = {(r, i): row for r, i, row in shown.select("request_id", "item_id", "row").rows()}
    store.append([
        Happened(event_id=e.event_id, user_id=e.user_id, item_id=e.item_id, event_type="click", time=e.time,
                 request_id=f"{e.request_id}-{stood[e.request_id, e.item_id]}") for e in clicks
    ])  # fmt: skip
    assert watch(store).grid == watch(source).grid
    keep(store, shown.filter(row=0, slot=0).select(
        pl.format("{}-more", "request_id").alias("request_id"), "user_id", "timestamp", slot=pl.lit(0),
        page=pl.format("{}-0", "request_id"), shelf=pl.lit(2), place=pl.lit(0), item_id=pl.lit("another"),
    ))  # fmt: skip
    assert [len(row) for row in watch(store).grid] == [3, 3, 1], "a row is as long as it ever was"
    alone = shown.head(40).with_columns(pl.format("alone-{}", "request_id").alias("request_id"))
    keep(store, alone)
    seen = watch(store)
    assert [len(row) for row in seen.grid] == [3, 3, 1]
    assert seen.notes[0].startswith(f"{alone['request_id'].n_unique()} answers that stood alone are left out")
