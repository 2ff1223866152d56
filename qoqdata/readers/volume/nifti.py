"""NIfTI-1 and NIfTI-2 volumes (.nii, .nii.gz, and .hdr/.img pairs, gzipped or not).

Sources: the NIfTI-1 header definition (nifti1.h, NIMH) and NIfTI-2 (nifti2.h). nibabel interprets
the header; the voxels are read here, because their declared size must be checked against the
limits and the file before memory is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import MissingFile, UnreadableFile, UnsupportedFormat
from qoqdata.readers.beside import resolve_beside
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.raw_file import is_raw_file, raw_name
from qoqdata.readers.volume.datafile import open_regular
from qoqdata.readers.volume.grid import (
    Volume,
    affine_fault,
    channel_fix,
    checked_volume,
    grid_corners,
)
from qoqdata.readers.volume.inflate import leading_bytes
from qoqdata.readers.volume.payload import Payload, padding_allowed, read_values

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

HEADER_BYTES = {348: "nifti1", 540: "nifti2"}
MAGIC = {
    "nifti1": {b"n+1\0": "", b"ni1\0": " pair"},
    "nifti2": {b"n+2\0\r\n\x1a\n": "", b"ni2\0\r\n\x1a\n": " pair"},
}
MAGIC_AT = {"nifti1": 344, "nifti2": 4}

DTYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4",
    1024: "i8", 1280: "u8",
}  # fmt: skip
REFUSED_DTYPES = {
    1: "1-bit", 32: "complex64", 1536: "float128", 1792: "complex128", 2048: "complex256",
}  # fmt: skip
# Datatypes of 8-bit colours, interleaved voxel by voxel: RGB24 and RGBA32.
COLOURS = {128: 3, 2304: 4}

MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
# sform and qform written by one program differ by float32 rounding; more is a contradiction.
FORMS_AGREE_MM = 0.01
SIZES_AGREE = 0.01
# Voxels with no longer edge are in metres or an unknown unit, unless the header says millimetres.
SMALLEST_UNSTATED_MM = 0.01


@dataclass(frozen=True)
class _Kind:
    """What the first bytes of a header say: format name and byte order ("<" or ">")."""

    source_format: str
    order: str


def recognise(head: bytes) -> _Kind | None:
    """The NIfTI kind of a file that begins with `head` (at least 348 bytes), or None."""
    for order in ("<", ">"):
        if len(head) < 4:
            return None
        name = HEADER_BYTES.get(int(np.frombuffer(head, f"{order}i4", 1)[0]))
        if name is None:
            continue
        at = MAGIC_AT[name]
        for magic, suffix in MAGIC[name].items():
            if head[at : at + len(magic)] == magic:
                return _Kind(name + suffix, order)
    return None


def read_nifti(
    path: Path | str, *, channel: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Volume:
    """Read a NIfTI file; of a pair either the .hdr or the .img may be named.

    voxels: (i, j, k) or (i, j, k, t); single axes beyond the third are dropped. With `channel`,
    (i, j, k) of one time point, component of a vector, or colour (0 red to 2 blue). The file's
    dtype in native byte order, or float32 when scl_slope/scl_inter say more than "times 1 plus 0"
    (computed in float64). A slope of 0 or NaN means no scaling (nifti1.h).
    affine: sform where its code is above 0, else qform, as nibabel chooses; millimetres unless the
    header names metres or microns, which are converted. Contradictions go to `repairs`: forms more
    than 0.01 mm apart, forms that cannot be used, neither form set (then left and right are not
    known; nibabel's default, the first axis to the left, is taken and said so).

    Raises MissingFile, OutsideRoot, TooLarge, UnreadableFile, InputError for a channel that is not
    there, and UnsupportedFormat for complex, 1-bit and 128-bit types, colours and vectors without
    `channel`, matrices, surfaces and Analyze 7.5 files.
    """
    header_path = _header_path(Path(path))
    where = str(header_path)
    head, is_gzip = _head(header_path, limits)
    kind = recognise(head)
    if kind is None:
        raise _not_nifti(head, where)
    header = _parse(head, kind, where)
    dtype, dtype_repairs = _dtype(header, kind, where)
    colours = COLOURS.get(int(header["datatype"]), 1)
    shape, repairs = _shape(header, colours, channel, where)
    limits.check_shape("voxels", shape, where=where)
    offset = _voxel_offset(header, kind, where)
    if kind.source_format.endswith("pair"):
        data_path = _partner(header_path)
        with open_regular(data_path, limits) as stream:
            is_gzip = stream.read(2) == b"\x1f\x8b"
    else:
        data_path = header_path
    payload = (
        Payload(data_path, "gzip", skip=offset)
        if is_gzip
        else Payload(data_path, "raw", offset=offset)
    )
    slack = padding_allowed(shape[0] * shape[1] * dtype.itemsize * colours)
    count = int(np.prod(shape, dtype=np.int64))
    values, value_repairs = read_values([payload], dtype, count, slack=slack, limits=limits)
    with np.errstate(all="ignore"):
        affine, affine_repairs, sideless = _affine(header, shape, where)
    if colours > 1:
        voxels, step = np.moveaxis(values.reshape((colours, *shape[:3]), order="F"), 0, 3), 0.0
    else:
        voxels, step = _scaled(values.reshape(shape, order="F"), header, where)
    return checked_volume(
        voxels,
        affine,
        source_format=kind.source_format,
        repairs=repairs + dtype_repairs + value_repairs + affine_repairs,
        where=where,
        step=step,
        sideless=sideless,
        channel=channel,
    )


def _header_path(path: Path) -> Path:
    """The file that holds the header: for an .img that is not a single file, its .hdr."""
    name = path.name.lower()
    if not name.endswith((".img", ".img.gz")):
        return path
    for candidate in _with_stem(path, ".hdr"):
        if is_raw_file(candidate):
            return candidate
    raise MissingFile("the .hdr that belongs to this .img is absent", where=str(path))


def _partner(header: Path) -> Path:
    for candidate in _with_stem(header, ".img"):
        if is_raw_file(candidate):
            return resolve_beside(header, raw_name(candidate))
    raise MissingFile("the .img that belongs to this .hdr is absent", where=str(header))


def _with_stem(path: Path, suffix: str) -> list[Path]:
    """Names of the partner of `path`: same stem, `suffix` in the same case, gzipped or not."""
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    if bare.suffix.isupper():
        suffix = suffix.upper()
    return [bare.with_suffix(suffix), bare.with_suffix(suffix + ".gz")]


def _head(path: Path, limits: Limits) -> tuple[bytes, bool]:
    with open_regular(path, limits) as stream:
        is_gzip = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        head = leading_bytes(stream, "gzip" if is_gzip else "raw", 540, where=str(path))
    return head, is_gzip


def _not_nifti(head: bytes, where: str) -> UnreadableFile | UnsupportedFormat:
    if head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and len(head) >= 348:
        return UnsupportedFormat(
            "an Analyze 7.5 header: it does not tell left from right",
            where=where,
            fix="convert to NIfTI with a program that knows the orientation",
        )
    return UnreadableFile("no NIfTI header at its start", where=where, fix="fetch the file again")


def _parse(head: bytes, kind: _Kind, where: str) -> Nifti1Header:
    import nibabel

    classes = {"nifti1": nibabel.Nifti1Header, "nifti2": nibabel.Nifti2Header}
    header_class: Any = classes[kind.source_format[:6]]
    size = header_class.template_dtype.itemsize
    if len(head) < size:
        raise UnreadableFile("the header is cut short", where=where, fix="fetch the file again")
    header: Nifti1Header = header_class(head[:size], endianness=kind.order, check=False)
    return header


def _shape(
    header: Nifti1Header, colours: int, channel: int | None, where: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(i, j, k) or (i, j, k, t) from dim[], with what was dropped; t may be colours.

    Components of a vector, on the fifth axis, and colours need a `channel`.
    """
    dims = [int(side) for side in header["dim"]]
    if not 1 <= dims[0] <= 7:
        raise UnreadableFile(f"declares {dims[0]} dimensions", where=where)
    sides = dims[1 : 1 + dims[0]]
    if any(side <= 0 for side in sides):
        raise UnreadableFile(f"declares an impossible shape {tuple(sides)}", where=where)
    shape = list(sides)
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    several = [side for side in (*shape[3:], colours) if side > 1]
    if len(several) > 1 or (channel is None and (len(shape) > 4 or colours > 1)):
        what = "colours" if colours > 1 else "vectors and matrices"
        raise UnsupportedFormat(
            f"shape {tuple(sides)}: {what} per voxel are not read"
            + (f" ({colours} colours, RGB)" if colours > 1 else ""),
            where=where,
            fix=channel_fix(several[0]) if len(several) == 1 else "split it into volumes",
        )
    if len(shape) < 2:
        raise UnsupportedFormat(f"shape {tuple(sides)}: not an image", where=where)
    is_shorter = len(shape) < len(sides)
    repairs = (f"shape {tuple(sides)}: single axes beyond the third dropped",) if is_shorter else ()
    grid = (*shape[:3], 1)[:3]
    return (*grid, *several), repairs


def _dtype(header: Nifti1Header, kind: _Kind, where: str) -> tuple[np.dtype, tuple[str, ...]]:
    code = int(header["datatype"])
    if code in COLOURS:
        return np.dtype("u1"), ()
    if code in REFUSED_DTYPES:
        raise UnsupportedFormat(f"{REFUSED_DTYPES[code]} voxels are not read", where=where)
    if code not in DTYPES:
        raise UnreadableFile(f"unknown datatype code {code}", where=where)
    dtype = np.dtype(kind.order + DTYPES[code])
    bits = int(header["bitpix"])
    if bits == dtype.itemsize * 8:
        return dtype, ()
    return dtype, (f"bitpix {bits} contradicts datatype {dtype.name}, which was taken",)


def _voxel_offset(header: Nifti1Header, kind: _Kind, where: str) -> int:
    offset = float(header["vox_offset"])
    lowest = 0 if kind.source_format.endswith("pair") else header.single_vox_offset
    if not (lowest <= offset <= 2**31) or offset != int(offset):
        raise UnreadableFile(f"voxel data at byte {offset:g} of the file", where=where)
    return int(offset)


def _scaled(voxels: NDArray[Any], header: Nifti1Header, where: str) -> tuple[NDArray[Any], float]:
    """Voxels, as float32 where scaled, and what one step of scaled integers is worth (else 0)."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or np.isnan(slope) or (slope == 1 and inter == 0):
        return voxels, 0.0
    if not (np.isfinite(slope) and np.isfinite(inter)):
        raise UnreadableFile(f"scl_slope {slope}, scl_inter {inter}", where=where)
    output = np.empty(voxels.shape, np.float32, order="F")
    with np.errstate(over="ignore", invalid="ignore"):
        for last in range(voxels.shape[-1]):
            source = voxels[..., last]
            output[..., last] = source.astype(np.float64) * slope + inter
            if (np.isinf(output[..., last]) & np.isfinite(source)).any():
                raise UnreadableFile(f"scl_slope {slope:g} takes voxels past float32", where=where)
    return output, abs(slope) if voxels.dtype.kind in "iu" else 0.0


def _affine(
    header: Nifti1Header, shape: tuple[int, ...], where: str
) -> tuple[NDArray[np.float64], tuple[str, ...], str | None]:
    """RAS+ mm affine (4, 4), what had to be settled on the way, and why sides are not known."""
    repairs, sideless = _settle_pixdim(header), None
    unit = int(header["xyzt_units"]) & 7
    scale = MM_PER_UNIT.get(unit, 1.0)
    if unit == 0:
        _check_unstated_unit(header, where)
    elif unit not in MM_PER_UNIT:
        repairs.append(f"unknown unit of length {unit}: millimetres taken")
    elif scale != 1:
        repairs.append(f"lengths converted to mm (times {scale:g})")
    to_mm = np.diag([scale, scale, scale, 1.0])

    forms: dict[str, NDArray[Any]] = {}
    for name in ("sform", "qform"):
        code = int(header[f"{name}_code"])
        if code <= 0:
            continue
        form, fault = _form(header, name, to_mm)
        if form is not None:
            forms[name] = form
        else:
            repairs.append(f"{name} (code {code}) set aside: {fault}")
    if not forms and any(int(header[f"{name}_code"]) > 0 for name in ("sform", "qform")):
        raise UnreadableFile(
            "; ".join(repairs), where=where, fix="correct the sform or qform in the header"
        )
    if not forms:
        sideless = "neither sform nor qform is set"
        repairs.append(f"{sideless}: left and right are not known, LAS taken")
        forms["pixdim"] = to_mm @ _centred(header, shape)
    if len(forms) == 2:
        corners = [grid_corners(form, shape) for form in forms.values()]
        apart = float(np.linalg.norm(corners[0] - corners[1], axis=1).max())
        if apart > FORMS_AGREE_MM:
            repairs.append(f"sform and qform are up to {apart:.4g} mm apart: sform taken")
        if _mirrored(*forms.values()):
            sideless = "sform and qform call different sides the left one"
            repairs.append(sideless)
    affine = next(iter(forms.values()))
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    sizes = np.asarray(header["pixdim"][1:4], dtype=np.float64) * scale
    if not np.allclose(edges, sizes, rtol=SIZES_AGREE):
        text = " x ".join(f"{size:g}" for size in sizes)
        repairs.append(f"pixdim says {text} mm, the affine says otherwise: affine taken")
    return affine, tuple(repairs), sideless


def _mirrored(one: NDArray[Any], other: NDArray[Any]) -> bool:
    """Whether the axis that leads to the patient's side leads to the other one in `other`."""
    axis = int(np.abs(one[0, :3] / np.linalg.norm(one[:3, :3], axis=0)).argmax())
    return bool(one[0, axis] * other[0, axis] < 0)


def _check_unstated_unit(header: Nifti1Header, where: str) -> None:
    """Raise UnreadableFile where no unit is named and voxels are too small to be in mm."""
    used = min(3, int(header["dim"][0]))
    sizes = np.asarray(header["pixdim"][1 : 1 + used], dtype=np.float64)
    if 0 < sizes.max() < SMALLEST_UNSTATED_MM:
        text = " x ".join(f"{size:g}" for size in sizes)
        raise UnreadableFile(
            f"voxels of {text} in no stated unit of length: not mm in a clinical image",
            where=where,
            fix="name the unit in the header's xyzt_units",
        )


def _settle_pixdim(header: Nifti1Header) -> list[str]:
    """Make pixdim usable, as nifti1.h and nibabel's checks do; returns what was changed.

    A qfac of 0 counts as 1. Sizes lose their sign; a size of 0 becomes 1.
    """
    pixdim = header["pixdim"]
    if pixdim[0] == 0:
        pixdim[0] = 1
    repairs = []
    if (pixdim[1:4] < 0).any():
        repairs.append("negative pixdim: sign dropped")
        pixdim[1:4] = np.abs(pixdim[1:4])
    if (pixdim[1:4] == 0).any():
        if (pixdim[1 : 1 + min(3, int(header["dim"][0]))] == 0).any():
            repairs.append("pixdim of 0: 1 taken")
        pixdim[1:4][pixdim[1:4] == 0] = 1
    return repairs


def _form(
    header: Nifti1Header, name: str, to_mm: NDArray[Any]
) -> tuple[NDArray[Any] | None, str | None]:
    """The sform or qform in RAS+ mm, or None and why it cannot be used."""
    from nibabel.spatialimages import HeaderDataError

    try:
        form = to_mm @ (header.get_sform() if name == "sform" else header.get_qform())
    except (HeaderDataError, ValueError) as error:
        return None, str(error)
    fault = affine_fault(form)
    return (None, fault) if fault else (form, None)


def _centred(header: Nifti1Header, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """nibabel's affine for a header without forms: LAS, world origin at the grid's centre."""
    sizes = np.array([-1.0, 1.0, 1.0]) * header["pixdim"][1:4]
    affine = np.diag([*sizes, 1.0])
    affine[:3, 3] = -sizes * (np.array(shape[:3]) - 1) / 2
    return affine
