"""COVID-19 Detection X-Ray: films of four classes in folders, without the augmented copies."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit

PICTURES = ("*.jpg", "*.jpeg", "*.png", "*.bmp", "*.gif", "*.tif", "*.tiff", "*.webp")
#: Folders of films; of a film that is in both the first keeps it.
PARTS: dict[str, Split] = {"ValData": "validation", "NonAugmentedTrain": "train"}
#: The folder of NonAugmentedTrain's films once more, with turned and stretched ones among them.
COPIES = "TrainData"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a film, known by its bytes: names repeat from folder to folder, and so do films.

    Raises MissingFile where a class has no film in a part.
    """
    paths: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files(*PICTURES):
        folders = path.split("/")[:-1]
        paths[next((one for one in folders if one in (*PARTS, COPIES)), "")].append(path)
    for part in PARTS:
        classes = {_folder(path) for path in paths[part]}
        if lost := next((name for name in job.card.labels if name not in classes), None):
            raise MissingFile("holds no film", where=f"{part}/{lost}", fix="fetch the whole set")
    films: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for part in PARTS:
        for path in paths[part]:
            try:
                films[job.raw.digest([path], limits=job.limits)].append((part, path))
            except InputError as error:
                yield Refused(_key(part, path), error, (path,))
    for digest, copies in films.items():
        yield from _plan_film(digest, copies)
    for path in paths[COPIES]:
        try:
            original = films.get(job.raw.digest([path], limits=job.limits))
        except InputError as error:
            yield Refused(_key(COPIES, path), error, (path,))
            continue
        told = f"of {original[0][1]}" if original else f"made of others; {COPIES} is not read"
        reason = "copy" if original else "augmented"
        yield Filtered(_key(COPIES, path), reason, f"a copy {told}", (path,))
    for path in paths[""]:
        what = f"lies in none of {', '.join((*PARTS, COPIES))}"
        yield Refused(path, MissingKey(what, where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """What the film shows and, of a pneumonia, whether it is bacterial or viral."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    shown: dict[str, Any] = {"images": (image,), "notes": notes}
    folder = unit.facts["folder"]
    label = translate(job.card, folder, where=unit.files[0])
    diagnosis = Record(**ask(job.card, "diagnosis", [label]), **shown)
    causes = job.card.tasks["cause"].labels
    if folder not in causes:
        return [diagnosis, Skipped("cause", "no_cause", f"{label} is no pneumonia of either kind")]
    return [diagnosis, Record(**ask(job.card, "cause", [causes[folder]]), **shown)]


def _plan_film(digest: str, copies: list[tuple[str, str]]) -> Iterator[Planned]:
    """A unit for the first file of a film, of which all must be of one class."""
    classes = sorted({_folder(path) for _, path in copies})
    (part, path), *others = copies
    if len(classes) > 1:
        for part, path in copies:
            what = f"the same film is in {' and in '.join(classes)}"
            error = DuplicateKey(
                what, where=path, fix="remove the file that is in the wrong folder"
            )
            yield Refused(_key(part, path), error, (path,), digest, PARTS[part])
        return
    facts = {"folder": classes[0]}
    yield Unit(_key(part, path), (path,), digest, split=PARTS[part], facts=facts)
    for part, other in others:
        yield Filtered(_key(part, other), "copy", f"a copy of {path}", (other,))


def _folder(path: str) -> str:
    return path.split("/")[-2]


def _key(part: str, path: str) -> str:
    """The path from the part on, wherever that lies."""
    folders = path.split("/")
    return "/".join(folders[folders.index(part) :])
