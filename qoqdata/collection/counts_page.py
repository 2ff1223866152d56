"""The page of a collection: per source what was published, what its card expects, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qoqdata.collection.collection import Collection, CollectionPart
from qoqdata.contract.card import Card


def counts_page(collection: Collection, cards: Mapping[str, Card]) -> str:
    """The page in Markdown, the same bytes for the same collection and cards."""
    return "\n".join(_lines(collection, cards)) + "\n"


def _lines(collection: Collection, cards: Mapping[str, Card]) -> Iterator[str]:
    expected = [_expected(cards.get(part.source)) for part in collection.parts]
    stated = sum(part.published is not None for part in collection.parts)
    records = [one for _, one in expected if one is not None]
    units = [one for one, _ in expected if one is not None]
    yield f"# {collection.title}"
    yield ""
    yield (
        f"<!-- written by `python -m qoqdata.collection {collection.name}`;"
        " change the collection or the cards instead -->"
    )
    yield ""
    yield " ".join(collection.about.split())
    yield ""
    yield (
        f"The authors state a count for {stated} of these {len(collection.parts)} sources, "
        f"together {collection.published_records:,} questions. Ours are counts of complete copies, "
        "as the cards expect them and every build compares: units are what planning finds "
        "(studies, images, recordings), and records are questions. A card states those only where "
        f"a complete copy was counted: {len(units)} cards state units ({sum(units):,} together), "
        f"{len(records)} state records ({sum(records):,}). A dash is not known, and is not zero."
    )
    yield ""
    yield (
        f"`qoqdata build --config {collection.name} --raw DIR --out SET` builds what lies below "
        "DIR, in the folder that the table names, and says what is missing."
    )
    yield ""
    yield "| source | folder | published | train | test | our units | our records | access | size |"
    yield "|---|---|--:|--:|--:|--:|--:|---|---|"
    for part, own in zip(collection.parts, expected, strict=True):
        yield _row(part, cards.get(part.source), own)
    yield ""
    yield "## Why the counts differ"
    yield ""
    for part in collection.parts:
        yield f"- **{part.source}**: {' '.join(part.differs.split())}"


def _expected(card: Card | None) -> tuple[int | None, int | None]:
    return (None, None) if card is None else (card.expected.units, card.expected.records)


def _row(part: CollectionPart, card: Card | None, own: tuple[int | None, int | None]) -> str:
    stated = part.published
    published = (stated.records, stated.train, stated.test) if stated else (None, None, None)
    numbers = ["–" if one is None else f"{one:,}" for one in (*published, *own)]
    access = "not in this catalogue" if card is None else card.access
    folders = " or ".join(f"`{folder}`" for folder in part.folders)
    return " | ".join(["| " + part.source, folders, *numbers, access, (part.size or "–") + " |"])
