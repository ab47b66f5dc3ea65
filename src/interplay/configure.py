"""Settings: a mapping becomes a frozen config dataclass, or is refused with the nearest name.

Later wins: field default, preset, recipe, `--set`. A field says beside its name which numbers can be meant, by one of
the types below (`dim: Size = 64`); a number outside is refused with the setting's name, and NaN and infinity always.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar

from interplay.errors import BadSetting, UnknownName, nearest

C = TypeVar("C")


@dataclasses.dataclass(frozen=True)
class Within:
    """The numbers that a setting may take: from `low` to `high`, without the ends that are `open`.

    >>> print(Within(0, 1, open="high"))
    from 0 to below 1
    >>> print(Within(2), "/", Within(0, open="low"))
    2 or more / above 0
    """

    low: float
    high: float = math.inf
    open: str = ""  # "low", "high" or "both"

    def __contains__(self, number: float) -> bool:
        above = number > self.low if self.open in ("low", "both") else number >= self.low
        return above and (number < self.high if self.open in ("high", "both") else number <= self.high)

    def __str__(self) -> str:
        above = self.open in ("low", "both")
        if self.high == math.inf:
            return f"above {self.low:g}" if above else f"{self.low:g} or more"
        low = f"above {self.low:g}" if above else f"from {self.low:g}"
        return f"{low} to {'below ' if self.open in ('high', 'both') else ''}{self.high:g}"


Size = Annotated[int, Within(1)]
Several = Annotated[int, Within(2)]
Count = Annotated[int, Within(0)]
Positive = Annotated[float, Within(0, open="low")]
NotNegative = Annotated[float, Within(0)]
Share = Annotated[float, Within(0, 1)]
SomeShare = Annotated[float, Within(0, 1, open="low")]  # never nothing
PartShare = Annotated[float, Within(0, 1, open="high")]  # never all
InnerShare = Annotated[float, Within(0, 1, open="both")]
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}


def configured(config: type[C], *layers: Mapping[str, Any]) -> C:
    """`config` with the layers applied in order; values are converted to the field's type where nothing is lost.

    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class RidgeConfig:
    ...     ridge: float = 500.0
    >>> configured(RidgeConfig, {"ridge": "250"})
    RidgeConfig(ridge=250.0)

    Errors: UnknownName for a setting that does not exist, BadSetting for a value that cannot be meant.
    """
    return _over(config, {}, layers)


def _over(config: type[C], values: dict[str, Any], layers: tuple[Mapping[str, Any], ...]) -> C:
    """`config` of these values, with the layers on top; a nested mapping changes only what it names."""
    hints = typing.get_type_hints(config, include_extras=True)
    fields = {f.name: f for f in dataclasses.fields(config)}  # type: ignore[arg-type]
    names = list(fields)
    for layer in layers:
        for name, value in layer.items():
            if name not in names:
                close = nearest(name, names, 1)
                hint = f"did you mean {close[0]!r}?" if close else f"it has {names}"
                raise UnknownName(f"{config.__name__} has no setting {name!r}; {hint}")
            if dataclasses.is_dataclass(hints[name]) and isinstance(value, Mapping):
                held = values[name] if name in values else _default(fields[name])
                value = _over(typing.cast(type, hints[name]), {} if held is None else vars(held).copy(), (value,))
            values[name] = _converted(config, name, value, hints[name])
    return config(**values)


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def _converted(config: type, name: str, value: Any, hint: Any, within: Within | None = None) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _converted(config, name, value, args[0], next(a for a in args[1:] if isinstance(a, Within)))
    if origin in (typing.Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null")):
            return None
        hint = next(a for a in args if a is not type(None))
        return _converted(config, name, value, hint)
    if origin is tuple:
        listed = [v for v in value.split(",") if v] if isinstance(value, str) else _listed(config, name, value)
        return tuple(_converted(config, name, v, args[0]) for v in listed)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            raise BadSetting(f"{_place(config, name)} is {value!r}; expected names with a value each")
        return {k: _converted(config, f"{name}.{k}", v, args[1]) for k, v in value.items()}
    bounds = "" if within is None else f", {within}"
    kind = KINDS.get(hint, getattr(hint, "__name__", hint))
    wrong = BadSetting(f"{_place(config, name)} is {value!r}; expected {kind}{bounds}")
    try:
        if hint is bool:
            spoken = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            return value if isinstance(value, bool) else spoken[str(value).lower()]
        if hint in (int, float):
            number = float(value)
            if isinstance(value, bool) or not math.isfinite(number) or (hint is int and number != int(number)):
                raise wrong
            if within is not None and number not in within:
                raise wrong
            return number if hint is float else int(value) if isinstance(value, int) else int(number)
        if hint is str:
            if not isinstance(value, str):
                raise wrong
            return value
    except (KeyError, TypeError, ValueError, OverflowError):
        raise wrong from None
    if dataclasses.is_dataclass(hint) and not isinstance(value, typing.cast(type, hint)):
        raise BadSetting(f"{_place(config, name)} is {value!r}; it has settings of its own, as in {name}.KEY")
    return value


def _place(config: type, name: str) -> str:
    return f"{config.__name__.lstrip('_')}.{name}"


def _listed(config: type, name: str, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise BadSetting(f"{_place(config, name)} is {value!r}; expected a list")
    return list(value)


def parsed(pairs: list[str]) -> dict[str, str]:
    """`["ridge=250", "descent.epochs=3"]` -> nested mapping, as `--set` gives it.

    >>> parsed(["ridge=250", "descent.epochs=3"])
    {'ridge': '250', 'descent': {'epochs': '3'}}
    """
    return nested(paired(pairs))


def paired(pairs: Iterable[str], option: str = "--set") -> dict[str, str]:
    """`["ridge=250", "descent.epochs=3"]` -> dotted key and text, in order; the last one of a key wins."""
    out: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadSetting(f"{option} takes key=value; found {pair!r}")
        out[name] = value
    return out


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key as the nested mapping that `configured` takes.

    >>> nested({"ridge": 250, "descent.epochs": 3})
    {'ridge': 250, 'descent': {'epochs': 3}}
    """
    out: dict[str, Any] = {}
    for name, value in flat.items():
        at = out
        *path, last = name.split(".")
        for step in path:
            at = at.setdefault(step, {})
            if not isinstance(at, dict):
                raise BadSetting(f"{name}: {step} is {at!r} already; set it whole or by its settings, not both")
        at[last] = value
    return out


def flattened(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The other way round: every setting by its dotted key.

    >>> flattened({"ridge": 250, "descent": {"epochs": 3}})
    {'ridge': 250, 'descent.epochs': 3}
    """
    out: dict[str, Any] = {}
    for name, value in settings.items():
        inner = flattened(value) if isinstance(value, Mapping) else {"": value}
        out |= {f"{name}.{key}" if key else name: v for key, v in inner.items()}
    return out
