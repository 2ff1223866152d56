"""The text header of a NRRD file: its fields, its data files and where the data begin.

Source: "Definition of NRRD File Format" (Teem). A header is the magic `NRRD000X`, then lines of
`field: description`, `key:=value` pairs (not used, not kept) and `# comments`, up to a blank line
or, in a detached header, the end of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UnreadableFile
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.volume.datafile import open_regular

LONGEST_HEADER = 2**20
MAGIC = re.compile(rb"NRRD(000[1-6]|00\.01)[ \t]*\r?\n")

FIELDS = {
    "dimension", "type", "blocksize", "encoding", "endian", "content", "min", "max", "oldmin",
    "oldmax", "datafile", "lineskip", "byteskip", "number", "sampleunits", "sizes", "spacings",
    "thicknesses", "axismins", "axismaxs", "centers", "labels", "units", "kinds", "space",
    "spacedimension", "spaceunits", "spaceorigin", "spacedirections", "measurementframe",
}  # fmt: skip
SYNONYMS = {"centerings": "centers", "centres": "centers"}

_ALIASES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
TYPES = {name: code for code, names in _ALIASES.items() for name in names.split("|")}


@dataclass(frozen=True)
class NrrdHeader:
    """Fields by name (lower case, no spaces), names after `data file: LIST`, offset of the data."""

    fields: dict[str, str]
    file_names: tuple[str, ...]
    data_offset: int
    where: str

    def integer(self, name: str, default: int | None = None) -> int:
        """A whole number; raises UnreadableFile when it is absent without default or not one."""
        if name not in self.fields and default is not None:
            return default
        numbers = self.integers(name)
        if len(numbers) != 1:
            raise self.fault(name)
        return numbers[0]

    def integers(self, name: str) -> list[int]:
        """White-space separated whole numbers; raises UnreadableFile for anything else."""
        try:
            return [int(word) for word in self.fields.get(name, "").split()]
        except ValueError as error:
            raise self.fault(name) from error

    def floats(self, name: str) -> list[float] | None:
        """White-space separated numbers, None when the field is absent."""
        if name not in self.fields:
            return None
        try:
            return [float(word) for word in self.fields[name].split()]
        except ValueError as error:
            raise self.fault(name) from error

    def vectors(self, name: str) -> list[NDArray[np.float64] | None] | None:
        """Vectors written (x,y,z), with None for `none`; None when the field is absent."""
        if name not in self.fields:
            return None
        value = "".join(self.fields[name].split())
        words = re.findall(r"none|\([^()]*\)", value)
        if "".join(words) != value:
            raise self.fault(name)
        try:
            return [
                None if word == "none" else np.array([float(x) for x in word[1:-1].split(",")])
                for word in words
            ]
        except ValueError as error:
            raise self.fault(name) from error

    def quoted(self, name: str) -> list[str]:
        """Strings in double quotes; empty when the field is absent."""
        return re.findall(r'"([^"]*)"', self.fields.get(name, ""))

    def fault(self, name: str) -> UnreadableFile:
        """The error for a field that is absent or cannot be understood."""
        if name not in self.fields:
            return UnreadableFile(f"no field {name!r} in the header", where=self.where)
        return UnreadableFile(f"{name}: {self.fields[name][:60]}", where=self.where)


def read_nrrd_header(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> NrrdHeader:
    """Parse the header; raises UnreadableFile for another magic, unknown or repeated fields."""
    where = str(path)
    with open_regular(path, limits) as stream:
        head = stream.read(LONGEST_HEADER)
    magic = MAGIC.match(head)
    if magic is None:
        raise UnreadableFile("no NRRD magic at its start", where=where, fix="fetch the file again")
    fields: dict[str, str] = {}
    file_names: list[str] = []
    position = magic.end()
    while position < len(head):
        end = head.find(b"\n", position)
        end = len(head) if end < 0 else end
        line = head[position:end].decode("utf-8", "surrogateescape").rstrip()
        position = end + 1
        if is_list(fields):
            file_names += [line.strip()] if line.strip() else []
            continue
        if not line:
            break
        _add_field(fields, line, where)
    if len(head) == LONGEST_HEADER and position >= len(head):
        raise UnreadableFile("the header does not end within 1 MiB", where=where)
    return NrrdHeader(fields, tuple(file_names), min(position, len(head)), where)


def is_list(fields: dict[str, str]) -> bool:
    """Whether the data files are listed by name in the rest of the header."""
    return fields.get("datafile", "").split()[:1] == ["LIST"]


def _add_field(fields: dict[str, str], line: str, where: str) -> None:
    if line.startswith("#"):
        return
    name, colon, value = line.partition(":")
    if colon and value.startswith("="):
        return
    key = name.lower().replace(" ", "")
    key = SYNONYMS.get(key, key)
    if not colon or key not in FIELDS:
        raise UnreadableFile(f"not a NRRD header line: {line[:60]!r}", where=where)
    if key in fields:
        raise UnreadableFile(f"field {name!r} is given twice", where=where)
    fields[key] = value.strip()
