"""How to run a build, as opposed to what to build."""

from __future__ import annotations

from dataclasses import dataclass

from qoqdata.pipeline import progress
from qoqdata.records.identity import Salt


@dataclass(frozen=True)
class BuildSetting:
    """How to run a build. `workers` 0 stays in this process; `resume` False redoes every chunk."""

    salt: Salt
    workers: int = 1
    engine: str = "local"
    resume: bool = True
    listen: progress.Listener = progress.silent
