"""A data set of three examples, and commands that run in this process."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import qoqdata
from qoqdata.cli import main
from qoqdata.suite.examples import SALT
from tests.cli.conftest import runner
from tests.publication.conftest import raw_of
from tests.remote.servers import Site, serving

SLUGS = ("ham10000", "lc25000", "covid_blues")


@pytest.fixture(scope="module")
def salt_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("salt") / "salt"
    path.write_text(SALT.secret.hex())
    return path


@pytest.fixture(autouse=True)
def surroundings(salt_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The salt and the cache of the test, so that the user's own are left alone."""
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(salt_file))
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    sources = [{"source": slug, "raw": str(raw_of(slug))} for slug in SLUGS]
    return {"name": "three", "sources": sources}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, config: dict, salt_file: Path) -> Path:
    """Three examples, curated, with statistics: one may leave, one as recipe, one not at all."""
    out = tmp_path_factory.mktemp("api") / "set"
    qoqdata.build(config=config, out=out, workers=0, salt_file=salt_file)
    qoqdata.curate(out)
    qoqdata.stats(out, prior=True)
    return out


@pytest.fixture
def fresh(built: Path, tmp_path: Path) -> Path:
    """A copy that the test may write into."""
    return Path(shutil.copytree(built, tmp_path / "fresh" / "set"))


@pytest.fixture
def url(built: Path) -> Iterator[str]:
    with serving(Site(built.parent)) as site:
        yield f"{site.url}/set"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Run `qoqdata ARGS`; returns exit code, standard output and standard error."""
    return runner("qoqdata", main.run, monkeypatch, capsys)


def tree(root: Path) -> dict[str, str]:
    """Digests of all files below a folder but the marks of a build."""
    files = (path for path in root.rglob("*") if path.is_file() and ".build" not in path.parts)
    return {str(path.relative_to(root)): sha256(path.read_bytes()).hexdigest() for path in files}


def rollouts_of(dataset: Path, folder: Path) -> Path:
    """Two rollouts of each training question, the first of them right and thought aloud."""
    ids = qoqdata.open(dataset).kept().filter(pl.col("split") == "train")["id"].to_list()
    rows = [(id_, "<think>Round.</think>\\boxed{A}", 1.0) for id_ in ids]
    rows += [(id_, "\\boxed{B}", 0.0) for id_ in ids]
    path = folder / "rollouts.parquet"
    pl.DataFrame(rows, schema=["id", "response", "reward"], orient="row").write_parquet(path)
    return path
