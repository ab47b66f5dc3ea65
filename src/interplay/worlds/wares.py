"""The vocabulary of the market: what kinds of things there are, who makes them, and what they are called.

Nothing here is a real product, maker or author. `catalogue.py` draws from these tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of thing. Title and text patterns take the slots that `catalogue.py` fills."""

    label: str  # the category that people read
    share: float  # of the catalogue
    price: float  # euros, the middle of the range
    spread: float  # standard deviation of log price inside a form
    forms: dict[str, tuple[tuple[str, ...], float]]  # form -> nouns (one of them is used), price factor
    titles: tuple[str, ...]
    texts: tuple[str, ...]
    materials: tuple[str, ...] = ()
    genres: tuple[str, ...] = ()
    traits: dict[str, float] = field(default_factory=dict)  # trait -> how often
    made_of: dict[str, tuple[str, ...]] = field(default_factory=dict)  # form -> its own materials
    lasts: bool = True  # a thing that is used up may be bought again


def _w(text: str) -> tuple[str, ...]:
    """Words, or phrases parted by bars."""
    return tuple(p.strip() for p in (text.split("|") if "|" in text else text.split()) if p.strip())


MOODS = _w("calm warm dark bright fresh plain")
COLOURS = _w("red blue green yellow black white grey orange pink brown purple turquoise")
COLOURED = _w("lamp pot textile print bag toy stationery tool")  # kinds of which one asks for a colour, or a material
PAIRS = {  # what is bought together: kind -> kinds that go with it
    "book": _w("lamp tea textile"), "lamp": _w("book textile"), "tea": _w("pot book"), "pot": _w("tea seeds"),
    "textile": _w("lamp tea"), "tool": _w("seeds bag"), "game": _w("tea toy"), "print": _w("lamp stationery"),
    "bag": _w("stationery book"), "toy": _w("game textile"), "seeds": _w("tool pot"), "stationery": _w("print book"),
}  # fmt: skip
TRAITS = {  # trait -> sentences that say so
    "quiet": _w("Best enjoyed in quiet.|Makes no fuss and no noise."),
    "evening": _w("Made for slow evenings.|Good company in the evening."),
    "camp": _w("Small enough for a camping trip.|At home in a tent."),
    "plastic": _w("Parts are plastic.|Plastic, but it will last."),
    "recycled": _w("Made from recycled material.|Recycled, and shows it a little."),
    "handmade": _w("Made by hand, so no two are alike.|Handmade in small numbers."),
    "gift": _w("Comes wrapped as a gift.|An easy gift."),
    "kids": _w("Fit for children from four.|Children may use it too."),
    "travel": _w("Packs flat for travel.|Travels well."),
    "decaf": _w("No caffeine.|Without caffeine, for late hours."),
    "organic": _w("Organic.|Grown organic, without sprays."),
    "vegan": _w("Vegan.|No animal product in it; vegan."),
}  # fmt: skip

NAMES = _w(
    "Pebble Heron Moon Wren Mushroom Harbour Ripple Field Estuary Kite Otter Lichen Thistle Juniper Marsh Cinder"
    " Ember"
    " Willow Sorrel Fennel Plover Curlew Gannet Tern Osprey Badger Hare Vole Newt Moth Beetle Cricket Dune Shoal Reef"
    " Fjord Quarry Slate Flint Chalk Basalt Amber Opal Pewter Copper Tin Clover Bracken Heather Gorse Alder Hazel"
    " Rowan"
    " Aspen Larch Birch Cedar Yarrow Tansy Dusk Dawn Noon Drizzle Frost Thaw Gale Breeze Mist Squall Lagoon Delta"
    " Brook"
    " Weir Mill Ferry Pier Jetty Mast Anchor Buoy Tiller Canopy Meadow Orchard Hedge Furrow Barn Loft Gable Chimney"
    " Cellar Attic Stair Hinge Latch Thimble Bobbin Spool Anvil Bellows Kiln Lattice Trellis Arbour Grotto Terrace"
    " Plaza"
    " Alley Viaduct Tram Carousel Pavilion Bandstand Parade Lantern Comet Orbit Zenith Eclipse Tundra Steppe Mesa"
    " Canyon Glacier Moraine Tarn Fen Heath Copse Glade Thicket Burrow Warren Nest Roost Hive Cocoon Acorn Walnut"
    " Almond"
    " Quince Medlar Damson Sloe Bramble Rosehip Saffron Sesame Barley Rye Oat Millet"
)
PLURALS = tuple(
    n[:-1] + "ies" if n.endswith("y") and n[-2] not in "aeo" else n + ("es" if n.endswith(("s", "sh", "ch")) else "s")
    for n in NAMES
)
LOOKS = _w("slow small quiet pale tall wide narrow patient folded hidden borrowed early late northern southern plain"
           " crooked gentle bitter silver paper salted winter summer hollow distant second last double half"
               " loose")  # fmt: skip
QUALITIES = _w("slow small quiet pale tall wide narrow patient folded early late northern southern plain gentle"
    " little"
               " second double light sturdy simple round square long short everyday Sunday evening"
                   " winter")  # fmt: skip
FEELS = {  # mood -> words that texts use for it
    "calm": _w("calm restful soft still"), "warm": _w("warm cosy friendly homely"),
        "dark": _w("dark sombre moody gloomy"),
    "bright": _w("bright cheerful lively bold"), "fresh": _w("fresh crisp light airy"),
        "plain": _w("plain simple sober bare"),
}  # fmt: skip

# ---- books: a pool of nouns, of subjects and of sentences for every genre
ROLES = _w("a keeper|a retired surveyor|a night nurse|a piano tuner|two sisters|a ferry pilot|a young archivist"
    "|a baker"
           "|a widowed teacher|a clock mender|an apprentice|a translator|a beekeeper|the last lodger"
               "|a train conductor")  # fmt: skip
PLACES = _w("a tidal island|a mountain town|a harbour without ships|the old waterworks|a hotel out of season"
    "|a salt valley"
            "|the ninth district|a closed spa|a weather station|a canal village|the library cellar"
                "|a border village")  # fmt: skip
BOOKS = {
    "mystery": (
        _w(
            "Ledger Lighthouse Alibi Locksmith Witness Inkwell Ferryman Keyhole Cipher Parcel Timetable Lodger"
            " Signal Vault"
        ),
        _w(
            "{role} finds that the accounts of {place} do not add up."
            "|Somebody in {place} is lying, and {role} keeps the only proof."
            "|One letter goes missing in {place}; {role} knows who wrote it."
            "|A quiet mystery: {role}, a locked room and {place}."
            "|A crime in {place}, seen by {role} and by nobody else."
        ),
    ),
    "horror": (
        _w("Stairs Cellar Floor Teeth Doll Well Attic Mirror Crawlspace Lullaby Threshold Marrow Hunger Nursery"),
        _w(
            "Something comes up from below {place}, one step a night.|{role} moves to {place} and is not alone there."
            "|A horror story told by {role}, who should not be able to."
            "|What was buried under {place} has learnt to knock."
            "|Every door in {place} opens on the same dark room; {role} counts them."
        ),
    ),
    "poetry": (
        _w("Hours Moth Syllable Silence Feather Psalm Tide Window Ash Lullaby Shore Breath Halo Swallow"),
        _w(
            "Poems written between midnight and four.|Sixty short poems about {place}.|Poems for {role}, never sent."
            "|A first book of verse, plain and strange.|Sonnets, lists and one long poem from {place}."
        ),
    ),
    "nature": (
        _w("Ferns Hedgerow Moss River Otter Meadow Lichen Orchard Marsh Swifts Seasons Roots Estuary Oak"),
        _w(
            "A year of walking {place}, told by its plants.|The natural history of {place}, bird by bird."
            "|{role} learns the names of mosses, and then of everything."
            "|On rivers, hedges and the people who mend them."
            "|Notes from a garden left alone for ten years."
        ),
    ),
    "essays": (
        _w("Map Rain Margin Errand Queue Weather Waiting Pocket Footnote Bench Postcard Idleness Corridor Ordinary"),
        _w(
            "Seven essays on weather and waiting.|Essays about {place} and the art of doing little."
            "|{role} thinks aloud about work, sleep and shoes.|Short essays to be read one a day."
            "|On paying attention, with digressions."
        ),
    ),
    "cooking": (
        _w("Kitchens Ladle Stove Broth Pantry Crust Saucepan Supper Dumplings Pickles Oven Barley Larder Spoon"),
        _w(
            "Recipes from people who cook alone.|A cookbook of {place}: soups, breads and one good cake."
            "|Sixty recipes for one pot.|{role} writes down what was cooked and never measured."
            "|Vegetable recipes for every week of the year."
        ),
    ),
    "scifi": (
        _w(
            "Machines Orbit Signal Engine Archive Colony Antenna Satellite Automaton Gravity Relay Circuit Horizon"
            " Module"
        ),
        _w(
            "{role} inherits a field of thinking tools.|Science fiction: a ship, {role} and a rule that cannot be"
            " broken."
            "|In {place} the machines have begun to ask for holidays.|The last radio on the moon plays something new."
            "|A colony votes on whether to remember the Earth."
        ),
    ),
    "comedy": (
        _w(
            "Understudy Complaint Umbrella Committee Wedding Goose Trombone Minutes Landlord Picnic Sermon Mishap"
            " Tram Caravan"
        ),
        _w(
            "A complaint department answers back.|{role} takes a role among vegetables."
            "|Everything goes wrong in {place}, twice, on purpose."
            "|A funny novel about {role} and an uninvited goose."
            "|The minutes of a committee that should not exist; very funny."
        ),
    ),
    "history": (
        _w("Empire Salt Road Almanac Guild Harbour Census Treaty Loom Parish Caravan Coin Chronicle Bridge"),
        _w(
            "The history of {place}, told through nine objects.|How salt, paper and {role} changed a century."
            "|A history of ordinary work, from letters never printed.|What a census of {place} left out."
        ),
    ),
    "romance": (
        _w("Letters Summer Balcony Dance Ring Orchard Lantern Promise Violin Garden Pier Waltz Ribbon Reply"),
        _w(
            "{role} writes to the wrong address and is answered.|A love story in {place}, slow and kind."
            "|Two people share a compartment and then a year.|A romance for grown people, set in {place}."
        ),
    ),
}
BOOK_TITLES = _w("The {look} {theme}|The {name} {theme}|The {theme} of {name}|{number} {look} {theme} and a {theme}"
    "|A {look} Map of {theme}"
                 "|{theme} on the {name}|Letters to a {theme}|Below the {ordinal} {theme}|What the {theme} Kept"
                     "|The {name}'s {theme}"
                 "|{theme} and {theme}|No {theme} Before {name}|The {theme} at {name} End"
                     "|{name} in the {theme}")  # fmt: skip
NUMBERS = _w("Two Three Five Six Seven Nine Eleven Twelve Thirteen Forty")
ORDINALS = _w("Second Third Fourth Sixth Seventh Ninth Tenth Twelfth")
FIRST = _w("Ida Nell Tomas Anneke Mira Odile Bram Yusuf Lena Marek Ines Tove Rafi Hanne Goran Petra Luca Asta Emeka"
    " Sunniva"
           " Jorun Pilar Dag Wanda Noor Kees Livia Oskar Tamsin Arvo")  # fmt: skip
LAST = _w("Marrow Osei Veld Calloway Bose Ferrand Lind Hartnoll Aldous Brandt Quayle Ostrom Pell Sandoval Teague"
    " Varga"
          " Whitlow Yates Zielke Okafor Dune Eklund Faber Grieve Holm Ilves Jansma Kessel Lorne Moreau")  # fmt: skip

KINDS: dict[str, Kind] = {
    "book": Kind(
        label="Books",
        share=0.20,
        price=13.5,
        spread=0.28,
        forms={"paperback": (("paperback",), 0.85), "hardback": (("hardback",), 1.6)},
        titles=BOOK_TITLES,
        texts=(),
        genres=tuple(BOOKS),
        materials=_w("paper"),
        traits={"quiet": 0.3, "evening": 0.35, "gift": 0.1, "travel": 0.12, "kids": 0.05},
    ),
    "lamp": Kind(
        label="Lamps",
        share=0.08,
        price=42,
        spread=0.35,
        forms={
            "reading": (_w("reading lamp|desk lamp"), 0.9),
            "floor": (_w("floor lamp|standing lamp"), 2.0),
            "wall": (_w("wall lamp|wall light"), 1.1),
            "lantern": (_w("lantern|storm lantern"), 0.8),
            "clip": (_w("clip light|clip lamp"), 0.5),
            "night": (_w("night light|bedside light"), 0.6),
        },
        titles=_w("{name} {noun}|{Quality} {name} {noun}|{name} {noun}, {material}|{Noun} No. {n}, {name}"),
        texts=_w(
            "{Material} and a warm 2700 K bulb; a {noun} that stays cool."
            "|Throws a {feel} light from a {colour} shade in {material}."
            "|A {noun} in {material}, dimmed with one finger."
            "|Its {colour} shade leans over a chair and keeps out of the way."
            "|{Material} stem, {colour} cord, a switch that can be found in the dark."
        ),
        materials=_w("glass|brass|ash wood|tin|linen|paper|steel|opal glass|plastic"),
        traits={"evening": 0.5, "camp": 0.1, "plastic": 0.1, "recycled": 0.12, "handmade": 0.15, "gift": 0.1},
    ),
    "tea": Kind(
        label="Teas",
        share=0.10,
        price=8.2,
        spread=0.3,
        lasts=False,
        forms={"tin": (("tin",), 1.35), "packet": (("packet",), 0.85), "cup": (_w("sampler|box of bags"), 0.95)},
        titles=_w(
            "{Look} {name}|{name} {tea}|{name} & {taste}|{Taste} {name}|{Taste} {tea}|{Look} {taste} {tea}"
            "|{name} {taste} {tea}"
        ),
        texts=_w(
            "{Tea} from a high terrace, {taste} and mild.|{Tea} with {taste}, {feel} in the cup."
            "|{Tea}, {taste} first, {taste2} last."
            "|A {feel} {tea} that likes {taste} and time.|{Tea} cut small, with {taste} and a little {taste2}."
        ),
        genres=_w("green black white herbal roasted spiced"),
        materials=_w("leaf"),
        traits={"quiet": 0.25, "evening": 0.3, "organic": 0.35, "gift": 0.12, "camp": 0.05, "travel": 0.06},
    ),
    "tool": Kind(
        label="Tools",
        share=0.07,
        price=24,
        spread=0.4,
        forms={
            "plane": (_w("block plane|smoothing plane"), 1.8),
            "shears": (_w("shears|snips"), 1.2),
            "rule": (_w("folding rule|try square"), 0.6),
            "knife": (_w("knife|garden knife"), 1.1),
            "awl": (_w("awl|marking awl"), 0.5),
            "gauge": (_w("marking gauge|cutting gauge"), 0.9),
            "hammer": (_w("hammer|mallet"), 1.0),
            "brush": (_w("brush|bench brush"), 0.4),
        },
        titles=_w(
            "{name} {noun}|{Material} {noun}, {size}|{name} {noun}, {material}|{Quality} {noun} No. {n}"
            "|{name} {noun}, {size}"
        ),
        texts=_w(
            "A {noun} in {material} that fits an apron pocket."
            "|Cuts, marks and comes back for more; {material}, {size}."
            "|{Material} handle, ground by hand, holds an edge."
            "|For leather, for card, for stubborn lids. {Size}."
            "|A {feel} {noun} for the bench or the garden."
        ),
        materials=_w("boxwood|brass|carbon steel|beech|ash wood|walnut|plastic"),
        made_of={"rule": _w("boxwood|brass"), "shears": _w("carbon steel|steel")},
        traits={"camp": 0.2, "handmade": 0.2, "gift": 0.08, "travel": 0.1, "recycled": 0.05, "plastic": 0.06},
    ),
    "pot": Kind(
        label="Pots",
        share=0.09,
        price=25,
        spread=0.35,
        forms={
            "bowl": (_w("bowl|wide bowl"), 0.9),
            "vase": (_w("vase|bud vase"), 1.0),
            "teapot": (_w("teapot|side-handle pot"), 1.6),
            "planter": (_w("planter|planter with a foot"), 1.0),
            "dish": (_w("butter dish|lidded dish"), 0.9),
            "mug": (_w("mug|tall mug"), 0.6),
            "jug": (_w("jug|milk jug"), 0.9),
        },
        titles=_w("{name} {noun}|{Quality} {noun}, {glaze}|{name} {noun}, {glaze}|{Noun}, {glaze} {colour}"),
        texts=_w(
            "For soup, or for keys; {glaze} {material}.|{Material} with a {glaze} {colour} glaze."
            "|Thrown in {material}, {glaze} inside and bare outside."
            "|A {noun} that pours and holds without a drip."
            "|Room for two of whatever you like, and no more. {Material}."
        ),
        materials=_w("stoneware|porcelain|red clay|earthenware"),
        traits={"handmade": 0.45, "evening": 0.15, "gift": 0.2, "recycled": 0.03, "quiet": 0.1},
    ),
    "textile": Kind(
        label="Textiles",
        share=0.08,
        price=42,
        spread=0.35,
        forms={
            "check": (_w("check throw|check scarf|check blanket"), 1.0),
            "ripple": (_w("ripple quilt|ripple cushion"), 1.2),
            "stripe": (_w("stripe blanket|stripe towel|stripe runner"), 0.9),
            "diamond": (_w("lap rug|diamond rug|diamond cushion"), 1.0),
        },
        titles=_w("{name} {noun}|{name} {noun}, {colour}|{Quality} {noun}, {material}|{Quality} {name} {noun}"),
        texts=_w(
            "{Material}, washed soft.|{Material}, stitched by the metre, mostly {colour}."
            "|Picnic weight, {material} and a {colour} edge."
            "|A {feel} {noun} for one lap or two small ones.|Woven in {material}; the {colour} keeps."
        ),
        materials=_w("lambswool|cotton|linen|hemp|merino wool|polyester"),
        traits={
            "evening": 0.4,
            "camp": 0.15,
            "recycled": 0.12,
            "handmade": 0.2,
            "gift": 0.12,
            "vegan": 0.1,
            "kids": 0.08,
        },
    ),
    "game": Kind(
        label="Games",
        share=0.08,
        price=21,
        spread=0.35,
        forms={"small": (_w("small box"), 0.75), "big": (_w("big box"), 1.5)},
        titles=_w(
            "{name} & {name2}|{number} {names}|{name} Puzzle|{Look} {name}|The {name} Game"
            "|{number} {look} {names}|{name} or {name2}"
        ),
        texts=_w(
            "Row goods across a {thing} you cannot see. {Play}.|{Play}; whoever opens last, wins."
            "|A hundred small parts and two ways to finish. {Play}."
            "|Trade, bluff and a very small {thing}. {Play}.|{Play}: easy rules, hard choices, half an hour."
        ),
        genres=_w("cards board puzzle dice words"),
        materials=_w("card|beech|paper|plastic"),
        traits={"evening": 0.4, "kids": 0.35, "travel": 0.2, "quiet": 0.15, "gift": 0.2, "plastic": 0.1, "camp": 0.12},
    ),
    "print": Kind(
        label="Prints",
        share=0.08,
        price=27,
        spread=0.3,
        forms={
            "estuary": (("screen print",), 1.0),
            "bus": (("lithograph",), 1.15),
            "kite": (("woodcut",), 0.95),
            "study": (("etching",), 1.1),
        },
        titles=_w(
            "{name}, {count} inks|{Look} {name}|{name} Study|{name} with {name2}"
            "|{name}, {colour} and {colour2}|{number} {names}"
        ),
        texts=_w(
            "{Noun}, 30 by 40 cm, in {colour} and {colour2}.|{Noun} on heavy paper, {count} inks, signed."
            "|A {feel} {noun} of {subject}, 50 by 70 cm."
            "|{Subject} at first light; {noun} in an edition of ninety."
        ),
        genres=_w("landscape city botanical abstract"),
        materials=_w("cotton paper|rag paper"),
        traits={"gift": 0.2, "handmade": 0.25, "quiet": 0.2, "recycled": 0.1},
    ),
    "bag": Kind(
        label="Bags",
        share=0.06,
        price=48,
        spread=0.4,
        forms={
            "tote": (_w("tote|market tote"), 0.6),
            "satchel": (_w("satchel|shoulder bag"), 1.4),
            "rucksack": (_w("rucksack|day pack"), 1.5),
            "pouch": (_w("pouch|pencil roll"), 0.4),
        },
        titles=_w("{name} {noun}|{Quality} {noun}, {material}|{name} {noun}, {colour}|{Colour} {name} {noun}"),
        texts=_w(
            "{Material}, one big pocket and one you will forget."
            "|A {colour} {noun} in {material} with a strap that can be mended."
            "|Holds a notebook, a bottle and a coat. {Material}.|{Material} outside, {colour} lining inside."
        ),
        materials=_w("waxed canvas|cotton|leather|hemp|felt|nylon"),
        traits={"travel": 0.45, "camp": 0.25, "recycled": 0.2, "handmade": 0.15, "vegan": 0.2, "plastic": 0.08},
    ),
    "toy": Kind(
        label="Toys",
        share=0.06,
        price=19,
        spread=0.35,
        forms={
            "blocks": (_w("blocks|stacking blocks"), 1.2),
            "animal": (_w("push-along animal|wooden animal"), 0.9),
            "top": (_w("spinning top|top"), 0.5),
            "train": (_w("train|little train"), 1.3),
            "flyer": (_w("kite|paper flyer"), 0.8),
        },
        titles=_w("{name} {noun}|{Quality} {name} {noun}|{name} {noun}, {material}|{Colour} {noun} {name}"),
        texts=_w(
            "{Material}, painted {colour}, round at every corner."
            "|A {noun} in {material} that asks for a story.|Rolls, tips over and starts again; {material}."
            "|A {feel} {noun} for small hands. {Material} and {colour}."
        ),
        materials=_w("beech|maple|felt|plastic"),
        made_of={"flyer": _w("card|cotton|nylon"), "train": _w("beech|maple|tin|plastic")},
        traits={"kids": 0.85, "gift": 0.3, "handmade": 0.2, "plastic": 0.15, "recycled": 0.1, "travel": 0.1},
    ),
    "seeds": Kind(
        label="Seeds",
        share=0.05,
        price=3.9,
        spread=0.25,
        lasts=False,
        forms={"packet": (("packet",), 1.0), "bulb": (_w("bulbs|bag of bulbs"), 1.8)},
        titles=_w("{name} {plant}|{Quality} {plant}|{Colour} {plant}|{Quality} {name} {plant}|{Colour} {name} {plant}"),
        texts=_w(
            "{Plant}: sow from March, thin once, wait.|A {colour} {plant} that stands wind and shade."
            "|{Plant} for pots and balconies; up in ten days."
            "|An old {plant}, {feel} and hardy."
        ),
        genres=_w("flowers herbs vegetables grasses"),
        materials=_w("seed"),
        traits={"organic": 0.5, "gift": 0.12, "kids": 0.12},
    ),
    "stationery": Kind(
        label="Stationery",
        share=0.05,
        price=11,
        spread=0.4,
        lasts=False,
        forms={
            "notebook": (_w("notebook|sketchbook"), 1.1),
            "pen": (_w("pen|fountain pen"), 1.9),
            "ink": (_w("ink|bottle of ink"), 0.9),
            "cards": (_w("cards|letter set"), 0.8),
            "pencils": (_w("pencils|set of pencils"), 0.7),
        },
        titles=_w("{name} {noun}|{Quality} {noun}, {colour}|{name} {noun}, {colour}|{Colour} {name} {noun}"),
        texts=_w(
            "{Noun} in {colour}, for lists and letters. {Material}."
            "|{Material} and {colour}; {feel} to look at, easy to use."
            "|For people who still write: {noun} in {colour}."
            "|{Noun}, {feel} and {colour}, with a case of {material}."
        ),
        materials=_w("paper|cloth|card"),
        made_of={"pen": _w("brass|cedar|steel"), "ink": _w("glass"), "pencils": _w("cedar|lime wood")},
        traits={"recycled": 0.25, "travel": 0.2, "gift": 0.25, "quiet": 0.15, "kids": 0.1, "vegan": 0.08},
    ),
}

MAKERS: dict[str, tuple[str, ...]] = {
    "lamp": _w("Norr Works|Atelier Sund|Kiln & Wire|Bright Side|Lumen & Daughter|Glasbruk Nine|Halden Light|Paper Sun"),
    "tea": _w("Fold & Steep|Aunt Bee|Terrace Seven|Leaf & Ledger|Kettle Row|Samovar Street|Tin Pagoda|North Leaf"),
    "tool": _w("Hollis Edge|Kiln & Wire|Bench & Burr|Tarn Forge|Oakapple Tools|Plumb Brothers|Sheaf Steel"),
    "pot": _w(
        "Atelier Sund|Fold & Steep|Kiln & Wire|Clayfoot|Mudlark Pottery|Ash Glaze Co-op|Round Table Pots|Slipway"
    ),
    "textile": _w("Mill Lane|Weft House|Halden Wool|Selvedge|Two Shuttles|Loom & Lamb|Bright Side"),
    "game": _w("Two Tables|Third Die|Rainy Day Press|Pawn & Parlour|Fox in Box|Meeple Orchard|Long Sunday"),
    "print": _w("Sund Press|Inkfish Editions|Gate Street Prints|Third Plate|Paper Sun|Dry Point Union|Night Printer"),
    "bag": _w("Waxwing|Strap & Sons|Mill Lane|Overland Felt|Buckle Yard|Rove"),
    "toy": _w("Fox in Box|Little Lathe|Bright Side|Tumble & Co|Nursery Nine|Round Corner"),
    "seeds": _w("Hedge & Row|Old Orchard Seeds|Aunt Bee|Thimble Garden|Plot Forty|Green Ledger"),
    "stationery": _w("Sund Press|Leaf & Ledger|Nib Street|Blotter & Bee|Plain Paper Union|Inkfish Editions"),
}

# ---- words that fill the slots of one kind
TEA_NOUNS = {
    "green": "green tea",
    "black": "black tea",
    "white": "white tea",
    "herbal": "herbal tea",
    "roasted": "roasted barley tea",
    "spiced": "chai",
}
TEA_TASTES = {
    "green": _w("grass jasmine seaweed melon pear"), "black": _w("malt smoke orange pine cocoa"),
        "white": _w("honey peach snow apricot hay"),
    "herbal": _w("mint lemon fennel rosehip camomile"), "roasted": _w("barley chestnut rye plum caramel"),
        "spiced": _w("cardamom pepper ginger clove cinnamon"),
}  # fmt: skip
PLANTS = {
    "flowers": _w("cornflower|sweet pea|poppy|foxglove|marigold|larkspur|zinnia"),
        "herbs": _w("basil|dill|thyme|coriander|lovage|mint"),
    "vegetables": _w("kale|radish|runner bean|tomato|beetroot|pumpkin|leek"),
        "grasses": _w("quaking grass|feather grass|oat grass|barley grass"),
}  # fmt: skip
SUBJECTS = {
    "landscape": _w("an estuary|hills after rain|a frozen lake|dunes"),
        "city": _w("a night bus|roofs and chimneys|a tram stop|a market square"),
    "botanical": _w("a fern|three seed heads|a quince branch|wild garlic"),
        "abstract": _w("two circles|a broken grid|a slow curve|overlapping squares"),
}  # fmt: skip
PLAYS = {
    "cards": "A card game for two to five", "board": "A board game for two to four",
        "puzzle": "A jigsaw puzzle for one or many", "dice": "A dice game for three and more",
    "words": "A word game for everybody who can spell",
}  # fmt: skip
GLAZES = _w("speckled matt glossy crackled striped dipped ribbed")
SIZES = _w("8 cm|12 cm|15 cm|20 cm|25 cm|30 cm|pocket size")
