"""Reading an answer as one of a record's options, whole.

Options may be any text, with commas and "and" in them, so an answer is never split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qoqtrain.rewards.spellings import lettered, without_lead
from qoqtrain.rewards.text import normal_form, singular
from qoqtrain.rewards.vocabulary import unambiguous


@dataclass(frozen=True)
class Choices:
    """The options of a question by the texts that stand for one of them.

    exact      text as written -> place
    forms      normal form -> place; then by synonym and singular, where one option alone has it
    classes    normal form of an alias -> normal form of what it means
    letters    whether the question shows a letter before each option
    """

    options: tuple[str, ...]
    exact: Mapping[str, int]
    forms: Mapping[str, int]
    meanings: Mapping[str, int]
    singulars: Mapping[str, int]
    classes: Mapping[str, str]
    letters: bool

    def find(self, answer: str) -> int | None:
        """The place of the option that an answer is, or None.

        An option as written comes first, so options that differ in case or mark-up alone can be
        told apart; the normal forms count where they belong to one option.
        """
        place = self._named(answer)
        if place is not None:
            return place
        bare = normal_form(without_lead(normal_form(answer)))
        if (place := self._named(bare)) is not None:
            return place
        option = lettered(bare) if self.letters else None
        if option is None or option.place >= len(self.options):
            return None
        # A letter before other words than its option's is no answer.
        right = not option.rest or self._named(option.rest) == option.place
        return option.place if right else None

    def _named(self, text: str) -> int | None:
        if (place := self.exact.get(text.strip())) is not None:
            return place
        form = normal_form(text)
        if (place := self.forms.get(form)) is not None:
            return place
        if (place := self.meanings.get(self.classes.get(form, form))) is not None:
            return place
        return self.singulars.get(singular(form))


def choices_of(
    options: tuple[str, ...], *, letters: bool = False, classes: Mapping[str, str] | None = None
) -> Choices:
    """The choices of a question; `classes` are from `vocabulary.synonym_classes`."""
    classes = classes or {}
    forms = [normal_form(option) for option in options]
    return Choices(
        options=options,
        exact={option.strip(): place for place, option in enumerate(options)},
        forms=unambiguous((form, place) for place, form in enumerate(forms)),
        meanings=unambiguous((classes.get(form, form), place) for place, form in enumerate(forms)),
        singulars=unambiguous((singular(form), place) for place, form in enumerate(forms)),
        classes=classes,
        letters=letters,
    )
