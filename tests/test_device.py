"""Where networks learn. Without a GPU: what is refused, and who asks for the device; with one: tests/on_gpu.py."""

from __future__ import annotations

import pytest
import torch
from typer.testing import CliRunner

from interplay import learning, results
from interplay.cli import app
from interplay.data.store.store import Store
from interplay.errors import BadSetting, Unsupported
from interplay.fitted import built
from interplay.learn.device import maker, usable
from interplay.systems import ROWS, SYSTEMS
from interplay.types import Run
from small import crowd, shop

LEARNERS = [row.name for row in ROWS if row.kind == "model" and row.model]


@pytest.fixture(autouse=True)
def without_a_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_system_asks_for_the_device_exactly_if_its_family_says_so(name):
    """`meta` has shapes and no numbers: who computes there ends at the first loss, who does not never notices."""
    row, asked = SYSTEMS[name], Run(seed=1, epochs=1, device="meta")
    data = shop() if "examples" in row.needs else crowd()
    if not row.on_device:
        built(name).fit(data, run=asked)
        return
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):
        built(name).fit(data, run=asked)


@pytest.mark.parametrize(
    ("device", "error", "said"),
    [
        ("cuda", Unsupported, "'cuda' was asked for; torch .* sees no CUDA device here. Use cpu"),
        ("gpu", BadSetting, "'gpu' is no device; expected cpu, cuda, or one of several such as cuda:1"),
        ("meta", Unsupported, "nothing here learns on 'meta'; expected cpu, cuda"),
    ],
    ids=["absent", "no-name", "no-use"],
)
def test_a_device_that_cannot_be_used_is_refused_with_what_there_is(device, error, said):
    with pytest.raises(error, match=said):
        usable(device)


def test_one_of_several_is_refused_where_there_are_fewer(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device}")
    assert (maker("cuda"), maker("cuda:0"), maker("cpu")) == ("GPU 0", "GPU 0", "cpu")
    assert "networks may learn on cpu, cuda:0 GPU 0\n" in CliRunner().invoke(app, ["doctor"]).output
    assert usable("cuda") == "cuda" and usable("cuda:0") == "cuda:0"
    with pytest.raises(Unsupported, match="sees 1 CUDA device here"):
        usable("cuda:1")
    with pytest.raises(Unsupported, match="ease learns on the processor; fit it without a device"):
        from interplay.data.split import split
        from interplay.experiment import fit

        fit("ease", split(crowd(), "random"), device="cuda")
    with pytest.raises(Unsupported, match=r"rows of bench 'gowalla' learn on the processor: gf-cf\. Name others"):
        results.run_bench("gowalla", systems=["gf-cf", "lightgcn-bpr"], device="cuda")
    with pytest.raises(BadSetting, match="rows side by side learn on the processor; on 'cuda' they run one after"):
        results.run_bench("gowalla", systems=["lightgcn-bpr"], device="cuda", workers=2)
    with pytest.raises(Unsupported, match="rows of bench 'frappe' learn on the processor"):
        results.run_bench("frappe", systems=["fm"], device="cuda")


def test_every_command_that_learns_refuses_before_it_reads_anything(tmp_path):
    store = tmp_path / "shop.db"
    Store.open(str(store)).close()
    for line in (
        ["fit", "bpr-mf", "--data", "market", "--out", str(tmp_path / "m"), "--device", "cuda"],
        ["train", "bpr-mf", "--store", str(store), "--device", "cuda"],
        ["bench", "market", "--systems", "bpr-mf", "--device", "cuda"],
    ):
        done = CliRunner().invoke(app, line)
        assert done.exit_code != 0 and "no CUDA device" in str(done.exception), line
    assert not (tmp_path / "m").exists()


def test_a_training_of_a_store_hands_its_device_down(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(learning, "_trained", lambda *given: asked.append(given[-2]))
    monkeypatch.setattr(learning, "usable", lambda device: device)
    store = Store.open(str(tmp_path / "shop.db"))
    learning.train(store, "popular", device="cuda:1", seed=3)
    store.close()
    assert (asked[0].device, asked[0].seed) == ("cuda:1", 3)
