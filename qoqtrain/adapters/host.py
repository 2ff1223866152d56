"""What DRPO needs of the engine that hosts it: a tested release, room in checkpoints, a logger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qoqdata.atomic import write_json
from qoqdata.errors import UsageError
from qoqtrain.drpo import DRPO

#: The DRPO state inside a checkpoint folder.
FILE = "drpo_state.json"
#: Lists of domains whose length is worth a curve.
LISTS = ("unseen_domains", "no_difficulty_prior")


def require_release(package: str, tested: str) -> None:
    """Raise UsageError unless `package` is installed in the release series `tested` ("1.16").

    The adapters override private methods, which may change with every minor release.
    """
    try:
        installed = version(package)
    except PackageNotFoundError as error:
        raise UsageError(
            "is not installed", where=package, fix=f"pip install '{package}=={tested}.*'"
        ) from error
    if installed.split(".")[: tested.count(".") + 1] != tested.split("."):
        raise UsageError(
            f"version {installed} is installed, this adapter was tested with {tested}",
            where=package,
            fix=f"pip install '{package}=={tested}.*'",
        )


def save_state(state: Mapping[str, Any], folder: Path) -> None:
    """Write `DRPO.state_dict()` into the checkpoint `folder`, whole or not at all."""
    write_json(folder / FILE, state)


def load_state(drpo: DRPO, folder: Path) -> None:
    """Continue `drpo` from the checkpoint `folder`.

    Raises UsageError, and changes nothing, when the folder holds no state, a damaged one, or one
    of other settings or data.
    """
    path = folder / FILE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            "the checkpoint holds no DRPO state",
            where=str(path),
            fix="resume from a checkpoint that DRPO training wrote, or take its weights as the"
            " model of a new run",
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot be read ({error})", where=str(path), fix="resume from another checkpoint"
        ) from error
    drpo.load_state_dict(state)


def metrics_of(report: Mapping[str, Any], prefix: str = "drpo") -> dict[str, float]:
    """`Step.report` as numbers: drpo/ess, drpo/n_unseen_domains, drpo/domains/ct/squared_mass.

    Numbers that do not exist (None), text and the lists of single clusters are left out.
    """
    flat: dict[str, float] = {}
    for name, value in report.items():
        if isinstance(value, Mapping):
            flat |= metrics_of(value, f"{prefix}/{name}")
        elif name in LISTS:
            flat[f"{prefix}/n_{name}"] = float(len(value))
        elif isinstance(value, int | float):
            flat[f"{prefix}/{name}"] = float(value)
    return flat
