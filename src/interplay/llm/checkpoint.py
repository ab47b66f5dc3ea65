"""A text model that runs here: a Transformers checkpoint in a directory of this machine.

    Local("models/small-instruct").reply(task, data, Answer)

The reply is written along its JSON schema: braces, names and commas stand, the model chooses what goes between them
(one of several values, digits, the characters of a text), so that any model gives JSON of the asked shape. What the
shape demands beyond that (lengths, ranges, its own checks) is read afterwards; an answer that fails is asked for again,
then drawn from the model's probabilities instead of taking the likeliest, by a fixed seed. Needs the extra `text`;
nothing is downloaded. Memory is that of the checkpoint, loaded with the first question.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from interplay.errors import BadSetting, extra
from interplay.llm import NoReply, Shape, read, told

WORDY = 400  # tokens that the model may choose in one reply; then texts and lists end
LONGEST = 60  # tokens of one text of a reply
DIGITS = 12  # tokens of one number
MANY = 12  # entries of one list, where the schema sets no other bound


@dataclass(kw_only=True, eq=False)
class Local:
    """A checkpoint as a text model; calls wait for each other."""

    path: str
    seconds: float = 30.0  # for one reply, all tries together
    calls: int = 10_000  # budget of this process
    tries: int = 3
    device: str = "cpu"

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[Any, Any] | None = None
        if not Path(self.path).is_dir():
            raise BadSetting(f"no checkpoint at {self.path}; expected a directory that Transformers saved")

    @property
    def model(self) -> str:
        """What recordings call it."""
        return Path(self.path).name

    def reply(self, task: str, data: Mapping[str, Any], shape: type[Shape]) -> Shape:
        """The checkpoint's answer; data goes in as JSON after the instructions, and is no instruction."""
        with self._lock:
            if self.calls <= 0:
                raise NoReply(f"the budget of calls to {self.model!r} is spent; raise it, or go on without")
            self.calls -= 1
            model, tokens = self._loaded()
            schema, until = shape.model_json_schema(), time.monotonic() + self.seconds
            asked = self._prompt(tokens, task, data, shape)
            wrong = NoReply(f"{self.model!r} was given no try")
            for attempt in range(self.tries):
                pen = _Pen(model, tokens, asked, seed=attempt, until=until, seconds=self.seconds)
                _written(pen, schema, schema)
                try:
                    return read(pen.said, shape)
                except NoReply as problem:
                    wrong = problem
            raise wrong

    def _loaded(self) -> tuple[Any, Any]:
        if self._held is None:
            try:
                import torch  # noqa: F401 (what Transformers runs on)
                from transformers import AutoModelForCausalLM, AutoTokenizer
            except ImportError as missing:
                raise extra("transformers", "text") from missing
            tokens = AutoTokenizer.from_pretrained(self.path, local_files_only=True)
            model: Any = AutoModelForCausalLM.from_pretrained(self.path, local_files_only=True, trust_remote_code=False)
            self._held = model.to(self.device).eval(), tokens
        return self._held

    def _prompt(self, tokens: Any, task: str, data: Mapping[str, Any], shape: type[BaseModel]) -> list[int]:
        messages = told(task, data, shape)
        if getattr(tokens, "chat_template", None):
            text = tokens.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
            return list(tokens(text, add_special_tokens=False)["input_ids"])
        text = "\n\n".join(f"{m['role']}: {m['content']}" for m in messages) + "\n\nassistant: "
        return list(tokens(text)["input_ids"])


class _Pen:
    """Text that grows behind a prompt, token by token; what the model makes of it so far is kept."""

    def __init__(
        self, model: Any, tokens: Any, prompt: Sequence[int], *, seed: int, until: float, seconds: float
    ) -> None:
        import torch
        from transformers import DynamicCache

        self.torch, self.model, self.tokens = torch, model, tokens
        self.said, self.until, self.seconds = "", until, seconds
        self.cache, self.size, self.chosen = DynamicCache(config=model.config), 0, 0
        self.draws = torch.Generator().manual_seed(seed) if seed else None
        most = getattr(model.config, "max_position_embeddings", None)
        if most is not None and len(prompt) >= most:
            raise NoReply(f"the question has {len(prompt)} tokens, and the checkpoint reads at most {most}")
        self.most = most
        self.logits = self._fed(list(prompt))

    def _fed(self, ids: list[int]) -> Any:
        """float[vocabulary]: what comes next after some more tokens. Errors: NoReply when time or room is over."""
        if time.monotonic() > self.until:
            raise NoReply(f"the text model did not answer within {self.seconds:g} seconds")
        if self.most is not None and self.size + len(ids) > self.most:
            raise NoReply(f"the answer did not fit: the checkpoint reads at most {self.most} tokens")
        with self.torch.inference_mode():
            at = self.torch.tensor([ids], device=self.model.device)
            out = self.model(input_ids=at, past_key_values=self.cache, use_cache=True)
        self.size += len(ids)
        return out.logits[0, -1].float().cpu().log_softmax(-1)

    def _back(self, size: int, logits: Any) -> None:
        if size < self.size:
            self.cache.crop(size - self.size)  # below zero: so many tokens from the end
        self.size, self.logits = size, logits

    def ids(self, text: str) -> list[int]:
        return list(self.tokens(text, add_special_tokens=False)["input_ids"])

    def write(self, text: str) -> None:
        """Text that stands, whatever the model would have said."""
        self.said += text
        ids = self.ids(text)
        if ids:
            self.logits = self._fed(ids)

    def pick(self, options: Sequence[str]) -> str:
        """Write the option that the model finds likeliest, by the mean log-probability of its tokens."""
        if len(options) == 1:
            self.write(options[0])
            return options[0]
        size, logits, scores = self.size, self.logits, list[float]()
        for option in options:
            score, ids = 0.0, self.ids(option)
            for n, token in enumerate(ids):
                score += float(self.logits[token])
                if n + 1 < len(ids):
                    self.logits = self._fed([token])
            scores.append(score / max(len(ids), 1))
            self._back(size, logits)
        chosen = options[self._drawn(self.torch.tensor(scores))]
        self.write(chosen)
        return chosen

    def begins(self, options: Sequence[str]) -> int:
        """Which option the model would rather begin, by the option's first token; nothing is written."""
        return self._drawn(self.torch.tensor([float(self.logits[self.ids(o)[0]]) for o in options]))

    @property
    def spent(self) -> bool:
        """Whether the model has said enough."""
        return self.chosen >= WORDY

    def _drawn(self, scores: Any) -> int:
        if self.draws is None:
            return int(scores.argmax())
        return int(self.torch.multinomial(scores.softmax(-1), 1, generator=self.draws))

    def grown(self, ends: Callable[[str], bool], most: int) -> str:
        """What the model goes on with until `ends` says so of the text, then taken back."""
        size, logits, ids, text = self.size, self.logits, list[int](), ""
        while len(ids) < most and not self.spent and not ends(text):
            self.chosen += 1
            ids.append(self._drawn(self.logits))
            text = self.tokens.decode(ids)
            self.logits = self._fed([ids[-1]])
        self._back(size, logits)
        return text


def _written(pen: _Pen, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
    """Write one value of a JSON schema."""
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    if "anyOf" in schema:
        kinds = [s for s in schema["anyOf"] if s.get("type") != "null"]
        may_lack = len(kinds) < len(schema["anyOf"])
        if may_lack and (pen.spent or pen.begins(["null", _opening(kinds[0])]) == 0):
            pen.write("null")
            return
        _written(pen, kinds[0], whole)
    elif "const" in schema or "enum" in schema:
        pen.pick([json.dumps(v) for v in schema.get("enum", [schema.get("const")])])
    elif schema.get("type") == "object":
        for n, (name, part) in enumerate(schema.get("properties", {}).items()):
            pen.write(("{" if n == 0 else ", ") + f"{json.dumps(name)}: ")
            _written(pen, part, whole)
        pen.write("}" if schema.get("properties") else "{}")
    elif schema.get("type") == "array":
        _listed(pen, schema, whole)
    elif schema.get("type") == "boolean":
        pen.pick(["true", "false"])
    elif schema.get("type") in ("integer", "number"):
        _number(pen, schema)
    elif schema.get("type") == "string":
        text = pen.grown(lambda so_far: '"' in so_far.replace('\\"', "") or "\n" in so_far, LONGEST)
        pen.write(json.dumps(_closed(text)[: schema.get("maxLength", 10 * LONGEST)], ensure_ascii=False))
    else:
        pen.write("null")


def _opening(schema: Mapping[str, Any]) -> str:
    """How a value of a schema begins."""
    return {"string": '"', "integer": "1", "number": "1", "array": "[", "boolean": "true"}.get(
        str(schema.get("type")), "{"
    )


def _listed(pen: _Pen, schema: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
    fewest, most = schema.get("minItems", 0), min(schema.get("maxItems", MANY), MANY)
    pen.write("[")
    for n in range(most):
        more = ", " if n else _opening(schema.get("items", {}))
        if n >= fewest and (pen.spent or pen.begins(["]", more]) == 0):
            break
        pen.write(", " if n else "")
        _written(pen, schema.get("items", {}), whole)
    pen.write("]")


def _number(pen: _Pen, schema: Mapping[str, Any]) -> None:
    """The digits that the model goes on with; 0 where it goes on with something else."""
    whole = schema.get("type") == "integer"
    known = "0123456789-" if whole else "0123456789-.eE"
    text = pen.grown(lambda so_far: any(c not in known for c in so_far.strip()), DIGITS).strip()
    text = text[: next((n for n, c in enumerate(text) if c not in known), len(text))]
    for size in range(len(text), 0, -1):
        try:
            value = int(text[:size]) if whole else float(text[:size])
        except ValueError:
            continue
        pen.write(json.dumps(value) if abs(value) < 1e300 else "0")
        return
    pen.write("0")


def _closed(text: str) -> str:
    """The text before its closing quote, with its escapes read."""
    plain, escaped = [], False
    for c in text.split("\n", 1)[0]:
        if c == '"' and not escaped:
            break
        escaped = c == "\\" and not escaped
        plain.append(c)
    held = "".join(plain)
    try:
        return str(json.loads(f'"{held}"'))
    except ValueError:
        return held.replace("\\", "")
