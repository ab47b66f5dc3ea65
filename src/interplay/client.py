"""The Python client of a running engine, for programs that wait (`Client`) and for those that do not (`AsyncClient`).

    from interplay import Client

    with Client("http://127.0.0.1:8080", key="ip_...") as engine:
        answer = engine.recommend("17", k=5, where="price < 20")
        engine.events([{"user_id": "17", "item_id": answer["items"][0]["item_id"], "event_type": "click"}])

Both have the same verbs; answers are what the service sends, as dictionaries. A call that did not get through is tried
again, under an idempotency key where it changes something, so it is done once. A refusal is an exception with the
service's own sentence.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

import httpx

from interplay.errors import InterplayError

Json: TypeAlias = dict[str, Any]
Id: TypeAlias = str | int
R = TypeVar("R")  # what a verb returns: an answer, or the promise of one
AGAIN = frozenset((429, 502, 503, 504))  # answers after which a call is tried again
LONGEST = 30.0  # seconds waited between two tries at most


class Refused(InterplayError):
    """The service said no; the message is its sentence."""

    def __init__(self, sentence: str, *, status: int, request_id: str | None = None) -> None:
        super().__init__(sentence)
        self.status, self.request_id = status, request_id


class NotAllowed(Refused):
    """401 or 403: no key, an unknown one, or one without the scope."""


class NotFound(Refused):
    """404: an id, an answer or a cursor that does not exist."""


class CannotBeMeant(Refused):
    """409, 413 or 422: a value, a size or a repetition that the service does not take."""


class TryLater(Refused):
    """429, 503 or 504, after the tries were used up; `retry_after` is in seconds."""

    def __init__(self, sentence: str, *, status: int, request_id: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(sentence, status=status, request_id=request_id)
        self.retry_after = retry_after


class Failed(Refused):
    """500: a mistake of the service, which has logged it under `request_id`."""


class Unreachable(InterplayError):
    """Nothing answered at the address."""


_KINDS: Mapping[int, type[Refused]] = {
    401: NotAllowed, 403: NotAllowed, 404: NotFound, 409: CannotBeMeant, 413: CannotBeMeant, 422: CannotBeMeant,
    429: TryLater, 503: TryLater, 504: TryLater,
}  # fmt: skip


class _Verbs(Generic[R]):
    """The verbs. `_call` sends, and each client has its own."""

    def _call(self, method: str, path: str, *, body: Any = None, params: Mapping[str, Any] | None = None) -> R:
        raise NotImplementedError

    # -------------------------------------------------------------------------------------------------------- asking

    def recommend(self, user_id: Id | None = None, *, k: int = 10, **rules: Any) -> R:
        """What to show somebody now.

        Args:
            rules: history, exclude, allow, where, boosts, caps, diversity, facets, seen, draw, timeout_ms, cursor.
        """
        return self._call("POST", "/v1/recommendations", body=_said(user_id=user_id, k=k, **rules))

    def recommend_many(self, requests: Sequence[Mapping[str, Any]]) -> R:
        """Up to 100 recommendations in one call; each of `answers` is one, or says why there is none."""
        return self._call("POST", "/v1/recommendations:batch", body={"requests": [dict(r) for r in requests]})

    def search(self, q: str, *, user_id: Id | None = None, k: int = 24, **rules: Any) -> R:
        """Things that have the words, best first, with counts for each facet; rules as for `recommend`."""
        return self._call("POST", "/v1/search", body=_said(q=q, user_id=user_id, k=k, **rules))

    def similar(self, item_id: Id, *, user_id: Id | None = None, k: int = 10, **rules: Any) -> R:
        """Items near one item; rules are exclude, where and cursor."""
        exclude = ",".join(map(str, rules.pop("exclude", ()))) or None
        return self._call(
            "GET", "/v1/similar", params=_said(item_id=item_id, user_id=user_id, k=k, exclude=exclude, **rules)
        )

    def rerank(
        self,
        query: str | None = None,
        documents: Sequence[str | Mapping[str, Any]] | None = None,
        *,
        items: Sequence[Id] | None = None,
        user_id: Id | None = None,
        top_n: int | None = None,
        return_documents: bool = False,
    ) -> R:
        """Texts or items in the order of a query; items of a `user_id` without a query in the order of their taste."""
        body = _said(query=query, documents=documents, items=items, user_id=user_id, top_n=top_n)
        return self._call("POST", "/v1/rerank", body={**body, "return_documents": return_documents})

    def feed(self, user_id: Id | None = None, *, arranged: bool = True) -> R:
        """The page's feed: what to lead with, shelves, and the start of the rest; also as it stands without the
        recipe's arranger."""
        return self._call("GET", "/v1/feed", params=_said(user_id=user_id, arranged=None if arranged else False))

    def trace(self, request_id: str) -> R:
        """How an answer came about, stage by stage."""
        return self._call("GET", _at("traces", request_id))

    def edit(self, request_id: str, stage: str, edit: Mapping[str, Any]) -> R:
        """Change one stage of an answer and run what lies downstream again."""
        return self._call("POST", _at("traces", request_id, "edits"), body={"stage": stage, "edit": dict(edit)})

    # ------------------------------------------------------------------------------------------------------- telling

    def events(self, events: Iterable[Mapping[str, Any]]) -> R:
        """Tell what happened, at most 5,000 at once. Events without an `event_id` get one here: told twice, they count
        once. What could not be taken is in `refused`, with its place and the reason."""
        listed = [{"event_id": secrets.token_hex(16), **event} for event in events]
        return self._call("POST", "/v1/events", body={"events": listed})

    def event(self, user_id: Id, item_id: Id, event_type: str = "click", **more: Any) -> R:
        """Tell one event; `more` may hold timestamp, value, request_id, session_id, surface."""
        return self.events([{"user_id": user_id, "item_id": item_id, "event_type": event_type, **more}])

    def ubi(self, rows: Sequence[Mapping[str, Any]]) -> R:
        """Tell search queries and events in the form of User Behavior Insights."""
        return self._call("POST", "/v1/ubi", body={"events": [dict(row) for row in rows]})

    # ----------------------------------------------------------------------------------------------------- catalogue

    def items(self, *, limit: int = 50, cursor: str | None = None, where: str | None = None) -> R:
        """A part of the catalogue; `next` is the cursor of the part after it."""
        return self._call("GET", "/v1/items", params=_said(limit=limit, cursor=cursor, where=where))

    def item(self, item_id: Id) -> R:
        """Everything the catalogue says of one item."""
        return self._call("GET", _at("items", item_id))

    def put_items(self, rows: Iterable[Mapping[str, Any]]) -> R:
        """Describe items: rows of `item_id` and any columns; what was said of them before is replaced."""
        return self._call("POST", "/v1/items", body={"items": [dict(row) for row in rows]})

    def patch_item(self, item_id: Id, **columns: Any) -> R:
        """Change some columns of an item. `item_id=...` among them renames it; None empties a column."""
        return self._call("PATCH", _at("items", item_id), body=columns)

    def rename_item(self, item_id: Id, new_id: Id) -> R:
        """Give an item another id; its history and what models know of it stay."""
        return self._call("PATCH", _at("items", item_id), body={"item_id": new_id})

    def delete_item(self, item_id: Id) -> R:
        """Never show this item again."""
        return self._call("DELETE", _at("items", item_id))

    # -------------------------------------------------------------------------------------------------------- people

    def users(self, *, limit: int = 50, cursor: str | None = None) -> R:
        """A part of everybody known."""
        return self._call("GET", "/v1/users", params=_said(limit=limit, cursor=cursor))

    def user(self, user_id: Id) -> R:
        """What is known of one person."""
        return self._call("GET", _at("users", user_id))

    def put_users(self, rows: Iterable[Mapping[str, Any]]) -> R:
        """Describe people: rows of `user_id` and any columns."""
        return self._call("POST", "/v1/users", body={"users": [dict(row) for row in rows]})

    def history(self, user_id: Id, *, limit: int = 50, cursor: str | None = None) -> R:
        """What a person did, newest first."""
        return self._call("GET", _at("users", user_id, "history"), params=_said(limit=limit, cursor=cursor))

    def export(self, user_id: Id) -> R:
        """Everything that is held of a person."""
        return self._call("GET", _at("users", user_id, "export"))

    def erase(self, user_id: Id) -> R:
        """Forget a person: log, profile, traces, caches and model rows. It cannot be taken back."""
        return self._call("DELETE", _at("users", user_id))

    def merge(self, user_id: Id, visitor: Id) -> R:
        """Let what an anonymous visitor did count as this person's."""
        return self._call("POST", _at("users", user_id, "merge"), body={"from": visitor})

    # ------------------------------------------------------------------------------------------------------ steering

    def chat(self, user_id: Id, text: str, **seen: Any) -> R:
        """Say what one wants; the answer says what was understood and carries the feed that obeys.

        Args:
            seen: shown (item ids in page order), view, item_id, q.
        """
        return self._call("POST", "/v1/chat", body=_said(user_id=user_id, text=text, **seen))

    def instructions(self, user_id: Id) -> R:
        """The standing wishes of a person."""
        return self._call("GET", _at("users", user_id, "instructions"))

    def change_instruction(self, user_id: Id, wish_id: str, **change: Any) -> R:
        """Change hard, wanted, scope, until or pinned of a wish."""
        return self._call("PATCH", _at("users", user_id, "instructions", wish_id), body=change)

    def drop_instruction(self, user_id: Id, wish_id: str) -> R:
        """Take a wish back."""
        return self._call("DELETE", _at("users", user_id, "instructions", wish_id))

    def undo(self, user_id: Id) -> R:
        """Take back the last change of the wishes."""
        return self._call("POST", _at("users", user_id, "instructions", "undo"))

    def statements(self, user_id: Id) -> R:
        """What is believed of a person, with evidence and confidence."""
        return self._call("GET", _at("users", user_id, "statements"))

    def state(self, user_id: Id, text: str) -> R:
        """Write a statement about a person, in their words."""
        return self._call("POST", _at("users", user_id, "statements"), body={"text": text})

    def change_statement(self, user_id: Id, statement_id: str, **change: Any) -> R:
        """Change text, pinned or agreed of a statement."""
        return self._call("PATCH", _at("users", user_id, "statements", statement_id), body=change)

    def drop_statement(self, user_id: Id, statement_id: str) -> R:
        """Take a statement back; it is not guessed again from the same events."""
        return self._call("DELETE", _at("users", user_id, "statements", statement_id))

    # ----------------------------------------------------------------------------------------------------- operating

    def models(self) -> R:
        """The model versions, which one serves, and how each gate stood."""
        return self._call("GET", "/v1/models")

    def promote(self, version: int) -> R:
        """Let a model version serve from now on."""
        return self._call("POST", _at("models", version, "promote"))

    def rollback(self) -> R:
        """Let the version serve that served before."""
        return self._call("POST", "/v1/models/rollback")

    def learn(self, name: str = "", *, text: str = "", gate: str = "never") -> R:
        """Learn a new model version beside the service: a recipe or system by name, or a recipe's text. With the gate
        `never` it is kept for an experiment; `models` says how far it is."""
        return self._call("POST", "/v1/models", body={"name": name, "text": text, "gate": gate})

    def estimate(self, policies: Sequence[str | Mapping[str, Any]], **more: Any) -> R:
        """Ask what policies would have earned on the logged traffic: names, or mappings of name, text or model. `more`
        is reward, places, window and seed. Look with `estimated` until it is done, refused or failed."""
        named = [{"name": p} if isinstance(p, str) else dict(p) for p in policies]
        return self._call("POST", "/v1/estimates", body={"policies": named, **more})

    def estimated(self, errand_id: str) -> R:
        """How far an estimate is, and its answers or what is missing."""
        return self._call("GET", _at("estimates", errand_id))

    def estimates(self) -> R:
        """What was asked, the newest first."""
        return self._call("GET", "/v1/estimates")

    def stop_estimate(self, errand_id: str) -> R:
        """Stop an estimate where it goes on, and forget it."""
        return self._call("DELETE", _at("estimates", errand_id))

    def look(self, kind: str = "click") -> R:
        """Ask where on a page people look, by events of one type. Look with `looked` until it is done, refused or
        failed."""
        return self._call("POST", "/v1/looks", body={"kind": kind})

    def looked(self, errand_id: str) -> R:
        """How far it is, and the heat map or what is missing."""
        return self._call("GET", _at("looks", errand_id))

    def looks(self) -> R:
        """What was asked, the newest first."""
        return self._call("GET", "/v1/looks")

    def stop_look(self, errand_id: str) -> R:
        """Stop it where it goes on, and forget it."""
        return self._call("DELETE", _at("looks", errand_id))

    def experiments(self) -> R:
        """All experiments, oldest first."""
        return self._call("GET", "/v1/experiments")

    def plan_experiment(self, name: str, arms: Sequence[Mapping[str, Any]], **more: Any) -> R:
        """Plan one: arms of name, model (a version; 0 is live) and share; `more` is what else the body takes."""
        return self._call("POST", "/v1/experiments", body={"name": name, "arms": list(arms), **more})

    def experiment(self, name: str) -> R:
        """What came of it up to now; intervals hold however often this is asked."""
        return self._call("GET", _at("experiments", name))

    def start_experiment(self, name: str) -> R:
        """Let people into it."""
        return self._call("POST", _at("experiments", name, "start"))

    def stop_experiment(self, name: str) -> R:
        """Let the live model answer everybody again."""
        return self._call("POST", _at("experiments", name, "stop"))

    def decide_experiment(self, name: str, arm: str) -> R:
        """Stop it and let one arm's model answer everybody."""
        return self._call("POST", _at("experiments", name, "decide"), body={"arm": arm})

    def share_experiment(self, name: str, shares: Mapping[str, float] | None = None) -> R:
        """Move traffic between the arms; by each arm's chance of being best where no shares are given."""
        body = {} if shares is None else {"shares": dict(shares)}
        return self._call("POST", _at("experiments", name, "shares"), body=body)

    def health(self) -> R:
        """Whether the engine answers, and what it holds."""
        return self._call("GET", "/healthz")

    def ready(self) -> R:
        """Whether requests should be sent; a refusal (TryLater) says what stands in the way."""
        return self._call("GET", "/readyz")


class _Tries:
    """How often one call is tried, and how long to wait in between."""

    def __init__(self, retries: int, method: str) -> None:
        self.left, self.wait = retries, 0.2
        self.headers = {"Idempotency-Key": secrets.token_hex(16)} if method in ("POST", "PATCH") else {}

    def pause(self, answer: httpx.Response | None) -> float | None:
        """Seconds until the next try; None when this answer stands."""
        if self.left <= 0 or (answer is not None and not _again(answer)):
            return None
        self.left -= 1
        said = None if answer is None else _seconds(answer)
        self.wait = min(2 * self.wait, LONGEST)
        return min(said if said is not None else self.wait * random.uniform(0.5, 1.0), LONGEST)


class Client(_Verbs[Json]):
    """Calls an engine and waits for its answers; may be used by several threads."""

    def __init__(
        self,
        address: str = "http://127.0.0.1:8080",
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        http: httpx.Client | None = None,
    ) -> None:
        """`retries` are further tries after the first; `http` is a client of your own making, with its own address."""
        self.retries = retries
        self.http = http or httpx.Client(base_url=address, timeout=timeout)
        self.headers = _keyed(key)

    def _call(self, method: str, path: str, *, body: Any = None, params: Mapping[str, Any] | None = None) -> Json:
        tries = _Tries(self.retries, method)
        while True:
            try:
                answer = self.http.request(
                    method, path, json=body, params=params, headers={**self.headers, **tries.headers}
                )
                problem = None
            except httpx.TransportError as wrong:
                answer, problem = None, wrong
            pause = tries.pause(answer)
            if pause is None:
                return _taken(answer, problem, self.http.base_url)
            time.sleep(pause)

    def chat_stream(self, user_id: Id, text: str, **seen: Any) -> Iterator[tuple[str, Json]]:
        """As `chat`, part by part as they are ready: ("understood", ...), ("wishes", ...), ("feed", ...)."""
        body = _said(user_id=user_id, text=text, stream=True, **seen)
        with self.http.stream("POST", "/v1/chat", json=body, headers=self.headers) as answer:
            if answer.status_code != 200:
                answer.read()
                _taken(answer, None, self.http.base_url)
            event = ""
            for line in answer.iter_lines():
                event, part = _part(line, event)
                if part is not None:
                    yield event, part

    def each_item(self, *, where: str | None = None, limit: int = 500) -> Iterator[Json]:
        """The whole catalogue, part by part."""
        cursor: str | None = None
        while True:
            part = self.items(limit=limit, cursor=cursor, where=where)
            yield from part["items"]
            cursor = part["next"]
            if cursor is None:
                return

    def close(self) -> None:
        """Let the connections go."""
        self.http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClient(_Verbs[Awaitable[Json]]):
    """Calls an engine without waiting: every verb is to be awaited."""

    def __init__(
        self,
        address: str = "http://127.0.0.1:8080",
        *,
        key: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """`retries` are further tries after the first; `http` is a client of your own making, with its own address."""
        self.retries = retries
        self.http = http or httpx.AsyncClient(base_url=address, timeout=timeout)
        self.headers = _keyed(key)

    async def _call(self, method: str, path: str, *, body: Any = None, params: Mapping[str, Any] | None = None) -> Json:
        tries = _Tries(self.retries, method)
        while True:
            try:
                answer = await self.http.request(
                    method, path, json=body, params=params, headers={**self.headers, **tries.headers}
                )
                problem = None
            except httpx.TransportError as wrong:
                answer, problem = None, wrong
            pause = tries.pause(answer)
            if pause is None:
                return _taken(answer, problem, self.http.base_url)
            await asyncio.sleep(pause)

    async def chat_stream(self, user_id: Id, text: str, **seen: Any) -> AsyncIterator[tuple[str, Json]]:
        """As `chat`, part by part as they are ready: ("understood", ...), ("wishes", ...), ("feed", ...)."""
        body = _said(user_id=user_id, text=text, stream=True, **seen)
        async with self.http.stream("POST", "/v1/chat", json=body, headers=self.headers) as answer:
            if answer.status_code != 200:
                await answer.aread()
                _taken(answer, None, self.http.base_url)
            event = ""
            async for line in answer.aiter_lines():
                event, part = _part(line, event)
                if part is not None:
                    yield event, part

    async def each_item(self, *, where: str | None = None, limit: int = 500) -> AsyncIterator[Json]:
        """The whole catalogue, part by part."""
        cursor: str | None = None
        while True:
            part = await self.items(limit=limit, cursor=cursor, where=where)
            for item in part["items"]:
                yield item
            cursor = part["next"]
            if cursor is None:
                return

    async def close(self) -> None:
        """Let the connections go."""
        await self.http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _said(**values: Any) -> Json:
    """What was said; None is left to the service."""
    return {name: value for name, value in values.items() if value is not None}


def _at(*parts: Id) -> str:
    """A path below /v1; a name of dots alone would be read as a step up.

    >>> _at("users", "a/b", "history"), _at("items", "..")
    ('/v1/users/a%2Fb/history', '/v1/items/%2E%2E')
    """
    quoted = (quote(str(part), safe="") for part in parts)
    return "/".join(("/v1", *(part if part.strip(".") else part.replace(".", "%2E") for part in quoted)))


def _keyed(key: str | None) -> dict[str, str]:
    return {} if key is None else {"Authorization": f"Bearer {key}"}


def _again(answer: httpx.Response) -> bool:
    """Whether the same call may do better later. So may a 409 that says when: the first try of it still goes on."""
    return answer.status_code in AGAIN or (answer.status_code == 409 and "Retry-After" in answer.headers)


def _seconds(answer: httpx.Response) -> float | None:
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdigit() else None


def _taken(answer: httpx.Response | None, problem: Exception | None, address: Any) -> Json:
    """The answer, or the exception that says why there is none."""
    if answer is None:
        raise Unreachable(f"no engine answers at {address} ({problem}); start one with `interplay serve`") from problem
    try:
        told = answer.json()
    except ValueError:
        told = {}
    if answer.is_success and isinstance(told, dict):
        return told
    held = told if isinstance(told, dict) else {}
    if "refused" in held and answer.status_code == 422:  # a batch none of whose rows was taken
        return held
    said = str(held.get("error") or "; ".join(map(str, held.get("said", ()))) or answer.text[:200] or "no reason given")
    kind = _KINDS.get(answer.status_code, Failed)
    more = {"retry_after": _seconds(answer) or 1.0} if kind is TryLater else {}
    raise kind(said, status=answer.status_code, request_id=held.get("request_id"), **more)


def _part(line: str, event: str) -> tuple[str, Json | None]:
    """One line of an event stream: its event's name so far, and its data when there is some."""
    if line.startswith("event:"):
        return line[6:].strip(), None
    if line.startswith("data:"):
        return event, json.loads(line[5:])
    return event, None
