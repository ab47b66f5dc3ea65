"""What the market's people do: they come, look, click, search, buy, tire and leave.

`Crowd` keeps what each person remembers and turns pages into responses. It knows nothing of where a page came from, so
the same people judge the shop's old policy, which made the log, and any policy that is tried on them live.

A place is examined by its position alone; an examined item is clicked by how much it is wanted now: taste, quality and
fashion, what the person came for, what was asked, and weariness of what was shown, looked at or bought before. Every
draw is keyed by person, day, page and purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from scipy.special import expit, ndtri

from interplay.types import Array
from interplay.worlds.phrases import Facets, phrased
from interplay.worlds.truth import KIND_NAMES, LOOK_AGAIN, ROW_AGAIN, Truth, draws, keyed
from interplay.worlds.wares import PAIRS

SECOND, DAY = 1_000_000, 86_400_000_000  # microseconds
SHOWN, LOOKED, BOUGHT = 40, 20, 20  # how many of each a person remembers


@dataclass(frozen=True, kw_only=True, eq=False)
class Visits:
    """People who are here now, one row each."""

    user: Array  # int32[n]
    session: Array  # int64[n]
    day: int
    time: Array  # int64[n], microseconds: when the page they wait for is shown
    page: Array  # int64[n], pages seen so far in this visit
    intent: Array  # int64[n], the kind they came for
    mood: Array  # int64[n], mood of what was just bought, -1
    asked: Array  # int64[n], facet of the query they wait for, -1
    target: Array  # int64[n], the item they had in mind when asking, -1
    text: Array  # object[n], the query, or None
    patience: Array  # float64[n]
    joy: Array  # float64[n], clicks and purchases of this visit

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: Array) -> Visits:
        return replace(self, **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "day"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Response:
    """What one page did: [n, k] all but the last."""

    seen: Array  # bool: it was on the screen
    clicked: Array  # bool
    kept: Array  # bool
    carted: Array  # bool
    bought: Array  # bool
    stars: Array  # int64, 0 when not rated
    seconds: Array  # float32, how long a clicked item was looked at
    wait: Array  # int64 microseconds after the page was shown
    left: Array  # float64[n]: patience that is left; above 0 one wants another page


class Crowd:
    """The people of one market and what they remember."""

    def __init__(self, truth: Truth, facets: Facets, seed: int, *, per_row: int = 5) -> None:
        self.truth, self.facets, self.seed, self.per_row = truth, facets, seed, per_row
        n = truth.n_people
        self.shown, self.looked, self.bought = (np.full((n, w), -1, np.int32) for w in (SHOWN, LOOKED, BOUGHT))
        self.joy = np.full(n, 1.0)
        self.goes_with = np.zeros((len(KIND_NAMES), 3), np.int64)
        for k, kind in enumerate(KIND_NAMES):
            others = [KIND_NAMES.index(o) for o in PAIRS[kind]]
            self.goes_with[k] = [others[j % len(others)] for j in range(3)]

    def come(self, day: int, midnight: int, first_session: int, users: Array | None = None) -> Visits:
        """Whoever visits on a day, at most once. `midnight` is the start of that day in microseconds."""
        t, everyone = self.truth, np.arange(self.truth.n_people) if users is None else np.asarray(users)
        draw = draws(keyed(self.seed, "come", everyone, day), 0, 5)
        weekend = 1.25 if day % 7 in (4, 5) else 1.0
        odds = np.clip(t.rate[everyone] * weekend * np.exp(0.3 * (self.joy[everyone] - 1.0)), 0, 0.95)
        here = draw[:, 0] < odds
        user, draw = everyone[here], draw[here]
        hour = np.clip(t.hour[user] + 1.2 * ndtri(draw[:, 1]), 0.2, 23.2)
        odds_of_kind = np.cumsum(t.intents[user], axis=1)
        intent = (odds_of_kind < draw[:, 2:3] * odds_of_kind[:, -1:]).sum(axis=1)
        none = np.full(len(user), -1, np.int64)
        visits = Visits(
            user=user.astype(np.int32), session=first_session + np.arange(len(user)), day=day,
            time=midnight + (hour * 3600).astype(np.int64) * SECOND, page=np.zeros(len(user), np.int64), intent=intent,
            mood=none, asked=none, target=none, text=np.full(len(user), None, object), joy=np.zeros(len(user)),
            patience=t.patience[user] * (0.5 + draw[:, 3]),
        )  # fmt: skip
        return self._ask(visits, draw[:, 4] < t.searches[user])

    def look(self, visits: Visits, slates: Array) -> Response:
        """One page for each visit (int[n, k] items, -1 pads): what is seen, clicked, bought. Memories are updated."""
        t, h, user = self.truth, self.truth.habits, visits.user
        n, k = slates.shape
        place, shown = np.arange(k), slates >= 0
        draw = draws(keyed(self.seed, "look", user, visits.day, visits.page), 0, 1 + 2 * k)
        seen = shown & (draw[:, :1] < ROW_AGAIN ** (place // self.per_row))
        examined = seen & (draw[:, 1 : k + 1] < 0.96 * LOOK_AGAIN ** (place % self.per_row))
        row, at = np.nonzero(examined)
        item, who, day = slates[row, at].astype(np.int64), user[row], float(visits.day)
        wants = t.wants(who, item[:, None], day)[:, 0]
        has_it = (self.facets.of[item] == visits.asked[row, None]).any(axis=1) & (visits.asked[row] >= 0)
        asked = has_it | (item == visits.target[row])
        shown_before = np.minimum((item[:, None] == self.shown[who]).sum(axis=1), 4)
        looked, owned = (item[:, None] == self.looked[who]).any(axis=1), (item[:, None] == self.bought[who]).any(axis=1)
        logit = (
            h.plain + h.taste * wants + h.intent * (t.kind[item] == visits.intent[row]) + h.asked * asked
            + h.match * (t.mood[item] == visits.mood[row]) + h.seen * shown_before + h.clicked * looked
            + h.owned * np.where(t.lasts[item], 1.0, 1 / 3) * owned
        )  # fmt: skip
        click = draw[row, k + 1 + at] < expit(logit)
        row, at, item, wants, asked, owned = (x[click] for x in (row, at, item, wants, asked, owned))
        after = draws(keyed(self.seed, "after", user[row], visits.day, visits.page[row], at), 0, 6)
        mind = wants + 0.4 * asked + 0.5 * ndtri(after[:, 0])
        kept = after[:, 1] < expit(h.keep + mind)
        carted = ~(owned & t.lasts[item]) & (after[:, 2] < expit(h.cart + mind))
        bought = carted & (after[:, 3] < expit(h.buy + 0.5 * mind))
        stars = np.clip(np.rint(2.7 + 0.45 * mind + 0.7 * ndtri(after[:, 4])), 1, 5)

        def spread(values: Array, dtype: type) -> Array:
            out = np.zeros((n, k), dtype)
            out[row, at] = values
            return out

        seconds = spread(6 + 14 * np.exp(0.5 * np.clip(mind, -2, 3)), np.float32)
        clicked, buys = spread(np.ones(len(row), bool), bool), spread(bought, bool)
        for memory, which in ((self.shown, seen), (self.looked, clicked), (self.bought, buys)):
            self._remember(memory, user, slates, which)
        return Response(
            seen=seen, clicked=clicked, kept=spread(kept, bool), carted=spread(carted, bool), bought=buys,
            seconds=seconds, stars=spread(np.where(bought & (after[:, 5] < h.rate), stars, 0), np.int64),
            wait=(4 + 3 * place) * SECOND + (np.cumsum(seconds, axis=1) * SECOND).astype(np.int64),
            left=visits.patience - 1.0 + 0.25 * clicked.sum(axis=1) + 0.4 * buys.sum(axis=1),
        )  # fmt: skip

    def go_on(self, visits: Visits, slates: Array, response: Response) -> Visits:
        """Those who stay, with what they want next; those who leave take their joy home with them."""
        joy = visits.joy + response.clicked.sum(axis=1) + 2.0 * response.bought.sum(axis=1)
        gone = response.left <= 0
        self.joy[visits.user[gone]] = 0.75 * self.joy[visits.user[gone]] + 0.25 * np.minimum(joy[gone], 6.0) / 2
        rows = np.flatnonzero(~gone)
        here, bought, clicked = visits.take(rows), response.bought[rows], response.clicked[rows]
        draw = draws(keyed(self.seed, "next", here.user, here.day, here.page), 0, 3)
        last = slates[rows, bought.shape[1] - 1 - np.argmax(bought[:, ::-1], axis=1)]
        turn = bought.any(axis=1) & (draw[:, 0] < 0.65)  # from what was bought to what goes with it
        spent = np.max(np.where(clicked, response.wait[rows], 20 * SECOND), axis=1, initial=0)
        none, pair = np.full(len(rows), -1, np.int64), (draw[:, 1] * 3).astype(np.int64)
        tries = np.where(clicked.any(axis=1), 0.2, 0.45)  # another query after one that led somewhere, or nowhere
        again = np.where(here.target >= 0, tries, 0.3 * self.truth.searches[here.user])
        after = replace(
            here, page=here.page + 1, time=here.time + spent + 5 * SECOND, patience=response.left[rows], joy=joy[rows],
            intent=np.where(turn, self.goes_with[self.truth.kind[last], pair], here.intent),
            mood=np.where(turn, self.truth.mood[last], here.mood), asked=none, target=none,
            text=np.full(len(rows), None, object),
        )  # fmt: skip
        return self._ask(after, draw[:, 2] < again)

    def _ask(self, visits: Visits, who: Array) -> Visits:
        """Some of them type a query, phrased from the item they like best of some they remember."""
        offsets = self.facets.offsets
        rows = np.flatnonzero(who & (offsets[visits.intent + 1] > offsets[visits.intent]))
        if not len(rows):
            return visits
        user, lo, hi = visits.user[rows], offsets[visits.intent[rows]], offsets[visits.intent[rows] + 1]
        draw = draws(keyed(self.seed, "ask", user, visits.day, visits.page[rows]), 0, 16 + 7)
        in_mind = self.facets.members[lo[:, None] + (draw[:, :16] * (hi - lo)[:, None]).astype(np.int64)]
        target = in_mind[np.arange(len(rows)), np.argmax(self.truth.wants(user, in_mind, float(visits.day)), axis=1)]
        said, facet = phrased(self.facets, target, draw[:, 16:])
        text, asked, held = visits.text.copy(), visits.asked.copy(), visits.target.copy()
        text[rows], asked[rows], held[rows] = said, facet, target
        return replace(visits, text=text, asked=asked, target=held)

    @staticmethod
    def _remember(memory: Array, user: Array, slates: Array, which: Array) -> None:
        """Push the flagged items of each row to the front of the person's memory."""
        some = np.flatnonzero(which.any(axis=1))
        if len(some):
            joined = np.concatenate([np.where(which[some], slates[some], -2), memory[user[some]]], axis=1)
            order = np.argsort(joined == -2, axis=1, kind="stable")[:, : memory.shape[1]]
            memory[user[some]] = np.take_along_axis(joined, order, axis=1)
