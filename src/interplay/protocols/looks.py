"""The benches of click models: recovery of known looks on real layouts, and the places of real logs.

recgaze     one world for each model, on the 40 screens of RecGaze: 87 made people whose clicks follow it exactly; every
            model is fitted to 70 of them and judged by the log-likelihood of the other 17's pages
row-order   the same worlds: whole rows in the order of the fitted model, judged by the clicks that the true one expects
positions   pages of four films as language-model agents answered them (agent4rec_ml1m), and banners with three places
            (obd_small); fitted to four fifths of the agents and to one policy's banners, judged on the rest
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from scipy.stats import spearmanr

from interplay.benches import Bench, Entry
from interplay.data.gaze import Recordings, screens
from interplay.data.pages import Pages
from interplay.data.read import roots
from interplay.errors import BadData
from interplay.learn.descend import Descent
from interplay.models.clicks import Clicks, ClicksConfig
from interplay.ops.rows import arrange_rows
from interplay.ops.stats import bootstrap
from interplay.protocols.tables import Column, Held, above, figure, grid, mean, metric, seconds, seeds
from interplay.types import Array, Run

PEOPLE, FITTED = 87, 70
QUICK = Descent(rate=0.15, batch=1 << 20, epochs=150, schedule="cosine")
WALKS = ("cascade", "dbn", "carousel")  # a step of these goes cell by cell
RIVALS = ("constant", "position", "pbm", "pbm-rank-one", "pbm-swipe", "cascade", "dbn", "carousel", "one-choice")


def judge(page: Any, entry: Any, seed: int) -> dict[str, Any]:
    """One row of a bench."""
    return JUDGES[page.name](entry, seed)


def folder(name: str) -> Path:
    """The directory of a prepared set."""
    for root in roots():
        if (root / name).is_dir():
            return root / name
    raise BadData(
        f"{name} is in none of {[str(r) for r in roots()]}; set INTERPLAY_DATA to the directory that holds it"
    )


# --------------------------------------------------------------------------------------------------------------------
# Recovery


def study(seed: int) -> Pages:
    """Every screen for every made person: taste for genres and votes of films are known of each cell."""
    told = screens(folder("recgaze_layout"))
    rng, n = np.random.default_rng([seed, 1]), len(told.pages)
    stars = rng.integers(-2, 3, (PEOPLE, len(told.genres))).astype(np.float32)
    top = np.zeros_like(stars)
    top[np.arange(PEOPLE), stars.argmax(axis=1)] = 1.0
    assert told.pages.topic is not None
    items, topic = np.tile(told.pages.items, (PEOPLE, 1, 1)), np.tile(told.pages.topic, (PEOPLE, 1))
    user = np.repeat(np.arange(PEOPLE, dtype=np.int32), n)
    columns = items.shape[2]
    votes = rng.normal(size=told.pages.n_items) + 1.0 - told.pages.items.shape[2] / columns
    film = votes[np.maximum(items, 0)] - 0.08 * np.arange(columns)  # rows are ordered by votes
    per_row = [np.broadcast_to(t[user[:, None], topic][:, :, None], items.shape) for t in (stars, top)]
    about = np.stack([*per_row, film], axis=-1).astype(np.float32)
    return Pages(
        items=items,
        clicked=np.zeros(items.shape, bool),
        n_items=told.pages.n_items,
        topic=topic,
        user=user,
        about=about,
    )


def truth(name: str, pages: Pages, seed: int) -> Clicks:
    """A model with looks that fall down the page and along the rows, and some hundred clicks a screen at most."""
    model = Clicks(ClicksConfig(model="pbm" if name == "observed" else name, attraction="about",
                                descent=replace(QUICK, epochs=0))).learn(pages.take(np.arange(4)))  # fmt: skip
    rng = np.random.default_rng([seed, 2])
    rows, columns = pages.shape
    down = 2.2 - 0.55 * np.arange(rows) + 0.2 * rng.normal(size=rows)
    across = 1.8 - 0.5 * (np.arange(columns) % 5) - 1.1 * (np.arange(columns) // 5) + 0.2 * rng.normal(size=columns)
    given = {
        "look": down[:, None] + across - 1.0 + 0.4 * rng.normal(size=(rows, columns)), "down": down,
        "across": across if name == "pbm-rank-one" else across[:5], "swipe": np.array([-0.5]),
        "place": 0.8 * (down[:, None] + across), "nothing": np.array([4.0]),
        "enter": rng.normal(-0.6, 0.8, 64), "after": np.array([-1.0 if name == "cascade" else -40.0]),
        "on": np.array([3.4]), "a.about": np.array([0.5, 0.6, 0.4]), "s.about": np.array([0.3, 0.2, 0.0]),
        "a.base": np.array([-4.2 if name in WALKS else -2.8]), "s.base": np.array([-0.5]),
    }  # fmt: skip
    for key, value in model.logits.items():
        model.logits[key] = torch.from_numpy(np.asarray(given[key], np.float32)[tuple(slice(n) for n in value.shape)])
    return model


def recovery(entry: Any, seed: int) -> dict[str, Any]:
    """All models on the data of one."""
    name, blank = entry.label, study(seed)
    true = truth(name, blank, seed)
    pages = replace(blank, clicked=true.simulate(blank, seed=seed + 10))
    if name == "observed":
        pages = _watched(true, blank, seed)
    assert pages.user is not None
    mine, theirs = pages.take(pages.user < FITTED), pages.take(pages.user >= FITTED)
    told: dict[str, Array] = {}
    fitted: dict[str, Clicks] = {}
    for rival in dict.fromkeys((name, *RIVALS)):
        if rival == "one-choice" and (pages.clicked.sum(axis=(1, 2)) > 1).any():
            continue  # it is about pages with one choice at most
        config = ClicksConfig(model=rival, attraction="about", descent=QUICK)
        fitted[rival] = Clicks(config).learn(mine, run=Run(seed=seed))
        told[rival] = fitted[rival].log_likelihood(theirs)
    others = {rival: float(v.mean()) for rival, v in told.items() if rival != name}
    second = max(others, key=lambda rival: others[rival])
    margin = bootstrap(told[name] - told[second])
    # looks and attraction are of one scale only together: ranks tell
    look = spearmanr(fitted[name].examination().ravel(), true.examination().ravel()).statistic
    chance = np.corrcoef(fitted[name].click_probability(theirs).ravel(), true.click_probability(theirs).ravel())[0, 1]
    weights = np.corrcoef(_weights(fitted[name]), _weights(true))[0, 1]
    config = ClicksConfig(model=name, attraction="about", descent=QUICK)
    whole = Clicks(config).learn(pages, run=Run(seed=seed)).examination()
    cells = int((theirs.items >= 0).sum())
    return {
        "metrics": {
            "clicks": float(pages.clicked.sum(axis=(1, 2)).mean()), "true": float(true.log_likelihood(theirs).mean()),
            "own": float(told[name].mean()), "perplexity": float(np.exp(-told[name].sum() / cells)),
            "position": others["position"], "second": others[second], "margin": margin.mean, "low": margin.lo,
            "high": margin.hi, "looks": float(look),
            "looks_all": float(spearmanr(whole.ravel(), true.examination().ravel()).statistic),
            "taste": float(weights), "chances": float(chance),
        },
        "protocol": {"people": f"{PEOPLE} made people on 40 real screens of 10 by 15 films, {FITTED} fitted"},
        "facts": {"second": second, "log_likelihood": {k: round(float(v.mean()), 5) for k, v in told.items()},
                  "taste": _weights(fitted[name]).round(3).tolist()},
    }  # fmt: skip


def ordered(entry: Any, seed: int) -> dict[str, Any]:
    """Clicks truly to be expected of pages whose rows stand as they came, by their own score, and as arranged."""
    blank = study(seed)
    true = truth(entry.label, blank, seed)
    pages = replace(blank, clicked=true.simulate(blank, seed=seed + 10))
    assert pages.user is not None
    mine, theirs = pages.take(pages.user < FITTED), pages.take(pages.user >= FITTED)
    model = Clicks(ClicksConfig(model=entry.label, attraction="about", descent=QUICK)).learn(mine, run=Run(seed=seed))
    look = model.examination()
    attracts = np.where(theirs.items >= 0, model.click_probability(theirs) / look, 0.0)
    orders = {
        "as it came": np.tile(np.arange(theirs.shape[0]), (len(theirs), 1)),
        "by score": np.argsort(-attracts.sum(axis=2), axis=1, kind="stable"),
        "arranged": np.stack([arrange_rows(look, page).order for page in attracts]),
    }
    expected = {name: true.click_probability(moved(theirs, order)).sum(axis=(1, 2)) for name, order in orders.items()}
    more = expected["arranged"] - expected["by score"]
    believed = {name: model.click_probability(moved(theirs, orders[name])).sum() for name in ("by score", "arranged")}
    assert theirs.user is not None
    people = np.array([more[theirs.user == user].mean() for user in np.unique(theirs.user)])
    between = bootstrap(people)
    return {
        "metrics": {name.replace(" ", "_"): float(v.mean()) for name, v in expected.items()}
        | {"more": between.mean, "low": between.lo, "high": between.hi,
           "believed": (believed["arranged"] - believed["by score"]) / len(theirs)},
        "protocol": {"people": f"{PEOPLE} made people on 40 real screens of 10 by 15 films, {FITTED} fitted, the "
                               "pages of the others judged by the true model"},
        "facts": {"pages": len(theirs), "moved": float((orders["arranged"] != orders["by score"]).any(axis=1).mean())},
    }  # fmt: skip


def moved(pages: Pages, order: Array) -> Pages:
    """The pages with whole rows, their headings and what is known of them in another order (int[n, rows])."""
    row = np.arange(len(order))[:, None]
    return replace(
        pages, items=pages.items[row, order], clicked=pages.clicked[row, order],
        topic=None if pages.topic is None else pages.topic[row, order],
        about=None if pages.about is None else pages.about[row, order],
    )  # fmt: skip


def _watched(true: Clicks, blank: Pages, seed: int) -> Pages:
    """Looks drawn by their chance, and clicks on what was looked at."""
    rng = np.random.default_rng([seed, 3])
    chance = true.click_probability(blank)
    with torch.no_grad():
        attracts = true._attraction(blank).sigmoid().numpy()
    looked = rng.random(chance.shape) < chance / attracts
    return replace(blank, looked=looked, clicked=looked & (rng.random(chance.shape) < attracts))


def _weights(model: Clicks) -> Array:
    return model.logits["a.about"].numpy()


# --------------------------------------------------------------------------------------------------------------------
# Places of real logs


def agents() -> Pages:
    """Pages of four films as agents answered them; `about`: mean rating and how often a film is rated."""
    at = folder("agent4rec_ml1m")
    log = pl.read_parquet(at / "llm_agent_log.parquet").sort("agent", "page", "position")
    films = pl.read_parquet(at / "movies.parquet").select("item", "mean_rating")
    known = pl.read_parquet(at / "cf_split.parquet").filter(pl.col("split") == "train")
    often = known.group_by("item").len("times")
    log = log.join(films, on="item", how="left").join(often, on="item", how="left")
    log = log.with_columns(pl.col("mean_rating").fill_null(strategy="mean"), pl.col("times").fill_null(0))
    n = len(log) // 4
    shape = (n, 1, 4)

    def grid(column: str) -> Array:
        return log[column].to_numpy().reshape(shape)

    items = grid("item").astype(np.int32)
    parts = [grid("mean_rating").astype(np.float64), np.log1p(grid("times").astype(np.float64))]
    about = np.stack([(p - p.mean()) / p.std() for p in parts], axis=-1).astype(np.float32)
    return Pages(
        items=items, clicked=grid("watched").astype(bool), n_items=int(items.max()) + 1, about=about,
        user=log["agent"].to_numpy().reshape(n, 4)[:, 0].astype(np.int32),
    )  # fmt: skip


def banners(policy: str) -> Pages:
    """Single impressions with three places; `about`: the item's number and the person's affinity to it."""
    at = folder("obd_small")
    log = pl.read_parquet(at / f"{policy}.parquet")
    things = pl.read_parquet(at / "items.parquet")["item_feature_0"].to_numpy()
    n, place = len(log), log["position"].to_numpy().astype(np.int64) - 1
    item, row = log["item_id"].to_numpy().astype(np.int32), np.arange(len(log))
    items, clicked = np.full((n, 1, 3), -1, np.int32), np.zeros((n, 1, 3), bool)
    items[row, 0, place], clicked[row, 0, place] = item, log["click"].to_numpy() > 0
    affinity = np.stack(log["user_item_affinity"].to_list())[row, item]
    about = np.zeros((n, 1, 3, 2), np.float32)
    about[row, 0, place] = np.stack([things[item], affinity], axis=1)
    return Pages(items=items, clicked=clicked, n_items=len(things), about=about)


def positions(entry: Any, seed: int) -> dict[str, Any]:
    """One model on the agents' pages and on the banners, against the click rate of each place."""
    pages = agents()
    assert pages.user is not None
    judged = np.random.default_rng([seed, 5]).permutation(int(pages.user.max()) + 1) % 5 == 0
    held_out = judged[pages.user]
    random, learned = banners("random"), banners("bts")
    divisions: Mapping[str, tuple[Pages, Pages]] = {
        "agents": (pages.take(~held_out), pages.take(held_out)), "uniform": (learned, random), "bts": (random, learned),
    }  # fmt: skip
    figures: dict[str, float] = {}
    facts: dict[str, Any] = {}
    for name, (mine, theirs) in divisions.items():
        model = Clicks(ClicksConfig(descent=QUICK, **entry.settings)).learn(mine, run=Run(seed=seed))
        floor = Clicks(ClicksConfig(model="position", descent=QUICK)).learn(mine, run=Run(seed=seed))
        told, low = model.log_likelihood(theirs), floor.log_likelihood(theirs)
        gain = bootstrap(told - low)
        figures |= {f"{name}_ll": float(told.mean()), f"{name}_gain": gain.mean, f"{name}_low": gain.lo,
                    f"{name}_high": gain.hi}  # fmt: skip
        facts[name] = {"looks": model.examination().round(4).ravel().tolist(), "pages": len(theirs),
                       "clicks": int(theirs.clicked.sum())}  # fmt: skip
    told_of = {
        "agents": f"{len(pages)} pages of 4 films, a fifth of the agents judged",
        "banners": "10,000 impressions of each policy: `uniform` is fitted to the learning policy's and judged on the "
        "uniform one's, `bts` the other way round",
        "gain": "Gain is in log-likelihood a page over the click rate of each place, with a 95 % interval",
    }
    return {"metrics": figures, "protocol": told_of, "facts": facts}


# --------------------------------------------------------------------------------------------------------------------
# A user's own copy of the eye-tracking tables


def compared(told: Recordings, *, folds: int = 5, descent: Descent = QUICK) -> pl.DataFrame:
    """Every model on recorded screens: log-likelihood of people left out and its error, and how far its looks are from
    where eyes rested (KL of shares of cells; null without gaze).

    Screens with more than one choice are left out for models of one choice; `observed` needs gaze.
    """
    pages = told.pages
    assert pages.user is not None
    rows = []
    for name in (*RIVALS, *(["observed"] if told.gaze else [])):
        kept = pages.take(pages.clicked.sum(axis=(1, 2)) <= 1) if name == "one-choice" else pages
        assert kept.user is not None
        each, looks = [], []
        for fold in range(min(folds, len(told.people))):
            out = kept.user % folds == fold
            model = Clicks(ClicksConfig(model=name, attraction="about", descent=descent)).learn(kept.take(~out))
            each.append(model.log_likelihood(kept.take(out)))
            looks.append(model.examination())
        ll = np.concatenate(each)
        rows.append({
            "model": name, "log_likelihood": float(ll.mean()), "error": float(ll.std() / np.sqrt(len(ll))),
            "kl": None if kept.looked is None else _apart(kept.looked.sum(axis=0), np.mean(looks, axis=0)),
        })  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"kl": pl.Float64}).sort("log_likelihood", descending=True)


def _apart(rested: Array, looks: Array) -> float:
    """KL of the share of rests on each cell from the share of looks."""
    p, q = (rested + 0.5) / (rested + 0.5).sum(), np.maximum(looks, 1e-6) / np.maximum(looks, 1e-6).sum()
    return float((p * np.log(p / q)).sum())


JUDGES = {"recgaze": recovery, "row-order": ordered, "positions": positions}

# --------------------------------------------------------------------------------------------------------------------
# Tables

PLAIN = ("clicks", "true", "own", "position")


def table(page: Bench, held: Held, root: Path) -> str:
    """Means over seeds; of the recovery the nearest rival by its name, and one choice beside looks that are free."""
    if page.name == "recgaze":
        columns: list[Column] = [(m, mean(held, metric(m))) for m in PLAIN]
        columns += [("second", lambda entry: _seconds(held, entry)), ("margin", lambda entry: _margin(held, entry))]
        columns += [("against `pbm`", lambda entry: _beside(held, entry, "pbm"))]
        columns += [(m.replace("_", " "), mean(held, metric(m))) for m in ("perplexity", "looks", "looks_all", "taste")]
    else:
        columns = [(m.replace("_", " "), mean(held, metric(m))) for m in page.metrics]
    lines = [*above(page, held), *grid(page, held, [*columns, seeds(held), seconds(held)])]
    return "\n".join([*lines, "", page.note] if page.note else lines)


def _seconds(held: Held, entry: Entry) -> str:
    """The mean of the best other model, and which it was in how many seeds."""
    own = [r for (label, _), r in sorted(held.items()) if label == entry.label]
    names = Counter(r["facts"]["second"] for r in own).most_common()
    told = ", ".join(f"`{name}`" + (f" {n} of {len(own)}" if len(names) > 1 else "") for name, n in names)
    return f"{figure(float(np.mean([r['metrics']['second'] for r in own])))} ({told})"


def _margin(held: Held, entry: Entry) -> str:
    """The mean over seeds and its interval; the people of one seed are others than those of the next."""
    own = [r["metrics"] for (label, _), r in held.items() if label == entry.label]
    middle = float(np.mean([m["margin"] for m in own]))
    half = float(np.sqrt(np.sum([((m["high"] - m["low"]) / 2) ** 2 for m in own]))) / len(own)
    return (
        f"{figure(middle, signed=True)} ({figure(middle - half, signed=True)} to {figure(middle + half, signed=True)})"
    )


def _beside(held: Held, entry: Entry, other: str) -> str:
    """What the row's own model has more than another on the row's data, seeds averaged."""
    told = [r["facts"]["log_likelihood"] for (label, _), r in held.items() if label == entry.label]
    if entry.label == other:
        return ""
    return figure(float(np.mean([t[entry.label] - t[other] for t in told])), signed=True)
