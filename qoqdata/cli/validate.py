"""qoqdata validate: does a data set keep its promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import command_line, console

if TYPE_CHECKING:
    from qoqdata.contract.manifest import Manifest
    from qoqdata.validation import Finding

#: Findings shown to a person; --json lists all.
SHOWN = 20


def add(app: typer.Typer) -> None:
    app.command("validate", epilog="Example:  qoqdata validate ./set")(validate_command)


def validate_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder or URL.")],
    metadata: Annotated[
        bool, typer.Option("--metadata", help="Read no shard: what metadata tell, quickly.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="All findings as JSON.")] = False,
) -> None:
    """Check a data set against all its promises.

    Schema, digests, record rules, counts and split safety; exit 1 and a list on any breach, 3 where
    a source failed as a whole.
    """
    target = qoqdata.open(dataset)
    with console.counter("records", quiet=json) as progress:
        findings = qoqdata.validate(target, metadata_only=metadata, progress=progress)
    show(findings, target.manifest, as_json=json, metadata_only=metadata)
    if target.manifest.outcome == "failed":
        command_line.leave(command_line.FAILED)
    command_line.leave(command_line.FINDINGS if findings else command_line.DONE)


def show(
    findings: Sequence[Finding],
    manifest: Manifest,
    *,
    as_json: bool = False,
    metadata_only: bool = False,
) -> None:
    """What is wrong with a data set, or that nothing is."""
    records, shards = sum(shard.rows for shard in manifest.shards), len(manifest.shards)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        console.emit_json({"records": records, "findings": rows})
    elif findings:
        cells = [(f.where, f.rule, f.what) for f in findings[:SHOWN]]
        console.table(("where", "rule", "found"), cells)
        if len(findings) > SHOWN:
            console.say(f"and {len(findings) - SHOWN} more; --json lists all")
    elif metadata_only:
        console.say(f"metadata: {records:,} records keep every rule of metadata; no shard was read")
    else:
        console.say(f"valid: {records:,} records in {shards} shards keep every rule")
