"""Show build events: a progress bar on a terminal, one line per event off a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qoqdata import console
from qoqdata.pipeline import progress


@contextmanager
def listener(*, quiet: bool = False) -> Iterator[progress.Listener]:
    """A listener for the console; warnings and refusals always go to standard error."""
    if not quiet and console.err.is_terminal:
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield _lines if not quiet else _faults


@contextmanager
def counter(unit: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A function of (done, total): a bar on a terminal, a line at every tenth off a terminal."""
    if quiet:
        yield lambda done, total: None
        return
    if console.err.is_terminal:
        with _bars(unit) as bars:
            task = bars.add_task("", total=None, note="")
            yield lambda done, total: bars.update(task, completed=done, total=total)
        return

    def tell(done: int, total: int) -> None:
        if done == total or done * 10 // total > (done - 1) * 10 // total:
            console.complain(f"{done} of {total} {unit}")

    yield tell


def _faults(event: progress.Event) -> None:
    match event:
        case progress.SourceRefused(source=source, reason=reason, message=message):
            console.complain(f"{source}: refused ({reason}): {message}")
        case progress.Warned(source=source, message=message):
            console.complain(f"{source}: {message}")


def _lines(event: progress.Event) -> None:
    match event:
        case progress.Planned(source=source, units=units, chunks=chunks, left_out=left_out):
            console.complain(f"{source}: {units} units in {chunks} shards, {left_out} left out")
        case progress.Finished(source=source, chunk=chunk, records=records, quarantined=failed):
            state = "unchanged" if event.reused else "written"
            tail = f", {failed} quarantined" if failed else ""
            console.complain(f"{source}: {chunk} {state}, {records} records{tail}")
        case _:
            _faults(event)


def _bars(unit: str = "units") -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console.err,
    )


class _Bars:
    """One bar a source, in units."""

    def __init__(self, bars: Progress) -> None:
        self.bars, self.tasks, self.failed = bars, {}, {}  # type: ignore[var-annotated]

    def __call__(self, event: progress.Event) -> None:
        match event:
            case progress.Planned(source=source, units=units):
                self.tasks[source] = self.bars.add_task(source, total=units, note="")
            case progress.Finished(source=source, units=units, quarantined=failed):
                self.failed[source] = self.failed.get(source, 0) + failed
                note = f"{self.failed[source]} quarantined" if self.failed[source] else ""
                self.bars.update(self.tasks[source], advance=units, note=note)
            case _:
                _faults(event)
