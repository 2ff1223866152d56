"""The DRPO state inside an engine's checkpoint folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qoqdata.atomic import write_json
from qoqdata.errors import UsageError
from qoqtrain.drpo import DRPO

FILE = "drpo_state.json"


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
