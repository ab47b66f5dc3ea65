"""The order of whole rows on a page: each place takes the row of which most clicks are to be expected there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from interplay.errors import BadSetting
from interplay.types import Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Arranged:
    """Rows in an order, with what each place gained by it."""

    order: Array  # int64[rows]: which row stands at each place
    gains: Array  # float64[rows]: expected clicks of each place
    said: tuple[str, ...]  # why each row stands where it does


def arrange_rows(look: Array, attraction: Array, names: Mapping[int, str] | None = None) -> Arranged:
    """The order of whole rows that takes, place by place, the row with the most expected clicks there.

    look float[rows, columns], attraction float[rows, columns] (0 where a row has nothing). A row moves with its heading
    and keeps its own order. Where look is a product of down and across this is the best order there is.
    """
    rows = len(attraction)
    if look.shape[1] < attraction.shape[1] or len(look) < rows:
        raise BadSetting(f"rows of shape {attraction.shape} do not fit a page on which {look.shape} cells are known")
    worth = look[:rows, None, : attraction.shape[1]] * attraction[None, :, :]
    worth = worth.sum(axis=2)  # [place, row]
    left, order, gains, said = np.ones(rows, bool), [], [], []
    # the place that is looked at most chooses first: a good row is worth most there
    at = np.argsort(-look[:rows].sum(axis=1), kind="stable")
    chosen = np.zeros(rows, np.int64)
    for place in at.tolist():
        row = int(np.where(left, worth[place], -np.inf).argmax())
        left[row], chosen[place] = False, row
    for place, row in enumerate(chosen.tolist()):
        order.append(row)
        gains.append(worth[place, row])
        name = names[row] if names else f"row {row + 1}"
        said.append(
            f"{name} stands at place {place + 1}: {worth[place, row]:.2f} clicks are expected of it there, "
            f"{worth[at[0], row]:.2f} in the best place"
        )
    return Arranged(order=np.array(order), gains=np.array(gains), said=tuple(said))
