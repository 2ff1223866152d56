"""Units as people write them: UCUM codes and their spellings.

Spellings of one unit are the same; nothing is converted.
"""

from __future__ import annotations

import re

#: UCUM code, then how it is spelled, the plainest first.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "%": ("%", "percent", "per cent", "pct"),
    "nm": ("nm", "nanometer", "nanometre"),
    "um": ("\u03bcm", "um", "micron", "micrometer", "micrometre"),
    "mm": ("mm", "millimeter", "millimetre"),
    "cm": ("cm", "centimeter", "centimetre"),
    "m": ("m", "meter", "metre"),
    "[in_i]": ("inch", "inches"),
    "mm2": ("mm2", "mm^2", "square millimeter", "square millimetre"),
    "cm2": ("cm2", "cm^2", "square centimeter", "square centimetre"),
    "m2": ("m2", "m^2", "square meter", "square metre"),
    "mm3": ("mm3", "mm^3", "cubic millimeter", "cubic millimetre"),
    "mL": ("mL", "milliliter", "millilitre", "cm3", "cm^3", "cc", "cubic centimeter"),
    "L": ("L", "liter", "litre"),
    "ug": ("\u03bcg", "ug", "mcg", "microgram"),
    "mg": ("mg", "milligram"),
    "g": ("g", "gram"),
    "kg": ("kg", "kilogram"),
    "ms": ("ms", "millisecond", "msec"),
    "s": ("s", "second", "sec"),
    "min": ("min", "minute", "mins"),
    "h": ("h", "hour", "hr", "hrs"),
    "d": ("days", "d"),
    "wk": ("weeks", "wk"),
    "mo": ("months", "mo"),
    "a": ("years", "a", "yr"),
    "/min": ("per minute", "/min", "bpm", "beats per minute", "beats/min", "beats/minute"),
    "Hz": ("Hz", "hertz"),
    "mV": ("mV", "millivolt"),
    "uV": ("\u03bcV", "uV", "microvolt"),
    "mm[Hg]": ("mmHg", "mm Hg", "mm of mercury"),
    "kPa": ("kPa", "kilopascal"),
    "[hnsf'U]": ("HU", "hounsfield unit", "hounsfield"),
    "Cel": ("\u00b0C", "degrees celsius", "celsius"),
    "deg": ("degrees", "\u00b0", "deg"),
    "cm/s": ("cm/s", "cm/sec"),
    "m/s": ("m/s", "m/sec"),
    "mL/min": ("mL/min",),
    "L/min": ("L/min",),
    "mg/dL": ("mg/dL",),
    "g/dL": ("g/dL",),
    "mmol/L": ("mmol/L",),
    "umol/L": ("\u03bcmol/L", "umol/L"),
    "ng/mL": ("ng/mL",),
    "kg/m2": ("kg/m2", "kg/m^2"),
    "[pixels]": ("pixels", "px"),
}
#: Other codes of the same unit.
_CODES = {"cm3": "mL", "ml": "mL", "l": "L", "1": ""}
#: UCUM's remarks, such as {beats}/min.
_REMARK = re.compile(r"\{[^{}]*\}")


def unit_code(code: str | None) -> str:
    """The code of a unit without remarks: `/min` for `{beats}/min`, "" for a bare number."""
    plain = _REMARK.sub("", code or "")
    return _CODES.get(plain, plain)


def unit_name(code: str | None) -> str:
    """How a unit is told to a policy."""
    known = unit_code(code)
    return SPELLINGS.get(known, (known,))[0]
