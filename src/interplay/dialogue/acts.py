"""What kind of turn a sentence is: a wish, a critique, an answer to what was shown, a question, or small talk.

Patterns over plain lower-case text, sentence by sentence, and what was named in it. Coarse on purpose: a page needs to
know whether to change anything, and a conversation whether a suggestion was taken, refused, or known already.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from interplay.dialogue.said import Mention

_THAT = r"(?:it|that|this|those|these|them|both|all|one|any|either|(?:that|this) (?:one|movie|film|book|show|series))"
_HOW = r"(?:(?:also|really|definitely|probably|actually|absolutely|all|both|so|just|always|quite|did|do|very|pretty|such|an?|the) )*"
_GOOD = r"(?:great|good|fun|funny|hilarious|awesome|amazing|perfect|excellent|lovely|nice|fantastic|wonderful|entertaining|best|favou?rite|cool|classic)"
_DO = r"(?:watch|check|try|look|see|give|rent|add|get|take|keep|read|buy|find|have to|go with)"

UNSEEN = re.compile(r"\b(?:haven't|havent|have not|never|hadn't|hasn't|didn't|did not|not|nope)(?: \w+)? (?:seen|see|saw|heard|watched|watch)\b|\bno,? i have(?: not|n't)\b|\bi have(?: not|n't)\b(?! \w+ed)")  # fmt: skip
SEEN = re.compile(
    rf"\b(?:i|we)(?:'ve| have| did)?(?: \w+ly| just| both| all)? (?:seen|saw|watched|see it|see that|see this|own)\b|\bseen (?:it|that|them|those|both|all|the)\b|\b(?:loved|liked|enjoyed) {_HOW}{_THAT}|\bi {_HOW}(?:loved|liked|enjoyed)\b|\b(?:i|we) {_HOW}love {_THAT}"
    rf"|\b(?:it|that|this|they|those)(?: one)? (?:was|were) {_HOW}{_GOOD}|\b(?:is|was) {_HOW}{_GOOD} (?:one|movie|film)\b|\bi have (?:both|it|that|them)\b|\byes i have\b|^(?:lol,? )?i have\b(?! not| n| no| never)|\b(?:was|were) {_HOW}{_GOOD}\b"
)
ACCEPT = re.compile(
    rf"\b(?:i'll|i will|will|i'd|would|gonna|going to|have to|need to|want to|may|might|should|may have to|let me|think i|maybe i) {_HOW}(?:have to |like to |love to |be sure to |be |try to |also )*(?:{_DO})\b|\bsounds? {_HOW}(?:like a? ?)?(?:{_GOOD}|interesting|promising|like something)|\b(?:looks?|look) {_HOW}(?:{_GOOD}|interesting|promising)"
    rf"|\bon my (?:\w+ )*list\b|\bi'm (?:\w+ )?interested\b|\b(?:great|good|nice|excellent|perfect|wonderful) (?:\w+ )?(?:suggestions?|recommendations?|choices?|ideas?|ones?)\b|\b(?:probably|likely|sure i(?: will|'ll)?) (?:like|enjoy|love)\b|\bexactly what\b|\bthat (?:will|would|may|might|could) (?:work|do|be)\b|\bgive (?:it|that|them) a (?:try|go|shot|chance)\b|\bi heard\b[^.]*\b{_GOOD}\b"
)
REJECT = re.compile(
    rf"\b(?:didn't|didnt|did not|don't|dont|do not|doesn't|wasn't|wasnt|isn't|\w+n't) {_HOW}(?:much )?(?:like[d]?|enjoy|care for|love|want|into|a (?:\w+ )?fan|think (?:it|that))\b|\b(?:not|never) (?:\w+ )?(?:interested|into|my|what (?:i|im|i'm)|for me|a (?:\w+ )?fan|the (?:kind|type|sort)|so much|a (?:\w+ )?person)\b|\bhated?\b|\bdislike|\bcan(?:'t|not) (?:stand|do)\b"
    rf"|\b(?:i think i'll |i'll |i )?pass\b(?! the| me)|\b(?:made no sense|no interest|get into|do it for me|not (?:really )?(?:like|liking)|boring|terrible|awful|rather not|bad things|nah|no thanks?|less of)\b|\bnot really\b|^\W*no\b(?=[ ,]+(?:too|not|thanks?|i (?:hate|am not|'m not)))|\bugh\b|\bstayed? away\b"
)
ELSE = re.compile(r"\b(?:anything|something|someone|any|other|another) ?(?:else|other|different)\b|\bother (?:suggestions?|ideas?|recommendations?|ones?)\b|\bone more\b")  # fmt: skip
CRITIQUE = re.compile(
    rf"\btoo (?!much fun|thanks|i\b)\w+(?=[^.]*(?:\bfor\b|$|[.,;]))(?<!me too)|\b(?:a |an? )?(?:litt?le|bit|tad) (?:too )?(?!of\b|bit\b)\w{{3,}}|\bsounds? (?!{_HOW}(?:{_GOOD}|interesting|promising|like)|{_HOW}good)\w{{4,}}|\b(?:more|less) (?:like|along|of|recent|modern)\b|\bmore \w+ (?:than|ones?)|\b(?:i|but|would) prefer\b|\brather (?:than|have|see)\b|\bsomething (?:more|less|newer|older|not|like (?:that|this)|lighter|funnier|scarier|\w+er)\b|\b(?:like|similar to) (?:that|this|those) (?:movie|one|film)\b|\bnon-\w+|mood for.*\bbut\b|\bnot (?:like|something)\b|\bavoid\b|\b(?:newer|older) \w+"
)
WISH = re.compile(
    r"\b(?:looking for|recommend|suggest|help me|can you (?:find|think|help|tell)|could you|do you (?:know|have)(?: of)?(?: an?| any| some)|any (?:other |more |good )?(?:suggestions?|recommendations?|ideas?|movies?|films?|books?)|know (?:of )?(?:any|a good|some)|in the mood|i(?:'d| would) (?:like|love) (?:some|a|to)|i(?:'m| am) (?:a |an )?(?:huge |big )?(?:\w+ )?(?:fan|open|into)|i (?:want|need|fancy)|show me|find me|give me|please|more \w+|only|just)\b"
)
TASTE = re.compile(
    rf"\bi(?:'ve| have)? {_HOW}(?:like|love|liked|loved|enjoy|enjoyed|prefer|adore)\b|\bfan of\b|\bmy favou?rite"
)
ASK = re.compile(
    r"^\W*(?:(?:oh|ok|okay|hm+|well|and|so|but|yes|no|great|cool|hey|hi)[ ,]+)*(?:(?:no )?i (?:haven't|have not|havent),? )?(?:who|who's|what|what's|whats|when|where|which|how|is|isn't|are|was|were|does|did|do|has|have|can|could|would|you|whose)\b"
)
REQUEST = re.compile(
    r"\b(?:do you (?:have|know|got)|have you (?:got|any)|(?:can|could|would|will) (?:you|we|i|it|there)|(?:what|how) about|why not|got any|(?:is|are) there|any (?:other|more|good|suggestions?|recommendations?|ideas?)|what (?:else|other|do you (?:have|recommend|suggest))|show|recommend|suggest|find|give|why (?:do i|so|are|all))\b"
)
STOP = re.compile(r"[.!?;\n]+")


def is_question(plain: str, start: int, end: int) -> bool:
    """Whether the clause belongs to a question about something, rather than to a request."""
    opened = max(plain.rfind(mark, 0, start) for mark in ".!?") + 1
    closed = min((at for at in (plain.find(mark, max(end - 1, 0)) for mark in ".!?") if at >= 0), default=len(plain))
    sentence = plain[opened : closed + 1]
    asked = sentence.rstrip().endswith("?") and (ASK.match(sentence) is not None or ", is it" in sentence)
    return asked and REQUEST.search(sentence) is None


def acts_of(
    plain: str, *, wishes: bool, back: bool, reset: bool, mentions: Sequence[Mention], shown: bool
) -> tuple[str, ...]:
    """The acts of one turn, the surest first; "other" where it is none of them."""
    out: list[str] = []
    if reset:
        out.append("reset")
    if back:
        out.append("forget")
    ends = [*(m.end() for m in STOP.finditer(plain)), len(plain)]
    start = 0
    for end in ends:
        sentence = plain[start:end].strip()
        start = end
        if sentence:
            out.extend(_of_one(sentence))
    features = [m for m in mentions if m.kind not in ("title", "shown", "text")]
    if any(m.wanted is False for m in features) and (shown or "reject" in out or "wish" not in out):
        out.append("critique")
    if any(m.wanted for m in mentions if m.kind != "text") and (TASTE.search(plain) or wishes) and "ask" not in out:
        out.append("wish")
    if "reject" in out and "accept" in out and not ACCEPT.search(plain):
        out.remove("accept")
    return tuple(dict.fromkeys(out)) or ("wish" if wishes else "other",)


def _of_one(sentence: str) -> list[str]:
    """The acts of one sentence."""
    out: list[str] = []
    asked = sentence.endswith("?")
    about = bool(ASK.match(sentence)) and not REQUEST.search(sentence)
    if (
        (asked and (about or len(sentence.split()) < 7 or ", is it" in sentence) and not REQUEST.search(sentence))
        or re.match(r"^what'?s (?:it|that) about", sentence)
        or (asked and re.search(r"\bright\b", sentence))
    ):
        out.append("ask")
    unseen = UNSEEN.search(sentence) is not None
    refused = REJECT.search(sentence) is not None
    taken = ACCEPT.search(sentence) is not None
    if "ask" not in out:
        if refused:
            out.append("reject")
        if (taken and not (refused and not unseen)) or (
            unseen and re.search(r"\bbut i (?:\w+ )?(?:like|love)\b", sentence) and not refused
        ):
            out.append("accept")
        if SEEN.search(sentence) and not (unseen and not re.search(r"\bbut\b|\band\b|\. ", sentence)) and not refused:
            out.append("seen")
    if CRITIQUE.search(sentence) and not re.search(r"\b(?:you|me) too\b|\bthanks? (?:\w+ )?too\b", sentence):
        out.append("critique")
    if WISH.search(sentence) and "critique" not in out and not taken:
        out.append("wish")
    if ELSE.search(sentence) and "wish" not in out:
        out.append("wish")
    return out
