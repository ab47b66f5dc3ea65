"""One stage of an answer changed, and only what lies downstream of it run again.

    base = replayed(cascade, requests, k)            # every stage, its products kept
    after, state = edited(cascade, base, "rank", {"weights": {"popular": 0}}, k)

    retrieve   {"without": [sources]}                the lists of the other sources are taken as they were
    rank       {"weights": {source: say}}            the lists are fused anew
    rules      {"without": [rules], "seen": "drop" | "keep", "where": sentence}   rules act inside retrieval, so that,
                                                     ranking and the page run again
    page       {"diversity": 0..1, "caps": {column: most}, "arranger": whether the recipe's arranger has its say}

For one request. `state` says of each stage whether it was kept, edited or run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from interplay.cascade.cascade import Cascade
from interplay.cascade.leaning import arranged
from interplay.cascade.paging import lay, merged
from interplay.cascade.parts import FEED, SEARCH, Answer
from interplay.cascade.path import rank, retrieve, understand
from interplay.cascade.rules import compile_rules, together
from interplay.errors import BadSetting, unknown
from interplay.types import Arrangement, Requests, RuleSet, Slates

STAGES = ("understand", "retrieve", "rank", "rules", "page")
AGAIN = {  # what runs again after a change of a stage
    "understand": ("retrieve", "rank", "rules", "page"), "retrieve": ("rank", "page"), "rank": ("page",),
    "rules": ("retrieve", "rank", "page"), "page": (),
}  # fmt: skip
FIELDS = {
    "understand": {"query", "without"}, "retrieve": {"without"}, "rank": {"weights"},
    "rules": {"without", "seen", "where"}, "page": {"diversity", "caps", "arranger"},
}  # fmt: skip


def checked(stage: str, edit: Mapping[str, Any]) -> None:
    """Refuse stages and fields that there are not."""
    if stage not in STAGES:
        raise unknown("stage", stage, STAGES)
    for name in edit:
        if name not in FIELDS[stage]:
            raise unknown(f"field of an edit of {stage}", name, FIELDS[stage])


def states(stage: str) -> dict[str, str]:
    """What became of each stage after a change of one."""
    return {s: "edited" if s == stage else "again" if s in AGAIN[stage] else "kept" for s in STAGES}


def replayed(cascade: Cascade, requests: Requests, n: int) -> Answer:
    """One request through every stage, with what each of them made."""
    asked = requests.query is not None and bool((requests.query[0] or "").strip())
    answer = understand(cascade, SEARCH if asked else FEED, np.zeros(1, np.int64), requests)
    retrieve(cascade, answer, n, True, None)
    rank(cascade, answer, n)
    lay(cascade, answer, n)
    return answer


def shown(cascade: Cascade, answer: Answer, n: int) -> Slates:
    """The page of an answer, with a column for every source."""
    return merged(cascade, [answer], 1, n)


def edited(cascade: Cascade, base: Answer, stage: str, edit: Mapping[str, Any], n: int) -> Answer:
    """The answer after a change of one stage but the first; what lies before it is taken from `base` as it was."""
    checked(stage, edit)
    answer = replace(base, lists=dict(base.lists), seconds=dict(base.seconds), dropped=dict(base.dropped))
    if stage == "retrieve":
        _without_sources(answer, edit.get("without") or ())
    elif stage == "rank":
        answer.weights = _weights(cascade, answer, edit.get("weights") or {})
    elif stage == "rules":
        answer.requests = replace(answer.requests, rules=_rules(cascade, answer, edit))
        answer.lists, answer.dropped = {}, {}
        retrieve(cascade, answer, n, True, None)
    elif stage == "page":
        wanted = Arrangement(
            caps=edit.get("caps") or {}, diversity=edit.get("diversity"), arranger=bool(edit.get("arranger", True))
        )
        answer.requests = replace(answer.requests, arrangement=wanted)
        answer.page = arranged(answer.page, wanted, cascade.catalogue)
    if stage != "page":
        rank(cascade, answer, n)
    lay(cascade, answer, n)
    return answer


def _without_sources(answer: Answer, without: Any) -> None:
    for name in without:
        if name not in answer.lists and name not in answer.dropped:
            raise unknown("source of this answer", str(name), answer.lists)
        answer.dropped[str(name)] = "left out by an edit"
        answer.lists.pop(str(name), None)
    if not answer.lists:
        raise BadSetting("an edit leaves out every source; keep at least one")


def _weights(cascade: Cascade, answer: Answer, weights: Mapping[str, Any]) -> dict[str, float]:
    held = cascade.weights(answer.kind)
    for name, say in weights.items():
        if name not in held:
            raise unknown("source", str(name), held)
        if isinstance(say, bool) or not isinstance(say, (int, float)) or not 0 <= say <= 100:
            raise BadSetting(f"the weight of {name} is {say!r}; expected a number from 0 to 100")
    return {**held, **{name: float(say) for name, say in weights.items()}}


def _rules(cascade: Cascade, answer: Answer, edit: Mapping[str, Any]) -> RuleSet:
    rules, without = answer.requests.rules, set(edit.get("without") or ())
    held = [] if rules.masks is None else list(range(len(rules.masks)))
    if rules.applied is not None:
        held = rules.applied.row(0)["mask"].tolist()
    names = [rules.names[m] for m in held]
    for name in without - set(names):
        raise unknown("rule of this answer", str(name), names)
    kept = [m for m in held if rules.names[m] not in without]
    seen = edit.get("seen")
    if seen not in (None, "drop", "keep"):
        raise BadSetting(f"seen is {seen!r}; expected 'drop' or 'keep'")
    masks = rules.masks[kept] if rules.masks is not None and kept else None
    withhold = rules.withhold_seen if seen is None else seen == "drop"
    out = replace(
        rules, masks=masks, applied=None, names=tuple(rules.names[m] for m in kept), withhold_seen=withhold
    )  # fmt: skip
    where = str(edit.get("where") or "").strip()
    if where:
        more = compile_rules(cascade.catalogue, 1, where=where, withhold_seen=False)
        out = together(out, more, 1)
    return out
