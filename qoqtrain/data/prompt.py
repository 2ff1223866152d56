"""What a policy is told: a record as an ordered list of parts of one user turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qoqdata import answer_format
from qoqdata.boxes import BoxFrame, Size
from qoqdata.question import image_names, question_text, targets

Boxes = Literal["annotated", "always", "never"]


@dataclass(frozen=True)
class TextPart:
    """Words."""

    text: str


@dataclass(frozen=True)
class ImagePlace:
    """The place of image `index`."""

    index: int


@dataclass(frozen=True)
class EcgWindowPlace:
    """The place of ECG window `index`."""

    index: int


Part = TextPart | ImagePlace | EcgWindowPlace


def prompt(
    record: Mapping[str, Any],
    *,
    seen_sizes: Sequence[Size] = (),
    windows: Sequence[str] = (),
    frame: BoxFrame = "pixels",
    boxes: Boxes = "annotated",
) -> list[Part]:
    """The user turn for one record: images, ECG, what is asked (`qoqdata.question`), what to write.

    seen_sizes  (width, height) of each image that the record shows, as the policy sees it
    windows     a caption for each ECG window
    frame       what corners are told and to be written in
    boxes       "annotated": regions are asked for where the record says which are to be found, and
                be it that there are none; without images they never are

    A modality that the record lacks leaves no trace. Raises as `question_text`.
    """
    images = len(seen_sizes)
    parts: list[Part] = []
    for index, caption in enumerate(captions(record, images)):
        if caption:
            parts.append(TextPart(f"{caption}: "))
        parts += [ImagePlace(index), TextPart("\n")]
    for index, caption in enumerate(windows):
        parts += [TextPart(f"{caption}: "), EcgWindowPlace(index), TextPart("\n")]
    asked = question_text(record, seen_sizes=seen_sizes, frame=frame)
    parts.append(TextPart(f"{asked}\n\n{instruction(record, images, frame, boxes)}"))
    return parts


def captions(record: Mapping[str, Any], images: int) -> list[str | None]:
    """A caption for each image; None for a single image of which nothing is known."""
    info = record.get("image_info") or []
    lines: list[str | None] = []
    for index, name in enumerate(image_names(record, images)):
        facts = _facts(info[index]) if index < len(info) else ""
        words = name if images > 1 else name.removesuffix(" 1")
        lines.append(f"{words}{facts}" if images > 1 or facts else None)
    return lines


def instruction(record: Mapping[str, Any], images: int, frame: BoxFrame, boxes: Boxes) -> str:
    """How to answer: reasoning, then boxes where they are asked for, then the boxed answer."""
    marked = images if asks_boxes(record, images, boxes) else 0
    return answer_format.instruction(record, marked=marked, frame=frame)


def asks_boxes(record: Mapping[str, Any], images: int, boxes: Boxes) -> bool:
    """Whether this record's answer holds boxes."""
    if not images or boxes == "never":
        return False
    return boxes == "always" or targets(record.get("regions"), record.get("kind")) is not None


def _facts(info: Mapping[str, Any]) -> str:
    window = info.get("window") or {}
    facts = [info.get("view"), info.get("laterality"), window.get("name")]
    words = [str(fact) for fact in facts if fact]
    return f" ({', '.join(words)})" if words else ""
