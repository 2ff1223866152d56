"""Films that tests build in parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from qoqdata.layout import Layout
from qoqdata.pipeline import parts, stored_plan
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.parts import Part, PartCounts, build_part
from qoqdata.pipeline.place import FolderPlace
from qoqdata.sources import catalogue
from tests.pipeline.conftest import SALT

Films = Callable[..., SourceRequest]


HERE = BuildSetting(SALT, workers=0)


def config(*requests: SourceRequest) -> BuildConfig:
    return BuildConfig(name="films", sources=requests, shard_units=2)


def plan(asked: BuildConfig, out: Path, setting: BuildSetting = HERE) -> list[parts.PlanCounts]:
    pairs = [(catalogue.find_source(one.source), one) for one in asked.sources]
    return parts.plan(pairs, out, setting, asked)


def part(out: Path, number: int, of: int, setting: BuildSetting = HERE) -> PartCounts:
    return build_part(out, Part(number, of), setting)


def files(out: Path) -> dict[str, bytes]:
    """All files of the data set itself, and what a publication needs of the build."""
    paths = [path for path in out.rglob("*") if path.is_file()]
    kept = ("raw_keys", "receipts")
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in paths
        if ".build" not in path.parts or any(name in path.parts for name in kept)
    }


def rewrite(path: Path, content: bytes) -> None:
    """Other content of another time, whatever the clock's steps."""
    path.write_bytes(content)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


def read(out: Path) -> stored_plan.StoredPlan:
    return stored_plan.read_plan(FolderPlace(Layout(out)), SALT)
