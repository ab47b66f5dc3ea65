"""Sessions: simulated people bend a feed by talking until they are shown what they look for, or give up.

    SR     one command
    MR     up to five rounds
    MRID   six rounds, of which the person looks for something else from the fourth on

A session is left out when the ordinary feed shows the target already. Everybody's feed leaves out what the person has
seen and what the session has shown before. The targets are the last and the last but one event of a person, which no
system was fitted on. Violations are counted by what was meant, not by what was understood: items shown that break an
explicit must or never said since the last change of mind.

With one seed every row plays the same sessions, so rows are compared session by session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from interplay.cascade.cascade import Cascade
from interplay.cascade.fuse import FusionConfig
from interplay.cascade.parts import CascadeConfig, Manner, Source
from interplay.cascade.rules import Catalogue, compile_rules
from interplay.data.encode import english
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.parse import parse, reader
from interplay.dialogue.state import Spoke, State, apply
from interplay.dialogue.steer import Steer
from interplay.errors import unknown
from interplay.protocols.sessions_table import table as table
from interplay.recipe import load_recipe
from interplay.systems import system
from interplay.types import Array, Dataset, Ragged, Requests, RuleSet, Run, Wish
from interplay.worlds.market import market
from interplay.worlds.talkers import Column, Said, Speech, Talkers

SETTINGS: Mapping[str, tuple[int, int]] = {
    "SR": (1, -1),
    "MR": (5, -1),
    "MRID": (6, 3),
}  # rounds, the round of the drift
K = 10
SESSIONS = 1000  # people of a bench
BLOCK = 250  # sessions answered at once
ALONE = 100  # turns that are timed one at a time

GENRES = {
    g: (g.lower(), p)
    for g, p in {
        "Comedy": "comedies", "Drama": "dramas", "Thriller": "thrillers", "Western": "westerns", "Musical": "musicals",
        "Documentary": "documentaries", "Mystery": "mysteries", "Romance": "romances",
    }.items()
} | {"Film-Noir": ("film noir", "film noir movies"), "Sci-Fi": ("sci-fi", "sci-fi films")}  # fmt: skip
FILMS = Speech(columns=(Column(name="categories", many="{} films", said=GENRES),), year="year", text="llm_description")
SHOP = Speech(
    columns=(
        Column(name="kind", many="{}s", said={"seeds": ("seeds", "seeds"), "stationery": ("stationery", "stationery")}),
        Column(name="genre", many="{} things"), Column(name="colour"), Column(name="mood"),
        Column(name="material", many="things made of {}"), Column(name="maker", many="things by {}"),
        Column(name="traits", only=frozenset(("recycled", "handmade", "organic", "vegan", "plastic"))),
    ),
    price="price", text="text",
)  # fmt: skip
SPEECHES: Mapping[str, Speech] = {"ml-1m": FILMS, "market": SHOP}


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """One catalogue with its people: the log without the last two events of everybody, and those two."""

    dataset: Dataset  # what systems are fitted on
    users: Array  # int32[n]
    targets: Array  # int32[n, 2]: looked for first, looked for after the change of mind
    speech: Speech


def scene(dataset: Dataset, speech: Speech, n: int, *, seed: int = 0, least: int = 5) -> Scene:
    """People drawn at random who have at least `least` events before the last two, and had neither of those two items
    before; the fit sees none of the last two events of anybody."""
    lengths = np.diff(dataset.offsets)
    able = np.array([u for u in np.flatnonzero(lengths >= least + 2) if _new(dataset, int(u))], np.int64)
    users = np.sort(np.random.default_rng(seed).permutation(able)[:n]).astype(np.int32)
    ends = dataset.offsets[1:]
    item = dataset.events.item
    targets = np.stack([item[ends[users] - 2], item[ends[users] - 1]], axis=1)
    keep = np.ones(len(item), bool)
    tail = lengths >= 3
    keep[ends[tail] - 1] = keep[ends[tail] - 2] = False
    return Scene(dataset=dataset.where(keep), users=users, targets=targets.astype(np.int32), speech=speech)


def _new(dataset: Dataset, user: int) -> bool:
    """Whether the last two items of a person are different ones, and new to them."""
    items = dataset.events.item[dataset.offsets[user] : dataset.offsets[user + 1]]
    return len(set(items[-2:].tolist())) == 2 and not np.isin(items[-2:], items[:-2]).any()


# --------------------------------------------------------------------------------------------------------------------
# Those who answer


@dataclass
class Turn:
    """One session up to now, as an answerer sees it."""

    user: int
    texts: list[str] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)  # everything, in order
    page: list[int] = field(default_factory=list)  # the feed that the last command was about
    state: State = field(default_factory=State)


class Answerer:
    """One way to answer commands; `feed` gives the next page of every session."""

    reads = False  # whether commands are parsed into wishes
    leans = True  # whether a sentence without a cue is read by its meaning

    def __init__(self, made: Scene, cascade: Cascade) -> None:
        self.scene, self.cascade = made, cascade
        self.catalogue = Catalogue.of(made.dataset)

    def request(self, turns: Sequence[Turn], **more: Any) -> Requests:
        users = np.array([t.user for t in turns], np.int32)
        exclude = Ragged.of([np.array(t.shown, np.int32) for t in turns])
        rules = RuleSet(exclude=exclude)
        return Requests.of(self.scene.dataset, users, rules=rules, k=K, **more)

    def feed(self, turns: Sequence[Turn]) -> list[list[int]]:
        return _lists(self.cascade.retrieve(self.request(turns), K))


class Searching(Answerer):
    """Search with the words of the last command, or of all of them; the history plays no part."""

    def __init__(self, made: Scene, cascade: Cascade, *, every: bool) -> None:
        super().__init__(made, cascade)
        self.every = every

    def feed(self, turns: Sequence[Turn]) -> list[list[int]]:
        texts = [". ".join(t.texts) if self.every else t.texts[-1] for t in turns]
        return _lists(self.cascade.retrieve(self.request(turns, query=[t or "anything" for t in texts]), K))


class Filtering(Answerer):
    """The same parser, its wishes as filters over an order that does not listen: taste, or what many took.

    `every`: soft wishes that a column can check filter too, not only hard ones.
    """

    reads = True

    def __init__(self, made: Scene, cascade: Cascade, steer: Steer, *, every: bool) -> None:
        super().__init__(made, cascade)
        self.steer, self.every = steer, every

    def feed(self, turns: Sequence[Turn]) -> list[list[int]]:
        requests = self.request(turns)
        where = []
        for i, t in enumerate(turns):
            wishes = [replace(w, hard=True) if self.every and w.where else w for w in t.state.wishes]
            allowed = requests.rules.allowed(i, self.scene.dataset.n_items)
            allowed[t.shown] = False
            allowed[requests.history.row(i)["item"]] = False
            where.append(list(self.steer.plan([w for w in wishes if w.hard], allowed).where))
        rules = compile_rules(self.catalogue, len(turns), where=where, exclude=requests.rules.exclude, strict=False)
        return _lists(self.cascade.retrieve(replace(requests, rules=rules), K))


class Steering(Answerer):
    """The whole: filter, matcher, attenuator, aggregator; or without one of its tools.

    `without`: "matcher" leaves out what is softly wanted, "attenuator" what is softly unwanted, "meaning" nothing, but
    its cascade weighs no vectors and its sentences are read by cues alone.
    """

    reads = True

    def __init__(self, made: Scene, cascade: Cascade, *, without: str = "") -> None:
        super().__init__(made, cascade)
        self.without, self.leans = without, without != "meaning"

    def _weighed(self, wish: Wish) -> bool:
        return wish.hard or self.without != ("matcher" if wish.wanted else "attenuator")

    def feed(self, turns: Sequence[Turn]) -> list[list[int]]:
        wishes = [tuple(w for w in t.state.wishes if self._weighed(w)) for t in turns]
        return _lists(self.cascade.retrieve(self.request(turns, wishes=wishes), K))


def _lists(slates: Any) -> list[list[int]]:
    return [[int(i) for i in row if i >= 0] for row in slates.items]


def answerers(
    made: Scene, taste: str = "markov", settings: Mapping[str, Any] | None = None
) -> dict[str, Callable[[], Answerer]]:
    """Every row of the table, fitted when it is first asked for; `settings` are laid over the recipe."""
    run, fitted = Run(), dict[str, Cascade]()

    def one(name: str, **source: Any) -> Cascade:
        if name not in fitted:
            fusion = FusionConfig(candidates=K)
            config = CascadeConfig(feed=Manner(fusion=fusion), search=Manner(fusion=fusion))
            fitted[name] = Cascade(
                {name.replace("-", "_"): Source(retriever=system(name).build(), n=K)}, config=config
            ).fit(made.dataset, run=run)
        return fitted[name]

    def steered(by: str = taste, *more: Mapping[str, Any]) -> Cascade:
        key = f"recbot {by} {more}"
        if key not in fitted:
            over: dict[str, Any] = {"source": {"taste": {"system": by}}}
            fitted[key] = load_recipe("recbot.toml").build(over, settings or {}, *more).fit(made.dataset, run=run)
        return fitted[key]

    return {
        "ordinary": lambda: Answerer(made, one(taste)),
        "bm25-last": lambda: Searching(made, one("bm25"), every=False),
        "bm25-all": lambda: Searching(made, one("bm25"), every=True),
        "minilm-last": lambda: Searching(made, one("minilm"), every=False),
        "minilm-all": lambda: Searching(made, one("minilm"), every=True),
        "popular-filter": lambda: Filtering(made, one("popular"), steered().steer, every=True),
        "taste-filter": lambda: Filtering(made, one(taste), steered().steer, every=False),
        "taste-filter-all": lambda: Filtering(made, one(taste), steered().steer, every=True),
        "recbot": lambda: Steering(made, steered()),
        "recbot-no-matcher": lambda: Steering(made, steered(), without="matcher"),
        "recbot-no-attenuator": lambda: Steering(made, steered(), without="attenuator"),
        "recbot-no-meaning": lambda: Steering(made, steered(taste, {"wishes": {"vectors": False}}), without="meaning"),
        "sasrec": lambda: Answerer(made, one("sasrec")),
        "sasrec-filter-all": lambda: Filtering(made, one("sasrec"), steered().steer, every=True),
        "recbot-sasrec": lambda: Steering(made, steered("sasrec")),
    }


# --------------------------------------------------------------------------------------------------------------------
# Playing


@dataclass(frozen=True, kw_only=True, eq=False)
class Played:
    """What came of the sessions, one value for each: passed, rounds, and shares of items that broke what was said."""

    passed: Array  # bool[n]
    rounds: Array  # int[n]: until passed, or all of them
    broken: Array  # int[n]: items shown that break an explicit must or never
    shown: Array  # int[n]: items shown while one held
    parse_seconds: Array  # float[commands]
    misread: Mapping[str, tuple[int, int]]  # kind of statement -> (broken items, items shown under it)
    examples: Sequence[tuple[str, str]]  # commands under which items broke what was said, with what was understood
    lost: Sequence[tuple[str, str]]  # (command, a hard wish read from it that hides what is looked for)

    def figures(self, name: str) -> dict[str, float]:
        """Means, named for the setting."""
        return {
            f"pass_{name}": float(self.passed.mean()), f"rounds_{name}": float(self.rounds.mean()),
            f"violations_{name}": float(self.broken.sum() / max(self.shown.sum(), 1)),
        }  # fmt: skip


def play(
    made: Scene, answerer: Answerer, lexicon: Lexicon, setting: str, *, phrasings: str = "test", seed: int = 0,
    first: Sequence[Sequence[int]] | None = None,
) -> Played:  # fmt: skip
    """Play every session of a setting; `first` are the feeds before anything is said (the ordinary one)."""
    if setting not in SETTINGS:
        raise unknown("setting", setting, SETTINGS)
    rounds, drift = SETTINGS[setting]
    frame = made.dataset.catalogue
    assert frame is not None
    talkers = Talkers(frame, made.speech, phrasings=phrasings, seed=seed)
    read = _reader(lexicon, answerer)
    n = len(made.users)
    feeds = [list(f) for f in first] if first is not None else ordinary(made, answerer)
    turns = [Turn(user=int(u), page=list(f), shown=list(f)) for u, f in zip(made.users, feeds, strict=True)]
    goal = made.targets[:, 0].copy()
    live = np.array([int(t) not in f for t, f in zip(goal, feeds, strict=True)])
    counted = live.copy()
    passed, took = np.zeros(n, bool), np.full(n, rounds)
    broken, shown = np.zeros(n, np.int64), np.zeros(n, np.int64)
    said: list[list[Said]] = [[] for _ in range(n)]
    before: list[list[tuple[str, str]]] = [[] for _ in range(n)]
    seconds: list[float] = []
    misread: dict[str, list[int]] = {}
    examples: list[tuple[str, str]] = []
    lost: list[tuple[str, str]] = []
    for r in range(rounds):
        now = np.flatnonzero(live)
        if not len(now):
            break
        for i in now:
            if r == drift:
                goal[i] = made.targets[i, 1]
                told, before[i] = talkers.turn_to(int(made.users[i]), r, int(goal[i]))
                said[i] = [told]
            else:
                also = int(made.targets[i, 1]) if 0 <= r < drift else None
                told, before[i] = talkers.say(int(made.users[i]), r, int(goal[i]), turns[i].page, before[i], also=also)
                said[i].append(told)
            turn = turns[i]
            turn.texts.append(told.text)
            if answerer.reads:
                begun = time.perf_counter()
                parsed = read(told.text, shown=turn.page, standing=turn.state.wishes)
                if parsed.changes:
                    turn.state, _ = apply(turn.state, Spoke(event_id=f"e{r}", at=r + 1, parsed=parsed))
                seconds.append(time.perf_counter() - begun)
                for p in parsed.wishes:
                    if (
                        p.wish.hard
                        and p.wish.where
                        and answerer.catalogue.mask(p.wish.where, strict=False)[goal[i]] != p.wish.wanted
                    ):
                        lost.append((told.text, f"{'' if p.wish.wanted else 'not '}{p.wish.where}"))
        for lo in range(0, len(now), BLOCK):
            part = now[lo : lo + BLOCK]
            for i, page in zip(part, answerer.feed([turns[j] for j in part]), strict=True):
                items = np.array(page, np.int64)
                explicit = [s for s in said[i] if s.must or s.never]
                if explicit and len(items):
                    wrong = np.logical_or.reduce([s.broken(items) for s in explicit])
                    broken[i] += int(wrong.sum())
                    shown[i] += len(items)
                    for s in explicit:
                        bad = int(s.broken(items).sum())
                        for kind in s.kinds:
                            held = misread.setdefault(kind, [0, 0])
                            held[0] += bad
                            held[1] += len(items)
                        if bad and answerer.reads:
                            examples.append(
                                (s.text, "; ".join(w.text + (" !" if w.hard else "") for w in turns[i].state.wishes))
                            )
                turns[i].page = page
                turns[i].shown.extend(page)
                if int(goal[i]) in page and (drift < 0 or r >= drift):
                    passed[i], took[i], live[i] = True, r + 1, False
    kept = counted
    return Played(
        passed=passed[kept], rounds=took[kept], broken=broken[kept], shown=shown[kept],
        parse_seconds=np.array(seconds), misread={k: (v[0], v[1]) for k, v in misread.items()}, examples=examples,
        lost=lost,
    )  # fmt: skip


def _reader(lexicon: Lexicon, answerer: Answerer) -> Callable[..., Any]:
    """The parser as it is served, or by cues alone."""
    words = english()
    return (
        reader(lexicon)
        if answerer.leans
        else partial(parse, lexicon=lexicon, known=words.__contains__ if words else None)
    )


def timed(made: Scene, answerer: Answerer, lexicon: Lexicon, *, phrasings: str = "test", seed: int = 0) -> Array:
    """float[n]: milliseconds of one turn alone, from the sentence to the next feed, of the first ALONE people."""
    frame = made.dataset.catalogue
    assert frame is not None
    talkers, read = Talkers(frame, made.speech, phrasings=phrasings, seed=seed), _reader(lexicon, answerer)
    turns = [Turn(user=int(u)) for u in made.users[:ALONE]]
    out = []
    for turn, page, goal in zip(turns, Answerer.feed(answerer, turns), made.targets[:ALONE, 0], strict=True):
        told, _ = talkers.say(turn.user, 0, int(goal), page)
        begun = time.perf_counter()
        parsed = read(told.text, shown=page)
        turn.texts.append(told.text)
        turn.state, _ = apply(turn.state, Spoke(event_id="e", at=1, parsed=parsed))
        answerer.feed([turn])
        out.append(1000 * (time.perf_counter() - begun))
    return np.array(out)


def judge(page: Any, entry: Any, seed: int) -> dict[str, Any]:
    """One row of a bench of sessions: the figures of the three settings, on the test half of the phrasings.

    The setting `n_items` makes a market of another size; such a row plays other sessions than the rest.
    """
    from interplay.experiment import dataset

    large = entry.settings.get("n_items")
    made = scene(
        market(n_items=large).dataset if large else dataset(page.data), SPEECHES[page.data], SESSIONS, seed=seed
    )
    rows = answerers(made)
    lexicon = Lexicon.of(made.dataset)
    first = ordinary(made, rows["ordinary"]())
    answerer = rows[entry.system]()
    figures: dict[str, float] = {}
    facts: dict[str, Any] = {}
    columns: dict[str, Array] = {}
    for setting in SETTINGS:
        begun = time.perf_counter()
        played = play(made, answerer, lexicon, setting, seed=seed, first=first)
        spent = time.perf_counter() - begun
        figures |= played.figures(setting)
        columns |= {
            f"pass_{setting}": played.passed, f"rounds_{setting}": played.rounds,
            f"broken_{setting}": played.broken, f"shown_{setting}": played.shown,
        }  # fmt: skip
        turns = float(played.rounds.sum())
        facts[setting] = {
            "sessions": len(played.passed), "seconds_a_turn": spent / max(turns, 1),
            "parse_milliseconds": float(1000 * np.median(played.parse_seconds)) if len(played.parse_seconds) else None,
            "broken": {k: [int(a), int(b)] for k, (a, b) in played.misread.items()}, "hidden": len(played.lost),
        }  # fmt: skip
    figures["recall_SR"] = figures["pass_SR"]
    if answerer.reads:
        alone = timed(made, answerer, lexicon, seed=seed)
        facts["turn_milliseconds"] = {"median": float(np.median(alone)), "p90": float(np.quantile(alone, 0.9))}
    protocol = {
        "people": f"{SESSIONS} people drawn with seed {seed}, {facts['SR']['sessions']} of whom the ordinary feed "
        "does not satisfy already",
        "targets": "their last two events, new to them and left out of the fit (the last two of everybody)",
        "phrasings": "the test half of `worlds/sayings.py`, 3 % with a typing slip",
    }  # fmt: skip
    return {
        "metrics": figures, "protocol": protocol, "facts": facts,
        "rows": {k: np.asarray(v, np.float32) for k, v in columns.items()},
    }  # fmt: skip


def ordinary(made: Scene, answerer: Answerer) -> list[list[int]]:
    """The feeds before anything was said, for everybody who answers: taste alone."""
    turns = [Turn(user=int(u)) for u in made.users]
    out: list[list[int]] = []
    for lo in range(0, len(turns), BLOCK):
        out.extend(Answerer.feed(answerer, turns[lo : lo + BLOCK]))
    return out
