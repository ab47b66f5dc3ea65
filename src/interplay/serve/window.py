"""The shop window: how a catalogue looks to a person, whatever columns it has.

Title, maker, price, kind and words are found by the usual column names; facets are the columns with few values. A
catalogue of nothing but ids is shown by its ids.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
import polars as pl

from interplay.errors import BadSetting, unknown
from interplay.types import Array, Dataset
from interplay.worlds.pictures import VERSION

ROLES: Mapping[str, tuple[str, ...]] = {  # what a person sees of an item -> column names, the first that is there wins
    "title": ("title", "name", "product_title", "headline"),
    "by": ("maker", "brand", "artist", "author", "director", "creator", "store", "publisher"),
    "price": ("price",),
    "kind": ("categories", "category", "kind", "genres", "genre", "type", "department"),
    "about": ("text", "about", "description", "summary", "abstract", "plot"),
    "photo": ("photo", "photograph", "picture", "image", "image_url", "picture_url", "img", "thumbnail"),
}
_SORTS = ("kind", "categories", "category", "genres", "genre", "type", "department")
_SAME = ("kind", "categories", "category", "type", "department")  # one of these is enough
HIDDEN = re.compile(r"(^|_)(id|ids|url|uri|link|image|img|seed|embedding|vector)$|^(item_id|asin)$")
FEW, MANY = 2, 48  # distinct values of a column that makes a facet
SHOWN_VALUES = 10  # of one facet, the most frequent first
SHOWN_FACETS = 5
CARDS = 20_000  # cards remembered: some 1 KB each


@dataclass(frozen=True)
class Facet:
    """One way to narrow a list: a column, its values, and the items that have each value."""

    name: str
    legend: str
    values: tuple[str, ...]
    labels: tuple[str, ...]
    member: Array  # bool[values, n_items]


class Window:
    """Cards, properties and facets of a dataset's items, by index."""

    def __init__(self, dataset: Dataset, *, currency: str | None = None) -> None:
        self.dataset = dataset
        self.catalogue = dataset.catalogue
        columns = [] if self.catalogue is None else self.catalogue.columns
        self.roles = {role: next((c for c in names if c in columns), None) for role, names in ROLES.items()}
        price = self.roles["price"]
        if price is not None and self.catalogue is not None and not self.catalogue[price].dtype.is_numeric():
            self.roles["price"] = None
        self.currency = currency if currency is not None else "€" if dataset.name == "market" else ""
        self._cards: dict[int, dict[str, Any]] = {}

    def row(self, item: int) -> dict[str, Any]:
        """Everything the catalogue says of one item."""
        return {} if self.catalogue is None or item >= self.catalogue.height else self.catalogue.row(item, named=True)

    def title(self, item: int) -> str:
        column = self.roles["title"]
        said = self.row(item).get(column) if column else None
        return str(said) if said else f"Item {self.dataset.items[item]}"

    def money(self, price: float) -> str:
        return f"{self.currency}{price:,.0f}" if float(price).is_integer() else f"{self.currency}{price:,.2f}"

    def card(self, item: int) -> dict[str, Any]:
        """What is shown of one item in a list; empty strings where the catalogue is silent."""
        return self.cards([item])[0]

    def cards(self, items: Sequence[int]) -> list[dict[str, Any]]:
        """The cards of several items; what the catalogue says of those not shown before is read together."""
        held = {item: self._cards.get(item) for item in items}
        missing = [item for item, card in held.items() if card is None]
        if missing:
            made = dict(zip(missing, map(self._card, missing, self._spoken(missing)), strict=True))
            if len(self._cards) + len(made) > CARDS:
                self._cards.clear()
            self._cards |= made
            held |= made
        return [dict(held[item] or {}) for item in items]

    @cached_property
    def _columns(self) -> pl.DataFrame:
        """The columns that cards are made of."""
        columns = list(dict.fromkeys(c for c in self.roles.values() if c is not None))
        return pl.DataFrame() if self.catalogue is None else self.catalogue.select(columns)

    def _spoken(self, items: Sequence[int]) -> list[dict[str, Any]]:
        """What those columns say of items; nothing of items that came after the catalogue."""
        frame = self._columns
        known = [item for item in items if item < frame.height]
        said = dict(zip(known, frame[known].rows(), strict=True)) if known else {}
        return [dict(zip(frame.columns, said.get(item, ()), strict=False)) for item in items]

    def _card(self, item: int, row: Mapping[str, Any]) -> dict[str, Any]:
        def said(role: str) -> Any:
            column = self.roles[role]
            return row.get(column) if column else None

        name = self.dataset.items[item]
        price, kind, title = said("price"), _listed(said("kind")), said("title")
        quoted = quote(str(name), safe="")
        photo = photo_of(said("photo"))
        address = f"/photos/{quoted}" if photo else f"/pictures/{VERSION}/{quoted}.svg"
        return {
            "item_id": name, "title": str(title) if title else f"Item {name}", "by": str(said("by") or ""),
            "kind": ", ".join(kind), "about": _brief(str(said("about") or "")),
            "price": float(price) if _finite(price) else None,
            "price_said": self.money(price) if _finite(price) else "", "link": f"/item/{quoted}",
            "picture": address, "wide": address + "?wide=1",
        }  # fmt: skip

    def photo(self, item: int) -> str:
        """What the catalogue names as the photograph of an item; empty where it names none."""
        column = self.roles["photo"]
        return photo_of(self.row(item).get(column)) if column else ""

    def properties(self, item: int) -> list[dict[str, str]]:
        """Name and value of the remaining columns, for the item's own page."""
        shown = {self.roles[r] for r in ("title", "by", "price", "about", "kind", "photo")}
        out = []
        for name, value in self.row(item).items():
            if name in shown or name in _SAME or HIDDEN.search(name) or value is None or value in ("", []):
                continue
            if isinstance(value, (str, bool, int, float, list)):
                text = ", ".join(map(str, value)) if isinstance(value, list) else _plain(value)
                if len(text) <= 160:
                    out.append({"name": _legend(name), "value": text})
        return out[:10]

    # ---------------------------------------------------------------------------------------------------- facets

    @cached_property
    def facets(self) -> tuple[Facet, ...]:
        """The columns worth narrowing by: kind first, then price, then others with few values."""
        if self.catalogue is None:
            return ()
        found: list[Facet] = []
        skip = {self.roles[r] for r in ("title", "about", "price", "photo")} | {None}
        sorts = [c for c in (*_SORTS, *self.catalogue.columns) if c in self.catalogue.columns]
        for column in dict.fromkeys(sorts):
            if column in skip or HIDDEN.search(column):
                continue
            if column in _SAME and any(f.name in _SAME for f in found):
                continue
            facet = self._few(column)
            if facet is not None:
                found.append(facet)
        price = self._ranges(self.roles["price"]) if self.roles["price"] else None
        if price is not None:
            found.insert(1 if found and found[0].name in _SORTS else 0, price)
        return tuple(found)

    def _few(self, column: str) -> Facet | None:
        assert self.catalogue is not None
        series = self.catalogue[column]
        kind = series.dtype
        if kind.is_float() or kind.is_temporal() or (kind.is_nested() and kind != pl.List):
            return None
        if series.dtype == pl.String and series.str.contains("|", literal=True).sum() > series.len() / 4:
            series = series.str.split("|")
        rows = pl.DataFrame({"item": np.arange(series.len(), dtype=np.int64), "value": series})
        if series.dtype == pl.List:
            rows = rows.explode("value")
        rows = rows.with_columns(pl.col("value").cast(pl.String, strict=False)).filter(
            pl.col("value").is_not_null() & (pl.col("value") != "")
        )
        counts = rows.group_by("value").len().sort("len", "value", descending=[True, False])
        covers = rows["item"].n_unique() >= series.len() / 2
        if not (FEW <= counts.height <= MANY and covers and counts["value"].str.len_chars().max() <= 40):  # type: ignore[operator]
            return None
        values = counts["value"].to_list()
        place = {value: i for i, value in enumerate(values)}
        member = np.zeros((len(values), self.dataset.n_items), bool)
        member[[place[v] for v in rows["value"].to_list()], rows["item"].to_numpy()] = True
        return Facet(column, _legend(column), tuple(values), tuple(self._people_say(column, values, member)), member)

    def _ranges(self, column: str) -> Facet | None:
        """Thirds of a numeric column, at round figures."""
        assert self.catalogue is not None
        prices = self.catalogue[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        known = prices[np.isfinite(prices)]
        if len(np.unique(known)) < 3:
            return None
        low, high = (_round(float(q)) for q in np.quantile(known, [1 / 3, 2 / 3]))
        if not low < high:
            return None
        member = np.zeros((3, self.dataset.n_items), bool)
        with np.errstate(invalid="ignore"):
            member[:, : len(prices)] = [prices < low, (prices >= low) & (prices < high), prices >= high]
        a, b = self.money(low), self.money(high)
        values = (f"..{low:g}", f"{low:g}..{high:g}", f"{high:g}..")
        return Facet(column, _legend(column), values, (f"under {a}", f"{a} to {b}", f"{b} and more"), member)

    def chosen(self, picks: Sequence[str]) -> dict[str, list[str]]:
        """`["kind:lamp", "price:..15"]` by facet; refuses facets and values that do not exist."""
        known = {f.name: f for f in self.facets}
        out: dict[str, list[str]] = {}
        for pick in picks:
            name, colon, value = pick.partition(":")
            if not colon:
                raise BadSetting(f"a facet is name:value, as in kind:lamp; found {pick!r}")
            if name not in known:
                raise unknown("facet", name, known)
            if value not in known[name].values:
                raise unknown(f"value of {name}", value, known[name].values)
            out.setdefault(name, []).append(value)
        return out

    def mask(self, chosen: Mapping[str, Sequence[str]], *, but: str | None = None) -> Array:
        """bool[n_items]: any value within a facet, every facet; `but` leaves one facet out."""
        out = np.ones(self.dataset.n_items, bool)
        for facet in self.facets:
            if facet.name in chosen and facet.name != but:
                out &= facet.member[[facet.values.index(v) for v in chosen[facet.name]]].any(axis=0)
        return out

    def counted(self, found: Array, chosen: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
        """How many of the found items (bool[n_items]) each value would leave, given the other facets' choices.

        Facets that say nothing of most of what was found stay away, unless they were chosen from.
        """
        out: list[dict[str, Any]] = []
        for facet in self.facets:
            speaks = (facet.member.any(axis=0) & found).sum() * 2 >= found.sum()
            if len(out) == SHOWN_FACETS or not (speaks or facet.name in chosen):
                continue
            within = found & self.mask(chosen, but=facet.name)
            counts = (facet.member & within).sum(axis=1)
            ticked = chosen.get(facet.name, ())
            values: list[dict[str, Any]] = [
                {"value": v, "label": label, "count": int(c), "chosen": v in ticked}
                for v, label, c in zip(facet.values, facet.labels, counts, strict=True)
                if c or v in ticked
            ]
            if facet.name != self.roles["price"]:
                values = sorted(values, key=lambda v: (not v["chosen"], -v["count"]))[:SHOWN_VALUES]
            if values:
                out.append({"name": facet.name, "legend": facet.legend, "values": values})
        return out

    def kinds(self) -> Facet | None:
        """The facet that says what sort of thing an item is, if there is one."""
        return next((f for f in self.facets if f.name in _SORTS), None)

    def _people_say(self, column: str, values: Sequence[str], member: Array) -> list[str]:
        """The values as labels: the first category that all things of a kind share, or the value itself."""
        said = [v.replace("_", " ") for v in values]
        labels = {"true": "yes", "false": "no"}
        schema = {} if self.catalogue is None else self.catalogue.schema
        if self.catalogue is not None and column == "kind" and schema.get("categories") == pl.List(pl.String):
            first = self.catalogue["categories"].list.first().to_numpy()
            shared = [set(first[m[: len(first)]].tolist()) for m in member]
            said = [str(s.pop()) if len(s) == 1 and None not in s else v for s, v in zip(shared, said, strict=True)]
        return [labels.get(v, v) for v in said]


def photo_of(value: Any) -> str:
    """The name of a photograph in a cell: a text, or the first of several."""
    first = value[0] if isinstance(value, list) and value else value
    return first.strip() if isinstance(first, str) else ""


def _legend(column: str) -> str:
    text = column.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _listed(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    return [str(v) for v in value] if isinstance(value, list) else str(value).split("|")


def _plain(value: str | bool | int | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value > 10**14:  # microseconds UTC
        return datetime.fromtimestamp(value / 1e6, UTC).date().isoformat()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _round(value: float) -> float:
    """To two figures, and to whole units from 3 on: 13.4 -> 13, 137 -> 140, 1480 -> 1500."""
    if value <= 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    step = max(step, 1.0) if value >= 3 else step
    return float(f"{round(value / step) * step:.10g}")


def _brief(text: str, most: int = 180) -> str:
    """The first sentences that fit, so that a card never has to cut a word."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[:most]
    end = max(cut.rfind(". "), cut.rfind("! "), cut.rfind("? "))
    return cut[: end + 1] if end > 40 else cut[: cut.rfind(" ")].rstrip(",;:") + " …"
