"""Data by name or by path: `load("gowalla")`, `load("my-shop/")`, `load("log.csv")`.

A public set is looked for in the directory named by `INTERPLAY_DATA`, then in the cache (`fetch.cache()`), either as
the prepared Parquet copy or as its publisher ships it. Each set is one function here; variants follow a colon. A set
keeps the split that its papers use in `Events.part`. Timestamps become microseconds UTC.

None of these sets is part of this package; `how(name)` says where each comes from and under which licence.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from interplay.data import formats
from interplay.data.clicklogs import click_log
from interplay.data.fetch import Progress, cache, fetched
from interplay.data.finn import finn
from interplay.data.kuairand import kuairand
from interplay.data.parts import dataset_of
from interplay.data.report import Report
from interplay.data.tables import from_frames, read_directory
from interplay.errors import BadData, unknown
from interplay.types import Dataset

PARTS = {0: "train", 1: "valid", 2: "test"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public data set: what it is, who publishes it, and the function that reads it."""

    about: str
    source: str
    licence: str
    layout: str
    read: Callable[[Path, str, str, int], Dataset]  # directory, name as asked, variant, seed -> Dataset
    marks: tuple[str, ...]  # any one of these files shows that the set lies in a directory
    variants: tuple[str, ...] = ()  # the first is what the bare name means
    url: str = ""  # below the publisher's base
    base: str = ""


def load(
    name: str | Path, *, seed: int = 0, time_unit: str | None = None, bad: str = "raise", report: Report | None = None
) -> Dataset:
    """The data set called `name`, or the one in a directory or file.

    A directory may be in our format or in one of those in `formats.FORMATS`; a file is interactions (CSV, TSV, Parquet,
    Arrow, JSON lines), or one of such a format. `seed` draws what is drawn, such as `gowalla:resplit`; `time_unit` is
    that of our own format's times, where it is not microseconds.
    Errors: UnknownName with the nearest names; BadData where the set is known but not on this machine.
    """
    spoken = str(name)
    base, _, variant = spoken.partition(":")
    if isinstance(name, str) and base in SOURCES:
        source = SOURCES[base]
        if variant and variant not in source.variants:
            raise unknown(f"variant of {base}", variant, source.variants)
        return source.read(where(base), spoken, variant or (source.variants[0] if source.variants else ""), seed)
    path = Path(name)
    if not path.exists():
        if path.suffix or os.sep in spoken:
            raise BadData(
                f"nothing at {path}; expected a directory, a file of interactions, or one of {sorted(SOURCES)}"
            )
        raise unknown("data set", spoken, known())
    if path.is_dir() and path.name in SOURCES and any((path / m).exists() for m in SOURCES[path.name].marks):
        source = SOURCES[path.name]
        return source.read(path, path.name, source.variants[0] if source.variants else "", seed)
    return _lying(path, time_unit, bad, report)


def _lying(path: Path, time_unit: str | None, bad: str, report: Report | None) -> Dataset:
    """The data set in files of a known format, or of our own."""
    found = formats.recognised(path) if path.exists() else None
    if found is not None:
        return dataset_of(found.name, found.parts, bad=bad, report=report)
    return read_directory(path, time_unit=time_unit, bad=bad, report=report)


def validate(path: str | Path, *, time_unit: str | None = None) -> Report:
    """Everything that is to be said about a data set's directory or file; never raises for what is in the files."""
    path = Path(path)
    report = Report(path.name)
    try:
        _lying(path, time_unit, "skip", report)
    except BadData as error:
        report.unreadable.append(str(error))
    return report


def known() -> dict[str, str]:
    """Name (variants after a colon) -> one line about the set."""
    out: dict[str, str] = {}
    for name, source in SOURCES.items():
        out[name] = source.about
        out |= {f"{name}:{v}": source.about for v in source.variants if not source.about.startswith(v)}
    return out


def how(name: str) -> str:
    """Source, licence and layout of a public set, for people."""
    base = name.partition(":")[0]
    if base not in SOURCES:
        raise unknown("data set", name, known())
    s = SOURCES[base]
    lines = [f"{base}: {s.about}", f"source: {s.source}", f"licence: {s.licence}", f"layout: {s.layout}"]
    if s.variants:
        listed = ", ".join(f"{base}:{v}" for v in s.variants)
        lines.append(f"variants: {listed} ({base} alone is {base}:{s.variants[0]})")
    if s.url:
        lines.append(f"get it with: interplay data get {base} (downloads {s.base}{s.url})")
    else:
        lines.append(f"no download: put the files into a folder {base} below the directory named by INTERPLAY_DATA")
    return "\n".join(lines)


def get(
    name: str,
    *,
    base: str | None = None,
    into: Path | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Download a public set from its own publisher into the cache; returns where it is from and the checksum it had.

    `base` replaces the publisher's address (a mirror, a test server); `progress` is told of bytes done and total.
    Errors: UnknownName; BadData where the set has no download of its own, or what arrives is not the set.
    """
    plain = name.partition(":")[0]
    if plain not in SOURCES:
        raise unknown("data set", name, known())
    source = SOURCES[plain]
    if not source.url:
        raise BadData(f"{plain} cannot be downloaded.\n{how(plain)}")
    url = (base or source.base).rstrip("/") + "/" + source.url
    return fetched(plain, url, (into or cache()) / plain, marks=source.marks, again=again, progress=progress)


def roots() -> list[Path]:
    """Where public sets are looked for, first to last."""
    return [Path(p) for p in (os.environ.get("INTERPLAY_DATA"),) if p] + [cache()]


def where(base: str) -> Path:
    """The directory in which a public set lies. Errors: BadData with the places that were looked at."""
    places = roots()
    for place in places:
        if any((place / base / mark).exists() for mark in SOURCES[base].marks):
            return place / base
    looked = ", ".join(str(p / base) for p in places)
    named = "" if os.environ.get("INTERPLAY_DATA") else " (INTERPLAY_DATA is not set)"
    raise BadData(
        f"{base} is not on this machine; looked in {looked}{named}. `interplay data how {base}` says where to get it"
    )


# --------------------------------------------------------------------------------------------------------------------
# One function per set


def _log(path: Path, user: str, item: str) -> pl.DataFrame:
    """A prepared Parquet log with our column names; `part` becomes `split`, unix seconds microseconds."""
    if not path.exists():
        raise BadData(f"{path.parent} has no {path.name}; this variant needs the prepared Parquet copy")
    table = pl.read_parquet(path).rename({user: "user_id", item: "item_id"})
    if "part" in table.columns:
        split = pl.col("part").replace_strict(PARTS, return_dtype=pl.String).alias("split")
        table = table.with_columns(split).drop("part")
    if "position" in table.columns:
        table = table.rename({"position": "order"})
    if "timestamp" in table.columns:
        table = table.with_columns(pl.col("timestamp").cast(pl.Int64) * 1_000_000)
    return table


def _items(path: Path, item: str, *, bars: str = "", **renamed: str) -> pl.DataFrame | None:
    """A prepared catalogue; `bars` separates several genres in one cell."""
    if not path.exists():
        return None
    table = pl.read_parquet(path).rename({item: "item_id", **renamed})
    if "categories" in table.columns and bars:
        table = table.with_columns(pl.col("categories").str.split(bars).list.eval(pl.element().str.strip_chars()))
    return table


def _gowalla(path: Path, name: str, variant: str, seed: int) -> Dataset:
    test = _log(path / "test.parquet", "user", "item").with_columns(split=pl.lit("test"))
    log = pl.concat([_log(path / "train.parquet", "user", "item"), test], how="diagonal")
    return from_frames(name, _resplit(log, seed) if variant == "resplit" else log)


def _resplit(log: pl.DataFrame, seed: int) -> pl.DataFrame:
    """The same events with the part labels shuffled inside each user.

    Every user keeps the number of events in each part, and any event of a user is as likely to be in test as any other.
    The published test part is not such a sample: it over-represents popular places.
    """
    draw = np.random.default_rng(seed).random(len(log))
    shuffled = log.with_columns(draw=draw).sort("user_id", "draw")
    labels = log.select("user_id", "split").sort("user_id", maintain_order=True)["split"]
    return shuffled.with_columns(labels).drop("draw")


def _ml_1m(path: Path, name: str, variant: str, seed: int) -> Dataset:
    raw = formats.movielens_frames(path) if (path / "ratings.dat").exists() else None
    people = None
    if raw is not None:
        log, films, people = raw
    else:
        films = _items(path / "items.parquet", "movie_id", bars="|", genres="categories")
        people = pl.read_parquet(path / "users.parquet") if (path / "users.parquet").exists() else None
    if variant == "ge3":
        return from_frames(name, _log(path / "implicit_ge3.parquet", "user", "item"))  # ids of its own: no titles
    if variant == "all":
        log = _log(path / "interactions_all.parquet", "user_id", "movie_id")
    elif variant == "ratings":
        if raw is None:
            raise BadData(f"{name} needs the publisher's ratings.dat, which carries ratings and times; {path} has none")
    elif raw is not None:  # the same columns as in the prepared copy, so that one name means one data set
        log = log.sort("user_id", "timestamp", maintain_order=True).select("user_id", "item_id")
        log = log.with_columns(order=pl.int_range(pl.len()).over("user_id"))
    else:
        log = _log(path / "sequences.parquet", "user_id", "movie_id")
    if films is not None:  # published rows rank only films that somebody rated
        films = films.filter(pl.col("item_id").is_in(log["item_id"].unique().cast(films["item_id"].dtype).implode()))
        year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int32)
        films = films.with_columns(year=year)
    if people is not None:
        people = people.filter(pl.col("user_id").is_in(log["user_id"].unique().cast(people["user_id"].dtype).implode()))
    return from_frames(name, log, films, people)


def _ml_100k(path: Path, name: str, variant: str, seed: int) -> Dataset:
    if (path / "u.data").exists():
        return from_frames(name, *formats.movielens_frames(path))
    log = _log(path / "ratings.parquet", "user_id", "item_id").rename({"rating": "value"})
    films = _items(path / "items.parquet", "item_id", bars=" ", genres="categories")
    if films is not None:
        films = films.with_columns(pl.col("year").cast(pl.Int32, strict=False))
    people = pl.read_parquet(path / "users.parquet")
    return from_frames(name, log, films, people, tables=_graph(path, "item_id"))


def _graph(path: Path, item: str, link: str = "item_entity.parquet") -> dict[str, pl.DataFrame]:
    """Triples and the link from items to entities, where the folder has them."""
    out: dict[str, pl.DataFrame] = {}
    if (path / "kg.parquet").exists():
        out["triples"] = pl.read_parquet(path / "kg.parquet").with_columns(pl.col("relation").cast(pl.String))
    if (path / link).exists():
        out["item_entities"] = pl.read_parquet(path / link).rename({item: "item_id"})
    return out


def _amazon(path: Path, name: str, variant: str, seed: int) -> Dataset:
    log = _log(path / "sequences.parquet", "user", "item")
    things = _items(path / "items.parquet", "item")
    assert things is not None
    # the public numbers run in order of first appearance, so the next item is often the next number; ASINs do not
    asin = things.select("item_id", "asin")
    log = log.join(asin, on="item_id", how="left", maintain_order="left").drop("item_id").rename({"asin": "item_id"})
    if "title" in things.columns:
        told = {"title": pl.coalesce("title", "keywords"), "text": pl.col("keywords")}
    else:
        told = {"title": pl.col("keywords")}
    things = things.select(pl.col("asin").alias("item_id"), **told)
    return from_frames(name, log, things)


def _yelp(path: Path, name: str, variant: str, seed: int) -> Dataset:
    return from_frames(
        name, _log(path / "sequences.parquet", "user", "item"), _items(path / "items.parquet", "item", bars=",")
    )


def _lastfm(path: Path, name: str, variant: str, seed: int) -> Dataset:
    if variant == "plays":
        log = _log(path / "user_artists.parquet", "user_id", "artist_id").rename({"plays": "value"})
    else:
        log = _log(path / "implicit_split.parquet", "user_id", "artist_id")
    told = _items(path / "artist_llm_text.parquet", "artist_id", llm_description="text")
    return from_frames(name, log, told, tables=_graph(path, "artist_id", "artist_entity.parquet"))


def _tiktok(path: Path, name: str, variant: str, seed: int) -> Dataset:
    vectors = {
        kind: pl.read_parquet(path / f"{kind}_features.parquet").rename({"item": "item_id"})
        for kind in ("image", "audio") if (path / f"{kind}_features.parquet").exists()
    }  # fmt: skip
    return from_frames(name, _log(path / "interactions.parquet", "user", "item"), vectors=vectors)


def _scifact(path: Path, name: str, variant: str, seed: int) -> Dataset:
    if (path / "corpus.jsonl").exists():
        found = formats.recognised(path)
        assert found is not None
        return dataset_of(name, found.parts)
    corpus = pl.read_parquet(path / "corpus.parquet").rename({"doc_id": "item_id"}).drop("sentences", strict=False)
    named = {"queries": "queries", "qrels": "qrels", "evidence": "evidence"}
    tables = {n: pl.read_parquet(path / f"{f}.parquet") for n, f in named.items() if (path / f"{f}.parquet").exists()}
    tables = {n: t.rename({"doc_id": "item_id"}, strict=False) for n, t in tables.items()}
    return from_frames(name, None, corpus, tables=tables)


def _home_depot(path: Path, name: str, variant: str, seed: int) -> Dataset:
    products = pl.read_parquet(path / "products.parquet").rename({"product_uid": "item_id", "product_title": "title"})
    judged = pl.read_parquet(path / "judgements.parquet").rename({"product_uid": "item_id"})
    queries = pl.read_parquet(path / "queries.parquet")
    return from_frames(name, None, products, tables={"queries": queries, "qrels": judged})


def _frappe(path: Path, name: str, variant: str, seed: int) -> Dataset:
    """Labelled uses of apps; the values of the context are words again where the folder has a vocabulary."""
    parts = [pl.read_parquet(path / f"{part}.parquet").with_columns(split=pl.lit(part)) for part in PARTS.values()]
    table = pl.concat(parts).rename({"user": "user_id", "item": "item_id"})
    if (path / "vocab.parquet").exists():
        words = pl.read_parquet(path / "vocab.parquet")
        for field in words["field"].unique().sort():
            if field in table.columns:
                own = words.filter(pl.col("field") == field)
                table = table.with_columns(pl.col(field).replace_strict(own["code"], own["value"]))
    return from_frames(name, tables={"examples": table})


def _product_search(path: Path, name: str, variant: str, seed: int) -> Dataset:
    """Purchases under queries; an item's text is what it was bought under in the training part, there is no other."""
    log = pl.read_parquet(path / "interactions.parquet")
    queries = pl.read_parquet(path / "queries.parquet")
    items = pl.read_parquet(path / "items.parquet")
    learnt = log.filter(pl.col("split") == "train").join(queries, on="query_id")
    texts = learnt.group_by("item_id").agg(pl.col("text").unique().sort().str.join(". "))
    tables = {"queries": queries}
    if (log["split"] == "test").any():
        bought = log.filter(pl.col("split") == "test").select("query_id", "item_id", "user_id")
        tables["qrels"] = bought.with_columns(relevance=pl.lit(1.0), split=pl.lit("test"))
    return from_frames(name, log, items.join(texts, on="item_id", how="left"), tables=tables)


def _phones(path: Path, name: str, variant: str, seed: int) -> Dataset:
    """The training part alone, which has times; the other parts have none. A brand that is not told is missing."""
    log = _log(path / "train.parquet", "user", "item").with_columns(event_type=pl.lit("buy"))
    items = _items(path / "items.parquet", "item")
    if items is not None:
        brand = pl.col("brand").str.strip_chars()
        items = items.drop("gid", strict=False).with_columns(
            brand=pl.when(brand.is_in(["", "Unknown"])).then(None).otherwise(brand)
        )
    return from_frames(name, log, items)


def _kuairand(path: Path, name: str, variant: str, seed: int) -> Dataset:
    return kuairand(path, name=name, random=variant == "random")


AMAZON: dict[str, Any] = {
    "source": "McAuley et al., Amazon product data 2014, 5-core; sequences as in S3-Rec, TIGER and P5 "
              "(QinHsiu/ICSRec), time stamps from KingGugu/TiCoSeRec, keywords from agiresearch/IDGenRec",
    "licence": "research use", "read": _amazon, "marks": ("sequences.parquet",),
    "layout": "sequences.parquet (user, item, position, timestamp in unix seconds at day resolution), items.parquet "
              "(item, asin, keywords, title); the items here are named by their ASIN",
}  # fmt: skip

SOURCES: dict[str, Source] = {
    "gowalla": Source(
        about="29,858 people, 40,981 places, 1,027,370 check-ins without times, in the split of NGCF and LightGCN",
        source="SNAP check-ins, Liang et al. 2016; split of gusye1234/LightGCN-PyTorch, validation of "
               "geon0325/LightGCNpp",
        licence="research use (SNAP); repositories MIT", read=_gowalla, marks=("train.parquet",),
        variants=("given", "resplit"),
        layout="train.parquet (user, item, part 0 train 1 valid), test.parquet (user, item); resplit shuffles the "
               "parts inside each user (by seed), since the published test part over-represents popular places",
    ),
    "ml-1m": Source(
        about="MovieLens 1M: 6,040 people, 3,706 rated films, 1,000,209 ratings in order",
        source="GroupLens, Harper and Konstan 2015", licence="GroupLens research licence, no redistribution",
        read=_ml_1m, marks=("sequences.parquet", "ratings.dat"), variants=("sequences", "ge3", "all", "ratings"),
        layout="sequences.parquet (order, no times), implicit_ge3.parquet (ratings of 3 and more, LightGCN++ split, "
               "ids of its own), interactions_all.parquet (CoLaKG split), items.parquet, users.parquet; or the "
               "publisher's ratings.dat, movies.dat, users.dat (`ratings`: with values and times). The 177 films that "
               "nobody rated are left out, as in the published rows",
        url="ml-1m.zip", base="https://files.grouplens.org/datasets/movielens/",
    ),
    "ml-100k": Source(
        about="MovieLens 100K: 943 people, 1,682 films, 100,000 ratings with times",
        source="GroupLens 1998; Freebase links from KB4Rec", licence="GroupLens research licence, no redistribution",
        read=_ml_100k, marks=("ratings.parquet", "u.data"),
        layout="ratings.parquet, items.parquet, users.parquet, kg.parquet, item_entity.parquet; or the publisher's "
               "u.data, u.item, u.user",
        url="ml-100k.zip", base="https://files.grouplens.org/datasets/movielens/",
    ),
    "amazon-beauty": Source(about="Amazon 2014 Beauty: 22,363 people, 12,101 items, 198,502 reviews", **AMAZON),
    "amazon-sports": Source(about="Amazon 2014 Sports: 35,598 people, 18,357 items, 296,337 reviews", **AMAZON),
    "amazon-toys": Source(about="Amazon 2014 Toys: 19,412 people, 11,924 items, 167,597 reviews, no times", **AMAZON),
    "yelp-sequences": Source(
        about="Yelp 2019 slice, 5-core: 30,431 people, 20,033 businesses, 316,354 reviews with times",
        source="Yelp Open Dataset; sequences and times from KingGugu/TiCoSeRec, titles from HonghuiBao2000/LETTER",
        licence="Yelp academic licence", read=_yelp, marks=("sequences.parquet",),
        layout="sequences.parquet (user, item, position, timestamp in unix seconds), items.parquet (title, categories)",
    ),
    "lastfm-kg": Source(
        about="Last.FM (HetRec 2011): 1,859 people, 2,813 artists, 71,294 implicit events in the split of CoLaKG",
        source="HetRec 2011; hwwang55/KGCN, ziqiangcui/CoLaKG", licence="HetRec research use", read=_lastfm,
        marks=("implicit_split.parquet",), variants=("implicit", "plays"),
        layout="implicit_split.parquet, user_artists.parquet (plays), kg.parquet, artist_entity.parquet, "
               "artist_llm_text.parquet (machine text)",
    ),
    "tiktok": Source(
        about="TikTok micro-video: 9,308 people, 6,710 videos, 68,722 events in the split of MMSSL, with image and "
              "audio vectors",
        source="HKUDS/DiffMM", licence="research use; not stated", read=_tiktok, marks=("interactions.parquet",),
        layout="interactions.parquet (user, item, part), image_features.parquet, audio_features.parquet",
    ),
    "beir_scifact": Source(
        about="SciFact: 5,183 abstracts, 1,109 claims as queries, 1,258 judgements (train and test)",
        source="Wadden et al. 2020; BEIR, Thakur et al. 2021", licence="claims CC BY 4.0, abstracts ODC-By 1.0",
        read=_scifact, marks=("corpus.parquet", "corpus.jsonl"),
        layout="corpus, queries, qrels, evidence (.parquet); or BEIR's corpus.jsonl, queries.jsonl, qrels/*.tsv",
        url="scifact.zip", base="https://public.ukp.informatik.tu-darmstadt.de/thakur/BEIR/datasets/",
    ),
    "home_depot_search": Source(
        about="Home Depot search: 54,667 product titles, 9,539 queries, 59,882 graded judgements",
        source="Kaggle Home Depot Product Search Relevance 2016; UltravioletAnalytics/text-features",
        licence="Kaggle competition rules, no redistribution", read=_home_depot, marks=("products.parquet",),
        layout="products.parquet, queries.parquet, judgements.parquet (relevance 1 to 3), with a split of the queries",
    ),
    "amazon_product_search_cellphones": Source(
        about="Amazon 2014 Cell Phones product search: 27,879 people, 10,428 items, 165 queries, 174,754 purchases",
        source="Ai et al., SIGIR 2017 (QingyaoAi/Amazon-Product-Search-Datasets); McAuley et al. 2014, 5-core",
        licence="research use", read=_product_search, marks=("queries.parquet",),
        layout="queries.parquet (query_id, text), interactions.parquet (user_id, query_id, item_id, split), "
               "items.parquet (item_id, asin)",
    ),
    "amazon-phone-colarec": Source(
        about="Amazon 2014 Cell Phones: 27,879 people, 10,429 items with brands, 137,277 purchases with days",
        source="Junewang0614/ColaRec (CIKM 2024); McAuley et al. 2014", licence="research use", read=_phones,
        marks=("train.parquet",),
        layout="train.parquet (user, item, timestamp in unix seconds at day resolution), items.parquet (item, title, "
               "brand, categories)",
    ),
    "frappe_x1": Source(
        about="Frappe: 288,609 labelled uses of 4,082 apps by 957 people in 8 contexts, two drawn apps beside each use",
        source="Baltrunas et al. 2015 (arXiv 1505.03014); split of He and Chua, SIGIR 2017 (BARS: Frappe_x1), where "
               "the drawn apps of the training part are drawn anew by the same rule",
        licence="research use with citation, no redistribution", read=_frappe, marks=("train.parquet",),
        layout="train, valid, test (.parquet: label, user, item, daytime, weekday, isweekend, homework, cost, weather, "
               "country, city as codes), vocab.parquet (field, code, value)",
    ),
    "criteo": Source(
        about="Criteo Display Advertising: 45.8 million ads shown, 13 counts and 26 hashed categories, clicked or not",
        source="Criteo Labs, Kaggle 2014", licence="Criteo's terms, no redistribution", read=click_log,
        marks=("train.txt", "train.csv", "train.parquet"),
        layout="train.txt (label, I1-I13, C1-C26, tabs, no header), or files with those names, by part or whole",
    ),
    "avazu": Source(
        about="Avazu: 40.4 million ads shown on phones over ten days, clicked or not",
        source="Avazu, Kaggle 2014", licence="Kaggle competition rules, no redistribution", read=click_log,
        marks=("train.csv", "train.parquet"),
        layout="train.csv (id, click, hour YYMMDDHH, C1, banner_pos, site_*, app_*, device_*, C14-C21)",
    ),
    "finn-slates": Source(
        about="FINN.no slates: 37.4 million pages of 2.3 million people, with what stood there and what was clicked",
        source="Eide et al. 2021 (arXiv 2104.15046), finn-no/recsys-slates-dataset",
        licence="as its publisher says, with citation", read=finn, marks=("data.npz",), variants=("100k", "all"),
        layout="data.npz (userId, click, click_idx, interaction_type, slate), itemattr.npz (category), ind2val.json; "
               "100k is so many people, drawn by the seed; all of it takes more memory than most machines have",
    ),
    "kuairand": Source(
        about="KuaiRand: videos shown to people with clicks, likes, long views and other answers, and times",
        source="Gao et al., CIKM 2022, kuairand.com", licence="CC BY-SA 4.0", read=_kuairand,
        marks=("log_standard_4_08_to_4_21_pure.csv", "data/log_standard_4_08_to_4_21_pure.csv",
               "log_standard_4_08_to_4_21_1k.csv", "data/log_standard_4_08_to_4_21_1k.csv"),
        variants=("standard", "random"),
        layout="the publisher's CSV files (Pure or 1K), in the folder itself or in data/; random adds what was exposed "
               "at random",
    ),
}  # fmt: skip
