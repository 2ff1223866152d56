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
        self._known: dict[str, tuple[int, ...]] = {}

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
                if one.cue.begins is not None:
                    yield from matches_at(one, text, found)
                elif one.cue.sign is None or one.cue.sign.search(text):
                    yield from matches(one, text)
        for one in searched:
            sign = one.cue.sign
            if figures >= one.cue.figures and (sign is None or sign.search(text)):
                yield from matches(one, text)

    def _look(self, text: str) -> tuple[dict[int, list[int]], int]:
        """Where the runs are that give each cue, and how many figures the text has."""
        by_cues: dict[tuple[int, ...], list[int]] = {}
        figures = 0
        known = self._known
        for run in RUN.finditer(text):
            word = run[0]
            if run.lastindex:
                figures += len(word)
                word = word[:FIGURES_SEEN]
            cues = known.get(word)
            if cues is None:
                cues = self._cues_of(word)
            if cues:
                by_cues.setdefault(cues, []).append(run.start())
        places: dict[int, list[int]] = {}
        for cues, some in by_cues.items():
            for number in cues:
                places[number] = sorted(places[number] + some) if number in places else some
        return places, figures

    def _cues_of(self, word: str) -> tuple[int, ...]:
        cues = tuple(number for number, cue in enumerate(self._cues) if cue.search(word))
        if len(word) <= _LONGEST:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[word] = cues
        return cues
