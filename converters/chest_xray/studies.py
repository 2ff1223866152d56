"""Studies of several films: which are shown, in which order, and the question for a film's view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.records.content import Image, Record
from qoqdata.sources.asking import ask, pick
from qoqdata.sources.protocol import Converted, Skipped

FRONTAL = ("PA", "AP")
#: The views that the task `view` offers.
VIEWS = {"PA": "Postero-anterior", "AP": "Antero-posterior", "LATERAL": "Lateral", "LL": "Lateral"}

#: A film of a study and what was repaired.
Read = Callable[[str], tuple[Image, tuple[str, ...]]]


def show_films(
    films: Sequence[tuple[str, str | None]], read: Read, *, most: int
) -> tuple[tuple[Image, ...], tuple[str, ...]]:
    """Images of at most `most` of the `films` (path and view), frontal before others, then by
    path, and notes."""
    order = sorted(films, key=lambda film: (film[1] not in FRONTAL, film[0]))
    images, notes = [], list[str]()
    for path, view in order[:most]:
        image, repairs = read(path)
        images.append(replace(image, view=view))
        notes += repairs
    if len(order) > len(images):
        notes.append(f"{len(images)} of {len(order)} films of the study")
    return tuple(images), tuple(dict.fromkeys(notes))


def ask_view(
    card: Card, images: Sequence[Image], shown: Mapping[str, Any], *, key: str
) -> Converted:
    """The projection of one of the films with a known view, picked by the study's key.

    Prompts caption their images with the view, so this film is shown without.
    """
    known = [image for image in images if image.view in VIEWS]
    if not known:
        return Skipped("view", "no_view", "the projection of no film is known")
    image = known[pick(key, len(known))]
    bare = {**shown, "images": (replace(image, view=None),)}
    return Record(**ask(card, "view", [VIEWS[image.view or ""]]), **bare)
