"""Dynamic slates: the likelihood of the paper, states that no later click reaches, pages that act on doubt."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from interplay.errors import BadData, BadSetting, UnknownName
from interplay.fitted import built
from interplay.learn.descend import Descent
from interplay.learn.variational import Gaussians
from interplay.learn.walks import Batch, Stretches, Walk, moved, started
from interplay.models.slates import DynamicSlate, SlatesConfig, stretched
from interplay.recipe import Recipe
from interplay.types import Dataset, Events, Ids, Ragged, Requests, Run, Slates
from interplay.worlds.slates import SlateWorld, SlateWorldConfig

QUICK = Descent(rate=0.02, batch=64, epochs=6, clip=10.0)


def ratings(people: int = 60, items: int = 30, seed: int = 0) -> Dataset:
    """Two tastes, rated."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(people), 12)
    item = rng.integers(0, items, len(user))
    value = 3 + 1.5 * ((user % 2) == (item % 2)) - 1.0 * ((user % 2) != (item % 2)) + 0.3 * rng.normal(size=len(user))
    catalogue = pl.DataFrame({"categories": [["even", "odd"][i % 2 : i % 2 + 1] for i in range(items)]})
    return Dataset(
        name="rated", users=Ids(list(range(people))), items=Ids([f"i{i}" for i in range(items)]), catalogue=catalogue,
        events=Events(user=user.astype(np.int32), item=item.astype(np.int32), value=value.astype(np.float32)),
    )  # fmt: skip


def world(**more: float) -> SlateWorld:
    config = SlateWorldConfig(people=80, dim=3, shortest=3, longest=6, sharpness=2.0, **more)  # type: ignore[arg-type]
    return SlateWorld(ratings(), config, seed=0)


@pytest.fixture(scope="module")
def log() -> Dataset:
    return world().logged(12)


@pytest.fixture(scope="module")
def model(log: Dataset) -> DynamicSlate:
    return DynamicSlate(SlatesConfig(dim=4, descent=QUICK, linear_epochs=2)).fit(log)


def asked(log: Dataset, n: int = 20, m: int = 10, seed: int = 0) -> tuple[Requests, Slates]:
    rng = np.random.default_rng(seed)
    items = np.stack([rng.permutation(log.n_items)[:m] for _ in range(n)]).astype(np.int32)
    draw = rng.integers(0, 2**64, n, dtype=np.uint64)
    return Requests.of(log, np.arange(n), draw=draw), Slates(items=items, scores=np.zeros(items.shape, np.float32))


@pytest.mark.parametrize(("user", "score"), [("linear", "distance"), ("gru", "dot")])
def test_the_likelihood_is_the_softmax_over_what_was_shown_and_nothing(user: str, score: str) -> None:
    torch.manual_seed(0)
    model = DynamicSlate(SlatesConfig(user=user, score=score, dim=3, places=True))
    model.group = np.zeros(6, np.int32)
    walk = Walk(user, score, "prior", torch.tensor([2, 3]))
    values = {k: v + torch.randn(v.shape) for k, v in model._start(1, 6, 3).means().items()}
    v, nothing = values["vectors"].detach().numpy(), values["nothing"].detach().numpy()
    batch = Batch(
        user=torch.tensor([-1]), items=torch.arange(6), past=torch.tensor([[4]]),
        slate=torch.tensor([[[0, 1, 2], [3, 5, -1], [1, 2, 3]]]), chosen=torch.tensor([[1, -1, -2]]),
    )  # fmt: skip
    told = walk.told(values, batch)[0].detach().numpy()

    def step(h: np.ndarray, item: int) -> np.ndarray:
        if user == "linear":
            keep = values["keep"].detach().numpy()
            return keep * h + (1 - keep) * v[item]
        w = {k: values[k].detach().numpy() for k in ("ir", "iu", "in", "hr", "hu", "hn")}
        r, u = (1 / (1 + np.exp(-(w["i" + g] @ v[item] + w["h" + g] @ h))) for g in "ru")
        return (1 - u) * np.tanh(w["in"] @ v[item] + r * (w["hn"] @ h)) + u * h

    def log_p(h: np.ndarray, slate: list[int], at: int) -> float:
        z = h if user == "linear" else values["out"].detach().numpy() @ h
        bias = values["bias"].detach().numpy()
        s = [-np.linalg.norm(z - v[i]) if score == "distance" else z @ v[i] + bias[i] for i in slate]
        weights = np.exp([nothing[len(slate)], *(a + float(values["place"][k].detach()) for k, a in enumerate(s))])
        return float(np.log(weights[at] / weights.sum()))

    h = step(values["start"].detach().numpy(), 4)
    assert told[0] == pytest.approx(log_p(h, [0, 1, 2], 2), abs=1e-4)
    assert told[1] == pytest.approx(log_p(step(h, 1), [3, 5], 0), abs=1e-4), "the state moved by the click"
    assert told[2] == 0, "where there is no page nothing is said"


def test_the_bound_is_the_tempered_likelihood_less_the_distance_from_the_prior(log: Dataset) -> None:
    flat = DynamicSlate(SlatesConfig(dim=2, groups="", power=1e9, descent=replace(QUICK, epochs=1))).fit(log)
    assert flat.group.max() == 0
    tight = DynamicSlate(SlatesConfig(dim=2, power=1e-9, descent=replace(QUICK, epochs=1))).fit(log)
    assert tight.fitted["losses"][0] > 1e3 * flat.fitted["losses"][0]
    belief = Gaussians({"x": torch.tensor([1.0, 2.0])}, scale=0.5)
    slow = torch.distributions.kl_divergence(
        torch.distributions.Normal(torch.tensor([1.0, 2.0]), 0.5), torch.distributions.Normal(0.3, 2.0)
    ).sum()
    assert belief.kl("x", 0.3, 2.0).item() == pytest.approx(slow.item(), rel=1e-5)


def test_a_state_moves_only_after_a_click_and_masks_keep_later_clicks_out_of_the_start() -> None:
    vectors = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    known = torch.tensor([[True, True, False, False], [False, False, False, False]])
    values = {"start": torch.tensor([0.5, 0.0, -0.5]), "keep": torch.tensor([0.3])}
    nobody = torch.tensor([-1, -1])
    first = started(values, "past", vectors, known, nobody)
    later = vectors.clone()
    later[:, 2:] = 99.0
    torch.testing.assert_close(first, started(values, "past", later, known, nobody))
    torch.testing.assert_close(first[0], (vectors[0, 0] + vectors[0, 1] / 16) / (1 + 1 / 16))
    torch.testing.assert_close(first[1], values["start"])
    torch.testing.assert_close(moved(values, "linear", first, vectors[:, 0]), 0.3 * first + 0.7 * vectors[:, 0])
    torch.testing.assert_close(moved(values, "static", first, vectors[:, 0]), first)


@pytest.mark.parametrize("start", ["prior", "past"])
def test_pages_after_a_stretch_cannot_reach_its_likelihood(log: Dataset, start: str) -> None:
    config = SlatesConfig(dim=3, stretch=4, window=5, start=start, user="linear", descent=replace(QUICK, epochs=0))
    model = DynamicSlate(config).fit(log)
    _, choices = model._choices(log)
    stretches = Stretches(choices, stretch=4, window=5)
    rows = stretches.rows
    batch = stretches.batch(np.arange(len(stretches)), np.random.default_rng(0))
    user = choices.user[rows["at"][rows.offsets[:-1]]]
    for row in np.flatnonzero(user == 7):
        mine = np.flatnonzero(choices.user == 7)
        mine = mine[np.argsort(choices.at[mine])]
        begin = int(np.flatnonzero(mine == rows.row(row)["at"][0])[0])
        before = [int(choices.slate[i, choices.chosen[i]]) for i in mine[:begin] if choices.chosen[i] >= 0][-5:]
        held = batch.past[row]
        assert batch.items[held[held >= 0]].tolist() == before
        values, late = model.belief.means(), batch.chosen.clone()
        late[row, -1] = torch.where(late[row, -1] >= -1, -1, late[row, -1])
        told = model.walk.told(values, batch)[row, :-1]
        again = model.walk.told(values, replace(batch, chosen=late))[row, :-1]
        torch.testing.assert_close(told, again)


def test_people_without_a_past_get_the_prior_and_what_was_never_shown_its_group(
    model: DynamicSlate, log: Dataset
) -> None:
    strangers = Requests.strangers([[], []])
    z = model.states(strangers).numpy()
    np.testing.assert_allclose(z[0], model.mean["out"].numpy() @ model.mean["start"].numpy(), rtol=1e-5)
    cold = world(cold=0.3)
    fitted = DynamicSlate(SlatesConfig(dim=3, descent=QUICK)).fit(cold.logged(6))
    group = fitted.mean["group"][torch.from_numpy(fitted.group.astype(np.int64))]
    assert (~fitted.met == cold.cold).all() and cold.cold.any()
    torch.testing.assert_close(fitted.mean["vectors"][cold.cold], group[cold.cold])


def test_in_slate_sampling_never_repeats_an_item_and_its_chances_are_frequencies(
    model: DynamicSlate, log: Dataset
) -> None:
    n = 3000
    requests, candidates = asked(log, 1)
    many = replace(
        requests.take(np.zeros(n, np.int64)), draw=np.random.default_rng(0).integers(0, 2**64, n, dtype=np.uint64)
    )
    wide = Slates(items=np.repeat(candidates.items, n, 0), scores=np.repeat(candidates.scores, n, 0))
    doubting = DynamicSlate(replace(model.config, widen=6.0, particles=12)).restore(model.state())
    doubting.widen = 6.0
    for way in ("apart", "together"):
        doubting.config = replace(doubting.config, way=way)
        pages = doubting.choose(many, wide, 4)
        assert all(len(set(page)) == 4 for page in pages.items.tolist())
        whole, at, count = np.unique(pages.items, axis=0, return_index=True, return_counts=True)
        assert len(whole) > 3
        assert abs(count / n - pages.columns["propensity"][at].prod(axis=1)).max() < 0.03
        given = Slates(items=wide.items[at], scores=wide.scores[at])
        np.testing.assert_allclose(doubting.chances(many.take(at), given, whole), pages.columns["propensity"][at])


def test_without_doubt_the_three_ways_show_the_same_page(model: DynamicSlate, log: Dataset) -> None:
    requests, candidates = asked(log)
    pages = []
    for way in ("greedy", "together", "apart"):
        sure = DynamicSlate(replace(model.config, way=way)).restore(model.state())
        sure.widen = 0.0
        pages.append(sure.choose(requests, candidates, 5).items)
    assert pages[0].tolist() == pages[1].tolist() == pages[2].tolist()


@pytest.mark.parametrize("score", ["distance", "dot"])
def test_a_list_of_the_catalogue_is_ordered_as_slates_are_scored(log: Dataset, score: str) -> None:
    model = DynamicSlate(SlatesConfig(dim=3, score=score, user="linear", descent=QUICK)).fit(log)
    requests, _ = asked(log)
    top = model.retrieve(requests, 6)
    scores = model.scores(requests, top.items)
    assert (np.diff(scores, axis=1) <= 1e-5).all()


def test_learning_finds_what_people_want_and_an_update_goes_on(log: Dataset) -> None:
    place = world()
    data = place.logged(25)
    users = np.arange(80)
    model = DynamicSlate(SlatesConfig(dim=4, user="linear", descent=replace(QUICK, epochs=15))).fit(data)
    top = model.retrieve(
        replace(place.requests(users), rules=replace(place.requests(users).rules, withhold_seen=False)), 4
    )
    gained = place.chance(users, top.items).sum(axis=1).mean()
    by_chance = place.chance(users, np.random.default_rng(0).integers(0, 30, (80, 4))).sum(axis=1).mean()
    assert gained > by_chance + 0.1
    before = model.fitted["losses"][-1]
    model.update(data, run=Run(epochs=2))
    assert len(model.fitted["losses"]) == 2 and model.fitted["losses"][-1] < before + 0.1


def test_intervals_widen_with_doubt_and_calibration_sets_it(model: DynamicSlate, log: Dataset) -> None:
    requests, slates = asked(log, m=5)
    widths = []
    for widen in (0.0, 1.0, 4.0):
        other = DynamicSlate(model.config).restore(model.state())
        other.widen = widen
        low, high = other.interval(requests, slates)
        widths.append((high - low).mean())
    assert widths[0] == 0 < widths[1] < widths[2]
    again = DynamicSlate(model.config).restore(model.state())
    truth = stretched(again._odds(requests, slates), 3.0)[5]  # three times as far from the middle as one draw
    again.calibrate(requests, slates, truth)
    inside = {float(m): share for m, share in again.fitted["inside"].items()}
    assert inside[0.0] < 0.5 and again.margin == min(inside, key=lambda m: (abs(inside[m] - 0.9), m))
    assert DynamicSlate(model.config).restore(again.state()).margin == again.margin
    low, high = again.interval(requests, slates)
    assert ((low <= truth) & (truth <= high)).mean() == inside[again.margin]


def test_stretched_chances_spread_around_their_own_middle() -> None:
    odds = np.array([[-2.0, 1.0], [-1.0, 1.0], [0.0, 4.0]])
    told = stretched(odds, 2.0)
    back = np.log(told / (1 - told))
    np.testing.assert_allclose(back, [[-3.0, 0.0], [-1.0, 0.0], [1.0, 6.0]])  # around -1 and 2
    np.testing.assert_allclose(stretched(odds, 0.0), 1 / (1 + np.exp([[1.0, -2.0]] * 3)))


def test_dynamic_slate_explores_in_a_recipe(log: Dataset) -> None:
    recipe = '[source.often]\nsystem = "popular"\n[explore]\nsystem = "dynamic-slate"\npool = 8\ndim = 3\n'
    recipe += "descent = { epochs = 1 }"
    model = Recipe.parse(recipe).build().fit(log)
    requests = replace(Requests.of(log, np.arange(10), k=4), draw=np.arange(10, dtype=np.uint64))
    reply = model.respond(requests)
    slates = reply.slates
    assert (slates.columns["propensity"] > 0).all() and (slates.columns["propensity"] < 1).any()
    low, high = reply.trace[0].items[0]["believed"]
    assert 0 < low < high < 1


def test_with_a_state_of_their_own_that_nothing_moves_people_are_vectors_and_can_be_forgotten() -> None:
    place = world()
    log, plain = place.logged(40), SlatesConfig(dim=4, user="static", descent=replace(QUICK, epochs=20))
    own, alike = (DynamicSlate(replace(plain, start=start)).fit(log) for start in ("own", "prior"))
    requests, slates = asked(log, 80)
    z = own.states(requests)
    bare = Requests(user=np.array([7, 10_000, -1], np.int32), history=Ragged.of([[], [], []]))
    start, mine = own.mean["start"], own.mean["start"] + own.mean["people"][7]
    torch.testing.assert_close(z[7], mine)
    torch.testing.assert_close(own.states(bare), torch.stack([mine, start, start]))  # a history moves nothing
    assert alike.states(requests).std(dim=0).max() == 0
    every = np.tile(np.arange(log.n_items, dtype=np.int32), (80, 1))
    taste, told = place.utility(np.arange(80)), own.scores(requests, every)
    apart = [x - x.mean(axis=0) for x in (taste, told)]  # of what everybody likes
    assert np.corrcoef(apart[0].ravel(), apart[1].ravel())[0, 1] > 0.3
    again = DynamicSlate(own.config).restore(own.state())
    np.testing.assert_array_equal(again.choose(requests, slates, 4).items, own.choose(requests, slates, 4).items)
    forgotten = again.forget(np.array([7, 10_000]))
    state = forgotten.state()
    assert {"belief.mean.people", "belief.raw.people"} < set(state.users) and not any(
        array[7].any() for array in state.users.values()
    )
    torch.testing.assert_close(forgotten.states(requests)[7], own.mean["start"])
    torch.testing.assert_close(forgotten.states(requests)[8], z[8])


def wide(beyond: bool) -> Dataset:
    """Six pages of 11 rows of 100 cells; four have a click in the first row, one none, and one in the last or none."""
    n = 6
    items = Ids([f"i{i}" for i in range(1100)])
    shown = pl.DataFrame({
        "request_id": np.repeat([f"q{i}" for i in range(n)], 1100),
        "user_id": np.repeat([f"u{i % 3}" for i in range(n)], 1100),
        "row": np.tile(np.repeat(np.arange(11), 100), n), "slot": np.tile(np.arange(100), 11 * n),
        "item_id": np.tile(items.names, n),
    })  # fmt: skip
    at = [(p, 3 + p) for p in range(4)] + ([(5, 1050)] if beyond else [])
    events = Events(
        user=np.array([p % 3 for p, _ in at], np.int32), item=np.array([i for _, i in at], np.int32), ordered=True,
        kind=np.zeros(len(at), np.int16), kinds=("click",),
        context={"request_id": np.array([f"q{p}" for p, _ in at])},
    )  # fmt: skip
    order = np.argsort(events.user, kind="stable")
    return Dataset(
        name="wide",
        users=Ids(["u0", "u1", "u2"]),
        items=items,
        events=events.where(order),
        tables={"impressions": shown},
    )


def test_a_choice_beyond_the_cells_that_are_looked_at_is_left_out_and_counted() -> None:
    quick = SlatesConfig(dim=2, user="linear", descent=replace(QUICK, epochs=1))
    model = DynamicSlate(quick).fit(wide(True))
    assert model.fitted["choices"] == 5 and model.fitted["left_out"] == 1
    assert DynamicSlate(quick).fit(wide(False)).fitted["left_out"] == 0
    assert model.met[:1000].all() and not model.met[1000:].any()
    assert np.flatnonzero(model.lengths).tolist() == [1000]
    only = wide(True)
    late = replace(only, events=only.events.where(only.events.item == 1050), tables={
        "impressions": only.tables["impressions"].filter(pl.col("request_id") == "q5")})  # fmt: skip
    with pytest.raises(BadData, match="no choice to learn from: 1 were made beyond the first 1,000 cells"):
        DynamicSlate(quick).fit(late)


def test_an_update_may_bring_longer_pages_than_the_fit_had(log: Dataset) -> None:
    shown = log.tables["impressions"]
    short = replace(log, tables={"impressions": shown.filter(pl.col("slot") < 3)})
    model = DynamicSlate(SlatesConfig(dim=2, user="linear", places=True, descent=replace(QUICK, epochs=1))).fit(short)
    assert int(shown["slot"].max()) > 2
    model.update(log, run=Run(epochs=1))
    requests, slates = asked(log)
    assert (
        np.flatnonzero(model.lengths).tolist() == [3] and np.isfinite(model.click_probability(requests, slates)).all()
    )


def test_a_page_that_is_drawn_says_between_what_each_chance_is_believed_to_lie(
    model: DynamicSlate, log: Dataset
) -> None:
    requests, candidates = asked(log)
    page = model.choose(requests, candidates, 4)
    low, high = page.columns["low"], page.columns["high"]
    each = np.stack([model.click_probability(requests, page, values) for values in model.drawn])
    np.testing.assert_allclose(low, np.quantile(each, 0.05, axis=0), atol=2e-3)
    np.testing.assert_allclose(high, np.quantile(each, 0.95, axis=0), atol=2e-3)
    assert (low > 0).all() and (low < high).all() and (high < 1).all()
    again = DynamicSlate(model.config).restore(model.state())
    again.margin = 2.0
    wider = again.choose(requests, candidates, 4).columns
    assert (wider["low"] < low).all() and (wider["high"] > high).all()
    assert "low" not in model.choose(replace(requests, draw=None), candidates, 4).columns
    drawn = DynamicSlate(SlatesConfig(dim=2, candidates="all", descent=replace(QUICK, epochs=1))).fit(log)
    assert "low" not in drawn.choose(requests, candidates, 4).columns, "it knows no worth of choosing nothing"


def test_strangers_pages_empty_slates_and_unknown_settings(log: Dataset) -> None:
    model = built("dynamic-slate-linear", {"dim": 2, "descent": {"epochs": 1}}).fit(log)
    nothing = Slates.empty(1, 3)
    assert model.click_probability(Requests.strangers([[1]]), nothing).tolist() == [[0.0, 0.0, 0.0]]
    assert model.choose(Requests.strangers([[1]]), nothing, 2).items.tolist() == [[-1, -1]]
    long = Slates(items=np.arange(25, dtype=np.int32)[None], scores=np.zeros((1, 25), np.float32))
    assert np.isfinite(
        model.click_probability(Requests(user=np.array([-1]), history=Ragged.of([[10_000]])), long)
    ).all()
    with pytest.raises(UnknownName, match="nearest: \\['linear'"):
        DynamicSlate(SlatesConfig(user="linaer")).fit(log)
    with pytest.raises(BadSetting, match="power > 0"):
        DynamicSlate(SlatesConfig(power=0)).fit(log)
