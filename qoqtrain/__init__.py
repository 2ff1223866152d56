"""DRPO, rewards and training on qoqdata sets."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoqtrain.drpo import DRPO

__all__ = ["DRPO"]


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that `import qoqtrain` costs nothing."""
    if name == "DRPO":
        return import_module(".drpo", __name__).DRPO
    if name == "rewards":
        return import_module(".rewards", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
