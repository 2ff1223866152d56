"""Functions that describe a data set: its faults, its verdicts, its statistics, its changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.api.opening import DatasetLike, dataset_of, dataset_to_write, written_at
from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.statistics.probe import LIMIT

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.curation.audit import Audit
    from qoqdata.curation.benchmark_index import BenchmarkIndex
    from qoqdata.curation.phi import Recogniser
    from qoqdata.curation.proof import Proof
    from qoqdata.curation.recipe import CurationRecipe
    from qoqdata.curation.selection import Selection, SelectionTarget
    from qoqdata.curation.verdicts import Curation
    from qoqdata.dataset import Dataset
    from qoqdata.differences import SetDifference
    from qoqdata.statistics.tables import Stats
    from qoqdata.validation import Finding


@dataclass(frozen=True)
class Difficulty:
    """A policy's table, a row a question, and its file, of a set in a bucket the URL; `left_out`
    are tasks that no probe fits."""

    table: pl.DataFrame
    path: Path | str
    left_out: tuple[str, ...] = ()

    @property
    def success_rate(self) -> float | None:
        """The mean reward over the questions, 0 hard to 1 easy; None without a question."""
        mean = self.table["success_rate"].mean()
        return None if mean is None else float(mean)  # type: ignore[arg-type]


def validate(
    dataset: DatasetLike,
    *,
    metadata_only: bool = False,
    progress: ProgressCallback | None = None,
) -> list[Finding]:
    """Every breach of the data set's promises; an empty list says that it keeps them all.

    Schema, digests, record rules, counts and split safety. `metadata_only` reads no shard: it finds
    what metadata tell, in a hundredth of the time. `progress` hears of records. Raises DatasetError
    when there is no data set.
    """
    from qoqdata.validation import find, find_in_metadata

    if metadata_only:
        return list(find_in_metadata(dataset_of(dataset)))
    return list(find(dataset_of(dataset), progress or silent))


def curate(
    dataset: DatasetLike,
    *,
    recipe: CurationRecipe | Mapping[str, Any] | str | Path | None = None,
    recogniser: Recogniser | None = None,
    burned_in: bool | None = None,
    against: str | Path | Sequence[str | Path] = (),
    progress: ProgressCallback | None = None,
) -> Curation:
    """Decide which records stay, write the verdicts into the set's curation/, and return them.

    Looks for protected health information in texts, for images that stand in two splits, and for
    text burned into images: of all sources with `burned_in`, of none with False, by default of
    private ones and of those whose pixels may leave, which they do only after it. Records with a
    finding in a text are held back by default: they are not trained on, do not leave, and stay in
    the set until the recipe accepts or drops them.

    `against` are indexes of benchmarks (`benchmark_index`): records of train that show one of their
    images or ECGs are dropped, named with the benchmark. `recipe` holds your decisions: a file, its
    content, or a CurationRecipe. `recogniser` (see `qoqdata.curation.phi.Recogniser`) joins the
    rules. `progress` hears of records whose images were looked at.

    Raises UsageError for a recipe at fault and for a set that cannot be written, InputError for an
    image that cannot be decoded.
    """
    from qoqdata.curation import verdicts
    from qoqdata.curation.burned_in import pixels
    from qoqdata.curation.recipe import CurationRecipe, load_recipe
    from qoqdata.remote.working_copy import LIKENESSES
    from qoqdata.settings import checked

    if isinstance(recipe, Mapping):
        recipe = checked(CurationRecipe, dict(recipe), where="recipe")
    elif not isinstance(recipe, CurationRecipe):
        recipe = load_recipe(None if recipe is None else Path(recipe))
    benchmarks = _indexes([against] if isinstance(against, str | Path) else against)
    with dataset_to_write(dataset, command="curate", parts=(LIKENESSES,)) as target:
        target.check_some()
        # First, because the receipt of the texts is bound to the verdicts of all rules.
        sources = _with_pixels_to_look_at(target, burned_in)
        looked = None
        if sources:
            looked = pixels.curate_pixels(target, recipe.burned_in, sources, progress or silent)
        passed = verdicts.curate(
            target, recipe, progress or silent, recogniser=recogniser, benchmarks=benchmarks
        )
        return replace(passed, pixels=looked)


def benchmark_index(
    raw: str | Path | Mapping[str, str | Path],
    *,
    out: str | Path,
    progress: ProgressCallback | None = None,
) -> BenchmarkIndex:
    """Write to `out` what images and ECGs of a benchmark's copy are recognised by, for `curate`.

    `raw` is the folder of a copy, by whose name the benchmark is called, or folders by the names of
    their benchmarks. `progress` hears of images and ECGs. What cannot be read is not in the index,
    and `unreadable` has it. Raises UsageError for a folder without either.
    """
    from qoqdata.curation.benchmark_index import index_images, write_index

    copies = raw if isinstance(raw, Mapping) else {Path(raw).resolve().name: raw}
    folders = {name: Path(folder) for name, folder in copies.items()}
    index = index_images(folders, progress or silent)
    write_index(Path(out), index)
    return index


def audit(
    dataset: DatasetLike,
    *,
    limit: int = LIMIT,
    label_errors: bool = False,
    harmonise: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> Audit:
    """What is wrong with the labels of a set's kept records, found without looking at images.

    What those score who see no image, of at most `limit` questions of a source, task and split;
    how far the answers of later splits are spread otherwise; questions whose answer stands in
    their own text; contexts of different studies that are nearly the same; labels that are right
    otherwise often than their card's published counts. The scores go into the set's curation/, and
    its card shows them. `label_errors` also looks at images for answers that are likely wrong, for
    held-out labels that disagree with train and for sources that contradict each other (needs
    `pip install 'qoqdata[labels]'`); `progress` hears of them. `harmonise` is a table of concepts
    (see `qoqdata.concepts`) that says which labels of your own sources mean the same as others'.
    Raises UsageError for a set that cannot be written, a table at fault, and where cleanlab is
    missing.
    """
    from qoqdata.curation.audit import run_audit

    with dataset_to_write(dataset, command="audit") as target:
        target.check_some()
        return run_audit(
            target,
            limit,
            label_errors=label_errors,
            harmonise=harmonise,
            progress=progress or silent,
        )


def prove(
    dataset: DatasetLike,
    *,
    out: str | Path | None = None,
    progress: ProgressCallback | None = None,
) -> Proof:
    """Count what each two splits of the kept records share: patients, studies, images, signals.

    `out` is where the proof is written as Markdown. `progress` hears of records. Raises UsageError
    for a set that cannot be written, where what images are recognised by is kept, and InputError
    for an image that cannot be decoded.
    """
    from qoqdata.atomic import replacing
    from qoqdata.curation import proof
    from qoqdata.remote.working_copy import LIKENESSES

    with dataset_to_write(dataset, command="prove", parts=(LIKENESSES,)) as target:
        target.check_some()
        found = proof.prove(target, progress=progress or silent)
    if out is not None:
        with replacing(Path(out)) as draft:
            draft.write_text(proof.proof_text(found), encoding="utf-8")
    return found


def select(
    dataset: DatasetLike, target: SelectionTarget | Mapping[str, Any] | str | Path
) -> Selection:
    """Keep a subset of a split, of a given size and within bounds, and drop the rest by verdict.

    `target` is a SelectionTarget, its content, or its file. The subset is as close to the shares of
    the target's balance as the bounds allow, and the same for the same records and target. Raises
    UsageError for a target at fault, for bounds that cannot be met, each named with what it misses,
    and for a set that cannot be written.
    """
    from qoqdata.curation import selection
    from qoqdata.settings import checked

    if isinstance(target, Mapping):
        target = checked(selection.SelectionTarget, dict(target), where="target")
    elif not isinstance(target, selection.SelectionTarget):
        target = selection.load_target(Path(target))
    with dataset_to_write(dataset, command="select") as opened:
        opened.check_some()
        return selection.select(opened, target)


def unselect(dataset: DatasetLike) -> int:
    """Take the verdicts of a selection back; returns how many. Raises UsageError for a set that
    cannot be written."""
    from qoqdata.curation import selection

    with dataset_to_write(dataset, command="select") as target:
        return selection.undo_selection(target)


def stats(
    dataset: DatasetLike,
    *,
    policy: str | None = None,
    prior: bool = False,
    harmonise: str | Path | None = None,
) -> Stats:
    """Write how rare and how hard every part of the set is into its stats/, and return the tables.

    `policy` says whose difficulty counts, where there are several; `prior` first writes the
    difficulty that follows from label entropy; `harmonise` also counts by concept, of the table of
    that name or file (see `qoqdata.concepts`). Records of evaluation sources count nowhere. Raises
    UsageError when the policy has none or the choice is open, for a table at fault, and for a set
    that cannot be written or is of evaluation sources only; DatasetError when no training record is
    left.
    """
    from qoqdata.statistics import difficulty, tables
    from qoqdata.statistics.basis import basis_of
    from qoqdata.statistics.concept_counts import concept_counts
    from qoqdata.statistics.families import count_families
    from qoqdata.statistics.prior import write_prior

    with dataset_to_write(dataset, command="stats") as target:
        concepts = None if harmonise is None else target.concepts(harmonise)
        if prior:
            write_prior(target)
        name = difficulty.policy_of(target.layout, policy)
        scores = None if name is None else difficulty.choose(target.layout, name)
        found = tables.joined(count_families(target, scores), scores)
        if concepts is not None:
            found["concepts"] = concept_counts(target.for_training(), concepts)
        basis = basis_of(target.manifest, target.layout, name)
        return tables.write_statistics(target.layout, found, basis)


def difficulty(
    dataset: DatasetLike,
    *,
    rollouts: str | Path | None = None,
    probe: bool = False,
    prior: bool = False,
    policy: str | None = None,
    scorer: str = "unstated",
    limit: int = LIMIT,
    progress: ProgressCallback | None = None,
) -> Difficulty:
    """Write how well each question is answered into the set's difficulty/, and return the table.

    One of three is its source: `rollouts` of the `policy` of that name, whose rewards were given by
    `scorer` (a Parquet file, a folder of them, or JSON lines, with id and reward); `probe`, a
    cross-validated linear probe of at most `limit` questions of a source and task, with `progress`
    in questions; `prior`, label entropy.

    Raises UsageError when it is not one of them, when a policy's name is missing or no file name,
    when no question can be probed, and for a set that cannot be written; BadTable for other
    rollouts; DatasetError for ids that the set does not hold.
    """
    from qoqdata.statistics import difficulty as tables
    from qoqdata.statistics.prior import write_prior
    from qoqdata.statistics.probe.table import write_probe

    if prior + probe + (rollouts is not None) != 1:
        raise UsageError("say one of --from ROLLOUTS, --probe and --prior")
    if rollouts is not None and not _is_file_name(policy):
        fix = "letters, digits, dash, dot and underscore"
        raise UsageError("--from needs the policy's name", where="--policy", fix=fix)
    with dataset_to_write(dataset, command="difficulty") as target:
        left_out: Sequence[str] = ()
        if prior:
            table, path = write_prior(target)
        elif probe:
            table, path, left_out = write_probe(target, limit=limit, progress=progress or silent)
        else:
            assert rollouts is not None and policy is not None
            table = tables.from_rollouts(Path(rollouts), policy=policy, scorer=scorer)
            target.refuse_unknown(table["id"], of="rollout")
            path = tables.write_difficulty(target.layout, table)
        return Difficulty(table, written_at(target, path), tuple(left_out))


def diff(before: DatasetLike, after: DatasetLike) -> SetDifference:
    """What happened to each record between two data sets, matched by id.

    Added, removed, moved to another split, relabelled, or otherwise changed.
    """
    from qoqdata.differences import difference

    return difference(dataset_of(before), dataset_of(after))


def _with_pixels_to_look_at(dataset: Dataset, asked: bool | None) -> list[str]:
    """Sources whose images are looked at for text."""
    from qoqdata.publication.licences import terms

    if asked is not None:
        return sorted(dataset.cards) if asked else []
    return [
        slug
        for slug, term in terms(dataset.cards).items()
        if term.form == "pixels" or dataset.cards[slug].access == "own"
    ]


def _is_file_name(policy: str | None) -> bool:
    letters = (policy or "").replace("-", "").replace(".", "").replace("_", "")
    return letters.isalnum()


def _indexes(paths: Sequence[str | Path]) -> pl.DataFrame | None:
    """The indexes of benchmarks together; None without one."""
    import polars as pl

    from qoqdata.curation.benchmark_index import read_index

    return pl.concat([read_index(Path(path)) for path in paths]) if paths else None
