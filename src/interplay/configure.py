"""Settings: a mapping becomes a frozen config dataclass, or is refused with the nearest name.

Later wins: field default, preset, recipe, `--set`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from interplay.errors import BadSetting, UnknownName, nearest

C = TypeVar("C")


def configured(config: type[C], *layers: Mapping[str, Any]) -> C:
    """`config` with the layers applied in order; values are converted to the field's type where nothing is lost.

    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class RidgeConfig:
    ...     ridge: float = 500.0
    >>> configured(RidgeConfig, {"ridge": "250"})
    RidgeConfig(ridge=250.0)
    """
    return _over(config, {}, layers)


def _over(config: type[C], values: dict[str, Any], layers: tuple[Mapping[str, Any], ...]) -> C:
    """`config` of these values, with the layers on top; a nested mapping changes only what it names."""
    hints = typing.get_type_hints(config)
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


def _converted(config: type, name: str, value: Any, hint: Any) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() in ("none", "null")):
            return None
        hint = next(a for a in args if a is not type(None))
        return _converted(config, name, value, hint)
    if origin is tuple:
        listed = [v for v in value.split(",") if v] if isinstance(value, str) else list(value)
        return tuple(_converted(config, name, v, args[0]) for v in listed)
    wrong = BadSetting(f"{config.__name__}.{name} is {value!r}; expected {getattr(hint, '__name__', hint)}")
    try:
        if hint is bool:
            spoken = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            return value if isinstance(value, bool) else spoken[str(value).lower()]
        if hint is int:
            if isinstance(value, bool) or float(value) != int(float(value)):
                raise wrong
            return int(float(value))
        if hint is float:
            return float(value)
        if hint is str:
            if not isinstance(value, str):
                raise wrong
            return value
    except (KeyError, TypeError, ValueError, OverflowError):
        raise wrong from None
    return value


def parsed(pairs: list[str]) -> dict[str, str]:
    """`["ridge=250", "descent.epochs=3"]` -> nested mapping, as `--set` gives it.

    >>> parsed(["ridge=250", "descent.epochs=3"])
    {'ridge': '250', 'descent': {'epochs': '3'}}
    """
    out: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise BadSetting(f"--set takes key=value; found {pair!r}")
        at = out
        *path, last = name.split(".")
        for step in path:
            at = at.setdefault(step, {})
        at[last] = value
    return out
