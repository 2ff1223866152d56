"""A data set of schema 1 is told in one line, by every command, with what builds it anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

#: What of the manifest of an older version is read, and fields that this version does not know.
CONTENT = {
    "schema_version": 1,
    "manifest_version": 1,
    "sources": {"ptb_xl": {"converter": "ptb_xl", "former": 1}},
    "shards": [{"path": "data/ptb_xl/train-00000.parquet"}],
    "salt_fingerprint": "0",
}
SAID = "has schema version 1, this is 2. Fix: build it anew: "
BUILD = "qoqdata build ptb_xl --raw DIR --out NEW"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    root = tmp_path / "old set"
    root.mkdir()
    (root / "manifest.json").write_text(json.dumps(CONTENT))
    return root


COMMANDS = [
    ("validate",),
    ("curate",),
    ("stats",),
    ("difficulty", ..., "--prior"),
    ("card",),
    ("publish", ..., "--to", "OUT"),
    ("diff", ..., ...),
    ("rebuild", ..., "--raw", "RAW", "--out", "OUT"),
    ("traces", ..., "--from", "ROLLOUTS", "--out", "OUT"),
    ("export", ..., "--to", "webdataset", "--out", "OUT"),
    ("build", "ptb_xl", "--raw", "RAW", "--out", ...),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_says_what_builds_it_anew(
    command: tuple, qoqdata: Callable, salt: Path, older: Path, tmp_path: Path
) -> None:
    (tmp_path / "RAW").mkdir()
    (tmp_path / "ROLLOUTS").write_text('{"id": "a", "response": "b", "reward": 1.0}\n')
    name, *arguments = command if len(command) > 1 else (*command, ...)
    paths = {"OUT", "RAW", "ROLLOUTS"}
    given = [older if a is ... else tmp_path / a if a in paths else a for a in arguments]
    code, _, err = qoqdata(name, *given)
    assert code in (1, 2)
    assert err.strip().splitlines()[-1].endswith(f"{older}: {SAID}{BUILD}")
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "weights", "evaluate"])
def test_so_does_training(command: str, train: Callable, older: Path, tmp_path: Path) -> None:
    given = {
        "train": ["--data", older, "--model", "m", "--out", tmp_path / "run"],
        "weights": [older],
        "evaluate": ["--data", older, "--model", "m", "--out", tmp_path / "out"],
    }[command]
    code, _, err = train(command, *given)
    assert code and err.strip().endswith(f"{older}: {SAID}{BUILD}")


def test_own_sources_are_built_by_their_mapping(qoqdata: Callable, older: Path) -> None:
    sources = CONTENT["sources"] | {"ham10000": {"converter": "ham10000"}}  # type: ignore[operator]
    sources |= {"our_films": {"converter": "image_table"}}
    (older / "manifest.json").write_text(json.dumps(CONTENT | {"sources": sources}))
    _, _, err = qoqdata("validate", older)
    own = "qoqdata build image_table --mapping FILE --raw DIR --out NEW"
    both = BUILD.replace("ptb_xl", "ptb_xl ham10000")
    assert err.strip().endswith(f"{both} and {own}")


def test_a_newer_set_needs_a_newer_qoqdata(qoqdata: Callable, older: Path) -> None:
    for changes, words in (
        ({"schema_version": 3, "manifest_version": 2}, "has schema version 3, this is 2"),
        ({"schema_version": 2, "manifest_version": 3}, "has manifest version 3, this is 2"),
    ):
        (older / "manifest.json").write_text(json.dumps(CONTENT | changes))
        _, _, err = qoqdata("validate", older)
        fix = "use the qoqdata that wrote it, or a later one"
        assert err.strip().endswith(f"{older}: {words}. Fix: {fix}")
