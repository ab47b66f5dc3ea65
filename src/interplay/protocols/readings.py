"""How well a parser reads people: sentences that real people wrote, with what others, or we by hand, say they mean.

iard       gold acts and slots of 549 seeker turns of ReDial conversations; the polarity of what is named in the turns
           that hold a negation cue is ours (evaluate/labels/iard-polarity.toml)
redial     whether the seeker liked each film of a conversation, by the seeker's own label; without `extra_test`

Turns are dealt into two halves by conversation: the rules may be worked on with the one, the figures that are printed
first are of the other.
"""

from __future__ import annotations

import json
import re
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from interplay.data.read import roots
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.modelled import read_with
from interplay.dialogue.parse import reader
from interplay.dialogue.said import Mention, Parsed, Proposed
from interplay.dialogue.tongue import plain, stems
from interplay.errors import BadData, BadSetting
from interplay.llm import configured
from interplay.ops import stats
from interplay.protocols.student import student

if TYPE_CHECKING:
    from interplay.benches.values import Bench

ACTS: Mapping[str, frozenset[str]] = {  # act of ours -> acts of the gold labels
    "accept": frozenset({"ACC"}), "reject": frozenset({"REJ"}), "critique": frozenset({"CRI-F", "CRI-A", "CRI-C"}),
    "ask": frozenset({"INQ", "ASK"}), "seen": frozenset({"SEE"}), "wish": frozenset({"IQU", "CON", "PRO"}),
}  # fmt: skip
SLOTS: Mapping[str, tuple[str, ...]] = {  # slot of the gold labels -> kinds of mention that can be it
    "TITLE": ("title",), "GENRE": ("genres",), "ACTOR": ("actors",), "DIRECTOR": ("directors",), "YEAR": ("amount",),
    "KEYWORDS": ("text", "genres", "direction"),
}  # fmt: skip
FIRST, SECOND = "worked-on half", "other half"
NO_MODEL = (
    "The row `model` is left out: no text model was configured (INTERPLAY_TEXT_MODEL_URL; then "
    "`interplay bench readings --systems model --seeds 0`)."
)
Reader = Callable[[str], Parsed]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One seeker turn with its gold labels."""

    turn_id: str
    text: str
    acts: frozenset[str]
    slots: tuple[tuple[str, str], ...]
    half: str
    named: str | None = None  # a sign for each slot, in turns with a negation cue
    verdict: str | None = None


@dataclass
class Counts:
    """Hits, false alarms and misses."""

    hit: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, found: bool, true: bool) -> None:
        self.hit += found and true
        self.wrong += found and not true
        self.missed += true and not found

    @property
    def f1(self) -> float:
        return 2 * self.hit / max(2 * self.hit + self.wrong + self.missed, 1)

    @property
    def precision(self) -> float:
        return self.hit / max(self.hit + self.wrong, 1)

    @property
    def recall(self) -> float:
        return self.hit / max(self.hit + self.missed, 1)


@dataclass(frozen=True, kw_only=True)
class Read:
    """What a parser made of a set of turns."""

    figures: Mapping[str, float]
    negation: Sequence[tuple[int, int, int]] = field(default_factory=tuple)  # of each turn: hits, false alarms, misses
    errors: Sequence[tuple[str, str]] = field(default_factory=tuple)  # (kind, sentence), to be looked at


# --------------------------------------------------------------------------------------------------------------------
# The data


def _at(name: str) -> Path:
    """The directory of a prepared set."""
    for root in roots():
        if (root / name).is_dir():
            return root / name
    raise BadData(
        f"{name} is in none of {[str(r) for r in roots()]}; set INTERPLAY_DATA to the directory that holds it"
    )


def half(conversation: str) -> str:
    """Which half a conversation belongs to."""
    return FIRST if zlib.crc32(conversation.encode()) % 2 else SECOND


def turns() -> list[Turn]:
    """The gold seeker turns of `iard`, with our polarity labels."""
    frame = pl.read_parquet(_at("iard") / "utterances.parquet")
    frame = frame.filter((pl.col("set") == "gold") & (pl.col("participant") == "USER"))
    signs = _labels()
    out = []
    for row in frame.iter_rows(named=True):
        turn_id = f"{row['conversation_id']}/{row['turn_id']}"
        slots = tuple((s.partition("=")[0], s.partition("=")[2].replace("%3F", "?")) for s in row["slots"] or ())
        named, verdict = signs.get(turn_id, (None, None))
        out.append(Turn(
            turn_id=turn_id, text=re.sub(r"<[^>]*>|&\w+;", " ", row["utterance"]), acts=frozenset(row["intents"] or ()),
            slots=slots, half=half(row["conversation_id"]), named=named, verdict=verdict,
        ))  # fmt: skip
    return out


def _labels() -> dict[str, tuple[str, str]]:
    held = tomllib.loads((resources.files("interplay.evaluate") / "labels" / "iard-polarity.toml").read_text())
    return {turn: (named, verdict) for turn, (named, verdict) in held["turns"].items()}


def films() -> pl.DataFrame:
    """The films of ReDial as a catalogue: title, genres, actors, directors, plot."""
    at = _at("redial_part")
    items = pl.read_parquet(at / "items.parquet")

    def listed(column: str) -> pl.Expr:
        expr = pl.col(column)
        if items.schema[column] != pl.List(pl.String):
            expr = expr.cast(pl.String).str.split(", ")
        return expr.list.eval(pl.element().str.strip_chars()).alias(column)

    year = pl.col("name").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int32).alias("year")
    return items.select(
        pl.col("name").alias("title"),
        year,
        listed("genres"),
        listed("actors"),
        listed("directors"),
        pl.col("plot").alias("text"),
    )


def lexicon() -> Lexicon:
    """The words of the film catalogue."""
    return Lexicon.of(films())


# --------------------------------------------------------------------------------------------------------------------
# The readers that are compared


def rules(words: Lexicon) -> Reader:
    """The built-in parser as it is served."""
    read = reader(words)
    return lambda text: read(text)


def model(words: Lexicon) -> Reader:
    """The text model that is configured; acts are the rules', of which it is not asked."""
    held = configured()
    if held is None:
        raise BadSetting(NO_MODEL)
    read = rules(words)

    def of(text: str) -> Parsed:
        parsed = read_with(held, read(text), words)
        if parsed.by == "rules":  # it gave no answer, and the doubts say so
            return parsed
        return replace(parsed, mentions=tuple(_mentioned(w, words) for w in parsed.wishes))

    return of


def _mentioned(said: Proposed, words: Lexicon) -> Mention:
    """What a wish of the model's names: a title of the catalogue, else by the column that it speaks of."""
    text = " ".join(said.values) if said.values else said.wish.text
    items = words.titles.get(stems(text), ())
    number = any(n.column == said.about[0] for n in words.numbers)
    kind = "title" if items else "amount" if number else said.about[0]
    return Mention(text=text, kind=kind, wanted=said.wish.wanted, items=items)


def gazetteer(words: Lexicon) -> Reader:
    """The floor: names that the catalogue has, all unwanted where the turn has any negation word; acts by one word."""
    cue = re.compile(r"\b(?:no|not|never|without|hate[ds]?|dislike[ds]?|none|nothing)\b|n't\b")
    read = rules(words)

    def of(text: str) -> Parsed:
        parsed, flat = read(text), plain(text)
        wanted = cue.search(flat) is None
        acts = ("ask",) if "?" in flat else ("seen",) if "seen" in flat else ("reject",) if not wanted else ("accept",)
        mentions = tuple(
            Mention(text=m.text, kind=m.kind, wanted=wanted, items=m.items) for m in parsed.mentions if m.kind != "text"
        )
        return Parsed(text=text, acts=acts, mentions=mentions)

    return of


def majority(words: Lexicon) -> Reader:
    """Everything is wanted; every turn is the most frequent act."""
    read = rules(words)
    return lambda text: Parsed(
        text=text, acts=("accept",),
        mentions=tuple(Mention(text=m.text, kind=m.kind, wanted=True, items=m.items) for m in read(text).mentions),
    )  # fmt: skip


READERS: dict[str, Callable[[Lexicon], Reader]] = {
    "majority": majority, "gazetteer": gazetteer, "student": student, "rules": rules, "model": model,
}  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# Judging


def judge(page: Any, entry: Any, seed: int) -> dict[str, Any]:
    """One row of the bench: both halves, the one that the rules were not worked on with first."""
    read = READERS[entry.label](lexicon())
    held, spoken = turns(), dialogues()
    figures: dict[str, float] = {}
    facts: dict[str, Any] = {}
    for which in (SECOND, FIRST):
        mine = [t for t in held if t.half == which]
        of_turns = judge_turns(read, mine)
        found = dict(of_turns.figures)
        found |= judge_dialogues(read, [d for d in spoken if half(str(d["dialog"])) == which]).figures
        if which == SECOND:
            figures = found
        facts[which] = {k: round(v, 4) for k, v in found.items()} | _spread(of_turns) | {"turns": len(mine)}
    of_turns = judge_turns(read, held)
    facts["both"] = {k: round(v, 4) for k, v in of_turns.figures.items()} | _spread(of_turns) | {"turns": len(held)}
    protocol = {
        "halves": f"{facts[SECOND]['turns']} of {len(held)} turns, {int(figures['named'])} things named in turns with "
        f"a negation cue, {int(figures['films'])} films with a seeker's label",
    }  # fmt: skip
    return {"metrics": figures, "protocol": protocol, "facts": facts}


def _spread(read: Read) -> dict[str, Any]:
    """How many unwanted things were found, wrongly found and missed, and the 95 % bootstrap interval of their F1 over
    turns with a negation cue."""
    counts = np.array(read.negation, np.float64).reshape(-1, 3)
    if not len(counts):
        return {}
    draws = stats.resampled(counts)
    f1 = 2 * draws[:, 0] / np.maximum(2 * draws[:, 0] + draws[:, 1] + draws[:, 2], 1e-9)
    hit, wrong, missed = (int(v) for v in counts.sum(axis=0))
    return {"unwanted_found": hit, "unwanted_wrong": wrong, "unwanted_missed": missed,
            "unwanted_f1_interval": [round(float(q), 4) for q in np.quantile(f1, [0.025, 0.975])]}  # fmt: skip


def judge_turns(read: Reader, given: Sequence[Turn]) -> Read:
    """Acts, slots and the polarity of what is named."""
    acts = {act: Counts() for act in ACTS}
    slots = {slot: Counts() for slot in SLOTS}
    signs = {sign: Counts() for sign in "+-0"}
    right = wishes = 0
    errors: list[tuple[str, str]] = []
    negation: list[tuple[int, int, int]] = []
    for turn in given:
        parsed = read(turn.text)
        gold = {act for act, theirs in ACTS.items() if theirs & turn.acts}
        found = {act for act in parsed.acts if act in ACTS}
        for act, count in acts.items():
            count.add(act in found, act in gold)
            if (act in found) != (act in gold):
                errors.append((f"{act} {'found' if act in found else 'missed'}", f"{turn.turn_id} {turn.text}"))
        if gold:
            wishes += 1
            right += bool(found & gold)
        _slots(turn, parsed, slots)
        if turn.named is not None:
            own = Counts()
            for (slot, value), sign in zip(turn.slots, turn.named, strict=True):
                if sign == ".":
                    continue
                said = _sign(parsed, slot, value)
                for one, count in signs.items():
                    count.add(said == one, sign == one)
                own.add(said == "-", sign == "-")
                if said != sign:
                    errors.append((f"polarity {said} for {sign}", f"{turn.turn_id} {slot}={value} | {turn.text}"))
            negation.append((own.hit, own.wrong, own.missed))
    figures = {"act_accuracy": right / max(wishes, 1)}
    figures |= {f"f1_{act}": c.f1 for act, c in acts.items()}
    figures |= {"f1_acts": float(np.mean([c.f1 for c in acts.values()]))}
    figures |= {f"slot_{slot.lower()}": c.f1 for slot, c in slots.items()}
    whole = Counts(*(sum(getattr(c, f) for c in slots.values()) for f in ("hit", "wrong", "missed")))
    figures |= {"slot_f1": whole.f1, "slot_precision": whole.precision, "slot_recall": whole.recall}
    figures |= {"unwanted_f1": signs["-"].f1, "unwanted_precision": signs["-"].precision,
                "unwanted_recall": signs["-"].recall, "wanted_f1": signs["+"].f1, "neither_f1": signs["0"].f1,
                "named": float(sum(c.hit + c.missed for c in signs.values()))}  # fmt: skip
    return Read(figures=figures, negation=negation, errors=errors)


def _slots(turn: Turn, parsed: Parsed, counts: Mapping[str, Counts]) -> None:
    """A mention is a hit when its words and a slot's overlap by half and its kind can be that slot."""
    left = [(slot, value) for slot, value in turn.slots if slot in counts and value != "None"]
    for mention in parsed.mentions:
        match = next(((s, v) for s, v in left if mention.kind in SLOTS[s] and _overlap(mention.text, v)), None)
        if match is not None:
            counts[match[0]].hit += 1
            left.remove(match)
            continue
        own = next((s for s, kinds in SLOTS.items() if mention.kind in kinds), None)
        if own is not None and not any(_overlap(mention.text, v) for _, v in turn.slots):
            counts[own].wrong += 1
    for slot, _ in left:
        counts[slot].missed += 1


def _overlap(a: str, b: str) -> bool:
    x, y = set(stems(a)), set(stems(b))
    return bool(x) and bool(y) and len(x & y) >= max(1, min(len(x), len(y)) / 2)


def _sign(parsed: Parsed, slot: str, value: str) -> str:
    """The parser's polarity of one named thing: that of the mention that shares most of its words; "0" for none."""
    best = max(parsed.mentions, key=lambda m: len(set(stems(m.text)) & set(stems(value))), default=None)
    if best is None or not set(stems(best.text)) & set(stems(value)):
        return "0"
    return best.polarity


def dialogues(splits: Iterable[str] = ("valid", "extra_train")) -> list[dict[str, Any]]:
    """ReDial conversations: turns in order and the seeker's own label of each film."""
    at = _at("redial_part")
    kept = pl.col("split").is_in(list(splits))
    names = dict(pl.read_parquet(at / "mentioned_movies.parquet").select("movie_id", "name").iter_rows())
    labels: dict[int, dict[int, int]] = {}
    for d, m, liked in (
        pl.read_parquet(at / "movie_labels.parquet")
        .filter(kept)
        .select("dialog_id", "movie_id", "seeker_liked")
        .iter_rows()
    ):
        if liked in (0, 1):
            labels.setdefault(d, {})[m] = liked
    out: list[dict[str, Any]] = []
    messages = pl.read_parquet(at / "messages.parquet").filter(kept).sort("dialog_id", "turn_id")
    for (dialog,), part in messages.group_by(["dialog_id"], maintain_order=True):
        out.append({
            "dialog": dialog, "liked": labels.get(dialog, {}), "names": names,
            "turns": [(r["role"], r["text"]) for r in part.iter_rows(named=True)],
        })  # fmt: skip
    return out


def judge_dialogues(read: Reader, given: Sequence[Mapping[str, Any]]) -> Read:
    """Whether each film was liked, from what the seeker said: of the film by name, or of what was just suggested."""
    disliked, liked = Counts(), Counts()
    errors: list[tuple[str, str]] = []
    for dialogue in given:
        last: list[int] = []
        said: dict[int, str] = {}
        why: dict[int, str] = {}
        for role, text in dialogue["turns"]:
            ids = [int(m) for m in re.findall(r"@(\d+)", text)]
            if role != "seeker":
                last = ids or last
                continue
            shown = re.sub(r"@(\d+)", lambda m: f"“film {m[1]}”", text)
            parsed = read(shown)
            for mention in parsed.mentions:
                found = re.match(r".?film (\d+)", mention.text)
                if found and mention.polarity != "0":
                    said[int(found[1])] = mention.polarity
                    why[int(found[1])] = text
            if not ids:
                for movie in last:
                    if "reject" in parsed.acts:
                        said[movie], why[movie] = "-", text
                    elif "accept" in parsed.acts:
                        said.setdefault(movie, "+")
        for movie, like in dialogue["liked"].items():
            disliked.add(said.get(movie) == "-", like == 0)
            liked.add(said.get(movie, "+") != "-", like == 1)
            if (said.get(movie) == "-") != (like == 0):
                errors.append(
                    (f"disliked {'found' if like else 'missed'}", f"{dialogue['dialog']} @{movie} {why.get(movie, '')}")
                )
    return Read(
        figures={
            "disliked_f1": disliked.f1, "disliked_precision": disliked.precision, "disliked_recall": disliked.recall,
            "liked_f1": liked.f1, "films": float(liked.hit + liked.missed + disliked.hit + disliked.missed),
        },
        errors=errors,
    )  # fmt: skip


# --------------------------------------------------------------------------------------------------------------------
# The table


def table(page: Bench, held: Mapping[tuple[str, int], Mapping[str, Any]], root: Path) -> str:
    """The figures of the half that was not worked on, then each act and slot, then what is unwanted in every half."""
    rows = [(e.label, r) for e in page.entries for (label, _), r in held.items() if label == e.label]
    lines = root / f"{page.name}.jsonl"
    reads = Counter(json.loads(line)["label"] for line in lines.read_text().splitlines())
    out = [page.about, "", " ".join(f"{v}." for v in rows[-1][1]["protocol"].values()), ""]
    heads = (*(m.replace("_", " ") for m in page.metrics), "test reads", "s")
    out += _grid(("row", *heads), [
        (label, *(_told(r["metrics"][m]) for m in page.metrics), str(reads[label]), f"{r['seconds']['all']:.0f}")
        for label, r in rows
    ])  # fmt: skip
    for what, names in (("act", [f"f1_{a}" for a in ACTS]), ("slot", [f"slot_{s.lower()}" for s in SLOTS])):
        out += ["", f"F1 of each {what}, the same half:", ""]
        short = (n.partition("_")[2] for n in names)
        out += _grid(("row", *short), [(label, *(_told(r["metrics"][n]) for n in names)) for label, r in rows])
    out += ["", "What is unwanted, in turns with a negation cue: F1, its 95 % bootstrap interval over turns (10,000 "
            "draws), and how many were found, wrongly found and missed; beside it what is wanted.", ""]  # fmt: skip
    parts = []
    for label, r in rows:
        for which in (SECOND, FIRST, "both"):
            f = r["facts"][which]
            if "unwanted_f1_interval" in f:
                low, high = f["unwanted_f1_interval"]
                counts = f"{f['unwanted_found']} / {f['unwanted_wrong']} / {f['unwanted_missed']}"
                spread = f"{_told(low)} to {_told(high)}"
                parts.append((label, which, _told(f["unwanted_f1"]), spread, counts, _told(f["wanted_f1"])))
    out += _grid(("row", "turns of", "unwanted f1", "95 %", "found / wrong / missed", "wanted f1"), parts)
    left = [] if any(label == "model" for label, _ in rows) else ["", NO_MODEL]
    return "\n".join([*out, *left, "", page.note])


def _grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    body = ["| " + " | ".join([f"`{row[0]}`", *row[1:]]) + " |" for row in rows]
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *body]


def _told(value: float) -> str:
    return f"{value:.4f}".replace("0.", ".", 1)
