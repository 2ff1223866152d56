"""What the console prints is the text that it was given."""

from __future__ import annotations

import pytest

from qoqdata import console

#: Each would be something else to rich: markup, an escape of it, a picture.
TEXTS = ["qoqdata[excel]", "[bold]x[/bold]", "a [/b", "back\\[slash]", ":smile:", "[x] \\"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_shown_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console.say(text)
    console.complain(text)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (f"{text}\n", f"{text}\n")


@pytest.mark.parametrize("text", TEXTS)
def test_tables_and_facts_show_cells_as_they_are(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console.table((text, "n"), [(text, 1)], title=text)
    console.facts([("name", text)])
    title, head, row, fact = capsys.readouterr().out.splitlines()
    assert title == text
    assert head.split("  ")[0].rstrip() == row.split("  ")[0].rstrip() == text
    assert fact == f"name  {text}"


@pytest.mark.parametrize("width", range(60, 100))
def test_no_width_of_the_terminal_cuts_a_number(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nine columns of numbers, as `qoqdata stats` shows, under heads of one word and of two."""
    monkeypatch.setattr(console.out, "_width", width)
    head = ("source", "questions", "studies", "patients", "images", "share", "rarity")
    numbers = (1024, 40, 20, 41, 0.526, 0.975, 0.881, 0.559)
    console.table((*head, "label bits", "success rate"), [("our_films", *numbers)])
    shown = capsys.readouterr().out
    assert all(len(line) <= width for line in shown.splitlines())
    words = shown.replace(";", " ").split()
    assert [word for word in words if word[0].isdigit()] == [f"{number:,}" for number in numbers]


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (45_300, "45.3 kB"), (1_234_567, "1.23 MB"), (19e12, "19 TB")],
)
def test_sizes_are_shown_in_the_unit_that_suits(count: float, shown: str) -> None:
    assert console.size(count) == shown
