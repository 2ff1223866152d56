"""Functions that say what can be built: cards, their overview, the page of all sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.contract.card import Card
    from qoqdata.sources.overview import SourceOverview
    from qoqdata.sources.protocol import Source


def cards(*, domain: str | None = None, access: str | None = None) -> dict[str, Card]:
    """The catalogue: the card of every registered source by slug, sorted.

    `domain` and `access` keep those of one domain, or of one kind of access; the domain "any" is of
    sources that a mapping drives. Raises UsageError for a word that is none, with those that are.
    """
    from qoqdata.contract.vocabulary import ACCESS, RECORD_DOMAINS
    from qoqdata.sources import catalogue
    from qoqdata.sources.overview import ANY_DOMAIN, domain_of

    _known("domain", domain, (*RECORD_DOMAINS, ANY_DOMAIN))
    _known("access", access, ACCESS)
    return {
        slug: card
        for slug, card in catalogue.cards().items()
        if domain in (None, domain_of(card)) and access in (None, card.access)
    }


def overviews(*, domain: str | None = None, access: str | None = None) -> list[SourceOverview]:
    """Each source of `cards(domain=, access=)` in short, with the size of its code."""
    from qoqdata.sources import catalogue
    from qoqdata.sources.overview import overview

    folders, simulated = catalogue.folders(), catalogue.simulated()
    return [
        overview(card, folders[slug], simulated=slug in simulated)
        for slug, card in cards(domain=domain, access=access).items()
    ]


def sources_page() -> str:
    """The page of all sources in Markdown, as docs/sources.md is."""
    from qoqdata.sources.overview import markdown

    return markdown(overviews())


def find_source(slug: str) -> Source:
    """One source of the catalogue; raises UnknownSource, which suggests the nearest names."""
    from qoqdata.sources import catalogue

    return catalogue.find_source(slug)


def listed_records(slug: str, task: str) -> frozenset[str]:
    """Ids of the records of a `task` about the cases of a source that its own card lists by unit,
    for a benchmark: everybody's, since those of public sources need no salt.

    Raises UnknownSource, and UsageError for a source whose ids are keyed.
    """
    from qoqdata.records.identity import record_id

    card = find_source(slug).card
    if card.raw_paths == "keyed":
        raise UsageError("has ids of its site alone", where=f"source {slug}")
    keys = {key for block in card.block if block.source == slug for key in block.keys}
    return frozenset(record_id(slug, key, task, salt=None) for key in keys)


def example_mapping(slug: str) -> str | None:
    """The mapping of a source's own example as YAML, to start from; None for one that takes none.

    Raises UnknownSource.
    """
    path = find_source(slug).folder / "example" / "mapping.yaml"
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _known(what: str, word: str | None, words: tuple[str, ...]) -> None:
    if word is not None and word not in words:
        raise UsageError(f"there is no {what} {word!r}", fix=f"one of {', '.join(words)}")
