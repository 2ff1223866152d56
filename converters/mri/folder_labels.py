"""Images whose folder is the label, as collections on Kaggle are: found at any depth, each once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from qoqdata.errors import BadLabel, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

IMAGES = ("*.jpg", "*.jpeg", "*.png")


@dataclass(frozen=True)
class LabelledImage:
    """An image file and the folders that say what it is, outermost first, the label last."""

    path: str
    folders: tuple[str, ...]

    @property
    def key(self) -> str:
        """Folders and name: the same in every copy, however deep it lies."""
        return "/".join((*self.folders, self.path.rpartition("/")[2]))


def plan_images(
    job: Job,
    levels: Sequence[Collection[str]],
    unit: Callable[[LabelledImage], Unit],
    *,
    elsewhere: Sequence[str] = (),
) -> Iterator[Planned]:
    """One unit an image; of files with the same bytes the first.

    `levels` are the folders that an image lies in, such as parts and labels, in the order in which
    files of the same bytes are kept; the last level is the label. A file with the bytes of one of
    `elsewhere`, images of another collection, is left out too. Refused are files in other folders,
    the same bytes under two labels, and different files of one key. Raises MissingFile where a
    folder has no image: a class that was not unpacked changes what every share of the rest says.
    """
    taken = frozenset(elsewhere)
    images: list[LabelledImage] = []
    for path in job.raw.files(*IMAGES):
        if path in taken:
            continue
        if (image := _labelled(path, levels)) is None:
            names = "/".join("|".join(level) for level in levels)
            stray = MissingKey("lies in no folder of a label", where=path, fix=f"folders: {names}")
            yield Refused(path, stray, (path,))
        else:
            images.append(image)
    _check_folders(images, levels)
    order = {folders: place for place, folders in enumerate(product(*levels))}
    images.sort(key=lambda one: (order[one.folders], one.key, one.path.count("/"), one.path))
    digests = {image.path: job.raw.digest([image.path], limits=job.limits) for image in images}
    others = {job.raw.digest([path], limits=job.limits): path for path in taken}
    same: dict[str, list[LabelledImage]] = defaultdict(list)
    keys: dict[str, set[str]] = defaultdict(set)
    for image in images:
        same[digests[image.path]].append(image)
        keys[image.key].add(digests[image.path])
    for image in images:
        digest = digests[image.path]
        first = same[digest][0]
        # A copy has the key of what it copies, and keys are unique.
        own = image.key if image == first else image.path
        if (error := _fault(image, same[digest], keys[image.key])) is not None:
            yield Refused(image.path, error, (image.path,))
        elif digest in others:
            message = f"is the same file as {others[digest]}"
            yield Filtered(own, "in_other_source", message, (image.path,))
        elif image != first:
            message = f"is the same file as {first.path}"
            yield Filtered(own, "duplicate", message, (image.path,))
        else:
            yield unit(image)


def _labelled(path: str, levels: Sequence[Collection[str]]) -> LabelledImage | None:
    parts = path.lower().split("/")[:-1][-len(levels) :]
    if len(parts) < len(levels):
        return None
    found = [part in level for part, level in zip(parts, levels, strict=True)]
    return LabelledImage(path, tuple(parts)) if all(found) else None


def _check_folders(images: Sequence[LabelledImage], levels: Sequence[Collection[str]]) -> None:
    there = {image.folders for image in images}
    for folders in product(*levels):
        if folders not in there:
            name = "/".join(folders)
            fix = "unpack the whole archive, and point --raw at it"
            raise MissingFile("the folder holds no image", where=name, fix=fix)


def _fault(
    image: LabelledImage, same: Sequence[LabelledImage], digests: Collection[str]
) -> InputError | None:
    labels = sorted({one.folders[-1] for one in same})
    if len(labels) > 1:
        return BadLabel(f"the same file lies in {' and '.join(labels)}", where=image.path)
    if len(digests) > 1:
        what = f"{len(digests)} different files are called {image.key}"
        return DuplicateKey(what, where=image.path, fix="keep the publisher's")
    return None
