"""A table of sentences, each with the wishes that it makes: over films and over a shop, every way of saying apart.

A wish is written as wanted or not (+ -), hard or soft (! ~), and what it is about. The sentences are the tests' own.
"""

from __future__ import annotations

import re

import pytest

from dialogue.shop import films, shop
from interplay.dialogue.lexicon import Lexicon
from interplay.dialogue.parse import parse

SHOP, FILMS = Lexicon.of(shop()), Lexicon.of(films())


def read(said: str, lexicon: Lexicon) -> str:
    """The wishes of a sentence in one line."""
    out = []
    for p in parse(said, lexicon).wishes:
        about = re.sub(r"[\w`]+ (?:contains|==) '((?:[^']|'')*)'", lambda m: m[1].lower(), p.wish.where or p.wish.text)
        out.append(("+" if p.wish.wanted else "-") + ("!" if p.wish.hard else "~") + " " + about)
    return "; ".join(out)


# Bounds and noes in one breath.
JOINED = """
nothing before 1972 and no more comedies | -! year < 1972; -! comedy
under 100 minutes and no more horror | +! runtime < 100; -! horror
from 1968 on and no more noir, thanks | +! year >= 1968; -! film-noir
no comedies and nothing after 1999 | -! comedy; -! year > 1999
after 1988, why is it all comedies? I don't want those | +! year > 1988; -! comedy
under 90 minutes please. Why do I keep seeing horror? Not those | +! runtime < 90; -! horror
why so many comedies, and before 1980 please | -~ comedy; +! year < 1980
horror again? No thanks. After 1990 | -! horror; +! year > 1990
1983 or newer, but not horror | +! year >= 1983; -! horror
1983 and no later | +! year <= 1983
2 hours and no more | +! runtime <= 120
comedies, no horror, under 2 hours, after 1980 | +! comedy; -! horror; +! runtime < 120; +! year > 1980
nothing over 95 minutes, and the 70s or earlier | -! runtime > 95; +! year <= 1979
nothing over 95 minutes or before 1970 | -! runtime > 95; -! year < 1970
no comedies, and noir please | -! comedy; +! film-noir
no comedies or noir please | -! comedy; -! film-noir
only noir, and horror - no | +! film-noir; -! horror
horror? nah, but more noir | -! horror; +~ film-noir
films from before 1967 bore me but noir is fine | -! year < 1967; +~ film-noir
no horror, under 2 hours, before 1999 and no noir | -! horror; +! runtime < 120; +! year < 1999; -! film-noir
"""

# A side that was said is never turned by what is said of the page.
SIDES = """
these are all so old, I want 1984 or newer | +! year >= 1984
they're too new, 1971 or earlier | +! year <= 1971
all of these are old, give me 1984 | +! year >= 1984
these are too long, at most 95 minutes | +! runtime <= 95
too new for me, before 1970 | +! year < 1970
these are too old, at least from the 80s | +! year >= 1980
"""

# A superlative and a number: a bound on the other side, the number itself within.
ENDS = """
the earliest year is 1969 | +! year >= 1969
the oldest one may be 1969 | +! year >= 1969
the oldest I would take is 1969 | +! year >= 1969
the earliest I'd accept is 1969 | +! year >= 1969
oldest: 1969 | +! year >= 1969
1969 at its oldest | +! year >= 1969
1969 the earliest | +! year >= 1969
the oldest film should be from the 70s | +! year >= 1970
the newest should be 1994 | +! year <= 1994
the latest year is 1994 | +! year <= 1994
1994 latest | +! year <= 1994
1994 at the newest | +! year <= 1994
the most recent may be 1994 | +! year <= 1994
newest 1994 | +! year <= 1994
the furthest back I'd go is 1969 | +! year >= 1969
1969 is as early as I go | +! year >= 1969
1969 is as far back as I look | +! year >= 1969
the longest I can sit is 2 hours | +! runtime <= 120
the shortest should be 80 minutes | +! runtime >= 80
100 minutes at the longest | +! runtime <= 100
not as old as 1969 | +! year > 1969
not so recent as 1994 | +! year < 1994
not as long as 2 hours | +! runtime < 120
not as old as the 70s | +! year >= 1980
dating back no further than 1969 | +! year >= 1969
going no further back than 1969 | +! year >= 1969
"""

# What is done with a range, or said of it, that makes it unwanted.
UNWANTED_RANGES = """
ignore everything before 1967 | -! year < 1967
erase anything older than 1967 | -! year < 1967
dump everything before 1967 | -! year < 1967
discard whatever is older than 1967 | -! year < 1967
reject everything from before 1967 | -! year < 1967
clear out anything before 1967 | -! year < 1967
purge everything after 2005 | -! year > 2005
dismiss anything longer than 2 hours | -! runtime > 120
anything older than 1967 feels dated | -! year < 1967
anything before 1967 is ancient | -! year < 1967
films from before 1967 bore me | -! year < 1967
anything before 1967 puts me to sleep | -! year < 1967
anything before 1967 makes me yawn | -! year < 1967
anything before 1967? pass | -! year < 1967
anything over 2 hours? nope | -! runtime > 120
I don't need to see films from before 1967 | -! year < 1967
I don't want to watch anything from before 1967 | -! year < 1967
nothing that predates 1967 | -! year < 1967
nothing postdating 2005 | -! year > 2005
enough of the 70s | -! year >= 1970 and year <= 1979
sick of the 70s | -! year >= 1970 and year <= 1979
I'm over the 70s | -! year >= 1970 and year <= 1979
tired of the 70s | -~ year >= 1970 and year <= 1979
"""

# Decades and limits: a word that excludes its number against one that does not.
DECADES = """
at least from the 70s | +! year >= 1970
beginning with the 70s | +! year >= 1970
starting in the 70s | +! year >= 1970
as far back as the 70s | +! year >= 1970
not before the 70s | +! year >= 1970
no earlier than the 70s | +! year >= 1970
since the 70s | +! year >= 1970
after the 70s | +! year >= 1980
past the 70s | +! year >= 1980
newer than the 70s | +! year >= 1980
up to the 70s | +! year <= 1979
until the 70s | +! year <= 1979
at most the 70s | +! year <= 1979
not after the 70s | +! year <= 1979
no later than the 70s | +! year <= 1979
before the 70s | +! year < 1970
prior to the 70s | +! year < 1970
the 70s or earlier | +! year <= 1979
the 70s onwards | +! year >= 1970
within the 70s | +! year >= 1970 and year <= 1979
bring me back to the 70s | +! year >= 1970 and year <= 1979
send us back to 1973 | +! year == 1973
going back to 1973 | +! year >= 1973
only from 1973 | +! year >= 1973
only films from 1973 | +! year == 1973
1973 and everything after | +! year >= 1973
1973 and anything that came later | +! year >= 1973
1973 and everything before it | +! year <= 1973
the lower limit is 1973 | +! year >= 1973
the upper limit should be 1973 | +! year <= 1973
a floor of 1973 | +! year >= 1973
a ceiling of 100 minutes | +! runtime <= 100
I have two hours | +! runtime <= 120
we've got 90 minutes | +! runtime <= 90
I only have about an hour | +! runtime <= 60
"""

# How sure a bound is: said as a preference it only leans, and hides nothing.
SOFT_BOUNDS = """
I'd prefer 1985 or newer | +~ year >= 1985
ideally after 1985 | +~ year > 1985
preferably under 2 hours | +~ runtime < 120
maybe before 1985 | +~ year < 1985
after 1985 | +! year > 1985
I'd like something after 1985 | +! year > 1985
"""

# Everything but one thing.
EXCEPT = """
any genre but horror | -! horror
all genres but comedy | -! comedy
every kind of film except horror | -! horror
any film other than a horror | -! horror
anything but not comedies | -! comedy
whatever, but not comedies | -! comedy
all of it, with the exception of comedies | -! comedy
the one exception being horror | -! horror
everything aside from horror | -! horror
everything save for horror | -! horror
everything bar horror | -! horror
barring horror | -! horror
outside of horror | -! horror
all but horror | -! horror
any genre but comedies or noir | -! comedy; -! film-noir
horror excluded | -! horror
horror aside, show me comedies | -! horror; +! comedy
a horror-free evening | -! horror
comedies, horror-free | +! comedy; -! horror
"""

# Noes before and after what they are of.
NOES = """
the last thing I want is horror | -! horror
last thing we need tonight is horror | -! horror
horror is the last thing I want | -! horror
horror? nope | -! horror
horror? nah | -! horror
horror? no way | -! horror
horror - no | -! horror
comedies, please no | -! comedy
horror, nope. comedies | -! horror; +! comedy
yuck, horror | -! horror
ugh, comedies | -! comedy
eww horror | -! horror
horror, yuck | -! horror
horror doesn't appeal to me | -! horror
comedies don't interest me at all | -! comedy
horror just doesn't thrill me | -! horror
horror doesn't scare me | +~ horror
horror isn't bad | +~ horror
horror has no appeal for me | -! horror
horror isn't allowed | -! horror
horror is not permitted | -! horror
horror is not an option | -! horror
comedies suck | -! comedy
horror stinks | -! horror
horror is unbearable | -! horror
comedies feel stale | -! comedy
horror is a waste of time | -! horror
horror was a disaster | -! horror
comedies always put me to sleep | -! comedy
horror makes me sick | -! horror
I could never get into horror | -! horror
I never got into comedies | -! comedy
I've never been into horror | -! horror
I can't sit through horror | -! horror
averse to horror | -! horror
I'm over comedies | -! comedy
nix the horror | -! horror
horror needs to go | -! horror
the comedies have got to go | -! comedy
nobody likes horror | -! horror
no one here wants comedies | -! comedy
who needs horror | -! horror
enough horror | -! horror
enough with the comedies | -! comedy
that's enough horror already | -! horror
lay off the horror | -! horror
banish comedies | -! comedy
I don't need any horror | -! horror
I don't expect to watch comedies | -! comedy
fed up with horror | -! horror
I've had it with comedies | -! comedy
I'm against horror | -! horror
good enough, more comedies | +~ comedy
there aren't enough comedies | +~ comedy
why is there no comedy? | +~ comedy
I am not against horror | +~ horror
horror is too good to miss | +! horror
a little comedy | +~ comedy
I can't get enough of horror | +~ horror
"""

# Too much of it, rather the other: nothing is hidden by these.
SOFT_NOES = """
cool it with the horror | -~ horror
easy on the comedies | -~ comedy
go easy on the horror please | -~ horror
tone down the horror | -~ horror
cut back on comedies | -~ comedy
ease up on the horror | -~ horror
horror is too scary | -~ horror
I find horror too gruesome | -~ horror
comedies are way too silly for me | -~ comedy
comedies over horror | +~ comedy; -~ horror
I prefer comedies to horror | +~ comedy; -~ horror
I'd take comedy over horror | +~ comedy; -~ horror
comedy over noir any day | +~ comedy; -~ film-noir
I like comedies more than horror | +~ comedy; -~ horror
I'd rather have comedies than horror | +~ comedy; -~ horror
I prefer the 80s to the 70s | +~ year >= 1980 and year <= 1989; -~ year >= 1970 and year <= 1979
I'd choose noir over comedies or horror | +~ film-noir; -~ comedy; -~ horror
"""

# Lists, and where they end.
LISTS = """
no horror, and comedy, if there is any | -! horror; +~ comedy
I do not want horror, and noir, if you have any | -! horror; +~ film-noir
no horror, comedies or noir | -! horror; -! comedy; -! film-noir
neither horror nor comedies | -! horror; -! comedy
no horror. noir either | -! horror; -! film-noir
no horror. ditto comedies | -! horror; -! comedy
no horror. comedies | -! horror; +! comedy
"""

# Verdicts on things that were named ("Story 7" is "Story of Number 7"): things like them are wanted less, or more.
NAMED = """
"Story 7" put me to sleep | -~ less like "Story 7"
I walked out of "Story 7" | -~ less like "Story 7"
fell asleep during "Story 7" | -~ less like "Story 7"
"Story 7" was a letdown | -~ less like "Story 7"
"Story 7" was such a bore | -~ less like "Story 7"
"Story 7" was just okay | -~ less like "Story 7"
I was disappointed by "Story 7" | -~ less like "Story 7"
gave up on "Story 7" | -~ less like "Story 7"
I regret watching "Story 7" | -~ less like "Story 7"
"Story 7", hated it. "Story 9" too | -~ less like "Story 7"; -~ less like "Story 9"
loved "Story 7" | +~ like "Story 7"
"Story 7" wasn't bad | +~ like "Story 7"
I prefer "Story 7" to "Story 9" | +~ like "Story 7"; -~ less like "Story 9"
isn't "Story 7" a bit slow? |
"""

FILM_TABLES = (JOINED, SIDES, ENDS, UNWANTED_RANGES, DECADES, SOFT_BOUNDS, EXCEPT, NOES, SOFT_NOES, LISTS, NAMED)

IN_THE_SHOP = """
any colour but red | -! red
all shades except blue | -! blue
anything but not kettles | -! kettle
kettles excluded | -! kettle
everything aside from saws | -! saw
outside of lanterns | -! lantern
the last thing I need is a saw | -! saw
saws? nope | -! saw
ugh, kettles | -! kettle
red doesn't appeal to me | -! red
kettles have no appeal | -! kettle
steel isn't allowed | -! steel
wool-free, please | -! wool
I'm over lanterns | -! lantern
nobody needs a saw | -! saw
enough kettles | -! kettle
the saws need to go | -! saw
blue over green | +~ blue; -~ green
I prefer lanterns to kettles | +~ lantern; -~ kettle
I'd take wool over steel | +~ wool; -~ steel
lanterns are too fragile | -~ lantern
easy on the red | -~ red
discard everything over 40 euros | -! price > 40
anything above 40 euros? pass | -! price > 40
under 30 euros and no more saws | +! price < 30; -! saw
20 euros and no more | +! price <= 20
the cheapest should be 10 euros | +! price >= 10
the most expensive may be 30 euros | +! price <= 30
30 euros at the most | +! price <= 30
not as expensive as 30 euros | +! price < 30
the upper limit is 30 euros | +! price <= 30
I have 25 euros to spend | +! price <= 25
these are so expensive, 15 euros or less | +! price <= 15
no red, and blue, if there is any | -! red; +~ blue
nix anything by Orla Finch | -! orla finch
woollen ones | +! wool
no kettel *kettle | -! kettle
no red, under 30 euros, over 10 euros | -! red; +! price < 30; +! price > 10
I never liked saws | -! saw
who wants red kettles | -! red and kettle
ditch the saws, bring lanterns | -! saw; +! lantern
the bread bin is fine, kettles | +! kettle
"""


def rows(*tables: str) -> list[tuple[str, str]]:
    lines = [line.replace('"Story ', '"Story of Number ') for table in tables for line in table.strip().splitlines()]
    return [(said.strip(), found.strip()) for said, _, found in (line.partition(" |") for line in lines)]


@pytest.mark.parametrize(("said", "found"), rows(*FILM_TABLES))
def test_over_films(said: str, found: str):
    assert read(said, FILMS) == found


@pytest.mark.parametrize(("said", "found"), rows(IN_THE_SHOP))
def test_over_a_shop(said: str, found: str):
    assert read(said, SHOP) == found
