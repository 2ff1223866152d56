"""Raw keys as they are recognised again: one normal form, and keyed hashes of it.

A build keeps no raw key. To find one in a text later, it leaves of each key: its length, a 32-bit
fingerprint of its last characters that a window sliding over a text can be compared with, and two
keyed hashes (BLAKE2b under a key made from the site's salt), of the normal form without and with
marks where separators were. Without the salt none of them can be compared with anything.

The normal form is letters and digits alone: compatibility forms and accents are undone (NFKD
without marks), case is folded, decimal digits of any script become 0-9, and whatever separates is
left out and remembered as a gap. So `Müller-3`, `MULLER_3` and `muller 3` are one key.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from qoqdata.records.identity import Salt

#: What stands before a character, from nothing to the end of another text.
NO_GAP, TIGHT, DOT, LOOSE, WALL = range(5)
#: Longer keys are looked for by their last so many characters.
WINDOW = 24
ENTRY = np.dtype([("length", "<u2"), ("window", "<u4"), ("joined", "<u8"), ("spelled", "<u8")])

_END = "\x1e"
_LONGEST = np.iinfo(np.uint16).max
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_MARK, _KEPT = WALL + 1, WALL + 2
_TIGHT = frozenset("-_/\\^#:+~=@&'|%")


@dataclass(frozen=True, eq=False)
class Normal:
    """Texts in normal form, one after the other, each followed by a wall.

    `codes` are code points (uint32; 0 is a wall), `gaps` what stands before each (uint8), and
    `raw` the places (int64) of the characters in the joined texts after folding, `folded`.
    """

    codes: np.ndarray
    gaps: np.ndarray
    raw: np.ndarray
    folded: str


@dataclass(frozen=True)
class Fingerprints:
    """The secrets that hashes of raw keys are made with."""

    factor: int
    key: bytes

    def hashed(self, form: bytes) -> int:
        """The 64-bit keyed hash of a form, as UTF-32 (little-endian)."""
        digest = hashlib.blake2b(form, digest_size=8, key=self.key).digest()
        return int.from_bytes(digest, "little")

    def of_parts(self, codes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The hashes (uint64) of parts of `codes`, as `hashed` gives them."""
        form = memoryview(codes.astype("<u4").tobytes())
        keyed = hashlib.blake2b(digest_size=8, key=self.key).copy
        digests = []
        for start, end in zip((starts * 4).tolist(), (ends * 4).tolist(), strict=True):
            # A copy is ahead by the block of the key.
            hasher = keyed()
            hasher.update(form[start:end])
            digests.append(hasher.digest())
        return np.frombuffer(b"".join(digests), "<u8")

    def windows(
        self, codes: np.ndarray, lengths: Iterable[int]
    ) -> Iterable[tuple[int, np.ndarray]]:
        """Of each length, fingerprints (uint32) of the windows that begin at 0, 1, 2 ..."""
        # sum(codes[k + j] * factor**j), modulo 2**64, from differences of one running sum.
        powers, inverses = _powers(self.factor, _size(codes.size))
        sums = np.zeros(codes.size + 1, np.uint64)
        np.cumsum(codes.astype(np.uint64) * powers[: codes.size], out=sums[1:])
        for length in lengths:
            if length <= codes.size:
                parts = sums[length:] - sums[:-length]
                parts *= inverses[: parts.size]
                parts *= _SPREAD
                yield length, (parts >> np.uint64(32)).astype(np.uint32)


def fingerprints_of(salt: Salt) -> Fingerprints:
    """The hashes that a site's salt gives."""
    secret = hmac.digest(salt.secret, b"qoqdata/raw keys", "sha512")
    return Fingerprints(int.from_bytes(secret[:8], "little") | 1, secret[8:40])


def pack(keys: Iterable[str], salt: Salt) -> np.ndarray:
    """Entries (dtype ENTRY, each once, sorted) by which `keys` are recognised.

    Keys of no letter and no digit have none.
    """
    hashes = fingerprints_of(salt)
    text = normal(sorted(set(keys)))
    ends = np.flatnonzero(text.codes == 0)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)
    lengths = ends - starts
    known = (lengths > 0) & (lengths <= _LONGEST)
    starts, ends, lengths = starts[known], ends[known], lengths[known]
    entries = np.zeros(lengths.size, ENTRY)
    entries["length"] = lengths
    window = np.minimum(lengths, WINDOW)
    for length, prints in hashes.windows(text.codes, np.unique(window).tolist()):
        rows = window == length
        entries["window"][rows] = prints[ends[rows] - length]
    entries["joined"] = hashes.of_parts(text.codes, starts, ends)
    spelled, places = spelled_out(text.codes, text.gaps)
    first, last = places[starts], places[ends - 1] + 1
    entries["spelled"] = entries["joined"]
    apart = last - first > lengths
    entries["spelled"][apart] = hashes.of_parts(spelled, first[apart], last[apart])
    return distinct(entries)


def distinct(entries: np.ndarray) -> np.ndarray:
    """Entries sorted by their hashes, each once."""
    entries = entries[np.lexsort((entries["spelled"], entries["joined"]))]
    repeated = np.zeros(entries.size, bool)
    repeated[1:] = entries[1:] == entries[:-1]
    return entries[~repeated]


def spelled_out(codes: np.ndarray, gaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes with a 1 where something separates, and the place of each code among them."""
    marks = (gaps != NO_GAP) & (gaps != WALL)
    places = np.arange(codes.size) + np.cumsum(marks)
    spelled = np.ones(codes.size + int(marks.sum()), np.uint32)
    spelled[places] = codes
    return spelled, places


def normal(texts: Iterable[str]) -> Normal:
    """The normal form of texts, one after the other."""
    folded = _folded("".join([text.replace(_END, " ") + _END for text in texts]))
    if folded.isascii():
        points = np.frombuffer(folded.encode(), np.uint8).astype(np.uint16)
    else:
        points = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), np.uint32)
    kinds, digits = _tables(0x80 if folded.isascii() else 0x10000)
    # Beyond the tables there are scripts of letters, and emoji.
    inside = np.minimum(points, kinds.size - 1)
    kind = kinds[inside]
    kept = np.flatnonzero((kind == _KEPT) | (kind == WALL))
    codes = np.where(points < digits.size, digits[inside], points)[kept].astype(np.uint32)
    walls = kind[kept] == WALL
    codes[walls] = 0
    gaps = np.zeros(kept.size, np.uint8)
    for gap in (TIGHT, DOT, LOOSE):
        seen = np.concatenate([[0], np.cumsum(kind == gap, dtype=np.int64)])
        before = seen[kept]
        gaps[np.diff(before, prepend=0) > 0] = gap
    gaps[:1] = WALL
    gaps[1:][walls[:-1]] = WALL
    gaps[walls] = WALL
    return Normal(codes, gaps, kept, folded)


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())


@cache
def _tables(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of so many code points the kind of each, and the code point that it counts as."""
    characters = list(map(chr, range(count)))
    kinds = np.array(list(map(_kind, characters)), np.uint8)
    codes = np.arange(count, dtype=np.uint32)
    for place, one in enumerate(characters):
        if one.isdecimal():
            codes[place] = ord("0") + unicodedata.decimal(one)
    return kinds, codes


def _kind(character: str) -> int:
    if character == _END:
        return WALL
    if character.isalnum():
        return _KEPT
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Mc", "Cf"):
        # Accents, and what is not seen at all.
        return _MARK
    if character == ".":
        return DOT
    return TIGHT if character in _TIGHT or category in ("Pd", "Pc") else LOOSE


def _size(length: int) -> int:
    """The next power of two, so that few tables of powers are made."""
    return 1 << max(10, (length - 1).bit_length())


@cache
def _powers(factor: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    bases = np.array([factor, pow(factor, -1, 2**64)], np.uint64)
    powers = np.repeat(bases[:, None], count, axis=1)
    powers[:, 0] = 1
    rising, falling = np.cumprod(powers, axis=1)
    return rising, falling
