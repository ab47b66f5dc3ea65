"""Model directories: what goes in comes out, and what is not whole is refused with a sentence."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from interplay.data.store.models import LAYOUT, load_model, save_model
from interplay.errors import BadData, Mismatch
from interplay.types import Ids, State

KINDS = (
    bool,
    np.int8,
    np.uint8,
    np.int16,
    np.uint16,
    np.int32,
    np.int64,
    np.uint64,
    np.float16,
    np.float32,
    np.float64,
)


def state() -> State:
    return State(
        arrays={f"a.{np.dtype(k).name}": np.arange(6).reshape(2, 3).astype(k) for k in KINDS}
        | {"none": np.zeros((0, 4), np.float32), "one": np.asarray(3.5), "turned": np.arange(6.0).reshape(2, 3).T},
        users={"rows": np.eye(3, dtype=np.float32)},
        facts={"epochs": 3, "names": ["x", "y"]},
    )


def saved(path: Path, value: float = 1.0) -> Path:
    return save_model(
        path,
        {"system": "ease", "value": value},
        state(),
        Ids(["ann", 7, "7x"]),
        Ids([1, 2, 2**62]),
        tables={"catalogue": pl.DataFrame({"title": ["a", "b", "c"]}), "users.log": pl.DataFrame({"user": [0]})},
    )


def test_what_is_saved_is_loaded(tmp_path: Path):
    manifest, back, users, items, tables = load_model(saved(tmp_path / "model"))
    assert manifest == {"system": "ease", "value": 1.0} and back.facts == state().facts
    for name, array in (state().arrays | state().users).items():
        found = (back.arrays | back.users)[name]
        assert found.dtype == array.dtype and found.shape == array.shape
        np.testing.assert_array_equal(found, array)
    assert users.names == ["ann", 7, "7x"] and items.names == [1, 2, 2**62]
    assert tables["catalogue"]["title"].to_list() == ["a", "b", "c"] and set(tables) == {"catalogue", "users.log"}


def test_what_belongs_to_people_lies_in_files_of_its_own(tmp_path: Path):
    names = {p.name for p in saved(tmp_path / "model").iterdir()}
    assert names == {
        "manifest.json",
        "arrays.safetensors",
        "users.safetensors",
        "users.ids.parquet",
        "items.ids.parquet",
        "catalogue.parquet",
        "users.log.parquet",
    }


def test_a_second_save_replaces_the_first_whole(tmp_path: Path):
    saved(tmp_path / "model")
    saved(tmp_path / "model", 2.0)
    assert load_model(tmp_path / "model").manifest["value"] == 2.0 and len(list(tmp_path.iterdir())) == 1


def test_a_save_that_fails_leaves_the_old_model_and_no_debris(tmp_path: Path):
    saved(tmp_path / "model")
    with pytest.raises(TypeError, match="plain numbers"):
        save_model(tmp_path / "model", {}, State(arrays={"x": np.array(["a"])}), Ids([]), Ids([]))
    assert load_model(tmp_path / "model").manifest["value"] == 1.0 and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_leaves_the_old_model(tmp_path: Path):
    """The limit on file size stands in for the full disk: the kernel refuses the write in the same way."""
    saved(tmp_path / "model")
    script = f"""
import resource, numpy as np
from interplay.data.store.models import save_model
from interplay.errors import InterplayError
from interplay.types import Ids, State
resource.setrlimit(resource.RLIMIT_FSIZE, (50000, {resource.RLIM_INFINITY}))
try:
    save_model({str(tmp_path / "model")!r}, {{}}, State(arrays={{"big": np.zeros(100000)}}), Ids([1]), Ids([1]))
except InterplayError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "no room left to write" in done.stdout and "unharmed" in done.stdout, done.stdout + done.stderr
    assert load_model(tmp_path / "model").manifest["value"] == 1.0 and len(list(tmp_path.iterdir())) == 1


def test_a_crash_between_the_two_renames_is_mended(tmp_path: Path):
    saved(tmp_path / "model").rename(tmp_path / ".model.previous")
    assert load_model(tmp_path / "model").manifest["value"] == 1.0


def test_a_directory_that_is_not_a_model_is_neither_read_nor_overwritten(tmp_path: Path):
    with pytest.raises(BadData, match="no model at"):
        load_model(tmp_path / "gone")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("x")
    with pytest.raises(BadData, match=r"no manifest.json, only \['cat.png'\]"):
        load_model(tmp_path / "photos")
    with pytest.raises(BadData, match="is no model directory"):
        saved(tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.png").exists()


def test_another_version_is_refused_with_both_versions(tmp_path: Path):
    file = saved(tmp_path / "model") / "manifest.json"
    told = json.loads(file.read_text())
    told["store"] |= {"layout": LAYOUT + 1, "interplay": "9.0"}
    file.write_text(json.dumps(told))
    with pytest.raises(
        Mismatch, match=rf"written by Interplay 9.0 in layout {LAYOUT + 1}; this is .* reads layout {LAYOUT}"
    ):
        load_model(tmp_path / "model")


def cut(p: Path) -> None:
    p.write_bytes(p.read_bytes()[:-5])


def flipped(p: Path) -> None:
    raw = bytearray(p.read_bytes())
    raw[-3] ^= 255
    p.write_bytes(raw)


@pytest.mark.parametrize("name", ["arrays.safetensors", "users.safetensors", "items.ids.parquet", "users.log.parquet"])
@pytest.mark.parametrize(("harm", "said"), [(Path.unlink, "lacks"), (cut, "cut off"), (flipped, "checksum differs")])
def test_files_that_are_missing_cut_off_or_changed_are_named(tmp_path: Path, name, harm, said):
    harm(saved(tmp_path / "model") / name)
    with pytest.raises(BadData, match=said) as refused:
        load_model(tmp_path / "model")
    assert name in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"system": "ease"}', '{"store": 3}'])
def test_a_damaged_manifest_is_said(tmp_path: Path, text):
    (saved(tmp_path / "model") / "manifest.json").write_text(text)
    with pytest.raises(BadData, match="damaged"):
        load_model(tmp_path / "model")


def test_nothing_is_pickled():
    import interplay.data.store.models as room

    assert "pickle" not in {n.split(".")[0] for n in vars(room)}
