"""Functions for people who look at a data set and decide: the viewer, the report, figures,
decisions on records, where a record comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.api.opening import DatasetLike, dataset_of, dataset_to_read, dataset_to_write
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from qoqdata.curation.correction import Correction
    from qoqdata.curation.decision_log import PersonComment, PersonDecision, Said
    from qoqdata.curation.lineage import Lineage
    from qoqdata.curation.replay import Replay
    from qoqdata.dataset import Dataset
    from qoqdata.records.identity import Salt
    from qoqdata.report_page.samples import SampleChoice


@dataclass(frozen=True)
class Plots:
    """The files of the figures, and why those that are `lacking` were not drawn, by name."""

    files: tuple[Path, ...]
    lacking: Mapping[str, str]


def view(
    dataset: DatasetLike,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    policy: str | None = None,
    rollouts: str | Path | None = None,
    raw: Mapping[str, str | Path] | None = None,
    salt_file: str | Path | None = None,
    author: str | None = None,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the viewer of a data set until it is interrupted.

    `on_ready` is given the URL, which holds a token; whoever has it sees the data set. `host` is
    loopback unless you say otherwise, `port` 0 is any free one. `policy` says whose success rates
    are shown, where there are several; `rollouts` are a policy's, as `difficulty` reads them;
    `raw` are raw folders by source, from whose files images are shown through other windows;
    `salt_file` is the salt of the build, by which those of private sources are found. Of a build
    that goes on or was stopped the viewer shows what is done. Decisions are `author`'s, by
    default of who is logged in; of a half-built set, and of one behind a URL, nothing can be
    decided.

    Raises UsageError without the extra `view`, for an address that cannot be bound, for another
    salt file, and when the choice of a policy is open; DatasetError for a set that holds no record.
    """
    from qoqdata.serving.server import serve
    from qoqdata.viewer.served import COMMAND, viewer_of

    answered = None if rollouts is None else Path(rollouts)
    target = _or_half_built(dataset)
    folders = {source: Path(folder) for source, folder in (raw or {}).items()}
    salt = _salt_of_build(target, salt_file) if folders else None
    make = viewer_of(
        target, policy=policy, rollouts=answered, raw=folders, salt=salt, author=author
    )
    serve(make, command=COMMAND, host=host, port=port, on_ready=on_ready)


def _salt_of_build(dataset: Dataset | Path, salt_file: str | Path | None) -> Salt | None:
    """The salt of the build; None where nobody names one and the site's is missing or another."""
    from qoqdata.records.identity import load_salt

    if isinstance(dataset, Path):
        return None
    try:
        salt = load_salt(None if salt_file is None else Path(salt_file), create=False)
    except UsageError:
        if salt_file is not None:
            raise
        return None
    if salt.fingerprint == dataset.manifest.salt_fingerprint:
        return salt
    if salt_file is None:
        return None
    fix = "name the file of the salt that the set was built with: --salt-file"
    raise UsageError("was built with another salt", where=dataset.where, fix=fix)


def _or_half_built(dataset: DatasetLike) -> Dataset | Path:
    """The data set, or the folder of one whose build has not ended."""
    from qoqdata.viewer.half_built import is_half_built

    try:
        return dataset_of(dataset)
    except UnfinishedBuild:
        root = Path(str(dataset))
        if not is_half_built(root):
            raise
        return root


def report(
    dataset: DatasetLike,
    *,
    out: str | Path | None = None,
    samples: SampleChoice = "open",
    progress: ProgressCallback | None = None,
) -> Path:
    """Write one page on a data set, for reviewers, and return its path.

    Sources and licences, counts expected and found, proof of the splits, quarantine, curation,
    rarity and difficulty, labels, age and sex, scores without an image, share of training, samples.
    It asks for nothing from elsewhere, runs no script, and has the same bytes for the same set.

    `out` is the file; by default report/index.html of a set in a folder. `samples` says of which
    sources records are shown: "open" those whose terms let them stand on a page that people pass
    on, which private sources never do; "all", for a page that stays in the house and only its owner
    can read; "none". `progress` hears of records that are compared between splits.

    Raises UsageError for a set behind a URL without `out`, and for another choice of samples;
    DatasetError for a set without records, and InputError for an image that cannot be decoded.
    """
    from typing import get_args

    from qoqdata.remote.working_copy import LIKENESSES
    from qoqdata.report_page import page
    from qoqdata.report_page.samples import SampleChoice

    if samples not in get_args(SampleChoice):
        fix = f"one of {', '.join(get_args(SampleChoice))}"
        raise UsageError(f"{samples!r} says nothing of samples", where="--samples", fix=fix)
    target = dataset_of(dataset)
    if out is None and not target.in_folder:
        fix = "name a file with --out"
        raise UsageError("nothing is written behind a URL", where=target.where, fix=fix)
    path = target.layout.report if out is None else Path(out)
    if path.is_dir():
        fix = f"name a file in it: --out {path / 'index.html'}"
        raise UsageError("is a folder, and the report is a file", where=str(path), fix=fix)
    with dataset_to_read(target, (LIKENESSES,)) as whole:
        gathered = page.gather_report(whole, samples, progress or silent)
        page.write_report(page.report_page(whole, gathered), path, private=samples == "all")
    return path


def plot(
    dataset: DatasetLike, *, out: str | Path, formats: Sequence[str] = ("svg", "pdf")
) -> Plots:
    """Draw the figures of a paper on a set into the folder `out`, as wide as a column.

    Records and splits by domain and source, label balance, age and sex, rarity against difficulty:
    of kept records, the same bytes for the same set. Raises UsageError without the extra `plot` and
    for another format, DatasetError for a set without records.
    """
    from qoqdata.plots.style import FORMATS, write_figures
    from qoqdata.report_page.figures import paper_figures

    if unknown := sorted(set(formats) - set(FORMATS)):
        fix = f"of {', '.join(FORMATS)}"
        raise UsageError(f"{unknown[0]!r} is no format of figures", where="--format", fix=fix)
    figures, lacking = paper_figures(dataset_of(dataset))
    return Plots(write_figures(figures, Path(out), formats), lacking)


def decide(
    dataset: DatasetLike, id: str, keep: bool, *, why: str, author: str | None = None
) -> PersonDecision:
    """Keep or drop one record whatever the rules of curation say, now and in every later pass.

    A record that is held back for a finding in its text is released by the next pass, if that finds
    the same; what the recipe drops for privacy stays dropped. The log `curation/decisions.jsonl`
    has author and reason. Publication asks for `curate` again. Raises UsageError without a reason
    and for a set that cannot be written, DatasetError for an id that the set does not hold.
    """
    from qoqdata.curation import decisions

    with dataset_to_write(dataset, command="decide") as target:
        return decisions.decide(target, id, keep, why, author)


def relabel(
    dataset: DatasetLike, id: str, answer: str, *, why: str, author: str | None = None
) -> PersonDecision:
    """Say what the right answer of a record is, as one of its options or several of them joined.

    The record is left out as a dropped one is, since the answer that lies in the set is wrong; its
    verdict has the right one, for whoever mends the source. Raises as `decide`, and UsageError for
    an answer that the question does not have.
    """
    from qoqdata.curation import decisions
    from qoqdata.description.samples import records_by_id

    with dataset_to_write(dataset, command="decide") as target:
        target.refuse_stranger(id)
        (record,) = records_by_id(target, [id], ("id", "kind", "options", "answer"))
        return decisions.relabel(target, record, answer, why, author)


def comment(
    dataset: DatasetLike, id: str, text: str, *, author: str | None = None
) -> PersonComment:
    """Say something of a record that decides nothing: it stands in the log and the verdicts.

    Raises as `decide`.
    """
    from qoqdata.curation import decisions

    with dataset_to_write(dataset, command="decide") as target:
        return decisions.comment(target, id, text, author)


def correct(
    dataset: DatasetLike, *, out: str | Path, progress: ProgressCallback | None = None
) -> Correction:
    """Write the set at `out` with the answers of the records that people relabelled.

    Ids, media and splits stay, and shards in which nothing changes are linked. A corrected record
    says in its provenance who gave it which answer and which it had. A record whose boxes or masks
    mark what it does not show cannot be corrected: it stays left out, and is counted by reason.
    `progress` hears of shards. Raises UsageError where no relabelled record can be corrected, for a
    release, a folder in use and a set behind a URL.
    """
    from qoqdata.curation import correction

    target = dataset_of(dataset)
    if not target.in_folder:
        fix = "copy the set into a folder, and correct that"
        raise UsageError("`qoqdata correct` reads a set in a folder", where=target.where, fix=fix)
    return correction.correct(target, Path(out), progress or silent)


def undo(dataset: DatasetLike, id: str | None = None, *, author: str | None = None) -> Said:
    """Take back what was last decided or said on a record, or without `id` what the author was the
    last to decide or say.

    Returns what was taken back. Raises UsageError where there is none and for a set that cannot be
    written.
    """
    from qoqdata.curation import decisions

    with dataset_to_write(dataset, command="decide") as target:
        return decisions.undo(target, id, author)


def why(dataset: DatasetLike, id: str, *, rollouts: str | Path | None = None) -> Lineage:
    """Where a record comes from and what was decided about it: raw files and their digests,
    converter, sizes and windows, verdicts, decisions, rarity, success rates.

    `rollouts` are a policy's, as `difficulty` reads them. Needs neither raw files nor a network.
    Raises DatasetError for an id that the set does not hold, BadTable for other rollouts.
    """
    from qoqdata.curation.lineage import lineage

    found = None if rollouts is None else Path(rollouts)
    return lineage(dataset_of(dataset), id, rollouts=found)


def replay(
    dataset: DatasetLike,
    id: str,
    raw: str | Path,
    *,
    mounts: Mapping[str, str | Path] | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    salt_file: str | Path | None = None,
) -> Replay:
    """Make a record again from the raw files below `raw` (folder or URL), and compare all of its
    bytes.

    `mounts` are the build's further roots by folder name, and `mapping` its own, for a source that
    takes one; `salt_file` holds the site's secret salt. Raises UsageError for another salt than
    that of the build and for a missing mapping, DatasetError for an id that the set does not hold
    and where its files are not below `raw`.
    """
    from qoqdata.curation import replay as replaying
    from qoqdata.curation.lineage import lineage
    from qoqdata.records.identity import load_salt
    from qoqdata.remote.urls import is_url
    from qoqdata.remote.working_copy import PATIENT_SPLITS

    salt = load_salt(None if salt_file is None else Path(salt_file), create=False)
    own = Path(mapping) if isinstance(mapping, str) else mapping
    further = {name: Path(root) for name, root in (mounts or {}).items()}
    files = raw if is_url(raw) else Path(raw)
    with dataset_to_read(dataset, (PATIENT_SPLITS,)) as target:
        if not target.in_folder:
            what = "`qoqdata why --replay` needs what a build leaves, which no release has"
            fix = "name the folder or bucket where the set was built"
            raise UsageError(what, where=target.where, fix=fix)
        made = lineage(target, id)
        return replaying.replay(target, made, files, salt, mounts=further, mapping=own)
