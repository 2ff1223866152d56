"""What a source's code digest covers: what its conversion may run or read, and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from qoqdata.pipeline import progress
from qoqdata.shipped import shipped_folder
from qoqdata.sources import catalogue
from qoqdata.sources.code import code_files
from tests.contract.test_card import CONTENT
from tests.pipeline.converters_by_hand import build

SOURCE = """
from ..terms import WORDS
from qoqdata.records.content import Record
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Unit

def plan(job):
    for path in job.raw.files("*.txt"):
        yield Unit(path, (path,), split="train")

def convert(unit, job):
    from . import reading
    return [Record(**ask(job.card, "diagnosis", WORDS), context=unit.key)]
"""
FILES = {
    "__init__.py": "",
    "common.py": "",
    "rules.py": "",
    "films/terms.py": "from . import spelling\nWORDS = spelling.WORDS",
    "films/spelling.py": "from ..common import *\nWORDS = ['Clear']",
    "films/unused.py": "",
    "films/codes.txt": "",
    "films/lists/more.yaml": "",
    "films/grids/__init__.py": "from .deep.inner import depth",
    "films/grids/deep/inner.py": "import PACKAGE.rules\ndepth = 1",
    "films/grids/table.csv.gz": "",
    "films/lab_films/source.py": SOURCE,
    "films/lab_films/reading.py": "from ..grids import depth\nfrom ..other_films.source import x",
    "films/lab_films/lists/labels.parquet": "",
    "films/lab_films/simulate.py": "",
    "films/lab_films/README.md": "",
    "films/lab_films/example/raw/a.csv": "",
    "films/lab_films/tests/test_x.py": "",
    "films/lab_films/__pycache__/source.pyc": "",
    "films/other_films/source.py": "x = 1",
    "films/other_films/map.csv": "",
    "films/other_films/card.yaml": "",
    "films/third_films/source.py": "",
    "films/third_films/card.yaml": "",
    "films/third_films/map.csv": "",
    "eyes/terms.py": "",
    "eyes/codes.csv": "",
}
COVERED = {
    "common.py",
    "rules.py",
    "films/terms.py",
    "films/spelling.py",
    "films/codes.txt",
    "films/lists/more.yaml",
    "films/grids/__init__.py",
    "films/grids/deep/inner.py",
    "films/grids/table.csv.gz",
    "films/lab_films/source.py",
    "films/lab_films/reading.py",
    "films/lab_films/lists/labels.parquet",
    "films/other_films/source.py",
    "films/other_films/map.csv",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable package of these files."""
    monkeypatch.syspath_prepend(tmp_path)
    root = tmp_path / f"lab_of_{tmp_path.name}"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("PACKAGE", root.name))
    card = yaml.safe_dump(CONTENT | {"slug": "lab_films"})
    (root / "films/lab_films/card.yaml").write_text(card)
    return root


def test_what_is_covered(package: Path) -> None:
    module = f"{package.name}.films.lab_films.source"
    files = code_files(package / "films/lab_films", module, package)
    assert {path.relative_to(package).as_posix() for path in files} == COVERED


@pytest.mark.parametrize("name", [*FILES, "films/lab_films/card.yaml"])
def test_the_digest_follows_what_is_covered(package: Path, name: str) -> None:
    folder, module = package / "films/lab_films", f"{package.name}.films.lab_films.source"
    before = catalogue.load_source(folder, module)
    (package / name).write_text((package / name).read_text() + "\n# changed\n")
    after = catalogue.load_source(folder, module)
    assert (after.code_digest != before.code_digest) == (name in COVERED)
    # It is the same wherever the package lies, and from wherever it was found.
    assert catalogue.load_source(folder, module, package).code_digest == after.code_digest


@pytest.mark.parametrize("name", ["films/spelling.py", "films/lab_films/lists/labels.parquet"])
def test_a_changed_helper_builds_the_shards_anew(package: Path, tmp_path: Path, name: str) -> None:
    """Once they stayed "unchanged", with the old answers in them."""
    folder, module = package / "films/lab_films", f"{package.name}.films.lab_films.source"
    build(tmp_path, catalogue.load_source(folder, module))
    (package / name).write_text("WORDS = ['Opacity']\n")
    for known in [known for known in sys.modules if known.startswith(package.name)]:
        del sys.modules[known]
    events: list = []
    build(tmp_path, catalogue.load_source(folder, module), events=events)
    (finished,) = [event for event in events if isinstance(event, progress.Finished)]
    assert not finished.reused


def test_a_module_of_no_package_covers_its_folder(tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text("import json\nfrom ...far import x\n")
    (tmp_path / "codes.csv").write_text("")
    files = code_files(tmp_path, "a_module_by_another_name", tmp_path)
    assert [path.name for path in files] == ["codes.csv", "source.py"]


def test_the_shipped_sources_cover_their_own_code() -> None:
    root = shipped_folder("converters")
    for source in catalogue.sources():
        if root in source.folder.parents:
            names = {path.name for path in code_files(source.folder, source.module, root)}
            assert "source.py" in names and "card.yaml" not in names
