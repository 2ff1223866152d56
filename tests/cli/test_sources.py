"""qoqdata sources: whole words at eighty columns, filters, and the page."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from rich.console import Console

import qoqdata as package
from qoqdata import console


def test_no_word_is_cut_at_eighty_columns(
    qoqdata: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = Console(width=80, force_terminal=False, highlight=False, soft_wrap=True)
    monkeypatch.setattr(console, "out", narrow)
    code, text, _ = qoqdata("sources")
    assert code == 0
    assert max(map(len, text.splitlines())) <= 80
    words = set(text.split())
    for row in package.overviews():
        said = (row.licence, row.access, row.redistribution, row.domain, *row.tasks, row.verified)
        assert {word.strip(";,") for fact in said for word in fact.split()} <= {
            word.strip(";,") for word in words
        }
        assert row.units is None or f"{row.units:,}" in words


def test_json_is_filtered_too(qoqdata: Callable) -> None:
    code, text, _ = qoqdata("sources", "--domain", "fundus", "--access", "open", "--json")
    assert code == 0
    shown = json.loads(text)
    assert shown["jichi"]["verified"]["files"] == "documents"
    assert "messidor2" not in shown and "cmmd" not in shown
    code, _, text = qoqdata("sources", "--domain", "eyes")
    assert code == 2 and "there is no domain 'eyes'" in text


def test_the_page_is_what_the_function_returns(qoqdata: Callable) -> None:
    assert qoqdata("sources", "--markdown")[1] == package.sources_page()
