"""The sizes of a record's stored images, told alike by every column that knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qoqdata.errors import InputError, Misaligned
from qoqdata.stream.decode.budget import Size
from qoqdata.stream.decode.encoded_images import Encoded


def sizes(
    images: Sequence[Encoded | None] | None,
    info: Sequence[Mapping[str, Any]] | None,
    masks: Sequence[Encoded | None] | None,
    where: str,
) -> list[Size] | None:
    """(width, height) of every stored image, or of every mask where there is no image.

    None when no column tells. Raises Misaligned where columns disagree.
    """
    stated = None if info is None else _stated(info, f"{where}image_info")
    found = stated
    if images is not None:
        found = []
        for index, encoded in enumerate(images):
            if encoded is None:
                raise InputError("is null", where=f"{where}images[{index}]")
            found.append(encoded.size)
            if stated is not None and index < len(stated) and stated[index] != encoded.size:
                raise Misaligned(
                    f"image is {encoded.size}, image_info says {stated[index]}",
                    where=f"{where}images[{index}]",
                )
    if found is None:
        if masks is None:
            return None
        if None in masks:
            raise Misaligned("a mask is null and there is no image", where=f"{where}masks")
        return [mask.size for mask in masks if mask is not None]
    for column, values in (("image_info", info), ("masks", masks)):
        if values is not None and len(values) != len(found):
            raise Misaligned(f"{len(values)} for {len(found)} images", where=f"{where}{column}")
    for index, mask in enumerate(masks or ()):
        if mask is not None and mask.size != found[index]:
            raise Misaligned(
                f"mask is {mask.size}, its image {found[index]}", where=f"{where}masks[{index}]"
            )
    return found


def _stated(info: Sequence[Mapping[str, Any] | None], where: str) -> list[Size] | None:
    """Sizes from `image_info`; None when they were not among the members read."""
    stated = []
    for index, facts in enumerate(info):
        if facts is not None and not {"width", "height"} <= facts.keys():
            return None
        width, height = (facts["width"], facts["height"]) if facts else (None, None)
        if not width or not height or min(width, height) < 1:
            raise InputError(f"states a size of {width} x {height}", where=f"{where}[{index}]")
        stated.append((width, height))
    return stated
