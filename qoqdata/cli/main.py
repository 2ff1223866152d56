"""The `qoqdata` command."""

from __future__ import annotations

from qoqdata import command_line
from qoqdata.cli import (
    audit,
    benchmark_index,
    build,
    card,
    check_raw,
    correct,
    curate,
    decide,
    demo,
    diff,
    difficulty,
    estimate,
    export,
    finish,
    get,
    new_source,
    plan,
    plot,
    prepare,
    prove,
    publish,
    rebuild,
    report,
    select,
    simulate,
    sources,
    stats,
    traces,
    validate,
    view,
    why,
)

app = command_line.application(
    "qoqdata", about="Build and describe multimodal clinical instruction data."
)
COMMANDS = (
    demo,
    sources,
    get,
    check_raw,
    estimate,
    build,
    plan,
    finish,
    validate,
    curate,
    benchmark_index,
    audit,
    prove,
    view,
    report,
    plot,
    decide,
    correct,
    why,
    select,
    stats,
    difficulty,
    traces,
    diff,
    export,
    card,
    publish,
    rebuild,
    new_source,
    simulate,
    prepare,
)
for command in COMMANDS:
    command.add(app)


def run() -> None:
    """Entry point: user errors become one line on standard error and an exit code."""
    command_line.run(app)
