"""Names of persons in Chinese, where nothing parts words and many surnames begin common ones."""

from __future__ import annotations

import re

from qoqdata.curation.phi.cues import cue
from qoqdata.curation.phi.rule import rule
from qoqdata.curation.phi.words import keyed_words, one_of

_LISTS = keyed_words("chinese")
_SURNAMES = frozenset("".join(_LISTS["surname"]))
_AMBIGUOUS = frozenset("".join(_LISTS["ambiguous"])) - _SURNAMES
_DOUBLE = _LISTS["double"]
_GIVEN = frozenset("".join(_LISTS["given"]))
_WORDS = tuple(_LISTS["word"])

_SAFE = f"(?:{'|'.join(sorted(_DOUBLE))}|[{''.join(sorted(_SURNAMES))}])"
_ANY = f"(?:{'|'.join(sorted(_DOUBLE))}|[{''.join(sorted(_SURNAMES | _AMBIGUOUS))}])"
_HAN = "[\u4e00-\u9fff]"
_TITLE = (
    "女士|先生|小姐|医生|医师|大夫|主任|教授|护士|护士长|院长|老师|太太|夫人|同志|阿姨|奶奶|爷爷"
)
#: What stands behind a name: the end of a clause, a sex, a number, a verb.
_END = (
    r"(?=[\s,，。、；;:：（(）)!！?？·]|$|男|女|\d|"
    f"{one_of(_LISTS['after'])})"
)
_SEX = re.compile(r"[，,、\s]{1,2}[男女]")


def _is_name(match: re.Match[str]) -> bool:
    name = match["name"]
    if name.startswith(_WORDS):
        return False
    given = name[2:] if name[:2] in _DOUBLE else name[1:]
    # A surname that begins common words needs characters that parents give.
    need = len(given) if name[0] in _AMBIGUOUS else 1
    said = match.string[match.start() : match.start("name")].rstrip().endswith((":", "："))
    if said or _SEX.match(match.string, match.end()):
        return True
    return sum(character in _GIVEN for character in given) >= need


def _is_no_word(match: re.Match[str]) -> bool:
    return not match["name"].startswith(_WORDS)


_READER = "(?:报告|审核|检查|主治|主管|住院|申请|送检|记录|诊断|手术|值班)(?:医师|医生|者)"
RULES = (
    rule(
        "named",
        rf"(?:{one_of(_LISTS['person'])})[:：\s]{{0,2}}(?P<name>{_ANY}{_HAN}{{1,2}}){_END}",
        _is_name,
        cue=cue(east=True),
    ),
    rule(
        "named",
        rf"(?:{one_of(_LISTS['label'])}|{_READER})[:：]\s?(?P<name>{_ANY}{_HAN}{{1,3}}|{_HAN}{{2,4}}(?=\s|$|[，,。]))",
        _is_no_word,
        cue=cue(east=True),
    ),
    rule(
        "named",
        rf"{_READER}\s{{1,2}}(?P<name>{_ANY}{_HAN}{{1,2}}){_END}",
        _is_name,
        cue=cue(east=True, sign=_READER),
    ),
    rule(
        "person",
        rf"(?<![主由等导引副])(?P<name>{_SAFE}){_HAN}{{0,2}}(?:{_TITLE})",
        _is_no_word,
        cue=cue(east=True, sign=_TITLE),
    ),
    rule(
        "person",
        rf"(?:(?<!{_HAN})|(?<=[请与找向]))(?P<name>[{''.join(_LISTS['titled'])}])(?:{_TITLE})",
        cue=cue(east=True, sign=_TITLE),
    ),
    rule(
        "person",
        rf"(?<!{_HAN})(?P<name>{_ANY}{_HAN}{{1,2}})[，,、\s]{{1,2}}(?:男|女)(?:性)?(?=[，,、。\s]|$)",
        _is_name,
        cue=cue(east=True, sign="[男女]"),
    ),
)
