"""Data sets that somebody has changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qoqdata.dataset import open_dataset
from qoqdata.pipeline.config import BuildSetting
from qoqdata.publication.rebuild import rebuild
from qoqdata.records.identity import Salt
from tests.publication.conftest import raw_of

ELSEWHERE = BuildSetting(Salt(b"the secret of quite another site"), workers=0)


def change(path: Path, how: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    how(content)
    path.write_text(json.dumps(content))


def everything(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def rebuilt(release: Path, out: Path) -> None:
    rebuild(open_dataset(release), {"lc25000": raw_of("lc25000")}, out, ELSEWHERE)
