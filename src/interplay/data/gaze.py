"""Eye-tracking on carousels: a user's own copy of the RecGaze tables, and the layouts of its 40 screens.

`recordings(folder)` reads what the authors publish (Zenodo record 15270518), as CSV or Parquet:

    item_features      which film stood where: TaskID, Carousel_position, Movie_position_in_carousel, MovieID, ...
    click_feedback     what each person chose on each screen: UserID, TaskID, Click_AOI_type, Click_AOI_MovieID, ...
    summary_feedback   (optional) fixations: Fixation_AOI_* and Fixation_AOI_Closest_* with a duration
    user_features      (optional) stars from 1 to 5 for each genre: UserID, Top_genre, <genre>_rating

`screens(folder)` reads the layouts alone (layout.parquet: screen, carousel_position, carousel_genre, movie_position,
movie_key). Screens 1 to 30 are free browsing, 31 to 35 have a constraint, 36 to 40 a target.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from interplay.data.pages import Pages
from interplay.errors import BadData
from interplay.types import Array

FREE = range(1, 31)
FIXATION = 0.1  # seconds from which on a fixation counts as a look
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, kw_only=True, eq=False)
class Recordings:
    """Pages of a study: page i was shown to person `pages.user[i]` as screen `screen[i]`."""

    pages: Pages
    screen: Array  # int64[n]
    people: tuple[str, ...]
    genres: tuple[str, ...]  # what `pages.topic` numbers
    films: tuple[str, ...]  # what `pages.items` numbers
    said: tuple[str, ...]  # what was missing or left out

    @property
    def gaze(self) -> bool:
        """Whether it is known what was looked at."""
        return self.pages.looked is not None


def screens(folder: str | Path) -> Recordings:
    """The layouts, one page for each screen, without people and clicks; all 40 of them."""
    path = Path(folder) / "layout.parquet"
    if not path.exists():
        raise BadData(f"no layout.parquet in {folder}; expected one row for each cell of each screen")
    layout = pl.read_parquet(path).select(
        screen="screen", row="carousel_position", column="movie_position", genre="carousel_genre", film="movie_key"
    )
    held = _Layout(layout)
    n = len(held.screens)
    pages = Pages(items=held.items, clicked=np.zeros(held.items.shape, bool), n_items=len(held.films), topic=held.topic)
    return Recordings(
        pages=pages, screen=held.screens, people=(), genres=held.genres, films=held.films, said=(f"{n} screens",)
    )


def recordings(folder: str | Path, *, tasks: range = FREE, nearest: bool = True) -> Recordings:
    """The recorded screens among `tasks`, one page for each person and screen; `nearest` takes the 60-pixel variant.

    `about` of a cell: the person's stars for the row's genre around 3, whether it is the top genre, and the log of the
    film's votes, standardised. Without summary_feedback nothing is known of looks, and `said` says so.
    """
    folder, said = Path(folder), []
    things = _table(folder, "item_features", required=True)
    chosen = _table(folder, "click_feedback", required=True)
    assert things is not None and chosen is not None
    layout = things.select(
        screen=pl.col("TaskID").cast(pl.Int64), row=pl.col("Carousel_position").cast(pl.Int64),
        column=pl.col("Movie_position_in_carousel").cast(pl.Int64), genre="Carousel_genre",
        film=pl.col("MovieID").cast(pl.String),
    )  # fmt: skip
    held = _Layout(layout.filter(pl.col("screen").is_in(list(tasks))))
    seen = _table(folder, "summary_feedback")
    named = [t.select("UserID", pl.col("TaskID").cast(pl.Int64)) for t in (chosen, seen) if t is not None]
    met = pl.concat(named).drop_nulls().unique().filter(pl.col("TaskID").is_in(held.screens.tolist()))
    met = met.sort("UserID", "TaskID").with_row_index("page")
    if not len(met):
        raise BadData(f"{folder} has no recording of the screens {tasks.start} to {tasks.stop - 1}")
    people = tuple(sorted(set(met["UserID"].to_list())))
    screen = met["TaskID"].to_numpy()
    at = np.searchsorted(held.screens, screen)
    items, topic = held.items[at], held.topic[at]
    clicked = _marked(chosen, met, "Click_AOI_", items, held)
    without = int((~clicked.any(axis=(1, 2))).sum())
    if without:
        said.append(f"{without} of {len(met)} screens have no film chosen")
    looked = None
    if seen is None:
        said.append("no summary_feedback: nothing is known of what was looked at")
    else:
        looked = _looked(seen, met, nearest, items, held)
    pages = Pages(
        items=items, clicked=clicked, n_items=len(held.films), topic=topic, looked=looked,
        user=np.array([people.index(u) for u in met["UserID"].to_list()], np.int32),
        about=_about(folder, things, met, items, topic, held, said),
    )  # fmt: skip
    return Recordings(pages=pages, screen=screen, people=people, genres=held.genres, films=held.films, said=tuple(said))


class _Layout:
    """Which film stood where, on every screen."""

    def __init__(self, cells: pl.DataFrame) -> None:
        if not len(cells):
            raise BadData("no screen of the tasks asked for is described; tasks are numbered from 1 to 40")
        cells = cells.unique(["screen", "row", "column"], keep="first", maintain_order=True)
        self.films = tuple(sorted(set(cells["film"].to_list())))
        self.genres = tuple(sorted({g for g in cells["genre"].to_list() if g is not None}))
        self.screens = np.unique(cells["screen"].to_numpy()).astype(np.int64)
        number, kind = {f: i for i, f in enumerate(self.films)}, {g: i for i, g in enumerate(self.genres)}
        at = np.searchsorted(self.screens, cells["screen"].to_numpy())
        row, column = cells["row"].to_numpy().astype(np.int64) - 1, cells["column"].to_numpy().astype(np.int64) - 1
        self.items = np.full((len(self.screens), int(row.max()) + 1, int(column.max()) + 1), -1, np.int32)
        self.items[at, row, column] = [number[f] for f in cells["film"].to_list()]
        self.topic = np.full(self.items.shape[:2], -1, np.int32)
        self.topic[at, row] = [kind.get(g, -1) for g in cells["genre"].to_list()]


def _table(folder: Path, name: str, *, required: bool = False) -> pl.DataFrame | None:
    for suffix in SUFFIXES:
        path = folder / f"{name}{suffix}"
        if path.exists():
            nothing = ["", "NA", "nan", "NaN"]
            read = pl.read_parquet(path) if suffix == ".parquet" else pl.read_csv(
                path, null_values=nothing, infer_schema_length=None
            )  # fmt: skip
            return read
    if required:
        raise BadData(f"no {name}.csv in {folder}; the tables of RecGaze are published as Zenodo record 15270518")
    return None


def _marked(table: pl.DataFrame, met: pl.DataFrame, prefix: str, items: Array, held: _Layout) -> Array:
    """bool[n, rows, columns]: the cells that the rows of a feedback table name, by film or by place."""
    film, row, column = f"{prefix}MovieID", f"{prefix}Carousel_position", f"{prefix}Movie_position_in_carousel"
    for name in ("UserID", "TaskID", film, row, column):
        if name not in table.columns:
            raise BadData(f"the feedback table has no column {name}; it has {table.columns[:8]} ...")
    out = np.zeros(items.shape, bool)
    named = table.with_columns(pl.col("TaskID").cast(pl.Int64)).join(met, on=["UserID", "TaskID"], how="inner")
    named = named.drop_nulls([row, column])
    r, c = named[row].cast(pl.Int64).to_numpy() - 1, named[column].cast(pl.Int64).to_numpy() - 1
    inside = (r >= 0) & (r < items.shape[1]) & (c >= 0) & (c < items.shape[2])
    out[named["page"].to_numpy()[inside], r[inside], c[inside]] = True
    return out & (items >= 0)


def _looked(table: pl.DataFrame, met: pl.DataFrame, nearest: bool, items: Array, held: _Layout) -> Array:
    """bool[n, rows, columns]: an eye rested there for FIXATION seconds or more."""
    wanted = "Fixation_AOI_Closest_" if nearest else "Fixation_AOI_"
    prefix = wanted if f"{wanted}MovieID" in table.columns else "Fixation_AOI_"
    length = next(
        (c for c in (f"{prefix}Duration", "Fixation_Duration", "Fixation_AOI_Duration") if c in table.columns), ""
    )
    if length:
        seconds = table[length].cast(pl.Float64)
        middle = seconds.median()
        unit = 1000.0 if isinstance(middle, float) and middle > 10 else 1.0  # milliseconds in some releases
        table = table.filter(seconds / unit >= FIXATION)
    return _marked(table, met, prefix, items, held)


def _about(
    folder: Path, things: pl.DataFrame, met: pl.DataFrame, items: Array, topic: Array, held: _Layout, said: list[str]
) -> Array:
    """float32[n, rows, columns, 3]: stars for the genre around 3, top genre or not, log of votes standardised."""
    n, rows, columns = items.shape
    stars, top = np.zeros((n, len(held.genres))), np.zeros((n, len(held.genres)))
    people = _table(folder, "user_features")
    if people is None:
        said.append("no user_features: nobody's taste for genres is known")
    else:
        page = {u: np.flatnonzero(met["UserID"].to_numpy() == u) for u in set(met["UserID"].to_list())}
        for g, genre in enumerate(held.genres):
            column = f"{genre}_rating"
            if column not in people.columns:
                continue
            given = people[column].cast(pl.String).str.extract(r"(\d)").cast(pl.Float64) - 3.0
            for who, rating in zip(people["UserID"].to_list(), given.to_list(), strict=True):
                stars[page.get(who, np.zeros(0, np.int64)), g] = 0.0 if rating is None else rating
        if "Top_genre" in people.columns:
            for who, genre in zip(people["UserID"].to_list(), people["Top_genre"].to_list(), strict=True):
                if genre in held.genres:
                    top[page.get(who, np.zeros(0, np.int64)), held.genres.index(genre)] = 1.0
    votes = np.zeros(len(held.films))
    if "IMDB_numVotes" in things.columns:
        number = {f: i for i, f in enumerate(held.films)}
        for film, count in zip(things["MovieID"].cast(pl.String), things["IMDB_numVotes"].to_list(), strict=True):
            if film in number and count is not None:
                votes[number[film]] = np.log1p(float(count))
    votes = (votes - votes.mean()) / max(votes.std(), 1e-9)
    row = np.maximum(topic, 0)
    per_row = np.stack([np.take_along_axis(t, row, 1) * (topic >= 0) for t in (stars, top)], axis=-1)
    wide = np.broadcast_to(per_row[:, :, None, :], (n, rows, columns, 2))
    film = np.where(items >= 0, votes[np.maximum(items, 0)], 0.0)[..., None]
    return np.concatenate([wide, film], axis=-1).astype(np.float32)
