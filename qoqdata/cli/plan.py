"""qoqdata plan: what a build that many share consists of."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.cli.build import (
    Config,
    Limit,
    MappingFile,
    MaxQuarantine,
    Options,
    Out,
    PatientSplitsOf,
    Policy,
    Raw,
    SaltFile,
    Slugs,
    asked_of,
)
from qoqdata.errors import UsageError

EPILOG = f"""Example:  qoqdata plan ptb_xl --raw /data/ptb-xl --out /shared/set

Then, anywhere and in any order:  qoqdata build --part 1/16 --out /shared/set

At last:  qoqdata finish --out /shared/set

{command_line.EXIT_CODES}"""


def add(app: typer.Typer) -> None:
    app.command("plan", epilog=EPILOG)(plan_command)


def plan_command(
    slugs: Slugs = None,
    out: Out = None,
    raw: Raw = None,
    config: Config = None,
    mapping: MappingFile = None,
    option: Options = None,
    storage: Policy = None,
    patient_splits: PatientSplitsOf = None,
    max_quarantine: MaxQuarantine = None,
    limit: Limit = None,
    salt_file: SaltFile = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Plan a build that is shared over a cluster's queue: build its parts, then finish it.

    The plan lies in the data set. Raw folders, and its folder where it has one, are at the same
    paths wherever a part is built. Exit code 3 means that a source cannot be planned.
    """
    if out is None:
        raise UsageError("--out is missing", fix="name the data set's folder")
    with console.listener(quiet=json) as progress:
        sources = qoqdata.plan(
            slugs,
            out=out,
            **asked_of(raw, config, mapping, option, storage, patient_splits),
            max_quarantine=max_quarantine,
            limit=limit,
            salt_file=salt_file,
            progress=progress,
        )
    if json:
        console.emit_json({"out": str(out), "sources": [asdict(one) for one in sources]})
    else:
        rows = [(one.source, one.units, one.chunks, one.left_out) for one in sources]
        console.table(("source", "units", "chunks", "left out"), rows)
        chunks = sum(one.chunks for one in sources)
        console.say(f"\n{chunks} chunks to be shared: qoqdata build --part 1/{chunks} --out {out}")
        for one in sources:
            if one.refusal is not None:
                console.say(f"{one.source} failed as a whole: {one.refusal}")
    refused = any(one.refusal is not None for one in sources)
    command_line.leave(command_line.FAILED if refused else command_line.DONE)
