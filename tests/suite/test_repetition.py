"""A converter whose output hangs on the order of a set is found, and no other."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qoqdata.sources import catalogue
from qoqdata.suite.examples import build_example
from qoqdata.suite.repetition import another_process, digest
from qoqdata.suite.scaffold import scaffold

#: Words in the order of a set: of these many, two processes rarely agree.
WORDS = "notes=tuple({f'word {n}' for n in range(24)})"


@pytest.mark.parametrize("orderly", [True, False])
def test_another_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orderly: bool) -> None:
    name = "orderly" if orderly else "unordered"
    folder = scaffold(f"{name}_set", "fundus", tmp_path / "site" / f"lab_{name}").folder
    path = folder / "source.py"
    text = path.read_text()
    assert "notes=notes" in text
    path.write_text(text if orderly else text.replace("notes=notes", WORDS))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    module = f"lab_{name}.{name}_set.source"
    source = catalogue.load_source(folder, module)
    here = digest(build_example(source, tmp_path / "a"))
    # In one process a set keeps its order.
    assert digest(build_example(source, tmp_path / "b")) == here
    with another_process() as digest_elsewhere:
        elsewhere = digest_elsewhere(source, folder / "example" / "raw", tmp_path / "c")
    assert (elsewhere == here) == orderly
    for loaded in [loaded for loaded in sys.modules if loaded.startswith("lab_")]:
        del sys.modules[loaded]


def test_what_fails_elsewhere_says_why(tmp_path: Path) -> None:
    source = catalogue.find_source("lc25000")
    raw = source.folder / "example" / "raw"
    with another_process() as digest_elsewhere:
        with pytest.raises(RuntimeError, match="no such raw folder"):
            digest_elsewhere(source, tmp_path / "nothing", tmp_path / "a")
        # It goes on with the next.
        here = digest(build_example(source, tmp_path / "b"))
        assert digest_elsewhere(source, raw, tmp_path / "c") == here


def test_a_process_that_ends_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qoqdata.suite.repetition._CODE", "raise SystemExit(3)")
    source = catalogue.find_source("lc25000")
    with another_process() as digest_elsewhere, pytest.raises(RuntimeError, match="status 3"):
        digest_elsewhere(source, tmp_path, tmp_path / "set")
