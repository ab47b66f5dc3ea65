"""What another recipe would have earned: the truth where the log can tell, a sentence where it cannot.

The log is the market's: its people, things and true chances of a click, and pages by a policy whose chances are known.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from interplay import estimating
from interplay.cli import app
from interplay.data.store import schema as t
from interplay.data.store.happened import Happened
from interplay.data.store.snapshot import snapshot
from interplay.data.store.store import Store
from interplay.errors import BadData, BadSetting, Mismatch, Undecidable, UnknownName
from interplay.estimating import Asked, estimate
from interplay.fitted import Fitted
from interplay.ops.choosing import uniforms
from interplay.traffic import Traffic, Window
from interplay.types import Array, Run, Slates
from logged import PAGES, PLACES, RECIPE, fill, keep, pages, small, truth
from small import crowd


@pytest.fixture(scope="module")
def logged() -> Store:
    return fill(Store.open())


@pytest.fixture(scope="module")
def recipe(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("recipes") / "bolder.toml"
    path.write_text(RECIPE)
    return str(path)


def test_an_exploring_recipe_is_told_the_truth(logged, recipe):
    told = estimate(logged, [recipe])[0]
    wanted = truth(logged, recipe, told.places)
    assert told.places == PLACES and told.pages == pytest.approx(PAGES // 2, abs=1)
    assert told.interval.low < wanted < told.interval.high, (told.said, wanted)
    assert told.logged == pytest.approx(pages(0, False)[3][PAGES // 2 :].sum() / (PAGES // 2), rel=0.01)


def test_a_recipe_that_never_explores_is_told_as_far_down_as_the_log_carries(logged):
    told = estimate(logged, ["popular"])[0]
    assert told.places < PLACES, "a certain page of three was shown too seldom"
    wanted = truth(logged, "popular", told.places)
    assert told.interval.low < wanted < told.interval.high, (told.said, wanted)
    assert any("cannot tell more than the first" in note for note in told.notes)
    with pytest.raises(Undecidable, match=f"place {told.places + 1}"):
        estimate(logged, ["popular"], places=PLACES)


def test_the_logging_policys_own_pages_earn_what_they_earned(logged):
    traffic = Traffic.of(logged, snapshot(logged, shown=True), "click", Window(share=1.0))

    class Itself:
        def retrieve(self, requests, n):
            return Fitted.learn("popular", small().dataset).model.retrieve(requests, n)

        def chances(self, requests, shown):
            at = {tuple(row): i for i, row in enumerate(traffic.items.tolist())}
            return np.array([traffic.steps[at[tuple(row)]] for row in shown.tolist()])

    asked = Asked(name="itself", fitted=Fitted(model=Itself(), dataset=traffic.dataset, manifest={"system": "popular"}))
    told = estimating._told(asked, traffic, None, 0)
    assert told.value == pytest.approx(told.logged, abs=1e-12) and told.verdict == "cannot tell"
    assert [s.effective for s in told.support] == [float(told.pages)] * PLACES


def test_a_log_that_never_tried_is_refused_with_what_is_missing():
    store = fill(Store.open(), sure=True)
    first = small().dataset.items[pages(0, True)[1][0, 0]]
    with pytest.raises(Undecidable) as refusal:
        estimate(store, ["item-knn"])
    said = str(refusal.value)
    assert "was never shown there" in said and "soft-1" in said and "certain of 100%" in said
    named = [
        name
        for name in small().dataset.items
        if f" {name}" in said.replace(",", " ").replace(":", " ").replace(";", " ")
    ]
    assert named and first not in named, said


def asked_of(first: Array, chance: Array, *, more: tuple[str, ...] = ()) -> tuple[Traffic, list[int]]:
    """Single things shown in turn (int64[n], by chance float64[items]) as pages; and the place of each thing, then of
    those that are `more`, in the catalogue."""
    store, rng = Store.open(), np.random.default_rng(1)
    names, who = [f"i{j}" for j in range(len(chance))], rng.integers(0, 500, len(first))
    at = 1_700_000_000_000_000 + np.arange(len(first)) * 60_000_000
    keep(store, pl.DataFrame({
        "request_id": [f"q{i}" for i in range(len(first))], "timestamp": at, "user_id": [f"u{u}" for u in who],
        "slot": 0, "item_id": [names[j] for j in first], "propensity": chance[first], "policy": "known-1",
    }))  # fmt: skip
    store.append([
        Happened(event_id=f"e{i}", user_id=f"u{who[i]}", item_id=names[first[i]], event_type="click",
                 time=int(at[i]) + 1, request_id=f"q{i}") for i in np.flatnonzero(rng.random(len(first)) < 0.2)
    ])  # fmt: skip
    store.append([Happened(event_id=f"m{i}", user_id="u0", item_id=name, event_type="keep", time=int(at[0]))
                  for i, name in enumerate([*names, *more])])  # fmt: skip
    store.append([Happened(event_id="z", user_id="u0", item_id="i0", event_type="keep", time=int(at[-1]) + 2)])
    traffic = Traffic.of(store, snapshot(store, shown=True), "click")
    held = [str(name) for name in traffic.dataset.items.names]
    return traffic, [held.index(name) for name in [*names, *more]]


def told_of(traffic: Traffic, model: object) -> estimating.Told:
    fitted = Fitted(model=model, dataset=traffic.dataset, manifest={"system": "popular"})
    return estimating._told(Asked(name="cand", fitted=fitted), traffic, None, 0)


@pytest.mark.parametrize("share", [0.05, 0.02, 0.005])
def test_more_than_a_hundredth_of_what_was_never_shown_is_refused_and_less_is_told(share):
    log = np.random.default_rng(0).integers(0, 20, 5000)
    traffic, place = asked_of(log, np.full(20, 1 / 20), more=("new",))

    class Certain:
        def retrieve(self, requests, n):
            """For a share of the people what is new, for the others one of the things that were shown."""
            user = np.asarray(requests.user)
            first = np.where(user * 7919 % 1000 < share * 1000, place[-1], np.array(place)[user % 20])
            return Slates(items=first[:, None].astype(np.int32), scores=np.zeros((len(user), 1), np.float32))

    if share <= 0.01:
        told = told_of(traffic, Certain())
        assert any(
            note.endswith("% of what it would show at place 1 was never shown there: new") for note in told.notes
        )
        assert told.support[0].found > 0.99
    else:
        with pytest.raises(Undecidable, match=r"\d\.\d% of what it would show at place 1 was never shown there: new"):
            told_of(traffic, Certain())


def test_a_policy_that_explores_is_refused_by_the_mass_of_what_was_never_shown():
    log = np.random.default_rng(0).integers(0, 20, 5000)
    traffic, place = asked_of(log, np.full(20, 1 / 20), more=("new",))

    class Chances:
        def retrieve(self, requests, n):
            u = uniforms(requests.draw, 2)
            first = np.where(u[:, 0] < 0.05, place[-1], np.array(place)[(u[:, 1] * 20).astype(int)])
            return Slates(items=first[:, None].astype(np.int32), scores=np.zeros((len(u), 1), np.float32))

        def chances(self, requests, shown):
            return np.full(shown.shape, 0.95 / 20)

    with pytest.raises(Undecidable, match=r"[45]\.\d% of what it would show at place 1 was never shown there: new"):
        told_of(traffic, Chances())


def test_what_could_have_been_shown_and_by_luck_was_not_is_not_held_against_a_policy():
    chance = 1 / np.arange(1, 2001)
    chance /= chance.sum()
    log = np.random.default_rng(0).choice(2000, 5000, p=chance)
    traffic, place = asked_of(log, chance)
    by_place = np.zeros(traffic.dataset.n_items)
    by_place[place] = chance

    class Itself:
        def retrieve(self, requests, n):
            drawn = np.searchsorted(by_place.cumsum(), uniforms(requests.draw, 1) * by_place.sum())
            return Slates(items=drawn.astype(np.int32), scores=np.zeros(drawn.shape, np.float32))

        def chances(self, requests, shown):
            return by_place[shown]

    told = told_of(traffic, Itself())
    assert told.value == pytest.approx(told.logged) and told.support[0].found == 1.0
    assert any("which may be chance" in note for note in told.notes), "some of it is never shown all the same"


def test_pages_of_a_policy_that_never_shows_a_hundredth_of_it_are_left_out_whoever_else_does():
    log = np.random.default_rng(0).integers(0, 21, 12_000)
    traffic, place = asked_of(log, np.full(21, 1 / 21))
    whole = (traffic.items[:, 0] == place[20]) | (np.arange(len(traffic.pages)) % 2 > 0)
    traffic = replace(traffic, policy=np.where(whole, "all-1", "some-2").astype(object))

    class Certain:
        def retrieve(self, requests, n):
            user = np.asarray(requests.user)
            first = np.where(user * 7919 % 1000 < 50, place[20], np.array(place)[user % 20])
            return Slates(items=first[:, None].astype(np.int32), scores=np.zeros((len(user), 1), np.float32))

    told = told_of(traffic, Certain())
    assert set(told.loggers) == {"all-1"} and any("left out: some-2" in note for note in told.notes)


def test_a_log_without_chances_is_refused_with_the_policies_that_lack_them():
    with pytest.raises(Undecidable, match="propensities are missing for quiet-7"):
        estimate(fill(Store.open(), known=False, policy="quiet-7"), ["popular"])


@pytest.mark.parametrize("policy", ["", None])
def test_a_log_of_nobody_knows_whom_is_refused(policy):
    with pytest.raises(Undecidable, match=r"5,000 pages do not say which policy .* give the column policy"):
        estimate(fill(Store.open(), policy=policy), ["popular"])


def test_pages_of_nobody_knows_whom_are_left_out_and_counted(recipe):
    store = fill(Store.open())
    named = sa.update(t.impressions).where(t.impressions.c.request_id.in_(["q4000", "q4001"]))
    store.database.write(lambda c: c.execute(named.where(t.impressions.c.slot == 1).values(policy="")))
    told = estimate(store, [recipe])[0]
    assert "2 pages do not say which policy showed them and are left out" in told.notes
    assert told.pages == pytest.approx(PAGES // 2, abs=2) and set(told.loggers) == {"soft-1"}


def test_what_nobody_saw_and_what_came_after_the_last_event_is_counted(recipe):
    store, c = fill(Store.open()), t.impressions.c
    gone = sa.update(t.impressions).values(seen=False)
    for which in (c.request_id == "q4000", (c.request_id == "q4001") & (c.slot == 2)):
        store.database.write(lambda held, which=which: held.execute(gone.where(which)))
    late = sa.update(t.impressions).where(c.request_id.in_(["q10", "q11", "q12"]))
    store.database.write(lambda held: held.execute(late.values(time=1_900_000_000_000_000)))
    told = estimate(store, [recipe])[0]
    assert {
        "left out: pages never on a screen (1)", "places never on a screen have earned nothing (1)",
        "left out: pages shown after the last event of the log (4)",  # these, and the last of the log
    } <= set(told.notes)  # fmt: skip


def test_where_nothing_is_left_all_that_was_left_out_is_said():
    store, c = fill(Store.open()), t.impressions.c
    first = sa.update(t.impressions).where(c.request_id.in_([f"q{i}" for i in range(100)]))
    store.database.write(lambda held: held.execute(sa.update(t.impressions).values(policy="")))
    store.database.write(lambda held: held.execute(first.values(policy="soft-1", seen=False)))
    with pytest.raises(Undecidable, match=r"4,900 pages do not say .*; left out: pages never on a screen \(100\)"):
        estimate(store, ["popular"])


def test_of_several_the_best_is_chosen_by_one_half_and_judged_on_the_other(logged, recipe):
    told = estimate(logged, ["popular", recipe])
    assert [one.chosen for one in told] == [True, False]
    assert (
        told[0].people + Traffic.of(logged, snapshot(logged, shown=True), "click").halves()[0].who.size > told[0].people
    )
    assert told[0].people < 150 and any("judged on the other half" in note for note in told[0].notes)


def test_of_several_one_that_the_other_half_cannot_tell_is_left_out_with_the_reason(logged, recipe, monkeypatch):
    judged, asked = estimating._told, []

    def told(one, *rest):
        asked.append(one.name)
        if one.name == "popular" and asked.count("popular") > 1:
            raise Undecidable("too little")
        return judged(one, *rest)

    monkeypatch.setattr(estimating, "_told", told)
    (only,) = estimate(logged, ["popular", recipe])
    assert only.policy == recipe and only.chosen and "popular is left out: too little" in only.notes
    asked.clear()
    monkeypatch.setattr(estimating, "_told", lambda *rest: (_ for _ in ()).throw(Undecidable("too little")))
    with pytest.raises(Undecidable, match=r"popular: too little; .*bolder.toml: too little"):
        estimate(logged, ["popular", recipe])


def test_halves_share_nobody(logged):
    traffic = Traffic.of(logged, snapshot(logged, shown=True), "click")
    first, second = traffic.halves()
    assert not set(first.who.tolist()) & set(second.who.tolist())
    assert (
        len(first.pages) + len(second.pages) == len(traffic.pages) and min(len(first.pages), len(second.pages)) > 1000
    )


def test_a_candidate_learns_nothing_of_the_pages_that_it_is_judged_on(logged):
    traffic = Traffic.of(logged, snapshot(logged, shown=True), "click")
    assert traffic.older.events.time.max() < traffic.pages.at.min()
    asked = Asked.of(logged, "popular", traffic, seed=0, progress=lambda stage, facts: None)
    assert asked.fitted.manifest["data"]["n_events"] == len(traffic.older.events)


def test_a_model_that_has_learnt_from_the_log_is_refused(logged, tmp_path):
    taken = snapshot(logged).dataset
    Fitted.learn("popular", taken, run=Run()).save(tmp_path / "knows")
    with pytest.raises(Undecidable, match="newer than the pages"):
        estimate(logged, [str(tmp_path / "knows")])
    old = taken.where(taken.events.time < np.quantile(taken.events.time, 0.3))
    Fitted.learn("popular", old, run=Run()).save(tmp_path / "old")
    assert estimate(logged, [str(tmp_path / "old")])[0].policy == "old"
    Fitted.learn("popular", crowd(), run=Run()).save(tmp_path / "other")
    with pytest.raises(Mismatch, match="another catalogue"):
        estimate(logged, [str(tmp_path / "other")])


def test_pages_of_policies_that_leave_out_what_it_would_show_are_left_out_and_named(recipe):
    store, made = fill(Store.open()), small().dataset
    rng, at = np.random.default_rng(5), 1_700_000_000_000_000 + PAGES * 60_000_000
    own = [made.items[i] for i in (3, 5, 7)]  # the same three things for everybody, with certainty
    keep(store, pl.DataFrame({
        "request_id": np.repeat([f"s{i}" for i in range(400)], PLACES), "timestamp": np.repeat(at + np.arange(400), 3),
        "user_id": np.repeat([made.users[u] for u in rng.integers(0, 150, 400)], PLACES), "policy": "sure-2",
        "slot": np.tile(np.arange(PLACES), 400), "item_id": own * 400, "propensity": 1.0,
    }))  # fmt: skip
    store.append([Happened(event_id="end", user_id="p-00000", item_id=own[0], event_type="keep", time=at + 500)])
    told = estimate(store, [recipe])[0]
    assert told.loggers.keys() == {"soft-1"} and told.places == PLACES
    assert any("left out: sure-2 (400 pages)" in note for note in told.notes)


def test_every_estimator_is_told_and_the_answer_is_the_one_that_was_chosen_beforehand(logged, recipe):
    told = estimate(logged, [recipe])[0]
    assert [one.name for one in told.estimates] == list(estimating.BELIEFS)
    assert told.value == told.estimates[0].value and told.interval == told.estimates[0].interval
    assert [s.holds for s in told.support] == [True] * PLACES and told.effective == told.support[-1].effective
    effective = [s.effective for s in told.support]
    assert effective == sorted(effective, reverse=True)


def test_a_window_takes_pages_by_share_by_number_and_by_time(logged):
    end = 1_700_000_000_000_000 + (PAGES - 1) * 60_000_000
    taken = snapshot(logged, shown=True)
    at = [Traffic.of(logged, taken, "click", window).pages.at for window in (
        Window(share=0.1), Window(most=40), Window(days=0.5), Window(since=end - 600_000_000),
        Window(share=1.0, until=end - 60_000_000 * 4000),
    )]  # fmt: skip
    assert [len(moments) for moments in at] == [
        pytest.approx(500, abs=1),
        40,
        pytest.approx(721, abs=2),
        pytest.approx(10, abs=2),
        1000,
    ]
    for wrong in ({"since": 5, "until": 5}, {"days": 0.0}, {"most": 0}, {"share": 1.5}, {"since": 1, "days": 1.0}):
        with pytest.raises(BadSetting):
            Window(**wrong)
    with pytest.raises(Undecidable, match="no page of the log lies"):
        estimate(logged, ["popular"], window=Window(since=end + 1))


@pytest.mark.parametrize("wrong", [0.0, 1.5, -0.2])
def test_propensities_that_are_none_are_refused_when_they_come_in_and_when_they_are_read(wrong):
    frame = pl.DataFrame({"request_id": ["q"], "slot": [0], "item_id": ["lamp"], "propensity": [wrong]})
    with pytest.raises(BadData, match=r"1 of 1 propensities are not in \(0, 1\]"):
        keep(Store.open(), frame)
    store = fill(Store.open())
    store.database.write(lambda c: c.execute(sa.update(t.impressions).values(propensity=wrong)))
    with pytest.raises(BadData, match=rf"propensities are not in \(0, 1\], for instance {wrong}"):
        estimate(store, ["popular"])


def test_pages_that_show_an_item_twice_are_left_out_and_counted(recipe):
    store = fill(Store.open())
    twice = sa.update(t.impressions).where(t.impressions.c.slot == 2)
    few = twice.where(t.impressions.c.request_id.like("q49%"))
    other = t.impressions.alias("o")
    same = (other.c.tenant == t.impressions.c.tenant, other.c.request_id == t.impressions.c.request_id)
    first = sa.select(other.c.item).where(*same, other.c.row == 0, other.c.slot == 0)
    store.database.write(lambda c: c.execute(few.values(item=first.scalar_subquery())))
    told = estimate(store, [recipe])[0]
    assert told.places == PLACES and any("111 pages show an item twice" in note for note in told.notes)
    store.database.write(lambda c: c.execute(twice.values(item=first.scalar_subquery())))
    with pytest.raises(Undecidable, match="every item stands once"):
        estimate(store, [recipe])


def test_answers_to_searches_and_special_requests_are_left_out(logged):
    store = fill(Store.open())
    for i in range(PAGES - 100, PAGES):
        store.answered.traced(f"q{i}", lambda: {"query": "lamp", "asked": {"query": "lamp"}}, user=None, time=0)
    store.answered.traced(
        "q0", lambda: {"query": None, "asked": {"exclude": [], "user": "ada", "k": 3}}, user=None, time=0
    )
    store.database.flush()
    told = estimate(store, ["popular"])[0]
    assert told.pages == (PAGES - 100) // 2 and any("100 pages answered searches" in note for note in told.notes)


def test_what_cannot_be_asked_is_said(logged):
    with pytest.raises(UnknownName, match="'click'"):
        estimate(logged, ["popular"], reward="clicks")
    with pytest.raises(BadSetting, match="1 to 3"):
        estimate(logged, ["popular"], places=4)
    with pytest.raises(BadSetting, match="share"):
        estimate(logged, ["popular"], window=Window(share=0.0))
    with pytest.raises(UnknownName, match="popular"):
        estimate(logged, ["populer"])
    with pytest.raises(Undecidable, match="nothing to fit it on"):
        estimate(logged, ["popular"], window=Window(share=1.0))
    with pytest.raises(BadData, match="no impressions"):
        estimate(Store.open(), ["popular"])


def test_the_command_prints_a_sentence_or_json(tmp_path, recipe):
    where = str(tmp_path / "shop.db")
    fill(Store.open(where)).close()
    said = CliRunner().invoke(app, ["estimate", "--log", where, "--policy", recipe, "--json"])
    assert said.exit_code == 0, said.output
    told = json.loads(said.stdout)[0]
    assert told["policy"] == recipe and told["interval"][0] < told["value"] < told["interval"][1]
    wrong = CliRunner().invoke(app, ["estimate", "--log", where, "--policy", recipe, "--days", "-1"])
    assert wrong.exit_code != 0 and "days are above 0" in str(wrong.exception)
    plain = CliRunner().invoke(app, ["estimate", "--log", where, "--policy", recipe])
    assert "would have earned" in plain.stdout and f"of {told['people']} people" in plain.stdout
