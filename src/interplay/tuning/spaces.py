"""Where settings are searched: ranges and choices by setting, as a person writes them, and each row's own.

    ridge=1..10000 log          from 1 to 10,000, evenly over its logarithm
    k=10..500                   whole numbers, since the setting is one
    similarity=cosine|jaccard   one of these

What a setting is (a whole number, a number, text; within which bounds) is read from the config dataclass that holds it.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from interplay.configure import Within, configured, flattened, nested, paired
from interplay.errors import BadSetting
from interplay.fitted import built
from interplay.recipe import Recipe, load_recipe
from interplay.systems import system

EDGE = 0.05  # share of a range, at either end, in which a best value says that the range may be too narrow


@dataclass(frozen=True, kw_only=True)
class Range:
    """Numbers from `low` to `high`, both among them."""

    low: float
    high: float
    log: bool = False  # evenly over the logarithm
    whole: bool = False
    within: Within | None = None  # what the setting can be at all

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{self.low:.6g}..{self.high:.6g}{' log' if self.log else ''}"

    def rounded(self, value: float) -> float:
        """The number to three digits: a search decides no more of it, and it can be read.

        >>> Range(low=1, high=500, log=True).rounded(123.456)
        123.0
        """
        if self.whole:
            return int(value)
        return min(max(float(f"{value:.3g}"), self.low), self.high)

    def edge(self, value: Any) -> str:
        """ "lower" or "upper" where a value stands at an end beyond which there are numbers that can be meant."""
        if value not in self:
            return ""
        bend = math.log if self.log else float
        place = (bend(value) - bend(self.low)) / (bend(self.high) - bend(self.low))
        if place <= EDGE and (self.within is None or self.low > self.within.low):
            return "lower"
        if place >= 1 - EDGE and (self.within is None or self.high < self.within.high):
            return "upper"
        return ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of a few values, none nearer to another than to a third."""

    of: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        return any(type(one) is type(value) and one == value for one in self.of)

    def __str__(self) -> str:
        return "|".join(written(one) for one in self.of)

    def edge(self, value: Any) -> str:
        return ""


Axis = Range | Choice


def written(value: Any) -> str:
    """A value as `--set` takes it.

    >>> written(True), written(None), written((400, 200)), written(0.1)
    ('true', 'none', '400,200', '0.1')
    """
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else f"{value:.6g}" if isinstance(
        value, float) else str(value)  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# The rows' own

_RIDGE = {"ridge": "1..10000 log"}
_SPECTRAL = {"rank": "32..512 log", "low_pass": "0..1"}
_VAE = {"dim": "50..400 log", "dropout": "0.1..0.8", "descent.rate": "0.0003..0.01 log"}
_RATE = {"descent.rate": "0.0003..0.03 log"}
_VECTORS = {"dim": "32|64|128", "ridge": "1e-6..0.1 log", **_RATE}
_SEQUENCES = {"dim": "32|64|128", "window": "10..100 log", "layers": "1..2", "dropout": "0..0.6", **_RATE}
_MARKOV = {
    "skip": "1..20 log", "decay": "0.3..1", "backward": "0..1", "source_power": "0..1", "target_power": "0..1",
    "window": "1..20 log", "recency": "0.2..1",
}  # fmt: skip
_FIELDS = {"ridge": "1e-8..0.1 log", "descent.rate": "0.0001..0.03 log"}
_NET = {**_FIELDS, "dim": "4..32 log", "dropout": "0..0.5", "layers": "64,64|200,200|400,400,400"}

SPACES: Mapping[str, Mapping[str, str]] = {  # row -> setting -> range or choices
    "item-knn": {"k": "10..1000 log", "similarity": "cosine|jaccard|asymmetric|tversky", "balance": "0..1",
                 "shrink": "0..500", "weighting": "none|idf|activity"},
    "user-knn": {"k": "10..1000 log", "similarity": "cosine|jaccard|asymmetric|tversky", "balance": "0..1",
                 "shrink": "0..500"},
    "rp3beta": {"k": "10..1000 log", "alpha": "0..2", "beta": "0..2"},
    "slim": {"ridge": "1..1000 log", "lasso": "0.01..100 log", "candidates": "50..300 log", "negative": "true|false"},
    "ease": _RIDGE,
    "ease-block": {**_RIDGE, "candidates": "50..400 log", "popularity": "0..1"},
    "ials": {"dim": "16..256 log", "unobserved": "0.001..1 log", "ridge": "0.0001..0.1 log", "ridge_power": "0..1"},
    "gf-cf": _SPECTRAL,
    "gf-cf-randomized": _SPECTRAL,
    "bspm": {**_SPECTRAL, "sharpening": "0..5"},
    "mult-vae": {**_VAE, "beta": "0.01..1 log"},
    "mult-dae": _VAE,
    "bpr-mf": {**_VECTORS, "negatives": "1..8 log", "power": "0..1"},
    "ngcf": {**_VECTORS, "descent.rate": "0.00003..0.01 log", "layers": "1..4", "dropout": "0..0.5"},
    "lightgcn": {**_VECTORS, "layers": "1..4"},
    "sasrec": {**_SEQUENCES, "negatives": "64..1024 log"},
    "sasrec-full": _SEQUENCES,
    "gsasrec": {**_SEQUENCES, "negatives": "64..1024 log", "calibration": "0..1"},
    "gru4rec": {**_SEQUENCES, "negatives": "64..1024 log"},
    "two-tower": {"dim": "32|64|128", "hidden": "64|128|256", "window": "10..100 log", "dropout": "0..0.5",
                  "temperature": "0.03..0.5 log", **_RATE},
    "markov": _MARKOV,
    "markov-skip3": _MARKOV,
    "bm25": {"k1": "0.3..3", "b": "0..1", "window": "3..50 log", "strongest": "8..128 log"},
    "hybrid": {"source.bm25.weight": "0.1..10 log", "source.bm25.k1": "0.3..3", "source.bm25.b": "0..1",
               "fusion.normalise": "minmax|standard"},
    "blend": {"source.spectrum.weight": "0.1..10 log", "source.regression.weight": "0.1..10 log",
              "source.regression.ridge": "10..1000 log", "fusion.normalise": "minmax|standard"},
    "lr": _FIELDS,
    "fm": {**_FIELDS, "dim": "4..32 log"},
    "dnn": _NET,
    "dcn-v2": {**_NET, "crosses": "1..5"},
    "lightgbm": {"leaves": "15..255 log", "rate": "0.01..0.2 log", "least": "5..500 log", "smooth": "1..100 log"},
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# From what was written to what is searched


def space(name: str, specs: Iterable[str] = (), settings: Mapping[str, Any] | None = None) -> dict[str, Axis]:
    """What is searched for a row or recipe: the specs (`ridge=1..100 log`), or the row's own less what is set already.

    Errors: UnknownName for a setting that does not exist, BadSetting for what the setting cannot be, for one that is
    both set and searched, and where neither specs nor a space of the row are at hand.

    >>> {key: str(axis) for key, axis in space("ease").items()}
    {'ridge': '1..10000 log'}
    """
    set_already = flattened(settings or {})
    asked = paired(specs, "--space")
    built(name, settings or {})  # a wrong name or setting is told before anything about the space
    if twice := [key for key in asked if key in set_already]:
        raise BadSetting(f"{twice[0]} is set and searched; leave it out of --set or out of --space")
    if not asked:
        asked = {key: spec for key, spec in SPACES.get(name, {}).items() if key not in set_already}
    if not asked:
        own = "all of its own space is set" if name in SPACES else "it has no space of its own"
        raise BadSetting(
            f"what is to be searched for {name}? {own}; say --space KEY=SPEC, such as "
            f"{'source.NAME.weight=0.1..10' if name.endswith('.toml') else 'KEY=1..100'} log, KEY=5..50 or KEY=a|b. "
            f"Rows with a space: {', '.join(SPACES)}"
        )
    return {key: axis(name, key, spec, settings or {}) for key, spec in asked.items()}


def axis(name: str, key: str, spec: str, settings: Mapping[str, Any]) -> Axis:
    """One range or choice, held against the setting that it is for."""
    config, own = holder(name, key, settings)
    kind, within = _kind(config, own)
    words = spec.split()
    if "|" in spec:
        of = tuple(_plain(_read(config, own, one.strip())) for one in spec.split("|"))
        if len({written(one) for one in of}) < len(of):
            raise BadSetting(f"--space {key}={spec} names a choice twice")
        return Choice(of=of)
    low, dots, high = words[0].partition("..") if words else ("", "", "")
    if not dots or words[1:] not in ([], ["log"]):
        raise BadSetting(f"--space {key}={spec} is no range; expected LOW..HIGH, 'LOW..HIGH log' or A|B|C")
    if kind not in (int, float):
        raise BadSetting(f"--space {key}={spec}: {key} is no number; name its choices, as {key}=A|B")
    ends = [_read(config, own, end) for end in (low, high)]
    log = words[1:] == ["log"]
    if not all(isinstance(end, (int, float)) for end in ends) or ends[0] >= ends[1]:
        raise BadSetting(f"--space {key}={spec} holds nothing; expected the lower end first")
    if log and ends[0] <= 0:
        raise BadSetting(f"--space {key}={spec}: a logarithm begins above 0; raise the lower end or drop 'log'")
    return Range(low=ends[0], high=ends[1], log=log, whole=kind is int, within=within)


def holder(name: str, key: str, settings: Mapping[str, Any]) -> tuple[Any, str]:
    """The config that holds a setting of a row or recipe, as it stands with `settings`, and its dotted name there."""
    recipe = recipe_of(name)
    if recipe is not None:
        return recipe.held(key, settings)
    row = system(name)
    return configured(row.settings(), row.preset, settings), key


def recipe_of(name: str) -> Recipe | None:
    """The recipe of that file, or that a row stands for; None for a single system."""
    file = name if name.endswith(".toml") else system(name).recipe
    return load_recipe(file) if file else None


def standing(name: str, key: str, settings: Mapping[str, Any]) -> Any:
    """The value that a setting has where nothing is searched."""
    config, own = holder(name, key, settings)
    return _plain(_at(config, own))


def _at(config: Any, key: str) -> Any:
    for step in key.split("."):
        config = config[step] if isinstance(config, Mapping) else getattr(config, step)
    return config


def _read(config: Any, key: str, said: str) -> Any:
    """What a setting becomes that is set to `said`; refused as `--set` would refuse it."""
    return _at(configured(type(config), vars(config), nested({key: said})), key)


def _plain(value: Any) -> Any:
    """As JSON keeps it and a setting takes it."""
    return written(value) if isinstance(value, (tuple, list)) else value


def _kind(config: Any, key: str) -> tuple[Any, Within | None]:
    """The type of a setting and the numbers that it may be; refuses one that is not there with the nearest name."""
    *path, last = key.split(".")
    for step in path:
        config = getattr(config, step, None) if dataclasses.is_dataclass(config) else None
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise BadSetting(f"{key} is no setting: {'.'.join(path)} has none of its own")
    hints = typing.get_type_hints(type(config), include_extras=True)
    if last not in hints:
        configured(type(config), {last: ""})  # tells the nearest
    hint, within = hints[last], None
    while (origin := typing.get_origin(hint)) in (Annotated, typing.Union, types.UnionType):
        arguments = typing.get_args(hint)
        within = next((a for a in arguments if isinstance(a, Within)), within)
        hint = arguments[0] if origin is Annotated else next(a for a in arguments if a is not type(None))
    return hint, within
