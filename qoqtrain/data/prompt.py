"""What a policy is told: a record as an ordered list of parts of one user turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qoqdata.boxes import BoxFrame

Boxes = Literal["annotated", "always", "never"]

_NOUNS = {"volume_3d": "Slice", "video": "Frame"}
_UNITS = {
    "pixels": "in pixels of the image as you see it, from its upper left corner",
    "thousandths": "in thousandths of its width and height, from its upper left corner",
}


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
    images: int,
    windows: Sequence[str] = (),
    frame: BoxFrame = "pixels",
    boxes: Boxes = "annotated",
) -> list[Part]:
    """The user turn for one record: images, ECG, context, question, options, what to write.

    images    how many images the record shows
    windows   a caption for each ECG window
    frame     what corners are to be written in
    boxes     "annotated": regions are asked for where the record says what they are, and be it
              that there are none; without images they never are

    Options are listed where the question does not name them all. A modality that the record lacks
    leaves no trace.
    """
    parts: list[Part] = []
    for index, caption in enumerate(captions(record, images)):
        if caption:
            parts.append(TextPart(f"{caption}: "))
        parts += [ImagePlace(index), TextPart("\n")]
    for index, caption in enumerate(windows):
        parts += [TextPart(f"{caption}: "), EcgWindowPlace(index), TextPart("\n")]
    lines = []
    if context := record.get("context"):
        lines.append(f"Context:\n{context}\n")
    lines.append(question_text(record["question"], record.get("options")))
    lines.append("")
    lines.append(instruction(record, images, frame, boxes))
    parts.append(TextPart("\n".join(lines)))
    return parts


def captions(record: Mapping[str, Any], images: int) -> list[str | None]:
    """A caption for each image; None for a single image of which nothing is known."""
    noun = _NOUNS.get(record.get("modality") or "", "Image")
    info = record.get("image_info") or []
    lines: list[str | None] = []
    for index in range(images):
        facts = _facts(info[index]) if index < len(info) else ""
        number = f" {index + 1}" if images > 1 else ""
        lines.append(f"{noun}{number}{facts}" if number or facts else None)
    return lines


def question_text(question: str, options: Sequence[str] | None) -> str:
    """The question, followed by those of its options that it does not list itself."""
    lines = {line.strip() for line in question.splitlines()}
    if not options or all(option in lines for option in options):
        return question
    return "\n".join([question, "Options:", *options])


def instruction(record: Mapping[str, Any], images: int, frame: BoxFrame, boxes: Boxes) -> str:
    """How to answer: reasoning, then boxes where they are asked for, then the boxed answer."""
    sentences = ["First reason step by step between <think> and </think>."]
    if asks_boxes(record, images, boxes):
        image = '"image": number of the image counted from 0, ' if images > 1 else ""
        sentences.append(
            "Then mark the regions that your answer rests on as a JSON list in a ```json block, "
            f'one object a region: {{{image}"bbox_2d": [x1, y1, x2, y2], "label": what it shows}}. '
            f"Corners are {_UNITS[frame]}. An empty list says that there is nothing to mark."
        )
    sentences.append("End with the final answer in \\boxed{}.")
    if record.get("options"):
        sentences.append("Where several options apply, separate them by commas.")
    return " ".join(sentences)


def asks_boxes(record: Mapping[str, Any], images: int, boxes: Boxes) -> bool:
    """Whether this record's answer holds boxes."""
    if not images or boxes == "never":
        return False
    return boxes == "always" or record.get("regions") is not None


def _facts(info: Mapping[str, Any]) -> str:
    window = info.get("window") or {}
    facts = [info.get("view"), info.get("laterality"), window.get("name")]
    words = [str(fact) for fact in facts if fact]
    return f" ({', '.join(words)})" if words else ""
