"""The page: its HTML with the first feed inside, pictures, faces, and signing in where a key is needed."""

from __future__ import annotations

import html
import secrets
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Cookie, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

from interplay.serve import views
from interplay.serve.answers import NotHere
from interplay.serve.engine import Engine
from interplay.serve.feed import feed
from interplay.serve.guard import COOKIE
from interplay.serve.photos import Photos
from interplay.serve.routes.common import Asked, needs
from interplay.worlds.pictures import VERSION, face

router = APIRouter(include_in_schema=False)
WEB = Path(__file__).parents[1] / "web"
FOREVER = "public, max-age=31536000, immutable"
BARE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Content-Type-Options": "nosniff"}


@router.get("/", response_class=HTMLResponse)
@router.get("/search", response_class=HTMLResponse)
@router.get("/people", response_class=HTMLResponse)
@router.get("/you", response_class=HTMLResponse)
@router.get("/you/history", response_class=HTMLResponse)
@router.get("/operate", response_class=HTMLResponse)
@router.get("/operate/{panel}", response_class=HTMLResponse)
@router.get("/item/{item_id:path}", response_class=HTMLResponse)
def page(
    request: Request, who: Annotated[str | None, Cookie(alias="interplay_person")] = None, item_id: str = ""
) -> Response:
    """The one page; the feed's first screen is inside. What stands above it is sent while the feed is computed."""
    caller = request.state.caller
    if caller is None:
        return _door(request, "")
    if not caller.may("read"):
        return _door(request, "This key may not read.")
    engine: Engine = request.app.state.engines[caller.tenant]
    user = who if who and len(who) <= 128 else f"visitor-{secrets.token_hex(6)}"
    status = 200 if not item_id or engine.dataset.items.index([item_id])[0] >= 0 else 404
    path = request.url.path
    talks = path in ("/", "/search") or path.startswith("/item/")
    first = partial(feed, engine, user) if path == "/" else None
    parts = request.app.state.pages[caller.tenant].parts(user, first, talks=talks)
    answer = StreamingResponse(parts, status, _headers(request), media_type="text/html")
    if user != who:
        answer.set_cookie("interplay_person", user, samesite="lax", httponly=False)
    return answer


@router.get("/sign-in", response_class=HTMLResponse)
async def door(request: Request) -> Response:
    """Where a key is typed."""
    return _door(request, "", 200)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Keep a key in a cookie that scripts cannot read and other sites cannot send."""
    typed = parse_qs((await request.body()).decode("utf-8", "replace")[:1000]).get("key", [""])[0].strip()
    if request.app.state.door.find(typed) is None:
        return _door(request, "This key is not known.")
    answer = RedirectResponse("/", 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, typed, httponly=True, samesite="strict", secure=secure, max_age=7 * 86_400)
    return answer


def _door(request: Request, said: str, status: int = 401) -> HTMLResponse:
    """A page with one field."""
    note = f'<p role="alert">{html.escape(said)}</p>' if said else ""
    drawn = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<title>Sign in · Interplay</title><link rel="stylesheet" href="/web/page.css"><main class="door">'
        f'<h1>A key is needed</h1>{note}<form method="post" action="/sign-in"><label for="key">Key</label>'
        '<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>'
        "<button>Go in</button></form></main></html>"
    )
    return HTMLResponse(drawn, status, headers=_headers(request))


def _headers(request: Request) -> dict[str, str]:
    """What a page may load and who may frame it; pictures also from hosts that the operator allows."""
    photos: Photos = request.app.state.photos
    allowed = f"default-src 'self'; {photos.policy}; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
    return {"Content-Security-Policy": allowed, "Cache-Control": "no-store", "Referrer-Policy": "same-origin"}


@router.get("/pictures/{version}/{item_id:path}", dependencies=[needs("read")])
def item_picture(engine: Asked, request: Request, version: str, item_id: str, wide: bool = False) -> Response:
    """The drawing of an item; its address changes when the way of drawing does, so it is cached for ever."""
    if version != str(VERSION) or not item_id.endswith(".svg"):
        raise NotHere(f"no picture at version {version!r} of {item_id!r}; expected /pictures/{VERSION}/ITEM.svg")
    drawing = views.picture(engine, item_id.removesuffix(".svg"), wide=wide)
    return _svg(drawing, BARE | _cached(FOREVER, keyed=not request.app.state.door.open))


@router.get("/photos/{item_id:path}", dependencies=[needs("read")])
def item_photo(engine: Asked, request: Request, item_id: str, wide: bool = False) -> Response:
    """The photograph that the catalogue names of an item; its drawing where there is none that may be loaded."""
    photos: Photos = request.app.state.photos
    photo = photos.found(engine.window.photo(engine.item(item_id)), request.state.caller.tenant)
    headers = BARE | _cached("public, max-age=3600", keyed=not request.app.state.door.open)
    if photo is None:
        return _svg(views.picture(engine, item_id, wide=wide), headers)
    if photo.address is not None:
        return RedirectResponse(photo.address, 307, headers)
    if photo.file is not None:
        return FileResponse(photo.file, headers=headers, media_type=f"image/{photo.kind}")
    return Response(photo.body, headers=headers, media_type=f"image/{photo.kind}")


@router.get("/faces/{seed}.svg")
def item_face(seed: str) -> Response:
    """The face of an invented person."""
    return _svg(face(seed), BARE | _cached(FOREVER, keyed=False))


def _svg(drawing: str, headers: dict[str, str]) -> Response:
    if "xmlns=" not in drawing[:400]:
        drawing = drawing.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return Response(drawing, media_type="image/svg+xml", headers=headers)


def _cached(how: str, *, keyed: bool) -> dict[str, str]:
    """How long a picture is kept; where keys are needed only by the asker's own cache."""
    if not keyed:
        return {"Cache-Control": how}
    return {"Cache-Control": how.replace("public", "private"), "Vary": "Cookie, Authorization"}


class Web(StaticFiles):
    """The page's own files: always asked for again, and answered with 304 while they are the same."""

    def file_response(self, *args: Any, **more: Any) -> Response:
        answer = super().file_response(*args, **more)
        answer.headers["Cache-Control"] = "no-cache"
        return answer
