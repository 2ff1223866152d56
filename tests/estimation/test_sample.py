"""`qoqdata estimate` on made-up raw folders, against the build itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import qoqdata
from qoqdata.cli import main
from qoqdata.errors import UsageError
from tests.cli.conftest import runner


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Run `qoqdata ARGS`; returns exit code, standard output and standard error."""
    return runner("qoqdata", main.run, monkeypatch, capsys)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of two sources: one is sampled, the other is so small that it is built whole."""
    root = tmp_path_factory.mktemp("raw")
    qoqdata.simulate("ham10000", n=120, out=root / "ham10000")
    qoqdata.simulate("lc25000", n=20, out=root / "lc25000")
    return root


def test_records_and_bytes_are_those_of_the_build(raw: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    result = qoqdata.estimate(
        ["ham10000", "lc25000"],
        raw=raw,
        workers=[1, 8],
        seconds=1e-9,
        work=tmp_path,
        progress=lambda *step: steps.append(step),
    )
    assert steps == [(done, 4) for done in (1, 2, 3, 4)] and not list(tmp_path.iterdir())
    manifest = qoqdata.build(["ham10000", "lc25000"], raw=raw, out=tmp_path / "set", workers=0)
    sampled, whole = result.sources
    assert (sampled.slug, sampled.sampled, whole.slug) == ("ham10000", 32, "lc25000")
    counts = {slug: entry.counts for slug, entry in manifest.sources.items()}
    assert [sampled.units, whole.units] == [one.converted for one in counts.values()]
    assert whole.sampled == whole.units and whole.records.value == counts["lc25000"].records
    assert sampled.records.low <= counts["ham10000"].records <= sampled.records.high
    size = sum(path.stat().st_size for path in (tmp_path / "set").rglob("*") if path.is_file())
    assert result.bytes.value == pytest.approx(size, rel=0.15)
    assert 0 < result.wall_seconds[8].high < result.wall_seconds[1].high
    assert result.cpu_seconds.low > 0


def test_the_command_shows_it_and_tells_of_what_would_be_refused(
    command: Callable, raw: Path, tmp_path: Path
) -> None:
    arguments = ("--raw", raw / "lc25000", "--seconds", "0.1", "--workers", "2")
    code, out, _ = command("estimate", "lc25000", *arguments)
    assert code == 0 and "lc25000" in out and "2 workers" in out
    code, out, _ = command("estimate", "lc25000", *arguments, "--json")
    content = json.loads(out)
    assert content["sources"][0]["units"] == 20
    assert set(content["wall_seconds"]) == {"2"}
    (tmp_path / "raw").mkdir()
    code, _, err = command("estimate", "ham10000", "--raw", tmp_path / "raw")
    assert code == 1 and "ham10000 would be refused" in err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"workers": -1}, "is no number of processes"),
        ({"workers": []}, "is no number of processes"),
        ({"seconds": 0}, "is no time"),
        ({"seconds": float("nan")}, "is no time"),
        ({"work": "/nowhere/at/all"}, "is no folder"),
    ],
)
def test_wrong_calls_are_refused(raw: Path, arguments: dict, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        qoqdata.estimate("lc25000", raw=raw / "lc25000", **arguments)
