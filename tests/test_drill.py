"""The planted faults have a place to be planted in, so that the drill can be run at any time."""

from __future__ import annotations

import shlex

import pytest

from drill import FAULTS, ROOT


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.said)
def test_a_fault_has_one_place_and_tests_that_are_there(fault):
    assert (ROOT / "src" / "interplay" / fault.file).read_text().count(fault.before) == 1
    assert fault.after != fault.before
    files = [word for word in shlex.split(fault.tests) if word.endswith(".py")]
    assert files and all((ROOT / file).exists() for file in files)
