"""English around the catalogue's own words: what makes a wish a no, a must or a leaning, and what takes one back.

Patterns over plain lower-case text. A cue acts on what it stands before, or, where nothing follows, on what it stands
behind. The longest cue wins, so "no more than" is an amount before it is a no, and "can't get enough of" is no no.
"""

from __future__ import annotations

import re

_NOT = r"(?:do|does|did|would|should|could|will|can|is|are|was|were|has|have|had|must|need)(?: not|nt)|\w+n't|cannot|wont|not"
_BE = r"(?:is|are|was|were|'s|'re|looks?|looked|seems?|seemed|sounds?|sounded|feels?|felt)"
_HOW = r"(?:(?:so|very|really|pretty|quite|just|also|always|such|a|an|totally) )*"
_GOOD = r"(?:great|perfect|good|fun|funny|hilarious|lovely|nice|awesome|amazing|excellent|brilliant|wonderful|fantastic|the best|my favou?rites?|one of my favou?rites?)"
_BAD = r"(?:awful|terrible|horrible|boring|bad|dull|stupid|disappointing|the worst|worst|lame|weird|annoying|silly|cheesy|corny|overrated|confusing|gross|ridiculous|disturbing|depressing|mediocre|meh|crap|trash|garbage|rubbish|overdone|ugly|useless|pointless|dated|outdated|old-fashioned|ancient|stale|prehistoric|tedious|dreadful|unbearable|unwatchable|unwanted)"
_FLOP = r"(?:let-?down|disappointment|snooze(?:fest)?|bore|dud|flop|mess|waste(?: of \w+)?|stinker|drag|chore|disaster|bust|failure)"
_SORT = r"(?:genres?|kinds?|sorts?|types?|styles?|colou?rs?|shades?|categor(?:y|ies)|brands?|makers?|materials?|moods?|films?|movies?|books?|songs?|games?|things?|items?|products?|ones?|options?|topics?)"
_THAN = r"(?! (?:shorter|longer|cheaper|dearer|newer|older|better|lighter|smaller|bigger|more|less|fewer|please|under|over|before|after|from|only)\b)"
_SEE = r"(?: (?:see|watch|have|get|buy|try|be shown|look at))?"

# kind -> patterns. `no`, `rather not`: unwanted, hard and soft. `must`, `want`, `rather`: wanted; `want` is as hard as
# what it speaks of can be checked. `fine` takes a no back. `seen` and `skip` say nothing about wishes.
CUES: dict[str, tuple[str, ...]] = {
    "amount": (r"no (?:more|less|fewer|later|earlier|longer|shorter|older|newer|cheaper|dearer) than",
               r"not (?:more|less|fewer|later|earlier|longer|shorter) than", r"(?:not|never) (?:over|above|under|below)"),
    "must": (
        r"only(?: want| show| give| need| look(?:ing)? (?:at|for)| see| interested in)?(?: me)?", r"just(?: (?:show|give)(?: me)?)?",
        r"nothing (?:but|except|other than|else (?:but|than))", r"(?:must|has to|have to|need to|needs to|got to|should all|all) be",
        r"strictly", r"exclusively", r"solely", r"purely", r"(?:limit|restrict|narrow|filter)(?: it| this| them| that| everything| the \w+)?(?: down)?(?: to)?",
        r"(?:stick|keep) (?:to|with)", r"(?:make|be) sure (?:it|they)(?:'s|'re| is| are)?",
        r"unless (?:(?:it|they|that)(?:'s|'re| is| are| was| were)?)?", r"i insist on", r"definitely(?! (?:not|no))", r"absolutely(?! (?:not|no))",
    ),
    "must after": (  # only said of what stands before it
        r"(?:and |but |or )?nothing (?:more|else)(?=\W*$|\s*[.,;!?])", r"and (?:that's|that is) (?:it|all)", r"(?:and |or )no others?(?=\W*$|\s*[.,;!?])",
    ),
    "no": (
        r"no(?: more| longer| other| further)(?! than)", r"no(?! (?:i|i'm|i've|i'd|we|it|it's|that|that's|this|they|you|he|she|not|but|thanks?|problem|worries|need|idea|one|way|because|sorry|really|never|yes|matter)\b)(?=\s+[^\s,.;!?])", r"none(?: of)?(?: the| these| those| them)?", r"nothing", r"never(?: again)?", r"without(?: any| the)?", r"nor", r"neither",
        rf"(?:{_NOT})(?: (?:really|ever|actually|even|particularly|(?:want|need|wish|care|have|expect|plan)(?: to){_SEE}|want|need|like|love|enjoy|care for|show(?: me)?|give(?: me)?|include|recommend|suggest|bring|be|any|(?:big |much |really )?into|a (?:big |huge |real )?fan of|in (?:a|the) mood for|interested in|looking for|keen on|fond of|up for|going to|gonna|feel like|do|think i(?:'d| would)? (?:want|like)|get into|crazy about))*(?: (?:any|any more|anymore|another|more))?",
        r"(?:can't|cannot|can not|couldn't) (?:stand|bear|take|abide|deal with|handle)", r"hat(?:e|es|ed)", r"dislik(?:e|es|ed)", r"loathe?", r"detest", r"despise",
        r"avoid(?:ing)?", r"exclud(?:e|ing)", r"remov(?:e|ing)", r"hid(?:e|ing)", r"skip(?:ping)?", r"cut(?! out)", r"i never (?:ever |really )?(?:watch|read|buy|eat|play|take|listen to|go for)", r"ban(?: all)?", r"block", r"omit", r"eliminate", r"delete",
        r"(?:stop|quit) (?:showing|giving|recommending|suggesting|offering|with)?(?: me)?", r"leav(?:e|ing) out", r"(?:cut|take|throw|filter|sort|weed|kick|rule) out", r"get(?:ting)? rid of", r"out with", r"down with",
        r"(?:enough|done|finished|through) (?:with|of)", r"(?:sick|fed up)(?: and tired)?(?: of| with)?",
        rf"(?:any|all|every|each|whatever|whichever) (?:other )?{_SORT},? (?:(?:but|save)(?: not| no| for)?{_THAN}|except(?: for)?|excepting|apart from|aside from|other than|besides|bar(?:ring)?)", r"(?:anything|everything|everybody|whatever|all)(?:,)? (?:bar|save(?: for)?|aside from|only not)",
        r"(?:anything|everything|everybody|whatever|all)(?:,)? (?:but(?: not| no| never)?|except(?: for)?|apart from|other than|besides|not|that (?:is|are)(?:n't| not)|that's not|which (?:is|are)(?:n't| not))", r"except(?: for)?", r"excepting", r"(?:with )?(?:the )?(?:sole |only |single |one )?exceptions? (?:of|is|are|being)", r"apart from", r"aside from", r"barring", r"save for", r"outside of", r"averse to", r"other than", r"besides", r"minus", r"free of", r"zero",
        r"(?:stay|keep|move) away from", r"far from", r"ditch", r"scrap", r"veto", r"forbid", r"drop(?:ping)?", r"lose(?: all)?(?: the)?", r"strike(?: out)?", r"cross (?:out|off)", r"hold the", r"sans", r"devoid of", r"(?:spare|save) (?:me|us)(?: from)?", r"steer (?:well )?clear of", r"keep (?:me )?(?:well )?clear of", r"no (?:room|place|use) for", r"not (?:a single|one single|one|a bit of)", r"allergic to", r"weary of", r"away with", r"(?:had|seen|got)(?: quite| more than)? enough(?: of)?", r"(?:can|could) (?:do|live|manage) without", r"forget (?:about )?(?:anything|everything|all|any)(?= (?:\w+ )?(?:older|newer|before|after|over|under|above|below|with|that|by|cheaper|longer|shorter|more|less|made)\b)", r"no (?:interest|need|desire|time|patience) (?:for|in|of)",
        r"(?:instead|in place) of", r"rather than", r"as opposed to", r"more than enough", r"take away", r"(?:keep|leave|take|throw|cut|filter|sort|weed|kick|rule|put) (?:(?=[^,.;]* (?:off|out|away|aside)\b))", r"refuse", r"(?:it )?(?:isn't|ain't)(?: a| an)?", r"i(?:'d| would) (?:rather|sooner) (?:skip|avoid|not see|pass on)", r"pass on", r"turned off by", r"put off by", r"bored (?:of|by|with)",
        r"(?:ignor|eras|discard|reject|dismiss|purg|prun|banish|nix)(?:e|ing)?", r"(?:(?<![\w'] )|(?<=please )|(?<=just )|(?<=you )|(?<=but )|(?<=and )|(?<=then ))(?:dump|trash|bin)(?= \w)", r"(?:clear|rinse|sweep|edit|screen) out", r"lay off",
        rf"(?:the )?(?:very )?last things? (?:that )?(?:i|we)(?:'d| would|'m| am)? (?:want|need|fancy|feel like|looking for)(?: to{_SEE})?(?: right now| today| tonight)?(?: is| are|'s)",
        r"(?:can|could|did|do|does|have|has)(?:n't| not| never|n't ever)(?: (?:really|quite|ever|just))* (?:get into|got into|gotten into|warm(?:ed)? to|connect(?:ed)? with|relate to|see the (?:appeal|point) (?:of|in)|sit through|get through|got on with|get on with|finish(?:ed)?)(?: the)?", r"never (?:(?:really|quite|much|ever) )*(?:got|get|gotten|been|was|were) (?:(?:really|much|very|so) )?(?:in)?to(?: the)?(?! see| watch| try)", r"never (?:(?:really|quite|much) )*(?:liked?|cared? for|enjoyed|loved|understood|rated)",
        r"i(?:'m| am)(?: so| totally| completely| all)? over(?= [^\W\d])", r"(?:i(?:'ve| have) )?had it with", r"i(?:'m| am) (?:totally |dead set |strongly )?against", r"(?:nobody|no one|no-one|who)(?: (?:here|really|even|actually))* (?:likes|wants|needs|enjoys|asked for|cares (?:for|about)|watches|buys)", r"(?:(?<!\w )|(?<=but )|(?<=and ))(?:i(?:'ve| have) had |that's |okay |ok )?enough(?: already)?(?: (?:of|with))?(?: the| this| that| these| those| all the)?",
        r"walked out (?:of|on)", r"fell asleep (?:during|in|watching)", r"gave up (?:on|watching|reading)", r"regret(?:ted)?(?: (?:watching|buying|reading|trying|seeing))?", r"(?:was |were |am |i'm |been )?(?:disappointed|let down|underwhelmed|unimpressed) (?:by|with)",
    ),
    "yuck": (r"ugh+", r"yuck(?:y)?", r"e+ww*", r"ble(?:ch|h|rgh)", r"boo+", r"yikes", r"oh no(?: not)?", r"not again"),
    "no after": (  # only said of what stands before it
        r"(?:must|has to|have to|can|could|may|should|ought to) (?:go(?! (?:for|with))|leave|disappear|stay (?:away|out|at home)|get lost|be (?:left out|skipped|dropped|removed|hidden|cut|gone))", r"(?:do|does)(?:n't| not|nt) belong(?: (?:here|there))?", r"(?:have|has|had) no (?:place|business)(?: (?:here|there|on \w+ \w+))?", r"need(?:n't| not) (?:come|apply|show up)", r"(?<=\d )out(?=\W*$|\W*[,;!?.]| and\b| but\b)", r"bores? (?:me|us)", r"be ?gone", r"(?:(?:has|have|had|needs?|got|ought)(?: got)? to|must) (?:go(?! (?:for|with))|leave|disappear)", r"(?<![\w'] )(?:please )?(?:no|nope|nah|pass)(?: no)*(?:,? (?:please|thanks|thank you|way|chance|sir|ma'am))?(?=\W*$|\s*[.!,;]| but\b)", r"(?<=\w )(?:please no|hell no|thumbs down|hard no)",
        r"(?:all |both )?(?:excluded|omitted|exempt(?:ed)?|barred|skipped|not included|off the table)", r"aside(?=\W*$|[.!,;])",
        r"(?:(?:really|just|simply|all) )*(?:sucks?|stinks?|suck(?:ed)?|reeks?)", r"(?:has|have|had|holds?|held)(?: (?:absolutely|just))? (?:no|little|zero)(?: (?:real|great))? (?:appeal|interest|charm|attraction)(?: (?:for|to) (?:me|us))?", r"(?:put|puts|putting|sends?|sent) (?:me|us|everyone|him|her)(?: (?:right|straight))? to sleep", r"(?:makes?|made) (?:me|us) (?:yawn|sleepy|sick|cringe|angry|sad|uncomfortable|nauseous)",
        rf"(?:{_NOT})(?: (?:really|much|ever|exactly|particularly))* (?:appeal|interest|excite|grab|thrill|attract|tempt|speak|convince)(?:ed|ing)?(?: to)?(?: (?:me|us))?(?: at all| much)?", r"(?:is|are)(?:n't| not) (?:allowed|permitted|wanted|acceptable|an option|needed|required|okay|ok)", rf"(?:is|was|are|were|'s)(?: (?:such|just|really|quite|kind of|a bit of))? (?:an? )?(?:\w+ )?{_FLOP}", r"(?:is|are|'s|'re) (?:not an option|a pain|unwelcome here)",
        r"(?:is|are|'s|'re) (?:off limits|a (?:turn-?off|deal ?breaker|no-no)|the last things? i(?:'d)? (?:want|need|fancy)|not welcome|unwelcome|history)", r"(?:is|are)(?:n't| not) welcome", rf"{_BE} {_HOW}{_BAD}", rf"(?:{_NOT})(?: (?:look|looks|sound|seem|feel|be|all|that|very|really|too|so|a|the|quite))* (?!bad){_GOOD}", r"(?:gets?|got|getting) on my nerves", r"made no sense", r"(?:do|did)(?:n't| not|nt) (?:do it|work) for me", r"not worth \w+", r"(?:just )?meh(?: on)?", r"hard pass", r"i'll pass", r"(?:is|are|'s|'re) (?:out|off|banned|excluded|forbidden|a no(?:-go| go)?|not (?:for me|my (?:thing|style|taste|cup of tea)))", r"no thank(?:s| you)", r"bore(?:s)? me(?: (?:stiff|silly|senseless|now))?", r"(?:scare|annoy|disgust|upset|depress)(?:s)? me", r"leave(?:s)? me cold", r"(?:gives?|giving) me (?:nightmares|a headache|the creeps)", r"off (?:the|my|this) (?:page|list|feed|screen)", r"not for me", r"not my (?:thing|style|taste|cup of tea)", r"not please",
    ),
    "rather not": (
        r"(?:better|funnier|more fun) than(?: the)?", r"least favou?rites?(?: \w+)?(?: is| are|'s)?",
        r"less(?: of)?(?: the)?", r"fewer(?: of)?(?: the)?", r"not (?:quite )?(?:so|as|too|that|very|overly)(?: (?:much|many))?(?: of)?(?: the)?", r"(?:isn't|aren't|n't) (?:too|so|very|that)", r"(?:would |'d )?(?:rather|prefer(?:ably)?)(?: to)? (?:not|avoid)(?: see| have| watch)?", r"tired of", r"(?:way |much |a bit |a little |slightly |far )?too (?:many|much)(?: of)?(?: the)?", r"(?:a bit |a little |slightly |way |far )?too(?= \w)", rf"(?:{_BE} |maybe )(?:a )?(?:litt?le|bit|tad|touch)(?: bit)?(?: too)?", r"a (?:litt?le|bit) too", r"(?:go |take it )?easy on(?: the)?", r"cool it (?:with|on)(?: the)?", r"eas(?:e|ing) (?:off|up)(?: on)?(?: the)?", r"(?:tone|dial) (?:down|back)(?: on)?(?: the)?", r"cut (?:down|back) on(?: the)?", r"hold back on(?: the)?", rf"{_BE} {_HOW}(?:kind|sort)(?:a| of)(?! (?:a|an|the|like|{_GOOD})\b)", r"(?<![\w'] )(?:kind|sort)(?:a| of)(?= \w)(?! (?:a|an|the|like)\b)", r"(?<![\w'] )a (?:bit|tad|touch|litt?le(?: bit)?)(?= \w)(?! (?:of|more|less|fewer|later|earlier|\w+er|\w+ier)\b)", r"seldom", r"rarely", r"hardly any", r"not (?:a )?(?:big |huge )?fans? of", r"not (?:crazy|mad|wild) about", r"if possible (?:no|not)",
    ),
    "rather not after": (
        r"(?:a bit |a little |slightly |way |far |much )?too (?:often|much|many)", r"(?:is|are|'s|'re) (?:getting|becoming)(?: a bit| a little)? (?:old|boring|tiresome|too much)", r"(?:gets|get) (?:old|boring)", r"(?:was|is|were|are) (?:just|only|merely) (?:ok(?:ay)?|alright|all right|fine|average|so-so|meh)", r"again and again", r"all the time",
    ),
    "rather": (
        r"(?:there )?(?:is|are)(?:n't| not) (?:nearly |quite )?enough(?: of)?", r"not (?:nearly |quite )?enough(?: of)?", r"why (?:is|are) there (?:no|so (?:few|little))", r"(?:not|n't) (?:against|opposed to|averse to)",
        r"not (?:quite )?(?:as|so) \w+ as(?: i (?:like|love|enjoy)d?)?", r"as (?:good|funny|great|much) as(?: i (?:like|love|enjoy)d?)?",
        r"(?:a (?:bit|little|few|lot) )?(?:some )?more(?: of)?(?: the| those| these)?", r"rather", r"prefer(?:ably|ring|red)?", r"maybe", r"perhaps", r"possibly", r"ideally", r"if (?:possible|you can|there (?:is|are) any)", r"would be (?:nice|great|good|lovely|fine|cool|ideal)", r"mood for", r"feel(?:ing)? like", r"(?:i )?(?:really )?(?:(?:love|like|adore)d?|enjoy(?:ed)?)", r"(?:a )?(?:big |huge )?fans? of", r"keen on", r"fond of", r"into", r"(?:i'm )?hoping for", r"wouldn't mind", r"(?:would|could) (?:go for|do with)", r"(?:can't|cannot|never) get enough(?: of)?", r"what i like(?: is| are)?", r"favou?rites?(?: are| is)?", r"(?:some|any) (?:kind|sort) of", r"a touch of", r"(?:is |are |'s )?about", r"involv(?:ing|es?)", r"featur(?:ing|es?)", r"contain(?:ing|s)?", r"starring", r"there(?:'s| is| are)", r"mention(?:ing|s)?", r"curious about", r"interested in",
    ),
    "want": (
        r"(?:i |we |i'd |we'd |i'll |i'm |would |really )*(?:want(?:ed|ing)?(?: to)?(?: see| watch| have| get| buy| try)?|need(?: to)?(?: see| have| get)?|looking for|searching for|look(?:ing)? (?:at|for)|after|fancy|wish for|would like(?: to)?(?: see| watch| have)?|'d like(?: to)?(?: see| watch| have)?|take)", r"show(?: me| us)?", r"give(?: me| us)?", r"find(?: me| us)?", r"get me", r"bring(?: me| us)?(?: on| back)?", r"see(?: some| any)?", r"how about", r"what about", r"let'?s (?:see|have|try|do|go (?:for|with))(?: a look at)?", r"(?:do you |have you |you )?(?:have|got)(?: any| some)", r"any(?= (?:good |nice |other )?\w+\??$)", r"recommend(?: me| us)?", r"suggest(?: me| us)?", r"why not", r"search(?: for)?", r"make (?:it|that|this|them)", r"(?:it |they )?should be", r"could (?:it|you) be", r"go(?:ing)? (?:for|with)", r"please(?= \w)", r"with", r"including", r"include", r"start with", r"try", r"(?:is|are) what i(?:'m| am)? (?:after|want|need|looking for)", rf"{_BE} {_HOW}{_GOOD}",
    ),
    "fine": (
        r"(?:is|are|'s|'re) (?:fine|ok|okay|alright|allowed|welcome|good)(?: again| now| after all| too)?", r"(?:fine|ok|okay|alright|allowed|welcome) again", r"(?:i )?(?:don't|do not|dont|no longer) mind", r"(?:can|may|could) (?:come back|show (?:me )?(?=[^,.;]* again)|have (?=[^,.;]* again))", r"bring back", r"no problem with", r"nothing (?:wrong with|against)", r"after all", r"allow", r"unhide", r"unblock",
    ),
    "forget": (
        r"forget(?: about)?(?: the| my| that| what i said about)?", r"never ?mind(?: about)?(?: the| my| that)?", r"take back(?: the| my)?", r"cancel(?: the| my| that)?", r"scratch(?: the| my| that)?", r"ignore (?:the|my)", r"drop (?:the|my) (?=[^,.;]*(?:thing|wish|rule|limit|idea|bit|part|filter))", r"remove (?:the|my) (?=[^,.;]*(?:thing|wish|rule|limit|filter))", r"no longer (?:need|want|care (?:about|for))", r"lift (?:the|my)", r"let go of(?: the| my)?", r"i (?:don't|do not) care about(?: the)?",
    ),
    "observe": (
        r"(?:these|those|they|this|that|all (?:of )?(?:these|those|them)|most of (?:these|those|them))(?: are|'re| is|'s)(?: all| mostly| just| only)?", r"why(?! not)(?: (?:do|are|is|am|does|always|so|all|there|i|you|these|they|the|many|much|keep|get|getting|seeing|see|show|showing|me))*", r"i (?:keep|kept) (?:getting|seeing)", r"i see", ),
    "seen": (
        r"i (?:already )?(?:have|own|had)(?! in mind)", r"(?:i(?:'ve| have)? )?(?:already |just |recently |also |actually |both )*(?:seen|saw|watched|read|bought|tried)(?: the)?",
        r"(?:(?:have|has|had|did)(?:n't| not|nt)|never|not)(?: (?:actually|ever|even|yet|really|also))* (?:seen|see|heard(?: of)?|watched|watch|saw|had a chance|got a chance|familiar with)(?: the)?", r"(?:previews?|trailers?) (?:for|of)",
        r"never (?:got|get)(?: around)?(?: to)?", rf"(?:{_NOT})(?: (?:really|even|actually|yet))* (?:know|realize|realise|remember|recall|matter|sure|think of|mean|worry|work)(?: (?:if|that|about|of|whether))?", r"no (?:idea|clue|worries)",
    ),
    "like": (
        r"(?<=but )not (?:really|exactly|quite|at all) like",
        r"(?:something |anything |things? |stuff |others? |one |ones |movies? )?(?:more |much |just |exactly |a lot |quite )?(?:like|similar to|resembling|akin to|comparable to|reminiscent of|in the (?:style|spirit|vein|manner) of|close(?:r|st)? to|near(?:er)?(?: to)?|same as)", r"(?:comes?|coming) (?:near|close)", r"(?:is|was|'s) (?:close|almost|nearly|nice|the right (?:direction|sort|kind|idea))", r"reminds? me of", r"stay(?:ing)? (?:near|close to)",
    ),
    "swap": (r"(?:swap|trade|exchange|replace|substitute|switch)(?: out)?(?: the| these| those| all)?",),
    "unlike": (r"(?:nothing|none|no more|not|less|don't want (?:any|anything|more)) (?:more )?(?:like|similar to)", r"unlike", r"less like", r"different (?:from|than|to)"),
}  # fmt: skip

# Said in one breath with the wish that follows, or alone.
RESET = re.compile(
    r"\b(?:(?:let(?:'s| us| me) )?(?:start|begin)(?:ing)? (?:all )?(?:over|again|afresh|anew|fresh|from scratch)(?: again)?|from scratch|reset(?: everything| all| it)?"
    r"|(?:forget|scrap|drop|clear|erase|delete|cancel|remove|ignore|discard|never ?mind|wipe(?: out)?|undo|throw away) (?:about )?(?:everything|it all|all(?: of)?(?: that| this| it| my wishes| the wishes| my filters| those| the rest)?|the rest|what(?:ever)? i(?:'ve| have)? (?:said|asked(?: for)?|told you|wanted)|my wishes|every wish)(?= *(?:$|[,.;:!?]| and | so far| now| before(?! (?:the )?\d)| i (?:said|asked)| until| please| but))(?: (?:so far|before|i said|i asked for|until now|now|please))?"
    r"|wipe (?:the slate|it)(?: clean)?|clean slate|clear (?:the|my) (?:slate|filters?|wishes|list)|blank slate)"
)
DRIFT = re.compile(
    r"\b(?:(?:i(?:'ve| have)? )?changed? my mind|on second thoughts?|actually|new (?:plan|idea|topic|search)|different (?:idea|plan|topic)(?: now)?|(?:ok(?:ay)?,? )?something (?:else|different)(?: entirely| altogether| completely)?(?: now)?|now (?:for|i(?:'m|'d| am| want| need| would| fancy| feel| prefer))|for a change|switch(?:ing)? to|move on to|moving on|let's move on|another (?:errand|thing entirely))\b"
)
TURN = re.compile(
    r"(?:^|[.;!?]\s*|\b(?:no|ok|okay|well|hm+),?\s+)(?:actually|now (?:for|i(?:'m|'d| am| want| need| would| fancy| feel| prefer)))\b"
)
UNDO = re.compile(r"^\W*(?:please )?(?:undo|revert|go back|back|(?:take|put) (?:that|it|this) back|undo (?:that|it|this|the last (?:one|thing)))(?: please)?\W*$")  # fmt: skip
ALWAYS = re.compile(
    r"\b(?:always|from now on|from here on|for ?ever|permanently|every time|in general|as a rule|never again|ever again)\b"
)
TODAY = re.compile(
    r"\b(?:tonight|today|this evening|this time|for now|right now|for the moment|this (?:morning|afternoon|once))\b"
)
ALSO = re.compile(r"\b(?:also(?!,)|too(?=\W*(?:$|[,.;!?]))|as well|in addition|additionally|plus|on top of that)\b")
INSTEAD = re.compile(r"\b(?:instead|now|actually|rather|no longer)\b")
THEM = re.compile(r"\b(?:them|those|these|it|that|this|any of (?:them|that|those))\b")

# Words that never name anything in a catalogue, unless the catalogue itself says so.
SMALL = frozenset(
    ["a", "about", "above", "after", "again", "ago", "ah", "all", "almost", "along", "already", "also", "although", "always", "am", "an", "and", "another", "any", "anybody", "anymore", "anyone", "anything", "anyway", "are", "around", "as", "ask", "asked", "asking", "at", "away", "aww", "back", "bad", "be", "became", "because", "become", "been", "before", "behind", "being", "below", "best", "better", "between", "big", "bit", "both", "bring", "brings", "but", "by", "bye", "came", "can", "cannot", "care", "catch", "cause", "certain", "check", "cheers", "choose", "click", "close", "come", "comes", "coming", "common", "cool", "could", "course", "cute", "dad", "day", "days", "decide", "definitely", "did", "different", "direction", "do", "does", "doing", "done", "down", "each", "early", "easy", "either", "else", "end", "enough", "enjoy", "enjoyed", "enjoying", "entirely", "especially", "etc", "even", "evening", "ever", "every", "everybody", "everyone", "everything", "exactly", "except", "far", "favorite", "favourite", "feel", "feels", "few", "find", "fine", "first", "for", "found", "friend", "friends", "from", "fun", "funny", "full", "further", "gave", "general", "get", "gets", "getting", "give", "given", "gives", "glad", "go", "goes", "going", "gone", "gonna", "good", "got", "great", "guess", "had", "half", "haha", "handful", "happy", "hard", "has", "hate", "have", "having", "he", "hear", "heard", "hello", "help", "her", "here", "hey", "hi", "high", "him", "himself", "his", "hm", "hmm", "hope", "hoping", "how", "however", "huge", "i", "idea", "if", "ill", "im", "in", "indeed", "instead", "interest", "interested", "interesting", "into", "is", "it", "item", "its", "itself", "just", "keep", "kept", "kid", "kind", "kinds", "know", "known", "large", "last", "late", "lately", "later", "least", "left", "less", "let", "lets", "liked", "like", "likes", "likely", "line", "lines", "little", "long", "look", "looked", "looking", "looks", "lot", "lots", "love", "loved", "loves", "lovely", "made", "main", "make", "makes", "making", "man", "many", "matter", "may", "maybe", "me", "mean", "means", "meant", "mention", "middle", "might", "mind", "mine", "minute", "moment", "mood", "more", "morning", "most", "mostly", "mother", "mom", "mum", "much", "must", "my", "myself", "name", "near", "nearly", "need", "needs", "never", "new", "next", "nice", "night", "no", "nobody", "none", "nope", "nor", "not", "nothing", "now", "number", "of", "off", "often", "oh", "ok", "okay", "old", "on", "once", "one", "ones", "only", "onto", "open", "option", "options", "or", "other", "others", "otherwise", "ought", "our", "ours", "out", "over", "own", "page", "part", "particular", "past", "people", "perfect", "perhaps", "person", "pick", "piece", "place", "play", "please", "plus", "point", "possible", "possibly", "prefer", "present", "pretty", "probably", "problem", "proper", "put", "quite", "rather", "read", "ready", "real", "really", "recall", "recent", "recently", "recommend", "recommendation", "recommendations", "recommended", "regard", "remember", "remind", "request", "rest", "result", "results", "right", "role", "said", "same", "saw", "say", "saying", "says", "see", "seeing", "seem", "seems", "seen", "sense", "several", "shall", "she", "should", "show", "showed", "showing", "shown", "shows", "side", "similar", "simply", "since", "so", "some", "somebody", "someone", "something", "somehow", "sometimes", "somewhere", "soon", "sorry", "sort", "sounds", "spot", "start", "started", "starting", "still", "stop", "stuff", "style", "such", "suggest", "suggested", "suggestion", "suggestions", "suit", "suits", "super", "suppose", "sure", "surprise", "take", "taken", "takes", "taking", "talk", "tell", "than", "thank", "thanks", "that", "thats", "the", "their", "them", "themselves", "then", "there", "these", "they", "thing", "things", "think", "thinking", "this", "those", "though", "thought", "thoughts", "through", "thru", "til", "till", "time", "times", "to", "today", "together", "told", "tomorrow", "tonight", "too", "took", "top", "totally", "touch", "toward", "towards", "tried", "true", "try", "trying", "turn", "two", "type", "types", "unless", "until", "up", "upon", "us", "use", "used", "using", "usually", "various", "very", "via", "wait", "wanna", "want", "wanted", "wanting", "wants", "was", "watch", "watched", "watching", "way", "ways", "we", "week", "weekend", "well", "went", "were", "what", "whatever", "when", "where", "whether", "which", "while", "who", "whole", "whom", "whose", "why", "will", "wish", "wishes", "with", "within", "without", "wonder", "wondering", "wonderful", "word", "words", "work", "works", "world", "would", "wow", "yeah", "year", "years", "yep", "yes", "yesterday", "yet", "you", "your", "yours", "yourself", "don't", "dont", "didn't", "didnt", "doesn't", "isn't", "aren't", "wasn't", "weren't", "won't", "wouldn't", "couldn't", "shouldn't", "can't", "cant", "haven't", "hasn't", "hadn't", "i'm", "i've", "i'd", "i'll", "it's", "that's", "there's", "what's", "let's", "you're", "you've", "they're", "we're", "he's", "she's", "who's", "under", "below", "over", "above", "beneath", "least", "most", "max", "maximum", "min", "minimum", "roughly", "approximately", "fan", "fans", "liking", "lol", "haha", "lmao", "imo", "tbh", "idk", "tastes", "cup", "kinda", "gonna", "guy", "guys", "unfortunately", "afraid", "honestly", "personally", "apparently", "completely", "whatever", "bunch", "actually", "plan", "idea", "instead", "altogether", "entirely", "again", "now", "amount", "anywhere", "cheaper", "clear", "closer", "comparable", "description", "details", "fit", "form", "gotten", "gift", "haven", "hasn", "hour", "hours", "involving", "items", "lean", "limit", "list", "mix", "mentions", "note", "pile", "plan", "plays", "plot", "product", "products", "purpose", "selection", "series", "set", "shall", "short", "show-me", "slate", "soft", "story", "street", "taste", "title", "titles", "topic", "towards", "usual", "version", "view", "walk", "wants", "wide", "wind", "worth", "movie", "movies", "film", "films", "flick", "flicks", "cinema", "book", "books", "song", "songs", "track", "tracks", "album", "albums", "game", "games", "article", "articles", "video", "videos", "recipe", "recipes"]
)  # fmt: skip

ORDINALS = {w: n for n, ws in enumerate(("first 1st", "second 2nd", "third 3rd", "fourth 4th", "fifth 5th", "sixth 6th", "seventh 7th", "eighth 8th", "ninth 9th", "tenth 10th", "eleventh 11th", "twelfth 12th")) for w in ws.split()}  # fmt: skip
COUNTS = {w: n for n, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"])} | {
    "fifteen": 15, "twenty": 20, "twentyfive": 25, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "hundred": 100,
}  # fmt: skip
DECADES = {"twenties": 20, "thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80, "nineties": 90, "noughties": 0}  # fmt: skip

_SPOKEN = [
    (kind, re.compile(rf"(?<![\w'-])(?:{pattern})(?<! )(?![\w-])|(?<![\w'-])(?:{pattern})(?<= )"))
    for kind, patterns in CUES.items()
    for pattern in patterns
]
_SPOKEN.append(("no", re.compile(r"(?<![\w'-])non(?=[- ]\w)")))
_SPOKEN.append(("no after", re.compile(r"(?<=\w)(?:-free\b|[- ]free(?=\W*$|[,.;!?]| (?:please|only|and|or)\b))")))
_DENIES = re.compile(rf"(?:{_NOT}|never)\b")


WORDS = frozenset(w for patterns in CUES.values() for p in patterns for w in re.findall(r"[a-z]{5,}", p)) | frozenset(
    w for w in SMALL if len(w) > 4
)


def mended(word: str) -> str | None:
    """The word of a cue that a slip of two neighbouring letters has made unreadable; None for no such slip.

    >>> mended("avodi")
    'avoid'
    """
    swaps = (word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1))
    return next((w for w in swaps if w in WORDS), None)


def cues(plain: str) -> list[tuple[int, int, str]]:
    """(start, end, kind) of every cue, the longest where two overlap, in order."""
    found = [
        (m.start(), m.end(), kind) for kind, pattern in _SPOKEN for m in pattern.finditer(plain) if m.end() > m.start()
    ]
    noes = [(a, b) for a, b, kind in found if kind in ("no", "no after") and _DENIES.match(plain, a)]
    found = [
        c for c in found if c[2] in ("no", "no after") or all(not a < c[0] < b for a, b in noes)
    ]  # "don't need to see"
    found.sort(key=lambda c: (c[0] - c[1], c[0], c[2] != "like"))
    found = [(start, len(plain[:end].rstrip()), kind) for start, end, kind in found]
    out: list[tuple[int, int, str]] = []
    for start, end, kind in found:
        if all(end <= a or start >= b for a, b, _ in out):
            out.append((start, end, kind))
    return sorted(out)
