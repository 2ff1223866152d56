"""qoqdata sources: the catalogue, and one card in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import console

if TYPE_CHECKING:
    from qoqdata.contract.card import Card
    from qoqdata.sources.overview import SourceOverview


def add(app: typer.Typer) -> None:
    app.command("sources", epilog="Example:  qoqdata sources ptb_xl")(sources_command)


def sources_command(
    slug: Annotated[str | None, typer.Argument(help="One source in full.")] = None,
    domain: Annotated[str | None, typer.Option(help="Only those of a domain; or any.")] = None,
    access: Annotated[str | None, typer.Option(help="Only those with such access.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Cards as JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="All, as a page.")] = False,
) -> None:
    """List the sources, or show one card in full.

    Each with its terms, size, tasks, and how far its files are known. A card tells where to get
    the files, their layout, labels, and the options.
    """
    if slug is not None:
        show_one(slug, json=json)
    elif markdown:
        console.say(qoqdata.sources_page().rstrip("\n"))
    elif json:
        cards = qoqdata.cards(domain=domain, access=access)
        console.emit_json({name: card.model_dump(mode="json") for name, card in cards.items()})
    else:
        for row in qoqdata.overviews(domain=domain, access=access):
            console.entry(f"{row.slug}: {row.name}", _lines(row))
        console.say(
            "\none in full: qoqdata sources SLUG; made-up files of one: qoqdata simulate SLUG"
        )


def show_one(slug: str, *, json: bool) -> None:
    """The card called `slug`, and what else there is of it."""
    card = qoqdata.find_source(slug).card
    if json:
        console.emit_json(card.model_dump(mode="json"))
        return
    show(card)
    if slug in qoqdata.simulated():
        console.say(f"\nmade-up files: qoqdata simulate {slug} --n 50 --out DIR")
    if mapping := qoqdata.example_mapping(slug):
        console.say("\nmapping, for example")
        console.say(_indented(mapping))


def _lines(row: SourceOverview) -> tuple[str, ...]:
    """What the list says below a source's name."""
    sizes = ((row.units, "units"), (row.records, "records"))
    counts = [f"{number:,} {what}" for number, what in sizes if number is not None]
    tasks = ", ".join(f"{name} ({answer})" for name, answer in row.tasks.items())
    return (
        f"{row.domain}; {row.access}; {row.licence}; redistribution {row.redistribution}",
        f"expected {', '.join(counts)}" if counts else "expected: no number",
        f"tasks {tasks or 'by your mapping'}",
        f"verified {row.verified}" + ("; simulated" if row.simulated else ""),
    )


def show(card: Card) -> None:
    """A card for a person."""
    from qoqdata.sources.overview import domain_of, how_verified

    console.say(f"{card.slug}: {card.name}")
    console.say(card.summary)
    facts = [
        ("role", "evaluation only: never trained on" if card.role == "evaluation" else None),
        ("domain", domain_of(card)),
        ("licence", card.licence.name),
        ("note", card.licence.note),
        ("access", card.access),
        ("redistribution", card.redistribution),
        ("patient key", card.keys.patient or "none in the source"),
        ("split", f"{card.splits.rule}; {card.splits.note or 'by group'}"),
        ("units", card.expected.units),
        ("records", card.expected.records),
        ("verified", None if card.needs_mapping else how_verified(card.verified)),
        ("homepage", card.homepage),
        ("citation", " ".join(card.citation.split())),
        ("get it", " ".join(card.get.split())),
    ]
    console.say()
    console.facts(facts)
    console.say("\nraw folder\n" + _indented(card.layout))
    for name, task in card.tasks.items():
        console.say(f"task {name} ({task.kind}): {task.question or 'as each record asks'}")
        lines = [f"or: {form}" for form in task.forms] + list(task.options or ())
        if task.kind == "number":
            places = "places" if task.ordinal else task.unit
            lines.append(f"right within {task.tolerance or 0:g} {places}")
        console.say(_indented("\n".join(lines)))
    if card.options:
        rows = [(name, option.default, option.doc) for name, option in card.options.items()]
        console.table(("option", "default", "what it does"), rows)
    if card.known_issues:
        console.say("known issues")
        console.say(_indented("\n".join(f"- {issue}" for issue in card.known_issues)))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
