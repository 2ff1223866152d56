"""DRPO, rewards and training on qoqdata sets.

    drpo = qoqtrain.DRPO.from_stats(qoqdata.open("./set").stats, domain_key="domain")
    qoqtrain.rewards.score(responses, truths, preset="qoq_med_code")

Names are imported at their first use, so that `import qoqtrain` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoqtrain import rewards
    from qoqtrain.drpo import DRPO

__all__ = ["DRPO", "rewards"]


def __getattr__(name: str) -> Any:
    if name == "DRPO":
        return import_module("qoqtrain.drpo").DRPO
    if name == "rewards":
        return import_module("qoqtrain.rewards")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return __all__
