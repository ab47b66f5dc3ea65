"""How simulated people say what they want: a frozen set of phrasings, written before the parser that must read them.

Nothing in `dialogue/` may import or copy these. Each group is dealt into two halves by place (even: validation, odd:
test): settings may be chosen on the validation half, the figures in the docs come from the test half alone. A changed
line changes the bench, so its version goes up with it.

Slots: {v} a value as a word ("comedy", "blue"), {vs} things that have it ("comedies", "blue things"), {w} and {ws} the
same for a second value, {n} an amount with its unit, {y} a year, {d} a decade, {nth} a place in the feed, {word} a
subject taken from the text of what is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping

WANT = (
    "could we see some {vs}",
    "I'm in the mood for {vs}",
    "bring on the {vs}",
    "how about {vs}",
    "I fancy {vs} today",
    "let's have a look at {vs}",
    "{vs} would be great",
    "got any {vs}?",
    "point me towards {vs}",
    "today it has to be {vs}",
    "I came here looking for {vs}",
    "my friend recommended {vs}, so let me see those",
    "a few more {vs} wouldn't hurt",
    "where are all the {vs}",
    "I've always had a soft spot for {vs}",
    "{vs} please",
    "do you have {vs}",
    "what I need is {vs}",
    "I'd go for {vs} right now",
    "surprise me with {vs}",
    "find me {vs}",
    "could it be {vs} this time",
    "I think {vs} would suit me",
    "{v} is what I'm after",
    "lean more towards {v}",
    "turn up the {v}",
    "I love {v}",
    "a bit more {v} in the mix",
    "{v}, if there is any",
    "it should be {v}",
    "the one I have in mind is {v}",
    "something {v}",
    "I was hoping for {v}",
    "{v}!",
    "make it {v}",
    "I'd be happy with {v}",
    "can this page be more about {v}",
    "put {vs} at the top",
    "{vs} are right up my street",
    "more along the lines of {v}",
    "I keep coming back for {vs}",
    "start with {vs}",
)

ONLY = (
    "nothing else than {vs}",
    "just {vs} from here on",
    "limit this to {vs}",
    "I only want to look at {vs}",
    "{vs} and nothing more",
    "strictly {vs}",
    "filter it down to {vs}",
    "it must be {v}",
    "exclusively {vs}, thanks",
    "keep to {vs}",
    "stick with {vs}",
    "restrict the page to {vs}",
    "all of it should be {v}",
    "unless it's {v} I don't care",
)

AVOID = (
    "I can't stand {vs}",
    "please hide {vs}",
    "enough with the {vs}",
    "spare me the {vs}",
    "no more {vs}",
    "I'd rather skip {vs}",
    "get rid of the {vs}",
    "take {vs} away",
    "leave {vs} out",
    "{vs} are not for me",
    "I never touch {vs}",
    "none of these {vs}",
    "{vs} don't interest me at all",
    "I hate {vs}",
    "keep {vs} off my page",
    "remove all {vs}",
    "don't show me {vs} again",
    "I've no use for {vs}",
    "{vs} can go",
    "not interested in {vs}",
    "why do I keep getting {vs}? I don't want them",
    "skip anything {v}",
    "definitely not {v}",
    "without any {v}",
    "it isn't {v}",
    "please, no {v} whatsoever",
    "steer clear of {v}",
    "{v} is out of the question",
    "I do not want {v}",
    "that shouldn't be {v}",
    "anything that is not {v}",
    "everything except {v}",
    "whatever you like, just not {v}",
    "ban {v}",
    "I'm allergic to {v}",
    "drop everything {v}",
    "{v} is a no",
    "exclude {v}",
    "zero {v} please",
    "I'm not looking for {v}",
    "cut out the {v}",
    "{v}? no thanks",
    "I'm done with {v}",
    "too many {vs}, remove them",
    "lose the {vs}",
    "nothing {v}",
    "avoid {vs}",
    "I dislike {vs}",
    "quit showing me {vs}",
    "block {vs}",
)

LESS = (
    "fewer {vs}",
    "not quite so many {vs}",
    "tone down the {v}",
    "a little less {v}",
    "I see {vs} a bit too often",
    "ease off on the {vs}",
    "maybe not as much {v}",
    "{vs} are getting a bit old",
    "cut back on {vs}",
    "preferably not {v}",
    "slightly too {v} for my taste",
    "rather few {vs} from now on",
)

PRICE_MOST = (
    "I don't want to spend more than {n}",
    "keep it below {n}",
    "nothing above {n}",
    "{n} is the limit",
    "{n} at most",
    "my budget is {n}",
    "it has to cost less than {n}",
    "anything for up to {n}",
    "I've got {n} to spend",
    "for {n} or less",
    "cheaper than {n}",
    "no dearer than {n}",
    "max {n}",
    "I won't pay over {n}",
    "within {n}",
    "stay under {n} please",
)

PRICE_LEAST = (
    "I'd like to spend at least {n}",
    "nothing below {n}",
    "from {n} upwards",
    "it should cost more than {n}",
    "a proper present, {n} or more",
    "over {n} please",
    "no cheap stuff, {n} minimum",
    "starting at {n}",
    "pricier than {n}",
    "above {n}",
)

YEAR_MOST = (
    "it was made before {y}",
    "nothing newer than {y}",
    "older than {y}",
    "up to {y} and no later",
    "from before {y}",
    "I don't want anything made after {y}",
    "{y} or earlier",
    "prior to {y}",
    "not after {y}",
    "only until {y}",
)

YEAR_LEAST = (
    "it came out after {y}",
    "nothing older than {y}",
    "{y} or later",
    "newer than {y}",
    "from {y} onwards",
    "anything since {y}",
    "I don't watch things from before {y}",
    "at least from {y}",
    "made in {y} or after",
    "skip whatever predates {y}",
)

DECADE = (
    "from the {d}",
    "I miss the {d}",
    "it has to be from the {d}",
    "something out of the {d}",
    "the {d} were the best, show me those",
    "made in the {d}",
    "take me back to the {d}",
    "{d} stuff please",
    "what did they make in the {d}?",
    "only the {d}",
)

ABOUT = (
    "it has something to do with {word}",
    "I remember it was about {word}",
    "there is {word} in it",
    "the one with {word}",
    "something involving {word}",
    "think of {word}",
    "{word} plays a part",
    "it mentions {word}",
    "I recall {word} in the description",
    "it's got {word} in it",
    "with {word}, if possible",
    "about {word} maybe",
)

LIKE = (
    "the {nth} one is close to what I mean",
    "the {nth} comes near it",
    "similar to the {nth} one",
    "more like the {nth}",
    "number {k} is almost it",
    "in the style of the {nth} one",
    "the {nth} item is the right direction",
    "resembling the {nth} one",
    "I like the {nth} one, what else is there like it",
    "closer to number {k}",
    "stay near the {nth} one",
    "the {nth} is nice, but show me others of that sort",
)

SWAP = (
    "swap the {ws} for {vs}",
    "{vs} instead of {ws}",
    "less of the {ws} and more {vs}",
    "I meant {vs}, not {ws}",
    "{vs} rather than {ws}",
    "not {ws} but {vs}",
    "trade {ws} for {vs}",
    "away with the {ws}, in with {vs}",
    "replace the {ws} with {vs}",
    "these are {ws}, I want {vs}",
    "no {ws}, give me {vs}",
    "why {ws}? I asked for {vs}",
)

DRIFT = (
    "I changed my mind, now I want {vs}",
    "forget all that, show me {vs}",
    "actually, let's do {vs} instead",
    "scrap everything so far. {vs}",
    "new plan: {vs}",
    "never mind what I said, I need {vs}",
    "on second thoughts {vs}",
    "different idea now, {vs} please",
    "that's enough of that; now for {vs}",
    "let me start again with {vs}",
    "ok something else entirely: {vs}",
    "wipe the slate clean, I'd like {vs}",
    "drop all of my wishes and look for {vs}",
    "now I'm after {vs}, ignore the rest",
)

JOIN = ("{a}, {b}", "{a} and {b}", "{a}. {b}", "{a}, and {b}", "{a}; {b}", "{a}. Also, {b}")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "want": WANT, "only": ONLY, "avoid": AVOID, "less": LESS, "price_most": PRICE_MOST, "price_least": PRICE_LEAST,
    "year_most": YEAR_MOST, "year_least": YEAR_LEAST, "decade": DECADE, "about": ABOUT, "like": LIKE, "swap": SWAP,
    "drift": DRIFT,
}  # fmt: skip

HALVES = ("validation", "test")


def half(which: str) -> dict[str, tuple[str, ...]]:
    """The phrasings of one half, by group.

    >>> half("validation")["decade"][0]
    'from the {d}'
    """
    start = HALVES.index(which)
    return {name: lines[start::2] for name, lines in GROUPS.items()}


def count() -> int:
    """How many phrasings there are in all."""
    return sum(len(lines) for lines in GROUPS.values())
