"""Rules mean, as masks, what they mean read row by row."""

from __future__ import annotations

import math
from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interplay.cascade.language import Comparison, Either, Every, Not, parse
from interplay.cascade.rules import Catalogue, compile_rules, together
from interplay.errors import BadData, BadSetting, UnknownName
from interplay.types import EVERYTHING, Dataset, Events, Ids, Ragged, RuleSet

SHOP = pl.DataFrame(
    {
        "title": ["Fern stand", "Desk Lamp", "tea O'Neil", None, "lamp"],
        "price": pl.Series([19.99, 30.0, None, float("nan"), 5.0], dtype=pl.Float32),
        "stock": [0, 3, 7, None, 1],
        "kind": ["plant", "lamp", "tea", "lamp", None],
        "new": [True, False, None, True, False],
        "added": [date(2024, 5, 1), date(2023, 1, 1), None, date(2024, 6, 1), date(2022, 2, 2)],
        "tags": [["garden", "Green"], [], None, ["desk"], ["garden", "desk"]],
        "sizes": [[1, 2], [2], [], None, [3]],
    }
)


def holds(where: str, row: dict[str, object]) -> bool:
    return meant(parse(where), row)


def meant(rule: object, row: dict[str, object]) -> bool:
    """The same language, worked one row at a time in plain Python."""
    match rule:
        case Not(part):
            return not meant(part, row)
        case Every(parts):
            return all(meant(p, row) for p in parts)
        case Either(parts):
            return any(meant(p, row) for p in parts)
    assert isinstance(rule, Comparison)
    found, values = row[rule.column], rule.values
    if found is None or (isinstance(found, float) and math.isnan(found)):
        return rule.op == "missing"
    if rule.op == "missing":
        return False
    low = lambda v: v.lower() if isinstance(v, str) else v
    if isinstance(found, list):
        return any(low(v) in [low(f) for f in found] for v in values)
    if rule.op == "contains":
        return low(values[0]) in low(found)
    if isinstance(found, date):
        values = tuple(datetime.fromisoformat(v) for v in values)
        found = datetime(found.year, found.month, found.day)
    elif isinstance(found, float):
        values = tuple(float(np.float32(v)) for v in values)
    if rule.op in ("==", "in"):
        return any(low(found) == low(v) for v in values)
    return {"<": found < values[0], "<=": found <= values[0], ">": found > values[0], ">=": found >= values[0]}[rule.op]


order = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
numbers = st.sampled_from(["0", "3", "-1", "19.99", "5", "30.0", "1e3", "2.5"])
dates = st.sampled_from(["'2024-05-01'", '"2023-06-01T12:00"', "'2022-02-02'"])
words = st.sampled_from(["'lamp'", "'Plant'", '"tea"', "'none such'", "'tea O''Neil'", "'desk'", "'GARDEN'"])
negated = st.sampled_from(["", "not "])
tests = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(["price", "stock"]), order, numbers),
    st.builds("{} {} {}".format, numbers, order, st.sampled_from(["price", "`stock`"])),
    st.builds("{} <= price < {}".format, numbers, numbers),
    st.builds("added {} {}".format, order, dates),
    st.builds("{} {} {}".format, st.sampled_from(["kind", "title"]), st.sampled_from(["==", "!=", "contains"]), words),
    st.builds("kind {}in ({}, {})".format, negated, words, words),
    st.builds("tags {}contains {}".format, negated, words),
    st.builds("tags {}in ({})".format, negated, words),
    st.builds("sizes contains {}".format, numbers),
    st.builds("{} is {}missing".format, st.sampled_from(SHOP.columns), negated),
    st.sampled_from(["new", "new == false", "NOT new"]),
)
sentences = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.builds("({}) and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(sentences)
def test_a_mask_is_what_the_sentence_means_row_by_row(where: str) -> None:
    mask = Catalogue(SHOP).mask(where, strict=False)
    assert mask.tolist() == [holds(where, row) for row in SHOP.to_dicts()]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="price <>=!()',\"`and or not in 0123456789.é-", max_size=40))
def test_any_text_is_a_rule_or_is_refused_with_a_sentence(where: str) -> None:
    try:
        Catalogue(SHOP).mask(where)
    except (BadSetting, UnknownName) as problem:
        assert where in str(problem) or repr(where) in str(problem)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("price <", "found the end at character 8; expected a value"),
        ("price < cheap", "write text in quotes: 'cheap'"),
        ("prise < 20", "no column 'prise' at character 1; nearest: ['price']"),
        ("kind == 'lmap'", "no kind is 'lmap'; nearest: ['lamp']"),
        ("tags contains 'gardn'", "nearest: ['garden'"),
        ("price < 20 kind == 'lamp'", "found 'kind' at character 12; expected 'and', 'or' or the end"),
        ("(price < 20", "expected ')'"),
        ("price < 'x'", "'price' holds numbers"),
        ("title < 'x'", "'title' holds text"),
        ("kind == 'lamp", "a quote that is never closed at character 9"),
        ("added > 'soon'", "a date in quotes"),
        ("price and kind == 'lamp'", "'price' holds numbers"),
        ("__import__('os')", "found '(' at character 11"),
        ("price < 1; drop", "found ';' at character 10"),
        ("", "found the end at character 1"),
        ("(" * 90 + "new" + ")" * 90, "at most 60"),
        ("new or " * 1000 + "new", "at most 4000"),
    ],
)
def test_a_refusal_says_where_and_what_would_do(where: str, said: str) -> None:
    with pytest.raises((BadSetting, UnknownName)) as caught:
        Catalogue(SHOP).mask(where)
    assert said in str(caught.value)


def test_times_kept_as_microseconds_are_compared_with_dates() -> None:
    days = pl.DataFrame({"since": [0, 86_400_000_000, None]})
    assert Catalogue(days).mask("since >= '1970-01-02'").tolist() == [False, True, False]
    assert Catalogue(days).mask("since < '1970-01-01T12:00+01:00'").tolist() == [True, False, False]
    with pytest.raises(BadSetting, match="holds numbers"):
        Catalogue(days).mask("since >= 'soon'")


def test_without_a_catalogue_a_rule_is_refused() -> None:
    with pytest.raises(BadData, match="no catalogue"):
        compile_rules(None, 1, where="price < 20")


def shop() -> Dataset:
    none = np.zeros(0, np.int32)
    return Dataset(
        name="shop", users=Ids([]), items=Ids(list("abcde")), events=Events(user=none, item=none), catalogue=SHOP
    )


def test_requests_that_say_the_same_share_one_mask() -> None:
    rules = compile_rules(shop(), 4, where=["price < 20", None, ["price < 20", "new"], " price < 20 "])
    assert rules.masks is not None and rules.names == ("price < 20", "new")
    assert [rules.allowed(i, 5).sum() for i in range(4)] == [2, 5, 1, 2]


def test_exclude_and_allow_speak_external_ids_or_rows_of_indices() -> None:
    shared = compile_rules(shop(), 2, exclude=["a", "nobody knows"], allow=["a", "b", "zzz"])
    assert [np.flatnonzero(shared.allowed(i, 5)).tolist() for i in range(2)] == [[1], [1]]
    own = compile_rules(shop(), 2, where="stock > 0", allow=Ragged.of([[1, 2], []]), exclude=Ragged.of([[0], [1]]))
    assert [np.flatnonzero(own.allowed(i, 5)).tolist() for i in range(2)] == [[1, 2], []]
    assert own.exclude is not None and own.exclude.row(1)["item"].tolist() == [1]


def test_masks_are_worked_out_once() -> None:
    catalogue = Catalogue(SHOP)
    assert catalogue.mask("price < 20") is catalogue.mask("price < 20")
    data = shop()
    assert Catalogue.of(data) is Catalogue.of(data)


rule_sets = st.builds(
    lambda masks, applied, exclude, seen: RuleSet(
        masks=np.array(masks, bool) if masks else None, names=tuple(map(str, range(len(masks)))),
        applied=Ragged.of([[m for m in row if m < len(masks)] for row in applied], "mask") if applied else None,
        exclude=Ragged.of(exclude) if exclude else None, withhold_seen=seen,
    ),
    st.lists(st.lists(st.booleans(), min_size=5, max_size=5), max_size=3),
    st.none() | st.lists(st.lists(st.integers(0, 2), max_size=3), min_size=3, max_size=3),
    st.none() | st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=3, max_size=3),
    st.booleans(),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(rule_sets, rule_sets)
def test_two_rule_sets_together_allow_what_both_allow(first: RuleSet, second: RuleSet) -> None:
    both = together(first, second, 3)
    for i in range(3):
        assert (both.allowed(i, 5) == (first.allowed(i, 5) & second.allowed(i, 5))).all()
        hidden = [
            set(r.exclude.row(i)["item"].tolist()) if r.exclude is not None else set() for r in (first, second, both)
        ]
        assert hidden[2] == hidden[0] | hidden[1]
    assert both.withhold_seen == (first.withhold_seen or second.withhold_seen)
    assert together(first, EVERYTHING, 3).masks is first.masks
