"""Lead names: every usual spelling to one name, one order; limb leads that follow from I and II."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from qoqdata.errors import UnreadableFile

LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")
CHEST = ("V1", "V2", "V3", "V4", "V5", "V6")
TWELVE = LIMB + CHEST
FRANK = ("X", "Y", "Z")
ORDER = TWELVE + FRANK

_PREFIX = re.compile(
    r"(?:mdc[ _]ecg[ _]lead|(?:ecg|ekg)[ _]lead|lead|ecg|ekg)[ _:-]+", re.IGNORECASE
)
_SUFFIX = re.compile(r"\s*\((?:einthoven|goldberger|wilson|frank|[mnuµμ]?v)\)$", re.IGNORECASE)
_SPELLINGS = (
    {name.lower(): name for name in TWELVE}
    | {f"d{name.lower()}": name for name in ("I", "II", "III")}
    | {f"v{axis.lower()}": axis for axis in FRANK}
    | {axis.lower(): axis for axis in FRANK}
    | {f"v{k}": f"V{k}" for k in (7, 8, 9)}
    | {f"v{k}r": f"V{k}R" for k in range(1, 10)}
)
_KNOWN = frozenset(_SPELLINGS.values())
# Modified, monitoring, EASI and bipolar leads, each alone, inverted, or against another.
_LEAD = "|".join(sorted(map(re.escape, _KNOWN), key=len, reverse=True)) + (
    r"|ML(?:III|II|I|[1-6])|MCL[1-6]?|V|C[MCBRHS]?[1-6]|mod\.? ?V[1-6]|NASA|[ESAI]|E[SA]|A[SI]"
)
_ELECTRODE = r"(?:Fp|AF|FC|FT|CP|TP|PO|F|C|P|O|T|A|M)(?:z|[0-9]{1,2})"
_WORD = (
    "ECG|EKG|EEG|EOG|EMG|RESP|ABP|ART|PAP|CVP|ICP|BP|NBP|NIBP|PLETH|PPG|SpO2|SaO2|CO2|PULSE|STIM|"
    "lead|signal|sig|channel|chan|ch|val"
)
_PLACE = r"chest|limb|abdo|abdomen|nasal|left|right|[LR]|\([LR]\)"
_CODED = re.compile(
    rf"-?(?:{_LEAD})(?:[-/](?:{_LEAD}))?|"
    rf"(?:EEG )?{_ELECTRODE}(?:-{_ELECTRODE})?|"
    rf"(?:{_WORD})(?:[ _.:-]?(?:[0-9]{{1,2}}|{_LEAD}|{_PLACE}))?|{_PLACE}",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r" #[0-9]{1,4}$")


def canonical(name: str) -> str:
    """The canonical name of a lead, or the trimmed name itself when it is not a known spelling.

    Known: I II III (also DI DII DIII), aVR aVL aVF, V1-V9, V1R-V9R, Frank X Y Z (also Vx Vy Vz), in
    any case, with or without a leading "lead" / "ECG" / "MDC_ECG_LEAD" and a trailing unit or
    "(Einthoven)". Modified (MLII), inverted (-aVR) and bipolar chest (V1-V2) leads are other leads
    and stay as written, and so do C1-C6, which are scalp electrodes in sleep records.
    """
    text = " ".join(name.split())
    bare = _SUFFIX.sub("", _PREFIX.sub("", text, count=1) if _PREFIX.match(text) else text)
    key = re.sub(r"^(a?v)[ _]", r"\1", bare.lower())
    return _SPELLINGS.get(key, text)


def is_known(name: str) -> bool:
    """Whether `name` is the canonical name of a lead that `canonical` knows."""
    return name in _KNOWN


def is_coded(name: str) -> bool:
    """Whether a canonical name says what was measured, and nothing that a person wrote freely.

    Coded are the known leads, modified, inverted, bipolar, monitoring and scalp leads in usual
    spelling, kinds of signal with a number (`ECG 2`), and repeated ones (`ECG #2`).
    """
    return _CODED.fullmatch(_NUMBERED.sub("", name)) is not None


def called(name: str, index: int) -> str:
    """How notes call channel `index`: by its name where that is coded, else by number alone."""
    return repr(name) if is_coded(canonical(name)) else str(index)


def rank(name: str) -> int:
    """Place of a canonical name in `ORDER`; all other names share the place after the last."""
    return ORDER.index(name) if name in ORDER else len(ORDER)


def arrange(
    names: Sequence[str], signals: Sequence[np.ndarray], *, where: str
) -> tuple[tuple[str, ...], list[int], list[str]]:
    """Canonical names in canonical order, the source index of each, and what was mended.

    `signals` are the samples of each name; they settle duplicates. Two identical copies of a
    standard lead become one. Two different signals that claim the same standard lead cannot be told
    apart: UnreadableFile. Other names that repeat are numbered ("ECG", "ECG #2").
    """
    repairs: list[str] = []
    pairs: list[tuple[str, int]] = []
    first: dict[str, int] = {}
    for index, raw in enumerate(names):
        name = canonical(raw)
        if not name:
            name = f"signal {index}"
            repairs.append(f"channel {index} has no name; called {name!r}")
        if name in first and name in ORDER:
            if not np.array_equal(signals[first[name]], signals[index]):
                raise UnreadableFile(
                    f"channels {first[name]} and {index} are both lead {name} and differ",
                    where=where,
                    fix="correct the lead names in the source",
                )
            repairs.append(f"lead {name} is listed twice with identical samples; kept once")
            continue
        if name in first:
            number = 2
            while f"{name} #{number}" in first:
                number += 1
            of = f" {name!r}" if is_coded(name) else ""
            repairs.append(f"channel {index} repeats the name{of}; numbered {number}")
            name = f"{name} #{number}"
        first[name] = index
        pairs.append((name, index))
    pairs.sort(key=lambda item: (rank(item[0]), item[1]))
    return tuple(name for name, _ in pairs), [index for _, index in pairs], repairs


def derive_limb(limb_i: np.ndarray, limb_ii: np.ndarray) -> dict[str, np.ndarray]:
    """III, aVR, aVL, aVF from I and II (Einthoven, Goldberger), in the unit of the arguments."""
    return {
        "III": limb_ii - limb_i,
        "aVR": -(limb_i + limb_ii) / 2,
        "aVL": limb_i - limb_ii / 2,
        "aVF": limb_ii - limb_i / 2,
    }
