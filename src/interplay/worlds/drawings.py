"""The things a picture may show: grounds, silhouettes by kind and form, cover art by genre.

A form is a function of the light ink, the dark ink, a textured fill and the draws; it returns four layers: silhouette,
second plate, light, texture. Add a kind by adding its forms here, a form by adding a function of about four paths.
Coordinates are those of a 240 x 300 sheet; grounds are wider than the sheet, so that any crop works.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Draw: TypeAlias = Callable[[], float]
Layers: TypeAlias = tuple[str, str, str, str]
Form: TypeAlias = Callable[[str, str, str, Draw], Layers]


def number(x: float) -> str:
    """One decimal at most, and no more than needed.

    >>> number(3.0), number(-0.04), number(12.34)
    ('3', '0', '12.3')
    """
    text = f"{x:.1f}"
    text = text[:-2] if text.endswith(".0") else text
    return "0" if text == "-0" else text


def circle(x: float, y: float, r: float, fill: str, more: str = "") -> str:
    return f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" fill="{fill}"{" " if more else ""}{more}/>'


def rect(x: float, y: float, w: float, h: float, fill: str, more: str = "") -> str:
    return (
        f'<rect x="{number(x)}" y="{number(y)}" width="{number(w)}" height="{number(h)}" fill="{fill}"'
        f"{' ' if more else ''}{more}/>"
    )


def path(d: str, fill: str, more: str = "") -> str:
    return f'<path d="{d}" fill="{fill}"{" " if more else ""}{more}/>'


def line(d: str, colour: str, width: float, more: str = "") -> str:
    return (
        f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{number(width)}" stroke-linecap="round"'
        f' stroke-linejoin="round"{" " if more else ""}{more}/>'
    )


def ring(x: float, y: float, r: float, colour: str, width: float, more: str = "") -> str:
    return (
        f'<circle cx="{number(x)}" cy="{number(y)}" r="{number(r)}" fill="none" stroke="{colour}"'
        f' stroke-width="{number(width)}"{" " if more else ""}{more}/>'
    )


def leaf(x: float, y: float, h: float, ink: str) -> str:
    """Three leaves from one point, the tallest h high."""
    n = number
    side: Callable[[int], str] = lambda s: (
        f"M{n(x)} {n(y)}q{n(s * h * 0.75)} 0 {n(s * h * 0.7)} {n(-h * 0.55)}"
        f"q{n(-s * h * 0.6)} 0 {n(-s * h * 0.7)} {n(h * 0.55)}z"
    )
    middle = f"M{n(x)} {n(y)}q{n(-h * 0.5)} {n(-h * 0.4)} 0 {n(-h)}q{n(h * 0.5)} {n(h * 0.6)} 0 {n(h)}z"
    return path(middle, ink) + path(side(-1) + side(1), ink)


# ---- grounds


def _arch(r: Draw, a: str) -> str:
    w = 70 + r() * 22
    top, n = 96 + w * 0.2, number
    return path(f"M{n(120 - w)} 300V{n(top)}a{n(w)} {n(w)} 0 0 1 {n(2 * w)} 0V300z", a)


def _hills(r: Draw, a: str) -> str:
    y = 150 + r() * 50
    hills = path(f"M-240 300V{number(y)}q90-70 190-20t180-10 190-30 160 40V300z", a, 'opacity=".55"')
    return hills + circle(40 + r() * 160, 60 + r() * 30, 24 + r() * 10, a)


def _rings(r: Draw, a: str) -> str:
    x = 40 + r() * 160
    return "".join(ring(x, 90, i * 34, a, 9, 'opacity=".6"') for i in range(1, 5))


def _tiles(r: Draw, a: str) -> str:
    out = ""
    for i in range(-2, 5):
        for j in range(4):
            x, y = i * 80, j * 80 - 10
            quarter = (
                f"M{x} {y}a80 80 0 0 1 80 80h-80z",
                f"M{x + 80} {y}a80 80 0 0 0-80 80h80z",
                f"M{x} {y + 80}a80 80 0 0 0 80-80h-80z",
                f"M{x + 80} {y + 80}a80 80 0 0 1-80-80h80z",
            )[int(r() * 4)]
            out += path(quarter, a, f'opacity="{(".3", ".55", ".8")[int(r() * 3)]}"')
    return out


def _halftone(r: Draw, a: str) -> str:
    up, out = r() < 0.5, ""
    for j in range(13):  # dots are dashes of no length with round ends: one short path a row
        width = 2 + (j if up else 12 - j) * 1.35
        out += line(f"M{(j % 2) * 12 - 145} {j * 25}H500", a, width, 'stroke-dasharray=".1 23.9"')
    return out


def _table(r: Draw, a: str) -> str:
    board = rect(-240, 196 + r() * 14, 720, 140, a, 'opacity=".75"')
    return board + (circle(190, 66, 30, a) if r() < 0.5 else "")


GROUNDS: dict[str, Callable[[Draw, str], str]] = {
    "sun": lambda r, a: circle(60 + r() * 120, 70 + r() * 90, 62 + r() * 40, a),
    "arch": _arch,
    "hills": _hills,
    "table": _table,
    "rings": _rings,
    "tiles": _tiles,
    "halftone": _halftone,
}

# ---- things: silhouette, second plate, light, texture

_SHADE, _HOOD = "M58 136q4-66 62-66t62 66q-62 20-124 0z", "M40 156q2-96 80-96t80 96q-80 22-160 0z"
LAMPS: dict[str, Form] = {
    "pebble": lambda a, b, t, r: (
        path("M62 250q0-34 58-34t58 34z", b) + rect(116, 132, 8, 90, b),
        path(_SHADE, b),
        path("M70 146 20 300H220L170 146q-50 12-100 0z", a, 'opacity=".8"'),
        path(_SHADE, t),
    ),
    "heron": lambda a, b, t, r: (
        line("M88 270q-6-120 20-176t66-30", b, 7) + rect(58, 264, 62, 12, b, 'rx="6"'),
        path("M140 84q4-46 40-50 40 8 36 60z", b),
        path("M140 88 96 300h160L216 96z", a, 'opacity=".8"'),
        path("M140 84q4-46 40-50 40 8 36 60z", t),
    ),
    "moon": lambda a, b, t, r: (
        circle(120, 140, 84, a) + rect(112, 224, 16, 50, b),
        path("M120 56a84 84 0 0 1 0 168q46-84 0-168z", b),
        "",
        path("M120 56a84 84 0 0 0 0 168z", t),
    ),
    "lantern": lambda a, b, t, r: (
        path("M92 70q28-60 56 0", "none", f'stroke="{b}" stroke-width="7"')
        + rect(84, 66, 72, 16, b, 'rx="4"')
        + rect(76, 240, 88, 20, b, 'rx="4"'),
        line("M88 84V240M152 84V240M120 84V240", b, 5),
        path("M84 82h72l8 160H76z", a),
        path("M100 236q0-44 20-70 20 26 20 70z", t),
    ),
    "wren": lambda a, b, t, r: (
        line("M70 262v-70l52-48", b, 8) + rect(44, 244, 56, 22, b, 'rx="6"') + circle(70, 192, 9, b),
        path("M110 140 150 84l52 44-52 44z", b),
        path("M140 160 90 300h170L196 134z", a, 'opacity=".8"'),
        path("M110 140 150 84l52 44-52 44z", t),
    ),
    "mushroom": lambda a, b, t, r: (
        path("M96 150h48l12 106H84z", a),
        path(_HOOD, b),
        circle(120, 150, 110, a, 'opacity=".45"'),
        path(_HOOD, t),
    ),
}
TEAS: dict[str, Form] = {
    "tin": lambda a, b, t, r: (
        rect(66, 92, 108, 160, b, 'rx="8"'),
        rect(62, 70, 116, 30, b, 'rx="6"'),
        rect(66, 128, 108, 84, a),
        rect(66, 128, 108, 84, t) + leaf(120, 200, 56, b),
    ),
    "packet": lambda a, b, t, r: (
        path("M62 80h116l8 176H54z", a),
        path("M62 80h116v26H62zM54 236h132v20H54z", b),
        "",
        circle(120, 168, 40, t) + leaf(120, 204, 62, b),
    ),
    "cup": lambda a, b, t, r: (
        path("M54 150h120q0 92-60 92t-60-92z", b) + line("M172 166q36-6 32 22t-44 28", b, 9),
        rect(36, 246, 156, 9, b, 'rx="4"'),
        line("M92 128q-16-22 0-42t0-42M124 128q-16-22 0-42t0-42M154 128q-16-22 0-42", a, 8),
        path("M54 150h120q0 92-60 92t-60-92z", t),
    ),
}
TOOLS: dict[str, Form] = {
    "plane": lambda a, b, t, r: (
        path("M34 196h172v34H34z", b),
        path("M60 196q4-60 30-62 8 34 26 40l36-50q40 6 34 72z", a),
        line("M110 176 150 116", b, 12),
        path("M34 196h172v34H34z", t) + line("M206 230q20 8 14 26t-26 4", b, 4),
    ),
    "shears": lambda a, b, t, r: (
        path("M116 150 78 40q-22 60 22 112zM124 150 162 40q22 60-22 112z", b),
        circle(120, 152, 12, a),
        line("M112 162q-54 34-50 70t34 22 26-84M128 162q54 34 50 70t-34 22-26-84", a, 13),
        path("M116 150 78 40q-22 60 22 112z", t),
    ),
    "rule": lambda a, b, t, r: (
        path("M40 252 92 62l28 8-52 190z", b),
        path("M92 62 186 200l-24 16L72 82z", a),
        circle(90, 74, 9, b),
        path("M40 252 92 62l28 8-52 190z", t) + line("M60 226l10 3M68 198l16 4M76 168l10 3M84 138l16 4", "#fff", 2.5),
    ),
    "knife": lambda a, b, t, r: (
        path("M132 158q40-70 36-122-56 40-66 108z", b),
        path("M132 160 98 146 60 226q-4 34 28 36z", a),
        line("M130 164 96 150", b, 7),
        path("M132 158q40-70 36-122-20 14-34 34z", t) + circle(98, 190, 4, b) + circle(86, 220, 4, b),
    ),
    "awl": lambda a, b, t, r: (
        path("M114 130 120 30l6 100z", b),
        rect(108, 126, 24, 20, b, 'rx="3"'),
        path("M106 146h28q30 60 6 96-20 22-40 0-24-36 6-96z", a),
        path("M106 146h28q30 60 6 96-20 22-40 0-24-36 6-96z", t),
    ),
    "gauge": lambda a, b, t, r: (
        rect(36, 128, 172, 20, b, 'rx="3"'),
        path("M92 84h48q14 54 0 108H92q-14-54 0-108z", a),
        circle(116, 84, 14, b) + line("M46 148v16", b, 5),
        path("M92 84h48q14 54 0 108H92q-14-54 0-108z", t),
    ),
    "hammer": lambda a, b, t, r: (
        path("M62 62h96q26 4 30 34h-30v14H62z", b),
        path("M104 110h26l6 154q-20 12-38 0z", a),
        "",
        path("M62 62h34v48H62z", t) + line("M108 210h18M106 226h22M106 242h22", b, 3),
    ),
    "brush": lambda a, b, t, r: (
        path("M104 34q16-14 32 0l-4 106h-24z", a),
        path("M64 140h112v44H64z", b),
        line("".join(f"M{70 + i * 9} 186q{(-3, 2, 4)[i % 3]} 34 {(-6, 0, 6)[i % 3]} 66" for i in range(12)), b, 5),
        path("M64 140h112v44H64z", t),
    ),
}
BAGS: dict[str, Form] = {
    "tote": lambda a, b, t, r: (
        path("M58 122h124l10 138H48z", b),
        line("M88 124V84q0-34 32-34t32 34v40", a, 10),
        "",
        path("M54 176h132l6 84H48z", t),
    ),
    "satchel": lambda a, b, t, r: (
        rect(46, 132, 148, 116, b, 'rx="8"'),
        line("M62 134Q70 40 120 40t58 94", a, 9) + path("M46 132h148v50q-74 34-148 0z", a),
        "",
        path("M46 132h148v50q-74 34-148 0z", t) + rect(108, 186, 24, 26, b, 'rx="3"') + rect(116, 194, 8, 12, a),
    ),
    "rucksack": lambda a, b, t, r: (
        path("M62 252V122q0-62 58-62t58 62v130q-58 16-116 0z", b),
        path("M62 122q0-62 58-62t58 62q-58 26-116 0z", a),
        line("M104 62q0-26 16-26t16 26", b, 8),
        path("M78 178h84v60H78z", t) + line("M78 178h84v60H78zM120 150v20", a, 4),
    ),
    "pouch": lambda a, b, t, r: (
        rect(40, 118, 160, 106, b, 'rx="14"'),
        line("M46 138H194", a, 7) + circle(188, 150, 9, a),
        "",
        path("M40 172h160v38q0 14-14 14H54q-14 0-14-14z", t),
    ),
}
TOYS: dict[str, Form] = {
    "blocks": lambda a, b, t, r: (
        rect(44, 172, 74, 74, b, 'rx="5"') + rect(92, 92, 74, 74, b, 'rx="5"'),
        rect(124, 172, 74, 74, a, 'rx="5"'),
        path("M102 92 129 46l27 46z", a),
        rect(44, 172, 74, 74, t) + circle(129, 129, 20, a) + path("M161 188l20 40h-40z", b),
    ),
    "animal": lambda a, b, t, r: (
        path("M50 148q0-34 40-34h58l22-42 18-4 4 32 18 14-8 20-28 2v76h-24v-46H92v46H66v-52q-16-2-16-12z", b),
        circle(80, 226, 22, a) + circle(160, 226, 22, a),
        line("M50 140q-22 4-20 30", a, 7),
        path("M66 118h82v48H66z", t) + circle(182, 96, 4, a) + circle(80, 226, 6, b) + circle(160, 226, 6, b),
    ),
    "top": lambda a, b, t, r: (
        path("M112 44h16v60h-16z", b),
        path("M46 128q74-52 148 0-16 62-74 124-58-62-74-124z", a),
        ring(120, 252, 34, a, 5, 'opacity=".6"'),
        path("M46 128q74-52 148 0-4 18-12 32-62 26-124 0-8-14-12-32z", t)
        + path("M92 212h56q-12 18-28 40-16-22-28-40z", b),
    ),
    "train": lambda a, b, t, r: (
        path("M40 190h160v26H40zM128 108h62v84h-62z", b),
        rect(50, 136, 82, 56, a, 'rx="24"') + rect(62, 96, 20, 42, b),
        circle(66, 66, 15, a, 'opacity=".6"') + circle(96, 46, 21, a, 'opacity=".45"') + rect(142, 122, 34, 28, a),
        "".join(circle(x, 226, 20, b) + circle(x, 226, 8, a) for x in (68, 120, 172)) + path("M96 136h36v56H96z", t),
    ),
    "flyer": lambda a, b, t, r: (
        path("M120 34 178 118 120 214 62 118z", b),
        path("M120 34 178 118H62z", a),
        line("M120 214q-26 22 0 38t4 40", b, 3.5),
        path("M120 118h58l-58 96zM120 34v84H62z", t) + path("M112 240l-20-8v18zM112 240l22 8v-20z", a),
    ),
}
SEEDS: dict[str, Form] = {
    "packet": lambda a, b, t, r: (
        path("M56 54l8-6 8 6 8-6 8 6 8-6 8 6 8-6 8 6 8-6 8 6 8-6 8 6 8-6 8 6 8-6 8 6v30H56z", b)
        + rect(56, 214, 128, 38, b),
        line("M120 150v64", b, 5),
        rect(56, 84, 128, 130, a, 'opacity=".55"'),
        "".join(circle(120 + 27 * math.cos(i * 1.047), 132 + 27 * math.sin(i * 1.047), 16, b) for i in range(6))
        + circle(120, 132, 40, t)
        + circle(120, 132, 13, "#fffdf8")
        + leaf(120, 214, 34, b),
    ),
    "bulb": lambda a, b, t, r: (
        path("M120 104q70 34 58 92-14 50-58 52-44-2-58-52-12-58 58-92z", b),
        path("M120 104q-16-34-44-60 40 6 44 44 6-38 46-42-30 24-46 58z", a),
        line("M96 250q-4 16-12 22M120 250v26M144 250q4 16 12 22", b, 4),
        path("M120 104q26 60 0 144-44-2-58-52-12-58 58-92z", t),
    ),
}
STATIONERY: dict[str, Form] = {
    "notebook": lambda a, b, t, r: (
        rect(62, 52, 126, 196, b, 'rx="6"'),
        rect(62, 52, 24, 196, a),
        rect(188, 60, 5, 180, a),
        rect(86, 52, 102, 196, t, 'rx="4"')
        + rect(104, 84, 66, 44, "#fffdf8", 'rx="2"')
        + line("M114 100h46M114 112h30", b, 3)
        + path("M150 248v26l8-8 8 8v-26z", a),
    ),
    "pen": lambda a, b, t, r: (
        path("M160 40 196 66 122 178 86 152z", b),
        path("M86 152l36 26-18 38-44 32 12-54z", a),
        line("M60 248 96 196", b, 4),
        path("M160 40 196 66 172 102 136 78z", t) + line("M34 270q30-16 54 0t56-4 60 2", b, 3.5),
    ),
    "ink": lambda a, b, t, r: (
        path("M70 132h100l18 36v82q0 8-8 8H60q-8 0-8-8v-82z", b),
        rect(88, 84, 64, 40, b, 'rx="4"') + rect(94, 124, 52, 10, a),
        circle(182, 72, 20, a),
        rect(72, 176, 96, 54, t) + rect(84, 186, 72, 34, "#fffdf8", 'rx="2"') + line("M94 203h52", b, 3.5),
    ),
    "cards": lambda a, b, t, r: (
        rect(66, 78, 128, 92, a, 'transform="rotate(-9 130 124)"'),
        rect(46, 142, 148, 104, b, 'rx="3"'),
        "",
        path("M46 142h148l-74 62z", t) + line("M46 144 120 204 194 144", a, 4) + circle(120, 204, 12, a),
    ),
    "pencils": lambda a, b, t, r: (
        path("M70 96h24v160H70zM146 96h24v160h-24z", b),
        path("M108 96h24v160h-24z", a),
        "",
        "".join(
            path(f"M{x} 96l12-44 12 44z", "#fffdf8") + path(f"M{x + 7} 70l5-18 5 18z", (b, a, b)[i])
            for i, x in enumerate((70, 108, 146))
        )
        + path("M78 96h8v160h-8zM116 96h8v160h-8zM154 96h8v160h-8z", t),
    ),
}
THINGS: dict[str, dict[str, Form]] = {
    "lamp": LAMPS,
    "tea": TEAS,
    "tool": TOOLS,
    "bag": BAGS,
    "toy": TOYS,
    "seeds": SEEDS,
    "stationery": STATIONERY,
}
ALIASES = {
    "reading": "pebble",
    "floor": "heron",
    "wall": "moon",
    "clip": "wren",
    "night": "mushroom",
}  # what lamps are for

POTS = {
    "bowl": "M34 150h172q-4 92-62 98H96q-58-6-62-98z",
    "vase": "M106 40h28q-6 46 6 74 40 70 8 128-28 16-56 0-32-58 8-128 12-28 6-74z",
    "teapot": "M60 150q0-46 60-46t60 46q8 84-60 90-68-6-60-90zM100 104q20-24 40 0zM182 150q26-2 30-40l14 4q0 66-42"
    " 80zM58 168 14 150l4-16 46 14z",
    "planter": "M52 92h136l-16 128H68zM84 220h72v24H84z",
    "dish": "M46 176q4-70 74-70t74 70zM30 184h180v16q-90 40-180 0zM110 104q-2-20 10-20t10 20z",
    "mug": "M62 112h104v120q0 14-14 14H76q-14 0-14-14z",
    "jug": "M84 84 62 66h98q-10 44 8 76 22 60-6 104H78q-28-44-6-104 18-34 12-58z",
}
HANDLES = {"mug": "M166 136q44-4 42 34t-42 38", "jug": "M160 98q52 0 46 52t-38 48"}


def _stems(a: str, pine: str, moss: str) -> str:
    return line("M120 60Q110 30 96 14M122 60q10-30 22-44", pine, 5) + circle(94, 14, 11, a) + circle(146, 16, 9, a)


def _plants(a: str, pine: str, moss: str) -> str:
    stems = line("M120 100V44M104 100Q92 60 70 50M136 100q12-40 34-50", pine, 5)
    return stems + leaf(120, 66, 44, pine) + leaf(72, 66, 34, moss) + leaf(170, 66, 34, moss)


GREENS = {"vase": _stems, "planter": _plants}
PAWN = "M150 176a13 13 0 1 1 22 0q26 10 12 24l-8 4 12 34h-18l-9-20-9 20h-18l12-34-8-4q-14-14 12-24z"


def _check(a: str, b: str) -> str:
    return "".join(
        rect(48 + i * 26, 60, 12, 190, b, 'opacity=".7"') + rect(44, 68 + i * 32, 152, 14, a) for i in range(6)
    )


def _ripple(a: str, b: str) -> str:
    wave: Callable[[int], str] = lambda i: line(
        f"M44 {70 + i * 20}q19-22 38 0t38 0 38 0 38 0", b if i % 3 else a, 5 if i % 3 else 12
    )
    return "".join(wave(i) for i in range(10))


def _diamond(a: str, b: str) -> str:
    one: Callable[[int, int], str] = lambda i, j: path(
        f"M{63 + i * 38} {62 + j * 40}l18 20-18 20-18-20z", a if (i + j) % 2 else b
    )
    return "".join(one(i, j) for i in range(4) for j in range(5))


WEAVES: dict[str, Callable[[str, str], str]] = {
    "check": _check,
    "ripple": _ripple,
    "stripe": lambda a, b: "".join(rect(44, 62 + i * 22, 152, (4, 12, 8)[i % 3], a if i % 2 else b) for i in range(9)),
    "diamond": _diamond,
}
