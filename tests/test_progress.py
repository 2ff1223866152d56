"""How far, how fast and how long still, by a clock that the test turns."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from qoqdata import console
from qoqdata.pipeline import progress as events
from qoqdata.progress import Pace, duration, rate


class Clock:
    """Seconds, as they are set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def lines(pace: Pace, clock: Clock, seconds: float, total: int, parts: int = 100) -> list[str]:
    """What is said while `total` is done evenly in so many seconds."""
    said = []
    for part in range(1, parts + 1):
        clock.now += seconds / parts
        said.append(pace.line(total * part // parts, total))
    return [line for line in said if line is not None]


def test_long_work_is_told_at_each_tenth() -> None:
    clock = Clock()
    said = lines(Pace("records", clock), clock, seconds=1000, total=5000)
    assert len(said) == 10
    assert said[0] == "500 of 5,000 records, 5.0 a second, 15 min 00 s left"
    assert said[-2] == "4,500 of 5,000 records, 5.0 a second, 1 min 40 s left"
    assert said[-1] == "5,000 of 5,000 records, 5.0 a second"


def test_steps_over_several_tenths_are_told_once() -> None:
    clock = Clock()
    said = lines(Pace("files", clock), clock, seconds=30, total=3, parts=3)
    assert said[0] == "1 of 3 files, 6.0 a minute, 20 s left"
    assert len(said) == 3


def test_short_work_says_nothing() -> None:
    clock = Clock()
    assert lines(Pace("records", clock), clock, seconds=1.9, total=5000) == []
    assert Pace("records", clock).line(0, 0) is None


def test_what_comes_before_the_work_is_not_of_its_pace() -> None:
    clock = Clock()
    pace = Pace("files", clock)
    clock.now += 500
    pace.line(0, 10)
    assert lines(pace, clock, seconds=10, total=10)[-1] == "10 of 10 files, 1.0 a second"


def test_other_work_begins_anew() -> None:
    clock = Clock()
    pace = Pace("files", clock)
    lines(pace, clock, seconds=100, total=10)
    pace.line(0, 40)
    said = lines(pace, clock, seconds=10, total=40)
    assert said[-1] == "40 of 40 files, 4.0 a second"


@pytest.mark.parametrize(
    ("per_second", "words"),
    [(1234.5, "1,234 a second"), (9.87, "9.9 a second"), (1.0, "1.0 a second"),
     (0.5, "30 a minute"), (1 / 60, "1.0 a minute"), (0.01, "36.0 an hour")],
)  # fmt: skip
def test_rates(per_second: float, words: str) -> None:
    assert rate(per_second) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (605, "10 min 05 s"),
     (3600, "1 h 00 min"), (90_061, "25 h 01 min")],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    sheet = Console(file=text, force_terminal=True, width=100, highlight=False)
    monkeypatch.setattr(console, "err", sheet)
    return text


def test_a_terminal_has_bars_with_rates(terminal: io.StringIO) -> None:
    with console.counter("records") as progress:
        for done in range(0, 51, 10):
            progress(done, 50)
        progress(1, 7)
    assert "50/50" in terminal.getvalue() or "1/7" in terminal.getvalue()
    assert "records" in terminal.getvalue()
    with console.tally("files") as count:
        count(3)
        count(4)
    assert "4/?" in terminal.getvalue()
    with console.working("counting"):
        pass
    assert "counting" in terminal.getvalue()


def test_a_quiet_command_shows_no_bars(terminal: io.StringIO) -> None:
    with console.counter("records", quiet=True) as progress, console.working("x", quiet=True):
        progress(1, 2)
    assert terminal.getvalue() == ""


def test_a_build_says_its_pace_without_what_was_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    monkeypatch.setattr(console, "Pace", lambda unit: Pace(unit, clock))
    with console.listener() as hear:
        hear(events.Planned("films", units=110, chunks=3, left_out=0))
        hear(events.Finished("films", "train-00000", 10, 10, 0, reused=True))
        clock.now += 10
        hear(events.Finished("films", "train-00001", 50, 50, 0, reused=False))
        clock.now += 10
        hear(events.Finished("films", "train-00002", 50, 50, 0, reused=False))
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "a second" in line] == [
        "films: 50 of 100 units, 5.0 a second, 10 s left",
        "films: 100 of 100 units, 5.0 a second",
    ]
