"""JSON of NumPy's things: arrays become lists, NumPy numbers become numbers, and what JSON lacks becomes null.

>>> encoded({"score": np.float32(0.5), "items": np.arange(2), "none": float("nan")})
b'{"score":0.5,"items":[0,1],"none":null}'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson


def encoded(value: Any) -> bytes:
    """The JSON of dicts, lists, dataclasses, texts, numbers and arrays. Errors: TypeError for anything else."""
    return orjson.dumps(value, default=_listed, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def plain(value: Any) -> Any:
    """The same as Python's own lists, dicts and numbers."""
    return orjson.loads(encoded(value))


def _listed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON")
