"""qoqdata sources: the catalogue, and one card in full."""

from __future__ import annotations

from typing import Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.contract.card import Card


def add(app: typer.Typer) -> None:
    app.command("sources", epilog="Example:  qoqdata sources ptb_xl")(sources_command)


def sources_command(
    slug: Annotated[str | None, typer.Argument(help="One source in full.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Cards as JSON.")] = False,
) -> None:
    """List the sources, or show one card in full.

    A card tells terms, where to get the files, their layout, labels, and the options.
    """
    if slug is not None:
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
        return
    cards = qoqdata.cards()
    if json:
        console.emit_json({name: card.model_dump(mode="json") for name, card in cards.items()})
        return
    simulators = qoqdata.simulated()
    rows = [
        (
            name,
            _domain(card),
            card.expected.records,
            card.access,
            card.redistribution,
            "yes" if name in simulators else "",
            card.name,
        )
        for name, card in cards.items()
    ]
    columns = ("source", "domain", "records", "access", "redistribution", "simulated", "name")
    console.table(columns, rows)
    console.say("\none in full: qoqdata sources SLUG; made-up files of one: qoqdata simulate SLUG")


def show(card: Card) -> None:
    """A card for a person."""
    console.say(f"{card.slug}: {card.name}")
    console.say(card.summary)
    facts = [
        ("role", "evaluation only: never trained on" if card.role == "evaluation" else None),
        ("domain", _domain(card)),
        ("licence", card.licence.name),
        ("note", card.licence.note),
        ("access", card.access),
        ("redistribution", card.redistribution),
        ("patient key", card.keys.patient or "none in the source"),
        ("split", f"{card.splits.rule}; {card.splits.note or 'by group'}"),
        ("records", card.expected.records),
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


def _domain(card: Card) -> str:
    return "any" if card.needs_mapping else str(card.domain)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())
