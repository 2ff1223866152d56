"""Your own images with a table: one record an image or, with items, one a question about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, field_validator, model_validator

from qoqdata.contract.card import Card, MaskCode
from qoqdata.errors import DuplicateKey
from qoqdata.readers import masks
from qoqdata.readers.limits import Limits
from qoqdata.records.content import Mask, Record
from qoqdata.records.images import check_mask, image_from_file, regions_from_boxes
from qoqdata.sources.annotation_table import join_files
from qoqdata.sources.annotations import annotated_unit, answered
from qoqdata.sources.joining import check_pattern
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Job, Planned, Refused, Unit

HexColour = Annotated[str, Field(pattern="^#[0-9A-Fa-f]{6}$")]
IMAGES = ("*.jpg", "*.jpeg", "*.png", "*.tif", "*.tiff", "*.bmp", "*.webp", "*.jp2", "*.gif")


class ImageTable(SourceMapping):
    """The mapping of an image table."""

    image: str | None = Field(
        None,
        description="image paths below the raw folder, such as images/{key}.png: {key} is the "
        "table's key, {name} its last part, {stem} that without extension, * any text",
    )
    mask: str | None = Field(None, description="mask path: {stem} and {folder} of the image")
    binarise: bool | Annotated[int, Field(ge=1, le=255)] | None = Field(
        None,
        description="masks of one structure in grey levels (JPEG, soft edges): true for levels "
        "from 128 on, or a threshold; default: only where a lossy mask leaves no doubt",
    )
    mask_colours: dict[HexColour, MaskCode] | None = Field(
        None, description='code of each colour of painted masks: {"#000000": 0, "#ff0000": 1}'
    )
    bits: int | None = Field(
        None,
        ge=1,
        le=16,
        description="bits in use in 16-bit files; needed where that is 14 or fewer",
    )

    @field_validator("image")
    @classmethod
    def _names_a_key(cls, pattern: str | None) -> str | None:
        return pattern if pattern is None else check_pattern(pattern)

    @property
    def draws_boxes(self) -> bool:
        """Masks have boxes."""
        return self.mask is not None

    @model_validator(mode="after")
    def _masks_have_one_reading(self) -> Self:
        structures = set(self.mask_codes) - {0}
        if self.binarise and len(structures) != 1:
            raise ValueError(f"binarise needs one code under mask_codes, not {len(structures)}")
        if self.binarise and self.mask_colours:
            raise ValueError("give binarise or mask_colours, not both")
        for colour, code in (self.mask_colours or {}).items():
            if code not in {0, *self.mask_codes}:
                raise ValueError(f"{colour} has the code {code}, which mask_codes does not name")
        return self

    def read_mask(self, path: Path, *, limits: Limits) -> masks.LabelMap:
        """The label map of a mask file, read as the mapping says."""
        is_threshold = self.binarise is not None and not isinstance(self.binarise, bool)
        colours = None
        if self.mask_colours is not None:
            colours = {_rgb(name): code for name, code in self.mask_colours.items()}
        return masks.read_mask(
            path,
            codes=self.mask_codes,
            binarise=None if self.binarise is None else bool(self.binarise),
            threshold=int(self.binarise or 0) if is_threshold else masks.THRESHOLD,
            colours=colours,
            limits=limits,
        )


def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, ImageTable]:
    """The card of the user's source."""
    settings = parse_mapping(ImageTable, mapping, source=card.slug)
    return complete_card(card, settings, modality="image_2d"), settings


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image that the table names; images that no row names are refused, and so are
    several of one mask."""
    mapping: ImageTable = job.mapping
    image_paths = job.raw.files(*IMAGES)
    masks = {_mask_path(path, mapping) for path in image_paths} if mapping.mask else set()
    images = [path for path in image_paths if path not in masks]
    listing = [path for path in job.raw.files() if path not in masks]
    pairs = [
        *join_files(job, mapping, images, pattern=mapping.image, listing=listing, reads=IMAGES)
    ]
    paths = [item[0] for item in pairs if isinstance(item, tuple)] if mapping.mask else []
    fit = Counter(_mask_path(path, mapping) for path in paths)
    for item in pairs:
        if not isinstance(item, tuple):
            yield item
            continue
        path, annotations = item
        mask = _mask_path(path, mapping)
        if mask is None:
            yield annotated_unit(path, (path,), annotations)
        elif fit[mask] > 1 and mask != mapping.mask:
            what = f"its mask {mask} is that of {fit[mask]} images"
            fix = "tell them apart in the pattern, such as `mask: masks/{folder}/{stem}.png`"
            yield Refused(path, DuplicateKey(what, where=path, fix=fix), (path, mask))
        else:
            yield annotated_unit(path, (path, mask), annotations)


def convert(unit: Unit, job: Job) -> list[Record]:
    """The image, and its mask with boxes where the mapping names one."""
    mapping: ImageTable = job.mapping
    path = job.raw.resolve(unit.files[0])
    image, notes = image_from_file(path, bits=mapping.bits, limits=job.limits)
    mask = regions = None
    if len(unit.files) > 1:
        mask_path = job.raw.resolve(unit.files[1])
        label_map = mapping.read_mask(mask_path, limits=job.limits)
        notes += tuple(f"mask: {note}" for note in label_map.notes)
        check_mask(label_map, image, where=str(mask_path))
        mask = (Mask(label_map.codes),)
        regions = regions_from_boxes(masks.boxes(label_map.codes, label_map.table), image=0)
    return [
        Record(
            **fields,
            images=(image,),
            masks=mask,
            regions=regions,
            notes=notes,
        )
        for fields in answered(job.card, mapping.task, unit, regions or ())
    ]


def _rgb(colour: str) -> masks.Colour:
    """Red, green and blue, 0 to 255, of #rrggbb."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def _mask_path(path: str, mapping: ImageTable) -> str | None:
    if mapping.mask is None:
        return None
    folder, _, name = path.rpartition("/")
    return mapping.mask.format(stem=name.rpartition(".")[0], folder=folder)
