"""The viewer of a data set as an application that `qoqdata.serving` can serve."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.curation.decisions import named
from qoqdata.dataset import Dataset
from qoqdata.serving.server import AppMaker

if TYPE_CHECKING:
    from flask import Flask

    from qoqdata.records.identity import Salt
    from qoqdata.serving.gate import Gate

COMMAND = "qoqdata view"


def viewer_of(
    dataset: Dataset | Path,
    *,
    policy: str | None = None,
    rollouts: Path | None = None,
    raw: Mapping[str, Path] | None = None,
    salt: Salt | None = None,
    author: str | None = None,
) -> AppMaker:
    """What makes the viewer behind a gate; decisions are of `author`, or of who is logged in.

    `dataset` is a folder where its build has not ended.
    """

    def make(gate: Gate) -> Flask:
        from qoqdata.viewer.app import viewer_app

        return viewer_app(
            dataset,
            gate,
            policy=policy,
            rollouts=rollouts,
            raw=raw,
            salt=salt,
            author=named(author),
        )

    return make
