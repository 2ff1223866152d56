"""Dates more exact than a year: in figures, with a month in words, written out, in Chinese."""

from __future__ import annotations

import re

from qoqdata.curation.phi.cues import cue, first_run
from qoqdata.curation.phi.rule import is_measured, is_numbered, rule, said_before
from qoqdata.curation.phi.words import folded, keyed_words, one_of

_YEAR = r"(?:19|20)\d\d"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTHS = frozenset().union(*keyed_words("months").values())
_MONTH = f"(?P<month>{one_of(_MONTHS)})"
_MONTH_RUN = first_run(_MONTHS)
#: What begins with figures and with no sign before them.
_FIGURE = r"\d"

_CALENDAR = keyed_words("calendar")
_PREPOSITION = re.compile(rf"(?:^|\W)(?:{one_of(_CALENDAR['before'])})[\s:]{{1,2}}$", re.IGNORECASE)
_DILUTION = re.compile(r"(?:tit(?:re|er)s?|dilut\w{0,8}|1:)\W{0,8}$", re.IGNORECASE)


def _in_calendar(one: str, other: str) -> bool:
    """Whether the figures are day and month, in either order."""
    low, high = sorted((int(one), int(other)))
    return 1 <= low <= 12 and high <= 31


def _in_figures(match: re.Match[str]) -> bool:
    first, middle, last = match["a"], match["b"], match["c"]
    if len(first) == 4:
        return first[:2] in ("19", "20") and len(last) <= 2 and _in_calendar(middle, last)
    if len(first) > 2 or not _in_calendar(first, middle):
        return False
    if len(last) == 4:
        return last[:2] in ("19", "20")
    loose = any(character.isspace() for character in match[0])
    return len(last) == 2 and not (loose or is_measured(match) or is_numbered(match))


def _is_word(match: re.Match[str]) -> bool:
    """Whether the month could be a common word here: `may 5 be repeated`."""
    return folded(match["month"]) in _CALENDAR["ambiguous"] and not said_before(match, _PREPOSITION)


def _day_first(match: re.Match[str]) -> bool:
    if match["year"]:
        return len(match["year"]) == 4 or not is_measured(match)
    return bool(match["gap"]) and not _is_word(match) and not is_measured(match)


def _month_first(match: re.Match[str]) -> bool:
    if match["month"].islower() and _is_word(match):
        return False
    if match["year"]:
        return True
    return not is_measured(match) and not (folded(match["month"]) == "may" and _is_word(match))


def _month_and_year(match: re.Match[str]) -> bool:
    return not is_measured(match) and not (match["month"].islower() and _is_word(match))


def _month_stroke_year(match: re.Match[str]) -> bool:
    if is_measured(match) or is_numbered(match) or said_before(match, _DILUTION):
        return False
    return match["sep"] == "/" or len(match["m"]) == 2


#: After a weak word a fraction such as 2/3 or 7/10 is a fraction.
_SHARES = frozenset({2, 3, 4, 5, 6, 8, 10, 20, 60})


def _day_and_month(match: re.Match[str]) -> bool:
    if not _in_calendar(match["a"], match["b"]) or is_measured(match):
        return False
    return bool(match["strong"]) or int(match["b"]) not in _SHARES


_ORDINAL = r"(?:st|nd|rd|th|er|re|º|°|ª|\.)?"
_ORDINALS = one_of(_CALENDAR["ordinal"])
_HAN = "[一二三四五六七八九十]{1,3}"

RULES = (
    rule(
        "date",
        r"(?<![\d./-])(?P<a>\d{1,4})\s?(?P<sep>[-/.])\s?(?P<b>\d{1,2})\s?(?P=sep)\s?(?P<c>\d{2,4})"
        r"(?![\d/]|[-.]\d)",
        _in_figures,
        cue=cue(begins=_FIGURE, figures=4, sign=r"[-/.]\s?\d{1,2}\s?[-/.]\s?\d\d"),
    ),
    rule(
        "date",
        rf"(?<![\w.]){_YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[0-2]\d[0-5]\d(?:[0-5]\d)?)?"
        r"(?![\w]|\.\d)",
        lambda match: not is_measured(match),
        cue=cue(begins=_YEAR, figures=8),
    ),
    rule(
        "date",
        rf"(?<![\w.,/-]){_DAY}{_ORDINAL}(?P<gap>[\s./-]{{0,3}})(?:(?:de|of|di)\s)?{_MONTH}\b\.?"
        rf"(?:[\s.,/-]{{0,3}}(?:del?\s)?(?P<year>{_YEAR}|'?\d\d))?(?!\w|[.,]\d)",
        _day_first,
        cue=cue(begins=_FIGURE, holds=rf"\A{_ORDINAL}(?:{_MONTH_RUN})"),
    ),
    rule(
        "date",
        rf"(?<!\w)(?:{one_of(_CALENDAR['feast'])})"
        rf"(?:\s(?:day|eve|sunday|monday))?,?\s(?:of\s)?{_YEAR}(?!\d)",
        cue=cue(begins=first_run(_CALENDAR["feast"]), figures=4),
    ),
    # A month runs into its year where no blank is: 17JAN2024.
    rule(
        "date",
        rf"(?<!\w){_DAY}(?P<month>{one_of(_MONTHS)}){_YEAR}(?!\w)",
        cue=cue(begins=_FIGURE, holds=rf"\A(?:{_MONTH_RUN})", figures=5),
    ),
    rule(
        "date",
        rf"(?<!\w){_MONTH}\.?[\s-]{{1,2}}(?:the\s)?{_DAY}{_ORDINAL}"
        rf"(?:,?[\s-]{{1,2}}(?P<year>{_YEAR})|,\s?'\d\d)?(?![\w/]|[.,:-]\d)",
        _month_first,
        cue=cue(begins=_MONTH_RUN, figures=1),
    ),
    rule(
        "date",
        rf"(?<!\w){_MONTH}\.?,?[\s/-]{{1,2}}(?:(?:del?|of)\s)?(?:{_YEAR}|['’]\d\d)(?!\w|[.,]\d)",
        _month_and_year,
        cue=cue(begins=_MONTH_RUN, figures=2),
    ),
    rule(
        "date",
        rf"(?<![\d./-])(?P<m>0?[1-9]|1[0-2])\s?(?P<sep>[/.-])\s?{_YEAR}(?![\d/]|[.,-]\d)",
        _month_stroke_year,
        cue=cue(begins=r"(?:0?[1-9]|1[0-2])\Z", figures=5, sign=rf"[/.-]\s?{_YEAR}"),
    ),
    rule(
        "date",
        rf"(?<![\d./-]){_YEAR}(?P<sep>[/.-])(?P<m>0[1-9]|1[0-2])(?![\d/]|[.,-]\d)",
        _month_stroke_year,
        cue=cue(begins=rf"{_YEAR}\Z", figures=6, sign=rf"{_YEAR}[/.-]"),
    ),
    rule(
        "date",
        rf"(?<!\w)(?:(?P<strong>{one_of(_CALENDAR['strong'])})|{one_of(_CALENDAR['weak'])})"
        r"[\s:.,(-]{1,3}(?P<a>\d{1,2})/(?P<b>\d{1,2})"
        r"(?![\d/.%]|\sof\b)",
        _day_and_month,
        cue=cue(begins=first_run(_CALENDAR["strong"] | _CALENDAR["weak"]), figures=2),
    ),
    rule(
        "date",
        r"(?<!\w)(?P<strong>am|vom|seit|bis|ab|zum|den|dem)\s(?P<a>\d{1,2})\.\s?(?P<b>\d{1,2})\.(?!\d)",
        _day_and_month,
        cue=cue(begins=r"(?:am|vom|seit|bis|ab|zum|den|dem)\Z", figures=2),
    ),
    rule(
        "date",
        rf"(?<!\w){_ORDINALS}\s(?:day\s)?of\s{_MONTH}(?!\w)",
        cue=cue(begins=first_run(_CALENDAR["ordinal"])),
    ),
    rule(
        "date",
        rf"(?<!\w){_MONTH}\s(?:the\s)?{_ORDINALS}(?!\w)",
        lambda match: not match["month"].islower() or not _is_word(match),
        cue=cue(begins=_MONTH_RUN),
    ),
    rule(
        "date",
        r"(?:\d{4}|[〇零一二三四五六七八九]{4})\s?[年년]\s?"
        rf"(?:\d{{1,2}}|{_HAN})\s?[月월](?:\s?(?:\d{{1,2}}|{_HAN})\s?[日号號일])?",
        cue=cue(east=True, sign="[年년]"),
    ),
    rule(
        "date",
        rf"(?<![\d一二三四五六七八九十])(?:\d{{1,2}}|{_HAN})\s?[月월]\s?(?:\d{{1,2}}|{_HAN})\s?[日号號일]",
        cue=cue(east=True, sign="[月월]"),
    ),
)
