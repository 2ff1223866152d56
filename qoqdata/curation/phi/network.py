"""Addresses of machines and of mail: e-mail, web, IP, MAC, accounts on social networks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from qoqdata.curation.phi.cues import cue
from qoqdata.curation.phi.rule import Span, is_measured, is_numbered, rule, said_before

#: RFC 5321 gives the local part 64 characters; behind the sign stand labels of at most 63.
_LOCAL = re.compile(r"[\w.+%'-]{1,64}$")
_HOST = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_SIGN = re.compile("[@＠]")

_TOP = "com|org|net|edu|gov|info|io|de|fr|es|it|pt|br|cn|ru|uk|ch|at|nl|be|eu|ca|au|us|in|jp"
#: `(at) hospital dot org` and ` at hospital.org`.
_AT_HOST = (
    r"(?:\s?[(\[]at[)\]]\s?|\sat\s)\w{1,40}"
    rf"(?:\s?[(\[]dot[)\]]\s?|\sdot\s|\.)(?:\w{{1,40}}\.)?(?:{_TOP})"
)
#: The run with which a group of four or fewer hexadecimal figures begins.
_HEXADECIMAL = r"[0-9a-f]{1,4}\Z"
_MACHINE = re.compile(r"(?:from|host|ip|server|address|node|at|to|gateway|pacs)[\s:=]{1,3}$", re.I)


def _is_address(match: re.Match[str]) -> bool:
    parts = [int(part) for part in match[0].split(".")]
    if max(parts) > 255 or is_numbered(match) or is_measured(match):
        return False
    # Four small figures number a paragraph or a version as often as a machine.
    return max(parts) > 9 or said_before(match, _MACHINE)


RULES = (
    rule(
        "url",
        r"\b(?:https?|s?ftp|dicom|file)://\S{1,2000}|\bwww\.[\w-]{1,63}\.\S{1,2000}",
        cue=cue(begins=r"(?:https?|s?ftp|dicom|file|www)\Z"),
    ),
    rule(
        "url",
        rf"(?<![\w@.-])[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,3}}\.(?:{_TOP})/[\w?%&=./#-]{{1,200}}",
        cue=cue(holds=rf"\A(?:{_TOP})\Z", sign=rf"\.(?:{_TOP})/"),
    ),
    rule(
        "ip_address",
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)",
        _is_address,
        cue=cue(begins=r"\d", figures=4, sign=r"\.\d{1,3}\.\d"),
    ),
    rule(
        "ip_address",
        r"(?<![\w:])(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4}(?![\w:])",
        cue=cue(begins=_HEXADECIMAL, sign=r":[0-9a-f]{1,4}:[0-9a-f]"),
    ),
    rule(
        "ip_address",
        r"(?<![\w:])(?:[0-9a-f]{1,4}:){2,6}:[0-9a-f]{1,4}(?![\w:])",
        cue=cue(begins=_HEXADECIMAL, sign="::"),
    ),
    rule(
        "ip_address",
        r"(?<![\w:-])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:-])",
        cue=cue(begins=_HEXADECIMAL, sign=r"[:-][0-9a-f]{2}[:-][0-9a-f]{2}[:-]"),
    ),
    rule(
        "email",
        r"(?<!\w)\w{1,40}(?:\s?(?:\.|\(dot\)|\[dot\]|\sdot\s)\s?\w{1,40}){0,3}"
        rf"{_AT_HOST}(?!\w)",
        cue=cue(holds=r"\Aat\Z", sign=_AT_HOST),
    ),
    rule(
        "account_name",
        r"(?<!\w)(?:twitter|instagram|insta|facebook|fb|tiktok|snapchat|telegram|whatsapp|wechat|skype)"
        r"[\s:]{1,3}(?:handle\s|account\s|id\s)?@?(?=\w{0,30}[\d_@.]|\S{0,2}@)[\w.@-]{3,30}",
        cue=cue(begins="twitter|insta|facebook|fb|tiktok|snapchat|telegram|whatsapp|wechat|skype"),
    ),
    rule("account_name", r"(?:微信号?|QQ号?)[\s:：]{0,3}[\w-]{5,20}", cue=cue(holds="微信|QQ")),
)


def find_mail(text: str) -> Iterator[Span]:
    """Addresses of mail in a text."""
    # From the sign outwards: a search from every start takes quadratic time without a sign.
    for sign in _SIGN.finditer(text):
        first = max(0, sign.start() - 64)
        local = _LOCAL.search(text[first : sign.start()])
        host = _HOST.match(text, sign.end())
        if local and host:
            yield Span("email", first + local.start(), host.end())
