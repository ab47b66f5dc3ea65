"""Recipes: what is written is what is built; what is unknown is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from interplay.errors import BadData, BadSetting, UnknownName
from interplay.recipe import Recipe, load_recipe, recipes
from interplay.types import Requests
from small import crowd

PLAIN = """
about = "A shelf"
where = "title is not missing"
[source.often]
system = "popular"
weight = 2
says = "Many took it"
[source.lately]
system = "trending"
half_life = 3
serves = "feed"
[fusion]
method = "weighted"
[page]
caps = { title = 1 }
[search.fusion]
constant = 10
"""


def test_a_recipe_becomes_the_cascade_it_says() -> None:
    model = Recipe.parse(PLAIN).build()
    assert model.sources["often"].weight == 2.0 and model.sources["lately"].serves == "feed"
    assert model.sources["lately"].retriever.config.half_life == 3.0
    assert model.config.where == ("title is not missing",)
    assert model.config.feed.fusion.method == model.config.search.fusion.method == "weighted"
    assert model.config.search.fusion.constant == 10.0 and model.config.feed.fusion.constant == 60.0
    assert model.config.feed.page.caps == {"title": 1} and not model.config.search.page.caps


def test_later_settings_win() -> None:
    model = Recipe.parse(PLAIN).build(
        {"source": {"lately": {"half_life": "9"}}}, {"page": {"variety": "mmr", "likeness": "title"}}
    )
    assert model.sources["lately"].retriever.config.half_life == 9.0
    assert model.config.feed.page.variety == "mmr" and model.config.feed.page.caps == {"title": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[source.a]\nsystem = 'popular'\n[fusoin]", "no place for 'fusoin'; did you mean 'fusion'"),
        (
            "[source.a]\nsystem = 'popular'\n[fusion]\nmetod = 'x'",
            "FusionConfig has no setting 'metod'; did you mean 'method'",
        ),
        ("[source.a]\nsystem = 'populr'", r"\[source.a\]: no system called 'populr'; nearest: \['popular'"),
        ("[source.a]\nsystem = 'trending'\nhalflife = 2", r"\[source.a\]: TrendingConfig has no setting 'halflife'"),
        ("[source.a]\nsystem = 'popular'\nserves = 'feeds'", "expected 'feed', 'search' or 'both'"),
        ("[source.a]\nweight = 2", "needs system"),
        ("[source.a]\nsystem = 'popular'\nvectors = 'x'", "one of the two"),
        ("[source.'a.b']\nsystem = 'popular'", "expected letters, digits and _"),
        ("[search]\nvariety = 'mmr'\n[source.a]\nsystem = 'popular'", "no place for 'variety'"),
        ("about = 'x'", "at least one source"),
        ("source = 3", "expected a table"),
        ("[source.a", "is not TOML"),
    ],
)
def test_what_is_not_known_is_refused_with_the_nearest(text: str, said: str) -> None:
    with pytest.raises((BadData, BadSetting, UnknownName), match=said):
        Recipe.parse(text).build()


def test_recipes_are_found_by_name_and_by_file(tmp_path: Path) -> None:
    assert {"hybrid.toml", "market.toml", "feed.toml"} <= set(recipes())
    assert all(recipes().values())
    assert load_recipe("hybrid").text == load_recipe("hybrid.toml").text
    (tmp_path / "mine.toml").write_text(PLAIN)
    assert load_recipe(tmp_path / "mine.toml").about == "A shelf"
    with pytest.raises(UnknownName, match=r"nearest: \['hybrid.toml'"):
        load_recipe("hybird.toml")
    with pytest.raises(UnknownName):
        load_recipe(str(tmp_path / "hybrid.toml"))


@pytest.mark.parametrize("name", sorted(recipes()))
def test_the_recipes_that_come_along_are_built_and_name_only_what_exists(name: str) -> None:
    model = load_recipe(name).build()
    served = {s.serves for s in model.sources.values()}
    assert served & {"both", "feed"} and served & {"both", "search"}


def test_a_built_recipe_fits_and_answers() -> None:
    data = crowd()
    model = Recipe.parse(PLAIN).build().fit(data)
    reply = model.respond(Requests.strangers([[0], []], k=5))
    assert (reply.slates.items >= 0).all() and reply.trace is not None
    assert "Many took it" in {t["reason"].split(";")[0] for t in reply.trace[0].items}
