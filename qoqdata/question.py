"""What is asked, as text: context, wording, options, and the regions that the question gives.

Training, evaluation and exports all ask with these words. Who drew a region is never told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from qoqdata.boxes import Box, BoxFrame, Size, whole_corners
from qoqdata.errors import Misaligned

Row = Mapping[str, Any]
T = TypeVar("T")

#: What corners are in, in words.
UNITS: Mapping[BoxFrame, str] = {
    "pixels": "in pixels of the image as you see it, from its upper left corner",
    "thousandths": "in thousandths of its width and height, from its upper left corner",
}
_NOUNS = {"volume_3d": "Slice", "video": "Frame"}
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_LETTERED = ("{}. {}", "{}) {}", "({}) {}", "{}: {}")


def question_text(row: Row, *, seen_sizes: Sequence[Size], frame: BoxFrame) -> str:
    """Context, question, options and given regions of a record, where it has them.

    seen_sizes  (width, height) of each image as the policy sees it, in the order of `image_info`
    frame       what corners are written in
    Raises Misaligned for a given region of an image that is not shown.
    """
    parts = [with_options(row["question"], row.get("options"))]
    if context := row.get("context"):
        parts.insert(0, f"Context:\n{context}\n")
    if given := _given_text(row, seen_sizes, frame):
        parts.append(given)
    return "\n".join(parts)


def with_options(question: str, options: Sequence[str] | None) -> str:
    """The question, followed by those of its options that it does not list itself."""
    if not options or all(_has_line(question, option) for option in options):
        return question
    if shows_letters(question, options):
        return question
    return "\n".join([question, "Options:", *options])


def shows_letters(question: str, options: Sequence[str] | None) -> bool:
    """Whether the question lists every option behind its letter: A, B, C and so on in order."""
    if not options or len(options) > len(_LETTERS):
        return False
    pairs = list(zip(_LETTERS, options, strict=False))
    return any(
        all(_has_line(question, form.format(letter, option)) for letter, option in pairs)
        for form in _LETTERED
    )


def image_names(row: Row, count: int) -> list[str]:
    """How each of `count` images is called: Slice 1, Frame 1 or Image 1 by modality."""
    noun = _NOUNS.get(row.get("modality") or "", "Image")
    return [f"{noun} {index + 1}" for index in range(count)]


def is_given(region: Any) -> bool:
    """Whether a region is part of the question, and nothing to be found."""
    return isinstance(region, Mapping) and region.get("role") == "given"


def targets(regions: Sequence[Any] | None, kind: str | None) -> list[Any] | None:
    """The regions to be found; None where the record does not say which there are.

    Where all are given, the source has said nothing of others, unless boxes are what is asked.
    """
    if regions is None:
        return None
    found = [region for region in regions if not is_given(region)]
    return None if regions and not found and kind != "boxes" else found


def one_reading(found: Sequence[T], reader_of: Callable[[T], str | None]) -> list[T]:
    """Of regions that several readers drew those of the reader who drew most, of equals the first.

    The boxes of all would mark each finding as often as it was seen, and no reader did that.
    """
    drawn: dict[str | None, list[T]] = {}
    for region in found:
        drawn.setdefault(reader_of(region), []).append(region)
    return max(drawn.values(), key=len, default=[])


def _given_text(row: Row, seen_sizes: Sequence[Size], frame: BoxFrame) -> str | None:
    given = [region for region in row.get("regions") or () if is_given(region)]
    if not given:
        return None
    info, names = row.get("image_info") or [], image_names(row, len(seen_sizes))
    lines = [f"Given as [x1, y1, x2, y2], corners {UNITS[frame]}:"]
    for region in given:
        index = region["image"]
        if not 0 <= index < min(len(seen_sizes), len(info)):
            what = f"a given region is on image {index} of {len(seen_sizes)} that are shown"
            raise Misaligned(what, fix="show the image, or leave the record out")
        box = Box(region["x_min"], region["y_min"], region["x_max"], region["y_max"])
        size = (info[index]["width"], info[index]["height"])
        corners = whole_corners(box, stored_size=size, seen_size=seen_sizes[index], frame=frame)
        place = f" in {names[index]}" if len(seen_sizes) > 1 else ""
        lines.append(f"{region['label']}{place}: {list(corners)}")
    return "\n".join(lines)


def _has_line(text: str, line: str) -> bool:
    """Whether `line`, which may have several, stands in the text with nothing beside it."""
    return f"\n{_trimmed(line)}\n" in f"\n{_trimmed(text)}\n"


def _trimmed(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
