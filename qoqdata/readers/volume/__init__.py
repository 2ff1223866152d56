"""Volume readers (NIfTI, MetaImage, NRRD) and the geometry between voxels, patient and image.

`read_volume` takes any of them; `choose_slices` and `slice_image` turn a volume into images, and
`percentile_range` gives a range of grey where no window is known. For annotations that are points
in millimetres, `voxel_from_world` and `stored_from_voxel` lead to the stored image, and
`voxel_from_stored` and `world_from_voxel` lead back.
"""

from __future__ import annotations

from pathlib import Path

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.volume import metaimage, nifti, nrrd
from qoqdata.readers.volume.datafile import open_regular
from qoqdata.readers.volume.grey_range import finite, percentile_range
from qoqdata.readers.volume.grid import (
    Volume,
    axis_codes,
    channel_fix,
    check_same_grid,
    grid_difference,
    voxel_from_world,
    world_from_voxel,
)
from qoqdata.readers.volume.inflate import leading_bytes
from qoqdata.readers.volume.labels import label_volume
from qoqdata.readers.volume.nonfinite import without_nonfinite
from qoqdata.readers.volume.orientation import (
    Plane,
    anatomical_axes,
    axis_of_plane,
    plane_of_axis,
    through_plane_axis,
)
from qoqdata.readers.volume.resample import resample_onto
from qoqdata.readers.volume.slice_policy import (
    SlicePolicy,
    choose,
    choose_slices,
    describe,
    for_split,
    within_budget,
)
from qoqdata.readers.volume.slices import (
    SliceFrame,
    slice_frame,
    slice_image,
    stored_from_voxel,
    upright,
    voxel_from_stored,
    voxel_plane,
)

__all__ = [
    "Plane",
    "SliceFrame",
    "SlicePolicy",
    "Volume",
    "anatomical_axes",
    "axis_codes",
    "axis_of_plane",
    "channel_fix",
    "check_same_grid",
    "choose",
    "choose_slices",
    "describe",
    "finite",
    "for_split",
    "grid_difference",
    "label_volume",
    "percentile_range",
    "plane_of_axis",
    "read_volume",
    "resample_onto",
    "slice_frame",
    "slice_image",
    "stored_from_voxel",
    "through_plane_axis",
    "upright",
    "voxel_from_stored",
    "voxel_from_world",
    "voxel_plane",
    "within_budget",
    "without_nonfinite",
    "world_from_voxel",
]

SUFFIXES = {
    ".nii": "nifti", ".hdr": "nifti", ".img": "nifti", ".nii.gz": "nifti", ".hdr.gz": "nifti",
    ".img.gz": "nifti", ".mhd": "metaimage", ".mha": "metaimage", ".nrrd": "nrrd", ".nhdr": "nrrd",
}  # fmt: skip
READERS = {"nifti": nifti.read_nifti, "metaimage": metaimage.read_metaimage, "nrrd": nrrd.read_nrrd}


def read_volume(
    path: Path | str, *, channel: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Volume:
    """Read a volume of any format known here; the content decides, the name must not contradict.

    channel: of a file of several volumes (times, contrasts, colours, components of a vector) the
    one to take, counted from 0; without it, a series keeps its fourth axis and colours are refused.
    A gzipped NIfTI may lack the .gz and the other way round. Raises UnsupportedFormat for a file
    that neither its name nor its content gives to one of the readers, UnreadableFile for one that
    is not what its name says, and what the reader of its format raises.
    """
    path = Path(path)
    name_kind = next(
        (kind for end, kind in SUFFIXES.items() if path.name.lower().endswith(end)), None
    )
    content_kind = _format_of_content(path, limits)
    # The .img of a pair has no magic of its own, and a damaged header is its reader's to explain.
    kind = content_kind or name_kind
    if kind is None:
        raise UnsupportedFormat(
            "neither name nor content is that of NIfTI, MetaImage or NRRD",
            where=str(path),
            fix="convert the volume to NIfTI",
        )
    if name_kind and kind != name_kind:
        raise UnreadableFile(f"named as {name_kind}, but holds {kind}", where=str(path))
    return READERS[kind](path, channel=channel, limits=limits)


def _format_of_content(path: Path, limits: Limits) -> str | None:
    where = str(path)
    with open_regular(path, limits) as stream:
        head = stream.read(540)
        if head[:2] == b"\x1f\x8b":
            stream.seek(0)
            head = leading_bytes(stream, "gzip", 540, where=where)
            return "nifti" if nifti.recognise(head) else None
    if head.startswith(b"NRRD0"):
        return "nrrd"
    if nifti.recognise(head):
        return "nifti"
    first = head.lstrip()[:20]
    return "metaimage" if first.startswith((b"ObjectType", b"NDims")) else None
