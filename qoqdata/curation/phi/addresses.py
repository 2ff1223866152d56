"""Places smaller than a state where people live: streets, postal codes, towns."""

from __future__ import annotations

import re

from qoqdata.curation.phi.cues import cue, first_run
from qoqdata.curation.phi.rule import is_measured, rule
from qoqdata.curation.phi.words import folded, keyed_words, one_of, words

_STREETS = keyed_words("streets")
_PLACES = keyed_words("places")
_CITIES = words("cities")
_NO_TOWNS = _PLACES["institution"] | words("not_names")

#: A word that could be a name; capitals are checked where a pattern ignores case.
_NAME = r"[^\W\d_][\w'’.-]{0,40}"
_LINK = rf"(?:{one_of(_STREETS['link'])})\s|[dl]['’]"
_STATES = one_of(state.upper() for state in _PLACES["state"])
_UK_AREAS = one_of(area.upper() for area in _PLACES["uk"])
#: What is glued to the name of a street, without the point of an abbreviation.
_GLUED = one_of(word.rstrip(".") for word in _STREETS["glued"])
_HAN = "[\u4e00-\u9fff]"


def is_named(text: str) -> bool:
    """Whether a text begins with a capital."""
    return text[:1].isupper()


def _has_name(match: re.Match[str]) -> bool:
    return is_named(match["name"])


def _is_street(match: re.Match[str]) -> bool:
    name = match["name"]
    return is_named(name) and folded(name) not in words("not_names") and not is_measured(match)


def _is_street_by_number(match: re.Match[str]) -> bool:
    # `12 Axial CT` is no court.
    kind = match["kind"]
    return _is_street(match) and is_named(kind) and kind not in ("CT", "ST")


def _is_glued(match: re.Match[str]) -> bool:
    known = folded(match["name"]) in _STREETS["not"]
    return is_named(match["name"]) and not known and not is_measured(match)


def _is_city(match: re.Match[str]) -> bool:
    return is_named(match["name"]) and folded(match["name"]) in _CITIES


def _is_home(match: re.Match[str]) -> bool:
    return is_named(match["name"]) and folded(match["name"]) not in _NO_TOWNS


RULES = (
    # 482 Maple Avenue
    rule(
        "address",
        rf"(?<![\w.,])\d{{1,5}}[a-z]?\s(?:[NSEW]\.?\s)?(?P<name>{_NAME})(?:\s{_NAME}){{0,2}}\s"
        rf"(?P<kind>{one_of(_STREETS['after'])})(?![\w-])",
        _is_street_by_number,
        cue=cue(begins=r"\d", holds=rf"\A(?:{first_run(_STREETS['after'])})"),
    ),
    # Lindenstraße 14
    rule(
        "address",
        rf"(?<![\w-])(?P<name>[^\W\d_][\w.-]{{0,40}}?[-\s]?(?:{one_of(_STREETS['glued'])}))"
        r"\s\d{1,4}(?:[-/]\d{1,4})?\s?[a-z]?(?!\w|[.,]\d)",
        _is_glued,
        cue=cue(holds=rf"(?:{_GLUED})\Z", reach=42, figures=1, sign=rf"(?:{_GLUED})\.?\s\d"),
    ),
    # wohnt Am Alten Markt 3a
    rule(
        "address",
        rf"(?<!\w)(?:{one_of(_PLACES['lives'] | _PLACES['address'])})[:\s]{{1,3}}"
        r"(?P<name>[^\W\d_]\w{1,30})(?:\s[^\W\d_]\w{1,30}){0,3}\s\d{1,4}[a-z]?(?!\w)",
        _has_name,
        cue=cue(begins=first_run(_PLACES["lives"] | _PLACES["address"]), figures=1),
    ),
    rule(
        "address",
        rf"(?<!\w)(?:{one_of(_PLACES['address'])}):\s?[^\d\n]{{2,60}}\d|(?:住址|地址)[:：]?{_HAN}{{2,20}}",
        cue=cue(begins=first_run(_PLACES["address"]), east=True),
    ),
    # 12 bis, rue de la République; rue Dumont, 45546 Raymond
    rule(
        "address",
        rf"(?<![\w.,])\d{{1,4}}(?:\s?(?:bis|ter))?,?\s(?:{one_of(_STREETS['before'])})\s"
        rf"(?:{_LINK}){{0,3}}(?P<name>{_NAME})",
        _has_name,
        cue=cue(begins=r"\d", holds=rf"\A(?:{first_run(_STREETS['before'])})"),
    ),
    rule(
        "address",
        rf"(?<!\w)(?:{one_of(_STREETS['before'])})\s(?:{_LINK}){{0,3}}(?P<name>{_NAME}),\s\d{{5}}\s",
        _has_name,
        cue=cue(begins=first_run(_STREETS["before"]), figures=5),
    ),
    # Calle de Alcalá 45; ул. Ленина, д. 5
    rule(
        "address",
        rf"(?<!\w)(?:{one_of(_STREETS['before-number'])})\s?(?:{_LINK}){{0,3}}(?P<name>{_NAME})"
        rf"(?:\s(?:{_LINK}){{0,2}}{_NAME}){{0,4}}?,?\s"
        r"(?:(?:n[.º°]{1,2}|№|д\.|дом|nr\.?|num\.?)\s?)?\d{1,5}[a-z]?(?!\w|[.,]\d)",
        _is_street,
        cue=cue(begins=first_run(_STREETS["before-number"], end=""), figures=1),
    ),
    rule(
        "address",
        r"(?<!\w)(?:p\.?\s?o\.?\s?box|postfach|apartado|caixa postal)\s\d[\d ]{1,8}(?!\w)",
        cue=cue(begins=r"p(?:o(?:box)?)?\Z|postfach|apartado|caixa", figures=1),
    ),
    rule(
        "address",
        rf"{_HAN}{{2,12}}(?:{one_of(_STREETS['han'])})[东西南北]?[\d一二三四五六七八九十]{{1,6}}"
        "(?:号|弄|栋|幢|室|单元)",
        cue=cue(east=True, sign="号|弄|栋|幢|室|单元"),
    ),
    rule(
        "address",
        r"(?<!\w)(?:zip(?:\scode)?|postal\scode|postcode|plz|code\spostal|código\spostal|cap|cep)[\s:#]{1,3}"
        r"(?=[\w-]{0,10}\d)[\w-]{3,10}(?!\w)|邮编[:：]?\d{6}",
        lambda match: not is_measured(match),
        cue=cue(begins=r"(?:zip|postal|postcode|plz|code|código|cap|cep)\Z", figures=1, east=True),
    ),
    # Boston, MA 02115; FPO AE 81692; SW3 4RP; 80331 München
    rule(
        "address",
        rf"(?<!\w)(?:[A-Z][\w.' -]{{1,30}},\s(?:{_STATES})|[DFA]PO\sA[AEP])\s"
        r"\d{5}(?:-\d{4})?(?!\w)",
        case=True,
        cue=cue(figures=5, sign=rf"(?:,\s(?:{_STATES})|[DFA]PO\sA[AEP])\s\d{{5}}", case=True),
    ),
    rule(
        "address",
        rf"(?<!\w)(?:{_UK_AREAS})\d[\dA-Z]?\s\d(?!TH|ND|RD|ST)[ABD-HJLNP-UW-Z]{{2}}(?!\w)",
        case=True,
        cue=cue(begins=rf"(?:{_UK_AREAS})\Z", figures=2, case=True),
    ),
    rule(
        "address",
        r"(?<![\w.,])(?:[A-Z]{1,2}-)?\d{4,5}(?:-\d{3})?,?\s(?P<name>[^\W\d_][\w-]{1,30})",
        _is_city,
        cue=cue(begins=r"[A-Z]{1,2}\Z|\d{4}", figures=4),
    ),
    rule(
        "town",
        rf"(?<!\w)(?:{one_of(_PLACES['lives'])})\s(?:in|of|from|near|to|at|à|en|de|a|em|в|г\.)\s"
        r"(?:г\.\s)?(?P<name>[^\W\d_][\w.'-]{2,30})",
        _is_home,
        cue=cue(begins=first_run(_PLACES["lives"])),
    ),
    rule(
        "town",
        r"(?<!\w)(?:from|aus|desde|de|из)\s(?P<name>[^\W\d_][\w-]{2,30})(?=[.,;)]|$)",
        _is_city,
        cue=cue(begins=r"(?:from|aus|desde|de|из)\Z"),
    ),
    rule(
        "town",
        rf"(?:家住|居住于|户籍|籍贯|现住)[:：]?{_HAN}{{2,20}}"
        rf"|(?:{one_of(_PLACES['han-city'])})市?{_HAN}{{2,6}}[区县]",
        cue=cue(east=True, sign="家住|居住于|户籍|籍贯|现住|[区县]"),
    ),
)
