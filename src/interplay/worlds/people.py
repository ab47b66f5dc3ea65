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
from scipy.special import expit

from interplay.types import Array
from interplay.worlds.phrases import Facets, phrased
from interplay.worlds.truth import KIND_NAMES, LOOK_AGAIN, ROW_AGAIN, Truth, chance, normal
from interplay.worlds.wares import PAIRS

SECOND, DAY = 1_000_000, 86_400_000_000  # microseconds
SHOWN, LOOKED, BOUGHT = 60, 30, 30  # how many of each a person remembers


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
    """What one page did; all but the last [n, k]."""

    seen: Array  # bool: it was on the screen
    clicked: Array  # bool
    kept: Array  # bool
    carted: Array  # bool
    bought: Array  # bool
    stars: Array  # int64, 0 when not rated
    seconds: Array  # float32, how long a clicked item was looked at
    wait: Array  # int64 microseconds after the page was shown
    stay: Array  # bool[n]: wants another page


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
        weekend = 1.25 if day % 7 in (4, 5) else 1.0  # 1 January 2025 is a Wednesday
        odds = np.clip(t.rate[everyone] * weekend * np.exp(0.3 * (self.joy[everyone] - 1.0)), 0, 0.95)
        user = everyone[self._chance(everyone, day, 0, "come") < odds]
        hour = np.clip(t.hour[user] + normal(self.seed, user, day, "hour") * 1.2, 0.2, 23.2)
        odds_of_kind = np.cumsum(t.intents[user], axis=1)
        intent = (odds_of_kind < self._chance(user, day, 0, "intent")[:, None] * odds_of_kind[:, -1:]).sum(axis=1)
        none = np.full(len(user), -1, np.int64)
        visits = Visits(
            user=user.astype(np.int32), session=first_session + np.arange(len(user)), day=day,
            time=midnight + (hour * 3600).astype(np.int64) * SECOND, page=np.zeros(len(user), np.int64), intent=intent,
            mood=none, asked=none, target=none, text=np.full(len(user), None, object), joy=np.zeros(len(user)),
            patience=t.patience[user] * (0.5 + self._chance(user, day, 0, "patience")),
        )  # fmt: skip
        return self._ask(visits, self._chance(user, day, 0, "ask") < t.searches[user])

    def look(self, visits: Visits, slates: Array) -> Response:
        """One page for each visit (int[n, k] items, -1 pads): what is seen, clicked, bought. Memories are updated."""
        t, h, user, day = self.truth, self.truth.habits, visits.user, visits.day
        n, k = slates.shape
        place = np.arange(k)
        shown = slates >= 0
        scroll = self._chance(user, day, visits.page, "scroll")[:, None] < ROW_AGAIN ** (place // self.per_row)
        seen = shown & scroll
        examined = seen & (self._chances(visits, place, "examine") < 0.96 * LOOK_AGAIN ** (place % self.per_row))
        wants = np.where(shown, t.wants(user, slates, float(day)), 0.0)
        asked = (t_of := self.facets.of[slates]) == visits.asked[:, None, None]
        asked = asked.any(axis=2) & (visits.asked >= 0)[:, None] | (slates == visits.target[:, None])
        weary = (slates[:, :, None] == self.shown[user][:, None, :]).sum(axis=2)
        looked = (slates[:, :, None] == self.looked[user][:, None, :]).any(axis=2)
        owned = (slates[:, :, None] == self.bought[user][:, None, :]).any(axis=2)
        del t_of
        logit = (
            h.plain + h.taste * wants + h.intent * (t.kind[slates] == visits.intent[:, None]) + h.asked * asked
            + h.match * (t.mood[slates] == visits.mood[:, None]) + h.seen * np.minimum(weary, 4) + h.clicked * looked
            + h.owned * np.where(t.lasts[slates], 1.0, 1 / 3) * owned
        )  # fmt: skip
        clicked = examined & (self._chances(visits, place, "click") < expit(logit))
        mind = wants + 0.4 * asked + 0.5 * normal(self.seed, user[:, None], day, visits.page[:, None], place, "mind")
        kept = clicked & (self._chances(visits, place, "keep") < expit(h.keep + mind))
        carted = clicked & ~(owned & t.lasts[slates]) & (self._chances(visits, place, "cart") < expit(h.cart + mind))
        bought = carted & (self._chances(visits, place, "buy") < expit(h.buy + 0.5 * mind))
        taste = 3.1 + 0.75 * mind + 0.5 * normal(self.seed, user[:, None], day, visits.page[:, None], place, "stars")
        stars = np.where(bought & (self._chances(visits, place, "rate") < h.rate), np.clip(np.rint(taste), 1, 5), 0)
        seconds = np.where(clicked, 6 + 14 * np.exp(0.5 * np.clip(mind, -2, 3)), 0).astype(np.float32)
        wait = (4 + 3 * place) * SECOND + (np.cumsum(seconds, axis=1) * SECOND).astype(np.int64)
        self._remember(self.shown, user, slates, seen)
        self._remember(self.looked, user, slates, clicked)
        self._remember(self.bought, user, slates, bought)
        left = visits.patience - 1.0 + 0.55 * clicked.sum(axis=1) + 0.8 * bought.sum(axis=1)
        return Response(
            seen=seen, clicked=clicked, kept=kept, carted=carted, bought=bought, stars=stars.astype(np.int64),
            seconds=seconds, wait=wait, stay=left > 0,
        )  # fmt: skip

    def go_on(self, visits: Visits, slates: Array, response: Response) -> Visits:
        """Those who stay, with what they want next; those who leave take their joy home with them."""
        joy = visits.joy + response.clicked.sum(axis=1) + 2.0 * response.bought.sum(axis=1)
        gone = ~response.stay
        self.joy[visits.user[gone]] = 0.75 * self.joy[visits.user[gone]] + 0.25 * np.minimum(joy[gone], 6.0) / 2
        rows = np.flatnonzero(response.stay)
        r, user, day = response.bought[rows], visits.user[rows], visits.day
        page, bought = visits.page[rows] + 1, r.any(axis=1)
        last = slates[rows, r.shape[1] - 1 - np.argmax(r[:, ::-1], axis=1)]
        turn = bought & (self._chance(user, day, page, "pair") < 0.65)
        which = (self._chance(user, day, page, "which pair") * 3).astype(np.int64)
        intent = np.where(turn, self.goes_with[self.truth.kind[last], which], visits.intent[rows])
        clicks = response.clicked[rows].sum(axis=1)
        left = visits.patience[rows] - 1.0 + 0.55 * clicks + 0.8 * r.sum(axis=1)
        spent = np.max(np.where(response.clicked[rows], response.wait[rows], 20 * SECOND), axis=1)
        none = np.full(len(rows), -1, np.int64)
        here = replace(
            visits.take(rows), page=page, time=visits.time[rows] + spent + 5 * SECOND, intent=intent, asked=none, target=none,
            mood=np.where(turn, self.truth.mood[last], visits.mood[rows]), patience=left, joy=joy[rows],
            text=np.full(len(rows), None, object),
        )  # fmt: skip
        again = np.where(visits.asked[rows] >= 0, np.where(clicks == 0, 0.45, 0.2), 0.3 * self.truth.searches[user])
        return self._ask(here, self._chance(user, day, page, "ask") < again)

    def _ask(self, visits: Visits, who: Array) -> Visits:
        """Some of them type a query, phrased from the item they like best of some they remember."""
        rows = np.flatnonzero(who)
        if not len(rows):
            return visits
        user, day, kind = visits.user[rows], visits.day, visits.intent[rows]
        lo, hi = self.facets.offsets[kind], self.facets.offsets[kind + 1]
        rows, user, lo, hi = rows[hi > lo], user[hi > lo], lo[hi > lo], hi[hi > lo]
        pick = self._chance(user[:, None], day, visits.page[rows][:, None], "mind", np.arange(16))
        in_mind = self.facets.members[lo[:, None] + (pick * (hi - lo)[:, None]).astype(np.int64)]
        target = in_mind[np.arange(len(rows)), np.argmax(self.truth.wants(user, in_mind, float(day)), axis=1)]
        said, facet = phrased(self.facets, target, self.seed, user, day, visits.page[rows])
        text, asked, held = visits.text.copy(), visits.asked.copy(), visits.target.copy()
        text[rows], asked[rows], held[rows] = said, facet, target
        return replace(visits, text=text, asked=asked, target=held)

    @staticmethod
    def _remember(memory: Array, user: Array, slates: Array, which: Array) -> None:
        """Push the flagged items of each row to the front of the person's memory."""
        counts = which.sum(axis=1)
        some = counts > 0
        if not some.any():
            return
        joined = np.concatenate([np.where(which[some], slates[some], -2), memory[user[some]]], axis=1)
        order = np.argsort(joined == -2, axis=1, kind="stable")[:, : memory.shape[1]]
        memory[user[some]] = np.take_along_axis(joined, order, axis=1)

    def _chance(self, user: Array, day: int, page: Array | int, purpose: str, *more: Array | int) -> Array:
        return chance(self.seed, user, day, page, purpose, *more)

    def _chances(self, visits: Visits, place: Array, purpose: str) -> Array:
        return chance(self.seed, visits.user[:, None], visits.day, visits.page[:, None], purpose, place)
