"""What is found of text burned into real images, what is flagged on clean ones, and what it costs.

    python -m benchmarks.burned_in FOLDER [--fit]

FOLDER holds real files by modality (see `pictures.MODALITIES`). Half of the images, by name, are
those that the weights of the screen were fitted to (`--fit` prints them anew); all figures are of
the other half. OCR is used where the extra `ocr` is installed. Lines are drawn in faces that the
fit has not seen as well.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.burned_in.lines import HERSHEY, MATPLOTLIB, OPENCV, Burned, burn
from benchmarks.burned_in.pictures import Picture, is_held_out, is_written, pictures
from benchmarks.cpu import best
from qoqdata import console
from qoqdata.curation.burned_in.looking import Seen, look
from qoqdata.curation.burned_in.recogniser import readings, recogniser_name
from qoqdata.curation.burned_in.screen import marks

_MOST = 60
#: Lines of each modality, spread over its images, and how many of them OCR reads: it takes long.
_LINES, _READ = 48, 16
_PROCESSES = 2


class Trial(NamedTuple):
    """An image with a line, or without (None), and what was found without and with OCR, None where
    OCR was not asked."""

    modality: str
    burned: Burned | None
    screen: list[Seen]
    both: list[Seen] | None


class Task(NamedTuple):
    """An image to look at, with its line, and whether OCR takes part."""

    modality: str
    pixels: np.ndarray
    burned: Burned | None
    ocr: bool


def main(folder: Path, *, fit: bool) -> None:
    """Print the weights, or the tables of docs/burned_in.md."""
    usable = [p for p in pictures(folder, most=_MOST) if not is_written(p)]
    if fit:
        from benchmarks.burned_in.fit import fitted

        weights = fitted([p for p in usable if not is_held_out(p)])
        console.say(", ".join(f"{weight:.8g}" for weight in weights))
        return
    held = [p for p in usable if is_held_out(p)]
    with ProcessPoolExecutor(_PROCESSES) as pool:
        trials = list(pool.map(_trial, chain(_clean(held), _written(held)), chunksize=2))
    console.say(f"{recogniser_name() or 'no OCR'}; {len(held)} clean images")
    clean = [t for t in trials if t.burned is None]
    legible = [t for t in trials if t.burned is not None and t.burned.legible]
    faint = [t for t in trials if t.burned is not None and not t.burned.legible]
    names = list(dict.fromkeys(t.modality for t in clean))
    parts = [(n, [t for t in clean if t.modality == n], [t for t in legible if t.modality == n])
             for n in names]  # fmt: skip
    rows = [(name, *_flagged(some), *_found(others)) for name, some, others in parts]
    rows.append(("all", *_flagged(clean), *_found(legible)))
    console.table(("modality", "clean", "flagged by screen", "with OCR", "lines",
                   "found by screen", "of lines", "with OCR", "box covered"), rows)  # fmt: skip
    console.say()
    ways: tuple[tuple[str, Callable[[Burned], object]], ...] = (
        ("language", lambda b: b.language),
        ("height", lambda b: b.height),
        ("contrast", lambda b: b.contrast),
        ("face", lambda b: b.face in MATPLOTLIB),
    )
    cells = [("faint lines", "", *_found(faint))]
    for what, way in ways:
        for value in sorted({way(t.burned) for t in legible if t.burned}, key=str):
            own = [t for t in legible if t.burned and way(t.burned) == value]
            cells.append((what, str(value), *_found(own)))
    console.table(
        ("by", "", "lines", "found by screen", "of lines", "with OCR", "box covered"), cells
    )
    _costs(held)


def _clean(held: list[Picture]) -> Iterable[Task]:
    for picture in held:
        yield Task(picture.modality, picture.pixels, None, True)


def _written(held: list[Picture]) -> Iterable[Task]:
    rng = random.Random(11)
    faces = (*OPENCV, *HERSHEY, *MATPLOTLIB)
    for modality in dict.fromkeys(p.modality for p in held):
        own = [p for p in held if p.modality == modality]
        for number in range(_LINES):
            burned = burn(own[number % len(own)].pixels, rng, faces)
            if burned is not None:
                yield Task(modality, burned.pixels, burned, number < _READ)


def _trial(task: Task) -> Trial:
    suspect = task.modality == "ultrasound"
    screen = look(task.pixels, suspect=suspect, ocr=False)
    ocr = task.ocr and recogniser_name() is not None
    both = look(task.pixels, suspect=suspect, ocr=True) if ocr else None
    return Trial(task.modality, task.burned, screen, both)


def _flagged(clean: list[Trial]) -> tuple[int, str, str]:
    """How many images there are, and the share flagged without and with OCR."""
    return len(clean), *(
        _percent([any(one.kind == "text" for one in seen) for seen in some if seen is not None])
        for some in ([t.screen for t in clean], [t.both for t in clean])
    )


def _found(trials: list[Trial]) -> tuple[int, str, int, str, str]:
    """Lines and the share found without OCR, the same with it, and the box share covered."""
    screen = [_covered(t.burned, t.screen) for t in trials if t.burned]
    both = [_covered(t.burned, t.both) for t in trials if t.burned and t.both is not None]
    boxes = [share for share in both or screen if share]
    box = f"{np.mean(boxes):.2f}" if boxes else ""
    shares = [_percent([share > 0 for share in some]) for some in (screen, both)]
    return len(screen), shares[0], len(both), shares[1], box


def _percent(hits: list[bool]) -> str:
    return f"{100 * np.mean(hits):.1f} %" if hits else ""


def _covered(burned: Burned, found: list[Seen]) -> float:
    """The share of the line's box that text found covers."""
    x0, y0, x1, y1 = burned.box
    canvas = np.zeros((y1 - y0, x1 - x0), bool)
    for one in found:
        if one.kind == "text":
            canvas[max(one.y0 - y0, 0) : max(one.y1 - y0, 0),
                   max(one.x0 - x0, 0) : max(one.x1 - x0, 0)] = True  # fmt: skip
    return float(canvas.mean())


def _costs(held: list[Picture]) -> None:
    cv2.setNumThreads(1)
    large = [p.pixels for p in held if p.pixels.shape[0] * p.pixels.shape[1] > 900_000]
    grey = [np.ascontiguousarray(p[..., 0]) for p in large]
    for name, some in (("grey", grey), ("colour", large)):
        cost = best(lambda some=some: [*map(marks, some)]) * 1000 / len(some)  # type: ignore[misc]
        console.say(f"screen, ms of CPU a {name} image of a megapixel: {cost:.0f}")
    if recogniser_name():
        cost = best(lambda: [*map(readings, large[:4])]) * 1000 / len(large[:4])
        console.say(f"OCR, ms of CPU an image of a megapixel: {cost:.0f}")


if __name__ == "__main__":
    folders = [Path(word) for word in sys.argv[1:] if not word.startswith("-")]
    if len(folders) != 1:
        raise SystemExit(__doc__)
    main(folders[0], fit="--fit" in sys.argv)
