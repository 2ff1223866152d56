"""What a match of a rule cannot be without, told from one look at the runs of a text.

A hundred patterns that each search a text cost a hundred times what one does, and nearly all find
nothing. So a text is cut into runs of letters and runs of figures once, and a rule is tried only
where a run allows it. A cue is always weaker than its rule: it never decides that something is
found, only that nothing can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from qoqdata.curation.phi.words import one_of

#: A run is as long as it can be: before and after it stands another kind of character.
RUN = re.compile(r"(\d+)|[^\W\d_]+")

#: Of a run of figures a cue sees so many; the longest pattern of figures in a cue.
FIGURES_SEEN = 4

#: Signs of East Asia, one of which is in each match of a rule for a script without capitals.
_EAST = re.compile("[\u3000-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class Cue:
    """What a text has wherever its rule finds something; all that is given has to hold.

    begins   pattern that is searched for in the run at whose first character every match begins
    holds    pattern that is searched for in runs, one of which lies in every match
    reach    characters before the run of `holds`, or in it, where a match begins: with a letter or
             figure, and behind none of A to Z; None: it may begin anywhere
    figures  figures that a text has at least
    sign     pattern that is searched for in a text; one that begins with a rare sign costs little
    east     a match has a sign of East Asia, or is one that `begins` tells

    A run of figures is seen by its first FIGURES_SEEN.
    """

    begins: re.Pattern[str] | None = None
    holds: re.Pattern[str] | None = None
    reach: int | None = None
    figures: int = 0
    sign: re.Pattern[str] | None = None
    east: bool = False


def cue(
    *,
    begins: str | None = None,
    holds: str | None = None,
    reach: int | None = None,
    figures: int = 0,
    sign: str | None = None,
    east: bool = False,
    case: bool = False,
) -> Cue:
    """A cue from the texts of its patterns; upper and lower case are one unless `case`.

    `begins` is anchored at the start of the run.
    """
    flags = 0 if case else re.IGNORECASE
    return Cue(
        None if begins is None else re.compile(rf"\A(?:{begins})", flags),
        None if holds is None else re.compile(holds, flags),
        reach,
        figures,
        None if sign is None else re.compile(sign, flags),
        east,
    )


def first_run(choices: Iterable[str], end: str = r"\Z") -> str:
    """A pattern of the run that begins at one of the choices.

    A choice that is one run is followed by `end`, so the run ends with it unless told otherwise; a
    longer choice ends its first run. Raises ValueError where a choice begins with neither letter
    nor figure.
    """
    open_: set[str] = set()
    closed: set[str] = set()
    for choice in choices:
        run = RUN.match(choice)
        if run is None:
            raise ValueError(f"{choice!r} begins with neither letter nor figure")
        (open_ if run[0] == choice else closed).add(run[0])
    parts = [rf"(?:{one_of(open_)}){end}"] if open_ else []
    if closed:
        parts.append(rf"(?:{one_of(closed)})\Z")
    return "|".join(parts)


def has_east(text: str) -> bool:
    """Whether a text has a sign of East Asia."""
    return not text.isascii() and _EAST.search(text) is not None
