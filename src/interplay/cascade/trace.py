"""How an answer came about, in words and numbers: one `Trace` for each request of a batch.

Traces are read by people; here, and only here, requests and items are walked one by one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from interplay.cascade.composed import composed, without
from interplay.cascade.parts import LIFTER, RANKER
from interplay.types import Array, Requests, RuleSet, Slates, Stage, Trace, Wish

if TYPE_CHECKING:
    from interplay.cascade.cascade import Cascade
    from interplay.cascade.parts import Answer


def traces(cascade: Cascade, answers: Sequence[Answer], requests: Requests, ids: Sequence[str] | None) -> list[Trace]:
    """One trace for each request, in their order; seconds are each request's share of its batch."""
    out: dict[int, Trace] = {}
    for answer in answers:
        for i, row in enumerate(answer.rows.tolist()):
            out[row] = _trace(cascade, answer, i, _name(requests, row, ids))
    return [out[i] for i in range(len(requests))]


def _name(requests: Requests, row: int, ids: Sequence[str] | None) -> str:
    if ids is not None:
        return ids[row]
    return uuid.uuid4().hex if requests.draw is None else f"{int(requests.draw[row]):016x}"


def _trace(cascade: Cascade, answer: Answer, i: int, name: str) -> Trace:
    shared = len(answer.rows)
    items = shown(cascade, answer, i)
    stages = (
        _understood(answer, i),
        _retrieved(cascade, answer, i),
        _ranked(cascade, answer, i),
        _ruled(cascade, answer, i),
        _paged(cascade, answer, i, items),
    )
    seconds = {k: answer.seconds.get(k, 0.0) / shared for k in ("understand", "retrieve", "rank", "rules", "page")}
    told = tuple(Stage(name=n, seconds=seconds[n], said=said, facts=facts) for n, said, facts in stages)
    return Trace(request_id=name, stages=told, items=tuple(items))


_Told = tuple[str, str, Mapping[str, Any]]


def _understood(answer: Answer, i: int) -> _Told:
    requests = answer.requests
    query = requests.query[i] if requests.query is not None else None
    events = int(requests.history.lengths[i])
    person = f"person {int(requests.user[i])}" if requests.user[i] >= 0 else "a stranger"
    past = f"{events} past event{'s' * (events != 1)}" if events else "no past events"
    said = f"A search for {query!r} by {person}" if answer.kind == "search" else f"A feed for {person}"
    rules = _names(requests.rules, i)
    told = ", under the rules: " + "; ".join(rules) if rules else ""
    notes = [f". {note[0].upper()}{note[1:]}" for note in answer.notes[i]]
    facts: dict[str, Any] = {
        "kind": answer.kind, "query": query, "events": events, "rules": rules, "notes": answer.notes[i],
        "wishes": len(requests.wishes[i]) if requests.wishes is not None else 0,
    }  # fmt: skip
    if answer.steered is not None:
        facts["relaxed"] = [
            {"wish_id": answer.steered[i].wishes[at].wish_id or str(at), "said": told}
            for at, told in answer.steered[i].relaxed
        ]
    return "understand", f"{said} with {past}{told}{''.join(notes)}.", facts


def _retrieved(cascade: Cascade, answer: Answer, i: int) -> _Told:
    sources, words = [], []
    for name, source in cascade.sources.items():
        if name in answer.lists:
            gave = int((answer.lists[name].items[i] >= 0).sum())
            sources.append({"source": name, "gave": gave, "seconds": answer.seconds[name] / len(answer.rows)})
            words.append(f"{name} gave {gave}")
        elif name in answer.dropped:
            sources.append({"source": name, "dropped": answer.dropped[name]})
            words.append(f"{name} is missing ({answer.dropped[name]})")
        elif name in cascade.left_out:
            sources.append({"source": name, "left_out": cascade.left_out[name]})
        else:
            sources.append({"source": name, "serves": source.serves})
    return "retrieve", f"Asked for candidates: {', '.join(words)}.", {"sources": sources}


def _ranked(cascade: Cascade, answer: Answer, i: int) -> _Told:
    assert answer.ranked is not None
    fusion = getattr(cascade.config, answer.kind).fusion
    left = int((answer.ranked.items[i] >= 0).sum())
    says = answer.weights or cascade.weights(answer.kind)
    weights = {name: say for name, say in says.items() if name in answer.lists}
    ranking = None if RANKER in answer.dropped else cascade.judge(answer.kind)
    ranker = None if ranking is None else ranking.name or type(ranking.ranker).__name__
    how = (
        f"Fused {len(weights)} lists ({fusion.method})"
        if len(weights) > 1
        else f"Took the list of {next(iter(weights))}"
    )
    then = f", then ordered by {ranker}" if ranker else ""
    facts = {"method": fusion.method, "weights": weights, "candidates": left, "ranker": ranker}
    predicted = [name[2:] for name in answer.ranked.columns if name.startswith("p_")]
    if ranking is not None and predicted:
        says = getattr(ranking.ranker.config, "weights", {}) or dict.fromkeys(predicted, 1.0)
        facts["sum"] = dict(says)
        parts = [f"{w:g} x {t}" for t, w in says.items()]
        if ranking.order:
            facts["order"] = ranking.order
            parts.append(f"{ranking.order:g} x their order so far")
        then += f" ({' + '.join(parts)})"
    elif RANKER in answer.dropped or (cascade.ranking is not None and RANKER in cascade.left_out):
        facts["left_out"] = answer.dropped.get(RANKER) or cascade.left_out[RANKER]
        then += f" (the ranker is missing: {facts['left_out']})"
    if LIFTER in answer.dropped:
        facts["longterm"] = {"left_out": answer.dropped[LIFTER]}
        then += f" (the lifter is missing: {answer.dropped[LIFTER]})"
    elif cascade.lasting is not None and "longterm" in answer.ranked.columns and left:
        by = answer.ranked.columns["longterm"][i][answer.ranked.items[i] >= 0]
        facts["longterm"] = {"by": cascade.lasting.name, "low": float(by.min()), "high": float(by.max())}
        then += f", then lifted by {cascade.lasting.name} (x{by.min():.2f} to x{by.max():.2f})"
    soft = [w for w in (answer.requests.wishes or [()] * (i + 1))[i] if not w.hard and (w.text or w.like)]
    if answer.steered is not None and soft:
        facts["weighed"] = [{"text": w.text, "wanted": w.wanted} for w in soft]
        then += f", then moved by {len(soft)} wish{'es' * (len(soft) > 1)}"
    asked = () if answer.requests.boosts is None else answer.requests.boosts[i]
    if asked:
        facts["boosts"] = [{"where": boost.where, "by": boost.by} for boost in asked]
        facts["boosted"] = int((answer.ranked.columns["boost"][i] != 1).sum())
        then += f", {facts['boosted']} of them boosted"
    return "rank", f"{how}{then}: {left} candidates.", facts


def _names(rules: RuleSet, i: int) -> list[str]:
    return [rules.names[m] for m in _applied(rules, i) if m < len(rules.names)]


def _applied(rules: RuleSet, i: int) -> list[int]:
    if rules.masks is None:
        return []
    return list(range(len(rules.masks))) if rules.applied is None else rules.applied.row(i)["mask"].tolist()


def removed(rules: RuleSet, i: int, n_items: int, history: Array) -> dict[str, Any]:
    """What each rule hides from request i: counts over the catalogue by rule, seen, excluded, and what is left."""
    left, by_rule = rules.allowed(i, n_items), {}
    for m in _applied(rules, i):
        assert rules.masks is not None
        name = rules.names[m] if m < len(rules.names) else f"rule {m + 1}"
        by_rule[name] = int((~rules.masks[m, :n_items]).sum())
    seen = np.unique(history[(history >= 0) & (history < n_items)]) if rules.withhold_seen else np.zeros(0, np.int64)
    excluded = np.zeros(0, np.int64) if rules.exclude is None else np.unique(rules.exclude.row(i)["item"])
    excluded = excluded[(excluded >= 0) & (excluded < n_items)]
    left[seen] = left[excluded] = False
    return {"by_rule": by_rule, "seen": len(seen), "excluded": len(excluded), "left": int(left.sum()), "of": n_items}


def _ruled(cascade: Cascade, answer: Answer, i: int) -> _Told:
    rules, history = answer.requests.rules, answer.requests.history.row(i)["item"]
    facts = removed(rules, i, cascade.rows.n_items, history)
    words = [f"{name!r} hides {count}" for name, count in facts["by_rule"].items()]
    words += [f"{facts['seen']} already seen"] if facts["seen"] else []
    words += [f"{facts['excluded']} withheld by request"] if facts["excluded"] else []
    hidden = "; ".join(words) if words else "nothing is hidden"
    return "rules", f"{facts['left']} of {facts['of']} items may be shown: {hidden}.", facts


def _paged(cascade: Cascade, answer: Answer, i: int, items: Sequence[Mapping[str, Any]]) -> _Told:
    page = answer.page.config
    if answer.page.likeness is None:  # none wanted, or its source was left out
        page = replace(page, variety="relevance")
    places = [item["ranked"] for item in items]
    moved = sum(p is not None and p != item["place"] for p, item in zip(places, items, strict=True))
    pinned = sum(p is None for p in places)
    highest = max((p for p in places if p is not None), default=0)
    passed = highest - sum(p is not None for p in places)
    parts = [
        page.variety if page.variety == "relevance" else f"{page.variety} (balance {page.balance:g} by {page.likeness})"
    ]
    parts += [f"at most {most} of one {column}" for column, most in page.caps.items()]
    parts += [f"{pinned} pinned"] if pinned else []
    facts = {
        "variety": page.variety, "balance": page.balance, "caps": dict(page.caps), "moved": moved, "pinned": pinned,
        "passed_over": passed,
    }  # fmt: skip
    if answer.arranged is not None and cascade.arranging is not None:
        name, made = cascade.arranging.name or type(cascade.arranging.arranger).__name__, answer.arranged
        if made.by[i] != "base" and items:
            parts[0] = f"{name} ({made.by[i]})"
        facts |= composed(answer, i, items) | {"arranger": name}
    elif cascade.arranging is not None and not getattr(answer.requests.arrangement, "arranger", True):
        facts |= {"arranger": cascade.arranging.name, "by": "base", "off": True}
    elif "the arranger" in answer.dropped:
        facts["left_out"] = answer.dropped["the arranger"]
        parts[0] += f" (the arranger is missing: {answer.dropped['the arranger']})"
    columns = {} if answer.slates is None else answer.slates.columns
    if "explored" in columns and cascade.explore is not None:
        tried = int(columns["explored"][i].sum())
        policy = cascade.explore.policy.config
        facts |= {"explores": str(getattr(policy, "way", type(policy).__name__)), "tried": tried}
        where = [place for place in cascade.explore.places if place <= len(items)]
        facts |= {"places": where} if where else {}
        parts += [f"place{'s' * (len(where) > 1)} {', '.join(map(str, where))} drawn to learn"] if where else []
        parts += [f"{tried} of them to learn from"] if tried else ["none of them only to learn from"]
    change = (
        f"{moved} of {len(items)} stand elsewhere than ranked, {passed} better ranked ones wait"
        if moved
        else "as ranked"
    )
    return "page", f"A page of {len(items)} by {', '.join(parts)}: {change}.", facts


def shown(cascade: Cascade, answer: Answer, i: int) -> list[dict[str, Any]]:
    """What is known of each item on the page: place, score, place before the page, its sources and why it is here."""
    slates, page = answer.slates, answer.page.config
    assert slates is not None
    query = None if answer.requests.query is None else answer.requests.query[i]
    known = bool(query) or bool(answer.requests.history.lengths[i])
    out = []
    items, scores = slates.items[i], slates.scores[i].tolist()
    page_items = items[items >= 0].tolist()
    wishes = answer.requests.wishes[i] if answer.steered is not None and answer.requests.wishes is not None else ()
    met = dict(zip(page_items, cascade.steer.meets(wishes, page_items), strict=True)) if wishes else {}
    found = {name: _places(given.items[i], items) for name, given in answer.lists.items()}
    parts = {name: slates.columns[f"part_{name}"][i].tolist() for name in answer.lists}
    places = (slates.columns["ranked"][i] + 1).tolist()
    boosts = slates.columns["boost"][i].tolist() if "boost" in slates.columns else [1.0] * len(places)
    predicted = [name[2:] for name in slates.columns if name.startswith("p_")]
    crosses = dict(zip(page_items, _crosses(cascade, answer, i, page_items), strict=False))
    arranged = answer.arranged is not None and answer.arranged.by[i] != "base"
    stood = {item: at for at, item in enumerate(without(answer, i), 1)} if arranged else {}
    variety = "relevance" if arranged else page.variety
    lifts = slates.columns["longterm"][i].tolist() if "longterm" in slates.columns else [0.0] * len(places)
    least = min((lift for lift in lifts if lift > 0), default=1.0)
    explains = getattr(None if cascade.ranking is None else cascade.ranking.ranker, "explains", "crosses")
    for place, item in enumerate(items.tolist()):
        if item < 0:
            continue
        sources: list[dict[str, Any]] = [
            {"source": name, "place": at[place] + 1, "score": float(answer.lists[name].scores[i, at[place]]),
             "part": parts[name][place]}
            for name, at in found.items() if at[place] >= 0
        ]  # fmt: skip
        ranked, boost = places[place], boosts[place]
        sources.sort(key=lambda s: -s["part"])
        learning = _learning(slates, i, place)
        by = "relevance" if learning else variety
        out.append(
            {
                "item": item,
                "place": place + 1,
                "score": scores[place],
                "ranked": ranked or None,
                "sources": sources,
                "reason": _reason(cascade, sources, place + 1, ranked, by, known, boost, lifts[place] / least)
                + (learning or (_moved(slates, i, place, stood.get(item), known) if arranged else "")),
            }
            | ({"stood": stood.get(item), **_slot(slates, i, place)} if arranged else {})
            | ({"boost": boost} if boost != 1 else {})
            | ({"longterm": lifts[place]} if lifts[place] > 0 else {})
            | ({explains: crosses[item]} if item in crosses else {})
            | _foreseen(slates, predicted, i, place)
            | _tried(slates, i, place)
            | (_wished(wishes, met[item], slates, i, place) if wishes else {})
        )
    return out


def _foreseen(slates: Slates, tasks: Sequence[str], i: int, place: int) -> dict[str, Any]:
    """What a ranker predicts of an item, and what its place among the fused candidates counted."""
    told = {task: float(slates.columns[f"p_{task}"][i, place]) for task in tasks}
    if not any(told.values()):  # nobody judged it
        return {}
    order = float(slates.columns["order"][i, place]) if "order" in slates.columns else 0.0
    return {"predicted": told} | ({"order": order} if order else {})


LIFTED = 1.1  # times the least of a page from which on an item is said to be lifted
ALIKE = 0.7  # likeness from which on an item is said to resemble one above it


def _moved(slates: Slates, i: int, place: int, stood: int | None, known: bool) -> str:
    """Where the arranger moved an item from, and what speaks for its place."""
    if stood == place + 1:
        return ""
    alike = float(slates.columns["alike"][i, place])
    if stood is None or place + 1 < stood:
        fits = "it fits your history better" if known else "more is expected of it here"
        why = "unlike what stands above it" if place and alike < ALIKE else fits
        came = "onto this page" if stood is None else f"from place {stood}"
        return f"; moved up {came}: {why}"
    return f"; moved down from place {stood}" + (": it resembles one above it" if alike >= ALIKE else "")


def _slot(slates: Slates, i: int, place: int) -> dict[str, Any]:
    """What an item earns at its place, and how near it comes to what stands above it."""
    return {name: float(slates.columns[name][i, place]) for name in ("slot", "alike")}


def _tried(slates: Slates, i: int, place: int) -> dict[str, Any]:
    """The chance of an item at its place, and whether it is shown to learn from, where something explores."""
    if "explored" not in slates.columns:
        return {}
    chance, tried = slates.columns["propensity"][i, place], slates.columns["explored"][i, place]
    told: dict[str, Any] = {"propensity": float(chance), "explored": bool(tried)}
    if "high" in slates.columns and slates.columns["high"][i, place] > 0:
        told["believed"] = [float(slates.columns[name][i, place]) for name in ("low", "high")]
    return told


def _learning(slates: Slates, i: int, place: int) -> str:
    """That an item was drawn for its place: by what chance, and what is believed of it."""
    told = _tried(slates, i, place)
    if told.get("propensity", 1.0) >= 1.0:
        return ""
    said = f"{'shown to learn' if told['explored'] else 'drawn for this place'}: chance {percent(told['propensity'])}"
    if "believed" in told:
        low, high = (percent(p).removesuffix(" %") for p in told["believed"])
        said += f"; believed {low} to {high} %" if low != high else f"; believed {low} %"
    return f"; {said}"


def percent(p: float) -> str:
    """A chance as people read it.

    >>> [percent(p) for p in (0.08, 0.004, 0.0, 0.999)]
    ['8 %', 'under 1 %', '0 %', '100 %']
    """
    return "under 1 %" if 0 < p < 0.005 else f"{100 * p:.0f} %"


def _crosses(cascade: Cascade, answer: Answer, i: int, items: list[int]) -> list[Any]:
    """What moved each item's score most: crosses or past events, where the ranker knows and the recipe asks."""
    ranker = None if cascade.ranking is None else cascade.ranking.ranker
    most = getattr(getattr(ranker, "config", None), "explained", 0)
    if not most or not items:
        return []
    requests = answer.requests.slice(i, i + 1)
    told: list[Any] = ranker.explain_candidates(requests, np.array([items], np.int32), cascade.features, most)  # type: ignore[union-attr]
    return told


def _places(given: Array, items: Array) -> list[int]:
    """Where each of `items` first stands in a list; -1 where it does not."""
    same = given[None, :] == items[:, None]
    return np.where(same.any(axis=1), same.argmax(axis=1), -1).tolist()


def _reason(
    cascade: Cascade, sources: Sequence[Mapping[str, Any]], place: int, ranked: int, variety: str, known: bool,
    boost: float, lift: float,
) -> str:  # fmt: skip
    if not ranked:
        return "Pinned to this place"
    best = sources[0]["source"]
    source = cascade.sources[best]
    reason = (source.says or f"Suggested by {best}") if known else source.stranger
    also = [str(s["source"]) for s in sources[1:]]
    if also and known:
        reason += f"; also found by {', '.join(also)}"
    if place < ranked and variety != "relevance":
        reason += f"; moved up from place {ranked} for variety"
    if lift >= LIFTED:
        reason += f"; lifted x{lift:.1f}: you may come back to its maker"
    if boost != 1:
        reason += f"; {'raised' if boost > 1 else 'lowered'} by a rule of this request (x{boost:g})"
    return reason


def _wished(wishes: Sequence[Wish], met: tuple[Any, Any], slates: Slates, i: int, place: int) -> dict[str, Any]:
    """Which wishes an item meets and which it goes against, each with its figure, and what they did to its score."""
    named = [
        [{"wish_id": wishes[j].wish_id or str(j), "text": wishes[j].text, "figure": figure} for j, figure in part]
        for part in met
    ]
    parts = {k: float(slates.columns[k][i, place]) for k in ("taste", "wanted", "unwanted") if k in slates.columns}
    return {"meets": named[0], "against": named[1], "wishes": parts}
