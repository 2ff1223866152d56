"""qoqtrain train: align, warm up or train a policy with DRPO on a data set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

import qoqtrain
from qoqdata import console
from qoqtrain.cli import weights

if TYPE_CHECKING:
    from qoqtrain.drpo import WeightRow
    from qoqtrain.trainer.plan.dry_run import DryRun
    from qoqtrain.trainer.plan.plan import TrainingPlan

EPILOG = """Example:  qoqtrain train --data ./set --model Qwen/Qwen2.5-VL-7B-Instruct --dry-run

Several GPUs:  torchrun --nproc-per-node 8 --no-python qoqtrain train --data ./set ...

The same command goes on from the last checkpoint."""


#: What a run trains.
Stage = Literal["align", "sft", "drpo"]


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
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Check, estimate, and train nothing.")
    ] = False,
    world: Annotated[int, typer.Option(min=1, help="Ranks to estimate a dry run for.")] = 1,
    show_settings: Annotated[
        bool, typer.Option("--show-settings", help="Print all settings as YAML.")
    ] = False,
    show_config: Annotated[
        bool, typer.Option("--show-config", help="With --dry-run: DeepSpeed's configuration.")
    ] = False,
    export_step: Annotated[
        int | None, typer.Option(min=1, help="Write the checkpoint of this step as a model.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="With --dry-run: as JSON.")] = False,
    print_slurm: Annotated[
        str | None, typer.Option(help="NODESxGPUS: print a Slurm script of this command.")
    ] = None,
) -> None:
    """Train a policy: roll out, score, weigh with DRPO, update.

    Stages: align (the ECG branch, language model frozen), sft (warm start from answers and
    reasoning), drpo. A killed run goes on to the same numbers.
    """
    from qoqtrain.trainer.plan.settings import as_yaml, read_settings

    values = {
        "data": data,
        "model": model,
        "out": out,
        "stage": stage,
        "steps": steps,
        "seed": seed,
    }
    settings = read_settings(config, values, assign or [])
    if print_slurm is not None:
        from qoqtrain.trainer.plan import launch

        machines = launch.machines_of(print_slurm)
        command = launch.command_of(settings, config=config, assignments=assign or [])
        console.say(launch.slurm_script(command, **machines._asdict()).rstrip())
    elif export_step is not None:
        target = settings.out / f"model-{export_step:08d}"
        console.say(f"model: {qoqtrain.export_checkpoint(settings, export_step, target)}")
    elif show_settings:
        console.say(as_yaml(settings).rstrip())
    elif dry:
        with console.working("planning the run", quiet=json):
            result = qoqtrain.dry_run(settings, world=world)
        if json:
            console.emit_json(facts(result, world=world, config=show_config))
        else:
            show(result, world=world, config=show_config)
    else:
        from qoqtrain.trainer.log.progress import is_first, listener

        with listener() as progress:
            folder = qoqtrain.train(settings, progress=progress)
        if is_first():
            console.say(f"trained model: {folder}")


def show_attention(result: DryRun, key: str) -> None:
    """What each domain is to have, what the stream draws, what DRPO makes of it."""
    console.table(
        (key, "target", "sampled", "weight", "sampled x weight"),
        [
            (row.domain, row.target, row.sampled, row.weight, row.product)
            for row in result.attention
        ],
    )
    console.say("\nshares of all; weight: mean over a domain's questions, rarity and difficulty")
    settings = result.plan.settings
    if settings.mix is not None and result.counts_twice:
        console.say(
            f"drpo.preset={settings.drpo.preset} counts records, whatever the mix draws, so rarity"
            " is corrected twice; drpo.preset=budget corrects it once"
        )


def _micro_batches(plan: TrainingPlan) -> str:
    settings, shape = plan.settings, plan.shape
    if settings.micro_tokens is not None:
        return f"{shape.updates} x as many as {settings.micro_tokens:,} tokens each make"
    return f"{shape.updates} x {shape.micro_batches} of {settings.micro_batch} at most"


def _unfit(plan: TrainingPlan) -> str | None:
    """How many records are left out, by domain and rule, and the first of them with its reason."""
    from qoqtrain.trainer.plan.fitness import in_words

    if not plan.unfit:
        return None
    first = plan.unfit[0]
    return f"{len(plan.unfit):,} records, left out: {in_words(plan.unfit)}; {first.id}: {first.why}"


def facts(result: DryRun, *, world: int, config: bool) -> dict[str, Any]:
    """The dry run for scripts; memory in GiB, time of a step in seconds."""
    from qoqtrain.trainer.plan.fitness import by_domain

    shape = result.plan.shape
    content = {
        "stage": result.plan.settings.stage,
        "model": str(result.plan.settings.model),
        "world": world,
        "sizes": asdict(result.sizes),
        "records": result.plan.records.height,
        "left_out": result.left_out,
        "unfit": by_domain(result.plan.unfit),
        "steps": shape.steps,
        "prompt_tokens": list(result.prompt_tokens),
        "ecgs": result.ecgs,
        "notes": list(result.notes),
        "memory": asdict(result.memory) | {"device": result.memory.device},
        "time": asdict(result.time),
        "mix": result.mix,
        "weights": result.weights,
        "attention": [asdict(row) for row in result.attention],
    }
    return content | ({"deepspeed": result.deepspeed} if config else {})


def show(result: DryRun, *, world: int, config: bool) -> None:
    """The dry run: the cut of a step, memory, the mix, and what DRPO starts from."""
    from qoqdata.roles import in_words
    from qoqtrain.trainer.plan.budget import mix_of

    plan, shape, memory = result.plan, result.plan.shape, result.memory
    settings = plan.settings
    longest = max(result.prompt_tokens, default=0)
    console.facts(
        [
            ("stage", settings.stage),
            ("model", f"{settings.model}: {result.sizes.parameters:,} parameters"),
            ("trained", f"{result.sizes.trained:,} parameters"),
            ("ECG branch", "new, untrained: align it first" if plan.branch else None),
            ("training records", plan.records.height),
            ("left out", in_words(result.left_out) if result.left_out else None),
            ("cannot be shown", _unfit(plan)),
            ("steps", shape.steps),
            ("questions a step", f"{settings.questions}, {shape.questions} on each of {world}"),
            ("micro-batches", _micro_batches(plan)),
            (
                "prompts of step 1",
                f"{longest} tokens at most, {settings.rollouts.prompt_tokens} allowed",
            ),
            ("training ECGs", result.ecgs or None),
            *(("not checked", note) for note in result.notes),
        ]
    )
    console.say()
    parts = asdict(memory)
    host = parts.pop("host")
    rows: list[tuple[str, Any]] = [*parts.items(), ("device", memory.device), ("host", host)]
    console.table(("memory of a rank", "GiB"), rows)
    dtype = "float32" if settings.engine.dtype == "float32" else "bfloat16"
    console.say(
        f"an estimate, on an accelerator in {dtype}, images left out; what an update takes"
        " (activations, logits, mask), generation (cache, sampling) and the optimizer's step"
        " (stepping) come in each other's place; host is the CPU memory of offloading"
    )
    time = result.time
    hours = (time.generation + time.update) * shape.steps / 3600
    console.say(
        "time of a step on an H100, every answer at its limit, at least:"
        f" generation {time.generation:,.1f} s, update {time.update:,.1f} s"
    )
    console.say(f"{shape.steps:,} such steps: {hours:,.1f} h\n")
    mix = mix_of(settings)
    if settings.mix is None and mix is not None:
        console.say(
            f"mix: {len(result.mix)} parts by {mix.by}, none more than {mix.max_repeats:g} times an"
            f" epoch; the most often drawn {max(row['passes'] for row in result.mix):.3g} times"
        )
    else:
        console.table(
            ("mix", "records", "share of draws", "passes an epoch"),
            [(row["name"], row["records"], row["share"], row["passes"]) for row in result.mix],
        )
    if result.weights:
        console.say()
        weights.show([cast("WeightRow", row) for row in result.weights], settings.drpo.domain_key)
        console.say()
        show_attention(result, settings.drpo.domain_key)
    if config:
        console.say()
        console.emit_json(result.deepspeed or {"engine": "torch"})
