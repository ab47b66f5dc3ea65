"""Eye-tracking tables: a folder as the authors publish it becomes pages; what is missing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplay.data.gaze import recordings, screens
from interplay.errors import BadData
from interplay.learn.descend import Descent
from interplay.models.clicks import Clicks, ClicksConfig
from interplay.protocols.looks import compared

GENRES = ("Crime", "Drama")


def study(folder: Path, *, gaze: bool = True) -> Path:
    """Two people, three screens of two rows by six films; person 2 chooses nothing on screen 2."""
    cells = [(t, r, c) for t in (1, 2, 36) for r in (1, 2) for c in range(1, 7)]
    film = {cell: 100 + i for i, cell in enumerate(cells)}
    pl.DataFrame({
        "TaskID": [t for t, _, _ in cells], "Carousel_position": [r for _, r, _ in cells],
        "Carousel_genre": [GENRES[(t + r) % 2] for t, r, _ in cells], "MovieID": [film[c] for c in cells],
        "Movie_position_in_carousel": [c for _, _, c in cells], "IMDB_numVotes": [10 * c for _, _, c in cells],
    }).write_csv(folder / "item_features.csv")  # fmt: skip
    chosen = [
        ("KInIT_1", 1, 1, 2),
        ("KInIT_1", 2, 2, 6),
        ("UvA_2", 1, 1, 1),
        ("UvA_2", 36, 1, 1),
        ("UvA_2", 2, None, None),
    ]
    pl.DataFrame({
        "UserID": [u for u, *_ in chosen], "TaskID": [t for _, t, *_ in chosen],
        "Click_AOI_type": ["Movie" if r else None for *_, r, _ in chosen],
        "Click_AOI_MovieID": [film.get((t, r, c)) for _, t, r, c in chosen],
        "Click_AOI_Carousel_position": [r for *_, r, _ in chosen],
        "Click_AOI_Movie_position_in_carousel": [c for *_, c in chosen],
    }).write_csv(folder / "click_feedback.csv", null_value="NA")  # fmt: skip
    pl.DataFrame({
        "UserID": ["KInIT_1", "UvA_2"], "Top_genre": ["Crime", "Drama"],
        "Crime_rating": ["5 stars - Must Watch", "2 stars - Poor"], "Drama_rating": ["1 star - Awful", None],
    }).write_csv(folder / "user_features.csv", null_value="NA")  # fmt: skip
    if gaze:
        looks = [
            ("KInIT_1", 1, 1, 1, 0.30),
            ("KInIT_1", 1, 1, 2, 0.25),
            ("KInIT_1", 1, 2, 1, 0.02),
            ("UvA_2", 2, 2, 3, 0.4),
        ]
        pl.DataFrame({
            "UserID": [u for u, *_ in looks], "TaskID": [t for _, t, *_ in looks],
            "Timestamp": [float(i) for i in range(4)], "Fixation_AOI_Closest_Duration": [s for *_, s in looks],
            "Fixation_AOI_Closest_MovieID": [film[t, r, c] for _, t, r, c, _ in looks],
            "Fixation_AOI_Closest_Carousel_position": [r for _, _, r, _, _ in looks],
            "Fixation_AOI_Closest_Movie_position_in_carousel": [c for _, _, _, c, _ in looks],
        }).write_csv(folder / "summary_feedback.csv")  # fmt: skip
    return folder


def test_a_study_becomes_pages_with_choices_looks_and_tastes(tmp_path: Path) -> None:
    told = recordings(study(tmp_path))
    pages = told.pages
    assert pages.shape == (2, 6) and len(pages) == 4 and told.screen.tolist() == [1, 2, 1, 2], (
        "direct search is left out"
    )
    assert [tuple(x) for x in np.argwhere(pages.clicked).tolist()] == [(0, 0, 1), (1, 1, 5), (2, 0, 0)]
    assert pages.looked is not None and pages.about is not None
    assert [tuple(x) for x in np.argwhere(pages.looked).tolist()] == [(0, 0, 0), (0, 0, 1), (3, 1, 2)], (
        "glances do not count"
    )
    row = int(np.flatnonzero(pages.topic[0] == told.genres.index("Crime"))[0])
    assert pages.about[0, row, 0, :2].tolist() == [2.0, 1.0]
    assert told.said == ("1 of 4 screens have no film chosen",)


def test_without_the_gaze_file_clicks_are_read_all_the_same(tmp_path: Path) -> None:
    told = recordings(study(tmp_path, gaze=False))
    assert not told.gaze and "nothing is known of what was looked at" in told.said[-1]
    quick = Descent(rate=0.1, batch=64, epochs=20)
    model = Clicks(ClicksConfig(model="one-choice", attraction="about", descent=quick)).learn(told.pages)
    assert np.isfinite(model.log_likelihood(told.pages)).all()


def test_every_model_is_compared_by_people_left_out_and_by_where_eyes_rested(tmp_path: Path) -> None:
    quick = Descent(rate=0.1, batch=64, epochs=15)
    table = compared(recordings(study(tmp_path)), descent=quick)
    assert "observed" in table["model"].to_list() and len(table) == 10
    assert table["log_likelihood"].is_finite().all() and (table["kl"] >= 0).all()
    (tmp_path / "summary_feedback.csv").unlink()
    blind = compared(recordings(tmp_path), descent=quick)
    assert "observed" not in blind["model"].to_list() and blind["kl"].null_count() == len(blind)


def test_a_folder_without_the_tables_is_refused_with_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=r"no item_features\.csv .*Zenodo record 15270518"):
        recordings(tmp_path)
    with pytest.raises(BadData, match=r"no layout\.parquet"):
        screens(tmp_path)


def test_layouts_alone_are_pages_without_clicks(tmp_path: Path) -> None:
    pl.DataFrame({
        "screen": [1, 1, 2], "carousel_position": [1, 1, 1], "carousel_genre": ["Crime", "Crime", "Drama"],
        "movie_position": [1, 2, 1], "movie_key": ["a", "b", "c"],
    }).write_parquet(tmp_path / "layout.parquet")  # fmt: skip
    told = screens(tmp_path)
    assert told.pages.items.tolist() == [[[0, 1]], [[2, -1]]] and told.pages.topic.tolist() == [[0], [1]]
