"""The command that makes a record again, with all that the build was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import yaml

from qoqdata.dataset import open_dataset
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.records.identity import load_salt
from qoqdata.sources import catalogue
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.pipeline.conftest import mapping
from tests.scenes import scene


def test_a_replay_takes_the_further_roots_of_the_build(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
) -> None:
    raw, films, salt = (tmp_path / name for name in ("raw", "elsewhere", "salt"))
    raw.mkdir()
    films.mkdir()
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(films / name), scene(ord(name[0])))
    (raw / "labels.csv").write_text("file,label,patient\nfilms/a.png,a,p1\nfilms/b.png,a,p2\n")
    said = mapping("films")
    request = SourceRequest(source="image_table", raw=raw, mounts={"films": films}, mapping=said)
    own = tmp_path / "mapping.yaml"
    own.write_text(yaml.safe_dump(said))
    source = catalogue.find_source("image_table")
    build_requests(
        [(source, request)], tmp_path / "set", BuildSetting(load_salt(salt, create=True), workers=0)
    )
    id_ = open_dataset(tmp_path / "set").metadata(["id"])["id"][0]
    command = ["why", tmp_path / "set", id_, "--replay", "--raw", raw, "--mapping", own]
    command += ["--salt-file", salt]
    code, out, err = qoqdata(*command, "--mount", f"films={films}")
    assert (code, err) == (0, "") and "the same bytes" in out
    code, _, err = qoqdata(*command)
    assert code == 1
    code, _, err = qoqdata(*command, "--mount", "films")
    assert code == 2 and "NAME=DIR" in err
    code, _, err = qoqdata("why", tmp_path / "set", id_, "--mount", f"films={films}")
    assert code == 2 and "--replay" in err
