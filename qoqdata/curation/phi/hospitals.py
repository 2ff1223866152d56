"""Hospitals by name, which say where somebody was. `University Hospital` alone is none."""

from __future__ import annotations

import re

from qoqdata.curation.phi.addresses import is_named
from qoqdata.curation.phi.cues import cue, first_run
from qoqdata.curation.phi.rule import rule
from qoqdata.curation.phi.words import folded, keyed_words, one_of, words

_HOSPITALS = keyed_words("hospitals")
_PLACES = keyed_words("places")
_LINK = rf"(?:{one_of(keyed_words('streets')['link'])})\s|[dl]['’]"
_NAME = r"[^\W\d_][\w'’.-]{0,40}"
_SAINT = r"(?:(?:st|ste|sankt)\.?\s)?"
_SMALL = _HOSPITALS["small"]
_SHOUTED = one_of(word.upper() for word in _HOSPITALS["shouted"])
_HAN = "[\u4e00-\u9fff]"
_GENERAL = _HOSPITALS["generic"] | _HOSPITALS["kind"] | words("not_names")
_NOT_AFTER = _PLACES["not-after"] | _GENERAL


def _is_hospital(match: re.Match[str]) -> bool:
    """Whether one of the words before the kind names it: Mercy General Hospital, Pain Clinic."""
    if not is_named(match["kind"]):
        return False
    for word in reversed(re.findall(r"[\w'’.-]+", match["name"])):
        if is_named(word):
            if len(word) > 2 and folded(word.strip(".")) not in _GENERAL:
                return True
        elif word not in ("of", "the", "and"):
            break
    return False


def _is_named_after(match: re.Match[str]) -> bool:
    name, kind = match["name"], match["kind"]
    # `transferred to hospital Monday`; in Romance languages the kind has small letters.
    capital = is_named(kind) or folded(kind) in _SMALL or match["link"] is not None
    return capital and is_named(name) and len(name) > 2 and folded(name) not in _NOT_AFTER


RULES = (
    rule(
        "hospital",
        rf"(?<!\w)(?P<name>(?:{_NAME}(?:\s(?:of|the|and|&)){{0,2}}\s){{1,5}}?)"
        rf"(?P<kind>{one_of(_HOSPITALS['kind'])})(?!\w)",
        _is_hospital,
        cue=cue(holds=rf"\A(?:{first_run(_HOSPITALS['kind'])})", reach=250),
    ),
    rule(
        "hospital",
        rf"(?<!\w)(?P<kind>{one_of(_HOSPITALS['named'] | _SMALL)}|\w{{1,30}}klinikum)\s"
        rf"(?:(?:{one_of(_HOSPITALS['between'])})\s){{0,2}}(?P<link>{_LINK}){{0,3}}"
        rf"(?P<name>{_SAINT}{_NAME})",
        _is_named_after,
        cue=cue(holds=rf"\A(?:{first_run(_HOSPITALS['named'] | _SMALL)})|klinikum\Z", reach=30),
    ),
    rule(
        "hospital",
        rf"(?<!\w)(?P<kind>{_SHOUTED})\s(?P<link>{_LINK}){{0,2}}(?P<name>{_NAME})",
        _is_named_after,
        case=True,
        cue=cue(begins=first_run(word.upper() for word in _HOSPITALS["shouted"]), case=True),
    ),
    rule(
        "hospital",
        r"(?<!\w)(?P<name>[^\W\d_][\w.]{0,30})(?:-[^\W\d_]\w{1,30}){0,3}-"
        r"(?:krankenhaus|hospital|klinik|spital|klinikum)(?!\w)",
        lambda match: is_named(match[0]) and folded(match["name"]) not in _PLACES["clinic"],
        cue=cue(holds=r"\A(?:krankenhaus|hospital|klinik|spital|klinikum)\Z", reach=128),
    ),
    rule(
        "hospital",
        r"(?<!\w)(?:гкб|црб|больница|поликлиника|клиника)\s(?:№\s?\d{1,3}|им\.\s?\w{2,30})",
        cue=cue(begins="гкб|црб|больница|поликлиника|клиника"),
    ),
    rule(
        "hospital",
        rf"(?:{one_of(_PLACES['han-city'])}|{_HAN}{{1,5}}[省市县区]|{_HAN}{{2,6}}大学){_HAN}{{0,12}}医院",
        cue=cue(east=True, sign="医院"),
    ),
    rule(
        "hospital",
        rf"(?<!\w)(?:{one_of(_HOSPITALS['famous'])})(?!\w)",
        lambda match: is_named(match[0]),
        cue=cue(begins=first_run(_HOSPITALS["famous"])),
    ),
    rule(
        "hospital",
        rf"(?:{one_of(_PLACES['han-hospital'])}){_HAN}{{0,6}}医院",
        cue=cue(east=True, sign="医院"),
    ),
)
