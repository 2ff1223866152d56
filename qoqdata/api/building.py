"""Functions that make a data set: from raw files, from a release, from a policy's rollouts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, overload

from qoqdata.api.opening import DatasetLike, dataset_of
from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback

if TYPE_CHECKING:
    from qoqdata.contract.manifest import Manifest
    from qoqdata.contract.storage import Storage
    from qoqdata.contract.vocabulary import StoragePolicy
    from qoqdata.dataset import Dataset
    from qoqdata.pipeline.config import BuildConfig, BuildSetting, Overrides
    from qoqdata.pipeline.parts import PartCounts, PlanCounts
    from qoqdata.pipeline.progress import Listener
    from qoqdata.publication.rebuild import Rebuilt
    from qoqdata.sources.protocol import Source

    class _BuildSettings(TypedDict, total=False):
        raw: str | Path | None
        config: BuildConfig | Mapping[str, Any] | str | Path | None
        mapping: Mapping[str, Any] | str | Path | None
        options: Mapping[str, Any] | None
        workers: int | None
        engine: str
        address: str | None
        storage: Storage | StoragePolicy | Mapping[str, Any] | None
        patient_splits: Mapping[str, str | Path] | None
        max_quarantine: float | str | None
        limit: int | None
        resume: bool
        salt_file: str | Path | None
        progress: Listener | None


@dataclass(frozen=True)
class TracedSet:
    """A set with reasoning, and what it was chosen from: rollouts, their questions, and traces;
    `left_out` counts rollouts of enough reward that may be no trace, by reason."""

    manifest: Manifest
    rollouts: int
    questions: int
    traces: int
    left_out: Mapping[str, int] = field(default_factory=dict)


def new_source(name: str, domain: str, *, out: str | Path | None = None) -> Source:
    """Make the folder `out`/`name` of a new source, which passes its suite as it is.

    `out` is by default converters/`domain`, in a checkout of qoqdata. Raises UsageError for a bad
    name or domain, a name in use, and a folder that is there already.
    """
    from qoqdata.suite.scaffold import scaffold, write_expected

    if out is None:
        if not Path("converters").is_dir():
            fix = "run in a checkout of qoqdata, or name the parent folder with --out"
            raise UsageError("there is no converters/ folder here", fix=fix)
        out = Path("converters") / domain
    source = scaffold(name, domain, Path(out))
    with tempfile.TemporaryDirectory() as work:
        write_expected(source, Path(work) / "set")
    return source


@overload
def build(
    sources: str | Sequence[str] | None = None,
    *,
    out: str | Path,
    part: None = None,
    **settings: Unpack[_BuildSettings],
) -> Manifest: ...


@overload
def build(
    sources: str | Sequence[str] | None = None,
    *,
    out: str | Path,
    part: str,
    **settings: Unpack[_BuildSettings],
) -> PartCounts: ...


def build(
    sources: str | Sequence[str] | None = None,
    *,
    out: str | Path,
    raw: str | Path | None = None,
    config: BuildConfig | Mapping[str, Any] | str | Path | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    workers: int | None = None,
    engine: str = "local",
    address: str | None = None,
    storage: Storage | StoragePolicy | Mapping[str, Any] | None = None,
    patient_splits: Mapping[str, str | Path] | None = None,
    max_quarantine: float | str | None = None,
    limit: int | None = None,
    resume: bool = True,
    part: str | None = None,
    salt_file: str | Path | None = None,
    progress: Listener | None = None,
) -> Manifest | PartCounts:
    """Build the data set at `out` from raw sources, or complete it, and return its manifest.

        qoqdata.build("ptb_xl", raw="/data/ptb-xl", out="./set", options={"rate": 500})
        qoqdata.build(config="build.yaml", out="./set")

    `out` is a folder or the URL of one in a store (s3://, gs://), into which each chunk goes as it
    is converted; disk is needed for one shard a worker.
    `raw` is the raw folder of a source, or its URL (s3://, gs://, hf://, https://), whose files are
    brought one unit at a time; of several, the parent of folders named after them.
    `config` may also name a collection that is shipped ("qoq_med"): then `raw` is the parent of its
    folders, and those that are there are built; `survey` says which.
    `mapping` goes with a bring-your-own source, `options` are those of its card; both with one
    source only. `config` stands in place of these: a file, its content, or a BuildConfig. `storage`
    is how pixels are stored: "training" (the default: at most about a megapixel, JPEG) or "native"
    (lossless, full size), or the fields of `qoqdata.contract.storage.Storage`; it goes before what
    mapping, file and card say. `patient_splits` names the table of the official splits of a
    namespace's patients, or "hash", where no source of the build has it. `limit` takes the first
    units of each source only.

    `workers` are processes: None one a core, 0 none but this one. `engine` is "local" or "ray", on
    the cluster at `address` ("auto": the one around); there None or 0 takes all of its cores.

    `part`, such as "3/16", builds that share of what `plan` has planned at `out`, with no more than
    `workers`, `engine`, `address`, `resume` and `salt_file` beside it, and returns its counts;
    `finish` joins the parts.

    `resume` keeps finished shards. `salt_file` holds the site's secret salt; by default it is in
    the user's configuration, where the first build makes it. `progress` hears of the events of
    `qoqdata.pipeline.progress`.

    A unit that cannot be converted ends in quarantine, and a source that cannot be planned is
    refused; the manifest counts both. Its `outcome`, and that of each of its `sources`, is "done";
    "findings" where more than the share `max_quarantine` of a source's units is in quarantine
    (0.01, "1%"; by default that of the file, or 1 %); or "failed" where a source gave no record at
    all, and `failure` says why. Raises UsageError for a configuration that does not fit and
    for a second build of the same folder, and UnfinishedBuild where a disk or the system failed
    again and again: the same call later goes on from there.
    """
    from qoqdata.pipeline import build as pipeline
    from qoqdata.pipeline import parts

    setting = _setting(salt_file, workers, progress, engine, address)
    setting = replace(setting, resume=resume)
    if part is not None:
        planned = (sources, raw, config, mapping, options, storage, patient_splits, limit)
        if any(planned) or max_quarantine is not None:
            fix = "leave sources, raw folder and their settings out"
            raise UsageError("the plan says what a part builds", where="--part", fix=fix)
        return parts.build_part(out, parts.parse_part(part), setting)
    request = requested_build(sources, raw, config, mapping, options, patient_splits, limit)
    setting = replace(setting, overrides=_overrides(storage, max_quarantine))
    return pipeline.build(request, out, setting)


def plan(
    sources: str | Sequence[str] | None = None,
    *,
    out: str | Path,
    raw: str | Path | None = None,
    config: BuildConfig | Mapping[str, Any] | str | Path | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    storage: Storage | StoragePolicy | Mapping[str, Any] | None = None,
    patient_splits: Mapping[str, str | Path] | None = None,
    max_quarantine: float | str | None = None,
    limit: int | None = None,
    salt_file: str | Path | None = None,
    progress: Listener | None = None,
) -> list[PlanCounts]:
    """Plan a build that many share, and leave the plan in the folder `out`.

        qoqdata.plan("ptb_xl", raw="/data/ptb-xl", out="/shared/set")
        qoqdata.build(out="/shared/set", part="3/16")    # 1/16 to 16/16: anywhere, in any order
        qoqdata.finish("/shared/set")

    Arguments are those of `build`. Whoever builds a part finds raw folders and `out` at the same
    paths, and has the same salt, converters and version of qoqdata. Returns the counts of each
    source, and why it was refused, if it was. Chunks of an earlier build stay as far as they are as
    planned; the data set is unfinished until `finish`. Raises as `build` does.
    """
    from qoqdata.pipeline import parts
    from qoqdata.sources.catalogue import find_source

    request = requested_build(sources, raw, config, mapping, options, patient_splits, limit)
    # A plan is made in a process of its own, which can be stopped.
    setting = _setting(salt_file, 1, progress)
    setting = replace(setting, overrides=_overrides(storage, max_quarantine))
    requests = [(find_source(one.source), one) for one in request.sources]
    return parts.plan(requests, out, setting, request)


def finish(
    out: str | Path, *, salt_file: str | Path | None = None, progress: Listener | None = None
) -> Manifest:
    """Join the parts of the plan in the folder `out`, and return the manifest.

    The data set is byte for byte that of a `build` in one process. Raises UnfinishedBuild where
    chunks are missing, with the command that builds them, and UsageError where there is no plan, or
    one of another salt or version, and where another command is writing the set.
    """
    from qoqdata.pipeline import parts

    return parts.finish(out, _setting(salt_file, 0, progress))


def rebuild(
    release: DatasetLike,
    *,
    raw: str | Path | Mapping[str, str | Path],
    out: str | Path,
    workers: int | None = None,
    progress: Listener | None = None,
) -> tuple[Manifest, list[Rebuilt]]:
    """Rebuild what a release holds as recipe at `out`, and check every record by its digest.

    `raw` is the raw folder; of several sources, the parent of folders named after them, where
    recipes without a folder are left out, or each source's own folder. `workers` and `progress` as
    in `build`. Returns the manifest, and of each recipe the records that are the same, that differ
    and that are missing; the shard of such a record is left out.

    Raises UsageError when the release holds no recipe, or one of another converter version, and
    when no raw folder is there.
    """
    from qoqdata.pipeline.config import BuildSetting
    from qoqdata.pipeline.progress import silent
    from qoqdata.publication import rebuild as rebuilding
    from qoqdata.records.identity import load_salt

    dataset = dataset_of(release)
    folders = _raw_folders(dataset, raw)
    setting = BuildSetting(load_salt(), workers=_processes(workers), listen=progress or silent)
    return rebuilding.rebuild(dataset, folders, Path(out), setting)


def traces(
    dataset: DatasetLike,
    rollouts: str | Path,
    *,
    out: str | Path,
    least: float = 1.0,
    policy: str | None = None,
    progress: ProgressCallback | None = None,
) -> TracedSet:
    """Write a new version of the set at `out` whose reasoning is a policy's best rollouts.

    `rollouts` is a Parquet file, a folder of them, or JSON lines with id, response and reward. A
    trace is the text in <think></think> of a rollout of at least the reward `least`; one a
    question. Only kept train records of sources that are trained on get one, and no text in which
    the rules for protected health information find something. `policy` names the writer of
    rollouts that name none; `progress` hears of shards.

    Raises BadTable for other files, DatasetError for ids that the set does not hold, UsageError for
    a folder in use and for rollouts without a policy.
    """
    from qoqdata.progress import silent
    from qoqdata.reasoning import admitted, best_traces, read_traces, write_traced_set

    target, table = dataset_of(dataset), read_traces(Path(rollouts))
    target.refuse_unknown(table["id"].unique(), of="rollout", where=str(rollouts))
    may_be, left_out = admitted(table, target, least=least)
    choice = best_traces(may_be, least=least)
    manifest = write_traced_set(
        target, choice, Path(out), policy=policy, progress=progress or silent
    )
    questions = table["id"].n_unique()
    return TracedSet(manifest, table.height, questions, choice.height, left_out)


def _setting(
    salt_file: str | Path | None,
    workers: int | None,
    progress: Listener | None,
    engine: str = "local",
    address: str | None = None,
) -> BuildSetting:
    from qoqdata.pipeline.config import BuildSetting
    from qoqdata.pipeline.progress import silent
    from qoqdata.records.identity import load_salt

    if address is not None and engine != "ray":
        raise UsageError("an address is of a Ray cluster", where="--address", fix="--engine ray")
    # A cluster has cores of its own.
    workers = 0 if workers is None and address is not None else workers
    path = None if salt_file is None else Path(salt_file)
    return BuildSetting(
        load_salt(path, create=path is None),
        workers=_processes(workers),
        engine=engine,
        address=address,
        listen=progress or silent,
    )


def _overrides(
    storage: Storage | StoragePolicy | Mapping[str, Any] | None,
    max_quarantine: float | str | None,
) -> Overrides:
    from qoqdata.pipeline.config import Overrides
    from qoqdata.settings import checked

    asked = {"storage": storage, "max_quarantine": max_quarantine}
    return checked(Overrides, asked, where="command line")


def _processes(workers: int | None) -> int:
    if workers is not None and workers < 0:
        fix = "0 stays in this process; leave it out for one a core"
        raise UsageError(f"{workers} is no number of processes", where="workers", fix=fix)
    return (os.cpu_count() or 1) if workers is None else workers


def requested_build(
    sources: str | Sequence[str] | None,
    raw: str | Path | None,
    config: BuildConfig | Mapping[str, Any] | str | Path | None,
    mapping: Mapping[str, Any] | str | Path | None,
    options: Mapping[str, Any] | None,
    patient_splits: Mapping[str, str | Path] | None,
    limit: int | None,
) -> BuildConfig:
    """What `build`, `plan` and `estimate` are asked for; raises UsageError for what is none."""
    from qoqdata.api.collecting import is_collection, survey
    from qoqdata.collection.collection import shipped_collections
    from qoqdata.collection.survey import build_config
    from qoqdata.pipeline.config import BuildConfig, load_config, parse_config

    slugs = [sources] if isinstance(sources, str) else list(sources or ())
    changes = {"patient_splits": patient_splits or None, "limit": limit}
    changes = {name: value for name, value in changes.items() if value is not None}
    if config is not None:
        if slugs or mapping or options:
            raise UsageError("--config stands alone", fix="put sources and options into the file")
        if isinstance(config, str | Path) and is_collection(config):
            if raw is None:
                fix = "name the parent of its folders with --raw"
                raise UsageError("--raw is missing", where=str(config), fix=fix)
            config = build_config(survey(str(config), raw=raw))
        elif raw is not None:
            fix = (
                f"put raw folders into the file, or name one of: {', '.join(shipped_collections())}"
            )
            raise UsageError("--config stands alone", fix=fix)
        elif isinstance(config, str | Path):
            config = load_config(Path(config))
        elif not isinstance(config, BuildConfig):
            config = parse_config(dict(config), where="config")
        if not changes:
            return config
        return parse_config(dict(config) | changes, where=f"--{next(iter(changes))}")
    if not slugs or raw is None:
        raise UsageError("no source to build", fix="give SLUG and --raw, or --config build.yaml")
    if len(slugs) > 1 and (mapping or options):
        fix = "use --config build.yaml for several sources"
        raise UsageError("--mapping and --option go with one source", fix=fix)
    several = len(slugs) > 1
    requests: list[dict[str, Any]] = [
        {"source": slug, "raw": f"{raw}/{slug}" if several else raw} for slug in slugs
    ]
    own = dict(mapping) if isinstance(mapping, Mapping) else mapping
    requests[0] |= {"mapping": own, "options": dict(options or {})}
    return parse_config({"sources": requests} | changes, where="command line")


def _raw_folders(release: Dataset, raw: str | Path | Mapping[str, str | Path]) -> dict[str, Path]:
    slugs = release.manifest.release.recipes if release.manifest.release else ()
    if not slugs:
        raise UsageError("the release holds no recipe", fix="qoqdata.open reads it as it is")
    if isinstance(raw, Mapping):
        return {slug: Path(folder) for slug, folder in raw.items()}
    raw = Path(raw)
    folders = {slug: raw / slug for slug in slugs if (raw / slug).is_dir()}
    if not folders and len(slugs) == 1 and raw.is_dir():
        return {slugs[0]: raw}
    if not folders:
        fix = f"expected are folders called {', '.join(slugs)}"
        raise UsageError("holds no raw folder of a recipe", where=str(raw), fix=fix)
    return folders
