"""qoqtrain train: align, warm up or train a policy with DRPO on a data set."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qoqdata import console
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqtrain.trainer.preview import Preview
    from qoqtrain.trainer.settings import TrainSettings

EPILOG = """Example:  qoqtrain train --data ./set --model Qwen/Qwen2.5-VL-7B-Instruct --dry-run

Several GPUs:  torchrun --nproc-per-node 8 --no-python qoqtrain train --data ./set ...

The same command goes on from the last checkpoint."""


class Stage(StrEnum):
    """What a run trains."""

    ALIGN = "align"
    SFT = "sft"
    DRPO = "drpo"


def add(app: typer.Typer) -> None:
    app.command("train", epilog=EPILOG)(train_command)


def train_command(
    data: Annotated[str | None, typer.Option(help="The data set's folder or URL.")] = None,
    model: Annotated[str | None, typer.Option(help="A folder or a name on the hub.")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings, as YAML.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run; default ./run.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Default drpo.")] = None,
    steps: Annotated[int | None, typer.Option(help="Training steps; default one epoch.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of order and rollouts.")] = None,
    assign: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting: section.name=value.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, estimate, and train nothing.")
    ] = False,
    world: Annotated[int, typer.Option(min=1, help="Ranks to estimate a dry run for.")] = 1,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print all settings as YAML.")
    ] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="With --dry-run: DeepSpeed's configuration.")
    ] = False,
    print_slurm: Annotated[
        str | None, typer.Option(help="NODESxGPUS: print a Slurm script of this command.")
    ] = None,
) -> None:
    """Train a policy: roll out, score, weigh with DRPO, update.

    Stages: align (the ECG branch, language model frozen), sft (warm start from answers and
    reasoning), drpo. A killed run goes on to the same numbers.
    """
    settings = _settings(data, model, config, out, stage, steps, seed, assign or [])
    if print_slurm is not None:
        _print_slurm(settings, config, assign or [], print_slurm)
    elif show_settings:
        from qoqtrain.trainer.settings import as_yaml

        console.say(as_yaml(settings).rstrip())
    elif dry_run:
        _quiet()
        from qoqtrain.trainer.preview import preview

        show(preview(settings, world=world), world=world, config=show_config)
    else:
        _quiet()
        from qoqtrain.trainer.loop import train
        from qoqtrain.trainer.progress import is_first, listener

        with listener() as notify:
            folder = train(settings, notify)
        if is_first():
            console.say(f"trained model: {folder}")


def show(found: Preview, *, world: int, config: bool) -> None:
    """The dry run: the cut of a step, memory, the mix, and what DRPO starts from."""
    made, shape, memory = found.plan, found.plan.shape, found.memory
    settings = made.settings
    longest = max(found.prompt_tokens, default=0)
    console.facts(
        [
            ("stage", settings.stage),
            ("model", f"{settings.model}: {found.sizes.parameters:,} parameters"),
            ("trained", f"{found.sizes.trained:,} parameters"),
            ("ECG branch", "new, untrained: align it first" if made.branch else None),
            ("training records", made.records.height),
            ("steps", shape.steps),
            ("questions a step", f"{settings.questions}, {shape.questions} on each of {world}"),
            ("micro-batches", f"{shape.updates} x {shape.micro_batches} of {settings.micro_batch}"),
            (
                "prompts of step 1",
                f"{longest} tokens at most, {settings.rollouts.prompt_tokens} allowed",
            ),
        ]
    )
    console.say()
    parts = ("weights", "optimizer", "gradients", "reference", "activations", "logits", "device")
    rows: list[tuple[str, Any]] = [(name, getattr(memory, name)) for name in (*parts, "host")]
    console.table(("memory of a rank", "GiB"), rows)
    console.say("an estimate; device is the sum, host is the CPU memory of offloading")
    spent = found.time
    hours = (spent.generation + spent.update) * shape.steps / 3600
    console.say(
        "time of a step on an H100, every answer at its limit:"
        f" generation {spent.generation:,.1f} s, update {spent.update:,.1f} s"
    )
    console.say(f"{shape.steps:,} such steps: {hours:,.1f} h\n")
    console.table(
        ("mix", "records", "share of draws", "passes an epoch"),
        [(row["name"], row["records"], row["share"], row["passes"]) for row in found.mix],
    )
    if found.weights:
        console.say()
        key = settings.drpo.domain_key
        console.table(
            (key, "records", "success rate", "weight", "bounded"),
            [
                (row["domain"], row["n_records"], row["mu"], row["weight"], row["weight_bounded"])
                for row in found.weights
            ],
        )
    if config:
        console.say()
        console.emit_json(found.deepspeed or {"engine": "torch"})


def _settings(
    data: str | None,
    model: str | None,
    config: Path | None,
    out: Path | None,
    stage: Stage | None,
    steps: int | None,
    seed: int | None,
    assign: list[str],
) -> TrainSettings:
    from qoqtrain.trainer.settings import read_settings

    given = {
        "data": data,
        "model": model,
        "out": None if out is None else str(out),
        "stage": None if stage is None else stage.value,
        "steps": steps,
        "seed": seed,
    }
    return read_settings(config, given, assign)


def _print_slurm(
    settings: TrainSettings, config: Path | None, assign: list[str], size: str
) -> None:
    from qoqtrain.trainer.launch import slurm_script

    nodes, _, gpus = size.partition("x")
    if not (nodes.isdigit() and gpus.isdigit()):
        raise UsageError(f"{size!r} is no size", where="--print-slurm", fix="write it as 2x8")
    command = ["--data", settings.data, "--model", settings.model, "--out", str(settings.out)]
    command += ["--stage", settings.stage, "--seed", str(settings.seed)]
    command += [] if settings.steps is None else ["--steps", str(settings.steps)]
    command += [] if config is None else ["--config", str(config)]
    for assignment in assign:
        command += ["--set", assignment]
    console.say(slurm_script(command, nodes=int(nodes), gpus=int(gpus)).rstrip())


def _quiet() -> None:
    """No bars and notices of the libraries between the lines of the run."""
    import logging
    import os
    import warnings

    import torch

    warnings.filterwarnings("ignore", category=FutureWarning)
    if not torch.cuda.is_available():
        # DeepSpeed complains when it has to find out.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    from transformers.utils import logging as notices

    notices.disable_progress_bar()
    notices.set_verbosity_error()
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
