r"""How a policy may spell a right answer: what is looked through before labels are compared.

The table, with an example of each for the option B, "Edema". `LEADS` and `MARKERS` stand before a
label, `LETTERED` behind or around an option's letter; text in LaTeX is `text.plain`'s. Each is
looked through only where what remains is a label or the letter of an option, so that a label that
looks like one of them ("A. Fib", "B-cell lymphoma") is itself.

| spelling | read as |
|---|---|
| `Answer: Edema`, `Final answer: Edema` | the label |
| `2. Edema`, `2) Edema`, `- Edema`, `* Edema` | the label, a line of a list |
| `B. Edema`, `B) Edema`, `(B) Edema`, `[B] Edema`, `B: Edema`, `B - Edema` | the label |
| `Option B: Edema`, `Choice B. Edema` | the label |
| `B`, `(B)`, `[B]`, `B.`, `Option B` | the option at this place |
"""

from __future__ import annotations

import re
from typing import NamedTuple

#: Words before an answer, on normal forms.
LEADS = re.compile(r"(?:(?:final|correct|best) )?(?:answer|diagnosis)\s?:\s*")

#: What lists put before a line: a bullet, or a number with its mark.
MARKERS = re.compile(r"(?:[-\u2022\u00b7+]|\(?\d{1,2}[.):])\s+")

#: An option's letter, alone or before what the option says.
LETTERED = re.compile(
    r"(?:(?:option|choice)\s+)?[(\[]?(?P<letter>[a-z])"
    r"(?:\s?[.):\]]\s*|\s+-\s+|\s*$)(?P<rest>.*)",
    re.DOTALL,
)


class Lettered(NamedTuple):
    """An option's place, from 0, and the text behind its letter; empty where there is none."""

    place: int
    rest: str


def without_lead(form: str) -> str:
    """A normal form without the words and list marks before the answer."""
    while lead := LEADS.match(form) or MARKERS.match(form):
        form = form[lead.end() :]
    return form


def lettered(form: str) -> Lettered | None:
    """The option letter that a normal form is or begins with; None without one."""
    found = LETTERED.fullmatch(form)
    return found and Lettered(ord(found["letter"]) - ord("a"), found["rest"])
