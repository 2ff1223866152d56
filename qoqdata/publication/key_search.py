"""Raw keys in texts: every place where one stands, whatever it is joined to.

A window of each length that a key has slides over the normal form of the texts. Fingerprints of all
windows come from one running sum, so the work grows with text times lengths (at most
`raw_keys.WINDOW` of them), not with the number of keys. A window whose fingerprint is a key's is
hashed, and only what has the hash of a key is looked at by `key_sightings`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from qoqdata.publication.key_sightings import Sighting, names_somebody
from qoqdata.records.identity import Salt
from qoqdata.records.raw_keys import (
    NO_GAP,
    WALL,
    WINDOW,
    Fingerprints,
    Normal,
    fingerprints_of,
    normal,
    spelled_out,
)

#: Keys this short are everywhere: they are looked at only where they stand alone.
_SHORT = 3
_LONGEST_WORD = 24
#: What this project hashes or digests, also as the name of an image.
_OWN = re.compile(r"([0-9a-f]{64}|[0-9a-f]{32})(?:-(?:mask-)?[0-9]+\.[a-z]+)?")


@dataclass(frozen=True, eq=False)
class _Prints:
    """Sorted fingerprints of the keys of one window, and a bitmap of their leading bits."""

    sorted: np.ndarray
    bitmap: np.ndarray
    shift: np.uint32

    def places(self, prints: np.ndarray) -> np.ndarray:
        """Where `prints` has one of them."""
        likely = np.flatnonzero(self.bitmap[prints >> self.shift])
        some = prints[likely]
        nearest = np.searchsorted(self.sorted, some)
        nearest[nearest == self.sorted.size] = 0
        return likely[self.sorted[nearest] == some]


@dataclass(frozen=True, eq=False)
class KeySearch:
    """The keys to be found, `lengths` with how many have each; `vocabulary` identifies nobody."""

    hashes: Fingerprints
    joined: frozenset[int]
    spelled: frozenset[int]
    prints: Mapping[int, _Prints]
    lengths: Mapping[int, int]
    vocabulary: frozenset[str]

    def naming(self, texts: Sequence[str]) -> frozenset[int]:
        """The places of those texts that name a raw key."""
        if not self.lengths:
            return frozenset()
        own = {place: match for place, t in enumerate(texts) if (match := _OWN.fullmatch(t))}
        found = {place for place, match in own.items() if self._is_key(match[1])}
        rest = [place for place in range(len(texts)) if place not in own]
        text = normal(texts[place] for place in rest)
        walls = np.flatnonzero(text.codes == 0)
        for start, end in self._spans(text):
            place = rest[int(np.searchsorted(walls, start))]
            if place not in found and names_somebody(_sighting(text, start, end, self)):
                found.add(place)
        return frozenset(found)

    def _is_key(self, digits: str) -> bool:
        form = digits.encode("utf-32-le")
        return len(digits) in self.lengths and self.hashes.hashed(form) in self.joined

    def _spans(self, text: Normal) -> Iterator[tuple[int, int]]:
        """Start and end of whatever has the hash of a key."""
        for window, prints in self.hashes.windows(text.codes, self.prints):
            starts = self.prints[window].places(prints)
            if window <= _SHORT:
                starts = starts[_stands_alone(text, starts, starts + window)]
            ends = (starts + window).tolist()
            lengths = [window]
            if window == WINDOW:
                lengths = sorted(length for length in self.lengths if length >= WINDOW)
            for end in ends:
                for length in lengths:
                    start = end - length
                    form = text.codes[max(start, 0) : end].astype("<u4").tobytes()
                    if start >= 0 and self.hashes.hashed(form) in self.joined:
                        yield start, end


def key_search(entries: np.ndarray, salt: Salt, vocabulary: frozenset[str]) -> KeySearch:
    """The search for the keys of `entries` (dtype raw_keys.ENTRY)."""
    window = np.minimum(entries["length"], WINDOW)
    return KeySearch(
        hashes=fingerprints_of(salt),
        joined=frozenset(entries["joined"].tolist()),
        spelled=frozenset(entries["spelled"].tolist()),
        prints={
            length: _prints_of(entries["window"][window == length])
            for length in np.unique(window).tolist()
        },
        lengths=Counter(entries["length"].tolist()),
        vocabulary=vocabulary,
    )


def _prints_of(prints: np.ndarray) -> _Prints:
    ordered = np.unique(prints)
    bits = min(max(12, (ordered.size * 32).bit_length()), 26)
    shift = np.uint32(32 - bits)
    bitmap = np.zeros(1 << bits, bool)
    bitmap[ordered >> shift] = True
    return _Prints(ordered, bitmap, shift)


def _stands_alone(text: Normal, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether nothing is joined to a span but, before digits, a word: `patient7`."""
    digits = (text.codes >= ord("0")) & (text.codes <= ord("9"))
    after_word = digits[starts] & ~digits[np.maximum(starts - 1, 0)]
    before = (text.gaps[starts] != NO_GAP) | after_word
    return before & (text.gaps[ends] != NO_GAP)


def _sighting(text: Normal, start: int, end: int, search: KeySearch) -> Sighting:
    codes, gaps = text.codes[start:end], text.gaps[start:end]
    spelled, _ = spelled_out(codes, np.concatenate([[WALL], gaps[1:]]))
    first = _word_before(text, start)
    middle = _word_before(text, start - len(first))
    last = _word_after(text, end)
    return Sighting(
        words=_words(codes, gaps),
        exact=search.hashes.hashed(spelled.astype("<u4").tobytes()) in search.spelled,
        inner=int(gaps[1:].max(initial=NO_GAP)),
        before=int(text.gaps[start]),
        after=int(text.gaps[end]),
        preceding=(middle, first),
        following=last,
        between=_between(text, start),
        rivals=search.lengths[end - start],
        vocabulary=search.vocabulary,
    )


def _words(codes: np.ndarray, gaps: np.ndarray) -> tuple[str, ...]:
    cuts = [0, *(np.flatnonzero(gaps[1:]) + 1).tolist(), codes.size]
    return tuple(_string(codes[a:b]) for a, b in pairwise(cuts))


def _word_before(text: Normal, end: int) -> str:
    """The word that ends at `end`, "" at the beginning of a text."""
    start = end
    while start > 0 and end - start < _LONGEST_WORD and text.codes[start - 1] != 0:
        start -= 1
        if text.gaps[start] != NO_GAP:
            break
    return _string(text.codes[start:end])


def _word_after(text: Normal, start: int) -> str:
    end = start
    while end - start < _LONGEST_WORD and text.codes[end] != 0:
        end += 1
        if text.gaps[end] != NO_GAP:
            break
    return _string(text.codes[start:end])


def _between(text: Normal, start: int) -> str:
    """What stands before `start` and after the character before it, or the text before."""
    first = int(text.raw[start - 1]) + 1 if start > 0 else 0
    return text.folded[first : text.raw[start]]


def _string(codes: np.ndarray) -> str:
    return codes.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass")
