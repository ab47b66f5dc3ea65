"""Tables over seeds: differences are paired, rows without a record or a value leave their cells empty."""

from __future__ import annotations

import numpy as np
import pytest

from interplay.benches import Bench, Entry
from interplay.protocols.tables import against, difference, figure, grid, mean, metric, seeds, spread

PAGE = Bench(
    name="made", version=1, about="**Made**", data="", metrics=("clicks",), baseline="low",
    entries=(Entry(system="low", column="floors"), Entry(system="high"), Entry(system="never")),
)  # fmt: skip
HELD = {
    (label, seed): {"metrics": {"clicks": 10.0 * seed + more}, "seconds": {"all": 2.0}}
    for label, given in (("low", (0.0, 0.0, 0.0)), ("high", (1.0, 2.0, 3.0))) for seed, more in enumerate(given)
}  # fmt: skip


def test_a_difference_is_paired_by_seed_and_has_student_s_interval():
    told = difference({0: 1.0, 1: 12.0, 2: 23.0, 7: 99.0}, {0: 0.0, 1: 10.0, 2: 20.0, 9: -99.0})
    assert told is not None and told.mean == pytest.approx(2.0)
    assert told.half == pytest.approx(4.302653 / np.sqrt(3), rel=1e-5)  # two degrees of freedom, deviation 1
    assert difference({0: 1.0}, {0: 2.0}) is None


def test_rows_show_means_differences_and_how_many_seeds_there_are():
    clicks = metric("clicks")
    columns = [("clicks", mean(HELD, clicks)), ("more", against(HELD, "low", clicks)), seeds(HELD)]
    lines = list(grid(PAGE, HELD, columns))
    assert lines[0] == "| row | clicks | more | seeds |" and lines[2] == "| **floors** | | | |"
    assert lines[3] == "| `low` | 10.0000 |  | 3 |" and lines[4] == "| `high` | 12.0000 | +2.0000 ± 2.4841 | 3 |"
    assert len(lines) == 5  # a row that was never run does not stand there


def test_a_value_that_records_lack_leaves_the_cell_empty_and_spread_needs_two_seeds():
    assert mean(HELD, metric("regret"))(PAGE.entry("high")) == spread(HELD, metric("regret"))(PAGE.entry("high")) == ""
    assert spread(HELD, metric("clicks"))(PAGE.entry("high")) == "12.0000 ± 11.0000"  # of 1, 12 and 23
    assert spread({("low", 0): HELD["low", 0]}, metric("clicks"))(PAGE.entry("low")) == ".0000"


def test_figures_have_no_nought_before_the_point():
    assert [figure(v, signed=True) for v in (0.5, -0.25, 1.5, 0.0)] == ["+.5000", "-.2500", "+1.5000", "+.0000"]
    assert figure(-0.25) == "-.2500" and figure(10.25) == "10.2500" and figure(0.99996) == "1.0000"
