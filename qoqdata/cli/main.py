"""The `qoqdata` command."""

from __future__ import annotations

from qoqdata import console
from qoqdata.cli import build, curate, demo, difficulty, new_source, sources, stats, validate

app = console.application(
    "qoqdata", about="Build and describe multimodal clinical instruction data."
)
for command in (demo, sources, build, validate, curate, stats, difficulty, new_source):
    command.add(app)


def run() -> None:
    """Entry point: user errors become one line on standard error and an exit code."""
    console.guard(app)
