"""Where a reasoning gives away that it was written by somebody who had been told the answer.

Captions are made by showing a large model the true answer, and a model that learns from one that says so learns to
speak of an answer that it will never be given. What a question may offer (classes, options, a picture) is no leak.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

Group = tuple[list[str], re.Pattern]

_GIVEN = (
    r"(?:given|provided|supplied|known|reference|original|expected|intended|stated|specified|indicated|listed|"
    r"annotated|"
    r"labell?ed|target|assigned|desired|prescribed|gold(?:en|[- ]standard)?)"
)
_ANSWER = r"(?:answers?|captions?|annotations?|responses?|solutions?|bounding box(?:es)?|box(?:es)?|coordinates|counts?|label|results?)"
_LIST = r"(?! (?:list|set|sets|options?|choices|candidates|classes|categories|types?|format)\b)"
_SAYS = r"(?:says?|reads?|states?|indicates?|mentions?|tells?|gives?|claims?|shows? that|confirms?|suggests?)"
_FITS = (
    r"(?:according to|based on|consistent with|match(?:es|ing)?|confirm(?:s|ed by|ing)|agree(?:s|ing)? with|"
    r"in line with|"
    r"in (?:accordance|agreement) with|per|given|support(?:s|ing)?|justif(?:y|ies|ying)|align(?:s|ed|ing)? with)"
)
_OFFERED = (
    r"(?! (?:\d+ |(?:a|an|the|this|these|several|some|many|only|one|two|four) )?(?:\w+ ){0,3}"
    r"(?:images?|pictures?|photos?|photographs?|view|questions?|lists?|sets?|options|classes|choices|categories|"
    r"satellite|aerial|task|scene)\b)"
)

_SOURCE = (
    r"(?:solutions?|key|answer key|record|records|reference|annotation|annotations|label|labels|ground truth|log|"
    r"registry|"
    r"title|caption|tag|tags|metadata|file(?: ?name)?|folder|spreadsheet|data ?set|index|database|protocol|"
    r"catalogue|catalog|annotation team|labell?ers?|"
    r"briefing|brief|hint|clue|teacher|examiner|supervisor|author|curator|expert)"
)
_ADJ = r"(?:official|correct|true|right|given|provided|supplied|expected|desired|accompanying|attached|solution|answer|image|picture|tile|file|hidden|data set['\u2019]s)"
_WHAT = r"(?:answer|class|category|option|label|solution|result|output|response|choice|verdict)"
_TELLS = (
    r"(?:says?|said|reads?|states?|stated|indicates?|mentions?|tells?|told|gives?|gave|claims?|lists|listed|"
    r"names?|named|calls?|called|puts? it|puts|"
    r"has it|identif(?:y|ies|ied)|marks?|marked|speaks? of|spoke of|contains?|confirms?|confirmed|demands?|"
    r"demanded|wants?|wanted|insists?|asserts?|"
    r"makes? it clear|declares?|declared|reports?|reported|reveals?|revealed|discloses?|chose|picked|assigned|"
    r"assigns?|specif(?:y|ies|ied)|that comes)"
)

_SIGNS = (
    (
        (
            "answer|caption|annotat|label|truth|gt|meta|told|inform|given|provided|suppl|specif|handed|shown|"
            "know|hint|"
            "note |file|backward|reverse|gold|referen|solution|response|prompt|message|pretend|justif|already|"
            "rational|"
            "tell|stated|dataset|data set|supposed|target|expected|reasoning|support|match|agree|consistent|lead to|"
            "end up|end at|indicated|revealed|confirmed|lists|gave|gives|said|listed|intended|original|assigned|"
            "desired|"
            "prescribed|reported|tagged"
        ),
        (
            # the given answer, the box that was provided, the label supplied
            rf"\b(?:the|this|that|my|your|its|an?) (?:\w+ )?{_GIVEN} (?:correct |final |true |class |scene |"
            rf"image )?{_ANSWER}\b{_LIST}",
            r"\b(?:answer|caption|annotation|response|solution|(?:bounding )?box(?:es)?|coordinates|count|label|"
            r"ground[- ]truth|result)\b"
            r"(?: that)?(?: (?:is|are|was|were|has been|have been|i (?:was|am|have been)|we (?:were|"
            r"are)))?(?: already| just| been)*"
            r" (?:provided|supplied|specified|handed|told|known beforehand|known in advance)\b(?! (?:by|"
            r"from) (?:the )?(?:shape|size|texture))",
            r"\b(?:answer|caption|annotation|response|solution|(?:bounding )?box|coordinates|count|label|"
            r"ground[- ]truth|result)\b(?: \w+){0,2}"
            r" (?:is|are|was|were|has been|have been|already|as)(?: already| just| been)? (?:given|known|told|"
            r"stated)\b",
            r"\b(?:the|an?) (?:box|answer|label|solution|count|coordinates) (?:that )?(?:i|we) (?:was|were|am|"
            r"are|have been|had been) (?:given|handed|told|shown)\b",
            # as given, as provided in the metadata
            r"\bas (?:already )?(?:given|provided|supplied|labell?ed|annotated|told|specified)(?=\s*[,.;:])",
            r"\bas (?:already )?(?:given|provided|stated|specified|indicated|mentioned|told|listed|noted|"
            r"labell?ed) (?:in|by|to me)\b ?"
            r"(?:the )?(?:\w+ )?(?:answer|metadata|annotation|caption|prompt|label|reference|ground|data ?set|"
            r"user's answer|hint|note)",
            # words that only somebody who was told uses
            r"\bmeta-?data\b|\bground[- ]?truth\b|\bgt\b|\banswer key\b|\bquestion[- ](?:and[- ])?answer pair\b",
            r"\bannotat(?:ion|ions|ed|or|ors)\b|\bfile ?names?\b|\bprivate note\b|\bgold(?:en)?[- ](?:label|"
            r"answer|standard)\b",
            r"\b(?:the|your|this|that|given|provided) hint\b(?! of)|\bthe note (?:says|gives|states|mentions)\b",
            r"\b(?:work(?:ing)?|reason(?:ing)?) backwards?\b|\breverse[- ]engineer\w*",
            # it agrees with the answer
            rf"\b{_FITS} (?:the|this|that) (?:{_GIVEN} )?(?:answer|caption|annotation|ground|reference|solution|"
            rf"user's answer)\b{_LIST}",
            rf"\b{_FITS} (?:the|this|that) label (?:given|provided|supplied)\b",
            r"\b(?:needs?|has|have|should|must|wants?|wanted|supposed)(?: to)? (?:match|support|justify|lead to|"
            r"agree with|be consistent with|end up with|end at)"
            r" (?:the|that|this|it\b)(?: \w+)?(?: (?:answer|label|annotation|conclusion))?",
            # somebody told me
            r"\b(?:(?:i|we) (?:was|were|am|are|have been|had been|got)|i['\u2019]m|i['\u2019]ve been|"
            r"we['\u2019]re|we['\u2019]ve been)"
            rf"(?: already)? (?:told|given|informed|provided|handed|shown){_OFFERED}(?= |[.,;])",
            r"\b(?:user|prompt|question|system|instruction|data ?set|label|label file|task|someone)s? (?:has |"
            r"have )?(?:already )?"
            r"(?:provided|provides|gave|given|gives|told|tells|says|stated|states|supplied|specified|specifies|"
            r"lists|revealed|reveals|indicates|indicated) "
            r"(?:me |us )?(?:that )?(?:the )?(?:correct |final |true |right )?(?:answer|box|bounding|coordinates|"
            r"it is|it's|count is|label is)",
            rf"\b(?:the|this|its) (?:{_GIVEN} |image |picture |true )?(?:label|tag|caption|reference|key) {_SAYS}\b",
            r"\b(?:image|picture|photo|scene|sample|example|tile|it|this) (?:is|was|has been|"
            r"had been)(?: already| originally| previously)? "
            r"(?:labell?ed|tagged|captioned)\b",
            r"\b(?:answer|label|count|number|class|object|box|image|scene|location) (?:is|was|are|were) (?:said|"
            r"supposed|known|stated|reported) to be\b",
            r"\banswer (?:already |clearly )?(?:says|states|mentions|tells|gives)\b",
            r"\bas the (?:caption|label|annotation|answer|reference|data ?set|hint) (?!is\b|should\b|must\b|"
            r"will\b)\w+s\b",
            r"\bas (?:we|i) (?:already )?know\b|\bit (?:is|was) (?:already )?known (?:that|to be)\b|"
            r"\baccording to (?:the|its|this) label\b",
            r"\banswer\b[^.;,]{0,25} (?:has been|was|is|were)(?: already)? (?:provided|supplied)\b",
            r"\b(?:already )?know(?:s|n|ing)?(?: already)? (?:that )?(?:the|what the) (?:correct |right |final |"
            r"true )?(?:answer|label)\b"
            r"(?! (?:should|must|will|has to|needs to|can|is one|to be)\b)",
            r"\b(?:explain|justify|show|argue|demonstrate) (?:why|how) the (?:correct |right |given )?(?:answer|"
            r"label|count) (?:is|must be|should be)\b",
            r"\b(?:has|have|was|is) already (?:been )?(?:established|determined|decided|settled|fixed|given|"
            r"confirmed) (?:that|to be|as)\b",
            r"\b(?:coordinates|boxe?s?)\s?[\[(][^\])]{0,60}[\])]+ (?:is|are|was|were) (?:already )?(?:given|"
            r"provided|supplied)\b",
            # given that the answer is ...
            r"\b(?:since|given|knowing|because|considering)(?: that)? the (?:correct |right |true |final |"
            r"target )?(?:answer|label|caption|solution) "
            r"(?:is|was|has|must be|should be|says)\b",
            r"\b(?:the|a) target (?:label|class|answer) (?:is|was|here)\b",
            # what one was told to do about it
            r"\bwithout (?:referencing|mentioning|revealing|citing) the answer\b|\b(?:system|user) (?:message|"
            r"prompt)\b",
            r"\b(?:instructed|supposed|asked|told) (?:not )?to (?:justify|reference|mention|reveal|explain|"
            r"pretend)\b",
            r"\bthe given (?:class|category) (?:is|was|says)\b|\bgiven class is\b|\banswer (?:field|column|entry|"
            r"sheet)\b",
            r"\b(?:question|task|prompt|image|picture|row|sample)['\u2019]s (?:given |correct |true |"
            r"official )?(?:answer|solution|annotation)\b"
            r"(?! (?:is|would|should|must|could|can)\b)|\bas (?:specified|stated|given|provided) above\b",
            r"\banswer in mind\b|\b(?:data ?set|file)(?:['\u2019]s)? (?:label|answer)\b|\b(?:assistant|user|"
            r"model)['\u2019]s answer\b",
            r"\bgiven the (?:correct|true|right|final) answer\b|\bmy reasoning (?:must|should|has to|needs to)\b|"
            r"\bpretend\w*\b",
            r"\b(?:i|we) (?:must|need to|have to|should|am to|are to) (?:justify|rationali[sz]e)\b",
            r"\b(?:user|prompt|question|task)s? (?:has |have )?(?:already )?(?:indicated|stated|said|told me|"
            r"confirmed|revealed) (?:that )?(?:it|this|the answer)\b",
            r"\bit(?:['\u2019]s| is| was) (?:already )?(?:stated|given|said|specified|indicated) (?:that|to be)\b",
            r"\bto (?:justify|support|reach|arrive at) the (?:given|provided|correct|expected|known) answer\b",
        ),
    ),
    (
        (
            "answer|solution|key|record|reference|annotation|label|truth|log|registry|title|caption|tag|metadata|"
            "file|"
            "folder|spreadsheet|data|index|protocol|catalog|briefing|hint|clue|teacher|examiner|supervisor|"
            "author|curator|"
            "expert|instruction|prompt|question|task|user|system|heading|description|entry| id | name|path"
        ),
        (
            # a source that only somebody has who was told: it says so, or is looked up
            rf"\b(?:the|my|our|its|your|this|that|a) (?:{_ADJ} )?{_SOURCE} (?:sheet |file |entry |field |here |"
            rf"team )?{_TELLS}\b",
            rf"\b(?:according to|as per|per|consulting|checking|reading|looking at|look at|looked at|thanks to|"
            r"opening|seeing|told by|knowing|from) "
            rf"(?:the|my|our|its|this) (?:{_ADJ} )?(?:{_SOURCE}|answer|answers)\b{_LIST}",
            rf"\b(?:in|by|with) (?:the|my|our|its|this) (?:{_ADJ} )?{_SOURCE}\b{_LIST}",
            r"\b(?:instructions?|prompt|question|task|user|system) (?:says?|said|states?|stated|tells? me|"
            r"told me|claims?|reveals?|insists?) (?:that )?(?:it|this|the "
            r"(?:image|picture|scene|answer|class|correct|right|label|box|tile))\b(?! (?:should|must|has to|"
            r"needs to|can|may)\b)",
            rf"\b(?:image|picture|photo|tile|sample|scene|file|row|patch)(?:['\u2019]s)? (?:title|name|heading|"
            rf"tag|tags|description|record|entry|id|path) {_TELLS}\b",
        ),
    ),
    (
        (
            "expected|desired|required|intended|official|prescribed|predetermined|preset|requested|agreed|reference|"
            "registered|recorded|disclosed|revealed|assigned|attached|attributed|linked|provided|supplied|tag|"
            "label|title|"
            "caption|name|natural|plausible|convincing|stated|mentioned|written|contained|comes with|writer|"
            "author|maker|"
            "creator|setter|announced|told|handed|communicated|passed|shared|leaked|entered|filed|settled|"
            "fixed in|marked|"
            "designated|declared|given|listed|set as|reported|logged|stored|target|correct|saw|seen|read|know|knew|"
            "looked up|heard|why |been |sent"
        ),
        (
            # what was expected of the answer
            rf"\b(?:expected|desired|required|intended|official|prescribed|predetermined|preset|requested|agreed|"
            r"reference|registered|recorded) "
            rf"(?:{_WHAT}|output|outcome|count|number|location|place|position)s?\b",
            rf"\b{_WHAT}s? (?:has|have|had|was|were|is|are)(?: been)?(?: already)? (?:disclosed|revealed|"
            r"announced|told|handed|communicated|passed|shared|"
            r"leaked|preset|predetermined|recorded|registered|entered|filed|settled|agreed|fixed in advance|"
            r"known to (?:me|us))\b",
            rf"\b(?:named|disclosed|revealed|announced|marked|recorded|registered|designated|declared|given|"
            r"listed|set|reported|filed|logged|stored) (?:to me |to us )?"
            rf"as (?:the )?(?:{_ADJ} )?(?:right |correct |true |final )?{_WHAT}\b",
            rf"\bthe (?:stated|assigned|supplied|prescribed|target|expected|desired|known) (?:category|"
            rf"class)\b{_LIST}",
            r"\b(?:saw|seen|read|know|knew|known|looked up|heard) the (?:\w+ )?(?:answer|label|"
            r"solution)\b(?! (?:should|must|will|has to|needs to|can|is one|would)\b)",
            r"\bwhy (?:the|this|that) (?:correct |right |given )?(?:answer|label|class|category|count|box) is\b",
            r"\b(?:it (?:has|had)|it['\u2019]s) been (?:confirmed|said|stated|told|established|announced|revealed)\b",
            r"\b(?:given|told|handed|shown|sent|passed) to (?:me|us)\b",
            rf"\b{_FITS} (?:the|this|that) {_GIVEN} (?:category|class|option|choice|output|result)\b",
            rf"\b{_WHAT}s? (?:that |which )?(?:(?:is|was|has been) )?(?:assigned|attached|attributed|linked|"
            r"belonging) to (?:this|the|it)\b",
            r"\b(?:given|provided|supplied|target|expected|reference|assigned|known) (?:label|class|answer|"
            r"category|box|count|option)\s?[:=]",
            r"\b(?:class|category|option|choice) (?:is|was|has been) (?:already )?(?:provided|supplied|specified|"
            r"handed)\b",
            r"\b(?:tag|label|title|caption|name) of (?:the|this) (?:picture|image|tile|scene|sample|file) (?:is|"
            r"was|says|reads)\b",
            r"\bmak(?:e|ing) (?:the|this|that|it)\b[^.;]{0,30} (?:look|seem|appear|sound) (?:natural|plausible|"
            r"convincing|right|correct|reasonable|obvious)\b",
            r"\b(?:stated|given|named|mentioned|listed|specified|written|contained|found) (?:in|"
            r"by) the (?:answer|solution|label|reference|key|annotation|caption)\b",
            r"\bknowing (?:that )?(?:the )?(?:correct|right|true|final|given|expected)\b",
            r"\b(?:answer|label|solution|caption)\b[^.;]{0,25} attached\b|\battached (?:answer|label|solution|"
            r"caption)\b",
            r"\bcomes? with (?:the|an?|its) (?:answer|label|solution|caption|annotation)\b",
            r"\b(?:question|caption|answer|data ?set|task)(?:['\u2019]s)? (?:writer|author|maker|creator|setter)s?\b",
        ),
    ),
    (
        (
            "already|received|given|handed|sent|told|provided|shown|supplied|started with|start from|began with|know "
        ),
        (
            # it is in hand already
            rf"\b(?:i|we) (?:already|now already) (?:have|know|hold|possess|had|knew) (?:the |its |what the |"
            rf"that the )?(?:{_ADJ} )?(?:{_WHAT}|coordinates|box|count|number|location)\b",
            rf"\b(?:{_WHAT}|coordinates|boxe?s?|numbers?|counts?|locations?|values?)s? (?:which |that )?(?:i|"
            r"we) (?:have |had |was |were |am |are |have been )?(?:already )?"
            r"(?:received|given|handed|sent|told|provided|shown|supplied with|started with|start from|began with)\b",
            rf"\b(?:i|we) know (?:that )?(?:it |this )?(?:from|because|thanks to|through|by) (?:the |my |its |"
            rf"our )?(?:{_ADJ} )?(?:{_SOURCE}|data|list|person|user|who)\b",
        ),
    ),
    (
        (
            "explain|justif|defend|motivat|rationali|substantiat|argue|prove|describe|end up|arrive|come out|land |"
            "back up|account for|is to show|to show why|reasons|evidence|support"
        ),
        (
            # what there is left to do about it
            r"\b(?:to be|it remains to be|has to be|needs to be) (?:explained|justified|defended|motivated|"
            r"rationali[sz]ed|substantiated)\b",
            r"\b(?:asked|told|instructed|supposed|required|expected|meant|wanted|ordered|here|task is|job is|"
            r"role is|goal is|duty is|have|need|want|only|left is|remains|must)"
            r"(?: here)? (?:to |is to )(?:defend|justify|explain|motivate|substantiate|rationali[sz]e|argue for|"
            r"back up|end up (?:at|with)|account for) "
            r"(?:the |this |that |why |how |it\b|its )(?!image|picture|scene|question|layout|difference|shadow|"
            r"shape)",
            r"\ball (?:that is |that's |that remains |there is |i have |we have )?(?:left|to do|"
            r"remaining)?(?: to do)?,? ?is to (?:show|explain|justify|prove|describe|argue|find reasons)\b",
            r"\b(?:only|just|merely) (?:have|need|has|had) to (?:describe|explain|justify|show why|"
            r"find (?:reasons|evidence|support))\b",
            r"\bto (?:end up|arrive|come out|land) (?:at|with|on) (?:the|this|that) (?:desired|required|expected|"
            r"given|wanted|right|correct) \w+\b",
            r"\b(?:defend|justify|support|motivate|rationali[sz]e) (?:the|this|that) (?:choice|pick|selection|"
            r"label|class|decision|verdict|answer)\b",
        ),
    ),
    (
        (
            "they |you |person|people|whoever|someone|somebody|those |expert|annotator|team|filed|archived|indexed|"
            "catalog|registered|entered|sorted|stored|recorded|classed|booked|beforehand|advance|up front|before i|"
            "knowing|correct|right|true|expected|given|desired|target|official"
        ),
        (
            # somebody else's word for it
            r"\bthey (?:say|said|told|claim|call|called|want|wanted)\b|\byou (?:said|mentioned|told|stated|wrote|"
            r"indicated|gave|called|already)\b"
            r"|\b(?:person|people|whoever|someone|somebody|those|expert|annotator|team)s? (?:who|"
            r"that) (?:labell?ed|annotated|tagged|captioned|wrote|chose|made|marked)\b",
            r"\b(?:image|picture|photo|scene|sample|example|tile|it|this|row) (?:is|was|has been|"
            r"had been)(?: already| originally)? "
            r"(?:filed|archived|indexed|catalogu?ed|registered|entered|sorted|stored|recorded|classed|"
            r"booked) (?:under|as|with|in)\b",
            r"\b(?:stated|told|known|given|said|fixed|announced|decided|settled|agreed|"
            r"informed)\b[^.;,]{0,20} (?:beforehand|in advance|up front|before i (?:looked|started|began))\b",
            r"^knowing (?:that )?(?:it|this|the (?:image|picture|scene|answer|class))\b",
            r"\bif the (?:label|answer|annotation|reference|solution|caption|tag) is (?:right|correct|true|"
            r"to be (?:believed|trusted))\b",
            rf"\b(?:since|because|given that|knowing|considering)\b[^.;,]{{1,60}}\b(?:is|was) (?:marked |listed |"
            r"known )?(?:as )?(?:the |our )?"
            rf"(?:correct|right|true|expected|given|desired|target|official) (?:{_WHAT}|one)\b",
        ),
    ),
    (
        (
            "plausible|convincing|believable|suitable|credible|chain of thought|reasoning|explanation|argument|story|"
            "stories|rationale|fixed|locked|predefined|set |solution|arrive at|reach|end up|come out|land on|get to|"
            "revers"
        ),
        (
            # what is written for its end
            r"\b(?:plausible|convincing|believable|suitable|credible) (?:chain of thought|reasoning|explanation|"
            r"justification|argument|story|steps)\b",
            r"\b(?:chain of thought|reasoning|explanation|argument|story)s? (?:that|which) (?:leads?|ends?|"
            r"arrives?|points?|gets?) (?:to|at|in|with)\b",
            r"\bthe (?:reasoning|explanation|chain of thought|rationale) (?:should|must|has to|needs to|is to|"
            r"ought to)\b",
            rf"\b{_WHAT}s? (?:is|was|are|were) (?:fixed|locked|predefined|set) (?:as|to|at|on|in advance)\b|"
            r"\bthe solution (?:is|was|here)\b",
            r"\b(?:i|we) (?:have|need|ought|am supposed|are supposed|am meant|are meant|am expected|are expected|"
            r"must)(?: to)? "
            r"(?:arrive at|reach|end up (?:at|with)|come out (?:at|with)|land on|get to)\b",
            r"\brevers(?:e|ing) the (?:process|order|logic|reasoning|question|steps)\b",
        ),
    ),
)
"""Signs of having been told, in groups, each after words of which one is in every sign of the group: most sentences
hold none of these, and looking for the signs themselves is slow."""
_GROUPS = tuple((words.split("|"), re.compile("|".join(signs), re.I)) for words, signs in _SIGNS)
# Whoever was not told speaks of an answer or a label as of what the sentences come to, and of a solution never.
_SPOKEN_OF = ("answer", "label", "solution", "annotation", "data set", "dataset", "hint")
_NOUN = re.compile(r"\b(?:the |this |that |an? |its |my )?(?:\w+ )?(?:answers?|labels?|solutions?|annotations?|data ?sets?|(?<!\w)hint(?= (?:says|is|gives|was)))\b", re.I)
# Words for how the writer came to know, or for what the text is written: who only looks at a picture needs none of them.
_TALE = re.compile(
    r"(?<!all )\btold\b(?! apart)|\binformed\b|\bsupplied\b(?! (?:by|with|from|water))|\bdisclosed\b|\b(?:was|"
    r"were|been|is|are) revealed\b|\bcommunicated\b|"
    r"\brational(?:e|i[sz]e|i[sz]ing|i[sz]ation)\b|\bjustif(?:y|ying|ied|ies|ication)\b|\btruth\b|\bbeforehand\b|"
    r"\bhanded\b(?! (?:over )?(?:side|corner))|\bnotified\b|"
    r"\binstructed\b|\b(?:somebody|someone) (?:has |had )?already\b|\b(?:gave|sent|showed) (?:me|"
    r"us)\b(?! (?:an? |the )?(?:total|sum|count|number|\d|one|two|three|"
    r"four|five|six|seven|eight|nine|ten)\b)|\b(?:set|fixed|chosen|prepared|decided|selected) for (?:us|me)\b|"
    r"\b(?:explanation|reasoning|argument|chain of thought)s? (?:has|have|must|should|needs?|is|are|"
    r"ought)(?: to)? (?:lead|end|arrive|point|get|support|match|fit|mention)\b|"
    r"\b(?:was|were|is|has been|have been|been|already) (?:given|provided|stated|specified)(?= ?(?:[.,;:]|$|"
    r" (?:to (?:me|us)|for (?:me|us)|as (?:the|an?|correct|right|true)|already|here|and)\b))|"
    r"\bthe (?:correct|right|true) (?:response|answer|class|category|option|choice|label|letter|count|"
    r"box), [^.;,]{1,40}, (?:is|was|can|has|must|may|gets|finds|fits)\b"
    r"|\bthe true (?:box|category|class|count|answer|label|location|position|value|number)\b|\bannounced\b|\bverified as\b|"
    r"\b(?:has|had|have) been (?:set|fixed|verified|decided) (?:to|as|at|by)\b|"
    r"\b(?:info|information|facts?|details?|data) (?:that |which )?(?:i|we) (?:got|have|had|received|was|were)\b|"
    r"\b(?:this|the) (?:sample|example|entry)(?:['\u2019]s)?\b|\bsupposed to\b(?! be\b)|\bcome up with\b|\bassistant\b|\bexperts?\b|\brevealing\b|"
    r"\b(?:i|we) (?:already )?know (?:that )?(?:it|this|from|what|the(?! answer (?:should|must|will)))\b|\bknow that [^.;,]{1,40} is (?:right|correct|true)\b",
    re.I,
)
_GROUPS += (
    (
        "told|inform|supplied|disclosed|revealed|communicated|rational|justif|truth|beforehand|handed|notified|"
        "instructed|somebody|someone|gave|"
        " sent |showed|for us|for me|explanation|reasoning|argument|chain of thought|given|provided|stated|"
        "specified|the correct|the right |the true |announced|verified|been set|been fixed|been decided|info|fact|detail|data|sample|example|entry|supposed|come up with|assistant|expert|know ".split("|"),
        _TALE,
    ),
)
_INNOCENT = tuple(
    re.compile(pattern, re.I)
    for pattern in (
        # the answer is ..., my label would be ..., the only label that covers it
        r"\b(?:the|my|our|an?) (?:(?!given|provided|known|expected|official|reference|supplied|stated|"
        r"hidden)\w+ ){0,3}(?:answer|label)(?: here| then| thus| to (?:this|the) question)?,?(?: then| therefore|"
        r" thus| hence)?,? "
        r"(?:(?:should|must|would|has to|can only|will|may|might|can|could|ought to)(?: \w+)? be|is|becomes|"
        r"remains|that (?:fits|covers|suits|describes|matches)|for (?:that|this|it|such|the)"
        r"|to (?:choose|pick|give)|would|which (?:fits|covers|suits|describes))\b",
        r"(?:^|[.;:,(]\s?|\b(?:final|so|therefore|thus|hence|the|my|our|short|correct)\s)answer\s?(?:[:=]|is\b)",
        # it is the answer, I give as my answer, that leads me to the answer
        r"\b(?:as|for|on) (?:the|my|our|an?|its) (?:(?!given|provided|known|expected|official|reference)\w+ ){0,2}(?:answer|label)\b",
        r"\b(?:is|are|be|makes?|making|remains?)\b[^.;,]{0,40} (?:the|my|our|an?|its) (?:(?!given|"
        r"provided|known|expected|official|reference)\w+ ){0,2}"
        r"(?:answer|label)(?: for (?:that|it|this)| (?:i|we)['\u2019]?(?:d| would)? (?:give|choose|pick))?\b",
        r"\b(?:lead\w*|brings?|takes?|gets?|come|comes|arrive|arrives|confirm|confirms|check|double-check|state|"
        r"give|write|decide on|determine|find|derive|reach|settle on|choose|"
        r"supports?|gives) (?:me |us )?(?:to |at |on )?(?:the|an?|this|that|my|our) (?:(?:final|right|correct|"
        r"best|same) )?(?:answer|label)\b(?! (?:that|which|was|has))",
        # to answer, I would label this
        r"\b(?:to|i|we|can|would|could|i['\u2019]d|we['\u2019]d|will|must|should|let me|and|then) (?:\w+ly |now |"
        r"simply |just )?(?:answer|label)\b|\banswer(?:ing)? "
        r"(?:the|this|that|with|in|by|such)\b",
        # what the question offers
        r"\b(?:answer|label) (?:choices?|options?|list|format|letters?|set|names?|candidates?)\b|\b(?:given|"
        r"provided|possible|candidate|available|listed|offered|allowed|"
        r"other|remaining|these|those|all|any|no|of the|none of the|two|three|four|several|"
        r"class) (?:\w+ )?(?:labels?|answers)\b|\b(?:labels|answers) (?:that )?"
        r"(?:are |were )?(?:provided|given|available|offered|listed|on offer|allowed|in the|above|below|from)\b",
        r"\b(?:the|a) label [\w /'\"\u201c\u201d-]{1,40}? (?:is (?:the )?(?:most|best|only|right|closest|better)|"
        r"fits|suits|seems|would|describes|matches)\b",
    )
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def told(reasoning: str) -> str:
    """The words with which `reasoning` shows that its writer had been told the answer; "" for none."""
    groups = _held(_GROUPS, reasoning)
    spoken = any(word in reasoning.lower() for word in _SPOKEN_OF)
    for sentence in _SENTENCE.split(reasoning) if groups or spoken else ():
        for _, signs in _held(groups, sentence):
            if found := signs.search(sentence):
                return " ".join(found[0].split())
        if spoken and (words := _named(sentence)):
            return words
    return ""


def _named(sentence: str) -> str:
    """The words that speak of an answer which is there already; "" for none."""
    if not any(word in sentence.lower() for word in _SPOKEN_OF):
        return ""
    for innocent in _INNOCENT:
        sentence = innocent.sub(" , ", sentence)
    found = _NOUN.search(sentence)
    return " ".join(found[0].split()) if found else ""


def _held(groups: Iterable[Group], text: str) -> list[Group]:
    """The groups of which `text` holds a word."""
    text, held = text.lower(), []
    for group in groups:
        for word in group[0]:
            if word in text:
                held.append(group)
                break
    return held
