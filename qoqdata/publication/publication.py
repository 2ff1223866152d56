"""One publication: gates, outgoing tree, delivery."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qoqdata.curation.phi import receipt as phi
from qoqdata.dataset import Dataset
from qoqdata.differences import SetDifference, difference
from qoqdata.errors import DatasetError, UsageError
from qoqdata.publication import privacy
from qoqdata.publication.describe import describe
from qoqdata.publication.licences import terms
from qoqdata.publication.outgoing import Delivery, Outgoing, outgoing
from qoqdata.publication.staging import content_digest, seal, stage
from qoqdata.publication.versions import FIRST, changelog, check_order, next_version
from qoqdata.records.identity import Salt

CHANGELOG = "CHANGELOG.md"


class Target(Protocol):
    """Where releases go: the Hub, or a folder at an fsspec URL."""

    @property
    def url(self) -> str:
        """The address of the release for `qoqdata.open`."""

    def prepare(self) -> None:
        """Make the repository or folder where there is none."""

    def open(self) -> Dataset | None:
        """The present release."""

    def read(self, path: str) -> bytes | None:
        """A file of the present release."""

    def deliver(
        self,
        files: tuple[Outgoing, ...],
        *,
        message: str,
        tag: str,
        told: Callable[[int, int], None],
    ) -> Delivery:
        """Send files; readers see them once all of them are there."""


@dataclass(frozen=True)
class Prepared:
    """A release that passed its gates and lies ready. `change` is None for a first release."""

    staged: Dataset
    files: tuple[Outgoing, ...]
    version: str
    change: SetDifference | None


def prepare(
    dataset: Dataset,
    target: Target,
    *,
    salt: Salt,
    version: str | None = None,
    reviewed: Collection[str] = (),
) -> Prepared:
    """Pass the gates and write the outgoing tree; nothing leaves yet.

    `reviewed` names private sources whose images a person has looked through for burned-in
    text. Raises DatasetError when the PHI rules have not run or have open findings, when private
    images were not reviewed, or when a secret is found in an outgoing file; UsageError for a
    salt that is not the set's, or a version that does not rise.
    """
    if salt.fingerprint != dataset.manifest.salt_fingerprint:
        fix = "name the salt that the set was built with: --salt-file"
        raise UsageError("the salt is another one; raw keys could not be recognised", fix=fix)
    phi.require(dataset)
    _require_review(dataset, reviewed)
    root = dataset.layout.release
    staged, previous = stage(dataset, root), target.open()
    if previous is None:
        change, older = None, ""
        staged = seal(staged, version=version or FIRST, previous=None)
    else:
        change = difference(previous, staged)
        older = (target.read(CHANGELOG) or b"").decode()
        staged = _succeed(staged, previous, change, version)
    settled = staged.manifest.release.version  # type: ignore[union-attr]
    text = older if f"\n## {settled}\n" in older else changelog(settled, change, older)
    (root / CHANGELOG).write_text(text, encoding="utf-8")
    describe(staged, _public(target.url))
    _require_no_leak(root, privacy.secrets_of(dataset, salt))
    known = {shard.path: shard.sha256 for shard in staged.manifest.shards}
    return Prepared(staged, outgoing(root, known), settled, change)


def deliver(
    prepared: Prepared, target: Target, told: Callable[[int, int], None] = lambda done, total: None
) -> Delivery:
    """Send a prepared release."""
    target.prepare()
    message = f"Release {prepared.version}"
    return target.deliver(prepared.files, message=message, tag=prepared.version, told=told)


def _public(url: str) -> str | None:
    """The address to show in the release; a local folder is nobody's business."""
    return url if "://" in url and not url.startswith("file:") else None


def _succeed(
    staged: Dataset, previous: Dataset, change: SetDifference, version: str | None
) -> Dataset:
    """Seal the release after `previous`; the same content keeps its version."""
    last = previous.manifest.release
    before = last.version if last else "0.0.0"
    if version is None and last is not None and last.content == content_digest(staged):
        return seal(staged, version=before, previous=last.previous)
    if version is not None:
        check_order(before, version)
    return seal(
        staged,
        version=version or next_version(before, change),
        previous=previous.manifest.digest,
    )


def _require_review(dataset: Dataset, reviewed: Collection[str]) -> None:
    if unknown := sorted(set(reviewed) - set(dataset.cards)):
        raise UsageError(f"the set has no source {unknown[0]}", where="--pixels-reviewed")
    for slug, term in terms(dataset.cards).items():
        private = dataset.cards[slug].access == "own"
        if private and term.form == "pixels" and slug not in reviewed:
            what = f"nobody has looked for text burned into the images of {slug}"
            fix = f"look through them, then say --pixels-reviewed {slug}"
            raise DatasetError(what, where=dataset.where, fix=fix)


def _require_no_leak(root: Path, secrets: privacy.Secrets) -> None:
    if leaks := privacy.scan_outgoing(root, secrets):
        more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        what = f"{leaks[0].what} is in {leaks[0].file}{more}"
        raise DatasetError(what, where=str(root), fix="drop or rebuild the records that hold it")
