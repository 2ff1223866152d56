"""docs/new_source.md: the source that it shows reads the tree that its simulator writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qoqdata.suite.examples import build_example
from tests.documents import ROOT, snippets
from tests.suite.wrong_sources import toy


@pytest.mark.parametrize("quirks", [False, True])
def test_the_source_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quirks: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for snippet in snippets(ROOT / "docs" / "new_source.md"):
        if snippet.language == "python":
            exec(compile(snippet.text, str(snippet), "exec"), names)
    names["simulate"](tmp_path / "raw", 6, quirks=quirks)
    source = toy(tmp_path / "toy", names["plan"], names["convert"])
    built = build_example(source, tmp_path / "set", raw=tmp_path / "raw")
    assert len(built.records) == 6 - quirks
    assert {record["answer"] for record in built.records} == {"Benign", "Malignant"}
    expected = set(names["QUIRKS"]) if quirks else set()
    assert {row["reason"] for row in built.quarantine} == expected
