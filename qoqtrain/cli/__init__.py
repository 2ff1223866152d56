"""The `qoqtrain` command."""

from __future__ import annotations

from qoqdata import command_line
from qoqtrain.cli import compare, evaluate, train, watch, weights

app = command_line.application(
    "qoqtrain", about="Train multimodal policies with DRPO on qoqdata sets."
)
weights.add(app)
evaluate.add(app)
compare.add(app)
train.add(app)
watch.add(app)


def run() -> None:
    """Entry point: user errors become one line on standard error and an exit code."""
    command_line.run(app)
