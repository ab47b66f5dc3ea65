"""What is printed on things: cover art by genre, boards of games, scenes of prints.

Cover art is drawn in a 140 x 150 box in two inks; boards in the window 48 78 144 126, scenes in 66 58 108 164.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from interplay.worlds.drawings import GROUNDS, Draw, circle, line, number, path, rect, ring

Art: TypeAlias = Callable[[str, str, Draw], str]


def _mystery(a: str, b: str, r: Draw) -> str:
    return circle(70, 62, 50, a) + path("M70 30a24 24 0 0 1 12 45l12 62H46l12-62a24 24 0 0 1 12-45z", b)


def _horror(a: str, b: str, r: Draw) -> str:
    stairs = "".join(rect(0, 62 + i * 15, 24 + i * 20, 16, b, f'opacity="{number(0.45 + i * 0.1)}"') for i in range(6))
    return circle(98, 44, 26, a) + stairs + circle(88, 40, 22, b, 'opacity=".55"')


def _essays(a: str, b: str, r: Draw) -> str:
    rain = "".join(line(f"M{10 + i * 10} {number(8 + r() * 50)}v{number(20 + r() * 66)}", b, 4) for i in range(13))
    return circle(92, 54, 34, a) + rain


def _cooking(a: str, b: str, r: Draw) -> str:
    out = ""
    for i in range(4):
        w = 46 - i * 6
        out += path(f"M{70 - w} {100 - i * 24}h{2 * w}q-4 30-{w} 30t-{w}-30z", a if i % 2 else b)
    return out + line("M58 18q-8-8 0-16M82 18q-8-8 0-16", b, 3.5)


def _scifi(a: str, b: str, r: Draw) -> str:
    out = circle(70, 72, 22, a)
    for i in range(4):
        q, turn = 32 + i * 13, r() * 6.28
        moon = circle(70 + q * math.cos(turn), 72 + q * math.sin(turn), 4 + r() * 5, a if i % 2 else b)
        out += ring(70, 72, q, b, 2.5) + moon
    return out


def _comedy(a: str, b: str, r: Draw) -> str:
    out = line("M-6 118q18-96 40 0 16-76 38 0 14-56 34 0 12-36 40 0", b, 4)
    for i in range(11):
        x, y, turn = number(12 + r() * 116), number(12 + r() * 60), number(r() * 360)
        out += path(f"M{x} {y}a9 9 0 0 1 18 0z", a if i % 3 else b, f'transform="rotate({turn} {x} {y})"')
    return out + circle(110, 84, 13, a)


def _poetry(a: str, b: str, r: Draw) -> str:
    wing = path("M2 66Q30 4 62 22 70 64 2 78z", b) + path("M2 78q52 0 48 34-26 30-48-20z", a) + circle(40, 42, 9, a)
    wings = "".join(f'<g transform="translate(70 0) scale({f} 1)">{wing}</g>' for f in (1, -1))
    return wings + path("M66 50h8l-2 66h-4z", b) + line("M70 52q-6-26-18-30M70 52q6-26 18-30", b, 2.5)


def _nature(a: str, b: str, r: Draw) -> str:
    out, n = line("M74 146Q50 80 82 8", b, 4), number
    for i in range(9):
        y, x, w = 132 - i * 14, n(71 - math.sin(i / 2.9) * 9 + i * 0.6), 44 - i * 3.6
        for side, ink in ((-1, a if i % 2 else b), (1, b if i % 2 else a)):
            out += path(
                f"M{x} {y}q{n(side * w * 0.6)} {n(-w * 0.6)} {n(side * w)} {n(-w * 0.1)}"
                f"q{n(-side * w * 0.5)} {n(w * 0.25)} {n(-side * w)} {n(w * 0.1)}z", ink
            )  # fmt: skip
    return out


def _history(a: str, b: str, r: Draw) -> str:
    columns = "".join(rect(22 + i * 27, 60, 15, 62, b if i % 2 else a) for i in range(4))
    roof, steps = (
        path("M8 52 70 16 132 52z", b) + circle(70, 40, 7, a),
        rect(8, 122, 124, 9, b) + rect(0, 134, 140, 9, a),
    )
    return roof + columns + steps


def _romance(a: str, b: str, r: Draw) -> str:
    heart = "M70 132Q6 84 18 48q10-26 34-18 12 4 18 18 6-14 18-18 24-8 34 18 12 36-52 84z"
    rays = "".join(line(f"M{20 + i * 25} {number(10 + r() * 10)}v10", b, 3.5) for i in range(5))
    return path(heart, a) + path("M70 132Q6 84 18 48q10-26 34-18 12 4 18 18z", b, 'opacity=".8"') + rays


ART: dict[str, Art] = {
    "mystery": _mystery, "horror": _horror, "essays": _essays, "cooking": _cooking, "scifi": _scifi, "comedy": _comedy,
    "poetry": _poetry, "nature": _nature, "history": _history, "romance": _romance,
}  # fmt: skip


def _board(a: str, b: str, t: str, r: Draw) -> str:
    out = ""
    for j in range(4):
        for i in range(4):
            ink = a if r() < 0.5 else b if r() < 0.6 else t
            out += path(f"M{62 + i * 32 + (j % 2) * 16} {96 + j * 28}l15 9v17l-15 9-15-9v-17z", ink)
    return out


def _cards(a: str, b: str, t: str, r: Draw) -> str:
    out = ""
    for i, turn in enumerate((-24, -8, 8, 24)):
        ink = (b, a, b, a)[i]
        face = rect(98, 92, 44, 66, "#fffdf8", 'rx="4"') + rect(98, 92, 44, 66, ink, 'rx="4" opacity=".9"')
        sign = path("M120 106l12 18-12 18-12-18z", "#fffdf8") if r() < 0.5 else circle(120, 124, 12, "#fffdf8")
        out += f'<g transform="rotate({turn} 120 210)">{face}{sign}</g>'
    return out


def _puzzle(a: str, b: str, t: str, r: Draw) -> str:
    out = ""
    for j in range(3):
        for i in range(4):
            x, y = 48 + i * 36, 78 + j * 42
            out += rect(x, y, 36, 42, (a, b, "#fffdf8")[(i + j + int(r() * 2)) % 3])
            out += circle(x + 36, y + 21, 8, (b, a)[(i + j) % 2]) + circle(x + 18, y + 42, 8, (a, b)[(i + j) % 2])
    return out


def _dice(a: str, b: str, t: str, r: Draw) -> str:
    out = ""
    for x, y, turn, ink in ((62, 92, -10, a), (124, 112, 14, b)):
        dots = ((14, 14), (42, 42), (14, 42), (42, 14), (28, 28))[: 2 + int(r() * 4)]
        spots = "".join(circle(x + dx, y + dy, 5.5, "#fffdf8") for dx, dy in dots)
        die = rect(x, y, 56, 56, ink, 'rx="9"')
        out += f'<g transform="rotate({turn} {x + 28} {y + 28})">{die}{spots}</g>'
    return out + line("M60 178q30 14 60 0t60 0", t if r() < 0.3 else a, 6)


def _words(a: str, b: str, t: str, r: Draw) -> str:
    letters, out = "AEINORSTLUMK", ""
    font = 'text-anchor="middle" fill="#fffdf8" font-family="Arial,sans-serif" font-weight="700" font-size="19"'
    for j in range(3):
        for i in range(4):
            if (i + j) % 4 == 3:
                continue
            x, y, ink = 56 + i * 33, 86 + j * 38, a if (i * 2 + j) % 3 else b
            letter = letters[int(r() * len(letters))]
            out += rect(x, y, 28, 32, ink, 'rx="3"') + f'<text x="{x + 14}" y="{y + 23}" {font}>{letter}</text>'
    return out


BOARDS: dict[str, Callable[[str, str, str, Draw], str]] = {
    "board": _board, "cards": _cards, "puzzle": _puzzle, "dice": _dice, "words": _words,
}  # fmt: skip


def _landscape(a: str, b: str, third: str, r: Draw) -> tuple[str, str]:
    ground = GROUNDS["halftone" if r() < 0.5 else "rings"](r, a) + path("M40 222v-46q40-46 80-10t80-24v80z", b)
    return ground, circle(90 + r() * 60, 106 + r() * 24, 40, third)


def _city(a: str, b: str, third: str, r: Draw) -> tuple[str, str]:
    houses, x = "", 66.0
    while x < 174:
        w, h = 16 + r() * 18, 40 + r() * 84
        houses += rect(x, 222 - h, w, h, b if r() < 0.6 else a)
        houses += "".join(rect(x + 4, 222 - h + 8 + k * 16, 5, 7, "#fffdf8") for k in range(int(h / 20)) if r() < 0.7)
        x += w
    return rect(66, 58, 108, 164, a, 'opacity=".35"') + houses, circle(150 - r() * 60, 92, 20, third)


def _botanical(a: str, b: str, third: str, r: Draw) -> tuple[str, str]:
    lean = (r() - 0.5) * 24
    stem, leaves = line(f"M120 222Q{number(120 + lean)} 150 120 86", b, 5), ""
    for i in range(4):
        y, s = 200 - i * 28, 30 - i * 3
        leaves += path(f"M120 {y}q{-s} {-s} {-s - 12} {-6}q{s * 0.4:.1f} 22 {s + 12} 6z", a if i % 2 else b)
        leaves += path(f"M120 {y - 10}q{s} {-s} {s + 12} {-6}q{-s * 0.4:.1f} 22 {-s - 12} 6z", b if i % 2 else a)
    return stem + leaves, circle(120, 84, 20 + r() * 8, third) + circle(120, 84, 7, b)


def _abstract(a: str, b: str, third: str, r: Draw) -> tuple[str, str]:
    x, y = 84 + r() * 40, 90 + r() * 40
    band, edge, fall = rect(66, 58 + r() * 80, 108, 44, a), number(150 + r() * 40), number(-30 + r() * 60)
    below = band + path(f"M66 222V{edge}l108 {fall}V222z", b)
    return below, circle(x, y, 26 + r() * 12, third) + ring(x + 30, y + 60, 22, third, 7)


SCENES: dict[str, Callable[[str, str, str, Draw], tuple[str, str]]] = {
    "landscape": _landscape, "city": _city, "botanical": _botanical, "abstract": _abstract,
}  # fmt: skip
