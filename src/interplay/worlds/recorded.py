"""People of a log who answer as recorded language-model agents did, whatever they are shown.

agent4rec   Zhang et al., SIGIR 2024   1,000 agents of GPT-3.5 and 3,234 pages of four films of MovieLens-1M

Resampled from that recording: which places of a page are watched, all four together, and how many pages one reads, both
by how active somebody is; and the stars of what is watched, by place. What is shown plays no part, as it hardly does in
the recording (watched and truly liked: phi .09). So this stands for the habits of such agents, who take what stands
first, rate kindly and soon leave, and for nobody's taste: no two systems can be told apart by it.

People, histories and the days between visits are those of the learned world (worlds/learned.py).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from interplay.errors import BadSetting
from interplay.types import Array, Dataset
from interplay.worlds.learned import LearnedConfig, LearnedWorld, Told

PLACES = 4  # of a recorded page
WATCHED = np.array([  # pages by activity and by what was watched: bit p of the column is place p
    [683, 139, 8, 316, 6, 169, 8, 44, 18, 36, 8, 0, 6, 0, 0, 0],
    [443, 115, 12, 285, 8, 169, 25, 103, 29, 59, 14, 16, 6, 10, 2, 21],
    [178, 17, 4, 43, 2, 35, 3, 50, 2, 29, 4, 32, 4, 19, 5, 49],
])  # fmt: skip
LAST = np.array([[66, 162, 201, 102, 8], [0, 5, 147, 134, 66], [0, 0, 0, 69, 40]])  # agents by activity and last page
STARS = np.array([[0, 1711, 45], [122, 599, 331], [116, 431, 197], [48, 242, 79]])  # by place: 3, 4 and 5 stars


class RecordedWorld(LearnedWorld):
    """The people of the learned world with the answers of recorded agents; a `rate` has 3 to 5 stars as its value."""

    KINDS = ("look", "like", "click", "rate")

    def __init__(
        self, dataset: Dataset, train: Array, valid: Array, config: LearnedConfig = LearnedConfig(places=PLACES), *,
        seed: int = 0,
    ) -> None:  # fmt: skip
        if config.places > PLACES:
            raise BadSetting(f"recorded pages have {PLACES} places; found places={config.places}, expected no more")
        super().__init__(dataset, train, valid, config, seed=seed)
        self.active = activity(self.start.count)

    def begin(self) -> None:
        super().begin()
        self.page = np.zeros(self.n, np.int64)  # of this visit

    def told(self, user: Array, slates: Array) -> Told:
        luck, active = self.luck(4).random((self.n, 2 + PLACES))[user], self.active[user]
        places = slates.shape[1]
        watched = drawn_pages(active, luck[:, 0])[:, :places]
        stars = drawn_stars(luck[:, 2:])[:, :places]
        fresh = (slates >= 0) & ~self.seen[user[:, None], np.maximum(slates, 0)]
        row, place = np.nonzero(watched & fresh)
        self.more = user[row], slates[row, place], stars[row, place]
        left = LAST[active, self.page[user]]
        leaves = luck[:, 1] * _still(active, self.page[user]) < left
        self.page[user] = np.where(leaves, 0, self.page[user] + 1)
        return Told(
            own=np.ones(len(user), bool), looked=slates >= 0, liked=watched & (stars >= self.config.liked),
            leaves=leaves,
        )  # fmt: skip

    def respond(self, user: Array, slates: Array) -> tuple[Array, Array, Array, Array]:
        who, what, kind, value = super().respond(user, slates)
        person, item, stars = self.more
        n = np.ones(len(person))
        return (
            np.concatenate([who, person, person]), np.concatenate([what, item, item]),
            np.concatenate([kind, 2 * n.astype(kind.dtype), 3 * n.astype(kind.dtype)]),
            np.concatenate([value, n, stars.astype(value.dtype)]),
        )  # fmt: skip


def counts(folder: Path) -> tuple[Array, Array, Array]:
    """WATCHED, LAST and STARS of a recording: personas.parquet (agent, activity 1-3) and llm_agent_log.parquet (agent,
    page from 1, position from 0, watched, rating)."""
    who = pl.read_parquet(folder / "personas.parquet").select("agent", "activity")
    log = pl.read_parquet(folder / "llm_agent_log.parquet").join(who, on="agent")
    bit = pl.col("watched").cast(pl.Int64) * 2 ** pl.col("position").cast(pl.Int64)
    pages = log.group_by("agent", "activity", "page").agg(bit.sum().alias("seen"))
    agents = log.group_by("agent", "activity").agg(pl.col("page").max())
    rated = log.filter(pl.col("watched"))
    watched, last, stars = np.zeros_like(WATCHED), np.zeros_like(LAST), np.zeros_like(STARS)
    np.add.at(watched, (pages["activity"].to_numpy() - 1, pages["seen"].to_numpy()), 1)
    np.add.at(last, (agents["activity"].to_numpy() - 1, agents["page"].to_numpy() - 1), 1)
    np.add.at(stars, (rated["position"].to_numpy(), rated["rating"].to_numpy() - 3), 1)
    return watched, last, stars


def activity(count: Array) -> Array:
    """int64[n]: 0, 1 or 2 by how much people rated (int[n]), in shares as of the recorded agents."""
    there = count > 0
    shares = np.cumsum(LAST.sum(axis=1) / LAST.sum())[:2]
    return np.searchsorted(np.quantile(count[there], shares) if there.any() else np.zeros(2), count, side="left")


def drawn_pages(active: Array, luck: Array) -> Array:
    """bool[n, 4]: which places of a page are watched, by activity; `luck` float64[n] in [0, 1)."""
    edges = np.cumsum(WATCHED, axis=1)[active]
    seen = (edges <= luck[:, None] * edges[:, -1:]).sum(axis=1)
    return (seen[:, None] >> np.arange(PLACES)) & 1 > 0


def drawn_stars(luck: Array) -> Array:
    """int64[n, 4]: the stars that something has if it is watched at each place; `luck` float64[n, 4] in [0, 1)."""
    edges = np.cumsum(STARS, axis=1)
    return 3 + (edges <= luck[..., None] * edges[:, -1:]).sum(axis=2)


def likes(least: float = 4.0) -> Array:
    """float64[3]: the share of what is watched that gets so many stars, by activity.

    >>> likes().round(2).tolist()
    [0.94, 0.93, 0.91]
    """
    watched = WATCHED @ ((np.arange(1 << PLACES)[:, None] >> np.arange(PLACES)) & 1)  # by activity and place
    rated = STARS[:, np.arange(3, 6) >= least].sum(axis=1) / STARS.sum(axis=1)
    return watched @ rated / watched.sum(axis=1)


def visited(active: Array, rng: np.random.Generator) -> Array:
    """int64: things watched in a visit of each of these people, where there were any."""
    edges = np.cumsum(LAST, axis=1)[active]
    pages = 1 + (edges <= rng.random((len(active), 1)) * edges[:, -1:]).sum(axis=1)
    out = np.zeros(len(active), np.int64)
    for page in range(LAST.shape[1]):
        out += drawn_pages(active, rng.random(len(active))).sum(axis=1) * (page < pages)
    return out[out > 0]


def _still(active: Array, page: Array) -> Array:
    """int64[n]: how many recorded agents read this page (from 0)."""
    return LAST[:, ::-1].cumsum(axis=1)[:, ::-1][active, page]
