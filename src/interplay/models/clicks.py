"""Click models: what people looked at is told apart from what they liked, for lists, grids and rows that are swiped.

recgaze   after RecGaze, SIGIR 2025 (arXiv 2504.20792), and its click models for carousels (arXiv 2602.16541)

Learns the logits of one way of looking (learn/looking.py) and of each item's attraction: about 4 * items bytes, 8 with
satisfaction. From them: examination of each cell, chance of a click anywhere, scores of items that position does not
bend, inverse weights for training a ranker, and the order of rows that will be clicked most.

Attraction is one number for each item, or linear in what is known of each cell (where items stand in one place only,
nothing else tells taste from place), or given beforehand. By gradient, or by expectation maximisation (pbm alone).
Look and attraction are known up to a factor: the best place is examined with chance 1, whatever the truth is.

Departs from the papers: of the grid models in arXiv 2602.16541 only the names could be seen; `pbm`, `pbm-rank-one` and
`pbm-swipe` are our reading. The carousel cascade, the logistic of `observed` and `one-choice` are our construction, so
is the wide Gaussian prior on every logit. Places outside the fitted grid count as the nearest one inside.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interplay.configure import Positive, Size
from interplay.data.pages import Pages
from interplay.errors import BadData, BadSetting, unknown
from interplay.learn.descend import Descent, descend, seeded
from interplay.learn.looking import MODELS, Cells, Grid, Logits, log_look, simulate
from interplay.ops.topk import best
from interplay.types import Array, Dataset, Requests, Rows, Run, Slates, State, World

ATTRACTIONS = ("items", "about", "given")
ESTIMATORS = ("gradient", "em")
FLAT = ("constant", "position")  # models in which no item attracts more than another


@dataclass(frozen=True, kw_only=True)
class ClicksConfig:
    model: str = "pbm"  # a name in MODELS
    attraction: str = "items"  # a name in ATTRACTIONS
    estimator: str = "gradient"  # a name in ESTIMATORS
    visible: Size = 5  # columns of a row that are on the screen at once
    spread: Positive = 2.0  # standard deviation of the prior of each logit around the mean of its kind
    clip: Positive = 20.0  # largest inverse weight
    kinds: tuple[str, ...] = ("click",)  # events that answer a page
    descent: Descent = field(default_factory=lambda: Descent(rate=0.1, batch=8192, epochs=250, schedule="cosine"))


class Clicks:
    """Fitted to pages, says where people look and what attracts them."""

    def __init__(self, config: ClicksConfig = ClicksConfig()) -> None:
        self.config = config

    # -------------------------------------------------------------------------------------------------------- learning

    def fit(self, dataset: Dataset, *, run: Run = Run(), world: World | None = None) -> Clicks:
        """Learn from the pages in the table `impressions` of a data set."""
        if not len(dataset.events):
            raise BadData(f"{dataset.name!r} has no events; a click model learns from what was clicked")
        self.rows = Rows.of(dataset)
        return self.learn(Pages.of(dataset, self.config.kinds), run=run)

    def learn(self, pages: Pages, *, run: Run = Run()) -> Clicks:
        """Learn from pages."""
        c = self.config
        for what, given, known in (
            ("click model", c.model, MODELS), ("attraction", c.attraction, ATTRACTIONS),
            ("estimator", c.estimator, ESTIMATORS),
        ):  # fmt: skip
            if given not in known:
                raise unknown(what, given, known)
        self._check(pages)
        if not hasattr(self, "rows"):
            self.rows = _plain_rows(pages)
        topics = 0 if pages.topic is None else int(pages.topic.max(initial=-1)) + 1
        self.grid = Grid(*pages.shape, visible=c.visible, topics=topics)
        self.n_items = pages.n_items
        self.shown = np.bincount(pages.items[pages.items >= 0], minlength=pages.n_items).astype(np.float32)
        with seeded(run.seed):
            self.logits = {k: v.clone().requires_grad_() for k, v in self._start(pages).items()}
        if c.estimator == "em":
            self._expect(pages)
        else:
            self._descend(pages, run)
        self.logits = {k: v.detach() for k, v in self.logits.items()}
        return self

    def _check(self, pages: Pages) -> None:
        c = self.config
        if not len(pages):
            raise BadData("there are no pages to learn from")
        if c.attraction != "items" and getattr(pages, c.attraction) is None:
            raise BadData(
                f"attraction = {c.attraction!r}, but the pages do not carry it; set attraction = 'items', or give "
                f"pages with {c.attraction!r}"
            )
        if c.model == "observed" and pages.looked is None:
            raise BadData(
                "the observed model needs to know what was looked at, and there is no gaze; take model = 'pbm'"
            )
        if c.estimator == "em" and (c.model != "pbm" or c.attraction != "items"):
            raise BadSetting(
                f"expectation maximisation is worked out for model = 'pbm' with attraction = 'items'; found "
                f"{c.model!r} with {c.attraction!r}. Take estimator = 'gradient'"
            )
        if MODELS[c.model].single and (pages.clicked.sum(axis=(1, 2)) > 1).any():
            many = int((pages.clicked.sum(axis=(1, 2)) > 1).sum())
            raise BadData(
                f"{many} of {len(pages)} pages have more than one click; {c.model!r} is about pages with one choice at "
                "most. Take another model, or split such pages"
            )

    def _start(self, pages: Pages) -> Logits:
        """Logits to start from: clicks come as often as they do in the pages, whatever the place and the item."""
        model, c = MODELS[self.config.model], self.config
        out = dict(model.start(self.grid))
        held, rate = pages.items >= 0, (pages.clicked.sum() + 0.5) / ((pages.items >= 0).sum() + 1.0)
        usual = float(_logit(np.array(rate)))
        if "rate" in out or c.model == "position":
            out = {name: torch.full_like(value, usual) for name, value in out.items()}
        if "nothing" in out:
            chosen = float(np.clip(pages.clicked.any(axis=(1, 2)).mean(), 1e-3, 1 - 1e-3))
            cells = max(float(held.sum(axis=(1, 2)).mean()), 1.0)
            out["nothing"] = torch.full((1,), np.log((1 - chosen) / chosen * cells), dtype=torch.float32)
        if c.model in FLAT or c.attraction == "given":
            return out
        kinds = ("a", "s") if model.satisfies else ("a",)
        for kind in kinds:
            if c.attraction == "items":
                out[f"{kind}.items"] = torch.zeros(pages.n_items)
            else:
                assert pages.about is not None
                out[f"{kind}.about"] = torch.zeros(pages.about.shape[-1])
            if not (model.single and kind == "a"):  # the chance of no choice holds the level already
                out[f"{kind}.base"] = torch.full((1,), min(usual + 0.5, 2.0) if kind == "a" else 0.0)
        return out

    def _attraction(self, pages: Pages, kind: str = "a") -> Tensor:
        """Logits of attraction (`a`) or satisfaction (`s`) of every cell."""
        shape, logits, c = pages.items.shape, self.logits, self.config
        base = logits.get(f"{kind}.base", torch.zeros(1))
        if f"{kind}.items" in logits:
            own, at = logits[f"{kind}.items"], torch.from_numpy(pages.items.astype(np.int64))
            known = (at >= 0) & (at < len(own))
            return base + torch.where(known, own[torch.where(known, at, 0)], 0.0)
        if f"{kind}.about" in logits:
            if pages.about is None:
                raise BadData("the model reads what is known of each cell (`about`), and these pages do not carry it")
            return base + torch.from_numpy(pages.about) @ logits[f"{kind}.about"]
        if kind == "a" and c.attraction == "given" and c.model not in FLAT:
            if pages.given is None:
                raise BadData("the model takes attraction as given, and these pages do not carry it")
            return torch.from_numpy(np.clip(pages.given, 1e-6, 1 - 1e-6)).float().logit()
        return base.expand(shape)

    def _satisfaction(self, pages: Pages) -> Tensor | None:
        if not MODELS[self.config.model].satisfies:
            return None
        if self.config.attraction == "given":
            return torch.zeros(pages.items.shape)
        return self._attraction(pages, "s")

    def _prior(self) -> Tensor:
        """- log of the Gaussian prior: items around 0, places around their mean, everything wide."""
        total = torch.zeros(())
        for name, value in self.logits.items():
            if name.endswith(".base") or name in ("nothing", "rate"):
                continue
            centre = 0.0 if "." in name else value.mean()
            total = total + ((value - centre) ** 2).sum() / (2 * self.config.spread**2)
        return total

    def _descend(self, pages: Pages, run: Run) -> None:
        model, c, n = MODELS[self.config.model], self.config, len(pages)

        def batches(epoch: int, generator: np.random.Generator) -> list[Pages]:
            order = generator.permutation(n) if n > c.descent.batch else np.arange(n)
            return [pages.take(order[lo : lo + c.descent.batch]) for lo in range(0, n, c.descent.batch)]

        whole = batches(0, np.random.default_rng(0)) if n <= c.descent.batch else None

        def step(part: Pages) -> Tensor:
            cells, attraction = _cells(part), self._attraction(part)
            if c.model == "observed":
                assert part.looked is not None
                looked = torch.from_numpy(part.looked | part.clicked)  # a gaze that was lost does not undo a click
                see = replace_clicked(cells, looked)
                told = MODELS["position"].likelihood(self.logits, self.grid, see, attraction, None)
                inside = Cells(cells.held & looked, cells.clicked, cells.topic)
                told = told + MODELS["item"].likelihood({}, self.grid, inside, attraction, None)
            else:
                told = model.likelihood(self.logits, self.grid, cells, attraction, self._satisfaction(part))
            return -told.mean() + self._prior() / n

        self.fitted: dict[str, Any] = {}
        if self.logits:
            self.fitted = descend(
                step, self.logits, (lambda epoch, generator: whole) if whole else batches, descent=c.descent,
                run=replace(run, validation=None), belongs=str(asdict(c)),
            )  # fmt: skip

    def _expect(self, pages: Pages) -> None:
        """Expectation maximisation of the position-based model, with Beta(1, 1) before every rate."""
        held, clicked = pages.items >= 0, pages.clicked
        page, row, column = np.nonzero(held)
        item, hit = pages.items[page, row, column], clicked[page, row, column].astype(np.float64)
        cell = row * self.grid.columns + column
        look = np.full(self.grid.rows * self.grid.columns, 0.5)
        liked = np.full(pages.n_items, min(2 * hit.mean() + 1e-3, 0.9))
        n_cell, n_item = np.bincount(cell, minlength=len(look)), np.bincount(item, minlength=len(liked))
        losses = []
        for _ in range(self.config.descent.epochs):
            p = look[cell] * liked[item]
            losses.append(-float(np.mean(np.where(hit > 0, np.log(p), np.log1p(-p)))))
            seen = np.where(hit > 0, 1.0, look[cell] * (1 - liked[item]) / (1 - p))
            good = np.where(hit > 0, 1.0, liked[item] * (1 - look[cell]) / (1 - p))
            look = (np.bincount(cell, seen, len(look)) + 1) / (n_cell + 2)
            liked = (np.bincount(item, good, len(liked)) + 1) / (n_item + 2)
        self.fitted = {"epochs": len(losses), "losses": losses}
        scale = look.max()
        look, liked = look / scale, np.clip(liked * scale, 0, 1)
        self.logits = {"look": _logit(look.reshape(self.grid.rows, self.grid.columns)), "a.items": _logit(liked)}

    # ----------------------------------------------------------------------------------------------------- what it says

    def examination(self) -> Array:
        """float64[rows, columns]: how often each cell is looked at, relative to the one looked at most.

        For models in which looking depends on what stands before, it is how often a cell would be looked at on a page
        where nothing attracts.
        """
        with torch.no_grad():
            if "place" in self.logits:
                look = self.logits["place"].double().exp()
            elif MODELS[self.config.model].likelihood is MODELS["cascade"].likelihood:
                shape = (1, self.grid.rows, self.grid.columns)
                blank = Cells(torch.ones(shape, dtype=torch.bool), torch.zeros(shape))
                few = torch.full(shape, float(_logit(np.array(1e-4))))
                look = self._marginals(blank, few, torch.zeros(shape))[0].double() / 1e-4
            else:
                look = log_look(self.logits, self.grid).double().exp()
        return (look / look.max()).numpy()

    def attraction(self, items: Array | None = None) -> Array:
        """float32[...]: the chance that each item (all by default) is clicked when it is looked at, position apart."""
        chosen = np.arange(self.n_items) if items is None else np.asarray(items)
        page = Pages(
            items=chosen.reshape(1, 1, -1).astype(np.int32), clicked=np.zeros((1, 1, chosen.size), bool),
            n_items=self.n_items,
        )  # fmt: skip
        with torch.no_grad():
            logits = self._attraction(page)
            if self.config.model in ("pbm", "pbm-rank-one", "pbm-swipe"):
                logits = (
                    logits.sigmoid().mul(log_look(self.logits, self.grid).exp().max()).clamp(1e-7, 1 - 1e-7).logit()
                )
        return logits.sigmoid().numpy().reshape(chosen.shape)

    def click_probability(self, pages: Pages) -> Array:
        """float64[n, rows, columns]: the chance of a click in each cell, before anything is clicked."""
        pages = self._fits(pages)
        with torch.no_grad():
            return self._marginals(_cells(pages), self._attraction(pages), self._satisfaction(pages)).double().numpy()

    def _marginals(self, cells: Cells, attraction: Tensor, satisfaction: Tensor | None) -> Tensor:
        grid = self._sized(*attraction.shape[1:])
        return MODELS[self.config.model].marginals(self._stretched(grid), grid, cells, attraction, satisfaction)

    def log_likelihood(self, pages: Pages) -> Array:
        """float64[n]: log of the chance of exactly these clicks, page by page."""
        pages = self._fits(pages)
        grid = self._sized(*pages.shape)
        with torch.no_grad():
            told = MODELS[self.config.model].likelihood(
                self._stretched(grid), grid, _cells(pages), self._attraction(pages), self._satisfaction(pages)
            )
        return told.double().numpy()

    def simulate(self, pages: Pages, seed: int = 0) -> Array:
        """bool[n, rows, columns]: clicks of people who behave as this model says, on the given pages."""
        pages = self._fits(pages)
        grid = self._sized(*pages.shape)
        with torch.no_grad():
            drawn = simulate(
                self.config.model, self._stretched(grid), grid, _cells(pages), self._attraction(pages),
                self._satisfaction(pages), torch.Generator().manual_seed(seed),
            )  # fmt: skip
        return drawn.numpy()

    def weights(self, pages: Pages) -> Array:
        """float64[n, rows, columns]: 1 / examination, clipped; clicks so weighted are unbiased for attraction."""
        look = self.examination()
        rows, columns = (np.minimum(np.arange(n), m - 1) for n, m in zip(pages.shape, look.shape, strict=True))
        weight = np.minimum(1 / np.maximum(look[np.ix_(rows, columns)], 1e-12), self.config.clip)
        return np.where(pages.items >= 0, weight, 0.0)

    def _sized(self, rows: int, columns: int) -> Grid:
        return Grid(rows=rows, columns=columns, visible=self.grid.visible, topics=self.grid.topics)

    def _stretched(self, grid: Grid) -> Logits:
        """The logits for pages of another size: places outside the fitted grid count as the nearest inside."""
        logits = self.logits
        row = torch.arange(grid.rows).clamp(max=self.grid.rows - 1)
        column = torch.arange(grid.columns).clamp(max=self.grid.columns - 1)
        out = dict(logits)
        for name in ("look", "place"):
            if name in logits:
                out[name] = logits[name][row][:, column]
        if "down" in logits:
            out["down"] = logits["down"][row]
        if "across" in logits and "swipe" not in logits:
            out["across"] = logits["across"][column]
        if "enter" in logits and not self.grid.topics:
            out["enter"] = logits["enter"][row]
        return out

    def _fits(self, pages: Pages) -> Pages:
        if self.grid.topics and pages.topic is not None and (pages.topic >= self.grid.topics).any():
            return replace(pages, topic=np.where(pages.topic < self.grid.topics, pages.topic, -1))
        return pages

    # ------------------------------------------------------------------------------------------------------- answering

    def retrieve(self, requests: Requests, n: int) -> Slates:
        """The items that attract most, the same for everybody; what nobody was shown stands last."""
        score = self.attraction() + np.where(self.shown > 0, 1.0, 0.0)
        return best(lambda part: np.tile(score.astype(np.float32), (len(part), 1)), requests, n, self.rows)

    def rank(self, requests: Requests, slates: Slates, features: Any) -> Slates:
        """The candidates in the order of their attraction, with the column p_click."""
        held = slates.items >= 0
        p = np.where(held, self.attraction(np.maximum(slates.items, 0)), -np.inf).astype(np.float32)
        order = np.argsort(-p, axis=1, kind="stable")
        p = np.take_along_axis(p, order, 1)
        return Slates(
            items=np.take_along_axis(slates.items, order, 1), scores=p,
            columns={"p_click": np.where(np.isfinite(p), p, 0.0)},
        )  # fmt: skip

    def state(self) -> State:
        held = {name: value.numpy() for name, value in self.logits.items()}
        facts = {"grid": [self.grid.rows, self.grid.columns, self.grid.visible, self.grid.topics]}
        own = State(arrays={**held, "shown": self.shown}, facts=facts)
        return State.joined(rows=self.rows.state(), own=own)

    def restore(self, state: State) -> Clicks:
        self.rows, own = Rows.restore(state.within("rows")), state.within("own")
        self.logits = {k: torch.from_numpy(np.array(v)) for k, v in own.arrays.items() if k != "shown"}
        self.shown = own.arrays["shown"]
        self.n_items, self.grid = len(self.shown), Grid(*own.facts["grid"])
        self.fitted = {}
        return self


def replace_clicked(cells: Cells, flags: Tensor) -> Cells:
    """The same cells with other outcomes."""
    return Cells(cells.held, flags.float(), cells.topic)


def _cells(pages: Pages) -> Cells:
    topic = None if pages.topic is None else torch.from_numpy(pages.topic.astype(np.int64))
    return Cells(torch.from_numpy(pages.items >= 0), torch.from_numpy(pages.clicked).float(), topic)


def _logit(p: Array) -> Tensor:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return torch.from_numpy(np.asarray(np.log(p / (1 - p)), np.float32))


def _plain_rows(pages: Pages) -> Rows:
    """Rows for pages that came without a data set: items are known by their number."""
    from interplay.types import Ids

    shown = np.bincount(pages.items[pages.clicked], minlength=pages.n_items).astype(np.float32)
    return Rows(
        n_users=0, n_items=pages.n_items, keys=Ids(list(range(pages.n_items))).keys, popularity=shown,
        events=np.zeros(0, np.int32),
    )  # fmt: skip
