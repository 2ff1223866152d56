"""qoqdata validate: does a data set keep its promises."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoqdata import console

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqdata.validation import Finding

#: Findings shown to a person; --json lists all.
SHOWN = 20


def add(app: typer.Typer) -> None:
    app.command("validate", epilog="Example:  qoqdata validate ./set")(validate_command)


def validate_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
    json: Annotated[bool, typer.Option("--json", help="All findings as JSON.")] = False,
) -> None:
    """Check a data set against all its promises.

    Schema, digests, record rules, counts and split safety; exit 1 and a list on any breach.
    """
    from qoqdata.dataset import open_dataset

    findings = check(open_dataset(dataset), as_json=json)
    console.leave(console.FINDINGS if findings else console.DONE)


def check(dataset: Dataset, *, as_json: bool = False) -> list[Finding]:
    """Print what is wrong with a data set, or that nothing is; returns the findings."""
    from qoqdata.validation import find

    findings = list(find(dataset))
    records = sum(shard.rows for shard in dataset.manifest.shards)
    if as_json:
        listed = [asdict(finding) for finding in findings]
        console.emit_json({"records": records, "findings": listed})
    elif findings:
        rows = [(f.where, f.rule, f.what) for f in findings[:SHOWN]]
        console.table(("where", "rule", "found"), rows)
        if len(findings) > SHOWN:
            console.say(f"and {len(findings) - SHOWN} more; --json lists all")
    else:
        shards = len(dataset.manifest.shards)
        console.say(f"valid: {records:,} records in {shards} shards keep every rule")
    return findings
