"""Functions that train a policy, say what a run would take, and what it starts with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from qoqdata.api.opening import DatasetLike, dataset_of

if TYPE_CHECKING:
    from qoqtrain.drpo import WeightRow
    from qoqtrain.trainer.log.progress import Notify
    from qoqtrain.trainer.plan.budget import AttentionRow
    from qoqtrain.trainer.plan.dry_run import DryRun
    from qoqtrain.trainer.plan.settings import TrainSettings

#: Settings as they are, as a mapping ({"data": "./set", "loss": {"kl": 0.01}}), or a YAML file.
SettingsLike: TypeAlias = "TrainSettings | Mapping[str, Any] | str | Path"


def train(settings: SettingsLike, *, progress: Notify | None = None) -> Path:
    """Train a policy: roll out, score, weigh with DRPO, update; returns the trained model's folder.

    Every rank of a run calls this. A killed run goes on from its last checkpoint to the same
    numbers. `progress` hears of each step, on rank 0. Raises UsageError and DatasetError for what
    cannot be trained, QoqdataError when a rank dies or the loss is not finite.
    """
    from qoqtrain.api.notices import quiet_libraries
    from qoqtrain.trainer import loop

    with quiet_libraries():
        return loop.train(_checked(settings), progress)


def export_checkpoint(settings: SettingsLike, step: int, out: str | Path) -> Path:
    """Write the policy of a checkpoint of a run to the folder `out`, as transformers reads it.

    Raises UsageError where the run has no whole checkpoint after `step`.
    """
    from qoqtrain.api.notices import quiet_libraries
    from qoqtrain.trainer import loop

    with quiet_libraries():
        return loop.export_checkpoint(_checked(settings), step, Path(out))


def dry_run(settings: SettingsLike, *, world: int = 1) -> DryRun:
    """What `train` would do on `world` ranks: the cut of a step, memory, time, mix and weights.

    Reads the model's configuration and the first step's questions, no weights. Raises UsageError
    and DatasetError as `train` would.
    """
    from qoqtrain.api.notices import quiet_libraries
    from qoqtrain.trainer.plan import dry_run

    with quiet_libraries():
        return dry_run.dry_run(_checked(settings), world=world)


def weights(
    dataset: DatasetLike, *, by: str = "domain", preset: str | None = None
) -> list[WeightRow]:
    """The weights with which `train` starts on a data set, a row for each value of the column `by`.

    Without a `preset` that of `train`. One that weighs draws weighs those of the default budget.
    Raises UsageError for a set without statistics, another column and an unknown preset.
    """
    from qoqtrain.drpo import DEFAULT_PRESET, DRPO
    from qoqtrain.trainer.plan.budget import by_default

    target = dataset_of(dataset)
    drpo = DRPO.from_stats(target.stats, domain_key=by, preset=preset or DEFAULT_PRESET)
    return by_default(drpo, target).weights()


def attention(dataset: DatasetLike) -> list[AttentionRow]:
    """What share of training each domain of a set is to have, what the stream draws and what DRPO
    makes of it, with the settings that `train` has where nobody says otherwise.

    Needs no model and no torch; `dry_run` says the same of other settings. Raises UsageError
    without a training record, DatasetError without statistics and for stale ones.
    """
    from contextlib import closing

    from qoqtrain.trainer.engine.ranks import Ranks
    from qoqtrain.trainer.plan import budget
    from qoqtrain.trainer.plan.settings import read_settings
    from qoqtrain.trainer.questions import estimator, open_stream, train_records

    target = dataset_of(dataset)
    # Nothing below reads the model.
    settings = read_settings(values={"data": target.where, "model": "none"})
    records = train_records(target)
    drpo, key = estimator(target, settings), settings.drpo.domain_key
    wanted = budget.target_of(records, key, settings.budget.exponent)
    with closing(open_stream(target, settings, Ranks(0, 1), ecg=None)) as stream:
        sampled = stream.sampled(key)
    return budget.attention(wanted, sampled, drpo.drawn(sampled, wanted).weights())


def _checked(settings: SettingsLike) -> TrainSettings:
    from qoqtrain.trainer.plan.settings import TrainSettings, read_settings

    if isinstance(settings, TrainSettings):
        return settings
    if isinstance(settings, Mapping):
        return read_settings(values=settings)
    return read_settings(Path(settings))
