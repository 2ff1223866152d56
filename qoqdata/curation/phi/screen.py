"""Many rules over one text, each tried only where its cue allows a match."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from qoqdata.curation.phi.cues import FIGURES_SEEN, RUN, has_east
from qoqdata.curation.phi.rule import Rule, Span, matches, matches_at

#: Longer runs are no words, and would fill the memory of runs.
_LONGEST = 40
#: Runs that are remembered; then they are forgotten and begun anew.
_MOST = 100_000

#: What a reach tells: a letter or figure, behind none of A to Z.
_START = re.compile(r"(?<![A-Za-z])\w")


class Screen:
    """Rules by their cues. What it finds is what each rule finds alone, in no order.

    It remembers which cues a run gives, since the words of texts repeat.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        by_run: dict[re.Pattern[str], list[Rule]] = {}
        self._anywhere: list[Rule] = []
        self._east: list[Rule] = []
        for one in rules:
            run = one.cue.begins or one.cue.holds
            if run is not None:
                by_run.setdefault(run, []).append(one)
                if one.cue.holds is not None:
                    by_run.setdefault(one.cue.holds, [])
            if one.cue.east:
                self._east.append(one)
            elif run is None:
                self._anywhere.append(one)
        self._cues = list(by_run)
        number = {run: number for number, run in enumerate(self._cues)}
        #: Of each cue its rules, and the cue that has to be given beside it.
        self._rules = [
            [(one, None if one.cue.holds is None else number[one.cue.holds]) for one in some]
            for some in by_run.values()
        ]
        #: Sets of cues that runs give, by number; the first is of none.
        self._sets: list[tuple[int, ...]] = [()]
        self._known: dict[str, int] = {}

    def find(self, text: str) -> Iterator[Span]:
        """What the rules find in a text."""
        places, figures = self._look(text)
        east = has_east(text)
        searched = self._anywhere + self._east if east else self._anywhere
        for number, found in places.items():
            for one, beside in self._rules[number]:
                if figures < one.cue.figures or (east and one.cue.east):
                    continue
                if beside is not None and beside not in places:
                    continue
                if one.cue.sign is not None and not one.cue.sign.search(text):
                    continue
                if one.cue.begins is not None:
                    yield from matches_at(one, text, found)
                elif one.cue.reach is not None:
                    yield from matches_at(one, text, _near(text, found, one.cue.reach))
                else:
                    yield from matches(one, text)
        for one in searched:
            sign = one.cue.sign
            if figures >= one.cue.figures and (sign is None or sign.search(text)):
                yield from matches(one, text)

    def _look(self, text: str) -> tuple[dict[int, list[int]], int]:
        """Where the runs are that give each cue, and how many figures the text has."""
        by_set: dict[int, list[int]] = {}
        figures = 0
        known = self._known
        for run in RUN.finditer(text):
            word = run[0]
            if run.lastindex:
                figures += len(word)
                word = word[:FIGURES_SEEN]
            given = known.get(word)
            if given is None:
                given = self._set_of(word)
            if given:
                by_set.setdefault(given, []).append(run.start())
        places: dict[int, list[int]] = {}
        for given, some in by_set.items():
            for number in self._sets[given]:
                places[number] = sorted(places[number] + some) if number in places else some
        return places, figures

    def _set_of(self, word: str) -> int:
        """The number of the set of cues that a run gives."""
        cues = tuple(number for number, cue in enumerate(self._cues) if cue.search(word))
        if cues not in self._sets:
            self._sets.append(cues)
        given = self._sets.index(cues)
        if len(word) <= _LONGEST:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[word] = given
        return given


def _near(text: str, places: Iterable[int], reach: int) -> Iterator[int]:
    """Where a match may begin that holds a run at one of the places; each once, in order."""
    done = 0
    for place in places:
        run = RUN.match(text, place)
        assert run is not None
        for start in _START.finditer(text, max(done, place - reach), run.end()):
            yield start.start()
        done = run.end()
