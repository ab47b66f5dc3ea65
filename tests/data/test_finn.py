"""Slates of FINN.no in their publisher's arrays, on files that we made."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from interplay.data import finn as module
from interplay.data.pages import Choices, Pages
from interplay.data.read import load
from interplay.errors import BadData
from interplay.fitted import built

STEPS, SLOTS = 20, 25


def release(folder: Path, people: int = 60, things: int = 40) -> dict[str, np.ndarray]:
    """As many people with up to 20 steps; even things are of one group and are chosen more."""
    rng, of = np.random.default_rng(0), (people, STEPS)
    arrays = {c: np.zeros(of, np.int32) for c in ("click", "click_idx", "slate_lengths", "interaction_type")}
    arrays |= {"userId": 1000 + np.arange(people), "slate": np.zeros((*of, SLOTS), np.int32)}
    for u in range(people):
        for t in range(rng.integers(3, STEPS + 1)):
            shown = rng.permutation(np.arange(3, 3 + things))[: rng.integers(2, SLOTS)]
            at = int(rng.choice(len(shown) + 1, p=_chances(shown)))
            arrays["slate"][u, t, : len(shown) + 1] = [1, *shown]
            arrays["click"][u, t], arrays["click_idx"][u, t] = arrays["slate"][u, t, at], at
            arrays["slate_lengths"][u, t], arrays["interaction_type"][u, t] = len(shown) + 2, 1 + t % 2
    folder.mkdir()
    np.savez_compressed(folder / "data.npz", **arrays)
    np.savez(folder / "itemattr.npz", category=np.r_[0, 1, 2, 3 + np.arange(3, 3 + things) % 2].astype(float))
    names = {"category": {"0": "PAD", "1": "noClick", "2": "<UNK>", "3": "BAP,antiques,Oslo", "4": "MOTOR,,Oslo"},
             "interaction_type": {"0": "<UNK>", "1": "search", "2": "rec"}}  # fmt: skip
    (folder / "ind2val.json").write_text(json.dumps(names))
    return arrays


def _chances(shown: np.ndarray) -> np.ndarray:
    weight = np.r_[4.0, np.where(shown % 2 == 0, 1.0, 0.1)]
    return weight / weight.sum()


def test_steps_become_pages_and_clicks_without_the_ids_that_stand_for_nothing(tmp_path, monkeypatch):
    arrays = release(tmp_path / "finn-slates")
    monkeypatch.setenv("INTERPLAY_DATA", str(tmp_path))
    data = load("finn-slates")
    assert data.n_users == 60 and data.n_items == 40 and set(data.items) == set(range(3, 43))
    clicked = arrays["click"] >= 3
    assert len(data.events) == clicked.sum() and data.events.time is None and data.events.ordered
    pages = Pages.of(data).line()
    assert len(pages) == (arrays["click"] > 0).sum() and pages.clicked.sum() == clicked.sum()
    names = np.array([*data.items.names, -1])
    for page in (0, 7, len(pages) - 1):
        u, t = divmod(pages.request[page], STEPS)
        slate, at = arrays["slate"][u, t], arrays["click_idx"][u, t]
        assert names[pages.items[page, 0]].tolist()[: (slate > 2).sum()] == slate[slate > 2].tolist()
        assert data.users[int(pages.user[page])] == 1000 + u
        assert np.flatnonzero(pages.clicked[page, 0]).tolist() == ([at - 1] if at else [])
    shown = data.tables["impressions"]
    assert set(shown["surface"]) == {"search", "rec"} and shown["slot"].min() == 0
    groups = dict(zip(data.items, data.catalogue["categories"].to_list(), strict=True))
    assert groups[4] == ["BAP,antiques,Oslo"] and groups[5] == ["MOTOR,,Oslo"]


def test_people_s_steps_stay_in_order_and_dynamic_slate_learns_from_them(tmp_path):
    arrays = release(tmp_path / "finn-slates")
    data = module.finn(tmp_path / "finn-slates")
    choices = Choices.of(Pages.of(data))
    who = data.users.index([1007])[0]
    mine = choices.take(choices.user == who)
    names = np.array(data.items.names)
    told = [names[s[c]] if c >= 0 else 1 for s, c in zip(mine.slate, mine.chosen, strict=True)]
    assert told == arrays["click"][7][arrays["click"][7] > 0].tolist() and (np.diff(mine.at) > 0).all()
    model = built("dynamic-slate-linear", {"dim": 2, "descent": {"epochs": 15, "batch": 16, "rate": 0.03}}).fit(data)
    assert model.shown and len(set(model.group.tolist())) == 2
    bias, even = model.mean["bias"].numpy(), np.array(data.items.names) % 2 == 0
    assert bias[even].mean() > bias[~even].mean() + 0.5


def test_a_page_that_does_not_tell_what_was_chosen_is_left_out_and_counted(tmp_path, caplog):
    arrays = release(tmp_path / "finn-slates")
    hit = np.argwhere(arrays["click"] >= 3)
    (u, t), (v, s) = hit[0], hit[1]
    arrays["click"][u, t], arrays["slate"][u, t, arrays["click_idx"][u, t]] = 2, 2  # of something that is not known
    arrays["click_idx"][v, s] = 0
    np.savez(tmp_path / "finn-slates" / "data.npz", **arrays)
    with caplog.at_level(logging.WARNING, "interplay.data"):
        data = module.finn(tmp_path / "finn-slates")
    assert "2 pages are left out" in caplog.text
    pages = Pages.of(data)
    assert len(pages) == (arrays["click"] > 0).sum() - 2 and len(data.events) == len(hit) - 1
    assert not {u * STEPS + t, v * STEPS + s} & set(pages.request)


def test_arrays_of_another_making_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PEOPLE", 20)
    arrays = release(tmp_path / "finn-slates")
    some = [module.finn(tmp_path / "finn-slates", variant="100k", seed=seed) for seed in (1, 1, 2)]
    assert [d.n_users for d in some] == [20, 20, 20]
    assert set(some[0].users) == set(some[1].users) != set(some[2].users)
    path = tmp_path / "finn-slates" / "data.npz"
    np.savez(path, **arrays | {"click_idx": np.maximum(arrays["click_idx"] - 1, 0)})  # counted without the first place
    with pytest.raises(BadData, match="click_idx points at the click in 0 of"):
        module.finn(tmp_path / "finn-slates")
    np.savez(path, **{k: v for k, v in arrays.items() if k != "slate"})
    with pytest.raises(BadData, match="no array 'slate'; it has"):
        module.finn(tmp_path / "finn-slates")
    path.unlink()
    with pytest.raises(BadData, match=r"has no data\.npz"):
        module.finn(tmp_path / "finn-slates")
