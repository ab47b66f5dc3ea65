"""Which way a sentence leans when no cue of ours is in it: by its nearest examples in meaning.

The things it names are replaced by one word, so that what is compared is the way it is said. Each example is a sentence
of our own; the vectors are MiniLM's (data/encode.py) and are made once. Where the nearest examples disagree nothing is
claimed, and the parser takes the sentence as a leaning, which can hide nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from interplay.data.encode import encode_texts
from interplay.errors import MissingExtra
from interplay.types import Array

NEIGHBOURS = 7
SURE = 0.34  # of the weight, by which the first kind has to lead the second
NEAR = 0.42  # cosine that the nearest example needs
THING = "stuff"  # stands for whatever is named

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "no": (
        "I cannot bear stuff",
        "keep stuff away from me",
        "stuff makes me sick",
        "I refuse to look at stuff",
        "please take stuff off",
        "throw the stuff out",
        "stuff must disappear",
        "we can do without stuff",
        "stuff annoys me",
        "count me out for stuff",
        "dump the stuff",
        "give stuff a miss",
        "I have gone off stuff",
        "stuff ruins everything",
        "stuff is the last thing I want",
        "I have had my fill of stuff",
        "I would never buy stuff",
        "stuff does nothing for me",
        "not on my watch, stuff",
        "stuff drives me mad",
        "stay well away from stuff",
        "stuff should be gone",
        "do away with stuff",
        "scrap the stuff",
        "eliminate stuff",
        "I can live without stuff",
        "I'd be glad never to see stuff again",
        "who needs stuff anyway",
        "stuff is a waste of time",
        "my kids are scared of stuff",
        "stuff is bad for me",
        "I react badly to stuff",
        "I am sensitive to stuff",
        "stuff gives me a rash",
        "kick out the stuff",
        "clear away the stuff",
        "the stuff has to leave",
        "stuff may leave now",
        "stuff can disappear",
        "you can put stuff away now",
        "stuff is unwelcome",
        "discard stuff",
        "reject stuff",
        "bin the stuff",
        "delete stuff from the list",
        "I don't eat stuff",
        "stuff is off limits",
        "keep your stuff",
        "stuff turns me off",
        "I'm through with stuff",
        "I've seen plenty of stuff, please stop",
        "pass over the stuff",
        "strike stuff from the list",
        "move away from stuff",
        "leave the stuff for somebody else",
        "stuff isn't my idea of fun",
        "I wouldn't touch stuff with a pole",
        "nobody asked for stuff",
        "stuff is exactly what I am trying to escape",
        "save that stuff for others",
        "take the stuff down",
        "forbid stuff",
        "stuff is not welcome here",
        "absolutely against stuff",
        "I object to stuff",
        "stuff is wrong for me",
        "not a chance for stuff",
    ),
    "rather not": (
        "a little too much stuff",
        "there is plenty of stuff already",
        "dial the stuff down",
        "reduce the stuff",
        "go easy on the stuff",
        "the stuff is becoming repetitive",
        "a smaller share of stuff",
        "stuff less often",
        "the stuff takes over the page",
        "I could do with a break from stuff",
        "somewhat weary of stuff",
        "not that keen on stuff",
        "limit how much stuff there is",
        "stuff turns up rather frequently",
        "bring the stuff down a notch",
        "stuff is overrepresented",
        "lower the amount of stuff",
        "stuff is only so so for me",
        "stuff is okay but not every time",
        "stuff, but sparingly",
        "decrease the stuff",
    ),
    "must": (
        "solely stuff",
        "stuff or nothing",
        "nothing will do but stuff",
        "it can't be anything else than stuff",
        "I accept stuff alone",
        "stuff and no other",
        "everything has to be stuff",
        "keep everything else away, stuff alone",
        "I will look at nothing but stuff",
        "confine it to stuff",
        "if it isn't stuff, don't bother",
        "stay within stuff",
        "anything that isn't stuff is useless to me",
        "I want to see stuff and that is all",
        "make everything stuff",
        "set the filter to stuff",
        "remain with stuff",
        "hold on to stuff",
    ),
    "want": (
        "I am searching for stuff",
        "can I get stuff",
        "I could use stuff",
        "stuff is my thing",
        "lead me to stuff",
        "take me to the stuff",
        "I'd be delighted by stuff",
        "stuff sounds right",
        "let me browse stuff",
        "pull up stuff",
        "what stuff is there",
        "is there stuff",
        "I crave stuff",
        "serve me stuff",
        "stuff is perfect for me",
        "direct me to stuff",
        "I was thinking of stuff",
        "stuff it is",
        "I miss stuff",
        "stuff never fails to please me",
        "go heavier on stuff",
        "raise the share of stuff",
        "stuff makes me happy",
        "I have a weakness for stuff",
        "stuff has a place in my heart",
        "I appreciate stuff",
        "tend towards stuff",
        "increase stuff",
        "stuff first",
        "stuff above all",
        "somebody told me to try stuff",
        "I have heard good things about stuff",
        "a dose of stuff",
        "stuff goes down well with me",
        "open the stuff section",
        "I'd pick stuff",
        "in search of stuff",
        "please let there be stuff",
        "stuff is what I picture",
        "my choice is stuff",
        "add stuff",
        "stuff would do nicely",
        "throw in some stuff",
        "stuff is welcome",
        "time for stuff",
        "I have been dreaming of stuff",
        "we need stuff for the party",
        "stuff suits me",
        "hand me the stuff",
        "stuff wins",
        "it ought to be stuff",
        "I prefer stuff these days",
        "push stuff up",
        "stuff belongs at the front",
        "begin with stuff",
        "I always return to stuff",
        "that would be stuff then",
        "the thing is stuff",
        "in the direction of stuff",
        "stuff, obviously",
    ),
}


@cache
def _examples() -> tuple[Array, Array, tuple[str, ...]]:
    """(vectors, kind of each, kinds)."""
    kinds = tuple(EXAMPLES)
    texts = [(t, k) for k, ts in enumerate(EXAMPLES.values()) for t in ts]
    return encode_texts([t for t, _ in texts]), np.array([k for _, k in texts]), kinds


def leaning(sentence: str) -> str | None:
    """no, rather not, must or want: what the nearest examples mean; None where they disagree or none is near, or where
    the extra `text` is missing."""
    try:
        vectors, kind, kinds = _examples()
        cosines = vectors @ encode_texts([sentence])[0]
    except MissingExtra:
        return None
    near = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
    if cosines[near[0]] < NEAR:
        return None
    weight = np.bincount(kind[near], weights=np.maximum(cosines[near], 0) ** 4, minlength=len(kinds))
    order = np.argsort(-weight, kind="stable")
    lead = (weight[order[0]] - weight[order[1]]) / max(float(weight.sum()), 1e-9)
    if lead >= SURE:
        return kinds[int(order[0])]
    against = weight[[kinds.index("no"), kinds.index("rather not")]].sum() / max(float(weight.sum()), 1e-9)
    return "rather not" if against >= 0.5 + SURE / 2 else None
