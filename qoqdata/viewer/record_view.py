"""One record as its page shows it: figures with what is drawn over them, texts, what was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qoqdata.curation.decisions import PersonDecision, standing_decisions
from qoqdata.curation.lineage import record_findings, record_rates, record_verdicts
from qoqdata.dataset import Dataset
from qoqdata.question import image_names
from qoqdata.viewer import ecg_paper
from qoqdata.viewer.media import COLOURS, mask_codes

COLOUR_COUNT = len(COLOURS)
#: Readers that are not kept apart.
UNNAMED = "unnamed"
#: Label states in words, by column.
STATES = (("labels", "asserted"), ("uncertain", "uncertain"), ("absent", "denied"))
#: Modalities whose images are scrolled through, one at a time.
_STACKS = ("volume_3d", "video")


@dataclass(frozen=True)
class Outline:
    """What is drawn over an image: a `box` (x_min, y_min, x_max, y_max in stored pixels), or a
    `mask` (number of the mask in the record, its code)."""

    label: str
    reader: str
    role: str
    box: tuple[float, ...] | None = None
    mask: tuple[int, int] | None = None


@dataclass(frozen=True)
class Figure:
    """An image or, where it has no `width`, a sheet of ECG; `number` counts from 0. Each outline
    comes with the number of its colour."""

    number: int
    name: str
    facts: str
    width: int = 0
    height: int = 0
    outlines: list[tuple[Outline, int]] = field(default_factory=list)


@dataclass(frozen=True)
class RecordView:
    """`layers` are labels that are drawn, with the number of their colour; `readers` who drew them;
    `beyond` how many outlines lie on images that the record does not hold. `stacked` figures are
    shown one at a time. `facts` and `texts` are names and values."""

    id: str
    figures: list[Figure]
    stacked: bool
    layers: list[tuple[str, int]]
    readers: list[str]
    beyond: int
    texts: list[tuple[str, str]]
    options: list[str]
    answer: str
    labels: list[tuple[str, list[str]]]
    reasoning: str
    facts: list[tuple[str, str]]
    verdicts: list[dict[str, Any]]
    findings: list[tuple[str, list[dict[str, Any]]]]
    rates: list[dict[str, Any]]
    decision: PersonDecision | None


def record_view(dataset: Dataset, record: Mapping[str, Any]) -> RecordView:
    """The view of a record as `read_records` gives it, with what side tables say of it.

    Raises DatasetError for a side table that is damaged.
    """
    images = record["images"] or []
    outlines = _outlines(dataset, record)
    names = list(dict.fromkeys(outline.label for _, outline in outlines))
    figures = [_image_figure(record, n, outlines, names) for n in range(len(images))]
    layout = dataset.files.layout("curation")
    decisions = {line.id: line for line in standing_decisions(layout)}
    return RecordView(
        id=record["id"],
        figures=figures or _sheets(record),
        stacked=not images or record["modality"] in _STACKS,
        layers=[(name, place % COLOUR_COUNT) for place, name in enumerate(names)],
        readers=sorted({outline.reader for _, outline in outlines}),
        beyond=sum(number >= len(images) for number, _ in outlines),
        texts=[(name, record[name]) for name in ("context", "question") if record[name]],
        options=record["options"] or [],
        answer=_answer(record),
        labels=[(state, record[name]) for name, state in STATES if record[name]],
        reasoning=record["reasoning"] or "",
        facts=_facts(record),
        verdicts=record_verdicts(layout, record["id"]),
        findings=record_findings(layout, record["id"]),
        rates=record_rates(dataset.files.layout("difficulty"), record["id"]),
        decision=decisions.get(record["id"]),
    )


def _outlines(dataset: Dataset, record: Mapping[str, Any]) -> list[tuple[int, Outline]]:
    """Boxes and masks with the number of the image each lies on."""
    found: list[tuple[int, Outline]] = []
    for region in record["regions"] or []:
        box = tuple(float(region[name]) for name in ("x_min", "y_min", "x_max", "y_max"))
        reader = region["reader"] or UNNAMED
        found.append((region["image"], Outline(region["label"], reader, region["role"], box=box)))
    names = dataset.cards[record["source"]].mask_codes
    masks, infos = record["masks"] or [], record["mask_info"] or []
    for number, (mask, info) in enumerate(zip(masks, infos, strict=True)):
        for code in mask_codes(mask["bytes"]):
            label = names.get(code, f"code {code}")
            reader = info["reader"] or UNNAMED
            found.append((info["image"], Outline(label, reader, "mask", mask=(number, code))))
    return found


def _image_figure(
    record: Mapping[str, Any],
    number: int,
    outlines: Iterable[tuple[int, Outline]],
    names: Sequence[str],
) -> Figure:
    info = record["image_info"][number]
    parts = [f"{info['width']} × {info['height']} px"]
    parts += [str(info[name]) for name in ("view", "laterality") if info[name]]
    if window := info["window"]:
        named = f"{window['name']} " if window["name"] else ""
        parts.append(f"window {named}{window['centre']:g} / {window['width']:g}")
    if info["index"] is not None:
        parts.append(f"raw index {info['index']}")
    if info["spacing"]:
        parts.append(" × ".join(f"{step:.3g}" for step in info["spacing"]) + " mm")
    return Figure(
        number=number,
        name=image_names(record, number + 1)[-1],
        facts=", ".join(parts),
        width=info["width"],
        height=info["height"],
        outlines=[
            (outline, names.index(outline.label) % COLOUR_COUNT)
            for image, outline in outlines
            if image == number
        ],
    )


def _sheets(record: Mapping[str, Any]) -> list[Figure]:
    if not record["ecg"]:
        return []
    ecg = record["ecg"]
    facts = f"{len(ecg['leads'])} leads, {ecg['fs']:g} Hz, 25 mm/s, 10 mm/mV"
    count = ecg_paper.sheets(ecg)
    return [Figure(n, f"ECG, sheet {n + 1} of {count}", facts) for n in range(count)]


def _answer(record: Mapping[str, Any]) -> str:
    number = record["number"]
    if not number:
        return str(record["answer"])
    unit = f" {number['unit']}" if number["unit"] else ""
    return f"{record['answer']} ({number['value']:g}{unit}, right within {number['tolerance']:g})"


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ("source", "domain", "modality", "task", "kind", "item", "split", "patient", "study")
    more = ("age", "sex", "licence", "redistribution", "reasoning_policy")
    made = record["provenance"] or {}
    rows = [(name, record[name]) for name in (*names, *more)]
    rows += [(f"raw {n + 1}", path) for n, path in enumerate(made.get("raw") or [])]
    rows += [(name, made.get(name)) for name in ("converter", "version", "algorithm", "digest")]
    rows += [("note", note) for note in made.get("notes") or []]
    return [(name.replace("_", " "), str(value)) for name, value in rows if value is not None]
