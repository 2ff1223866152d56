"""Real images and their changed copies: how many copies are found, and what is taken for one.

The data set is built and looked at as a user does it; peers get the same files.
"""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

import qoqdata
from benchmarks.cpu import cpu_seconds
from qoqdata.curation.recipe import Likeness
from qoqdata.curation.sameness import sameness

Pixels = NDArray[np.uint8]
_LONGEST = 512
#: Beside the copies: of each image's number what it is of.
_SUBJECTS = "subjects.txt"


def _jpeg(quality: int) -> Callable[[Pixels], Pixels]:
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]

    def encoded(one: Pixels) -> Pixels:
        image = cv2.imdecode(cv2.imencode(".jpg", one, settings)[1], cv2.IMREAD_COLOR)
        return np.asarray(image, np.uint8)

    return encoded


def _scaled(factor: float) -> Callable[[Pixels], Pixels]:
    def scaled(one: Pixels) -> Pixels:
        smaller = cv2.resize(one, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return np.asarray(smaller, np.uint8)

    return scaled


def _cut(share: float) -> Callable[[Pixels], Pixels]:
    def cut(one: Pixels) -> Pixels:
        down, across = (int(share * side) for side in one.shape[:2])
        return one[down : one.shape[0] - down, across : one.shape[1] - across]

    return cut


def _cut_unevenly(one: Pixels) -> Pixels:
    """Off the top, bottom, left and right."""
    rows, columns = one.shape[:2]
    return one[: round(0.9 * rows), round(0.03 * columns) : round(0.93 * columns)]


def _window(one: Pixels) -> Pixels:
    return np.clip((one.astype(np.float32) - 40) * 255 / 170, 0, 255).astype(np.uint8)


COPIES: dict[str, Callable[[Pixels], Pixels]] = {
    "the same": lambda one: one,
    "JPEG 60": _jpeg(60),
    "half the size": _scaled(0.5),
    "a third, JPEG 80": lambda one: _jpeg(80)(_scaled(1 / 3)(one)),
    "gamma 0.7": lambda one: (255 * (one / 255) ** 0.7).astype(np.uint8),
    "window 40 to 210": _window,
    "flipped": lambda one: one[:, ::-1],
    "turned by 90": lambda one: np.rot90(one),
    "2 % cut off each side": _cut(0.02),
    "5 % cut off each side": _cut(0.05),
    "10 % cut off each side": _cut(0.10),
    "0, 10, 3, 7 % cut off": _cut_unevenly,
    "5 % cut, a third, JPEG 80": lambda one: _jpeg(80)(_scaled(1 / 3)(_cut(0.05)(one))),
    "10 % cut, window, JPEG 60": lambda one: _jpeg(60)(_window(_cut(0.10)(one))),
}


def real_images(folder: Path) -> Iterator[tuple[str, Pixels]]:
    """Images below a folder, BGR, at most 512 long, with what each is of: a lesion of HAM10000 by
    its id, or the file itself; without masks and uniform ones."""
    lesions: dict[str, str] = {}
    for table in folder.rglob("HAM10000_metadata.csv"):
        with table.open(newline="") as file:
            lesions |= {row["image_id"]: row["lesion_id"] for row in csv.DictReader(file)}
    for path in sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png", ".jpeg")):
        if any(word in path.name.lower() for word in ("mask", "segmentation", "ho.png")):
            continue
        image = cv2.imread(str(path))
        if image is None or min(image.shape[:2]) < 64 or image.std() < 2:
            continue
        pixels = np.asarray(image, np.uint8)
        factor = _LONGEST / max(pixels.shape[:2])
        subject = lesions.get(path.stem, path.stem)
        yield subject, pixels if factor >= 1 else _scaled(factor)(pixels)


def write_copies(images: list[tuple[str, Pixels]], raw: Path) -> None:
    """Every image and its copies as PNG, a table with one patient a file, and what they are of."""
    raw.mkdir(parents=True)
    rows = ["file,label,patient,set,note"]
    subjects = [f"{number:04},{subject}" for number, (subject, _) in enumerate(images)]
    (raw / _SUBJECTS).write_text("\n".join(subjects))
    for number, (_, image) in enumerate(images):
        for way, (name, change) in enumerate(COPIES.items()):
            # The original is the copy of no change, so "the same" is written twice.
            for copy in range(2 if name == "the same" else 1):
                file = f"{number:04}-{way:02}-{copy}.png"
                cv2.imwrite(str(raw / file), change(image))
                rows.append(f"{file},a,p{file},train,{file}")
    (raw / "labels.csv").write_text("\n".join(rows) + "\n")


MAPPING = {
    "slug": "copies",
    "name": "Copies",
    "domain": "pathology",
    "question": "What does it show?",
    "labels": {"a": "Tissue"},
    "table": {
        "file": "labels.csv",
        "key": "file",
        "labels": "label",
        "patient": "patient",
        "split": "set",
        "context": "note",
    },
}


class Found(NamedTuple):
    """Pairs of files that were taken for copies, and CPU-seconds of looking for them."""

    pairs: list[tuple[str, str]]
    seconds: float


class Rates(NamedTuple):
    """Recall of the original by copy; pairs that are of one image, of two of one lesion, and of
    others. `precision` leaves out those of a lesion, which are two photographs of one thing."""

    recall: dict[str, float]
    right: int
    same_lesion: int
    wrong: int

    @property
    def precision(self) -> float:
        return self.right / max(self.right + self.wrong, 1)


def ours(raw: Path, out: Path) -> Found:
    """What we find; the seconds are those after the build."""
    qoqdata.build("image_table", raw=raw, out=out, mapping=MAPPING, workers=0)
    dataset = qoqdata.open(out)
    # Raw paths of own files are keyed; the context of a record names its file.
    names = pl.DataFrame(dataset.files.leaves(["context"]))["context"].to_list()
    found = []
    spent = cpu_seconds(lambda: found.append(sameness(dataset, **Likeness().model_dump())))
    same = found[0]
    pairs = same.pairs_both_ways().select("content", "other_content")
    shown = same.shown.select("record", "content")
    both = (
        shown.join(pairs, on="content")
        .join(shown.rename({"record": "other", "content": "other_content"}), on="other_content")
        .filter(pl.col("record") < pl.col("other"))
    )
    return Found([(names[a], names[b]) for a, b in both.select("record", "other").rows()], spent)


def peer(python: str, name: str, raw: Path) -> Found:
    """What a package of `by_peer.py` finds, in an environment that has it."""
    script = Path(__file__).with_name("by_peer.py")
    command = [python, script, name, raw]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line.split("\t") for line in out.splitlines()]
    seconds = next(float(line[1]) for line in lines if line[0] == "CPU")
    return Found([(line[1], line[2]) for line in lines if line[0] == "PAIR"], seconds)


def rates(pairs: Sequence[tuple[str, str]], raw: Path, half: int) -> Rates:
    """Of the images with even (0) or odd (1) numbers and their copies: thresholds are set by the
    even ones."""
    subjects = dict(line.split(",") for line in (raw / _SUBJECTS).read_text().splitlines())
    own = {number: subject for number, subject in subjects.items() if int(number) % 2 == half}
    original = "-00-0.png"
    hits = dict.fromkeys(COPIES, 0)
    right = same_lesion = wrong = 0
    for one, other in pairs:
        if one[:4] not in own or other[:4] not in own:
            continue
        if one[:4] != other[:4]:
            same = own[one[:4]] == own[other[:4]]
            same_lesion, wrong = same_lesion + same, wrong + (not same)
            continue
        right += 1
        if original in (one[4:], other[4:]):
            copy = other if one.endswith(original) else one
            hits[list(COPIES)[int(copy[5:7])]] += 1
    recall = {name: count / len(own) for name, count in hits.items()}
    return Rates(recall, right, same_lesion, wrong)
