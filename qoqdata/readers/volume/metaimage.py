"""MetaImage volumes: .mha, and .mhd with its data in other files.

Source: the MetaIO documentation (Kitware), checked against ITK's reader. The header is text,
`Key = value`, and ends with ElementDataFile: LOCAL (data follow), a file name, a numbered pattern
(`slice%03d.raw 1 40 1`), or LIST with one name per line. Data files must lie in the header's own
folder. World coordinates are LPS mm, converted to RAS once, here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.beside import resolve_beside
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.volume.datafile import expand_pattern, open_regular
from qoqdata.readers.volume.grid import (
    Volume,
    affine_from_axes,
    channel_fix,
    checked_volume,
    ras_from_lps,
)
from qoqdata.readers.volume.payload import (
    Payload,
    PayloadEncoding,
    padding_allowed,
    read_values,
)

LONGEST_HEADER = 2**20
FIELD = re.compile(r"([^\s=:]+)\s*[=:]\s*(.*)")

# MetaIO's long is 32 bits wide in files, whatever the machine.
ELEMENT_TYPES = {
    "MET_CHAR": "i1", "MET_ASCII_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2",
    "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
SYNONYMS = {
    "Position": "Offset", "Origin": "Offset",
    "Orientation": "TransformMatrix", "Rotation": "TransformMatrix",
    "BinaryDataByteOrderMSB": "ElementByteOrderMSB",
}  # fmt: skip
MM_PER_UNIT = {"?": 1.0, "mm": 1.0, "um": 0.001, "cm": 10.0}
TRUE, FALSE = {"true", "t", "1"}, {"false", "f", "0"}


@dataclass(frozen=True)
class MetaImageHeader:
    """Fields by name (synonyms merged), names after `LIST`, and the offset of local data."""

    fields: dict[str, str]
    file_names: tuple[str, ...]
    data_offset: int
    where: str


def read_metaimage(
    path: Path | str, *, channel: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Volume:
    """Read a MetaImage through its header (.mhd or .mha).

    voxels: (i, j, k), or (i, j, k, t) for NDims 4; 2-D images are (i, j, 1). With `channel`,
    (i, j, k) of one time point or, of elements with several numbers, one of these. Native byte
    order.
    affine: column n is TransformMatrix row n times ElementSpacing n, origin Offset, as ITK reads
    them (CenterOfRotation and AnatomicalOrientation are not used), turned from LPS to RAS.
    What the header leaves out follows ITK and is named in `repairs`: spacing 1 mm, identity
    directions, little-endian data, ElementSize for ElementSpacing.

    Raises MissingFile, OutsideRoot, TooLarge, UnreadableFile, InputError for a channel that is not
    there, and UnsupportedFormat for several numbers an element without `channel`, other object
    types and intensity functions.
    """
    header_path = Path(path)
    header = read_metaimage_header(header_path, limits=limits)
    _check_image(header)
    sides = _integers(header, "DimSize")
    n_dims = _integer(header, "NDims")
    if not 2 <= n_dims <= 4:
        raise UnsupportedFormat(f"{n_dims} dimensions: not an image", where=header.where)
    if len(sides) != n_dims:
        raise UnreadableFile(f"DimSize has {len(sides)} numbers, not {n_dims}", where=header.where)
    channels = _channels(header, sides, channel)
    limits.check_shape("voxels", (channels, *sides), where=header.where)
    dtype, repairs = _element_dtype(header)
    payloads = _payloads(header, header_path, sides, limits)
    slack = padding_allowed(sides[0] * sides[1] * dtype.itemsize * channels)
    count = prod(sides) * channels
    values, value_repairs = read_values(payloads, dtype, count, slack=slack, limits=limits)
    affine, affine_repairs = _affine(header, n_dims)
    grid = sides if n_dims > 2 else [*sides, 1]
    voxels = (
        values.reshape(grid, order="F")
        if channels == 1
        else np.moveaxis(values.reshape([channels, *grid], order="F"), 0, -1)
    )
    return checked_volume(
        voxels,
        affine,
        source_format="metaimage",
        repairs=repairs + value_repairs + affine_repairs,
        where=header.where,
        sideless=None if "TransformMatrix" in header.fields else "it has no TransformMatrix",
        channel=channel,
    )


def read_metaimage_header(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> MetaImageHeader:
    """Parse the text header; raises UnreadableFile when it is not one, or names a field twice."""
    where = str(path)
    with open_regular(path, limits) as stream:
        head = stream.read(LONGEST_HEADER)
    fields: dict[str, str] = {}
    position = 0
    while "ElementDataFile" not in fields:
        end = head.find(b"\n", position)
        end = len(head) if end < 0 else end
        line = head[position:end].decode("utf-8", "surrogateescape").strip()
        if position >= len(head):
            raise UnreadableFile("a MetaImage header without ElementDataFile", where=where)
        position = end + 1
        if not line:
            continue
        match = FIELD.fullmatch(line)
        if match is None:
            raise UnreadableFile(f"not a MetaImage header line: {line[:60]!r}", where=where)
        key, value = SYNONYMS.get(match[1], match[1]), match[2]
        if fields.setdefault(key, value) != value:
            raise UnreadableFile(f"{key} is given twice", where=where)
    file_names: tuple[str, ...] = ()
    if fields["ElementDataFile"].split()[:1] == ["LIST"]:
        text = head[position:].decode("utf-8", "surrogateescape")
        file_names = tuple(line.strip() for line in text.splitlines() if line.strip())
    return MetaImageHeader(fields, file_names, min(position, len(head)), where)


def _check_image(header: MetaImageHeader) -> None:
    faults = {
        "ObjectType": header.fields.get("ObjectType", "Image") != "Image",
        "ElementToIntensityFunctionSlope": _float(header, "ElementToIntensityFunctionSlope", 1)
        != 1,
        "ElementToIntensityFunctionOffset": _float(header, "ElementToIntensityFunctionOffset", 0)
        != 0,
    }
    for key, bad in faults.items():
        if bad:
            raise UnsupportedFormat(
                f"{key} = {header.fields[key]} is not read",
                where=header.where,
                fix="save it as an image of the values themselves",
            )


def _channels(header: MetaImageHeader, sides: list[int], channel: int | None) -> int:
    """How many numbers an element has; several need a `channel`, and no further axis."""
    count = _integer(header, "ElementNumberOfChannels", default=1)
    if count < 1:
        raise UnreadableFile(f"ElementNumberOfChannels = {count}", where=header.where)
    series = len(sides) == 4 and sides[3] > 1
    if count > 1 and (channel is None or series):
        raise UnsupportedFormat(
            f"ElementNumberOfChannels = {count} is not read",
            where=header.where,
            fix="split it into volumes" if series else channel_fix(count),
        )
    return count


def _element_dtype(header: MetaImageHeader) -> tuple[np.dtype, tuple[str, ...]]:
    name = header.fields.get("ElementType", "")
    # MetaIO's name for an element of several numbers; ElementNumberOfChannels says how many.
    if name.endswith("_ARRAY") and "ElementNumberOfChannels" in header.fields:
        name = name.removesuffix("_ARRAY")
    if name.endswith("_ARRAY"):
        raise UnsupportedFormat(f"ElementType {name} is not read", where=header.where)
    if name not in ELEMENT_TYPES:
        raise UnreadableFile(f"ElementType is {name or 'absent'}", where=header.where)
    dtype = np.dtype(ELEMENT_TYPES[name])
    big = _flag(header, "ElementByteOrderMSB", default=False)
    silent = "ElementByteOrderMSB" not in header.fields
    text = not _flag(header, "BinaryData", default=True)
    repairs = ("byte order not stated: little-endian taken",) if silent else ()
    if dtype.itemsize == 1 or text:
        return dtype, ()
    return dtype.newbyteorder(">" if big else "<"), repairs


def _payloads(
    header: MetaImageHeader, path: Path, sides: list[int], limits: Limits
) -> list[Payload]:
    """The data files in order, each with the same number of values."""
    is_compressed = _flag(header, "CompressedData", default=False)
    encoding: PayloadEncoding = "zlib" if is_compressed else "raw"
    if not _flag(header, "BinaryData", default=True):
        if is_compressed:
            raise UnsupportedFormat("compressed text is not read", where=header.where)
        encoding = "text"
    offset = _integer(header, "HeaderSize", default=0)
    if offset < -1 or (offset == -1 and encoding != "raw"):
        raise UnreadableFile(f"HeaderSize {offset} with {encoding} data", where=header.where)

    names = _data_file_names(header, sides, limits)
    if names is None:
        if 0 < offset < header.data_offset:
            raise UnreadableFile("HeaderSize points into the header itself", where=header.where)
        return [Payload(path, encoding, offset=offset or header.data_offset)]
    return [Payload(resolve_beside(path, name), encoding, offset=offset) for name in names]


def _data_file_names(header: MetaImageHeader, sides: list[int], limits: Limits) -> list[str] | None:
    """Names of the data files, or None for LOCAL."""
    value = header.fields["ElementDataFile"]
    words = value.split()
    if not words:
        raise UnreadableFile("ElementDataFile is empty", where=header.where)
    if value.upper() == "LOCAL":
        return None
    if words[0] == "LIST":
        file_dims = _list_dimension(words[1:], len(sides), header.where)
        count = prod(sides[file_dims:])
        limits.check("frames", count, where=header.where)
        if len(header.file_names) != count:
            raise UnreadableFile(
                f"lists {len(header.file_names)} data files where {count} belong",
                where=header.where,
            )
        return list(header.file_names)
    if "%" in value:
        limits.check("frames", sides[-1], where=header.where)
        numbers = _pattern_numbers(words[1:], sides[-1], header.where)
        return expand_pattern(words[0], numbers, where=header.where)
    return [value]


def _list_dimension(words: list[str], n_dims: int, where: str) -> int:
    """How many dimensions one listed file spans: `LIST`, `LIST 2` or `LIST 2D`."""
    if not words:
        return n_dims - 1
    digits = words[0].upper().removesuffix("D")
    if len(words) > 1 or not digits.isdecimal() or not 1 <= int(digits) <= n_dims:
        raise UnreadableFile(f"ElementDataFile = LIST {' '.join(words)}", where=where)
    return int(digits)


def _pattern_numbers(words: list[str], count: int, where: str) -> range:
    """The numbers of a pattern's files: first (1), last, step (1); one file for each of `count`."""
    try:
        values = [int(word) for word in words]
    except ValueError as error:
        raise UnreadableFile(f"file numbers {' '.join(words)!r}", where=where) from error
    first = values[0] if values else 1
    step = values[2] if len(values) > 2 else 1
    last = values[1] if len(values) > 1 else first + (count - 1) * step
    if len(values) > 3 or step == 0 or first < 0 or last < 0:
        raise UnreadableFile(f"file numbers {' '.join(words)!r}", where=where)
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if len(numbers) != count:
        raise UnreadableFile(f"numbers {len(numbers)} files where {count} belong", where=where)
    return numbers


def _affine(header: MetaImageHeader, n_dims: int) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """RAS+ mm affine (4, 4) and what the header left open."""
    repairs: list[str] = []
    spacing_key = "ElementSpacing"
    if spacing_key not in header.fields and "ElementSize" in header.fields:
        spacing_key = "ElementSize"
        repairs.append("no ElementSpacing: ElementSize taken")
    spacing = _vector(header, spacing_key, n_dims)
    if spacing is None:
        repairs.append("no ElementSpacing: 1 mm taken")
        spacing = np.ones(n_dims)
    matrix = _vector(header, "TransformMatrix", n_dims**2)
    if matrix is None:
        stated = header.fields.get("AnatomicalOrientation")
        # Three letters, or `???`; what else stands there may be anything.
        code = f" {stated}" if re.fullmatch(r"[RLAPSI?]{3}", stated or "") else ""
        note = f" (AnatomicalOrientation{code} is not used)" if stated else ""
        repairs.append(f"no TransformMatrix: axes taken to point to L, P, S{note}")
        matrix = np.eye(n_dims).ravel()
    origin = _vector(header, "Offset", n_dims)
    if origin is None:
        repairs.append("no Offset: 0 taken")
        origin = np.zeros(n_dims)

    unit = header.fields.get("DistanceUnits", "?")
    if unit not in MM_PER_UNIT:
        raise UnreadableFile(f"unknown DistanceUnits {unit}", where=header.where)
    if MM_PER_UNIT[unit] != 1:
        repairs.append(f"lengths converted from {unit} to mm")
    rows = matrix.reshape(n_dims, n_dims)
    if n_dims == 4 and (rows[3, :3].any() or rows[:3, 3].any()):
        raise UnsupportedFormat("space and time axes are mixed", where=header.where)
    space = min(n_dims, 3)
    full_rows, full_spacing, full_origin = np.eye(3), np.ones(3), np.zeros(3)
    full_rows[:space, :space] = rows[:space, :space]
    full_spacing[:space] = spacing[:space] * MM_PER_UNIT[unit]
    full_origin[:space] = origin[:space] * MM_PER_UNIT[unit]
    lps = affine_from_axes(full_rows.T, full_spacing, full_origin)
    return ras_from_lps(lps), tuple(repairs)


def _vector(header: MetaImageHeader, key: str, length: int) -> NDArray[np.float64] | None:
    """The numbers of a field (length,), None when it is absent."""
    if key not in header.fields:
        return None
    words = header.fields[key].split()
    try:
        numbers = np.array([float(word) for word in words])
    except ValueError as error:
        raise UnreadableFile(f"{key} = {header.fields[key][:60]}", where=header.where) from error
    if len(numbers) != length:
        raise UnreadableFile(f"{key} has {len(words)} numbers, not {length}", where=header.where)
    return numbers


def _float(header: MetaImageHeader, key: str, default: float) -> float:
    numbers = _vector(header, key, 1)
    return default if numbers is None else float(numbers[0])


def _integers(header: MetaImageHeader, key: str) -> list[int]:
    words = header.fields.get(key, "").split()
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise UnreadableFile(f"{key} = {header.fields[key][:60]}", where=header.where) from error


def _integer(header: MetaImageHeader, key: str, default: int | None = None) -> int:
    numbers = _integers(header, key)
    if not numbers and default is not None:
        return default
    if len(numbers) != 1:
        raise UnreadableFile(f"{key} is absent or not one number", where=header.where)
    return numbers[0]


def _flag(header: MetaImageHeader, key: str, *, default: bool) -> bool:
    value = header.fields.get(key)
    if value is None:
        return default
    if value.lower() not in TRUE | FALSE:
        raise UnreadableFile(f"{key} = {value[:60]} is neither True nor False", where=header.where)
    return value.lower() in TRUE
