"""How commands show what of a collection is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import qoqdata
from qoqdata import console

if TYPE_CHECKING:
    from qoqdata.collection.survey import Survey


def counts(stock: Survey) -> dict[str, Any]:
    """A survey as plain values."""
    return {
        "name": stock.collection.name,
        "present": {slug: str(folder) for slug, folder in stock.present.items()},
        "missing": list(stock.missing),
        "not_in_catalogue": list(stock.unknown),
        "published_records": stock.collection.published_records,
        "present_records": stock.present_records,
        "share": stock.share,
    }


def show(stock: Survey) -> None:
    """What is there, how to get each source that is not, and the share of the set."""
    cards, parts = qoqdata.cards(), {part.source: part for part in stock.collection.parts}
    console.say(f"{stock.collection.title}: {len(stock.present)} of {len(parts)} sources are there")
    if stock.missing:
        console.say("\nmissing, and how to get them")
        for slug in stock.missing:
            card, part = cards[slug], parts[slug]
            console.say(f"{slug}: put it into {stock.raw / part.folders[0]}")
            published = part.published and part.published.records
            facts = [
                ("  get it", " ".join(card.get.split())),
                ("  size", part.size),
                ("  access", f"{card.access}; {card.licence.name}"),
                ("  published", published),
            ]
            console.facts(facts)
    if stock.unknown:
        console.say("\nnot in the catalogue of this installation: " + ", ".join(stock.unknown))
    console.say(
        f"\nthere: {stock.present_records:,} of {stock.collection.published_records:,} published "
        f"records, {100 * stock.share:.3g} %\n"
    )
