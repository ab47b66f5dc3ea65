"""Photographs that a catalogue names: from where they may come, and what stands in their frame where they may not."""

from __future__ import annotations

import base64
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from browsing import opened, serving, steered
from fastapi.testclient import TestClient
from playwright.sync_api import expect
from serving import built, shop

from interplay.data.store.keys import Keys
from interplay.data.store.store import Store
from interplay.errors import BadSetting
from interplay.serve.app import create_app
from interplay.serve.photos import Photos

REMOTE = "https://pictures.example/lamp.png"


def png(width: int, height: int) -> bytes:
    """A red picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = (b"\0" + b"\xc0\x20\x20" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pictured(*names: str | None, n: int = 160):
    """The shop whose first things name these photographs."""
    data = shop()
    told = pl.Series("image_url", [*names, *[None] * (n - len(names))], pl.String)
    return replace(data, catalogue=data.catalogue.with_columns(told))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    held = tmp_path / "photos"
    (held / "lamps").mkdir(parents=True)
    (held / "lamps" / "a b.png").write_bytes(png(8, 10))
    (held / "drawn.svg").write_text("<svg/>")
    (tmp_path / "secret.png").write_bytes(png(1, 1))
    (held / "out.png").symlink_to(tmp_path / "secret.png")
    return held


def test_a_file_of_the_directory_is_served_and_the_card_names_it(folder):
    with TestClient(create_app(built(pictured("/lamps/a%20b.png")), photos=Photos(folder=folder))) as client:
        item = client.get("/v1/items/lamp-0").json()
        assert item["picture"] == "/photos/lamp-0" and "Image url" not in [p["name"] for p in item["properties"]]
        answer = client.get(item["picture"])
        assert answer.content == png(8, 10) and answer.headers["content-type"] == "image/png"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get(item["wide"]).content == png(8, 10)
        assert client.get("/v1/items/tea-1").json()["picture"].endswith("/tea-1.svg")
        assert client.get("/photos/no-such").status_code == 404
        assert client.get("/v1/search?q=png").json()["total"] == 0  # its name is nothing that people search


@pytest.mark.parametrize("named", [
    "../secret.png", "lamps/../../secret.png", "%2e%2e/secret.png", "out.png", "drawn.svg", "lamps", "no.png",
    "x" * 5000 + ".png", "a\0.png", REMOTE, "//pictures.example/a.png", "http://[", "file:///etc/hosts.png",
    "data:image/svg+xml;base64,PHN2Zy8+", "data:image/png;base64,!", "data:image/png;base64,AAAAA",
])  # fmt: skip
def test_what_may_not_be_loaded_is_drawn(folder, named):
    with TestClient(create_app(built(pictured(named)), photos=Photos(folder=folder))) as client:
        answer = client.get("/photos/lamp-0", follow_redirects=False)
        assert answer.status_code == 200 and answer.headers["content-type"] == "image/svg+xml"


def test_a_picture_inside_the_catalogue_is_served_without_any_setting():
    written = "data:image/png;base64," + base64.b64encode(png(4, 5)).decode()
    with TestClient(create_app(built(pictured(written)))) as client:
        answer = client.get("/photos/lamp-0")
        assert answer.content == png(4, 5) and answer.headers["content-type"] == "image/png"


def test_another_host_is_asked_only_where_the_operator_allows_it():
    with TestClient(create_app(built(pictured(REMOTE)))) as client:
        page = client.get("/")
        assert "img-src 'self' data:;" in page.headers["content-security-policy"]
        assert "No request leaves this machine." in page.text
    with TestClient(create_app(built(pictured(REMOTE)), photos=Photos(hosts=("pictures.example",)))) as client:
        answer = client.get("/photos/lamp-0", follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, REMOTE)
        page = client.get("/")
        assert "img-src 'self' data: https://pictures.example;" in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "same-origin"
        assert "Photographs come from pictures.example." in page.text and "No request leaves" not in page.text
    with TestClient(create_app(built(pictured(REMOTE)), photos=Photos(hosts=("other.example",)))) as client:
        assert client.get("/photos/lamp-0", follow_redirects=False).status_code == 200


@pytest.mark.parametrize("host", ("https://a.example", "a.example/x", "a b", "*", "a.example; script-src *", ""))
def test_a_host_that_is_none_is_refused(host):
    with pytest.raises(BadSetting, match="expected a name"):
        Photos(hosts=(host,))


def test_a_directory_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadSetting, match="no directory of photographs"):
        Photos(folder=tmp_path / "nowhere")


def test_a_tenant_sees_its_own_photographs_alone_and_no_shared_cache_keeps_them(folder, tmp_path):
    (folder / "north").mkdir()
    (folder / "north" / "a.png").write_bytes(png(2, 2))
    assert Photos(folder=folder).found("a.png", "north") is not None
    assert Photos(folder=folder).found("../lamps/a b.png", "north") is None
    store = Store.open(tmp_path / "shop.db")
    key = Keys(store).create("reader", scopes=("read",))[0]
    engine = built(pictured("lamps/a b.png"), store=store)
    with TestClient(create_app(engine, keys=Keys(store), photos=Photos(folder=folder))) as client:
        assert client.get("/photos/lamp-0").status_code == 401
        answer = client.get("/photos/lamp-0", headers={"x-api-key": key})
        assert answer.content == png(8, 10) and answer.headers["cache-control"].startswith("private")
    engine.close()


@pytest.mark.browser
def test_a_photograph_stands_in_the_frame_of_the_drawing_and_no_other_host_is_asked(browser, folder):
    """`opened` fails on any request to another host."""
    measured = """async () => { const picture = document.querySelector('.thing .picture'); await picture.decode();
        return [picture.naturalWidth, picture.naturalHeight, picture.clientWidth, picture.clientHeight]; }"""
    (folder / "lamps" / "wide.png").write_bytes(png(40, 8))
    data = pictured("lamps/a b.png", REMOTE, "lamps/wide.png")
    with (
        serving(steered(data), photos=Photos(folder=folder)) as served,
        opened(browser, served, "u1") as page,
    ):
        sizes = []
        for name in ("lamp-0", "tea-1", "book-2", "tool-3"):
            page.goto(f"{served}/item/{name}")
            expect(page.locator(".thing .picture")).to_have_css("object-fit", "cover")
            sizes.append(page.evaluate(measured))
        photo, remote, wide, drawn = sizes
        assert photo[:2] == [8, 10] and wide[:2] == [40, 8]
        assert remote[:2] == drawn[:2] != photo[:2]  # the drawing stands in for what may not be loaded
        assert photo[2:] == remote[2:] == wide[2:] == drawn[2:]
        page.goto(served + "/search?q=pebble reading")
        card = page.locator('[data-card="lamp-0"] img')
        expect(card).to_have_attribute("src", "/photos/lamp-0")
        assert card.evaluate("async (i) => { i.loading = 'eager'; await i.decode(); return i.naturalWidth; }") == 8
