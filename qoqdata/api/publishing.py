"""Functions that hand a data set on: its page, a release, the formats of other trainers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.api.opening import DatasetLike, dataset_of, dataset_to_write, written_at
from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from qoqdata.curation.burned_in.blanking import Blanking
    from qoqdata.exports.rows import Tally
    from qoqdata.publication.release import Prepared
    from qoqdata.publication.target import Delivery, Target


@dataclass(frozen=True)
class Publication:
    """A release as prepared, its address, and what was sent; nothing (None) in a dry run."""

    prepared: Prepared
    url: str
    delivery: Delivery | None


def card(dataset: DatasetLike, *, repo_id: str | None = None) -> tuple[Path | str, ...]:
    """Write the set's README.md, croissant.json and figures, and return their paths, of a set in a
    bucket their URLs.

    `repo_id` (ORG/NAME on the Hub) is for the loading snippet. Raises UsageError for a set that
    cannot be written, and when matplotlib is not installed, DatasetError for one without records.
    """
    from qoqdata.publication.pages import write_pages

    url = None if repo_id is None else f"hf://datasets/{_checked_repository(repo_id)}"
    with dataset_to_write(dataset, command="card") as target:
        target.check_some()
        return tuple(written_at(target, path) for path in write_pages(target, url))


def publish(
    dataset: DatasetLike,
    *,
    repo_id: str | None = None,
    to: str | Path | None = None,
    private: bool = False,
    revision: str = "main",
    version: str | None = None,
    dry_run: bool = False,
    pixels_reviewed: Collection[str] = (),
    reviewer: str | None = None,
    salt_file: str | Path | None = None,
    on_prepared: Callable[[Prepared], None] | None = None,
    progress: ProgressCallback | None = None,
) -> Publication:
    """Publish the set: licence gate, privacy gate, upload, verification.

    It goes to `repo_id` (ORG/NAME on the Hub; `private` and the branch `revision` are of it), or
    `to` a folder or fsspec URL. `version` follows from what changed unless it is given; `dry_run`
    sends nothing, and without `repo_id` and `to` compares with no earlier release and asks no
    network. `pixels_reviewed` names sources whose images the `reviewer` (default: who is
    logged in) has looked through for burned-in text, which private sources need and open findings
    are settled by; it holds until data or findings change. `salt_file` is the salt of the
    build. `on_prepared` hears of the release once it has passed its gates and nothing is sent,
    `progress` of files: as they are made, searched and sent.

    Raises UsageError when the target is not one of the two, for another salt, for a version that
    does not rise and for a set behind a URL; DatasetError when a gate stays shut or the target is
    out of reach.
    """
    from qoqdata.publication.release import deliver, prepare
    from qoqdata.records.identity import load_salt
    from qoqdata.remote.working_copy import RAW_KEYS

    target = _target(repo_id, to, private=private, revision=revision, may_be_none=dry_run)
    salt = load_salt(None if salt_file is None else Path(salt_file), create=False)
    with dataset_to_write(dataset, command="publish", parts=(RAW_KEYS,)) as source:
        prepared = prepare(
            source,
            target,
            salt=salt,
            version=version,
            reviewed=pixels_reviewed,
            reviewer=reviewer,
            progress=progress or silent,
        )
        if on_prepared is not None:
            on_prepared(prepared)
        delivery = None if dry_run else deliver(prepared, target, progress or silent)
    return Publication(prepared, target.url, delivery)


def export(
    dataset: DatasetLike,
    *,
    to: str,
    out: str | Path,
    blanking: Blanking | None = None,
    progress: ProgressCallback | None = None,
) -> Tally:
    """Write the kept records at `out` in the format `to`, and return counts by split.

    Formats: verl, trl, sharegpt, webdataset, climb and records. Records that a format cannot hold
    are left out and counted by reason. With `blanking` (see the function of that name) boxes of
    text burned into images are black. `progress` hears of records. Raises UsageError for another
    format and a folder in use.
    """
    from qoqdata.exports.formats import write_export
    from qoqdata.exports.rows import unchanged

    return write_export(
        dataset_of(dataset),
        to=to,
        out=Path(out),
        change=blanking or unchanged,
        progress=progress or silent,
    )


def blanking(dataset: DatasetLike) -> Blanking:
    """Makes the boxes black that curation calls `blank`, in records: for `export(blanking=)` and
    `Dataset.stream(change=)`, as `publish` does it.

    Raises DatasetError where no pass of `curate(burned_in=True)` covers the data as they are.
    """
    from qoqdata.curation.burned_in import receipt
    from qoqdata.curation.burned_in.blanking import Blanking, boxes_to_blank

    opened = dataset_of(dataset)
    receipt.read_receipt(opened)
    return Blanking(boxes_to_blank(receipt.read_findings(opened)))


def _target(
    repo_id: str | None,
    to: str | Path | None,
    *,
    private: bool,
    revision: str,
    may_be_none: bool,
) -> Target:
    from qoqdata.publication.folder import Folder
    from qoqdata.publication.hub import Hub
    from qoqdata.publication.target import Nowhere

    if repo_id is None and to is None and may_be_none:
        return Nowhere()
    if (repo_id is None) == (to is None):
        fix = "either --repo-id ORG/NAME or --to URL; --dry-run alone only shows the gates"
        raise UsageError("say where to publish", fix=fix)
    if repo_id is None:
        return Folder(str(to))
    return Hub(_checked_repository(repo_id), revision=revision, private=private)


def _checked_repository(repo_id: str) -> str:
    if repo_id.count("/") != 1 or not all(repo_id.split("/")):
        fix = "such as our-lab/our-set"
        raise UsageError(f"{repo_id!r} is not ORG/NAME", where="--repo-id", fix=fix)
    return repo_id
