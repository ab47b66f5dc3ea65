"""The laws of a world of pairs (worlds/pairs.py): what is known of a real log, and shapes that are our construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from interplay.errors import BadSetting
from interplay.types import Array

DAY = 86_400_000_000  # microseconds
START = 1_735_689_600_000_000  # 1 January 2025, UTC
KINDS = ("show", "click", "like", "follow", "gift")


@dataclass(frozen=True, kw_only=True)
class Aggregates:
    """What is known of a real log in the large: the defaults are KuaiRand-Pure's, per shown thing."""

    click: float = 0.45965
    like: float = 0.01848
    follow: float = 0.00107
    like_of_clicks: float = 0.034
    click_of_follows: float = 0.889
    follow_of_likes: float = 0.025
    returns: tuple[float, ...] = (0.617, 0.165, 0.079, 0.047, 0.031)  # share of gaps of 1, 2 ... days between visits
    longest: int = 15  # days; what `returns` leaves of the shares falls by a third a day up to here
    places: int = 6  # things in one request

    def gaps(self) -> Array:
        """float64[longest]: the law of the days from one visit to the next."""
        rest = 1.0 - sum(self.returns)
        tail = (2 / 3) ** np.arange(self.longest - len(self.returns))
        if rest < -1e-9 or (rest > 0 and not len(tail)):
            raise BadSetting(f"shares of return gaps sum to {sum(self.returns)}; expected at most 1 within `longest`")
        law = np.concatenate([self.returns, max(rest, 0.0) * tail / max(tail.sum(), 1e-12)])
        return law / law.sum()


@dataclass(frozen=True, kw_only=True)
class PairWorldConfig:
    """What the world is like."""

    people: int = 1000
    makers: int = 300
    days: int = 30
    aggregates: Aggregates = field(default_factory=Aggregates)
    shape: str = "usual"  # a name in SHAPES
    requests: int = 2  # of each active day
    candidates: int = 24  # makers at hand for a request
    dim: int = 6  # directions of taste
    sharpness: float = 1.0  # standard deviation of affinity in the logit of a click
    weary: float = 0.8  # what a showing just before takes from it
    gift: float = 0.15  # chance of a gift on a click at a followed maker who is seen regularly
    amount: float = 5.0  # median gift
    spread: float = 1.2  # of the logarithm of amounts
    starved: float = 0.15  # makers seen less than this share of an even share are starved ...
    leaves: float = 0.05  # ... and leave with this chance a day
    late: float = 0.1  # share of makers who join later
    stubborn: float = 1.0  # how far the old policy's idea of a person's affinity is off, in its standard deviations


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Laws that a world may have; all take what has been between pairs, as float arrays of one shape."""

    weariness: Callable[[Array, Array, Array], Array]  # (heat, days since shown, times shown) -> 0 to about 1.5
    growth: Callable[[Array, Array], Array]  # (clicks, clicks of late) -> 0 to 1
    giving: Callable[[Array, Array], Array]  # (regularity 0 to 1, gifts so far) -> 0 to 1


SHAPES: dict[str, Shape] = {
    "usual": Shape(
        weariness=lambda heat, since, shown: heat,
        growth=lambda clicks, late: 1 - np.exp(-clicks / 3),
        giving=lambda regular, gifts: 0.2 + 0.8 * regular,
    ),
    "other": Shape(
        weariness=lambda heat, since, shown: np.maximum(0.0, 1 - since / 7) * np.minimum(shown, 5) / 5,
        growth=lambda clicks, late: np.where(late > 2.2, 1.0, 0.15),
        giving=lambda regular, gifts: np.minimum(1.0, 0.5 + regular) / (1 + gifts),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The levels at which a world has the wanted rates."""

    click: float = 0.0  # added to the logit
    liked: float = 0.03  # chance of a like after a click ...
    plain: float = 0.005  # ... and without one
    follow: float = 0.002
    clicked: float = 5.0  # how many times likelier a follow is with a click ...
    fond: float = 20.0  # ... and with a like
