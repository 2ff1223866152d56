"""Your own volumes with masks: slices, label maps and boxes from the masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, Self

from pydantic import Field, FiniteFloat, field_validator, model_validator

from qoqdata.contract.card import Card, MaskCode
from qoqdata.errors import BadLabel, InputError, MissingFile, MissingKey
from qoqdata.readers import volume
from qoqdata.readers.dicom import Window
from qoqdata.readers.volume import Plane, SlicePolicy, Volume
from qoqdata.records import slices
from qoqdata.records.content import Record
from qoqdata.sources.annotation_table import read_annotations, units
from qoqdata.sources.annotations import Annotation, answered
from qoqdata.sources.asking import ask
from qoqdata.sources.companions import data_files, without_data_files
from qoqdata.sources.joining import paths_by_key
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Job, Planned, Refused, Unit


class NiftiPairs(SourceMapping):
    """The mapping of volumes with masks."""

    image: str = Field(description="path pattern below the raw folder with one {key}")
    mask: str | None = Field(None, description="path pattern with the same {key}")
    plane: Plane | None = Field(None, description="default: through the coarsest axis")
    slices: int = Field(8, ge=1, description="slices kept of a volume")
    policy: Literal["uniform", "mask", "all"] = Field(
        "uniform", description="which slices: evenly, through the mask (train only), or every one"
    )
    window: tuple[float, float] | None = Field(None, description="[centre, width]; default: range")
    channel: int | None = Field(
        None, ge=0, description="of files of several volumes the one to show, from 0"
    )
    mask_channel: int | None = Field(None, ge=0, description="the same, of mask files")
    nonfinite: Literal["background"] | FiniteFloat | None = Field(
        None,
        description="in place of NaN and infinite voxels: background (the lowest finite value) or "
        "a number; default: refused",
    )
    mask_nonfinite: MaskCode | None = Field(
        None, description="code in place of NaN and infinite voxels of masks, such as 0"
    )

    @field_validator("image", "mask")
    @classmethod
    def _one_key(cls, pattern: str | None) -> str | None:
        if pattern is not None and pattern.count("{key}") != 1:
            raise ValueError("the pattern needs {key} once")
        return pattern

    @property
    def draws_boxes(self) -> bool:
        """Masks have boxes."""
        return self.mask is not None

    @model_validator(mode="after")
    def _structures_are_options(self) -> Self:
        if self.mask == self.image:
            raise ValueError("image and mask name the same files: the answer would be shown")
        if self.mask is None and (self.table is None or self.policy == "mask"):
            raise ValueError("without masks, labels come from a table and slices not from masks")
        stray = [name for name in self.mask_codes.values() if name not in self.answers]
        if self.table is None and self.from_labels and stray:
            raise ValueError(f"mask code {stray[0]!r} is not among the options")
        return self


def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, NiftiPairs]:
    """The card of the user's source."""
    settings = parse_mapping(NiftiPairs, mapping, source=card.slug)
    return complete_card(card, settings, modality="volume_3d"), settings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a key that has both files; a file without its partner is refused."""
    mapping: NiftiPairs = job.mapping
    listing = _listing(job, mapping.image)
    listed = frozenset(listing)
    images, refused = paths_by_key(listing, mapping.image)
    data = {path: data_files(path, job.raw, listed) for path in images.values()}
    images = without_data_files(images, chain(*data.values()))
    if not images and not refused:
        fix = f"the mapping's image pattern is {mapping.image}"
        raise MissingFile("no volume matches", where="the raw folder", fix=fix)
    pairs: dict[str, tuple[str, ...]] = {key: (path,) for key, path in images.items()}
    if mapping.mask is not None:
        masks, more = paths_by_key(_listing(job, mapping.mask), mapping.mask)
        data |= {path: data_files(path, job.raw, listed) for path in masks.values()}
        masks = without_data_files(masks, chain(*data.values()))
        images, masks = _told_apart(images, masks)
        refused += more
        known = {item.key for item in refused}
        for key in sorted((images.keys() ^ masks.keys()) - known):
            path, partner = (images[key], "mask") if key in images else (masks[key], "volume")
            refused.append(Refused(key, MissingKey(f"has no {partner}", where=path), (path,)))
        pairs = {key: (images[key], masks[key]) for key in sorted(images.keys() & masks.keys())}
    # Their pixels are looked at as well, so that a build notices when they change.
    pairs = {key: (*files, *chain(*(data[path] for path in files))) for key, files in pairs.items()}
    yield from refused
    if mapping.table is None:
        for key, files in pairs.items():
            yield Annotation(()).unit(key, files)
        return
    yield from units(
        read_annotations(job, mapping),
        pairs,
        table=mapping.table.file,
        listing=listing,
        told=[item.key for item in refused],
    )


def convert(unit: Unit, job: Job) -> list[Record]:
    """Slices with masks and boxes; the label is the table's, or what the masks contain."""
    mapping: NiftiPairs = job.mapping
    image = _read(job, unit.files[0], mapping.channel, mapping.nonfinite)
    mask = None
    if mapping.mask is not None:
        mask = _read(job, unit.files[1], mapping.mask_channel, mapping.mask_nonfinite)
    policy = SlicePolicy(mapping.policy, count=mapping.slices, plane=mapping.plane)
    window = Window(*mapping.window, "LINEAR_EXACT") if mapping.window else None
    try:
        stack = slices.cut_slices(image, mask, mapping.mask_codes, policy=policy, window=window)
    except InputError as error:
        error.where = error.where or image.where
        raise
    if mapping.table is not None or mapping.kind == "boxes":
        several = answered(job.card, mapping.task, unit, stack.regions or ())
    else:
        structures = {region.label for region in stack.regions or ()}
        if not structures:
            assert mask is not None
            what, fix = "the mask is empty: no structure is drawn in it", "leave the case out"
            if mask.voxels.any():
                what = "the chosen slices show no structure of the mask"
                fix = "take more of them (`slices`), or those through it (`policy: mask`)"
            raise BadLabel(what, where=mask.where, fix=fix)
        several = [ask(job.card, mapping.task, structures)]
    return [
        Record(
            **fields,
            images=stack.images,
            masks=stack.masks,
            regions=stack.regions,
            notes=stack.notes,
        )
        for fields in several
    ]


def _told_apart(
    images: dict[str, str], masks: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Each file on one side: where both patterns match it, the one that finds its partner counts.

    The pattern {key}.nii.gz of images also matches what {key}_seg.nii.gz names: a mask, and no
    image of a case "a_seg".
    """
    pairs = images.keys() & masks.keys()
    paired = {masks[key] for key in pairs}
    images = {key: path for key, path in images.items() if key in pairs or path not in paired}
    taken = set(images.values())
    return images, {k: path for k, path in masks.items() if k in pairs or path not in taken}


def _read(
    job: Job, path: str, channel: int | None, nonfinite: float | Literal["background"] | None
) -> Volume:
    """One volume of a file; NaN and infinity stay where the mapping gives them no value."""
    one = volume.read_volume(job.raw.resolve(path), channel=channel, limits=job.limits)
    return one if nonfinite is None else volume.without_nonfinite(one, nonfinite)


def _listing(job: Job, pattern: str) -> Sequence[str]:
    """What the pattern may name: the members of an archive, or the files of the tree."""
    return job.raw.files(pattern.replace("{key}", "*")) if "#" in pattern else job.raw.files()
