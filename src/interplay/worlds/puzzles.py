"""Tiny worlds with one known answer each.

A system claims puzzles in its row (`System.solves`); a claimed puzzle is solved when at least eight in ten requests
find an item of `truth` among their first `n`, and popularity (in `fame`: chance) does worse. Every world has at most
200 people and 60 items, is drawn from its seed alone, and is built in milliseconds. Items are shuffled, so that no
index means anything.

fame     everybody likes the same few things            counting; what reads more into histories finds noise
groups   people of one group like one shelf             anything that learns from who touched what
cycle    the next item follows the last one             anything that learns order
fashion  what was liked is no longer liked              anything that weighs by age
switch   one person, another interest this session      anything that looks at the end of the history
ratings  much used and badly rated against well rated   anything that learns from values
bundle   what goes with it is not what resembles it     complements learnt from baskets
bridge   the answer is two hops away                    graphs and factors, not direct co-counts
words    the query names the item                       search, by words or by meaning
cold     the answer has no event, only a text           whatever reads the catalogue
slots    the first place is clicked because it is first whatever corrects for what was seen
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from interplay.types import EMPTY, Array, Dataset, Events, Ids, Ragged, Requests, RuleSet

DAY = 86_400_000_000  # microseconds
START = 1_735_689_600_000_000  # 1 January 2025, UTC


@dataclass(frozen=True, kw_only=True, eq=False)
class Puzzle:
    """A world, what is asked of it, and what must be among the first `n` of each answer."""

    name: str
    dataset: Dataset
    requests: Requests
    truth: Ragged  # column item: any of them will do
    n: int
    floor: str = "popular"  # what a claimant does better than: popularity, or "chance"

    @property
    def chance(self) -> float:
        """How often one of `n` things drawn by lot from those that may be shown is an answer."""
        past = self.requests.history
        free = self.dataset.n_items - np.array([len(np.unique(past.row(i)["item"])) for i in range(len(past))])
        return float(np.mean(1 - (1 - self.truth.lengths / free) ** self.n))


def fame(seed: int) -> Puzzle:
    """Six things of forty that everybody likes alike; each person takes half of them by lot, and now and then another.

    Answer to strangers and to those who lack some: one of the six. What goes with what is chance.
    """
    rng = np.random.default_rng([seed, 11])
    people, n_items, liked = 120, 40, 6
    place = rng.permutation(n_items)
    taken = rng.random((people, n_items)) < np.where(np.arange(n_items) < liked, 0.5, 0.05)
    user, item = np.nonzero(taken)
    order = np.lexsort((rng.random(len(user)), user))
    dataset = _world("fame", user, place[item[order]], people, n_items)
    known = np.flatnonzero(~taken[:, :liked].all(axis=1))[:40]
    asked = np.concatenate([known, np.full(20, -1)])
    truth = [place[:liked][~taken[u, :liked]] for u in known] + [place[:liked]] * 20
    requests = Requests.of(dataset, asked)
    return Puzzle(name="fame", dataset=dataset, requests=requests, truth=Ragged.of(truth), n=1, floor="chance")


def groups(seed: int) -> Puzzle:
    """Four groups of people, each with a shelf of twelve items that everybody in it likes alike.

    Answer: an item of one's own shelf. The groups differ in size, so popularity shows everyone the largest one's.
    """
    rng = np.random.default_rng([seed, 1])
    sizes, shelf, touched = np.array([70, 45, 35, 30]), 12, 8
    place = rng.permutation(4 * shelf)
    group = np.repeat(np.arange(4), sizes)
    order = np.argsort(rng.random((len(group), shelf)), axis=1)[:, :touched]
    item = place[group[:, None] * shelf + order]
    dataset = _world("groups", np.repeat(np.arange(len(group)), touched), item.ravel(), len(group), 4 * shelf)
    asked = np.concatenate([np.flatnonzero(group == g)[:20] for g in range(4)])
    truth = _unseen(place.reshape(4, shelf)[group[asked]], item[asked])
    return Puzzle(name="groups", dataset=dataset, requests=Requests.of(dataset, asked), truth=truth, n=1)


def cycle(seed: int) -> Puzzle:
    """Thirty items in a ring; each person starts somewhere and takes the next ones in order.

    Answer: the item after the last. Methods that see sets cannot tell it from the one before the first.
    """
    rng = np.random.default_rng([seed, 2])
    ring, people = 30, 180
    place = rng.permutation(ring)
    start, length = rng.integers(0, ring, people), rng.integers(6, 13, people)
    user = np.repeat(np.arange(people), length)
    step = np.arange(len(user)) - np.repeat(np.cumsum(length) - length, length)
    dataset = _world("cycle", user, place[(start[user] + step) % ring], people, ring, START + step * DAY)
    asked = np.arange(90)
    truth = place[(start[asked] + length[asked]) % ring]
    return Puzzle(
        name="cycle", dataset=dataset, truth=Ragged.of(list(truth[:, None])), n=1,
        requests=Requests.of(dataset, asked, at=START + length[asked] * DAY),
    )  # fmt: skip


def fashion(seed: int) -> Puzzle:
    """For sixty days everybody takes one of five old things; for the last six, one of five new ones.

    Answer, to a stranger on the last day: a new thing. Each old one still has more people in all.
    """
    rng = np.random.default_rng([seed, 3])
    people, n_items = 200, 40
    place = rng.permutation(n_items)
    old, new = place[:5], place[5:10]
    likes = [(old, 0, 60, 3), (new, 60, 66, 1), (place[10:], 0, 66, 2)]  # items, from day, to day, taken by each person
    user = np.concatenate([np.repeat(np.arange(people), take) for _, _, _, take in likes])
    item = np.concatenate([rng.permuted(np.tile(s, (people, 1)), axis=1)[:, :take].ravel() for s, _, _, take in likes])
    time = np.concatenate([rng.integers(a * DAY, b * DAY, people * take) for _, a, b, take in likes])
    dataset = _world("fashion", user, item, people, n_items, START + time)
    requests = Requests.strangers([[]] * 20, at=np.full(20, START + 66 * DAY))
    return Puzzle(name="fashion", dataset=dataset, requests=requests, truth=Ragged.of([new] * 20), n=1)


def switch(seed: int) -> Puzzle:
    """Five shelves of ten; each person spends a long visit at one shelf and then a short one at another.

    Answer: an item of the shelf of the last visit, although most of the history lies elsewhere.
    """
    rng = np.random.default_rng([seed, 4])
    people, shelf, before, after = 160, 10, 7, 3
    place = rng.permutation(5 * shelf)
    first = rng.integers(0, 5, people)
    last = (first + rng.integers(1, 5, people)) % 5
    long = rng.permuted(np.tile(np.arange(shelf), (people, 1)), axis=1)[:, :before] + first[:, None] * shelf
    short = rng.permuted(np.tile(np.arange(shelf), (people, 1)), axis=1)[:, :after] + last[:, None] * shelf
    item = place[np.concatenate([long, short], axis=1)]
    step = np.arange(before + after)
    time = START + step * 60_000_000 + np.where(step < before, 0, 20 * DAY)
    user = np.repeat(np.arange(people), before + after)
    session = 2 * user + np.tile(step >= before, people)
    dataset = _world("switch", user, item.ravel(), people, 5 * shelf, np.tile(time, people), session=session)
    asked = np.arange(80)
    truth = _unseen(place.reshape(5, shelf)[last[asked]], item[asked])
    requests = Requests.of(dataset, asked, at=np.full(len(asked), time[-1] + 60_000_000))
    return Puzzle(name="switch", dataset=dataset, requests=requests, truth=truth, n=1)


def ratings(seed: int) -> Puzzle:
    """Two groups of people; each has ten items it rates 4 or 5. Both use the same ten others and rate them 1 or 2.

    Answer: an item that one's own group rates well. The badly rated ones have more people and more co-counts.
    """
    rng = np.random.default_rng([seed, 5])
    people, shelf = 160, 10
    place = rng.permutation(3 * shelf)
    group = np.arange(people) % 2
    good = rng.permuted(np.tile(np.arange(shelf), (people, 1)), axis=1)[:, :5] + group[:, None] * shelf
    bad = rng.permuted(np.tile(np.arange(shelf), (people, 1)), axis=1)[:, :7] + 2 * shelf
    item = place[np.concatenate([good, bad], axis=1)]
    value = np.concatenate([rng.integers(4, 6, good.shape), rng.integers(1, 3, bad.shape)], axis=1)
    order = np.argsort(rng.random(item.shape), axis=1)
    dataset = _world(
        "ratings", np.repeat(np.arange(people), item.shape[1]), np.take_along_axis(item, order, 1).ravel(), people,
        3 * shelf, value=np.take_along_axis(value, order, 1).ravel(),
    )  # fmt: skip
    asked = np.arange(80)
    truth = _unseen(place.reshape(3, shelf)[group[asked]], item[asked])
    return Puzzle(name="ratings", dataset=dataset, requests=Requests.of(dataset, asked), truth=truth, n=1)


def bundle(seed: int) -> Puzzle:
    """Six kinds of four things that replace each other; each thing is bought with a partner of its own.

    In a visit a person looks at all things of a kind, then buys one of them and its partner (table `baskets`, and
    events of kind buy). Answer, after one thing was bought: its partner, not another thing of the kind.
    """
    rng = np.random.default_rng([seed, 6])
    kinds, people, visits = 6, 150, 3
    n_items = kinds * 8  # four things and four partners a kind
    place = rng.permutation(n_items)
    kind = rng.permuted(np.tile(np.arange(kinds), (people, 1)), axis=1)[:, :visits].ravel()
    looked = rng.permuted(np.tile(np.arange(4), (people * visits, 1)), axis=1)
    thing = kind * 4 + rng.integers(0, 4, people * visits)
    item = np.column_stack([kind[:, None] * 4 + looked, thing, thing + kinds * 4])  # four views, two buys
    owner = np.arange(people * visits) // visits
    day = np.tile(np.arange(visits), people) * DAY
    time = START + day[:, None] + np.arange(6) * 60_000_000
    dataset = _world(
        "bundle", np.repeat(owner, 6), place[item].ravel(), people, n_items, time.ravel(),
        kind=np.tile(np.array([0, 0, 0, 0, 1, 1]), people * visits), kinds=("view", "buy"),
        session=np.repeat(np.arange(people * visits), 6),
        catalogue={"categories": _spread([[f"kind {i // 4 % kinds}" if i < kinds * 4 else f"extra {i // 4 % kinds}"]
                                          for i in range(n_items)], place)},
    )  # fmt: skip
    names = np.array(dataset.items.names)
    baskets = pl.DataFrame({
        "basket_id": np.repeat(np.arange(people * visits), 2),
        "user_id": np.array(dataset.users.names)[np.repeat(owner, 2)],
        "item_id": names[place[item[:, 4:]].ravel()],
        "timestamp": time[:, 4:].ravel(),
    })  # fmt: skip
    dataset = replace(dataset, tables={"baskets": baskets})
    things = np.arange(kinds * 4)
    requests = Requests.strangers(place[things][:, None].tolist(), at=np.full(len(things), START + visits * DAY))
    partners = Ragged.of(list(place[things + kinds * 4][:, None]))
    return Puzzle(name="bundle", dataset=dataset, requests=requests, truth=partners, n=1)


def bridge(seed: int) -> Puzzle:
    """Six chains of three shelves a - b - c: some people know a and b, others b and c, nobody a and c.

    Answer to somebody who knows a, with b withheld: an item of c in the same chain. A loose crowd makes three items
    of no chain the popular ones.
    """
    rng = np.random.default_rng([seed, 7])
    chains, each, crowd = 6, 12, 40
    n_items = chains * 9 + 3
    place = rng.permutation(n_items)
    shelves = place[: chains * 9].reshape(chains, 3, 3)
    pairs = [shelves[c, half : half + 2].ravel() for c in range(chains) for half in (0, 1) for _ in range(each)]
    rows = [rng.permutation(pair)[:5] for pair in pairs]
    rows += [place[chains * 9 :]] * crowd
    user = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    dataset = _world("bridge", user, np.concatenate(rows), len(rows), n_items)
    requests = Requests.strangers(
        [shelves[c, 0].tolist() for c in range(chains)],
        rules=RuleSet(exclude=Ragged.of([shelves[c, 1] for c in range(chains)])),
    )
    return Puzzle(name="bridge", dataset=dataset, requests=requests, truth=Ragged.of(list(shelves[:, 2])), n=1)


_THINGS = ("kettle", "lantern", "umbrella", "bicycle", "piano", "ladder", "blanket")
_LOOKS = ("red", "wooden", "striped", "tiny", "golden", "broken", "transparent", "electric")


def words(seed: int) -> Puzzle:
    """Fifty-six things, each a look and a noun in a sentence ("a striped umbrella ...").

    Answer to the query "striped umbrella": that one. Behaviour is random and tells nothing.
    """
    rng = np.random.default_rng([seed, 8])
    said = [f"{look} {thing}" for look in _LOOKS for thing in _THINGS]
    place = rng.permutation(len(said))
    frames = ("A {} for the hall.", "One {}, well kept.", "This {} comes in a box.", "The {} all ask about.")
    texts = [frames[i].format(s) for i, s in zip(rng.integers(0, 4, len(said)), said, strict=True)]
    dataset = _noise("words", rng, len(said), {"title": _spread([s.capitalize() for s in said], place),
                                               "text": _spread(texts, place)})  # fmt: skip
    requests = Requests.strangers([[]] * len(said), query=said)
    return Puzzle(name="words", dataset=dataset, requests=requests, truth=Ragged.of(list(place[:, None])), n=1)


_TOPICS = {
    "gardening": ("soil", "seeds", "roses", "compost", "pruning", "greenhouse", "vegetables", "lawn"),
    "astronomy": ("planets", "telescope", "galaxies", "comets", "eclipse", "stars", "orbit", "nebula"),
    "baking": ("bread", "yeast", "pastry", "flour", "cakes", "dough", "oven", "cookies"),
    "sailing": ("boats", "harbour", "knots", "anchor", "wind", "mast", "tides", "regatta"),
    "chess": ("openings", "endgame", "pawns", "bishops", "checkmate", "rook", "gambit", "tournament"),
}


def cold(seed: int) -> Puzzle:
    """Five topics of ten books; the last two of each are new and nobody has touched them.

    Answer to somebody who knows all the old books of a topic: a new one of the same topic, found by its text.
    """
    rng = np.random.default_rng([seed, 9])
    topics, old, fresh = list(_TOPICS), 8, 2
    shelf = old + fresh
    place = rng.permutation(len(topics) * shelf)
    drawn = [rng.choice(_TOPICS[t], 3, replace=False) for t in topics for _ in range(shelf)]
    titles = [f"Notes on {topics[i // shelf]}: {' and '.join(d[:2])}" for i, d in enumerate(drawn)]
    texts = [f"Everything on {topics[i // shelf]}: {', '.join(d)}." for i, d in enumerate(drawn)]
    people = 100
    topic = np.arange(people) % len(topics)
    most = rng.random(len(topics)) < 0.5  # readers of some topics know every old book, of others all but one
    rows = [place[t * shelf + rng.permutation(old)[: old - int(most[t])]] for t in topic]
    user = np.repeat(np.arange(people), [len(r) for r in rows])
    dataset = _world("cold", user, np.concatenate(rows), people, len(topics) * shelf,
                     catalogue={"title": _spread(titles, place), "text": _spread(texts, place)})  # fmt: skip
    history = [place[t * shelf : t * shelf + old].tolist() for t in range(len(topics))]
    truth = [place[t * shelf + old : (t + 1) * shelf] for t in range(len(topics))]
    return Puzzle(name="cold", dataset=dataset, requests=Requests.strangers(history), truth=Ragged.of(truth), n=2)


def slots(seed: int) -> Puzzle:
    """Forty items in slates of five; the chance to be seen falls from slot to slot, the chance to be liked is fixed.

    Four plain items always stand first and gather most clicks; four fine ones always stand low. Answer to anybody:
    a fine one. Table `impressions` tells what was shown where and seen; clicks are the events, joined by request_id.
    """
    rng = np.random.default_rng([seed, 10])
    people, n_items, visits = 200, 40, 12
    place = rng.permutation(n_items)
    seen_chance = np.array([0.98, 0.5, 0.3, 0.2, 0.14])
    liked = np.full(n_items, 0.1)
    liked[:4], liked[4:8] = 0.3, 0.85
    shows = people * visits
    slate = np.column_stack([
        rng.integers(0, 4, shows), rng.permuted(np.tile(np.arange(8, n_items), (shows, 1)), axis=1)[:, :3],
        rng.integers(4, 8, shows),
    ])  # fmt: skip
    seen = rng.random(slate.shape) < seen_chance
    clicked = seen & (rng.random(slate.shape) < liked[slate])
    owner = np.repeat(np.arange(people), visits)
    when = START + np.tile(np.arange(visits), people) * DAY
    row, slot = np.nonzero(clicked)
    dataset = _world(
        "slots", owner[row], place[slate[row, slot]], people, n_items, when[row] + (1 + slot) * 1_000_000,
        context={"request_id": row},
    )  # fmt: skip
    impressions = pl.DataFrame({
        "request_id": np.repeat(np.arange(shows), 5),
        "user_id": np.array(dataset.users.names)[np.repeat(owner, 5)],
        "timestamp": np.repeat(when, 5),
        "policy": ["fixed places"] * (shows * 5),
        "row": np.zeros(shows * 5, np.int64),
        "slot": np.tile(np.arange(5), shows),
        "item_id": np.array(dataset.items.names)[place[slate.ravel()]],
        "propensity": np.tile([1 / 4, 1 / 32, 1 / 32, 1 / 32, 1 / 4], shows),
        "seen": seen.ravel(),
    })  # fmt: skip
    dataset = replace(dataset, tables={"impressions": impressions})
    requests = Requests.strangers([[]] * 10, at=np.full(10, START + visits * DAY))
    return Puzzle(name="slots", dataset=dataset, requests=requests, truth=Ragged.of([place[4:8]] * 10), n=1)


PUZZLES: dict[str, Callable[[int], Puzzle]] = {
    build.__name__: build
    for build in (fame, groups, cycle, fashion, switch, ratings, bundle, bridge, words, cold, slots)
}  # fmt: skip


def _spread(values: list[Any], place: Array) -> list[Any]:
    """`values` in the order of the shuffled items."""
    out: list[Any] = [None] * len(values)
    for i, value in zip(place.tolist(), values, strict=True):
        out[i] = value
    return out


def _unseen(shelves: Array, touched: Array) -> Ragged:
    """Per row the items of a shelf (int[n, m]) that the person has not touched (int[n, t])."""
    return Ragged.of([np.setdiff1d(shelf, known) for shelf, known in zip(shelves, touched, strict=True)])


def _noise(name: str, rng: np.random.Generator, n_items: int, catalogue: dict[str, list[Any]]) -> Dataset:
    """A world in which forty people touched six random items each."""
    item = rng.permuted(np.tile(np.arange(n_items), (40, 1)), axis=1)[:, :6]
    return _world(name, np.repeat(np.arange(40), 6), item.ravel(), 40, n_items, catalogue=catalogue)


def _world(
    name: str, user: Array, item: Array, n_users: int, n_items: int, time: Array | None = None, *,
    value: Array | None = None, kind: Array | None = None, kinds: tuple[str, ...] = (), session: Array | None = None,
    context: Mapping[str, Array] = EMPTY, catalogue: dict[str, list[Any]] | None = None,
) -> Dataset:  # fmt: skip
    """The events sorted by person and time; without times, an hour passes from each event of a person to the next."""
    if time is None:
        place = np.zeros(len(user), np.int64)
        order = np.argsort(user, kind="stable")
        counts = np.bincount(user, minlength=n_users)
        place[order] = np.arange(len(user)) - np.repeat(np.cumsum(counts) - counts, counts)
        time = START + place * 3_600_000_000
    unsorted = Events(
        user=user.astype(np.int32), item=item.astype(np.int32), time=time.astype(np.int64),
        value=None if value is None else value.astype(np.float32), kind=None if kind is None else kind.astype(np.int16),
        kinds=kinds, session=None if session is None else session.astype(np.int64), ordered=True, context=context,
    )  # fmt: skip
    names = [f"thing-{i:02d}" for i in range(n_items)]
    return Dataset(
        name=name, users=Ids([f"person-{u:03d}" for u in range(n_users)]), items=Ids(names),
        events=unsorted.where(np.lexsort((time, user))),
        catalogue=None if catalogue is None else pl.DataFrame({"item_id": names, **catalogue}),
    )  # fmt: skip
