"""The licence gate: from a source's card to what of it may leave the building.

The card alone decides; no option of any command changes it. A source whose terms were settled
otherwise needs another card, and another build. The card as built lies beside the data and could be
edited, so the records themselves and the installed source's card have to say the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.sources import catalogue

#: pixels: whole records leave. recipe: questions, answers, boxes and the way to the same records.
#: withheld: nothing but the source's name and where to get it.
Form = Literal["pixels", "recipe", "withheld"]

_FORMS: Mapping[str, Form] = {
    "allowed": "pixels",
    "attribution": "pixels",
    "attribution_noncommercial": "pixels",
    "share_alike_noncommercial": "pixels",
    # Records are derivatives of the source, with or without its pixels.
    "no_derivatives": "withheld",
    "unclear": "recipe",
    "forbidden": "recipe",
}

_REASONS: Mapping[str, str] = {
    "no_derivatives": "its licence allows no derivatives",
    "unclear": "its terms do not clearly allow redistribution",
    "forbidden": "its terms forbid redistribution",
}


@dataclass(frozen=True)
class Term:
    """What may leave of one source, and the reason where that is not everything."""

    source: str
    form: Form
    reason: str | None
    licence: str
    spdx: str | None
    noncommercial: bool
    share_alike: bool


def term(card: Card) -> Term:
    """What may leave of the card's source."""
    form, reason = _FORMS[card.redistribution], _REASONS.get(card.redistribution)
    if card.access == "own" and form == "recipe":
        # Nobody else holds the raw files of a private source, so a recipe serves nobody.
        form, reason = "withheld", "it is a private source"
    return Term(
        source=card.slug,
        form=form,
        reason=reason,
        licence=card.licence.name,
        spdx=card.licence.spdx,
        noncommercial=card.redistribution.endswith("noncommercial"),
        share_alike=card.redistribution.startswith("share_alike"),
    )


def shown_form(card: Card) -> Form:
    """As what a record of the source may stand on a page that people pass on.

    As what it may leave; but the files of a private source leave only after somebody has reviewed
    them, and a page is no release: nothing of them is shown.
    """
    return "withheld" if card.access == "own" else term(card).form


def terms(cards: Mapping[str, Card]) -> dict[str, Term]:
    """The term of each source, by slug."""
    return {slug: term(cards[slug]) for slug in sorted(cards)}


def require_terms(dataset: Dataset) -> None:
    """Raise DatasetError where the terms of a source are not those of its records or, of a source
    that needs no mapping, those of its card as installed."""
    light = dataset.metadata().group_by("source").agg(pl.col("redistribution").unique())
    by_record = {source: set(found) for source, found in light.iter_rows()}
    for slug, entry in dataset.manifest.sources.items():
        card, where = dataset.cards[slug], dataset.files.origin(f"cards/{slug}.json")
        said = {card.redistribution, entry.redistribution, *by_record.get(slug, ())}
        if len(said) > 1:
            what = f"card, manifest and records differ on redistribution: {', '.join(sorted(said))}"
            raise DatasetError(what, where=where, fix="build the source again")
        if card.access == "own" and slug != entry.converter:
            continue
        try:
            installed = catalogue.find_source(entry.converter).card
        except UsageError as error:
            fix = "install the package that has it: the terms are read from its card"
            what = f"the source {entry.converter} is not installed"
            raise DatasetError(what, where=where, fix=fix) from error
        for name in ("redistribution", "access"):
            own, now = getattr(card, name), getattr(installed, name)
            if own != now and not installed.needs_mapping:
                what = f"{name} is {own!r}, and {now!r} on the card of the installed source"
                raise DatasetError(what, where=where, fix="build the source again")


def configs(cards: Mapping[str, Card]) -> dict[str, tuple[str, ...]]:
    """Sources by config of the published set: one for each domain and licence in it.

    Records of different licences never share a config, so that nobody who loads one inherits the
    terms of another. A domain of one licence gives its name; otherwise the licence is appended.
    """
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for slug, card in sorted(cards.items()):
        if term(card).form == "pixels":
            groups[card.domain][licence_id(card)].append(slug)
    by_name = {}
    for domain, by_licence in sorted(groups.items()):
        for licence, slugs in sorted(by_licence.items()):
            name = domain if len(by_licence) == 1 else f"{domain}-{licence}"
            by_name[name] = tuple(slugs)
    return by_name


def licence_id(card: Card) -> str:
    """A licence in lower case letters, digits, dots and dashes: SPDX where there is one."""
    name = card.licence.spdx or card.licence.name
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
