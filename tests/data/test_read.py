"""Public sets by name, as prepared copies and as their publishers ship them; downloads from a server of our own."""

from __future__ import annotations

import functools
import http.server
import io
import threading
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplay.data import fetch, read
from interplay.data.read import get, how, known, load
from interplay.errors import BadData, UnknownName
from interplay.types import TEST, TRAIN, VALID


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty INTERPLAY_DATA and an empty cache."""
    monkeypatch.setenv("INTERPLAY_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("INTERPLAY_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def put(folder: Path, **tables) -> None:
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        pl.DataFrame(table).write_parquet(folder / f"{name}.parquet")


def events(d) -> list[tuple]:
    e = d.events
    return [(d.users[u], d.items[i]) for u, i in zip(e.user, e.item, strict=True)]


def gowalla(shelf: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = rng.permutation(np.stack(np.meshgrid(np.arange(12), np.arange(40)), -1).reshape(-1, 2))[:300]
    part = rng.permutation(np.repeat([0, 1, 2], [200, 30, 70]))
    train = pairs[part < 2]
    put(
        shelf / "gowalla",
        train={"user": train[:, 0], "item": train[:, 1], "part": part[part < 2].astype(np.int8)},
        test={"user": pairs[part == 2, 0], "item": pairs[part == 2, 1]},
    )


def test_gowalla_keeps_its_parts_and_resplit_shuffles_them_inside_each_user(shelf: Path):
    gowalla(shelf)
    d, fresh, other = load("gowalla"), load("gowalla:resplit"), load("gowalla:resplit", seed=1)
    assert np.bincount(d.events.part).tolist() == [200, 30, 70]
    assert sorted(events(d)) == sorted(events(fresh)) and d.users == fresh.users
    for a in (fresh, other):
        for part in (TRAIN, VALID, TEST):
            np.testing.assert_array_equal(
                np.bincount(a.events.user[a.events.part == part], minlength=12),
                np.bincount(d.events.user[d.events.part == part], minlength=12),
            )
    assert len({x.fingerprint for x in (d, fresh, other)}) == 3
    assert load("gowalla:resplit").fingerprint == fresh.fingerprint


def test_resplit_is_exchangeable(shelf: Path):
    gowalla(shelf)
    share = np.zeros(40)
    for seed in range(60):
        d = load("gowalla:resplit", seed=seed)
        share += np.bincount(d.events.item[d.events.part == TEST], minlength=40) / np.bincount(
            d.events.item, minlength=40
        )
    assert abs(share / 60 - 70 / 300).max() < 0.12  # no place is favoured by the test part


def ml_1m(shelf: Path) -> None:
    put(
        shelf / "ml-1m",
        sequences={"user_id": [1, 1, 2], "movie_id": [10, 20, 20], "position": [1, 0, 0]},
        interactions_all={"user_id": [1, 2], "movie_id": [10, 20], "part": [0, 2]},
        implicit_ge3={"user": [0, 0, 0], "item": [0, 1, 2], "part": [0, 1, 2]},
        items={
            "movie_id": [10, 20, 30],
            "title": ["Heat (1995)", "Jaws (1975)", "Unseen (1999)"],
            "genres": ["Crime|Drama", "Horror", "Drama"],
            "llm_description": ["", "", ""],
        },
        users={"user_id": [1, 2, 3], "gender": ["F", "M", "F"]},
    )


def test_ml_1m_has_its_variants_with_titles_where_the_ids_allow_it(shelf: Path):
    ml_1m(shelf)
    d = load("ml-1m")
    assert d.fingerprint == load("ml-1m:sequences").fingerprint and d.events.ordered
    assert events(d)[:2] in ([(1, 20), (1, 10)], [(2, 20), (1, 20)])
    told = dict(zip(d.items, d.catalogue.select("title", "categories", "year").rows(), strict=True))
    assert told == {10: ("Heat (1995)", ["Crime", "Drama"], 1995), 20: ("Jaws (1975)", ["Horror"], 1975)}
    assert d.people["gender"].to_list() == [{1: "F", 2: "M"}[u] for u in d.users]
    assert sorted(load("ml-1m:all").events.part) == [TRAIN, TEST] and load("ml-1m:all").catalogue is not None
    assert load("ml-1m:ge3").catalogue is None and sorted(load("ml-1m:ge3").events.part) == [0, 1, 2]
    with pytest.raises(BadData, match=r"publisher's ratings.dat"):
        load("ml-1m:ratings")
    with pytest.raises(UnknownName, match="variant of ml-1m called 'ge4'; nearest: \\['ge3'\\]"):
        load("ml-1m:ge4")


def publisher_ml_1m(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "ratings.dat").write_text("1::10::5::978300760\n1::20::3::978300700\n2::20::4::978300000\n")
    (folder / "movies.dat").write_bytes("10::Heat (1995)::Crime|Drama\n20::Amélie (1975)::Horror\n".encode("latin-1"))
    (folder / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")


def test_one_name_means_one_data_set_whoever_prepared_it(shelf: Path):
    ml_1m(shelf)
    prepared = load("ml-1m")
    for file in (shelf / "ml-1m").iterdir():
        file.unlink()
    publisher_ml_1m(shelf / "ml-1m")
    assert load("ml-1m").fingerprint == prepared.fingerprint
    rated = load("ml-1m:ratings")
    assert rated.events.time.min() == 978_300_000_000_000 and sorted(rated.events.value) == [3, 4, 5]
    assert "Amélie (1975)" in rated.catalogue["title"]


def test_ml_100k_reads_alike_from_both(shelf: Path):
    put(
        shelf / "ml-100k",
        ratings={"user_id": [1, 2], "item_id": [3, 4], "rating": [5, 1], "timestamp": [874965478, 874965479]},
        items={
            "item_id": [3, 4],
            "title": ["Toy Story", "Heat"],
            "year": ["1995", "x"],
            "genres": ["Animation Children's", "Crime"],
        },
        users={
            "user_id": [1, 2],
            "age": [24, 53],
            "gender": ["M", "F"],
            "occupation": ["a", "b"],
            "zip_code": ["1", "2"],
        },
        kg={"head": ["m.1"], "relation": ["r"], "tail": ["m.2"]},
        item_entity={"item_id": [3], "entity_id": ["m.1"]},
    )
    d = load("ml-100k")
    assert sorted(d.events.time) == [874965478_000_000, 874965479_000_000] and sorted(d.events.value) == [1, 5]
    assert set(d.tables) == {"triples", "item_entities"} and "Animation" in d.catalogue["categories"].explode()
    folder = shelf.parent / "raw" / "ml-100k"
    folder.mkdir(parents=True)
    (folder / "u.data").write_text("1\t3\t5\t874965478\n2\t4\t1\t874965479\n")
    flags = lambda *on: "|".join("1" if i in on else "0" for i in range(19))
    (folder / "u.item").write_bytes(
        f"3|Toy Story (1995)|01-Jan-1995||url|{flags(3, 4)}\n4|Héat (1995)|01-Jan-1995||url|{flags(6)}\n".encode(
            "latin-1"
        )
    )
    (folder / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|94043\n")
    raw = load(folder)  # a directory with the name of a set is read as that set
    assert raw.fingerprint == d.fingerprint
    told = dict(zip(raw.items, raw.catalogue.select("categories", "year").rows(), strict=True))
    assert told[3] == (["Animation", "Children's"], 1995) and raw.people["age"].dtype == pl.Int32


def test_amazon_items_are_named_by_asin_so_that_numbers_do_not_leak_the_next_item(shelf: Path):
    n = 300
    asin = [f"B{(i * 7919) % 10007:05d}" for i in range(n)]
    put(
        shelf / "amazon-beauty",
        sequences={
            "user": np.repeat(np.arange(1, 11), 30),
            "item": np.arange(1, n + 1),
            "position": list(range(30)) * 10,
            "timestamp": [1_318_896_000 + 86_400 * (i // 2) for i in range(n)],
        },
        items={"item": range(1, n + 1), "asin": asin, "keywords": ["soap"] * n, "title": [None] + ["Soap"] * (n - 1)},
    )
    d = load("amazon-beauty")
    assert set(d.items) == set(asin) and d.catalogue["title"].null_count() == 0
    follows = np.diff(d.events.item)[np.diff(d.events.user) == 0]
    assert (follows == 1).mean() < 0.05
    assert d.events.time.max() == (1_318_896_000 + 86_400 * 149) * 1_000_000
    one = d.offsets[int(d.users.index([1])[0])]
    assert [d.items[i] for i in d.events.item[one : one + 30]] == asin[:30]  # same-day purchases keep their order


def test_the_other_sets_have_their_tables(shelf: Path):
    put(
        shelf / "yelp-sequences",
        sequences={"user": [1], "item": [1], "position": [0], "timestamp": [1_546_456_309]},
        items={"item": [1], "title": ["Tea"], "categories": ["Bubble Tea, Food"]},
    )
    put(
        shelf / "lastfm-kg",
        implicit_split={"user_id": [2], "artist_id": [51], "part": [0]},
        kg={"head": [1], "relation": ["r"], "tail": [2]},
        user_artists={"user_id": [2], "artist_id": [52], "plays": [13883]},
        artist_llm_text={"artist_id": [51], "llm_description": ["band"]},
        artist_entity={"artist_id": [51], "entity_id": [0]},
    )
    put(shelf / "tiktok", interactions={"user": [0, 0], "item": [0, 1], "part": [0, 2]})
    pl.DataFrame({"item": [0, 1], "image_feat": [[1.0, 0.0], [0.0, 1.0]]}).write_parquet(
        shelf / "tiktok" / "image_features.parquet"
    )
    put(
        shelf / "home_depot_search",
        products={"product_uid": [5], "product_title": ["Angle"]},
        queries={"query_id": [0], "text": ["angle"], "split": ["test"]},
        judgements={"query_id": [0], "product_uid": [5], "relevance": [3.0], "split": ["test"]},
    )
    put(
        shelf / "beir_scifact",
        corpus={"doc_id": [9], "title": ["T"], "text": ["t"], "sentences": [["t"]]},
        queries={"query_id": [1], "text": ["q"], "split": ["test"]},
        qrels={"query_id": [1], "doc_id": [9], "split": ["test"], "relevance": [1]},
    )
    assert load("yelp-sequences").catalogue["categories"].to_list() == [["Bubble Tea", "Food"]]
    assert load("lastfm-kg").texts() == ["band"] and load("lastfm-kg:plays").events.value.tolist() == [13883]
    assert load("tiktok").vectors["image"].shape == (2, 2)
    for name in ("home_depot_search", "beir_scifact"):
        d = load(name)
        assert len(d.events) == 0 and d.n_items == 1 and {"queries", "qrels"} <= set(d.tables)
        assert d.items.index(d.tables["qrels"]["item_id"].to_list()).tolist() == [0]


def test_a_set_that_is_not_there_says_where_it_was_looked_for(shelf: Path, monkeypatch):
    with pytest.raises(
        BadData, match=r"gowalla is not on this machine; looked in .*data/gowalla, .*cache/gowalla. `interplay data how"
    ):
        load("gowalla")
    monkeypatch.delenv("INTERPLAY_DATA")
    with pytest.raises(BadData, match="INTERPLAY_DATA is not set"):
        load("gowalla")


def test_unknown_names_and_paths_are_said_with_the_nearest(shelf: Path):
    with pytest.raises(UnknownName, match=r"no data set called 'gowala'; nearest: \['gowalla'"):
        load("gowala")
    with pytest.raises(BadData, match="nothing at"):
        load("some/where")
    with pytest.raises(UnknownName):
        how("gowala")


def test_every_set_says_where_it_comes_from():
    for name in read.SOURCES:
        assert {"source:", "licence:", "layout:"} <= set(how(name).split()), name
    assert {"gowalla", "gowalla:resplit", "ml-1m:ge3", "amazon-beauty"} <= set(known())
    assert "files.grouplens.org" in how("ml-1m:ge3") and "no download" in how("gowalla")


# --------------------------------------------------------------------------------------------------------------------
# Downloads


@pytest.fixture
def server(tmp_path: Path):
    """A folder served over HTTP on this machine; (folder, address)."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *a: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{s.server_port}/"
        s.shutdown()


def zipped(**files: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, text in files.items():
            z.writestr(name, text)
    return out.getvalue()


GOOD = {"ml-100k/u.data": "1\t3\t5\t874965478\n", "ml-100k/README": "x"}


def test_get_downloads_unpacks_and_records_the_checksum_it_saw(shelf: Path, server):
    folder, address = server
    (folder / "ml-100k.zip").write_bytes(zipped(**GOOD))
    told: list[dict] = []
    record = get("ml-100k", base=address, progress=lambda stage, facts: told.append(dict(facts)))
    assert record["url"] == address + "ml-100k.zip" and len(record["sha256"]) == 64
    assert told[-1]["done"] == told[-1]["total"] == record["bytes"]
    assert len(load("ml-100k").events) == 1
    (folder / "ml-100k.zip").unlink()
    assert get("ml-100k", base=address) == record  # what is there is not fetched twice


def test_a_changed_download_is_reported(shelf: Path, server):
    folder, address = server
    (folder / "ml-100k.zip").write_bytes(zipped(**GOOD))
    first = get("ml-100k", base=address)
    (folder / "ml-100k.zip").write_bytes(zipped(**GOOD, **{"ml-100k/more": "y"}))
    second = get("ml-100k", base=address, again=True)
    assert second["changed_from"] == first["sha256"] != second["sha256"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "answered 404"),
        (b"<html>sorry</html>", "no zip archive"),
        (zipped(**{"ml-100k/other": "x"}), "expected one of"),
        (zipped(**{"../evil": "x", "u.data": "x"}), "written elsewhere"),
    ],
)
def test_a_download_that_is_not_the_set_leaves_nothing(shelf: Path, server, content, said):
    folder, address = server
    if content is not None:
        (folder / "ml-100k.zip").write_bytes(content)
    with pytest.raises(BadData, match=said):
        get("ml-100k", base=address)
    assert not list(fetch.cache().glob("*")) and not list(fetch.cache().glob(".*"))


def test_a_server_that_is_not_there_and_a_set_without_download_are_said(shelf: Path):
    with pytest.raises(BadData, match="could not be read"):
        get("ml-100k", base="http://127.0.0.1:9/")
    with pytest.raises(BadData, match=r"cannot be downloaded.\ngowalla: .*"):
        get("gowalla")
    with pytest.raises(UnknownName):
        get("ml-100m")


def test_get_leaves_alone_what_it_did_not_download(shelf: Path, server):
    mine = fetch.cache() / "ml-100k"
    mine.mkdir(parents=True)
    with pytest.raises(BadData, match="was not downloaded by us"):
        get("ml-100k", base=server[1])
