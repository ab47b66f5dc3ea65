"""Benches of time: peers that are not there are named before anything is timed."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from interplay.errors import MissingExtra
from interplay.protocols import timing


def _there(*names):
    """find_spec, as if only these were installed."""
    return lambda name: importlib.util.spec_from_loader(name, None) if name in names else None


def test_a_bench_beside_implicit_says_what_to_install(monkeypatch):
    monkeypatch.setattr(timing.importlib.util, "find_spec", _there("threadpoolctl"))
    monkeypatch.setattr(timing, "load", lambda name: pytest.fail("nothing is read before the peers are known"))
    with pytest.raises(MissingExtra, match=r"not installed: implicit\. Install with: pip install implicit"):
        timing.gowalla_speed()


@pytest.mark.parametrize(("python", "why"), [("/nowhere/python", "No such file"), (sys.executable, "recbole")])
def test_an_environment_without_recbole_says_what_to_install(monkeypatch, python, why):
    monkeypatch.setattr(timing.importlib.util, "find_spec", _there("implicit", "threadpoolctl"))
    with pytest.raises(MissingExtra, match=rf"(?s){why}.*'recbole==1\.2\.1'.*unset INTERPLAY_RECBOLE"):
        timing._peers(python)
    timing._peers(None)  # RecBole is left out where none is named
