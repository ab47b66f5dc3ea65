"""The language of rules: a sentence over catalogue columns becomes a tree.

    price < 20 and kind == 'lamp' and not maker in ('Norr Works', 'Hale')
    title contains 'fern' or categories contains 'garden'
    10 <= price <= 25 and added >= '2024-05-01' and colour is not missing

It is read by a tokenizer and a recursive descent of its own; nothing is ever evaluated as Python.

    rule       = all ("or" all)*
    all        = one ("and" one)*
    one        = "not" one | "(" rule ")" | test
    test       = column                                    a column of true and false
               | column op value | value op column [op value]      op is < <= > >= == !=
               | column ["not"] "in" "(" value ("," value)* ")"
               | column ["not"] "contains" value           part of a text, or an element of a list
               | column "is" ["not"] "missing"
    value      = number | 'text' | "text" | true | false   dates are texts: '2024-05-01', '2024-05-01T12:30'
    column     = name | `name with spaces`
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from interplay.errors import BadSetting

LONGEST = 4000  # characters of one rule
DEEPEST = 60  # parentheses and nots inside each other


@dataclass(frozen=True)
class Comparison:
    """One comparison; `at` is its place in the sentence, for errors."""

    column: str
    op: str  # == < <= > >= in contains missing
    values: tuple[Any, ...]
    at: int


@dataclass(frozen=True)
class Every:
    parts: tuple[Rule, ...]


@dataclass(frozen=True)
class Either:
    parts: tuple[Rule, ...]


@dataclass(frozen=True)
class Not:
    part: Rule


Rule: TypeAlias = Comparison | Every | Either | Not


@dataclass(frozen=True)
class _Token:
    kind: str  # number, text, name, word (a keyword), sign, end
    value: Any
    at: int
    raw: str


_TOKEN = re.compile(
    r"""\s*(?:(?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])
    |(?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    |`(?P<quoted>[^`]+)`
    |(?P<name>[^\W\d]\w*)
    |(?P<sign><=|>=|==|!=|<>|<|>|=|\(|\)|,))""",
    re.VERBOSE,
)
_WORDS = frozenset(("and", "or", "not", "in", "contains", "is", "missing", "null", "true", "false"))
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if not found:
            at += len(text[at:]) - len(text[at:].lstrip())
            hint = "a quote that is never closed" if text[at] in "'\"`" else repr(text[at])
            raise _wrong(text, at, f"found {hint}", "a column, a value, or one of < <= > >= == != ( ) ,")
        kind = str(found.lastgroup)
        raw, start = found[kind], found.start(kind)
        if kind == "number":
            value: Any = int(raw) if len(raw) <= 18 and re.fullmatch(r"-?\d+", raw) else float(raw)
        elif kind == "text":
            value = raw[1:-1].replace(raw[0] * 2, raw[0])
        elif kind == "name" and raw.lower() in _WORDS:
            kind, value = "word", raw.lower()
        else:
            value = {"=": "==", "<>": "!="}.get(raw, raw)
        yield _Token("name" if kind == "quoted" else kind, value, start, raw)
        at = found.end()
    yield _Token("end", None, end, "the end")


def _wrong(text: str, at: int, found: str, expected: str) -> BadSetting:
    return BadSetting(f"rule {text!r}: {found} at character {at + 1}; expected {expected}")


def parse(text: str) -> Rule:
    """The sentence as a tree, or a refusal that says where it went wrong.

    >>> parse("price < 20")
    Comparison(column='price', op='<', values=(20,), at=0)
    """
    if len(text) > LONGEST:
        raise BadSetting(f"a rule of {len(text)} characters; at most {LONGEST} are read. Split it into several rules")
    return _Reader(text).whole()


class _Reader:
    """Recursive descent over the tokens of one sentence."""

    def __init__(self, text: str) -> None:
        self.text, self.tokens, self.here, self.depth = text, list(_tokens(text)), 0, 0

    @property
    def next(self) -> _Token:
        return self.tokens[self.here]

    def take(self) -> _Token:
        self.here += 1
        return self.tokens[self.here - 1]

    def met(self, kind: str, *values: str) -> bool:
        """Step over the next token if it is one of these."""
        if self.next.kind == kind and self.next.value in values:
            self.here += 1
            return True
        return False

    def wrong(self, expected: str, token: _Token | None = None) -> BadSetting:
        token = token or self.next
        return _wrong(self.text, token.at, "found " + (token.raw if token.kind == "end" else repr(token.raw)), expected)

    def whole(self) -> Rule:
        rule = self.rule()
        if self.next.kind != "end":
            raise self.wrong("'and', 'or' or the end")
        return rule

    def rule(self) -> Rule:
        parts = [self.all()]
        while self.met("word", "or"):
            parts.append(self.all())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def all(self) -> Rule:
        parts = [self.one()]
        while self.met("word", "and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def one(self) -> Rule:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"at most {DEEPEST} parentheses and nots inside each other")
        try:
            if self.met("word", "not"):
                return Not(self.one())
            if self.met("sign", "("):
                rule = self.rule()
                self.close()
                return rule
            return self.test()
        finally:
            self.depth -= 1

    def close(self) -> None:
        if not self.met("sign", ")"):
            raise self.wrong("')'")

    def test(self) -> Rule:
        if self.next.kind == "name":
            return self.about(self.take())
        if self.is_value():
            value, sign = self.value(), self.sign()
            column = self.column()
            first = _compared(column, _FLIPPED[sign], value)
            if self.next.kind == "sign" and self.next.value in _FLIPPED:
                return Every((first, _compared(column, self.sign(), self.value())))
            return first
        raise self.wrong("a column, a value, 'not' or '('")

    def about(self, column: _Token) -> Rule:
        if self.met("word", "is"):
            negated = self.met("word", "not")
            if not self.met("word", "missing", "null"):
                raise self.wrong("'missing'")
            rule: Rule = Comparison(column.value, "missing", (), column.at)
            return Not(rule) if negated else rule
        if self.next.kind == "sign" and self.next.value in _FLIPPED:
            return _compared(column, self.sign(), self.value())
        negated = self.met("word", "not")
        if self.met("word", "in"):
            rule = Comparison(column.value, "in", self.listed(), column.at)
        elif self.met("word", "contains"):
            rule = Comparison(column.value, "contains", (self.value(),), column.at)
        elif negated:
            raise self.wrong("'in' or 'contains'")
        elif self.next.kind in ("end", "word") or self.next.value == ")":
            rule = Comparison(column.value, "==", (True,), column.at)
        else:
            raise self.wrong("a comparison such as < == in contains")
        return Not(rule) if negated else rule

    def listed(self) -> tuple[Any, ...]:
        if not self.met("sign", "("):
            raise self.wrong("'(' and a list of values")
        values = [self.value()]
        while self.met("sign", ","):
            values.append(self.value())
        self.close()
        return tuple(values)

    def is_value(self) -> bool:
        spoken = self.next.kind == "word" and self.next.value in ("true", "false")
        return spoken or self.next.kind in ("number", "text")

    def value(self) -> Any:
        if not self.is_value():
            hint = f"a value; write text in quotes: '{self.next.raw}'" if self.next.kind == "name" else "a value"
            raise self.wrong(hint)
        token = self.take()
        return token.value == "true" if token.kind == "word" else token.value

    def sign(self) -> str:
        if self.next.kind != "sign" or self.next.value not in _FLIPPED:
            raise self.wrong("one of < <= > >= == !=")
        return str(self.take().value)

    def column(self) -> _Token:
        if self.next.kind != "name":
            raise self.wrong("a column")
        return self.take()


def _compared(column: _Token, sign: str, value: Any) -> Rule:
    if sign == "!=":
        return Not(Comparison(column.value, "==", (value,), column.at))
    return Comparison(column.value, sign, (value,), column.at)
