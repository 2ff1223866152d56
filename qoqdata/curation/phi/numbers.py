"""Numbers of persons and devices: of records, of states and insurers, telephones, UIDs."""

from __future__ import annotations

import re
from datetime import date
from functools import partial

from qoqdata.curation.phi.cues import cue, first_run
from qoqdata.curation.phi.rule import Rule, is_measured, rule, said_before
from qoqdata.curation.phi.words import one_of, phrases, words

# Groups of figures with a few letters, held together by one sign each.
_VALUE = (
    r"(?P<value>(?:(?-i:[A-Z]{1,5}[-. ])|[A-Z]{1,5}-?){0,2}\d[\dA-Z]{0,24}"
    r"(?:[-./ ]{1,2}[A-Z]{0,4}\d[\dA-Z]{0,24}){0,8}(?:[- ](?-i:[A-Z]{1,3})(?![A-Z]))?)"
)
_LINK = (
    r"(?:[\s.:#=()№-]{0,3}(?:numbers?|nummer|num|nbr|nos?|nr|numéro|número|numero|номер|ids?|code|card|is|was"
    r"|ist|est|es|n[º°o.]{1,2}|№|号码?|為|为)(?![^\W\d_])){0,3}[\s.:：#=()№°º-]{0,5}"
)
# A word of letters ends before its number, but for MRN and in scripts without blanks.
_AFTER = r"(?<=[^\x00-\x7f])|(?<=mrn)"
_END = rf"(?:{_AFTER}|(?<=#)|(?!\w))"
#: Figures that a number of a kind has at least, else four.
_FIGURES = {"vehicle": 2}


def _figures(text: str) -> str:
    return "".join(character for character in text if character.isdigit())


def _is_number(match: re.Match[str], *, least: int) -> bool:
    value = match["value"]
    # A year alone is none, nor is a dose: `account 2019`, `specimen 1200 ml`.
    year = re.fullmatch(r"(?:19|20)\d\d", value)
    return len(_figures(value)) >= least and not year and not is_measured(match)


def _introduced(name: str, introducers: frozenset[tuple[str, ...]]) -> Rule:
    said_so = [" ".join(phrase) for phrase in introducers]
    said = one_of(said_so)
    least = _FIGURES.get(name, 4)
    return rule(
        name,
        # The second half of a unit introduces nothing: `Glucose (mg/dL): 133.4`.
        rf"(?<![^\W_])(?<!\w/)(?:{said}){_END}{_LINK}{_VALUE}",
        partial(_is_number, least=least),
        cue=cue(begins=first_run(said_so, end=rf"(?:{_AFTER}|\Z)"), figures=least),
    )


def _is_telephone(match: re.Match[str]) -> bool:
    return 7 <= len(_figures(match[0])) <= 15 and not is_measured(match)


def _is_said_telephone(match: re.Match[str]) -> bool:
    return 4 <= len(_figures(match["value"])) <= 17 and not is_measured(match)


#: A word of telephones runs into the one that leads to its number, or ends: `telno. 12345`.
_TO_NUMBER = (
    r"(?:no|number|nr|at|is|to|unter|au|al|le|de|du|di|da|fijo|fixe|fisso|privat|dienstlich|home|work"
    r"|office)?\Z"
)
_QUANTITY = re.compile(
    r"(?:doses?|flow|values?|range|series|b|cells?|counts?|matrix|size|weight)\W{0,3}$",
    re.IGNORECASE,
)
#: Area and exchange of North America begin with 2 to 9.
_AMERICAN = re.compile(r"\D{0,3}(?:1\D)?\D?[2-9]\d\d\D{1,2}[2-9]")


def _is_plain_telephone(match: re.Match[str]) -> bool:
    if not _is_telephone(match) or said_before(match, _QUANTITY):
        return False
    only_blanks = not any(sign in match[0] for sign in "-.()/")
    return not only_blanks or _AMERICAN.match(match[0]) is not None


def _is_uid(match: re.Match[str]) -> bool:
    # Below this root are the standard's own classes and syntaxes, the same for everyone.
    return not match[0].startswith("1.2.840.10008.") and len(match[0]) <= 128


def _is_dni(match: re.Match[str]) -> bool:
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(match[1]) % 23] == match[2].upper()


def _is_nhs(match: re.Match[str]) -> bool:
    digits = [int(character) for character in _figures(match[0])]
    rest = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=False)) % 11
    return rest % 11 == digits[9] and len(set(digits)) > 2


def _is_chinese_id(match: re.Match[str]) -> bool:
    try:
        born = date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return 1900 <= born.year < 2100


def _is_card(match: re.Match[str]) -> bool:
    digits = [int(character) for character in reversed(_figures(match[0]))]
    doubled = (d if n % 2 == 0 else sum(divmod(2 * d, 10)) for n, d in enumerate(digits))
    return sum(doubled) % 10 == 0 and len(set(digits)) > 1


def _is_iban(match: re.Match[str]) -> bool:
    plain = re.sub(r"\W", "", match[0]).upper()
    return (
        len(plain) >= 15 and int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
    )


RULES = (
    *(_introduced(name, introducers) for name, introducers in phrases("identifiers").items()),
    rule(
        "record_number",
        r"(?<!\w)(?:ID\s?[:=#]\s?|#\s?)[A-Z]{0,4}\d{6,14}(?!\w|\.\d)",
        case=True,
        cue=cue(figures=6, sign=r"ID\s?[:=#]|#", case=True),
    ),
    # Identifiers whose form or check digit tells them without a word.
    rule(
        "national_id",
        r"(?<![\d-])(?!000|666)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])",
        cue=cue(begins=r"\d{3}\Z", figures=9, sign=r"-\d\d-\d"),
    ),
    rule(
        "national_id",
        r"(?<!\w)(\d{8})-?([A-Z])(?!\w)",
        _is_dni,
        case=True,
        cue=cue(begins=r"\d{4}", figures=8),
    ),
    rule(
        "national_id",
        r"(?<!\w)[A-Z]{6}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{3}[A-Z](?!\w)",
        cue=cue(begins=r"[A-Z]{6}\Z", figures=7),
    ),
    rule(
        "national_id",
        r"(?<!\d)[12] ?\d\d ?(?:0[1-9]|1[0-2]) ?\d[\dAB] ?\d{3} ?\d{3}(?: ?\d\d)?(?!\d)",
        cue=cue(begins=r"[12](?:\Z|\d\d)", figures=12),
    ),
    rule(
        "national_id",
        r"(?<!\d)[1-9]\d{5}((?:19|20)\d\d)(\d\d)(\d\d)\d{3}[\dX](?!\d)",
        _is_chinese_id,
        cue=cue(begins=r"\d{4}", figures=17),
    ),
    rule(
        "national_id",
        r"(?<![\d.])\d{3}\.\d{3}\.\d{3}-\d\d(?!\d)",
        cue=cue(begins=r"\d{3}\Z", figures=11, sign=r"\.\d{3}-\d\d"),
    ),
    rule(
        "national_id",
        r"(?<!\d)\d{3}-\d{3}-\d{3} \d\d(?!\d)",
        cue=cue(begins=r"\d", figures=11, sign=r"-\d{3}-\d{3} \d\d"),
    ),
    rule(
        "record_number",
        r"(?<![\d-])\d{3}[ -]\d{3}[ -]\d{4}(?![\d-])",
        _is_nhs,
        cue=cue(begins=r"\d{3}\Z", figures=10),
    ),
    rule(
        "insurance_number",
        r"(?<!\w)(?:\d{4}[ -]){3}\d{4}(?![\w-])",
        _is_card,
        cue=cue(begins=r"\d{4}", figures=16),
    ),
    rule(
        "insurance_number",
        r"(?<!\w)[A-Z]{2}\d\d(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)",
        _is_iban,
        case=True,
        cue=cue(begins=r"[A-Z]{2}\Z", figures=2, case=True),
    ),
    rule(
        "uid",
        r"(?<![\w.])[0-2](?:\.(?:0|[1-9]\d{0,40})){5,30}(?!\w|\.\d)",
        _is_uid,
        cue=cue(begins=r"[0-2]\Z", figures=6, sign=r"\.\d{1,41}\.\d{1,41}\.\d"),
    ),
    rule(
        "uid",
        r"(?<![\w-])[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![\w-])",
        cue=cue(begins=r"[0-9a-f]{1,8}\Z", sign=r"-[0-9a-f]{4}-[0-9a-f]{4}-"),
    ),
    # Telephones: by a word before them, with the sign of another country, in habits of writing.
    rule(
        "phone",
        rf"(?<![A-Za-z])(?:{one_of(words('telephones'))})[\s.:：#-]{{0,4}}"
        r"(?:(?:no|number|nr|at|is|to|unter|au|al|le|(?:de|du|di|da)\s(?:contacto?|contato|casa|trabajo|domicile"
        r"|bureau|travail|lavoro|trabalho)|fijo|fixe|fisso|privat|dienstlich|home|work|office)[\s.:]{1,3}){0,2}"
        r"(?P<value>\+?\(?\d{1,7}\)?(?:[\s./()-]{1,3}\d{1,8}){0,7}|\d{4,15})"
        r"(?:\s?(?:x|ext\.?)\s?\d{1,6})?(?!\w|[.,]\d)",
        _is_said_telephone,
        cue=cue(
            holds=rf"(?<![A-Za-z])(?:{first_run(words('telephones'), end=_TO_NUMBER)})",
            reach=0,
            figures=4,
        ),
    ),
    rule(
        "phone",
        r"(?<![\w.+])(?:\+|00(?=[1-9]\d{0,2}[ ./-]))[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}"
        r"(?!\w|[.,]\d)",
        _is_telephone,
        cue=cue(figures=7, sign=r"\+[1-9]|00[1-9]"),
    ),
    rule(
        "phone",
        r"(?<![\w.(-])(?:1[ .-])?(?:\(\d{3}\)[ .-]?|\d{3}[ ./-])\d{3}[ .-]\d{4}(?![\w-]|[.,]\d)",
        _is_plain_telephone,
        cue=cue(figures=10, sign=r"\d{3}[ .-]\d{4}"),
    ),
    rule(
        "phone",
        r"(?<![\w.-])\(0?\d{2,5}\)[ .-]?\d{3,5}[ .-]?\d{3,5}(?![\w-]|[.,]\d)",
        _is_telephone,
        cue=cue(figures=8, sign=r"\(\d{2,6}\)"),
    ),
    rule(
        "phone",
        r"(?<!\w)(?:at|reach|dial|ring|contact|number|is)[\s:]{1,2}[2-9]\d\d[-.]\d{4}(?![\w-])",
        cue=cue(begins=r"(?:at|reach|dial|ring|contact|number|is)\Z", figures=7),
    ),
    rule(
        "phone",
        r"(?<![\w.,-])0[1-9](?:[ .-]\d\d){4}(?![\w-]|[.,]\d)",
        cue=cue(begins="0", figures=10),
    ),
    rule(
        "phone",
        r"(?<![\w.,-])0\d{2,4}(?:(?: ?/ ?|[ -])\d{3,8}|(?: ?/ ?)\d\d)(?:[ -]\d{2,6}){0,3}"
        r"(?![\w/-]|[.,]\d)",
        _is_telephone,
        cue=cue(begins="0", figures=7),
    ),
    rule(
        "phone",
        r"(?<![A-Za-z0-9.])1[3-9]\d{9}(?![A-Za-z0-9]|\.\d)",
        lambda match: not is_measured(match),
        cue=cue(figures=11, sign=r"1[3-9]\d{9}"),
    ),
    rule(
        "phone",
        r"(?<!\w)8[ -]?\(\d{3,5}\)[ -]?\d{1,3}[ -]\d\d[ -]\d\d(?!\d)",
        cue=cue(begins="8", figures=9),
    ),
)
