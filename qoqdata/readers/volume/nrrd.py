"""NRRD volumes: .nrrd with its data attached, and .nhdr with its data in other files.

Source: "Definition of NRRD File Format" (Teem), checked against ITK's reader. Data files must lie
in the header's own folder. World coordinates are brought from the header's space to RAS mm, here.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.beside import resolve_beside
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.volume.datafile import expand_pattern, open_regular
from qoqdata.readers.volume.grid import Volume, channel_fix, checked_volume, ras_from_lps
from qoqdata.readers.volume.nrrd_header import TYPES, NrrdHeader, is_list, read_nrrd_header
from qoqdata.readers.volume.payload import (
    Payload,
    PayloadEncoding,
    padding_allowed,
    read_values,
)

ENCODINGS: dict[str, PayloadEncoding] = {
    "raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2",
    "txt": "text", "text": "text", "ascii": "text", "hex": "hex",
}  # fmt: skip
# Signs that turn a space's coordinates into RAS.
SPACES = {
    "right-anterior-superior": (1, 1, 1), "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1), "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1), "lps": (-1, -1, 1),
}  # fmt: skip
# Spaces without patient axes, which ITK reads as LPS.
UNNAMED_SPACES = {"scanner-xyz", "3d-right-handed"}
SPACE_KINDS = {"domain", "space", "???", "none"}
SERIES_KINDS = {"list", "time", "domain", "???", "none"}
CHANNEL_KINDS = {
    "vector", "covariant-vector", "2-vector", "3-vector", "4-vector", "3-gradient", "3-normal",
    "point", "rgb-color", "rgba-color", "3-color", "4-color",
}  # fmt: skip
MM_PER_UNIT = {"": 1.0, "mm": 1.0, "um": 0.001, "micron": 0.001, "cm": 10.0, "m": 1000.0}


def read_nrrd(
    path: Path | str, *, channel: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Volume:
    """Read a NRRD file through its header (.nrrd or .nhdr).

    voxels: (i, j, k), or (i, j, k, t) when one more axis (kind list, time or unstated) is there;
    that axis is moved last, spatial axes keep the file's order. 2-D images are (i, j, 1). With
    `channel`, (i, j, k) of one place on that axis, which may then be of colours or of components of
    a vector. Native byte order.
    affine: from space directions and space origin, or from spacings (then LPS axes and origin 0, as
    ITK assumes); units um, cm and m are converted. What was assumed goes to `repairs`.

    Raises MissingFile, OutsideRoot, TooLarge, UnreadableFile, InputError for a channel that is not
    there, and UnsupportedFormat for block type, colours and vectors without `channel`, tensors,
    other encodings, left-handed or 4-D spaces, and axis mins/maxs.
    """
    header_path = Path(path)
    header = read_nrrd_header(header_path, limits=limits)
    n_axes = header.integer("dimension")
    if not 2 <= n_axes <= 5:
        raise UnsupportedFormat(f"{n_axes} dimensions: not an image", where=header.where)
    sizes = header.integers("sizes")
    if len(sizes) != n_axes:
        raise UnreadableFile(f"{len(sizes)} sizes for {n_axes} axes", where=header.where)
    limits.check_shape("voxels", tuple(sizes), where=header.where)
    space_axes, series_axis = _axes(header, sizes, channel)
    affine, repairs = _affine(header, space_axes)
    dtype, encoding = _element(header)
    payloads = _payloads(header, header_path, sizes, encoding, limits)
    slack = padding_allowed(sizes[0] * sizes[1] * dtype.itemsize)
    values, value_repairs = read_values(payloads, dtype, prod(sizes), slack=slack, limits=limits)
    order = [*space_axes, *([] if series_axis is None else [series_axis])]
    single = [axis for axis in range(n_axes) if axis not in order]
    voxels = values.reshape(sizes, order="F").squeeze(tuple(single))
    axes = sorted(order)
    voxels = voxels.transpose([axes.index(axis) for axis in order])
    return checked_volume(
        voxels if len(space_axes) == 3 else np.expand_dims(voxels, 2),
        affine,
        source_format="nrrd",
        repairs=repairs + value_repairs,
        where=header.where,
        sideless=None if header.fields.get("space", "").lower() in SPACES else "it names no space",
        channel=channel,
    )


def _axes(
    header: NrrdHeader, sizes: list[int], channel: int | None
) -> tuple[list[int], int | None]:
    """The spatial axes in file order, and the axis of a series (list or time) if there is one.

    With a `channel`, that axis may also be of colours or components.

    An axis is spatial when it has a space direction; without directions, when its kind says so;
    without kinds, when it is among the first three. Further axes of size 1 are dropped.
    """
    n_axes = len(sizes)
    kinds = [word.lower() for word in header.fields.get("kinds", "").split()]
    directions = header.vectors("spacedirections")
    for name, values in (("kinds", kinds), ("spacedirections", directions)):
        if name in header.fields and len(values or ()) != n_axes:
            raise header.fault(name)
    if directions is not None:
        spatial = [axis for axis in range(n_axes) if directions[axis] is not None]
    elif kinds:
        spatial = [axis for axis in range(n_axes) if kinds[axis] in SPACE_KINDS][:3]
    else:
        spatial = list(range(min(n_axes, 3)))
    rest = [axis for axis in range(n_axes) if axis not in spatial and sizes[axis] > 1]
    choices = ((spatial, SPACE_KINDS), (rest, SERIES_KINDS | CHANNEL_KINDS))
    odd = kinds and any(kinds[axis] not in known for axes, known in choices for axis in axes)
    is_volume = not odd and len(rest) < 2 and 2 <= len(spatial) <= 3
    needs_channel = bool(kinds) and any(kinds[axis] not in SERIES_KINDS for axis in rest)
    if not is_volume or (needs_channel and channel is None):
        raise UnsupportedFormat(
            f"{len(spatial)} spatial axes and kinds {' '.join(kinds) or 'unstated'}: not a volume "
            "or a series of volumes",
            where=header.where,
            fix=channel_fix(sizes[rest[0]]) if is_volume else "split it into volumes",
        )
    return spatial, (rest[0] if rest else None)


def _element(header: NrrdHeader) -> tuple[np.dtype, PayloadEncoding]:
    name = header.fields.get("type", "").lower()
    if name == "block":
        raise UnsupportedFormat("type block is not read", where=header.where)
    if name not in TYPES:
        raise header.fault("type")
    dtype = np.dtype(TYPES[name])
    encoding = header.fields.get("encoding", "").lower()
    if encoding not in ENCODINGS:
        if encoding:
            raise UnsupportedFormat(f"encoding {encoding} is not read", where=header.where)
        raise header.fault("encoding")
    if dtype.itemsize > 1 and ENCODINGS[encoding] != "text":
        endian = header.fields.get("endian", "").lower()
        if endian not in ("little", "big"):
            raise header.fault("endian")
        dtype = dtype.newbyteorder("<" if endian == "little" else ">")
    return dtype, ENCODINGS[encoding]


def _payloads(
    header: NrrdHeader, path: Path, sizes: list[int], encoding: PayloadEncoding, limits: Limits
) -> list[Payload]:
    """The data files in order. Lines are skipped before decoding, bytes after it."""
    line_skip, byte_skip = header.integer("lineskip", 0), header.integer("byteskip", 0)
    if line_skip < 0 or byte_skip < -1:
        raise UnreadableFile(f"skips {line_skip} lines, {byte_skip} bytes", where=header.where)
    if byte_skip and encoding in ("text", "hex"):
        raise UnsupportedFormat(f"byte skip in {encoding} data is not read", where=header.where)
    if byte_skip == -1 and encoding != "raw":
        raise UnsupportedFormat("byte skip -1 in encoded data is not read", where=header.where)
    names = _data_file_names(header, sizes, limits)
    files = (
        [(path, header.data_offset)]
        if names is None
        else [(resolve_beside(path, name), 0) for name in names]
    )
    payloads = []
    for file, start in files:
        offset = _after_lines(file, start, line_skip, limits)
        if byte_skip == -1:
            payloads.append(Payload(file, encoding, offset=-1))
        else:
            payloads.append(Payload(file, encoding, offset=offset, skip=byte_skip))
    return payloads


def _after_lines(path: Path, start: int, lines: int, limits: Limits) -> int:
    """Offset in the file after `lines` lines from `start`."""
    if lines == 0:
        return start
    with open_regular(path, limits) as stream:
        stream.seek(start)
        for _ in range(lines):
            if not stream.readline():
                raise UnreadableFile(f"has fewer than {lines} lines to skip", where=str(path))
        return stream.tell()


def _data_file_names(header: NrrdHeader, sizes: list[int], limits: Limits) -> list[str] | None:
    """Names of the detached data files, or None when the data are attached."""
    value = header.fields.get("datafile")
    if value is None:
        return None
    words = value.split()
    if is_list(header.fields):
        names, dimension = list(header.file_names), words[1:]
        _check_file_count(header, len(names), dimension, sizes, limits)
        return names
    if "%" in value:
        try:
            first, last, step = (int(word) for word in words[1:4])
        except ValueError as error:
            raise header.fault("datafile") from error
        if step == 0 or first < 0 or last < 0:
            raise header.fault("datafile")
        numbers = range(first, last + (1 if step > 0 else -1), step)
        _check_file_count(header, len(numbers), words[4:], sizes, limits)
        return expand_pattern(words[0], numbers, where=header.where)
    return [value]


def _check_file_count(
    header: NrrdHeader, count: int, dimension: list[str], sizes: list[int], limits: Limits
) -> None:
    """Raise unless `count` files of `dimension` axes each (default: all but one) make the array."""
    limits.check("frames", count, where=header.where)
    n_axes = len(sizes)
    digits = dimension[0] if dimension else str(n_axes - 1)
    if len(dimension) > 1 or not digits.isdecimal() or not 1 <= int(digits) <= n_axes:
        raise header.fault("datafile")
    # Files of all axes are slabs along the slowest one.
    slabs = int(digits) == n_axes and count > 0 and sizes[-1] % count == 0
    if not slabs and count != prod(sizes[int(digits) :]):
        raise UnreadableFile(
            f"{count} data files do not make an array of {tuple(sizes)}", where=header.where
        )


def _affine(
    header: NrrdHeader, space_axes: list[int]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """RAS+ mm affine (4, 4) and what the header left open."""
    directions = header.vectors("spacedirections")
    repairs: list[str] = []
    if directions is None:
        columns, origin = _columns_from_spacings(header, space_axes, repairs)
    else:
        vectors = [vector for axis in space_axes if (vector := directions[axis]) is not None]
        columns, origin = _columns_from_directions(header, vectors, repairs)
    signs = _space_signs(header, repairs)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = columns, origin
    if signs is None:
        return ras_from_lps(affine), tuple(repairs)
    return affine * np.array([*signs, 1.0])[:, np.newaxis], tuple(repairs)


def _space_signs(header: NrrdHeader, repairs: list[str]) -> tuple[int, int, int] | None:
    """Signs to RAS, or None for LPS taken by default, which `repairs` then says."""
    space = header.fields.get("space", "").lower()
    if space in SPACES:
        return SPACES[space]
    if space and space not in UNNAMED_SPACES:
        raise UnsupportedFormat(f"space {space} is not read", where=header.where)
    repairs.append(f"space {space or 'unstated'}: axes taken as L, P, S")
    return None


def _columns_from_directions(
    header: NrrdHeader, vectors: list[NDArray[np.float64]], repairs: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Columns (3, 3) and origin (3,) in mm, in the header's own space."""
    origins = header.vectors("spaceorigin")
    if origins is not None and len(origins) != 1:
        raise header.fault("spaceorigin")
    origin = origins[0] if origins else None
    length = {len(vector) for vector in vectors} | (set() if origin is None else {len(origin)})
    if len(length) != 1 or not length <= {2, 3}:
        raise UnreadableFile("space directions and origin differ in length", where=header.where)
    if origin is None:
        repairs.append("no space origin: 0 taken")
        origin = np.zeros(length.pop())
    units = [unit for unit in header.quoted("spaceunits") if unit]
    scale = _mm_per_unit(units, header, repairs)
    columns, full_origin = np.eye(3), np.zeros(3)
    full_origin[: len(origin)] = origin * scale
    for axis, vector in enumerate(vectors):
        columns[:, axis] = 0
        columns[: len(vector), axis] = vector * scale
    if len(vectors) == 2 and len(origin) == 3:
        with np.errstate(all="ignore"):
            normal = np.cross(columns[:, 0], columns[:, 1])
            columns[:, 2] = normal / np.linalg.norm(normal)
        repairs.append("one slice without a third direction: its normal of 1 mm taken")
    return columns, full_origin


def _columns_from_spacings(
    header: NrrdHeader, space_axes: list[int], repairs: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    for name in ("axismins", "axismaxs"):
        bounds = header.floats(name) or []
        if not np.isnan(bounds).all():
            raise UnsupportedFormat(f"positions from {name} are not read", where=header.where)
    columns = np.eye(3)
    spacings = header.floats("spacings")
    if spacings is None:
        repairs.append("no spacings: 1 mm taken")
        return columns, np.zeros(3)
    if len(spacings) != header.integer("dimension"):
        raise header.fault("spacings")
    units = header.quoted("units")
    spatial_units = [units[axis] for axis in space_axes if axis < len(units)]
    scale = _mm_per_unit([unit for unit in spatial_units if unit], header, repairs)
    for column, axis in enumerate(space_axes):
        columns[column, column] = spacings[axis] * scale
    return columns, np.zeros(3)


def _mm_per_unit(units: list[str], header: NrrdHeader, repairs: list[str]) -> float:
    """Millimetres in the one unit of length that is given; 1 when none is."""
    unit = units[0] if units else ""
    if unit not in MM_PER_UNIT or any(other != unit for other in units):
        raise UnsupportedFormat(f"units of length {units} are not read", where=header.where)
    if MM_PER_UNIT[unit] != 1:
        repairs.append(f"lengths converted from {unit} to mm")
    return MM_PER_UNIT[unit]
