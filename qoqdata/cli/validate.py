"""qoqdata validate: does a data set keep its promises."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from qoqdata.cli import console

#: Findings shown to a person; --json lists all.
SHOWN = 20


def add(app: typer.Typer) -> None:
    app.command("validate", epilog="Example:  qoqdata validate ./set")(validate_command)


def validate_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
    json: Annotated[bool, typer.Option("--json", help="All findings as JSON.")] = False,
) -> None:
    """Check schema, digests, record rules and split safety; exit 1 and a list on any breach."""
    from qoqdata.dataset import open_dataset
    from qoqdata.validate.findings import find

    opened = open_dataset(dataset)
    findings = list(find(opened))
    records = sum(shard.rows for shard in opened.manifest.shards)
    if json:
        listed = [asdict(finding) for finding in findings]
        console.emit_json({"records": records, "findings": listed})
    elif findings:
        rows = [(f.where, f.rule, f.what) for f in findings[:SHOWN]]
        console.table(("where", "rule", "found"), rows)
        if len(findings) > SHOWN:
            console.say(f"and {len(findings) - SHOWN} more; --json lists all")
    else:
        shards = len(opened.manifest.shards)
        console.say(f"valid: {records:,} records in {shards} shards keep every rule")
    console.leave(console.FINDINGS if findings else console.DONE)
