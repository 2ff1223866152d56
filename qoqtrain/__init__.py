"""DRPO, rewards, training and evaluation on qoqdata sets.

    drpo = qoqtrain.DRPO.from_stats(qoqdata.open("./set").stats, domain_key="domain")
    qoqtrain.rewards.score(responses, truths, preset="gated")
    qoqtrain.train({"data": "./set", "model": "Qwen/Qwen2.5-VL-7B-Instruct", "out": "./run"})
    qoqtrain.evaluate_model("./set", "./run/model", out="./figures")

Every command is a function that shows nothing; `evaluate` is three, by who answers what. Where one
takes a data set, a folder, a URL and an opened data set will do.

Names are imported at their first use, so that `import qoqtrain` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qoqtrain import rewards
    from qoqtrain.api.evaluating import (
        compare,
        evaluate_benchmark,
        evaluate_model,
        evaluate_predictions,
    )
    from qoqtrain.api.training import attention, dry_run, export_checkpoint, train, weights
    from qoqtrain.api.watching import watch, write_run_page
    from qoqtrain.drpo import DRPO
    from qoqtrain.trainer.plan.settings import TrainSettings

_MODULES = {
    "qoqtrain.api.evaluating": (
        "compare",
        "evaluate_benchmark",
        "evaluate_model",
        "evaluate_predictions",
    ),
    "qoqtrain.api.training": ("attention", "dry_run", "export_checkpoint", "train", "weights"),
    "qoqtrain.api.watching": ("watch", "write_run_page"),
    "qoqtrain.drpo": ("DRPO",),
    "qoqtrain.trainer.plan.settings": ("TrainSettings",),
}
#: The module that holds each public name.
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "DRPO",
    "TrainSettings",
    "attention",
    "compare",
    "dry_run",
    "evaluate_benchmark",
    "evaluate_model",
    "evaluate_predictions",
    "export_checkpoint",
    "rewards",
    "train",
    "watch",
    "weights",
    "write_run_page",
]


def __getattr__(name: str) -> Any:
    if name == "rewards":
        return import_module("qoqtrain.rewards")
    try:
        module = _HOME[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return __all__
