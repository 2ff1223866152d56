"""Single data elements of a DICOM dataset, read so that a damaged value is one of our errors.

pydicom converts a value when it is first asked for, so any access can fail. The messages name the
keyword only: values may hold names, dates or free text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag
from pydicom.values import convert_value

from qoqdata.errors import UnreadableFile

# Values of these need nothing but their own bytes: neither a character set nor a data dictionary.
_PLAIN = frozenset(("CS", "DS", "FD", "FL", "IS", "SL", "SS", "UI", "UL", "US"))
# Texts of these are in the default repertoire, whatever the character set of the file is.
_LATIN = frozenset(("CS", "UI"))
_CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")


@cache
def _entry(keyword: str) -> tuple[BaseTag, str]:
    """Tag and value representation in the data dictionary (PS3.6)."""
    number = tag_for_keyword(keyword)
    if number is None:
        raise ValueError(f"{keyword} is no DICOM keyword")
    return Tag(number), dictionary_VR(number)


def value(item: Dataset, keyword: str) -> Any:
    """The value of `keyword`; None when absent or empty. Raises UnreadableFile when damaged."""
    tag, usual_vr = _entry(keyword)
    # Most of what a reader asks for is absent, and asking pydicom by keyword costs 20 times more.
    if tag not in item.keys():  # noqa: SIM118
        return None
    element = item.get_item(tag, keep_deferred=True)
    try:
        if isinstance(element, DataElement):
            content = element.value
        elif (vr := element.VR or usual_vr) in _PLAIN and element.value is not None:
            # Three times faster than the element that pydicom would make around the value.
            content = convert_value(vr, element)
        else:
            content = item[tag].value
    except Exception as error:
        raise UnreadableFile(f"{keyword} holds a value that cannot be read") from error
    if content is None or (
        isinstance(content, str | bytes | list | MultiValue) and len(content) == 0
    ):
        return None
    return content


def numbers(item: Dataset, keyword: str) -> tuple[float, ...] | None:
    """All values of a numeric element; None when absent. Raises UnreadableFile unless finite."""
    tag, usual_vr = _entry(keyword)
    if tag not in item.keys():  # noqa: SIM118
        return None
    content = _decimals(item.get_item(tag, keep_deferred=True), usual_vr)
    if content is None:
        content = value(item, keyword)
    if content is None:
        return None
    several = content if isinstance(content, list | tuple | MultiValue) else (content,)
    try:
        result = tuple(float(one) for one in several)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnreadableFile(f"{keyword} is not a number") from error
    if not all(math.isfinite(one) for one in result):
        raise UnreadableFile(f"{keyword} is not finite")
    return result


def _decimals(element: Any, usual_vr: str) -> list[bytes] | None:
    """The digits of a raw DS element as the file has them; None for any other, or an empty one.

    Twenty times faster than pydicom's decimal strings, which keep the text beside the number.
    """
    if not isinstance(element, RawDataElement) or (element.VR or usual_vr) != "DS":
        return None
    content = (element.value or b"").strip(b" \0")
    return content.split(b"\\") if content else None


def number(item: Dataset, keyword: str) -> float | None:
    """The first value of a numeric element; None when absent. Raises as `numbers`."""
    values = numbers(item, keyword)
    return values[0] if values else None


def integer(item: Dataset, keyword: str) -> int | None:
    """A whole number; None when absent. Raises UnreadableFile for anything else."""
    first = number(item, keyword)
    if first is None:
        return None
    if first != int(first):
        raise UnreadableFile(f"{keyword} is not a whole number")
    return int(first)


def required(item: Dataset, keyword: str) -> int:
    """A whole number that an image cannot do without. Raises UnreadableFile when absent."""
    whole = integer(item, keyword)
    if whole is None:
        raise UnreadableFile(f"{keyword} is missing, the image cannot be laid out")
    return whole


def text(item: Dataset, keyword: str) -> str | None:
    """The first value as stripped text; None when absent, empty or damaged."""
    tag, _ = _entry(keyword)
    if tag not in item.keys():  # noqa: SIM118
        return None
    element = item.get_item(tag, keep_deferred=True)
    if element.VR in _LATIN and isinstance(element, RawDataElement) and element.value is not None:
        # Ten times faster than the values that pydicom would make and check.
        return element.value.split(b"\\")[0].decode("latin-1").strip(" \0") or None
    try:
        content = value(item, keyword)
    except UnreadableFile:
        return None
    if isinstance(content, list | tuple | MultiValue):
        content = content[0] if content else None
    if content is None or isinstance(content, bytes):
        return None
    return str(content).strip(" \0") or None


def code_string(item: Dataset, keyword: str) -> str | None:
    """The first value of a CS element (PS3.5 6.2) in upper case; None when it is not one.

    What breaks the code string rules may be free text, and is left out.
    """
    code = text(item, keyword)
    if code is None or not _CODE_STRING.fullmatch(code.upper()):
        return None
    return code.upper()


def code_strings(item: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of a CS element in upper case; none when it is absent or one breaks the rules."""
    try:
        content = value(item, keyword)
    except UnreadableFile:
        return ()
    several = content if isinstance(content, list | tuple | MultiValue) else (content or "",)
    codes = tuple(str(one).strip(" \0").upper() for one in several)
    return codes if all(not code or _CODE_STRING.fullmatch(code) for code in codes) else ()


def item(dataset: Dataset, keyword: str, index: int = 0) -> Dataset | None:
    """One item of a sequence; None when it is absent. Raises UnreadableFile when damaged."""
    sequence = value(dataset, keyword)
    if sequence is None:
        return None
    try:
        one = sequence[index] if index < len(sequence) else None
    except Exception as error:
        raise UnreadableFile(f"{keyword} holds a sequence that cannot be read") from error
    if one is not None and not isinstance(one, Dataset):
        raise UnreadableFile(f"{keyword} is not a sequence")
    return one


def items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """All items of a sequence, none when it is absent. Raises UnreadableFile when damaged."""
    index = 0
    while (one := item(dataset, keyword, index)) is not None:
        yield one
        index += 1
