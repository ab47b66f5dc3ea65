"""Product search for people who bought before: the first of BM25, put in a new order by what each person bought.

What is learnt must hold for queries that nobody has asked, so every lesson is made as if its query had not been either.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from interplay.benches import Bench, Entry
from interplay.data.examples import WORDS, Examples
from interplay.data.read import load
from interplay.fitted import built
from interplay.learn.ranked import logit
from interplay.types import TRAIN, VALID, Array, Dataset, Ragged, Run

SETTINGS: Mapping[str, Any] = {"window": 20}
LIST = 200  # of BM25 and popularity, to be put in a new order
LESSONS = 15_000  # purchases learnt from at most
BESIDE = 4  # things of the same list beside each purchase
POPULARITY = 0.1  # weight of the log of purchases beside BM25
HELD = 15  # queries that validate
CHOSEN_BY = 300  # purchases under them by which the share of the first order is chosen
SHARES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the first order's score in the new one


class Shop:
    """Purchases under queries, and what could be known if one query had never been asked.

    Queries of the test part never occur in training. A lesson about a training query is therefore made as if it had not
    either: nobody had bought anything under it, and a thing is found by the other queries it was bought under.

    A word counts as often as there are such queries; `once`: a single time, whatever their number.
    """

    def __init__(self, data: Dataset, *, popularity: float = POPULARITY, once: bool = False) -> None:
        e = data.events
        assert e.part is not None
        self.data, self.n, self.popularity = data, data.n_items, popularity
        query, train = e.context["query_id"].astype(np.int64), e.part == TRAIN
        self.user, self.query, self.item = e.user[train], query[train], e.item[train]
        self.asked = e.user[~train], query[~train], e.item[~train]
        table = data.tables["queries"]
        said = dict(zip(table["query_id"].to_list(), table["text"].to_list(), strict=True))
        vocabulary = {w: i for i, w in enumerate(sorted({w for t in said.values() for w in t.split()}))}
        n_queries = max(said) + 1
        self.words = np.zeros((n_queries, len(vocabulary)))
        self.last = np.full((n_queries, WORDS), -1, np.int64)  # the last words of each query, from its end
        for q, text in said.items():
            placed = [vocabulary[w] for w in text.split()]
            np.add.at(self.words[q], placed, 1.0)
            self.last[q, : len(placed)] = placed[::-1][:WORDS]
        self.bought = np.zeros((self.n, n_queries))  # how often each thing was bought under each query
        np.add.at(self.bought, (self.item, self.query), 1.0)
        self.written = (self.bought > 0) @ self.words  # words of the queries that each thing was bought under
        self.written = np.minimum(self.written, 1.0) if once else self.written
        self.length, self.count = self.written.sum(axis=1), self.bought.sum(axis=1)
        self.several = (self.bought > 0).sum(axis=1)
        self.told: dict[int, tuple[Array, Array, Array, Array]] = {}
        best = np.argsort(-self.bought, axis=1, kind="stable")[:, :2]
        self.main = np.where(np.take_along_axis(self.bought, best, axis=1) > 0, best, -1)  # its two main queries
        owned = sp.coo_array((np.ones(len(self.user)), (self.user, self.item)), shape=(data.n_users, self.n)).tocsr()
        owned.data[:] = 1.0
        self.owned, self.owners = owned, np.asarray(owned.sum(axis=0)).ravel()
        scale = sp.diags_array(1.0 / np.sqrt(np.maximum(self.owners, 1.0)))
        self.alike = (scale @ (owned.T @ owned) @ scale).tocsr()
        self.alike.setdiag(0.0)
        order = np.argsort(self.user, kind="stable")
        self.log = Ragged.grouped(
            self.user[order].astype(np.int64), data.n_users, query=self.query[order], item=self.item[order]
        )

    def known(self, q: int) -> tuple[Array, Array, Array, Array]:
        """As if `q` had never been asked: BM25, purchases, number of queries and main query (or -1) of each thing."""
        if q not in self.told:
            mine, at = self.bought[:, q], np.flatnonzero(self.words[q])
            asked = mine > 0
            words = self.written[:, at] - asked[:, None] * self.words[q, at]
            length = self.length - asked * self.words[q].sum()
            found = (words > 0).sum(axis=0)
            rare = np.log(1 + (self.n - found + 0.5) / (found + 0.5))
            long = 1.2 * (0.25 + 0.75 * length / max(length.mean(), 1e-9))
            score = (self.words[q, at] * rare * words * 2.2 / (words + long[:, None])).sum(axis=1)
            main = np.where(self.main[:, 0] == q, self.main[:, 1], self.main[:, 0])
            self.told[q] = score, self.count - mine, self.several - asked, main
        return self.told[q]

    def lists(self, q: int) -> tuple[Array, Array]:
        """int[n]: all things, best first by BM25 and popularity, and float[n] that score."""
        score, count, _, _ = self.known(q)
        whole = score + self.popularity * np.log1p(count)
        return np.lexsort((self.data.items.keys, -whole)), whole

    def examples(self, user: Array, query: Array, items: Array, taught: Array | None = None) -> Examples:
        """One example for each place of `items` (int[n, k]), with what was known of it before the query.

        `taught` (int[n]) is the thing whose purchase a row is about: it is in nobody's history of that row, and that
        this person bought it with others says nothing. What was bought under the query alone is not known either.
        """
        k = items.shape[1]
        columns = {c: np.zeros(items.shape, np.float32) for c in ("bm25", "place", "purchases", "queries", "together")}
        main = np.zeros(items.shape, np.int64)
        for q in np.unique(query):
            rows = np.flatnonzero(query == q)
            score, count, several, first = self.known(int(q))
            place = np.empty(self.n)
            place[self.lists(int(q))[0]] = np.log1p(np.arange(self.n))  # queries differ in length, lists do not
            named = {"bm25": score / max(score.max(), 1e-9), "place": place, "purchases": np.log1p(count)}
            for name, column in {**named, "queries": several}.items():
                columns[name][rows] = column[items[rows]]
            main[rows] = first[items[rows]]
        gone = np.full(len(user), -1, np.int64) if taught is None else taught
        history = self.log.take(user)
        past = history.where((history["query"] != query[history.owner]) & (history["item"] != gone[history.owner]))
        root = 1.0 / np.sqrt(np.maximum(self.owners, 1.0))
        for lo in range(0, len(user), 500):
            own = past.slice(lo, min(lo + 500, len(user)))
            had = np.zeros((len(own), self.n), bool)
            had[own.owner, own["item"]] = True
            near = (sp.csr_array(had.astype(np.float64)) @ self.alike).toarray()
            here = items[lo : lo + 500]
            told = np.take_along_axis(near, here, axis=1)
            mine = here == gone[lo : lo + 500, None]  # less this person's own having it beside each of the others
            columns["together"][lo : lo + 500] = told - mine * (had @ root)[:, None] * root[here]
        wide = past.take(np.repeat(np.arange(len(user)), k))
        history = Ragged(offsets=wide.offsets, columns={"item": wide["query"].astype(np.int32)})
        fields = {f"query.{w + 1}": np.repeat(self.last[query, w], k) for w in range(WORDS)}
        return Examples(
            fields={"item": main.reshape(-1), **fields}, numbers={c: v.reshape(-1) for c, v in columns.items()},
            sequences={"history": history}, group=np.repeat(np.arange(len(user)), k),
        )  # fmt: skip

    def lessons(self, *, seed: int = 0) -> Examples:
        """Purchases that the query's list holds, each beside others of the list; both as if it had never been asked."""
        rng = np.random.default_rng([seed, 9])
        pools = {int(q): self.lists(int(q))[0][:LIST] for q in np.unique(self.query)}
        listed = np.zeros((self.n, self.bought.shape[1]), bool)
        for q, pool in pools.items():
            listed[pool, q] = True
        able = np.flatnonzero(listed[self.item, self.query] & ((self.bought[self.item] > 0).sum(axis=1) > 1))
        rows = np.sort(rng.permutation(able)[:LESSONS])
        user, query, item = self.user[rows], self.query[rows], self.item[rows]
        items = np.zeros((len(rows), 1 + BESIDE), np.int64)
        items[:, 0] = item
        for q in np.unique(query):
            at = np.flatnonzero(query == q)
            pool = pools[int(q)]
            items[at, 1:] = pool[rng.integers(0, len(pool), (len(at), BESIDE))]
        label = np.zeros(items.shape, np.float32)
        label[:, 0] = 1.0
        owned = np.asarray(self.owned[np.repeat(user, BESIDE), items[:, 1:].reshape(-1)]).reshape(-1, BESIDE) > 0
        label[:, 1:][owned] = np.nan  # bought by the same person: no negative
        asked = np.unique(query)
        valid = np.isin(query, rng.permutation(asked)[: min(HELD, len(asked) // 5)])
        some = rng.permutation(np.flatnonzero(valid))[:CHOSEN_BY]
        self.validating = user[some], query[some], item[some], np.stack([pools[int(q)] for q in query[some]])
        made = self.examples(user, query, items, item)
        part = np.repeat(np.where(valid, VALID, TRAIN), items.shape[1]).astype(np.int8)
        return replace(made, labels={"buy": label.reshape(-1)}, part=part)

    def judged(self) -> tuple[Array, Array, list[Array]]:
        """The distinct (user, query) of the test part, and the things bought under each."""
        key = self.asked[0].astype(np.int64) * 10**6 + self.asked[1]
        distinct, place = np.unique(key, return_inverse=True)
        bought = [np.unique(self.asked[2][place == i]) for i in range(len(distinct))]
        return distinct // 10**6, distinct % 10**6, bought


def precision(order: Array, bought: Array) -> float:
    """Average precision of a whole list.

    >>> precision(np.array([3, 1, 2]), np.array([1, 2]))  # (1 / 2 + 2 / 3) / 2
    0.5833333333333333
    """
    at = np.flatnonzero(np.isin(order, bought)) + 1
    return float(np.mean(np.arange(1, len(at) + 1) / at)) if len(at) else 0.0


def mixed(said: Array, share: float) -> Array:
    """float[n, k]: logits in standard deviations of their list, and `share` of the order they came in, in its own."""
    x = logit(said)
    came = -np.log1p(np.arange(x.shape[1]))
    parts = [(v - v.mean(axis=-1, keepdims=True)) / (v.std(axis=-1, keepdims=True) + 1e-9) for v in (x, came)]
    return parts[0] + share * parts[1]


def chosen_share(shop: Shop, model: Any) -> float:
    """How much of the first order is kept: what puts the validation queries' purchases nearest to the top."""
    user, query, item, lists = shop.validating
    right = lists == item[:, None]
    said = model.predict(shop.examples(user, query, lists, item))["buy"].reshape(lists.shape)

    def reciprocal(share: float) -> float:
        order = np.argsort(-mixed(said, share), axis=1, kind="stable")
        return float((1.0 / (1 + np.take_along_axis(right, order, axis=1).argmax(axis=1))).mean())

    return max(SHARES, key=reciprocal)


def purchases(page: Bench, entry: Entry, seed: int) -> dict[str, Any]:
    shop = Shop(load(page.data), **(entry.settings if entry.system == "bm25" else {}))
    user, query, bought = shop.judged()
    listed = {int(q): shop.lists(int(q))[0] for q in np.unique(query)}
    held = [np.isin(b, listed[int(q)][:LIST]).mean() for q, b in zip(query, bought, strict=True)]
    facts: dict[str, Any] = {"recall": float(np.mean(held))}
    values = np.array([precision(listed[int(q)], b) for q, b in zip(query, bought, strict=True)])
    if entry.system != "bm25":
        model = built(entry.system, {**SETTINGS, **entry.settings})
        model.fit(shop.data, examples=shop.lessons(), run=Run(seed=seed))
        facts["share"] = chosen_share(shop, model)
        first = np.stack([listed[int(q)][:LIST] for q in query])
        begun = time.perf_counter()
        said = mixed(model.predict(shop.examples(user, query, first))["buy"].reshape(first.shape), facts["share"])
        facts |= {"epochs": model.fitted["best_epoch"], "ms": round(1e6 * (time.perf_counter() - begun) / said.size, 3)}
        facts["parameters"] = sum(p.numel() for p in model.learnt.net.parameters())
        for i, q in enumerate(query):
            order = np.argsort(-said[i], kind="stable")
            values[i] = precision(np.concatenate([first[i][order], listed[int(q)][LIST:]]), bought[i])
    return {
        "metrics": {"map": float(values.mean())},
        "protocol": {
            "data": f"{len(values)} (person, query) of the test part, whose queries nobody asked in training; all "
                    f"{shop.n:,} things are ranked: the first {LIST} of BM25 with {shop.popularity} of log popularity "
                    "in the model's order and a share of their own (they hold "
                    f"{facts['recall']:.0%} of what was bought), then the others",
            "chosen": "The share is chosen on training queries that were held out",
            "learnt": f"Learnt from {LESSONS:,} purchases, each as if its query had never been asked, beside {BESIDE} "
                      "of the same list; events and candidates are the main query that a thing was bought under",
        },
        "facts": facts, "rows": {"map": values},
    }  # fmt: skip
