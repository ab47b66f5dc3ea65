"""A page's chances, asked for afterwards, are those that it was served with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from interplay.recipe import Recipe
from interplay.types import Dataset, Requests

EXPLORES = """
[source.popular]
system = "popular"
[source.alike]
system = "item-knn"
[explore]
system = "{policy}"
pool = 12
"""


@pytest.mark.parametrize("policy", ["epsilon-greedy", "lin-ts", "bernoulli-ts"])
def test_chances_of_a_page_are_its_logged_propensities(people: Dataset, policy: str):
    model = Recipe.parse(EXPLORES.format(policy=policy)).build().fit(people)
    asked = Requests.of(people, np.arange(40, dtype=np.int32), draw=np.arange(40, dtype=np.uint64), k=6)
    served = model.retrieve(asked, 6)
    held = served.items >= 0
    told = model.chances(replace(asked, draw=None), served.items)
    np.testing.assert_allclose(told[held], served.columns["propensity"][held], atol=1e-9)
    assert (served.columns["propensity"][held] < 1).any(), "it explores"


def test_who_never_explores_is_certain_of_its_own_page_and_of_no_other(people: Dataset):
    model = Recipe.parse(EXPLORES.partition("[explore]")[0]).build().fit(people)
    asked = Requests.of(people, np.arange(20, dtype=np.int32), k=5)
    page = model.retrieve(asked, 5).items
    assert model.chances(asked, page).all()
    turned = page[:, ::-1]
    assert not model.chances(asked, turned)[:, 0].any()
    again = model.chances(asked, page[:, [1, 0, 2, 3, 4]])
    np.testing.assert_array_equal(again[:, :3], np.tile([0.0, 1.0, 1.0], (20, 1)))
