"""Names of persons in the scripts that have capitals.

A walk over the words of a text. A name is told by what stands around it (a title, a word that
introduces it, a relative, a degree) or by itself (a known first name and another capitalised word).
An eponym is no person: `Austin Flint murmur`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from qoqdata.curation.phi.cues import cue
from qoqdata.curation.phi.rule import Rule, Span, rule
from qoqdata.curation.phi.words import folded, keyed_words, phrases, words

_NOT_NAMES = words("not_names")
_AMBIGUOUS = words("ambiguous_names")
_FIRST = words("first_names") - _NOT_NAMES
_LAST = words("surnames") - _NOT_NAMES
_EITHER, _SURE_FIRST = _FIRST | _LAST, _FIRST - _AMBIGUOUS
_EPONYM_NOUNS = words("eponym_nouns")
_EPONYMS = words("eponyms")
_RELATIVES = words("relatives")
_TITLES = keyed_words("titles")
_SMALL = keyed_words("name_words")
_INTRODUCERS = phrases("introducers")
_LONGEST = max(len(phrase) for some in _INTRODUCERS.values() for phrase in some)

#: Endings of terms, of bacteria, of what a report calls things.
_TERM = re.compile(
    r"(?:graphy|graphies|scopy|gram|grams|itis|osis|oses|oma|omas|emia|aemia|pathy|ectomy|otomy|ostomy|plasty"
    r"|tion|tions|ology|ologist|ologue|ologe|ometry|ment|ness|ity|ium|ical|ular|eal|iform|genic|trophy|plasia|lysis"
    r"|ing|isch|ische|keit|ung|schaft|grafie|graphie|grafía|patía|ción|zione|ção)$"
)
_SLAVIC = re.compile(r"(?:[ое]в|[иы]н|[ое]ва|[иы]на|ский|ская|цкий|цкая|енко|ук|юк|ян|дзе|швили)$")
_PATRONYMIC = re.compile(r"(?:[ое]вич|ьич|[ое]вна|инична)$")

#: Words up to this length are kept, with what they tell.
_LONGEST_KEPT = 40

#: Titles and particles in a row that are still those of one name.
_MOST = 4

_WORD = re.compile(r"[^\W\d_]+(?:['’ʼ-][^\W\d_]+)*[#]?")
_BLANK = re.compile(r"\s{1,2}$")
_AFTER_TITLE = re.compile(r"\.?\s{0,2}$|\.?-?\s?$")
_AFTER_LABEL = re.compile(r"\.?\s?(?:[:：=#(-]|–|—)?\s{0,2}[(]?$|[\s:.]{1,4}$")
_COLON = re.compile(r"\s?[:：=–—-]\s{0,2}$")
_BESIDE = re.compile(r"[\s,(:]{1,3}$")
_COMMA = re.compile(r"\s?,\s{1,2}$")
_INITIAL = re.compile(r"\.\s{0,2}$")

RULES: tuple[Rule, ...] = (
    # DICOM writes family^given^middle^prefix^suffix.
    rule(
        "person",
        r"(?<![\w^])(?:[^\W\d_]'|[^\W\d_])[^\W\d_]{1,40}(?:[ '-][^\W\d_]{1,30})?"
        r"\^[^\W\d_]{1,40}(?: [^\W\d_]{1,30})?(?:\^[\w .]{0,40}){0,3}",
        lambda match: match[0][:1].isupper(),
        cue=cue(sign=r"\^"),
    ),
)


class Word(NamedTuple):
    """A word, wherever it stands: as written, as lists have it, and what both tell."""

    text: str
    key: str
    is_capital: bool
    is_shouted: bool
    is_initial: bool
    could_be_name: bool
    is_known: bool
    is_patronymic: bool
    is_slavic: bool
    may_begin: bool


def find(text: str) -> Iterator[Span]:
    """Names of persons in a text, but those of RULES."""
    walk = Walk(text)
    for place, word in enumerate(walk.words):
        if word.may_begin:
            yield from walk.spans_at(place)


class Walk:
    """The words of one text. Methods take a word's place; an end is the place behind a name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[Word] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        for match in _WORD.finditer(text):
            self.words.append(_word(match[0]))
            start, end = match.span()
            self.starts.append(start)
            self.ends.append(end)

    def spans_at(self, place: int) -> Iterator[Span]:
        """The names that begin at a word, as spans."""
        for name, end in self.names_at(place):
            yield Span(name, self.starts[place], self.ends[end - 1])

    def names_at(self, place: int) -> Iterator[tuple[str, int]]:
        """Rule and end of the names that begin here, or whose title or introduction does."""
        word = self.words[place]
        for name, end in (
            ("person", self._titled(place) if word.key in _TITLE_WORDS else None),
            ("named", self._introduced(place) if word.key in _INTRODUCED_BY else None),
            ("relative", self._related(place) if word.key in _RELATIVES else None),
            ("person", self._standing_alone(place)),
        ):
            if end is not None:
                yield name, end

    def _titled(self, place: int) -> int | None:
        title = self.words[place]
        following = self._skip(place + 1, _TITLES["joined"], _AFTER_TITLE)
        if not self._follows(following, _AFTER_TITLE):
            return None
        word = self.words[following]
        spelled = self._is_dotted(place)
        strong = title.key in _TITLES["strong"] or following > place + 1
        if title.is_capital and word.is_initial and self._gap_is(following, _INITIAL):
            following += 1
            if not self._follows(following, _BLANK, _INITIAL):
                return None
            word = self.words[following]
        particles = self._skip(following, _SMALL["particle"], _AFTER_TITLE)
        if particles > following and self._follows(particles, _BLANK):
            following, word = particles, self.words[particles]
        end = self._until(following)
        # `Sister Mary Joseph nodule`, `Dr. Barre's sign`
        if (not strong or word.key.endswith("'s")) and self._is_eponym(end):
            return None
        if word.is_known and (word.is_capital or (strong and _is_certain(word))):
            return end
        if not word.is_capital:
            # `seen by prof. lindqvist`: small letters throughout, so what stands before decides.
            before = self.words[place - 1].key if place else ""
            sure = strong and spelled and before in _SMALL["before"]
            return following + 1 if sure and word.could_be_name and len(word.text) > 3 else None
        if not word.could_be_name:
            return None
        shouted = title.is_shouted and len(title.text) > 1 and not spelled
        if shouted or (title.key in _TITLES["weak"] and not _is_plain_title(title)):
            return None
        return None if not strong and _TERM.search(word.key) else end

    def _introduced(self, place: int) -> int | None:
        for length in range(_LONGEST, 0, -1):
            phrase = tuple(word.key for word in self.words[place : place + length])
            if len(phrase) < length:
                continue
            for kind, some in _INTRODUCERS.items():
                if phrase in some:
                    end = self._after_introducer(kind, place, place + length)
                    if end is not None:
                        return end
        return None

    def _after_introducer(self, kind: str, first: int, place: int) -> int | None:
        if not self._follows(place, _AFTER_LABEL):
            return None
        word, said = self.words[place], self.words[place - 1]
        # `Pat. Müller`, but not the end of a sentence: `No patients are named. Recordings ...`
        stopped = self._is_dotted(place - 1)
        if stopped and (len(said.text) > 4 or said.key in _SMALL["before"]):
            return None
        colon = self._follows(place, _COLON)
        label = kind == "label" and self._is_label(first, place, colon)
        if word.is_initial and self._gap_is(place, _INITIAL) and self._follows(place + 1, _INITIAL):
            place += 1
            word = self.words[place]
        if label and colon and not word.is_capital:
            return self._in_small_letters(place)
        if not word.is_capital or not word.could_be_name:
            return None
        if label:
            return self._until(place)
        pair = self._pair(place)
        if kind == "person" and self.words[first].key in _SMALL["common"]:
            # By, with, per: the name has to be one.
            return (
                self._until(place) if pair and word.is_known and not self._is_eponym(pair) else None
            )
        if _is_certain(word) and not self._is_eponym(place + 1):
            return self._until(place)
        if pair is None:
            return None
        known = any(w.is_known for w in self.words[place:pair])
        # `seen by` and `referring physician` are followed by a person, or by a service.
        told = place - first > 1 and not any(_TERM.search(w.key) for w in self.words[place:pair])
        return max(pair, self._until(place)) if known or colon or told else None

    def _in_small_letters(self, place: int) -> int | None:
        """The end of `hernandez, luis` after a label: one of its words is a known name."""
        pair = self._pair(place)
        for end in (place + 1, pair):
            if end is not None and any(map(_is_certain, self.words[place:end])):
                return pair or end
        return None

    def _is_label(self, first: int, place: int, colon: bool) -> bool:
        """Whether a label is a person's: `Name:` at the start of a line, and not `Drug name:`."""
        if place - first > 1 or self.words[first].key not in _SMALL["named-thing"]:
            return True
        start = self.starts[first]
        before = self.text[max(0, start - 2) : start].rstrip(" ")
        return colon and (not before or not before[-1].isalnum())

    def _related(self, place: int) -> int | None:
        if not self._follows(place + 1, _BESIDE):
            return None
        word = self.words[place + 1]
        if (
            not word.is_capital
            or not word.could_be_name
            or word.is_shouted != self.words[place].is_shouted
        ):
            return None
        end = self._until(place + 1)
        if self._is_eponym(end):
            return None
        if word.key in _SURE_FIRST:
            return end
        owned = place > 0 and self.words[place - 1].key in _SMALL["possessive"]
        plain = owned and self._gap_is(place, _BLANK) and not _TERM.search(word.key)
        return end if plain else None

    def _standing_alone(self, place: int) -> int | None:
        word = self.words[place]
        if word.is_initial:
            return self._after_initial(place)
        if len(word.text) < 2 or word.key in _NOT_NAMES:
            return None
        if word.is_patronymic and word.is_capital:
            return place + 1
        if (
            word.is_capital
            and (word.key in _LAST or word.is_slavic)
            and self._initials_follow(place)
        ):
            return place + 1
        end = self._pair(place)
        if end is None or self._is_eponym(end):
            return None
        if word.key in _EPONYMS and self.words[end - 1].key in _EPONYMS:
            return None
        other = self.words[end - 1]
        if self._has_degree(end) and word.is_capital:
            return end
        first = word.key in _FIRST
        sure = first and word.key not in _AMBIGUOUS
        if self._follows(place + 1, _COMMA):
            known = word.key in _LAST and word.key not in _AMBIGUOUS
            sure_other = other.key in _SURE_FIRST
            return end if word.is_capital and known and sure_other else None
        if word.is_capital and other.is_capital and word.is_shouted == other.is_shouted:
            surname = other.key in _LAST
            if word.is_shouted:
                return end if first and surname and (sure or other.key not in _AMBIGUOUS) else None
            unlike = _TERM.search(other.key) is not None or len(other.text) < 3
            return end if (sure and (surname or not unlike)) or (first and surname) else None
        if word.is_shouted and other.is_capital:
            return end if word.key in _LAST and other.key in _SURE_FIRST else None
        if not word.is_capital and not other.is_capital:
            return end if sure and other.key in _LAST and self._is_small(place, end) else None
        return None

    def _is_small(self, place: int, end: int) -> bool:
        """Whether both small words are names; a surname that is a word needs a middle name."""
        other = self.words[end - 1]
        return other.key not in _AMBIGUOUS or end - place > 2

    def _after_initial(self, place: int) -> int | None:
        if not self._gap_is(place, _INITIAL) or not self._follows(place + 1, _INITIAL):
            return None
        word = self.words[place + 1]
        if word.is_initial or not word.is_capital or word.is_shouted or not _is_certain(word):
            return None
        return None if self._is_eponym(place + 2) else place + 2

    def _initials_follow(self, place: int) -> bool:
        return (
            self._follows(place + 1, _BLANK)
            and self._follows(place + 2, _INITIAL)
            and self.words[place + 1].is_initial
            and self.words[place + 2].is_initial
        )

    def _pair(self, place: int) -> int | None:
        """The end of two or three names in a row, maybe with an initial, particle or comma."""
        following = place + 1
        if not self._follows(following, _BLANK, _COMMA):
            return None
        if self.words[following].is_initial and self._follows(following + 1, _INITIAL, _BLANK):
            following += 1
        elif self.words[following].key in _SMALL["particle"] and self._follows(
            following + 1, _BLANK
        ):
            following += 1
            if self.words[following].key in _SMALL["particle"] and self._follows(
                following + 1, _BLANK
            ):
                following += 1
        elif (
            not self.words[following].is_capital
            and self.words[following].key in _EITHER
            and self._follows(following + 1, _BLANK)
            and self.words[following + 1].key in _LAST
        ):
            following += 1
        other = self.words[following]
        if len(other.text) < 2 or not other.could_be_name:
            return None
        return following + 1

    def _has_degree(self, place: int) -> bool:
        if not self._follows(place, _COMMA):
            return False
        degree = self.text[self.starts[place] : self.starts[place] + 6]
        return folded(re.sub(r"[.\s]", "", degree.split(",")[0])) in _TITLES["after"]

    def _is_eponym(self, place: int) -> bool:
        """Whether one of the two words from here on makes a term of the name before them."""
        near = [n for n in (place, place + 1) if n < len(self.words)]
        if not near or not self._follows(place, _BLANK):
            return False
        joined = len(near) > 1 and self._follows(place + 1, _BLANK)
        return any(self.words[n].key in _EPONYM_NOUNS for n in near[: 2 if joined else 1])

    def _until(self, place: int) -> int:
        """The end of the name that begins at a place: further capitalised words that could be."""
        end = place + 1
        while end < len(self.words) and end < place + 4 and self._follows(end, _BLANK, _COMMA):
            word = self.words[end]
            if not (word.is_capital and word.is_known) and word.key not in _SMALL["particle"]:
                break
            end += 1
        while end > place + 1 and self.words[end - 1].key in _SMALL["particle"]:
            end -= 1
        return end

    def _skip(self, place: int, keys: frozenset[str], gap: re.Pattern[str]) -> int:
        """The place behind words of `keys`, of which a name has a few."""
        last = place + _MOST
        while place < last and self._follows(place, gap) and self.words[place].key in keys:
            place += 1
        return place

    def _follows(self, place: int, *gaps: re.Pattern[str]) -> bool:
        """Whether there is a word at a place, after one of the gaps."""
        if not 0 < place < len(self.words):
            return False
        start, end = self.ends[place - 1], self.starts[place]
        if end - start > 6:
            return False
        between = self.text[start:end]
        return any(gap.match(between) for gap in gaps)

    def _is_dotted(self, place: int) -> bool:
        end = self.ends[place]
        return self.text[end : end + 1] == "."

    def _gap_is(self, place: int, gap: re.Pattern[str]) -> bool:
        """Whether what stands behind the word of a place is such a gap."""
        return self._follows(place + 1, gap)


_TITLE_WORDS = _TITLES["strong"] | _TITLES["weak"]
_INTRODUCED_BY = frozenset(phrase[0] for some in _INTRODUCERS.values() for phrase in some)


def _is_plain_title(title: Word) -> bool:
    """Whether a weak title is written as one: M. and Mr, but not MR or MS."""
    return title.key in _TITLES["plain"] and not (len(title.text) > 1 and title.is_shouted)


def _is_certain(word: Word) -> bool:
    """Whether it is a known name and no common word."""
    return word.is_known and word.key not in _AMBIGUOUS


def _word(text: str) -> Word:
    # Words repeat from text to text; longer ones are none, and would only be kept.
    return _kept(text) if len(text) <= _LONGEST_KEPT else _read(text)


def _read(text: str) -> Word:
    key = folded(text)
    plain = key.removesuffix("'s")
    could_be_name = len(text) > 1 and plain not in _NOT_NAMES and plain not in _EPONYM_NOUNS
    # Of a double name one part is enough.
    listed = any(part in _EITHER for part in (key, *re.split("[-']", key)))
    upper = text.isupper()
    capital, shouted, initial = text[0].isupper(), len(text) > 1 and upper, len(text) == 1 and upper
    # Without capitals only a first name stands alone; the rest is told by such a word before it.
    alone = len(text) > 1 and key not in _NOT_NAMES and (capital or shouted or key in _FIRST)
    told = key in _TITLE_WORDS or key in _INTRODUCED_BY or key in _RELATIVES
    return Word(
        text,
        key,
        capital,
        shouted,
        initial,
        could_be_name,
        is_known=listed and could_be_name,
        is_patronymic=_PATRONYMIC.search(key) is not None,
        is_slavic=_SLAVIC.search(key) is not None,
        may_begin=initial or alone or told,
    )


_kept = lru_cache(100_000)(_read)
