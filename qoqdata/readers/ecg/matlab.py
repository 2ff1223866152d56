"""CPSC2018 recordings as first released: a MATLAB 5-7 file with a struct ECG {sex, age, data}.

The file states neither rate, unit nor lead order. The challenge documentation does: 500 Hz, mV,
leads I II III aVR aVL aVF V1-V6 (Liu et al., J. Med. Imaging Health Inform. 8(7), 2018). The reader
takes them from there and says so in the repairs.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from qoqdata.errors import QoqdataError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import comments
from qoqdata.readers.ecg.assembly import Channel, assemble
from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.limits import Limits

MAGIC = b"MATLAB 5.0 MAT-file"
MAGIC_HDF = b"MATLAB 7.3 MAT-file"
CPSC2018_FS = 500.0
_COMPRESSED, _MATRIX = 15, 14
_CONTAINERS = frozenset({1, 2, 3})  # cell, struct, object: one pointer per declared element
_MOST_NESTED = 1000


def read_cpsc2018(path: Path, limits: Limits) -> Recording:
    """Read one CPSC2018 `.mat` file; `data` is (12, samples) in mV, NaN where missing.

    Raises UnreadableFile (damaged, or no such struct), TooLarge (declared or inflated size) and
    UnsupportedFormat (MATLAB 7.3).
    """
    where = str(path)
    limits.check("file_bytes", path.stat().st_size, where=where)
    data = path.read_bytes()
    if data.startswith(MAGIC_HDF):
        raise UnsupportedFormat("MATLAB 7.3 (HDF5) file", where=where, fix="save it with -v7")
    if not data.startswith(MAGIC):
        raise UnreadableFile("no MATLAB 5 file and no header beside it", where=where)
    from scipy.io import loadmat

    try:
        plain = _inflated(data, limits, where)
        content = loadmat(io.BytesIO(plain), variable_names=["ECG"], squeeze_me=False)
        record = content["ECG"]
        fields = {name: record[name][0, 0] for name in ("sex", "age", "data")}
    except QoqdataError:
        raise
    except Exception as error:  # scipy has no common base class for damaged files
        raise UnreadableFile(f"no readable struct ECG ({error})", where=where) from error
    samples = np.asarray(fields["data"])
    if samples.ndim != 2 or samples.shape[0] != len(TWELVE) or samples.dtype.kind not in "fiu":
        raise UnreadableFile(f"ECG.data has the shape {samples.shape}, not 12 leads", where=where)
    if samples.shape[1] == 0:
        raise UnreadableFile("ECG.data is empty", where=where)
    missing = np.isnan(samples) if samples.dtype.kind == "f" else np.zeros(samples.shape, bool)
    recording = assemble(
        [
            Channel(lead, row, gone, "mV")
            for lead, row, gone in zip(TWELVE, samples, missing, strict=True)
        ],
        CPSC2018_FS,
        where=where,
        repairs=("500 Hz, mV and lead order taken from the CPSC2018 documentation",),
    )
    age, age_notes = comments.age([f"age: {_text(fields['age'])}"])
    sex, _ = comments.sex([f"sex: {_text(fields['sex'])}"])
    return replace(recording, age=age, sex=sex, repairs=(*recording.repairs, *age_notes))


def _text(value: np.ndarray) -> str:
    return str(value.reshape(-1)[0]).strip() if value.size == 1 else ""


def _inflated(data: bytes, limits: Limits, where: str) -> bytes:
    """The file with every compressed element replaced by its content, sizes checked on the way."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise UnreadableFile("the MATLAB header is damaged", where=where)
    room = min(limits.inflated_bytes, limits.ecg_samples * 8 + 2**20)
    parts, position = [data[:128]], 128
    while position + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        body = data[position + 8 : position + 8 + size]
        if len(body) < size:
            raise UnreadableFile("truncated MATLAB file", where=where)
        element = data[position : position + 8 + size]
        if kind == _COMPRESSED:
            inflater = zlib.decompressobj()
            element = inflater.decompress(body, room + 1)
            if len(element) > room:
                raise TooLarge(f"inflates to more than {room:,} bytes", where=where)
            if not inflater.eof:
                raise UnreadableFile("truncated compressed data", where=where)
        room -= len(element)
        _check_matrix(element, order, limits, where, depth=0)
        parts.append(element)
        position += 8 + size
    return b"".join(parts)


def _check_matrix(element: bytes, order: str, limits: Limits, where: str, depth: int) -> None:
    """Refuse a matrix element, or one nested in it, whose declared shape promises too much."""
    bodies = _elements(element, order)
    kind, body = next(bodies, (0, b""))
    if kind != _MATRIX:
        return
    inner = list(_elements(body, order))
    if len(inner) < 2 or len(inner[0][1]) < 4:
        return
    array_class = struct.unpack_from(f"{order}I", inner[0][1])[0] & 0xFF
    shape = struct.unpack(
        f"{order}{len(inner[1][1]) // 4}i", inner[1][1][: len(inner[1][1]) // 4 * 4]
    )
    bound = _MOST_NESTED if array_class in _CONTAINERS else limits.ecg_samples
    if any(side < 0 for side in shape) or prod(shape) > bound or depth > 8:
        raise TooLarge(f"declares a MATLAB array of shape {shape}", where=where)
    if array_class in _CONTAINERS:
        for child_kind, child in inner[2:]:
            if child_kind == _MATRIX:
                tag = struct.pack(f"{order}II", _MATRIX, len(child))
                _check_matrix(tag + child, order, limits, where, depth + 1)


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, body) of the data elements in `data`, small elements unpacked, padding skipped."""
    position = 0
    while position + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, position)
        if kind >> 16:
            size, kind = kind >> 16, kind & 0xFFFF
            yield kind, data[position + 4 : position + 4 + min(size, 4)]
            position += 8
            continue
        yield kind, data[position + 8 : position + 8 + size]
        position += 8 + size + (-size % 8)
