"""What the commands end with: 0 done, 1 findings, 2 usage, 3 failed or unfinished."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import qoqdata as package
from qoqdata.errors import FailedSourceWarning
from qoqdata.pipeline.config import parse_share
from qoqdata.publication.facts import gather_facts
from tests.pipeline.conftest import mapping

#: Rows of the second source, of which one names no image: a fifth.
UNITS = 5


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Five images; the table of one.csv names them all, that of two.csv one that is not there."""
    folder = tmp_path / "raw"
    folder.mkdir()
    for number in range(UNITS):
        pixels = np.random.default_rng(number).integers(0, 256, (32, 32), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def labels(raw: Path, names: Sequence[str]) -> None:
    rows = [f"{name},a,p{number}" for number, name in enumerate(names)]
    (raw / "labels.csv").write_text("\n".join(["file,label,patient", *rows]) + "\n")


@pytest.fixture
def build(qoqdata: Callable, raw: Path, salt: Path, tmp_path: Path) -> Callable:
    """Build the source `films` with some of its images missing, and other arguments."""

    def run(missing: int, *arguments: str, out: str = "set") -> tuple[int, str, str]:
        names = [f"{n}.png" for n in range(UNITS - missing)] + [f"x{n}.png" for n in range(missing)]
        for number in range(UNITS - missing, UNITS):
            (raw / f"{number}.png").unlink(missing_ok=True)
        labels(raw, names)
        path = tmp_path / "mapping.yaml"
        path.write_text(yaml.safe_dump(mapping("films")))
        common = ("--raw", raw, "--mapping", path, "--out", tmp_path / out, "--workers", "0")
        return qoqdata("build", "image_table", *common, *arguments)

    return run


@pytest.mark.parametrize(
    ("missing", "arguments", "code", "said"),
    [
        (0, [], 0, ""),
        (1, [], 1, "films: 20 % of its units, more than --max-quarantine 1 %"),
        (1, ["--max-quarantine", "20%"], 0, "films: 20 % of its units, within"),
        (1, ["--max-quarantine", "0.2"], 0, "within --max-quarantine 20 %"),
        (1, ["--max-quarantine", "19.9 %"], 1, "more than --max-quarantine 19.9 %"),
        (1, ["--max-quarantine", "0"], 1, "more than --max-quarantine 0 %"),
        (0, ["--max-quarantine", "0"], 0, ""),
        (UNITS, ["--max-quarantine", "100%"], 3, "films failed as a whole: none of its 5 units"),
    ],
)
def test_build(build: Callable, missing: int, arguments: list[str], code: int, said: str) -> None:
    found, text, _ = build(missing, *arguments)
    assert (found, said in text) == (code, True)


@pytest.mark.parametrize("share", ["1", "2", "-0.1", "101%", "a", "", "nan", "1%%"])
def test_a_share_that_is_none(build: Callable, share: str) -> None:
    code, _, text = build(0, "--max-quarantine", share)
    assert code == 2
    assert "max_quarantine" in text


@pytest.mark.parametrize(
    ("given", "share"),
    [("1%", 0.01), ("0.1 %", 0.001), (" 100% ", 1.0), ("0", 0.0), (0, 0.0), (0.29, 0.29),
     ("29%", 0.29), ("1e-2", 0.01)],
)  # fmt: skip
def test_shares(given: object, share: float) -> None:
    assert parse_share(given) == share


@pytest.mark.parametrize("given", [1, True, False, "nan", "inf", [0.1], 1.5, "1"])
def test_no_shares(given: object) -> None:
    with pytest.raises(ValueError, match="no share"):
        parse_share(given)


def test_shares_of_a_file_of_its_sources_and_of_the_command(
    qoqdata: Callable, raw: Path, salt: Path, tmp_path: Path
) -> None:
    """The command goes before a source, and a source before its file."""
    labels(raw, ["0.png", "1.png", "2.png", "3.png", "x.png"])
    (raw / "4.png").unlink()
    one = {"source": "image_table", "raw": str(raw), "mapping": mapping("one")}
    two = one | {"mapping": mapping("two"), "max_quarantine": "25%"}
    (tmp_path / "build.yaml").write_text(
        yaml.safe_dump({"sources": [one, two], "max_quarantine": 0.1})
    )
    arguments = ("--config", tmp_path / "build.yaml", "--out", tmp_path / "set", "--workers", "0")
    code, text, _ = qoqdata("build", *arguments, "--json")
    assert (code, json.loads(text)["outcomes"]) == (1, {"one": "findings", "two": "done"})
    assert qoqdata("build", *arguments, "--max-quarantine", "0.3")[0] == 0
    manifest = package.build(
        config=tmp_path / "build.yaml", out=tmp_path / "set", workers=0, max_quarantine=0.19
    )
    assert manifest.outcome == "findings"
    found = manifest.sources["two"]
    assert (found.quarantined_share, found.max_quarantine, found.outcome) == (0.2, 0.19, "findings")


def test_a_source_that_fails_leaves_no_sound_set_and_the_others_are_built(
    qoqdata: Callable, raw: Path, salt: Path, tmp_path: Path
) -> None:
    labels(raw, [f"{number}.png" for number in range(UNITS)])
    (tmp_path / "empty").mkdir()
    films = {"source": "image_table", "raw": str(raw), "mapping": mapping("films")}
    ecgs = {"source": "ptb_xl", "raw": str(tmp_path / "empty")}
    (tmp_path / "build.yaml").write_text(yaml.safe_dump({"sources": [ecgs, films]}))
    out = tmp_path / "set"
    code, text, _ = qoqdata(
        "build", "--config", tmp_path / "build.yaml", "--out", out, "--workers", "0"
    )
    assert (code, "ptb_xl failed as a whole: missing_file" in text) == (3, True)
    code, text, told = qoqdata("validate", out)
    assert (code, "every source gave records" in text) == (3, True)
    assert "warning:" in told and "ptb_xl failed as a whole" in told
    with pytest.warns(FailedSourceWarning, match="ptb_xl failed as a whole: missing_file"):
        dataset = package.open(out)
    assert len(dataset) == UNITS
    assert not any("ptb_xl" in slugs for slugs in gather_facts(dataset).configs.values())
    # Alone, it leaves a set that nothing takes for a sound one.
    qoqdata("build", "ptb_xl", "--raw", tmp_path / "empty", "--out", tmp_path / "b")
    assert qoqdata("validate", tmp_path / "b")[0] == 3
    for command in (["stats"], ["curate"], ["card"], ["difficulty", "--prior"]):
        code, _, text = qoqdata(command[0], tmp_path / "b", *command[1:])
        assert (code, "holds no record" in text) == (1, True), command


def test_an_unfinished_build(build: Callable, qoqdata: Callable, tmp_path: Path) -> None:
    assert build(0)[0] == 0
    (tmp_path / "set" / "manifest.json").unlink()
    for command in ("validate", "stats"):
        code, _, text = qoqdata(command, tmp_path / "set")
        assert (code, "finish the build first" in text) == (3, True)


def test_what_the_system_refuses_is_unfinished(
    build: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("qoqdata.manifest.write_manifest", full)
    code, _, text = build(0)
    assert (code, "No space left" in text) == (3, True)


@pytest.mark.parametrize("name", ["file.txt", "file.txt/inside"])
def test_a_place_where_no_set_can_be(build: Callable, tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("mine")
    code, _, text = build(0, out=name)
    assert (code, "name another --out" in text) == (2, True)
    assert (tmp_path / "file.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [["--workers", "-1"], ["--option", "a=1", "--option", "a=2"], ["--limit", "none"],
     ["--patient-splits", "mimic="], ["--no-such-option"]],
)  # fmt: skip
def test_wrong_arguments(build: Callable, arguments: list[str]) -> None:
    assert build(0, *arguments)[0] == 2


WRONG = {
    "list": b"- a\n", "scalar": b"text", "empty": b"", "binary": bytes(range(256)),
    "utf-16": "slug: a".encode("utf-16"), "tab": b"slug: a\n\tname: b", "deep": b"[" * 500,
    "twice": b"slug: a\nslug: b", "documents": b"a: 1\n---\nb: 2", "values": b"slug: [a]\nname: {}",
}  # fmt: skip


@pytest.mark.parametrize("content", WRONG.values(), ids=WRONG)
def test_files_that_are_no_settings(
    qoqdata: Callable, train: Callable, raw: Path, salt: Path, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    to = ("--out", tmp_path / "set", "--workers", "0")
    for code, _, text in (
        qoqdata("build", "image_table", "--raw", raw, "--mapping", path, *to),
        qoqdata("build", "--config", path, *to),
        train("train", "--config", path, "--show-settings"),
    ):
        assert (code, text.startswith("error: ")) == (2, True)


def test_options_as_cards_name_them(qoqdata: Callable, salt: Path, tmp_path: Path) -> None:
    """The example of PTB-XL has files of both rates."""
    from qoqdata.sources import catalogue

    raw = catalogue.find_source("ptb_xl").folder / "example" / "raw"
    code, _, text = qoqdata(
        "build", "ptb_xl", "--raw", raw, "--out", tmp_path / "set", "--option", "rate=100",
        "--workers", "0",
    )  # fmt: skip
    assert code in (0, 1, 3), text
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert manifest["sources"]["ptb_xl"]["options"] == {"rate": "100"}


def test_every_help_has_the_table(qoqdata: Callable, train: Callable) -> None:
    for code, text, _ in (qoqdata("--help"), qoqdata("build", "--help"), train("--help")):
        words = " ".join(text.split())
        assert code == 0
        assert "2 wrong arguments or configuration; 3 a source failed as a whole" in words
