"""The service over HTTP: every route, every refusal a sentence, and the page that is sent."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl
import pytest
from fastapi.testclient import TestClient
from serving import NOW, built, judged, shop

import interplay.serve
from interplay.data.store.store import Store
from interplay.serve.app import create_app
from interplay.serve.feed import feed
from interplay.serve.guard import GuardConfig
from interplay.serve.page import fill
from interplay.types import Dataset, Events, Ids, Requests
from interplay.worlds.pictures import VERSION

DATA = shop()
WEB = Path(interplay.serve.__file__).parent / "web"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    engine = built(DATA, store=Store.open(tmp_path / "shop.db"))
    with TestClient(create_app(engine), cookies={"interplay_person": "u3"}) as client:
        yield client
    engine.close()


def ids(answer: dict) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_the_list_over_http_is_the_list_computed_offline(client):
    cascade = client.app.state.engine.cascade
    for user in ("u0", "u3", "u17", "u59", "somebody new"):
        index = DATA.users.index([user])
        offline = cascade.respond(Requests.of(DATA, index, at=np.array([NOW]), k=10)).slates
        served = client.get("/v1/recommendations", params={"user_id": user, "k": 10}).json()
        assert ids(served) == [DATA.items[i] for i in offline.items[0]]
        posted = client.post("/v1/recommendations", json={"user_id": user, "k": 10}).json()
        assert ids(posted) == ids(served)


def test_a_click_becomes_an_event_and_the_next_request_reflects_it(client):
    before = client.get("/v1/recommendations?user_id=u3&k=5").json()
    clicked = ids(before)[0]
    event = {"event_id": "e1", "user_id": "u3", "item_id": clicked, "event_type": "click"}
    event["request_id"] = before["request_id"]
    told = client.post("/v1/events", json={"events": [event]}).json()
    assert (told["accepted"], told["repeated"], told["refused"]) == (1, 0, [])
    assert client.post("/v1/events", json=event).json()["repeated"] == 1
    after = client.get("/v1/recommendations?user_id=u3&k=5").json()
    assert ids(after)[:4] == ids(before)[1:]
    assert client.get("/v1/people/u3").json()["events"] == 12


def test_every_route_answers_with_a_request_id(client):
    answer = client.get("/v1/recommendations?user_id=u3").json()
    for path in (
        "/v1/recommendations", "/v1/search?q=lamp", "/v1/similar?item_id=lamp-0", "/v1/items", "/v1/items/lamp-0",
        "/v1/feed", f"/v1/traces/{answer['request_id']}", "/v1/people", "/v1/people/u3", "/healthz",
        "/v1/items/no-such", "/nowhere",
    ):  # fmt: skip
        assert client.get(path).json()["request_id"], path


def test_lists_carry_what_is_needed_to_ask_why_and_to_go_on(client):
    first = client.get("/v1/recommendations?user_id=u3&k=4&where=price%20%3C%2040&exclude=tea-1,tea-5").json()
    told = client.get(f"/v1/traces/{first['request_id']}").json()
    assert [i["item_id"] for i in told["items"]] == ids(first) and told["draw"] == first["draw"]
    second = client.get("/v1/recommendations", params={"cursor": first["next"]}).json()
    assert not set(ids(first)) & set(ids(second)) and all(i["price"] < 40 for i in second["items"])
    again = client.get("/v1/recommendations", params={"user_id": "u3", "draw": int(first["draw"], 16)})
    assert again.json()["draw"] == first["draw"]


@pytest.mark.parametrize("ranker", ["aw-moe", "infnet"])
def test_what_a_ranker_looked_at_is_told_by_the_ids_and_titles_of_things(ranker):
    with TestClient(create_app(judged(ranker))) as client:
        answer = client.get("/v1/recommendations?user_id=u3&k=3").json()
        told = client.get(f"/v1/traces/{answer['request_id']}").json()["items"][0]
        titles = dict(zip(DATA.items.names, DATA.catalogue["title"].to_list(), strict=True))
        past = {DATA.items[i] for i in DATA.histories(DATA.users.index(["u3"]))["item"].tolist()}
    events = told["gate"]["events"] if ranker == "aw-moe" else told["looked"]["like"]["events"]
    assert len(events) == 2 and {e["item"] for e in events} <= past
    assert all(e["title"] == titles[e["item"]] for e in events)
    if ranker == "infnet":
        assert set(told["looked"]) == {"like"} and all(0 < e["share"] <= 1 for e in events)
        assert {e["history"] for e in events} <= {"history", "history.liked", "history.disliked"}
        fields = told["looked"]["like"]["fields"]
        assert len(fields) == 2 and all(isinstance(f["field"], str) and 0 < f["share"] <= 1 for f in fields)


def test_a_history_of_ones_own_replaces_the_stored_one(client):
    body = {"history": ["lamp-0", "never heard of"], "k": 160, "seen": "drop"}
    assert "lamp-0" not in ids(client.post("/v1/recommendations", json=body).json())
    assert "lamp-0" in ids(client.post("/v1/recommendations", json={**body, "seen": "keep"}).json())


def test_search_counts_facets_and_goes_on(client):
    found = client.get("/v1/search?q=lantern&k=5").json()
    assert found["total"] == 13 and len(found["items"]) == 5
    kinds = next(f for f in found["facets"] if f["name"] == "kind")
    assert [(v["value"], v["count"]) for v in kinds["values"]] == [("lamp", 13)]
    more = client.get("/v1/search", params={"q": "lantern", "cursor": found["next"]}).json()
    assert not set(ids(found)) & set(ids(more)) and more["total"] == 8
    assert client.post("/v1/search", json={"q": "lantern", "facets": ["price:..24"]}).json()["total"] == 5


def test_the_catalogue_is_read_in_pages(client):
    seen, cursor = [], "0"
    while cursor is not None:
        part = client.get("/v1/items", params={"limit": 70, "cursor": cursor, "where": "kind != 'tool'"}).json()
        seen += ids(part)
        cursor = part["next"]
    assert len(seen) == len(set(seen)) == part["total"] == 120
    item = client.get("/v1/items/lamp-0").json()
    assert item["columns"]["kind"] == "lamp" and {"name": "Mood", "value": "calm"} in item["properties"]


REFUSED = {
    "/v1/items/lmp-0": (404, "no item called 'lmp-0'; nearest:"),
    "/v1/similar?item_id=lmp-0": (404, "nearest:"),
    "/v1/traces/nope": (404, "as every answer has it"),
    "/v1/recommendations?cursor=nope": (404, "expected the request_id of one"),
    "/v1/recommendations?k=0": (422, "k is '0'; input should be greater than or equal to 1"),
    "/v1/recommendations?k=many": (422, "valid integer"),
    "/v1/recommendations?where=prise<3": (422, "nearest: ['price']"),
    "/v1/recommendations?where=price<": (422, "character"),
    "/v1/search?q=lamp&facet=kind:lmp": (422, "nearest: ['lamp']"),
    "/v1/search?q=" + "a" * 401: (422, "at most 400"),
    "/v1/similar": (422, "item_id is missing"),
    "/pictures/0/lamp-0.svg": (404, f"expected /pictures/{VERSION}/"),
    "/v1/nowhere": (404, "nothing is served at /v1/nowhere"),
}  # fmt: skip


@pytest.mark.parametrize("path", REFUSED)
def test_a_refusal_is_a_sentence(client, path):
    status, said = REFUSED[path]
    answer = client.get(path)
    assert answer.status_code == status and said in answer.json()["error"], answer.text


def test_events_are_refused_one_by_one(client):
    good = {"user_id": 3, "item_id": "lamp-0", "event_type": "keep"}
    misspelt, worded, unknown = {"item_id": "lmp-0", "event_id": "x"}, {"value": "much"}, {"colour": 1}
    rows = [good, good | misspelt, good | worded, good | unknown, "what", {}]
    answer = client.post("/v1/events", json={"events": rows})
    assert answer.status_code == 200 and answer.json()["accepted"] == 1
    refused = answer.json()["refused"]
    assert [r["place"] for r in refused] == [1, 2, 3, 4, 5] and refused[0]["event_id"] == "x"
    assert "nearest: ['lamp-0'" in refused[0]["reason"] and "no field 'colour'" in refused[2]["reason"]
    nothing = client.post("/v1/events", json=[{**good, "event_type": "kep"}])
    assert nothing.status_code == 422 and "nearest: ['keep']" in nothing.json()["refused"][0]["reason"]
    assert client.post("/v1/events", json={"events": []}).status_code == 422
    assert client.post("/v1/events", content=b"{", headers={"content-type": "application/json"}).status_code == 422
    dated = client.post("/v1/events", json={"events": [{**good, "timestamp": "2023-11-14T00:00:00Z"}]})
    assert dated.json()["accepted"] == 1


def test_a_body_that_is_too_large_is_refused_before_it_is_read():
    with TestClient(create_app(built(DATA), guard=GuardConfig(largest=1000))) as client:
        answer = client.post("/v1/events", content=b"[" + b" " * 2000 + b"]")
        assert answer.status_code == 413 and "more than 1,000 bytes" in answer.json()["error"]
        streamed = client.post("/v1/events", content=(b" " * 400 for _ in range(9)))
        assert streamed.status_code == 413


def test_the_description_of_the_service_is_complete(client):
    described = client.get("/openapi.json").json()
    asked = ("recommendations", "search", "similar", "events", "items", "traces/{request_id}")
    for path in ("/healthz", *(f"/v1/{name}" for name in asked)):
        for call in described["paths"][path].values():
            assert call["description"] and "200" in call["responses"], path
    assert described["components"]["schemas"]["AskRecommendations"]["examples"]
    assert client.get("/docs").status_code == 404  # it would load its script from another host


class Outline(HTMLParser):
    """What a page holds, as a reader of its source sees it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inert = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inert += tag == "template"
        if not self.inert:
            self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.inert -= tag == "template"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_the_first_feed_is_inside_the_page(client):
    answer = client.get("/")
    page = Outline(answer.text)
    assert "Nothing asked. 150 things." in answer.text and "[[" not in answer.text.replace("[[]]", "")
    assert len([a for a in page.all("li") if "hero" in (a.get("class") or "")]) == 4
    pictures = [a for a in page.all("img") if a.get("class") == "picture"]
    assert len(pictures) >= 10 and all(a["width"] and a["height"] and a["loading"] for a in pictures)
    assert [a["loading"] for a in pictures[:3]] == ["eager", "eager", "lazy"]
    state = json.loads(re.search(r'id="state">(.*?)</script>', answer.text, re.S)[1])
    assert state["user"] == "u3" and len(state["feed"]["grid"]) == 24


def test_nothing_in_the_page_refers_to_another_host(client):
    for answer in (client.get("/"), *(client.get(f"/web/{file.name}") for file in WEB.iterdir())):
        named = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r"http://www\.w3\.org/2000/svg", "", answer.text)))
        assert not named, named
    policy = client.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")


def imported(script: str, pattern: str) -> set[str]:
    """The modules that a script names in its imports of one kind."""
    return set(re.findall(pattern, (WEB / script).read_text(), re.MULTILINE))


def fetched(script: str, *, later: bool) -> set[str]:
    """Every module that a browser has to fetch for one of them; with `later` also what is imported as it is used."""
    found, left = set[str](), {script}
    while left:
        found |= left
        wanted = set().union(*(imported(s, r"^import .*?'\./([\w.]+)';$") for s in left))
        if later:
            wanted |= set().union(*(imported(s, r"import\('\./([\w.]+)'\)") for s in left))
        left = wanted - found
    return found


BUDGET = 60_000  # bytes: the page's HTML, styles and scripts, compressed as they are sent


def test_the_page_fits_its_budget(client):
    def weight(path: str) -> int:
        with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["content-encoding"] == "gzip"
            return sum(len(part) for part in answer.iter_raw())

    entry = re.findall(r'<script type="module" src="/web/([\w.]+)"', client.get("/").text)
    assert entry == ["router.js"]
    feed = fetched("router.js", later=False)
    views = set().union(*(imported(script, r"import\('\./([\w.]+)'\)") for script in feed))
    opened = {view: feed | fetched(view, later=True) for view in views}
    assert len(views) >= 4 and set().union(*opened.values()) == {file.name for file in WEB.glob("*.js")}
    scripts = {name: weight(f"/web/{name}") for name in set().union(*opened.values())}
    page = weight("/") + weight("/web/page.css")  # with the first feed inside
    assert page + sum(scripts[name] for name in feed) <= 40_000
    for view, needed in opened.items():
        heavy = page + sum(scripts[name] for name in needed)
        assert heavy <= BUDGET, f"{view} weighs {heavy:,} bytes with the page and what it imports"
    shell = len(gzip.compress((WEB / "index.html").read_bytes(), 5))
    every = shell + weight("/web/page.css") + sum(scripts.values())
    assert every <= BUDGET, f"all views together weigh {every:,} bytes"


def test_people_are_found_by_the_beginning_of_their_id(client):
    def found(prefix: str) -> list[str]:
        return [p["user_id"] for p in client.get("/v1/people", params={"prefix": prefix}).json()["people"]]

    assert found("U1") == ["u1", *(f"u{i}" for i in range(10, 17))] and found("u17") == ["u17"]
    assert found("nobody") == [] and 2 < len(found("")) <= 11  # without one: a few of different tastes


def test_a_stranger_gets_a_name_of_their_own_and_keeps_it(client):
    client.cookies.clear()
    answer = client.get("/")
    assert "Hello. Nothing is known of you." in answer.text
    who = answer.cookies["interplay_person"]
    assert who.startswith("visitor-") and "set-cookie" not in client.get("/").headers


def test_what_items_say_stays_text():
    rude = DATA.catalogue.with_columns(title=DATA.catalogue["title"] + "</script><b onclick=x>{{by}}[[state]]")
    with TestClient(create_app(built(replace(DATA, catalogue=rude)))) as client:
        html = client.get("/").text
        assert "<b onclick" not in html and html.count('id="state"') == 1
        assert "{{by}}[[state]]" in html


def test_ids_of_any_shape_go_in_and_come_out():
    odd = ["a/b c", "ü?&#", 'say "hi"', 7, "007", "..", "x" * 300]
    n = len(odd)
    frame = pl.DataFrame({"title": [f"Thing {i}" for i in range(n)]})
    events = Events(user=np.zeros(n, np.int32), item=np.arange(n, dtype=np.int32), ordered=True)
    data = Dataset(name="odd", users=Ids([5]), items=Ids(odd), events=events, catalogue=frame)
    with TestClient(create_app(built(data))) as client:
        for name in odd:
            quoted = quote(str(name), safe="") if name != ".." else "%2E%2E"
            answer = client.get(f"/v1/items/{quoted}").json()
            assert answer.get("item_id") == name, answer
            assert client.get(f"/pictures/{VERSION}/{quoted}.svg").status_code == 200
            told = client.post("/v1/events", json={"user_id": 5, "item_id": name, "event_type": "keep"})
            assert told.json()["accepted"] == 1
        assert set(client.get("/v1/people/5").json()["kept"]) == {str(name) for name in odd}


def test_values_are_escaped_and_markup_is_not():
    assert fill("{{a}}{{*a}}{{?b}}<i>{{b}}</i>{{/b}}{{?c}}x{{/c}}", {"a": "<", "b": 0, "c": True}) == "&lt;<x"


def test_every_view_has_an_address(client):
    for path in ("/search", "/people", "/item/lamp-0"):
        assert client.get(path).status_code == 200
    assert client.get("/item/lmp-0").status_code == 404


def test_pictures_are_drawn_once_and_cached_for_ever(client):
    for path in (f"/pictures/{VERSION}/lamp-0.svg", f"/pictures/{VERSION}/lamp-0.svg?wide=1", "/faces/7.svg"):
        answer = client.get(path)
        assert answer.headers["content-type"] == "image/svg+xml" and "immutable" in answer.headers["cache-control"]
        assert 'xmlns="http://www.w3.org/2000/svg"' in answer.text and client.get(path).content == answer.content
    assert client.get("/web/page.css").headers["cache-control"] == "no-cache"


def test_the_page_begins_before_its_feed_is_known_and_asks_again_where_there_is_none(client):
    page = client.app.state.pages["default"]
    asked = []
    parts = page.parts("u3", lambda: asked.append("feed") or feed(page.engine, "u3"))
    top = next(parts)
    assert 'id="who-name"' in top and "</header>" in top and "[[" not in top and not asked
    assert 'class="hero"' in next(parts) and asked == ["feed"]

    def fails():
        raise ValueError("no feed")

    whole = "".join(page.parts("u3", fails))
    state = json.loads(re.search(r'id="state">(.*?)</script>', whole, re.S)[1])
    assert state["feed"] is None and '<section data-view="feed" aria-labelledby="feed-h" >' in whole
    assert "".join(page.parts("u3", None)).count('data-view="feed" aria-labelledby="feed-h" hidden') == 1
