"""Pictures from a seed: every item without a photograph gets one, the same one every time.

`picture(item)` is pure: FNV-1a of the seed starts mulberry32, so the same seed gives the same bytes anywhere. Facets
choose what is drawn (kind, form, genre) and in which two inks (mood); the seed chooses the rest. The things themselves
are in `drawings.py`. A kind without a drawing gets ground, texture and two lettered words. About 1 to 7 KB each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from interplay.worlds import covers, drawings
from interplay.worlds.drawings import Draw, circle, line, number, path, rect

INK = {
    "pine": "#0f6a52", "magenta": "#d6226f", "marigold": "#f3a71f", "ultra": "#2d4bb5", "tomato": "#e34c31",
    "sky": "#62b9d4", "plum": "#67306e", "moss": "#86a63f", "slate": "#41535a", "blush": "#f2a3b3", "night": "#22304f",
}  # fmt: skip
PAPER = {
    "warm": "#f7efe1", "mist": "#e9f0ec", "rose": "#f6e7ea", "air": "#e4eef4", "straw": "#f4efd6", "lilac": "#ebe7f3",
}  # fmt: skip
MOODS = {  # mood -> (light ink, dark ink, paper); the first draw turns the wheel
    "calm": (("sky", "pine", "mist"), ("sky", "ultra", "air"), ("moss", "slate", "mist")),
    "warm": (("marigold", "tomato", "warm"), ("blush", "tomato", "warm"), ("marigold", "plum", "rose")),
    "dark": (("tomato", "night", "lilac"), ("magenta", "night", "lilac"), ("sky", "plum", "lilac")),
    "bright": (("marigold", "magenta", "rose"), ("sky", "magenta", "air"), ("marigold", "ultra", "straw")),
    "fresh": (("moss", "pine", "straw"), ("marigold", "pine", "straw"), ("moss", "ultra", "air")),
    "plain": (("blush", "slate", "mist"), ("marigold", "slate", "warm"), ("sky", "slate", "air")),
}
TEXTURES = ("dots", "hatch", "bars", "grid", "waves")
LETTERS = "'Avenir Next','Segoe UI','Helvetica Neue',Arial,sans-serif"
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
SVG = 'xmlns="http://www.w3.org/2000/svg"'
VERSION = 1  # part of a picture's address: another drawing of the same seed is another file


def picture(item: Mapping[str, Any], *, wide: bool = False, label: str = "") -> str:
    """SVG text for an item: a mapping with `seed` or `item_id` or `id`, and whatever of kind, form, genre, mood, title
    and maker is known. `wide` shows more ground at the sides; `label` names the picture for readers."""
    seed = str(item.get("seed") or item.get("item_id") or item.get("id") or item.get("title") or "")
    draw = drawing(seed)
    wheel = MOODS.get(str(item.get("mood")), MOODS["plain"])
    light, dark, sheet = wheel[int(draw() * len(wheel))]
    sketch = Sketch(item, draw, INK[light], INK[dark], PAPER[sheet], f"p{hashed(seed):x}")
    defs, ground, thing = sketch.drawn()
    box = "-90 0 420 300" if wide else "0 0 240 300"
    named = f'role="img" aria-label="{escape(printable(label))}"' if label else 'aria-hidden="true"'
    sheet = rect(-240, 0, 720, 300, sketch.paper)
    return (
        f'<svg {SVG} class="picture" viewBox="{box}" preserveAspectRatio="xMidYMid slice" {named} focusable="false">'
        f'<defs>{defs}</defs><g style="isolation:isolate">{sheet}{ground}{thing}</g></svg>'
    )


def face(seed: object) -> str:
    """SVG text of a face for an invented person: two plates, no likeness of anybody."""
    draw = drawing(f"face {seed}")
    a = INK[("sky", "marigold", "blush", "moss", "tomato")[int(draw() * 5)]]
    b = INK[("pine", "ultra", "plum", "magenta", "slate")[int(draw() * 5)]]
    paper, w = list(PAPER.values())[int(draw() * 6)], 26 + draw() * 6
    tilt = (draw() - 0.5) * 14
    n = number
    hair = (
        f"M{n(50 - w - 6)} 54q0-40 {n(w + 6)}-40t{n(w + 6)} 40q-14-22-{n(w)}-20t-{n(w + 12)} 20z",
        f"M{n(50 - w - 4)} 80V48q2-34 34-34t30 34v32h-12V50q-20 4-30-10-6 12-14 12v28z",
        f"M{n(50 - w)} 40q8-26 34-26t24 22q-30-8-58 4z",
    )[int(draw() * 3)]
    turned = f'transform="rotate({n(tilt)} 50 50)"'
    head = f'<ellipse cx="50" cy="50" rx="{n(w)}" ry="{n(w + 4)}" fill="{a}" {turned}/>'
    return (
        f'<svg {SVG} class="face" viewBox="0 0 100 100" aria-hidden="true" focusable="false">'
        '<g style="isolation:isolate">'
        f"{rect(0, 0, 100, 100, paper)}{plate(path('M8 104q4-34 42-34t42 34z', b))}{plate(head)}"
        f"{plate(path(hair, b), 1.5)}{circle(41, 52, 2.4, b)}{circle(59, 52, 2.4, b)}"
        f"{line('M43 65q7 5 14 0', b, 2.4)}</g></svg>"
    )


def hashed(text: str) -> int:
    """FNV-1a, 32 bits, over code points.

    >>> hashed("lamp-0412")
    1320499365
    """
    h = 2166136261
    for letter in text:
        h = ((h ^ ord(letter)) * 16777619) & 0xFFFFFFFF
    return h


def drawing(seed: str) -> Draw:
    """mulberry32 started by the seed: a function that gives the next number in [0, 1)."""
    state = hashed(seed)

    def draw() -> float:
        nonlocal state
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = ((state ^ (state >> 15)) * (1 | state)) & 0xFFFFFFFF
        t = ((t + (((t ^ (t >> 7)) * (61 | t)) & 0xFFFFFFFF)) & 0xFFFFFFFF) ^ t
        return (t ^ (t >> 14)) / 4294967296

    return draw


def printable(value: object) -> str:
    """The text of a title or a maker without characters that XML does not know; nothing for nothing.

    >>> printable("Moth\\x00 Hours"), printable(None)
    ('Moth Hours', '')
    """
    return _UNPRINTABLE.sub("", str(value or ""))


def plate(inner: str, dx: float = 0, dy: float = 0) -> str:
    """One ink, multiplied over what lies below, moved by a hair."""
    moved = f' transform="translate({number(dx)} {number(dy)})"' if dx or dy else ""
    return f'<g style="mix-blend-mode:multiply"{moved}>{inner}</g>'


def texture(name: str, kind: str, ink: str) -> str:
    """A pattern in one ink, used as a fill."""
    size, tile = {
        "dots": (8, circle(2, 2, 1.5, ink) + circle(6, 6, 1.5, ink)), "hatch": (7, line("M-1 8 8-1", ink, 1.6)),
        "bars": (10, rect(0, 0, 10, 4, ink)), "grid": (14, line("M0 7H14M7 0V14", ink, 1.5)),
        "waves": (16, line("M0 6q4-6 8 0t8 0M0 14q4-6 8 0t8 0", ink, 1.6)),
    }[kind]  # fmt: skip
    return f'<pattern id="{name}" width="{size}" height="{size}" patternUnits="userSpaceOnUse">{tile}</pattern>'


def lettering(title: str, x: float, y: float, width: float, ink: str, lines: int = 3) -> str:
    """The title broken into at most `lines` lines that fit; the longest line sets the size."""
    words = title.split() or [""]
    per = max(max(map(len, words)), -(-len(title) // lines))
    while True:
        out = [""]
        for word in words:
            if out[-1] and len(out[-1]) + 1 + len(word) > per:
                out.append(word)
            else:
                out[-1] = f"{out[-1]} {word}".strip()
        if len(out) <= lines:
            break
        per += 1
    size = min(20.0, width / (max(map(len, out)) * 0.56 or 1))
    font = f'font-size="{number(size)}" font-weight="700" letter-spacing="-.3" fill="{ink}" font-family="{LETTERS}"'
    return "".join(
        f'<text x="{number(x)}" y="{number(y + (i - len(out) + 1) * size * 1.04)}" {font}>{escape(text)}</text>'
        for i, text in enumerate(out)
    )


class Sketch:
    """One picture in the making: the item, its draws, its two inks and its paper."""

    def __init__(self, item: Mapping[str, Any], draw: Draw, a: str, b: str, paper: str, name: str) -> None:
        self.item, self.draw, self.a, self.b, self.paper, self.name = item, draw, a, b, paper, name
        self.kind, self.form = str(item.get("kind") or ""), str(item.get("form") or "")
        self.title, self.maker = printable(item.get("title")), printable(item.get("maker"))
        self.slip = (1.6 + draw() * 1.6, (draw() - 0.5) * 3)
        self.weave = TEXTURES[int(draw() * len(TEXTURES))]
        self.fill = f"url(#{name})"
        self.defs = texture(name, self.weave, a if self.kind in ("pot", "lamp") else paper)

    def drawn(self) -> tuple[str, str, str]:
        """(definitions, ground, thing)"""
        own: dict[str, Callable[[], tuple[str, str]]] = {
            "book": self._book, "pot": self._pot, "textile": self._textile, "game": self._game, "print": self._print,
        }  # fmt: skip
        ground, thing = own.get(self.kind, self._plain_thing if self.kind in drawings.THINGS else self._words)()
        return self.defs, ground, thing

    def ground(self, *names: str, ink: str = "") -> str:
        name = names[int(self.draw() * len(names))]
        return plate(drawings.GROUNDS[name](self.draw, ink or self.a))

    def clip(self, d: str) -> str:
        self.defs += f'<clipPath id="{self.name}c"><path d="{d}"/></clipPath>'
        return f'clip-path="url(#{self.name}c)"'

    def shadow(self, x: float, y: float, w: float, h: float, by: float = 7) -> str:
        return plate(rect(x, y, w, h, self.b, 'opacity=".28" rx="3"'), by, by)

    def _plain_thing(self) -> tuple[str, str]:
        """Silhouette in the dark ink, a second plate in the light ink, and texture, printed a hair out of register."""
        forms = drawings.THINGS[self.kind]
        form = forms.get(drawings.ALIASES.get(self.form, self.form)) or next(iter(forms.values()))
        lamp = self.kind == "lamp"
        below, dark, light, textured = form(INK["marigold"] if lamp else self.a, self.b, self.fill, self.draw)
        if lamp:
            glow = INK["blush"] if self.a == INK["marigold"] else self.a
            ground = plate(f'<g opacity=".55">{self.ground("arch", "hills", "sun", "table", ink=glow)}</g>')
        else:
            ground = f'<g opacity=".8">{self.ground("table", "sun", "arch", "rings", "tiles", "hills")}</g>'
        moved = f'<g transform="translate({number(self.slip[0])} {number(self.slip[1])})">{textured}</g>'
        return ground, plate(light) + plate(below) + plate(dark, *self.slip) + moved

    def _book(self) -> tuple[str, str]:
        dark = self.item.get("mood") == "dark" or self.draw() < 0.34
        base, ink = (self.b, self.paper) if dark else ("#fffdf8", self.b)
        art = covers.ART.get(str(self.item.get("genre")), covers.ART["essays"])(self.a, ink, self.draw)
        ground = f'<g opacity=".5">{self.ground("tiles", "sun", "halftone", "hills")}</g>'
        multiplied = "" if dark else ' style="mix-blend-mode:multiply"'
        maker = f'<text x="64" y="253" font-size="7.6" letter-spacing=".4" fill="{ink}" font-family="Arial,sans-serif">'
        return ground, (
            self.shadow(60, 44, 140, 224) + rect(52, 36, 142, 226, base, 'rx="3"')
            + '<svg x="53" y="44" width="140" height="132" viewBox="0 0 140 150" overflow="hidden">'
            + f"<g{multiplied}>{art}</g></svg>"
            + lettering(self.title, 64, 238, 118, ink) + f"{maker}{escape(self.maker)}</text>"
            + rect(52, 36, 6, 226, "#000", 'opacity=".13"')
        )  # fmt: skip

    def _pot(self) -> tuple[str, str]:
        ground = self.ground("table", "arch", "sun", "hills")
        form = self.form if self.form in drawings.POTS else "bowl"
        outline = drawings.POTS[form]
        clip, y = self.clip(outline), 120 + self.draw() * 60
        specks = "".join(f"M{number(40 + self.draw() * 160)} {number(60 + self.draw() * 180)}h.1" for _ in range(26))
        glaze = f"M0 {number(y)}q40-24 80 0t80 0 80 0V300H0z"
        foot = 240 if form in ("planter", "teapot", "dish") else 246
        body = (
            path(outline, "#fffdf8") + f"<g {clip}>" + plate(path(glaze, self.b))
            + plate(path(glaze, self.fill), *self.slip) + line(specks, self.b, 3)
            + rect(150, 0, 100, 300, "#000", 'opacity=".1"') + "</g>"
            + plate(path(f"M50 {foot}h140v8H50z", self.b, 'opacity=".25"'))
        )  # fmt: skip
        if form in drawings.GREENS:
            body = plate(drawings.GREENS[form](self.a, INK["pine"], INK["moss"])) + body
        if form in drawings.HANDLES:
            body = line(drawings.HANDLES[form], self.b, 11) + body
        return ground, body

    def _textile(self) -> tuple[str, str]:
        ground = self.ground("sun", "hills", "halftone", "arch")
        weave = drawings.WEAVES.get(self.form, drawings.WEAVES["check"])(self.a, self.b)
        fringe = "".join(f"M{number(48 + i * 9.6)} 250v{number(9 + self.draw() * 7)}" for i in range(16))
        clip = self.clip("M44 60h152v190H44z")
        return ground, (
            line(fringe, self.b, 3) + rect(44, 60, 152, 190, "#fffdf8") + f"<g {clip}>{plate(weave)}"
            + rect(44, 60, 152, 12, self.b, 'opacity=".22"') + "</g>" + line("M30 60H210", self.b, 8)
        )  # fmt: skip

    def _game(self) -> tuple[str, str]:
        ground = self.ground("tiles", "halftone", "hills")
        boards, genre = covers.BOARDS, str(self.item.get("genre"))
        board = boards.get(genre, boards["board"])(self.a, self.b, self.fill, self.draw)
        clip = self.clip("M48 78h144v126H48z")
        return ground, (
            self.shadow(50, 70, 150, 190) + rect(44, 60, 152, 192, self.b, 'rx="4"') + rect(48, 78, 144, 126, "#fffdf8")
            + f"<g {clip}>{plate(board)}</g>" + lettering(self.title, 56, 240, 96, self.paper, 2)
            + path(drawings.PAWN, self.a) + rect(56, 66, 40, 5, self.a)
        )  # fmt: skip

    def _print(self) -> tuple[str, str]:
        ground = rect(-240, 0, 720, 300, self.a, 'opacity=".22"')
        third = INK[("marigold", "magenta", "sky", "tomato")[int(self.draw() * 4)]]
        clip = self.clip("M66 58h108v164H66z")
        scene = covers.SCENES.get(str(self.item.get("genre")), covers.SCENES["landscape"])
        below, thing = scene(self.a, self.b, third, self.draw)
        return ground, (
            self.shadow(50, 38, 148, 214, 8) + rect(46, 34, 148, 214, self.b) + rect(54, 42, 132, 198, "#fffdf8")
            + f"<g {clip}>{plate(below)}{plate(thing, *self.slip)}</g>"
        )  # fmt: skip

    def _words(self) -> tuple[str, str]:
        """For a kind that nobody has drawn: ground, texture and two lettered words."""
        words = (self.title or self.kind or "thing").split()
        two = " ".join(sorted(words, key=len, reverse=True)[:2]) if len(words) > 2 else " ".join(words)
        ground = self.ground("tiles", "arch", "sun", "hills", "rings", "halftone")
        label = rect(28, 96, 184, 128, self.b, 'rx="6"')
        return ground, (
            plate(label, *self.slip) + rect(28, 96, 184, 22, self.fill, 'rx="4"')
            + lettering(two, 42, 202, 156, self.paper, 2) + rect(42, 128, 34, 5, self.a)
        )  # fmt: skip
