"""Asking: recommendations, search, similar items, reranking; and how an answer came about."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from interplay.serve.bodies.common import Answered, FacetCounts, ItemId, K, Strict, example

Most = Annotated[int, Field(ge=1, le=500)]


class BoostBy(Strict):
    """What meets `where` counts `by` times as much: above 1 it rises, below 1 it sinks."""

    model_config = example(where="kind == 'lamp'", by=1.5)

    where: str = Field(max_length=4000)
    by: float = Field(ge=0.01, le=100)


class Ask(Strict):
    """What somebody wants: a recommendation, or with a query a search."""

    model_config = example(
        user_id="u17", k=10, exclude=["lamp-4"], where="price < 20 and kind == 'lamp'",
        boosts=[{"where": "maker == 'Heron Works'", "by": 1.5}], caps={"maker": 2}, diversity=0.3,
    )  # fmt: skip

    user_id: ItemId | None = Field(None, description="Whose history to use; an unknown one is a stranger")
    k: K = 10
    exclude: list[ItemId] = Field(default_factory=list, max_length=10_000, description="Items not to show")
    allow: list[ItemId] | None = Field(None, max_length=10_000, description="Show nothing but these items")
    where: str | None = Field(None, max_length=4000, description="A rule over catalogue columns, obeyed before the cut")
    boosts: list[BoostBy] = Field(default_factory=list, max_length=20, description="Leanings; nothing is hidden")
    caps: dict[str, Most] = Field(
        default_factory=dict, max_length=8, description="Column -> most items of one value in an answer"
    )
    diversity: float | None = Field(
        None, ge=0, le=1, description="0 is relevance alone, 1 variety alone; the recipe's own where it is missing"
    )
    facets: list[str] = Field(default_factory=list, max_length=100, description="name:value, as the facets are listed")
    draw: int | None = Field(None, ge=0, lt=2**64, description="The only randomness of serving; repeats an answer")
    timeout_ms: int | None = Field(
        None, ge=1, le=60_000, description="A source that has not answered by then is left out, and the trace says so"
    )
    cursor: str | None = Field(None, max_length=64, description="The `next` of an earlier answer: the items after it")


class AskRecommendations(Ask):
    history: list[ItemId] | None = Field(
        None, max_length=10_000, description="Items instead of the person's own history, oldest first"
    )
    seen: Literal["drop", "keep"] = Field("drop", description="Whether items of the history may be shown again")


class AskSearch(Ask):
    model_config = example(q="reading lamp", facets=["kind:lamp"], k=24)

    q: str = Field("", max_length=400, description="What was typed; the last letters of a word may be missing")
    k: K = 24


class AskMany(Strict):
    """Several persons' recommendations in one call."""

    model_config = example(requests=[{"user_id": "u17", "k": 3}, {"user_id": "u18", "k": 3, "where": "price < 20"}])

    requests: list[Any] = Field(min_length=1, max_length=100, description="Bodies of POST /v1/recommendations")


class Shown(BaseModel):
    """One item of a list, as a person sees it."""

    model_config = ConfigDict(extra="allow")

    item_id: ItemId
    place: int
    score: float
    request_id: str = Field(description="The answer it belongs to; later events carry it back")
    title: str
    by: str
    kind: str
    about: str
    price: float | None
    price_said: str
    link: str
    picture: str
    wide: str
    source: str = Field(description="Which source found it first")
    reason: str


class Note(BaseModel):
    """A sentence about the answer, with other queries to try."""

    tone: Literal["plain", "care"]
    strong: str
    text: str
    queries: list[str] = Field(default_factory=list)
    untick: bool = False
    said: list[str] = Field(default_factory=list, description="The person's own words among those of the sentence")
    wish: str | None = Field(None, description="The standing wish that hides most, to be taken back")


class Recommendations(Answered):
    items: list[Shown]
    next: str | None = Field(description="The cursor of the next items; null at the end")
    draw: str = Field(description="16 hexadecimal digits: with the same log and this draw the answer is the same")
    milliseconds: float
    notes: list[str] = Field(default_factory=list)


class Refusal(BaseModel):
    """In place of an answer that could not be given."""

    error: str


class ManyRecommendations(Answered):
    answers: list[Recommendations | Refusal] = Field(description="In the order of the requests")
    refused: int


class SearchResults(Recommendations):
    query: str
    total: int = Field(description="How many things match and are allowed")
    near: list[Shown] = Field(description="Things that come near, though a word is missing")
    facets: list[FacetCounts]
    said: list[Note]


class Similar(Recommendations):
    item_id: ItemId
    because: str


class Document(BaseModel):
    """A text to rank; other fields are handed back with it."""

    model_config = ConfigDict(extra="allow")

    text: str = Field(max_length=20_000)


class AskRerank(Strict):
    """Texts or items in the order of a query, in the body that the usual rerank services take.

    Items without a query are put in the order of a person's taste.
    """

    model_config = example(
        model="any", query="a lamp to read by", documents=["Brass reading lamp", "Smoked tea"], top_n=1
    )

    query: str | None = Field(None, min_length=1, max_length=4000)
    documents: list[Annotated[str, Field(max_length=20_000)] | Document] | None = Field(None, max_length=1000)
    items: list[ItemId] | None = Field(None, max_length=1000, description="Items of the catalogue in place of texts")
    user_id: ItemId | None = Field(None, description="With items and no query: whose taste orders them")
    top_n: int | None = Field(None, ge=1, le=1000)
    return_documents: bool = False
    model: str | None = Field(None, max_length=200, description="Taken and echoed; there is one model")

    @model_validator(mode="after")
    def meant(self) -> AskRerank:
        if (self.documents is None) == (self.items is None):
            raise ValueError("expected either documents or items")
        if self.query is None and (self.items is None or self.user_id is None):
            raise ValueError("expected a query, or items and a user_id")
        if self.query is not None and self.user_id is not None:
            raise ValueError("a query orders by relevance and a user_id by taste; expected one of them")
        return self


class Ranked(BaseModel):
    index: int = Field(description="Position in what was sent, from 0")
    relevance_score: float = Field(description="From 0 to 1 within this answer")
    document: dict[str, Any] | None = None
    item_id: ItemId | None = None


class Reranked(Answered):
    id: str = Field(description="The same as request_id")
    model: str
    results: list[Ranked]
    by: str = Field(description="What compared them")


class TraceItem(BaseModel):
    model_config = ConfigDict(extra="allow")

    item_id: ItemId
    title: str
    by: str
    picture: str
    place: int
    score: float
    reason: str
    sources: list[dict[str, Any]] = Field(description="Who found it: source, place and score there, part of the score")


class TraceStage(BaseModel):
    name: str
    milliseconds: float
    said: str
    facts: dict[str, Any]


class Traced(Answered):
    user_id: str | None
    query: str | None
    at: int
    draw: str
    engine: str
    milliseconds: float
    counts: dict[str, int] = Field(description="How many items each stage left: items, allowed, found, ranked, shown")
    stages: list[TraceStage]
    items: list[TraceItem]


class EditStage(Strict):
    """A change of one stage: understand {query, without: wishes}, retrieve {without: sources}, rank {weights},
    rules {without: rules, seen, where}, page {diversity, caps}."""

    model_config = example(stage="rank", edit={"weights": {"popular": 0.2}})

    stage: Literal["understand", "retrieve", "rank", "rules", "page"]
    edit: dict[str, Any] = Field(max_length=5)


class EditedStage(TraceStage):
    state: Literal["kept", "edited", "again"]


class Moved(BaseModel):
    model_config = ConfigDict(extra="allow")

    item_id: ItemId
    title: str
    place: int


class Edited(Traced):
    stages: list[EditedStage]  # type: ignore[assignment]
    rose: list[Moved] = Field(description="What stands higher than before (`from`), what rose most first")
    new: list[Moved]
    event: dict[str, Any] = Field(description="The edit as it stands in the log")
    edited: str = Field(description="The request_id of the answer that was edited")
