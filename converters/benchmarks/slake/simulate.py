"""A made-up SLAKE: images with English and Chinese questions in three JSON files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from qoqdata.simulation import film, write_jpeg, write_text

PLACES = (
    ("X-Ray", "Lung", "Lung", "肺"),
    ("CT", "Abdomen", "Liver", "肝脏"),
    ("MRI", "Brain_Tissue", "Brain", "大脑"),
    ("CT", "Chest_heart", "Heart", "心脏"),
    ("X-Ray", "Pelvic Cavity", "Bladder", "膀胱"),
)
#: The part of each image, in turn.
FILES = ("train.json", "train.json", "test.json", "train.json", "validation.json")

Row = dict[str, object]

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("missing_file", "missing_key", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` images. With quirks: validate.json as in older copies, an image lost, cut, or without
    questions, one in Chinese only, an empty answer, a doubled blank.
    """
    rng = np.random.default_rng(seed)
    rows: dict[str, list[Row]] = {name: [] for name in sorted(set(FILES))}
    for number in range(n):
        place = PLACES[int(rng.integers(len(PLACES)))]
        pixels = np.repeat(film(rng, (80, 72 + int(rng.integers(16))))[..., None], 3, axis=2)
        write_jpeg(out / f"imgs/xmlab{number}/source.jpg", pixels)
        rows[FILES[number % len(FILES)]] += _questions(rng, number, place)
    qid = 0
    for name in ("train.json", "validation.json", "test.json"):
        for row in rows[name]:
            row["qid"], qid = qid, qid + 1
    if quirks:
        _break(out, rows)
    for name, own in rows.items():
        older = quirks and name == "validation.json"
        text = json.dumps(own, ensure_ascii=False)
        write_text(out / ("validate.json" if older else name), text)


def _questions(rng: np.random.Generator, number: int, place: tuple[str, ...]) -> list[Row]:
    modality, location, organ, chinese = place
    other = str(rng.choice([one[2] for one in PLACES if one[2] != organ]))
    yes = bool(rng.random() < 0.5)
    asked = [
        ("What modality is used to take this image?", modality, "OPEN", "Modality", "en"),
        (f"Does the picture contain {organ.lower()}?", "Yes", "CLOSED", "Organ", "en"),
        ("Does the organ look healthy?", "Yes" if yes else "No", "CLOSED", "Abnormality", "en"),
        (
            f"Which is bigger in this image,{other.lower()} or {organ.lower()} ?",
            organ,
            "CLOSED",
            "Size",
            "en",
        ),
        ("Is the tissue bright or dark here?", "Bright", "CLOSED", "Color", "en"),
        (f"图片中包含{chinese}吗?", "包含" if yes else "不包含", "CLOSED", "Organ", "zh"),
        ("图中最大的器官是什么?", chinese, "OPEN", "Size", "zh"),
    ]
    kept = [0, *sorted(rng.choice(range(1, len(asked)), 4, replace=False)), len(asked) - 1]
    return [
        {
            "img_id": number,
            "img_name": f"xmlab{number}/source.jpg",
            "question": question,
            "answer": answer,
            "q_lang": language,
            "location": location,
            "modality": modality,
            "answer_type": kind,
            "base_type": "vqa",
            "content_type": content,
            "triple": ["vhead", "_", "_"],
        }
        for question, answer, kind, content, language in (asked[n] for n in dict.fromkeys(kept))
    ]


def _break(out: Path, rows: dict[str, list[Row]]) -> None:
    """A fault or two in each of the first images of the training part, as far as they go."""
    train = rows["train.json"]
    names = list(dict.fromkeys(str(row["img_name"]) for row in train))
    train[0]["answer"] = f"{train[0]['answer']}  seen"
    train[1]["answer"] = " "
    write_jpeg(out / "imgs/xmlab_unasked/source.jpg", np.zeros((32, 32, 3), np.uint8))
    if len(names) > 1:
        path = out / "imgs" / names[1]
        path.write_bytes(path.read_bytes()[:300])
    if len(names) > 2:
        (out / "imgs" / names[2]).unlink()
    if len(names) > 3:
        rows["train.json"] = [
            row for row in train if row["img_name"] != names[3] or row["q_lang"] == "zh"
        ]
