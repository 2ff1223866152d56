"""qoqdata new-source: scaffold a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.contract.vocabulary import DOMAINS

EPILOG = """Example:  qoqdata new-source lab_ultrasound --domain ultrasound

In a package of your own:  qoqdata new-source my_set --domain ct --out my_package/sources"""


def add(app: typer.Typer) -> None:
    app.command("new-source", epilog=EPILOG)(new_source_command)


def new_source_command(
    name: Annotated[str, typer.Argument(help="Slug: lower case, digits, underscores.")],
    domain: Annotated[str, typer.Option(help=f"One of {', '.join(DOMAINS)}.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Parent folder (default: converters/<domain> of the checkout)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="What was made, as JSON.")] = False,
) -> None:
    """Make a source folder that passes its suite."""
    from qoqdata.suite.examples import RECORDS, read_expected

    source = qoqdata.new_source(name, domain, out=out)
    parent, records = source.folder.parent, len(read_expected(source, RECORDS))
    if json:
        console.emit_json({"source": name, "folder": source.folder, "records": records})
        return
    made = "card.yaml, source.py, simulate.py, example/"
    console.say(f"{source.folder}: {made} with {records} records")
    console.say("next")
    console.say("  1. fill in card.yaml; change plan and convert in source.py")
    console.say("  2. change simulate.py to the source's own layout, and write example/raw with it")
    suite = "pytest --pyargs qoqdata.suite.checks --qoqdata-source"
    console.say(f"  3. {suite} {name} --qoqdata-accept, and read expected.jsonl")
    if not parent.resolve().is_relative_to(Path("converters").resolve()):
        console.say("and once in your package's pyproject.toml")
        console.say('  [project.entry-points."qoqdata.sources"]')
        console.say(f'  {parent.name} = "the import name of {parent}"')
