"""The numbers of a run: one JSON line a step, and whoever else listens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from qoqdata.atomic import canonical, replacing
from qoqdata.errors import UsageError
from qoqtrain.trainer.plan.settings import Log

FILE = "metrics.jsonl"
_WANDB_RUN = "wandb-run.txt"

#: Takes the step and its numbers.
Listener = Callable[[int, Mapping[str, Any]], None]


def json_lines(path: Path) -> Listener:
    """A listener that appends one line a step and flushes it."""
    path.parent.mkdir(parents=True, exist_ok=True)

    def listen(step: int, numbers: Mapping[str, Any]) -> None:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(canonical({"step": step, **numbers}) + "\n")

    return listen


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file in order; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows = []
    for line in lines:
        with suppress(ValueError):
            rows.append(json.loads(line))
    return rows


def forget_after(path: Path, step: int) -> None:
    """Drop the lines of steps after `step`, which a run that goes on writes again."""
    lines = [line for line in read_metrics(path) if line["step"] <= step]
    if path.is_file():
        with replacing(path) as draft:
            draft.write_text("".join(canonical(line) + "\n" for line in lines), encoding="utf-8")


def flat(numbers: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers with nested names joined by "/"; text and lists are left out."""
    values: dict[str, float] = {}
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            values |= flat(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            values[f"{prefix}{name}"] = float(value)
    return values


def listeners(out: Path, log: Log, facts: Mapping[str, Any]) -> list[Listener]:
    """The listeners of a run: JSON lines always, TensorBoard when installed, wandb when asked.

    Raises UsageError when wandb is asked for and not installed, or does not start.
    """
    targets = [json_lines(out / FILE)]
    if log.tensorboard and (board := _tensorboard(out)) is not None:
        targets.append(board)
    if log.wandb is not None:
        targets.append(_wandb(out, log.wandb, facts))
    return targets


def tell(targets: Iterable[Listener], step: int, numbers: Mapping[str, Any]) -> None:
    """Give one step's numbers to every listener."""
    for listen in targets:
        listen(step, numbers)


def _tensorboard(out: Path) -> Listener | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    writer = SummaryWriter(str(out / "tensorboard"))

    def listen(step: int, numbers: Mapping[str, Any]) -> None:
        for name, value in flat(numbers).items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return listen


def _wandb(out: Path, project: str, facts: Mapping[str, Any]) -> Listener:
    try:
        import wandb
    except ImportError as error:
        fix = "pip install wandb, or leave log.wandb out"
        raise UsageError("wandb is not installed", where="log.wandb", fix=fix) from error
    path = out / _WANDB_RUN
    name = path.read_text(encoding="utf-8").strip() if path.is_file() else None
    try:
        run = wandb.init(project=project, id=name, dir=str(out), config=dict(facts), resume="allow")
    except wandb.Error as error:
        what = f"wandb does not start: {str(error).splitlines()[0]}"
        fix = "run `wandb login`, or set WANDB_MODE=offline"
        raise UsageError(what, where="log.wandb", fix=fix) from error
    # A run that goes on after a kill goes on there too.
    path.write_text(f"{run.id}\n", encoding="utf-8")

    def listen(step: int, numbers: Mapping[str, Any]) -> None:
        run.log(flat(numbers), step=step)

    return listen
