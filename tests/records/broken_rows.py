"""For each rule rows that break it."""

from __future__ import annotations

import copy
from typing import Any

from tests.records.sound_rows import (
    HEIGHT,
    WIDTH,
    ecg_row,
    encoded,
    facts,
    image_row,
    mask_info,
    region,
)

VOCABULARY = "one of the vocabulary"


MASK_ONLY: dict[str, Any] = {"images": None, "image_info": None}


def ecg(**changes: Any) -> dict[str, Any]:
    return ecg_row(ecg=ecg_row()["ecg"] | changes)


def mask(data: bytes) -> list[dict[str, Any]]:
    return [{"bytes": data, "path": "mask"}]


NUMBER: dict[str, Any] = {"value": 12.5, "unit": "mm", "tolerance": 0.5}


NUMBER_ONLY = "there for kind number and no other"


def number_row(**changes: Any) -> dict[str, Any]:
    return image_row(
        kind="number", number=NUMBER | changes, answer="12.5 mm", options=None, labels=None
    )


def without(row: dict[str, Any], column: str, member: str) -> dict[str, Any]:
    row = copy.deepcopy(row)
    part = row[column][0] if isinstance(row[column], list) else row[column]
    del part[member]
    return row


#: name: (row, column, rule)
BROKEN: dict[str, tuple[dict[str, Any], str, str]] = {
    # The shape of columns.
    "unknown column": (image_row(extra=1), "extra", "no other columns"),
    "member missing": (
        without(image_row(), "regions", "reader"),
        "regions[0].reader",
        "every member is there",
    ),
    "provenance member missing": (
        without(image_row(), "provenance", "notes"),
        "provenance.notes",
        "every member is there",
    ),
    "null in a list": (image_row(labels=["Opacity", None]), "labels[1]", "not null"),
    "null image": (image_row(images=[None]), "images[0]", "not null"),
    "null box corner": (image_row(regions=[region(x_min=None)]), "regions[0].x_min", "not null"),
    "null digest": (
        image_row(provenance=image_row()["provenance"] | {"digest": None}),
        "provenance.digest",
        "not null",
    ),
    "unknown domain": (image_row(domain="dental"), "domain", "one of the vocabulary"),
    "unknown modality": (image_row(modality="audio"), "modality", "one of the vocabulary"),
    "unknown split": (image_row(split="dev"), "split", "one of the vocabulary"),
    "unknown sex": (image_row(sex="F"), "sex", "one of the vocabulary"),
    "unknown kind": (image_row(kind="essay"), "kind", "one of the vocabulary"),
    "unknown role": (image_row(regions=[region(role="hint")]), "regions[0].role", VOCABULARY),
    "unknown terms": (image_row(redistribution="yes"), "redistribution", "one of the vocabulary"),
    # Null is absent; empty is a value.
    "blank question": (image_row(question=" "), "question", "absent text is null, not empty"),
    "empty answer": (
        image_row(kind="open", answer="", options=None, labels=None, uncertain=None),
        "answer",
        "absent text is null, not empty",
    ),
    "empty context": (image_row(context=""), "context", "absent text is null, not empty"),
    "empty reasoning": (image_row(reasoning="\n"), "reasoning", "absent text is null, not empty"),
    "no images as a list": (
        image_row(images=[], image_info=[], regions=None, masks=None, mask_info=None),
        "images",
        "absent is null, not an empty list",
    ),
    "no masks as a list": (
        image_row(masks=[], mask_info=[]),
        "masks",
        "absent is null, not an empty list",
    ),
    "no options as a list": (
        image_row(options=[], labels=None, uncertain=None),
        "options",
        "absent is null, not an empty list",
    ),
    # Ages.
    "age above the cap": (image_row(age=91), "age", "between 0 and 90"),
    "negative age": (image_row(age=-1), "age", "between 0 and 90"),
    # Modalities.
    "images in an ECG record": (
        image_row(modality="ecg"),
        "images",
        "an ECG record shows no image",
    ),
    "ECG in an image record": (
        image_row(ecg=ecg_row()["ecg"]),
        "ecg",
        "an image record holds no ECG",
    ),
    "ECG in a video record": (
        image_row(modality="video", ecg=ecg_row()["ecg"]),
        "ecg",
        "an image record holds no ECG",
    ),
    # Images and masks.
    "facts without images": (image_row(images=None), "image_info", "one entry an image"),
    "images without facts": (image_row(image_info=None), "image_info", "one entry an image"),
    "fewer facts than images": (
        image_row(images=image_row()["images"] * 2),
        "image_info",
        "one entry an image",
    ),
    "image of another width": (
        image_row(image_info=[facts(width=WIDTH + 1)]),
        "images[0]",
        "the stored image has the stated size",
    ),
    "image turned": (
        image_row(images=mask(encoded(width=HEIGHT, height=WIDTH))),
        "images[0]",
        "the stored image has the stated size",
    ),
    "no image at all": (
        image_row(images=mask(b"not an image")),
        "images[0]",
        "the stored image has the stated size",
    ),
    "image cut inside its header": (
        image_row(images=mask(encoded()[:20])),
        "images[0]",
        "the stored image has the stated size",
    ),
    "image without bytes": (
        image_row(images=[{"bytes": None, "path": "a.png"}]),
        "images[0]",
        "the stored image has the stated size",
    ),
    "more masks than images": (
        image_row(masks=image_row()["masks"] * 2),
        "mask_info",
        "one entry a mask",
    ),
    "mask of image 1 of 1": (
        image_row(mask_info=[mask_info(image=1)]),
        "mask_info[0].image",
        "names a stored image",
    ),
    "canvas 1 without canvas 0": (
        image_row(**MASK_ONLY, regions=None, mask_info=[mask_info(image=1)]),
        "mask_info",
        "canvases are numbered from 0",
    ),
    "mask that states its image's size and has another": (
        image_row(masks=mask(encoded(width=WIDTH - 1))),
        "masks[0]",
        "the stored image has the stated size",
    ),
    "mask of another size": (
        image_row(masks=mask(encoded(width=WIDTH - 1)), mask_info=[mask_info(width=WIDTH - 1)]),
        "masks[0]",
        "a mask has its image's size",
    ),
    "lossy mask": (image_row(masks=mask(encoded("JPEG"))), "masks[0]", "masks are lossless: PNG"),
    "mask without image that is none": (
        image_row(**MASK_ONLY, regions=None, masks=mask(b"GIF89a")),
        "masks[0]",
        "masks are lossless: PNG",
    ),
    # Boxes.
    "box of image 1 of 1": (
        image_row(regions=[region(image=1)]),
        "regions[0].image",
        "names a stored image",
    ),
    "box of image -1": (
        image_row(regions=[region(image=-1)]),
        "regions[0].image",
        "names a stored image",
    ),
    "box without image and mask": (
        image_row(**MASK_ONLY, masks=None, mask_info=None),
        "regions[0].image",
        "names a stored image",
    ),
    "box of an absent mask": (
        image_row(**MASK_ONLY, regions=[region(image=1)]),
        "regions[0].image",
        "names a stored image",
    ),
    **{
        f"box {name}": (
            image_row(regions=[region(), region(**corners)]),
            "regions[1]",
            "a box lies inside its image",
        )
        for name, corners in {
            "beyond the left edge": {"x_min": -1.0},
            "beyond the top edge": {"y_min": -1.0},
            "beyond the right edge": {"x_max": WIDTH + 1.0},
            "beyond the bottom edge": {"y_max": HEIGHT + 1.0},
            "with x and y exchanged": {"x_max": float(HEIGHT), "y_max": float(WIDTH)},
            "without width": {"x_min": 2.0, "x_max": 2.0},
            "turned over": {"y_min": 3.0, "y_max": 1.0},
            "of NaN": {"x_min": float("nan")},
            "without end": {"x_max": float("inf")},
        }.items()
    },
    # Labels and answers.
    **{
        f"{column} with {mark!r}": (
            image_row(**{column: [f"Mass{mark}node"], "answer": "Opacity, Effusion"}),
            column,
            "labels survive the scorer's separators",
        )
        for column in ("options", "labels", "uncertain", "absent")
        for mark in (",", " and ", "&", "\n")
    },
    "options repeat": (
        image_row(options=["Clear", "Opacity", "Effusion", "Clear"]),
        "options",
        "no repeats",
    ),
    "labels repeat": (image_row(labels=["Opacity", "Opacity"]), "labels", "no repeats"),
    "label not offered": (image_row(labels=["Mass"]), "labels", "labels are options"),
    "doubt not offered": (image_row(uncertain=["Mass"]), "uncertain", "labels are options"),
    "denial not offered": (image_row(absent=["Mass"]), "absent", "labels are options"),
    "asserted and denied": (
        image_row(absent=["Opacity"]),
        "absent",
        "a denied label is neither asserted nor doubted",
    ),
    "doubted and denied": (
        image_row(uncertain=["Clear"], absent=["Clear"]),
        "absent",
        "a denied label is neither asserted nor doubted",
    ),
    "closed question without options": (
        image_row(options=None),
        "options",
        "a closed question has options",
    ),
    "several answers to a question for one": (
        image_row(kind="single"),
        "answer",
        "the answer is an option or a join of options",
    ),
    "part of a choice": (
        image_row(kind="choice", options=["Left, up", "A"], answer="Left", labels=None),
        "answer",
        "the answer is an option or a join of options",
    ),
    # Numbers.
    "number without number": (
        image_row(kind="number"),
        "number",
        "there for kind number and no other",
    ),
    "number of another kind": (image_row(number=NUMBER), "number", NUMBER_ONLY),
    "number that is none": (
        number_row(value=float("nan")),
        "number",
        "a finite value and a tolerance from 0",
    ),
    "negative tolerance": (
        number_row(tolerance=-1.0),
        "number",
        "a finite value and a tolerance from 0",
    ),
    **{
        f"place {place}": (
            image_row(
                kind="number",
                answer="Opacity",
                labels=None,
                number=NUMBER | {"value": place, "unit": None},
            ),
            "number.value",
            "the place of the answer among the options",
        )
        for place in (0.0, 0.5, 2.0, 3.0, -1.0)
    },
    "label in another case": (image_row(labels=["opacity"]), "labels", "labels are options"),
    **{
        f"answer {answer!r}": (
            image_row(answer=answer),
            "answer",
            "the answer is an option or a join of options",
        )
        for answer in (
            "Mass",
            "Opacity, Mass",
            "Opacity,Effusion",
            "Opacity and Effusion",
            "Opacity, ",
            "Opacity, Opacity",
            "opacity",
            " Opacity",
        )
    },
    # ECGs.
    "no lead": (ecg(leads=[], signal=[], valid=[]), "ecg.leads", "leads are named once each"),
    "lead twice": (ecg(leads=["I", "I"]), "ecg.leads", "leads are named once each"),
    "rate 0": (ecg(fs=0.0), "ecg.fs", "a positive rate"),
    "rate NaN": (ecg(fs=float("nan")), "ecg.fs", "a positive rate"),
    "rate without bound": (ecg(fs=float("inf")), "ecg.fs", "a positive rate"),
    "more leads than rows": (ecg(leads=["I", "II", "III"]), "ecg.signal", "leads x samples"),
    "samples x leads": (ecg(signal=[[0.0, 1.0]] * 3), "ecg.signal", "leads x samples"),
    "a null lead": (ecg(signal=[[0.0, 1.0, 2.0], None]), "ecg.signal", "leads x samples"),
    "a null mask": (ecg(valid=[[True] * 3, None]), "ecg.valid", "leads x samples"),
    "ragged leads": (ecg(signal=[[0.0] * 3, [0.0] * 2]), "ecg.signal", "leads x samples"),
    "microvolts called millivolts": (
        ecg(signal=[[-400.0, 0.0, 500.0], [-90.0, 0.0, 210.0]]),
        "ecg.signal",
        "millivolts as electrodes give them",
    ),
    "no sample": (ecg(signal=[[], []], valid=[[], []]), "ecg.signal", "leads x samples"),
    "nothing usable": (
        ecg(valid=[[False] * 3] * 2),
        "ecg.valid",
        "a lead has a usable sample",
    ),
    "mask of one lead": (ecg(valid=[[True] * 3]), "ecg.valid", "the mask has the signal's shape"),
    "mask too short": (
        ecg(valid=[[True] * 3, [True] * 2]),
        "ecg.valid",
        "the mask has the signal's shape",
    ),
    "NaN in the signal": (
        ecg(signal=[[0.0, float("nan"), 0.0], [0.0] * 3]),
        "ecg.signal",
        "finite millivolts",
    ),
    "infinity in the signal": (
        ecg(signal=[[0.0] * 3, [0.0, 0.0, float("-inf")]]),
        "ecg.signal",
        "finite millivolts",
    ),
    "millivolts beyond float32": (
        ecg(signal=[[0.0] * 3, [0.0, 0.0, 1e300]]),
        "ecg.signal",
        "finite millivolts",
    ),
}
