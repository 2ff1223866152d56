"""Ages above 89, which single a person out."""

from __future__ import annotations

import re

from qoqdata.curation.phi.cues import cue
from qoqdata.curation.phi.rule import rule, said_before

_AGE = (
    r"(?:9\d|1[0-2]\d|ninety(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?"
    r"|one[\s-]hundred(?:[\s-]and[\s-]\w{3,9})?)"
)
#: The run with which such an age begins.
_AGE_RUN = r"9\d|1[0-2]\d|ninety|one\Z"
_START = r"(?<![\w.,/:-])"
_PERSON = (
    "man|woman|male|female|lady|gentleman|patiente?|patientin|mann|frau|homme|femme|dame|monsieur|hombre|mujer"
    "|varón|paciente|anciano|anciana|uomo|donna|paziente|signora|homem|mulher|senhora?|idosa?"
)
_YEARS = "years?|yrs?|jahren?|ans|años|anni|anos"
_TEMPERATURE = re.compile(r"(?:temp\w{0,8}|tmax|fever|febrile|t)\W{0,3}(?:of\s|to\s|is\s)?$", re.I)
_ELDERLY = re.compile(r"\s?\+|\s(?:years\s)?(?:or|and|und|et)\s(?:older|over|above|more)", re.I)


def _is_exact(match: re.Match[str]) -> bool:
    """Whether it is no class of ages such as 90+, and no temperature."""
    return not _ELDERLY.match(match.string, match.end()) and not said_before(match, _TEMPERATURE)


RULES = (
    rule(
        "old_age",
        rf"{_START}{_AGE}[\s-]?(?:years?|yrs?|y)?[\s./-]{{0,2}}(?:olds?|o)(?!\w)",
        _is_exact,
        cue=cue(begins=_AGE_RUN),
    ),
    rule(
        "old_age",
        rf"{_START}{_AGE}[\s-]?(?:years?|yrs?|y)[\s-](?:of\sage|(?:{_PERSON})(?!\w))",
        _is_exact,
        cue=cue(begins=_AGE_RUN),
    ),
    rule(
        "old_age",
        r"(?<!\w)(?:aged?|alter|âge|âgée?|edad|età|idade|возраст)[\s:=]{1,3}(?:of\s|von\s|de\s|is\s|di\s)?"
        rf"{_AGE}(?!\w|[.,]\d|\s?%)",
        _is_exact,
        cue=cue(begins=r"(?:aged?|alter|âge|âgée?|edad|età|idade|возраст)\Z"),
    ),
    rule(
        "old_age",
        rf"(?<!\w)(?:patient|pt|he|she|who)\s(?:is|was|turned|turns)\s{_AGE}(?=[.,;]?$|[.,;]\s|\sand\s)",
        _is_exact,
        cue=cue(begins=r"(?:patient|pt|he|she|who)\Z"),
    ),
    rule(
        "old_age",
        rf"(?:^|[,;.(]\s?){_AGE}\s(?:ans|años|anni|anos|J\.)(?!\w)",
        cue=cue(holds=r"\A(?:ans|años|anni|anos|J)\Z"),
    ),
    rule(
        "old_age", rf"(?:年龄|年齡)[\s:：]{{0,3}}{_AGE}(?!\d)", cue=cue(east=True, sign="年龄|年齡")
    ),
    rule("old_age", rf"(?<!\d){_AGE}\s?[岁歲세]", cue=cue(east=True, sign="[岁歲세]")),
    rule(
        "old_age",
        rf"{_START}(?:9\d|1[0-2]\d)\s?(?:yo)?[MF](?=\s(?:with|who|w/|h/o|s/p|pres|admit|here|found)|,|\.?$)",
        _is_exact,
        case=True,
        cue=cue(begins=_AGE_RUN),
    ),
    rule("old_age", rf"{_START}{_AGE}[\s-]?jährige?[rnms]?(?!\w)", cue=cue(begins=_AGE_RUN)),
    rule("old_age", rf"{_START}{_AGE}\sjahre\s(?:alt|jung)", cue=cue(begins=_AGE_RUN)),
    rule(
        "old_age",
        rf"(?<!\w)(?:{_PERSON})[\s,:]{{1,3}}(?:(?:de|di|von|mit|of|con)\s)?{_AGE}\s(?:{_YEARS})(?!\w)",
        _is_exact,
        cue=cue(begins=rf"(?:{_PERSON})\Z"),
    ),
    rule(
        "old_age",
        rf"{_START}{_AGE}\s(?:años\sde\sedad|ans\sd['’]âge|anni\sdi\setà|anos\sde\sidade)",
        cue=cue(begins=_AGE_RUN),
    ),
    rule("old_age", rf"{_START}{_AGE}\s(?:лет|года?)(?!\w|\sназад)", cue=cue(begins=_AGE_RUN)),
)
