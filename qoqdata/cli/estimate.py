"""qoqdata estimate: what a build will take, from a sample of each source."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import command_line, console
from qoqdata.api.collecting import is_collection
from qoqdata.cli import collection
from qoqdata.cli.build import (
    Config,
    MappingFile,
    Options,
    PatientSplitsOf,
    Policy,
    Raw,
    Slugs,
    asked_of,
)

if TYPE_CHECKING:
    from qoqdata.estimation.estimate import Bounded, BuildEstimate

EPILOG = """Example:  qoqdata estimate ptb_xl --raw /data/ptb-xl --workers 8

For two clusters:  qoqdata estimate --config qoq_med --raw /data --workers 64 --workers 1000"""

_SECONDS = (("h", 3600.0), ("min", 60.0), ("s", 1.0))


def add(app: typer.Typer) -> None:
    app.command("estimate", epilog=EPILOG)(estimate_command)


def estimate_command(
    slugs: Slugs = None,
    raw: Raw = None,
    config: Config = None,
    mapping: MappingFile = None,
    option: Options = None,
    storage: Policy = None,
    patient_splits: PatientSplitsOf = None,
    workers: Annotated[
        list[int] | None, typer.Option(help="Processes of the build; repeatable (default: 1).")
    ] = None,
    seconds: Annotated[
        float, typer.Option(help="CPU time that the sample of a source may take, about.")
    ] = 10.0,
    work: Annotated[
        Path | None, typer.Option(help="Where samples lie while they are measured.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Seconds and bytes as JSON.")] = False,
) -> None:
    """Say what a build will take: CPU time, bytes, and time by the clock for given workers.

    Every source is planned whole and a sample of it is built and thrown away. Exit code 1 means
    that a source would be refused.
    """
    if config is not None and raw is not None and is_collection(config):
        stock = qoqdata.survey(str(config), raw=raw)
        if not json:
            collection.show(stock)
    with console.counter("samples", quiet=json) as progress:
        result = qoqdata.estimate(
            slugs,
            **asked_of(raw, config, mapping, option, storage, patient_splits),
            workers=workers or 1,
            seconds=seconds,
            work=work,
            progress=progress,
        )
    refusals = [one for one in result.sources if one.refusal]
    if json:
        console.emit_json(asdict(result))
    else:
        show(result)
    for one in refusals:
        console.complain(f"{one.slug} would be refused: {one.refusal}")
    command_line.leave(command_line.FINDINGS if refusals else command_line.DONE)


def show(result: BuildEstimate) -> None:
    """The costs by source and in sum, then the time by the clock."""
    console.table(
        ("source", "units", "sampled", "records", "CPU", "between", "bytes", "between"),
        [
            (
                one.slug,
                one.units,
                one.sampled,
                round(one.records.value),
                *_amounts(one.cpu_seconds, _SECONDS),
                *_amounts(one.bytes, console.BYTES),
            )
            for one in result.sources
        ],
    )
    console.say()
    names = (("CPU", result.cpu_seconds, _SECONDS), ("bytes", result.bytes, console.BYTES))
    walls = (
        (f"{count} worker{'s' * (count != 1)}", wall, _SECONDS)
        for count, wall in result.wall_seconds.items()
    )
    console.facts(
        (name, "{}, between {}".format(*_amounts(value, units)))
        for name, value, units in (*names, *walls)
    )


def _amounts(value: Bounded, units: tuple[tuple[str, float], ...]) -> tuple[str, str]:
    """A value and its interval, in one unit."""
    name, size = next((one for one in units if value.value >= one[1]), units[-1])
    low, middle, high = (f"{number / size:.3g}" for number in (value.low, value.value, value.high))
    return f"{middle} {name}", f"{low} and {high} {name}"
