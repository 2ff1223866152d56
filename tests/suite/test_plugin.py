"""The end of a run says what the suite left out."""

from __future__ import annotations

from types import SimpleNamespace

from qoqdata.suite.plugin import pytest_terminal_summary


def test_what_was_left_out_is_said_once() -> None:
    def report(when: str, *properties: tuple) -> SimpleNamespace:
        return SimpleNamespace(when=when, user_properties=properties)

    note = ("qoqdata", ("ptb_xl", "4 of 52 damages to tables were not tried"))
    lines: list[str] = []
    stats = {
        "passed": [report("call", note, ("other", 1)), report("call")],
        "": [report("teardown", note)],
        "warnings": [object()],
    }
    pytest_terminal_summary(SimpleNamespace(stats=stats, write_line=lines.append))
    assert lines == ["ptb_xl: 4 of 52 damages to tables were not tried"]
