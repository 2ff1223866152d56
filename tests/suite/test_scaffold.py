"""A new source passes its own suite before anyone has changed a line of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qoqdata.errors import UsageError
from qoqdata.suite import examples
from qoqdata.suite.scaffold import scaffold, write_expected
from tests.sources.test_catalogue import entry_point

REPOSITORY = Path(__file__).resolve().parents[2]


def listing(folder: Path) -> list[str]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.parent.name != "__pycache__")
    return sorted(path.relative_to(folder).as_posix() for path in files)


def test_what_is_made(tmp_path: Path) -> None:
    source = scaffold("busi_new", "ultrasound", tmp_path / "mine")
    assert source.folder == tmp_path / "mine" / "busi_new"
    assert (source.card.slug, source.card.domain) == ("busi_new", "ultrasound")
    assert write_expected(source, tmp_path / "set") == 3
    assert listing(source.folder) == [
        "card.yaml",
        "example/expected.jsonl",
        "example/raw/images/0001.png",
        "example/raw/images/0002.png",
        "example/raw/images/0003.png",
        "example/raw/labels.csv",
        "simulate.py",
        "source.py",
    ]
    records = examples.read_expected(source, examples.RECORDS)
    assert {record["source"] for record in records} == {"busi_new"}
    assert {record["domain"] for record in records} == {"ultrasound"}
    assert {record["answer"] for record in records} <= {"Normal", "Abnormal"}
    for path in ("card.yaml", "simulate.py", "source.py"):
        assert not {"NAME", "DOMAIN"} & set((source.folder / path).read_text().split())


def test_it_passes_its_suite(tmp_path: Path) -> None:
    """As an installed package of the user, in a process of its own."""
    source = scaffold("busi_new", "ultrasound", tmp_path / "site" / "mine")
    write_expected(source, tmp_path / "set")
    entry_point(tmp_path / "site", "mine")
    command = [
        *(sys.executable, "-m", "pytest", "--pyargs", "qoqdata.suite.checks"),
        *("--qoqdata-source", "busi_new", "-p", "no:cacheprovider", "-c", os.devnull),
        *("--basetemp", str(tmp_path / "base"), "--rootdir", str(tmp_path)),
    ]
    environment = os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{REPOSITORY}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


@pytest.mark.parametrize(
    ("name", "domain", "said"),
    [
        ("ham10000", "dermoscopy", "registered already"),
        ("Busi", "ultrasound", "slug"),
        ("bu-si", "ultrasound", "slug"),
        ("../busi", "ultrasound", "slug"),
        ("busi_new", "sonography", "domain"),
        ("busi_new", "", "domain"),
    ],
)
def test_names_and_domains_at_fault(tmp_path: Path, name: str, domain: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        scaffold(name, domain, tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "busi_new").mkdir()
    (tmp_path / "busi_new" / "card.yaml").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        scaffold("busi_new", "ultrasound", tmp_path)
    assert listing(tmp_path) == ["busi_new/card.yaml"]
    assert (tmp_path / "busi_new" / "card.yaml").read_text() == "mine"
