"""The worth of pairs: what is learnt, what is served, and how a recipe uses it."""

from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest

from interplay.data.pairs import DAY
from interplay.errors import BadData, BadSetting, UnknownName
from interplay.learn.descend import Descent
from interplay.models.longterm import LongTerm, LongTermConfig
from interplay.recipe import Recipe
from interplay.systems import system
from interplay.types import Dataset, Events, Ids, Ragged, Requests, Run, Slates

T0 = 1_700_000_000_000_000
KINDS = ("show", "click", "follow", "gift")
FEW = Descent(rate=0.01, batch=128, epochs=6, clip=5.0)


@cache
def courtship(n_users: int = 60, days: int = 40) -> Dataset:
    """Makers 0 to 4 are clicked a lot and never again; 5 to 9 are clicked half as often, and followed, and give."""
    rng = np.random.default_rng(0)
    rows = []
    for user in range(n_users):
        met, steady = np.zeros(10, int), rng.permutation(5) + 5
        for day in range(days):
            if rng.random() < 0.5:
                continue
            for maker in (int(rng.integers(0, 5)), int(steady[0]) if day % 2 else int(rng.integers(5, 10))):
                at = T0 + day * DAY + maker * 60_000_000
                rows.append((user, maker, at, 0, 1.0))
                if rng.random() < (0.6 if maker < 5 else 0.35):
                    met[maker] += 1
                    rows.append((user, maker, at + 1, 1, 1.0))
                    if maker >= 5 and met[maker] == 2:
                        rows.append((user, maker, at + 2, 2, 1.0))
                    if maker >= 5 and met[maker] > 2:
                        rows.append((user, maker, at + 3, 3, float(rng.lognormal(1.5, 1.0))))
    rows.sort(key=lambda r: (r[0], r[2]))
    user, item, time, kind, value = map(np.array, zip(*rows, strict=True))
    events = Events(
        user=user.astype(np.int32), item=item.astype(np.int32), time=time.astype(np.int64), kinds=KINDS,
        kind=kind.astype(np.int16), value=value.astype(np.float32),
    )  # fmt: skip
    return Dataset(
        name="courtship", users=Ids([f"u{i}" for i in range(n_users)]), items=Ids([f"i{i}" for i in range(10)]),
        events=events, catalogue=pl.DataFrame({"title": [f"t{i}" for i in range(10)],
                                               "author_id": [f"a{i}" for i in range(10)]}),
    )  # fmt: skip


@cache
def fitted(**settings) -> LongTerm:
    config = LongTermConfig(dim=2, hidden=16, descent=FEW, **settings)
    return LongTerm(config).fit(courtship(), run=Run(seed=0))


def asked(users: list[int]) -> tuple[Requests, Slates]:
    n = len(users)
    slates = Slates(
        items=np.tile(np.arange(10, dtype=np.int32), (n, 1)), scores=np.tile(np.linspace(0.6, 0.5, 10), (n, 1)),
        columns={"source": np.tile(np.arange(10), (n, 1))},
    )  # fmt: skip
    requests = Requests(
        user=np.array(users, np.int32), history=Ragged.of([[]] * n), at=np.full(n, T0 + 41 * DAY, np.int64)
    )
    return requests, slates


@pytest.mark.parametrize("settings", [{}, {"approximation": "wait"}, {"approximation": "after"}, {"target": "return"},
                                      {"target": "page"}, {"single": True}])  # fmt: skip
def test_critics_stay_within_the_largest_possible_sum_and_learn_to_tell_pairs_apart(settings):
    model = fitted(**settings)
    assert 0 < model.fitted["largest"] <= 1  # while it learns; OVER is for what has only begun
    users = np.arange(60)
    gone = model.value(users, users % 5, T0 + 41 * DAY)
    stays = model.value(users, 5 + users % 5, T0 + 41 * DAY)
    assert stays.mean() > 1.1 * gone.mean()


def test_a_critic_that_says_the_impossible_fails_the_run():
    wild = Descent(rate=500.0, batch=64, epochs=20)
    with pytest.raises(BadSetting, match=r"largest possible discounted return|loss is"):
        LongTerm(LongTermConfig(dim=2, hidden=16, descent=wild)).fit(courtship())


def test_the_share_of_pairs_whose_next_meeting_is_not_known_is_reported():
    facts = fitted().fitted
    assert 0.1 < facts["censored"] < 0.8
    assert fitted(approximation="wait").fitted["used"] == pytest.approx(1 - facts["censored"], abs=1e-3)
    assert fitted(approximation="wait").fitted["delay_days"] > facts["delay_days"] > 0
    assert fitted(approximation="after").fitted["delay_days"] == 0


def test_the_score_is_base_to_the_p_times_one_plus_w_times_the_value_to_the_q():
    model = LongTerm(LongTermConfig(base_power=0.5, worth=2.0, power=1.5, most=3.0))
    model.mean = 4.0
    said = model.lifted(np.array([0.25, 0.25, 0.25]), np.array([4.0, 400.0, -1.0]))
    np.testing.assert_allclose(said, [0.5 * 3**1.5, 0.5 * 7**1.5, 0.5])


def test_ranking_moves_up_who_stays_and_keeps_columns_with_their_items():
    requests, slates = asked(list(range(60)))
    out = fitted().rank(requests, slates)
    assert (np.sort(out.items, axis=1) == np.arange(10)).all()
    np.testing.assert_array_equal(out.columns["source"], out.items)
    assert (np.diff(out.scores, axis=1) <= 0).all()
    assert (out.columns["longterm"] >= 1).all()
    before = 4.5  # mean place of 5 to 9 is 7 before
    place = np.argsort(out.items, axis=1)
    assert place[:, 5:].mean() < before < place[:, :5].mean()


def test_a_batch_is_ranked_as_one_by_one():
    requests, slates = asked([3, 7, -1, 10_000])
    whole = fitted().rank(requests, slates)
    alone = Slates.stacked([fitted().rank(requests.slice(i, i + 1), slates.slice(i, i + 1)) for i in range(4)])
    assert whole.equals(alone)


def test_padding_strangers_unknown_items_and_negative_scores_are_served():
    requests, _ = asked([-1, 2, 99_999])
    slates = Slates(
        items=np.array([[4, -1, -1], [2, 5000, 7], [-1, -1, -1]], np.int32),
        scores=np.array([[-3.0, -np.inf, -np.inf], [2.0, -1.0, -5.0], [-np.inf] * 3], np.float32),
    )
    out = fitted().rank(requests, slates)
    held = out.items >= 0
    assert np.isfinite(out.scores[held]).all() and (out.scores[~held] == -np.inf).all()
    assert sorted(out.items[1].tolist()) == [2, 7, 5000] and out.items[0].tolist() == [4, -1, -1]
    assert len(fitted().rank(requests.slice(0, 0), slates.slice(0, 0))) == 0


def test_what_happens_moves_the_value_and_a_replay_does_not():
    model = LongTerm(fitted().config).restore(fitted().state())
    one = Events(
        user=np.array([1] * 4, np.int32), item=np.array([8] * 4, np.int32), kinds=KINDS,
        time=T0 + 40 * DAY + np.arange(4), kind=np.arange(4).astype(np.int16), value=np.full(4, 30, np.float32),
    )  # fmt: skip
    pair = (np.array([1]), np.array([8]), T0 + 41 * DAY)
    before = model.value(*pair)
    after = model.update(one).value(*pair)
    assert before != after
    assert model.update(one).value(*pair) == after and model.states.late == fitted().states.late


def test_state_moves_and_the_same_seed_learns_the_same():
    requests, slates = asked([0, 5, 9])
    said = fitted().rank(requests, slates)
    moved = LongTerm(fitted().config).restore(fitted().state())
    assert moved.rank(requests, slates).equals(said)
    again = LongTerm(fitted().config).fit(courtship(), run=Run(seed=0))
    assert again.rank(requests, slates).equals(said)


def test_a_forgotten_person_is_valued_as_a_stranger():
    model = LongTerm(fitted().config).restore(fitted().state()).forget(np.array([4]))
    makers, at = np.arange(10), T0 + 41 * DAY
    np.testing.assert_array_equal(model.value(np.full(10, 4), makers, at), model.value(np.full(10, -1), makers, at))


def test_amounts_above_the_quantile_count_as_it():
    assert fitted().cap < courtship().events.value.max()
    assert LongTerm(LongTermConfig(winsor=1.0)).read(courtship()).outcome[:, 2].max() == pytest.approx(
        np.log1p(courtship().events.value[courtship().events.kind == 3].max()), rel=1e-5
    )


def test_a_catalogue_that_does_not_tell_makers_is_refused_unless_items_are_their_own():
    with pytest.raises(BadData, match="author_id"):
        LongTerm().fit(Dataset(name="d", users=Ids(["a"]), items=Ids(["x"]), events=courtship().events))
    with pytest.raises(UnknownName, match="approximation"):
        LongTermConfig(approximation="soon")
    with pytest.raises(BadSetting, match="weight"):
        LongTermConfig(weights=(1.0,))
    own = LongTerm(LongTermConfig(author="", dim=2, hidden=8, descent=Descent(epochs=1))).fit(courtship())
    assert own.whose.tolist() == list(range(10))


RECIPE = """
[source.popular]
system = "popular"
[longterm]
system = "rliv-ua"
dim = 2
hidden = 16
worth = 3.0
descent = {rate = 0.01, batch = 128, epochs = 6, clip = 5.0}
"""


def test_a_recipe_lifts_what_pairs_will_be_worth():
    data = courtship()
    plain = Recipe.parse(RECIPE.split("[longterm]")[0]).build().fit(data)
    lifted = Recipe.parse(RECIPE).build().fit(data)
    requests = Requests(user=np.arange(60, dtype=np.int32), history=Ragged.of([[]] * 60), k=10,
                        at=np.full(60, T0 + 41 * DAY))  # fmt: skip
    before, after = plain.respond(requests).slates, lifted.respond(requests).slates
    assert "longterm" in after.columns and "longterm" not in before.columns
    assert np.argsort(after.items, axis=1)[:, 5:].mean() < np.argsort(before.items, axis=1)[:, 5:].mean()
    trace = lifted.respond(requests).trace[0]
    rank = trace.stages[2]
    assert "then lifted by rliv-ua (x1." in rank.said and rank.facts["longterm"]["high"] > rank.facts["longterm"]["low"]
    assert all(item["longterm"] >= 1 for item in trace.items)
    least = min(item["longterm"] for item in trace.items)
    said = ["lifted x" in item["reason"] for item in trace.items]
    assert said == [item["longterm"] / least >= 1.1 for item in trace.items] and any(said) and not all(said)
    moved = Recipe.parse(RECIPE).build().restore(lifted.state()).attend(data)
    assert moved.retrieve(requests, 10).equals(lifted.retrieve(requests, 10))


def test_a_lifter_that_fails_is_left_out_of_an_answer_and_a_score_that_is_no_number_is_the_lowest(monkeypatch):
    cascade = Recipe.parse(RECIPE).build().fit(courtship())
    requests, slates = asked([1, 2, 3])
    odd = np.where(np.arange(10) == 3, np.nan, np.where(np.arange(10) == 5, -np.inf, slates.scores))
    lifted = cascade.lasting.model.rank(requests, replace(slates, scores=odd.astype(np.float32)))
    assert np.isfinite(lifted.scores).all() and (np.sort(lifted.items, axis=1) == np.sort(slates.items, axis=1)).all()

    def broken(*asked):
        raise RuntimeError("no store")

    monkeypatch.setattr(cascade.lasting.model, "rank", broken)
    answer = cascade.respond(requests)
    assert (answer.slates.items >= 0).any()
    assert "the lifter is missing: RuntimeError: no store" in answer.trace[0].stages[2].said


def test_a_recipe_names_what_can_lift():
    with pytest.raises(BadData, match="rliv-ua"):
        Recipe.parse(RECIPE.replace("rliv-ua", "popular")).build()
    with pytest.raises(UnknownName, match="worth"):
        Recipe.parse(RECIPE.replace("worth = 3", "worht = 3")).build()
    assert system("rliv-ua").kind == "lifter"
