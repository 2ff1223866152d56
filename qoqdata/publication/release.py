"""One release: its gates, its version and changelog, its delivery."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from qoqdata.atomic import digest, naming
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.curation.burned_in.blanking import boxes_to_blank
from qoqdata.curation.burned_in.gate import require_clean_pixels
from qoqdata.curation.burned_in.receipt import write_review
from qoqdata.curation.phi import require_phi_receipt
from qoqdata.dataset import Dataset
from qoqdata.differences import KINDS, NOT_COMPARED, SetDifference, difference
from qoqdata.errors import DatasetError, UsageError
from qoqdata.json_document import parse_json
from qoqdata.progress import ProgressCallback, silent
from qoqdata.publication import privacy
from qoqdata.publication.licences import require_terms, terms
from qoqdata.publication.pages import write_pages
from qoqdata.publication.searched import Searched
from qoqdata.publication.staging import FIRST, content_digest, seal, stage
from qoqdata.publication.target import Delivery, Outgoing, Target, outgoing_files
from qoqdata.records.identity import Salt
from qoqdata.remote.remote_files import RemoteFiles
from qoqdata.remote.work_folder import folder_of

CHANGELOG = "CHANGELOG.md"

_WORDS = {
    "added": "added",
    "removed": "removed",
    "moved": "moved to another split",
    "relabelled": "with another question, answer or label",
    "changed": "otherwise changed",
}


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
    reviewer: str | None = None,
    progress: ProgressCallback = silent,
) -> Prepared:
    """Pass the gates and write the outgoing tree; nothing leaves yet.

    `reviewed` names sources whose images a person, the `reviewer` (default: who is logged in), has
    looked through for burned-in text; that is recorded in curation/, bound to the data and the
    findings as they are. `progress` hears of shards, then of files that are searched. Raises
    DatasetError when the terms of a source are in doubt, when the PHI
    rules have not run or have open findings, when pixels that leave were not looked at or have open
    findings, when private images were not reviewed, or when a secret is found in an outgoing file;
    UsageError for a salt that is not the set's, or a version that does not rise.
    """
    if salt.fingerprint != dataset.manifest.salt_fingerprint:
        fix = "name the salt that the set was built with: --salt-file"
        raise UsageError("the salt is another one; raw keys could not be recognised", fix=fix)
    require_terms(dataset)
    require_phi_receipt(dataset)
    findings = _require_pixels(dataset, reviewed, reviewer)
    root = dataset.layout.release
    secrets = privacy.secrets_of(dataset, salt)
    bound = digest([dataset.manifest.digest, secrets.digest])
    scan = privacy.Scan(secrets, Searched(_receipts(dataset), salt, bound))
    with naming(root):
        staged = stage(dataset, root, boxes_to_blank(findings), progress, scan)
    older = (target.read(CHANGELOG) or b"").decode()
    change: SetDifference | None = None
    if (outdated := _outdated(target)) is not None:
        change = NOT_COMPARED
        version = _version_after(outdated.version, change, version)
        staged = seal(staged, version=version, previous=outdated.digest)
    elif (previous := target.open()) is not None:
        change = difference(previous, staged)
        staged = _succeed(staged, previous, change, version)
    else:
        older, staged = "", seal(staged, version=version or FIRST, previous=None)
    assert staged.manifest.release is not None
    final = staged.manifest.release.version
    text = older if f"\n## {final}\n" in older else changelog(final, change, older)
    (root / CHANGELOG).write_text(text, encoding="utf-8")
    write_pages(staged, _public(target.url))
    if leaks := privacy.scan_outgoing(root, secrets, progress, scan):
        more = f", and {len(leaks) - 1} more" if len(leaks) > 1 else ""
        what = f"{leaks[0].what} is in {leaks[0].file}{more}"
        raise DatasetError(what, where=str(root), fix="drop or rebuild the records that hold it")
    return Prepared(staged, outgoing_files(staged), final, change)


def deliver(prepared: Prepared, target: Target, progress: ProgressCallback = silent) -> Delivery:
    """Send a prepared release; `progress` hears of files and their total."""
    target.prepare()
    message = f"Release {prepared.version}"
    return target.deliver(prepared.files, message=message, tag=prepared.version, progress=progress)


def next_version(before: str, difference: SetDifference) -> str:
    """The version after `before`.

    major   numbers measured on the old release no longer compare: records removed or moved
            between splits, or another schema
    minor   records added, relabelled or otherwise changed
    patch   the same records with another card, statistics or recipe
    """
    major, minor, patch = (int(part) for part in before.split("."))
    if difference.schema_changed or difference.count("removed") or difference.count("moved"):
        return f"{major + 1}.0.0"
    if difference.records.height:
        return f"{major}.{minor + 1}.0"
    return f"{major}.{minor}.{patch + 1}"


def check_order(before: str, after: str) -> None:
    """Raise UsageError unless `after` is a later version than `before`."""
    if [int(part) for part in after.split(".")] <= [int(part) for part in before.split(".")]:
        raise UsageError(f"{after} does not come after {before}", where="--version")


def changelog(version: str, difference: SetDifference | None, older: str = "") -> str:
    """CHANGELOG.md with an entry for `version` on top of the `older` text; no entry has a date."""
    title = "# Changelog\n"
    lines = [f"## {version}", ""]
    if difference is None:
        lines.append("First release.")
    elif difference.records.height == 0 and not difference.schema_changed:
        lines.append("The same records.")
    else:
        for kind in KINDS:
            if count := difference.count(kind):
                sources = difference.records.filter(kind=kind)["source"].unique().sort()
                lines.append(f"- {count:,} records {_WORDS[kind]}: {', '.join(sources)}")
    if difference is not None and difference.schema_changed:
        lines.append("- another schema version")
    body = "\n".join(lines) + "\n"
    rest = older.removeprefix(title).lstrip("\n")
    return f"{title}\n{body}" + (f"\n{rest}" if rest else "")


def _receipts(dataset: Dataset) -> Path:
    """Where the receipts of what was searched lie: beside the build's or, of a set in a bucket, on
    this machine, where they are whatever interrupts."""
    if isinstance(dataset.files, RemoteFiles):
        return folder_of(dataset.files.cache.root / "searched", dataset.files.store.url)
    return dataset.layout.searched


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
    version = _version_after(before, change, version)
    return seal(staged, version=version, previous=previous.manifest.digest)


def _version_after(before: str, change: SetDifference, asked: str | None) -> str:
    if asked is not None:
        check_order(before, asked)
    return asked or next_version(before, change)


@dataclass(frozen=True)
class _Outdated:
    """A release of an older schema: only what names it can be read."""

    version: str
    digest: str


def _outdated(target: Target) -> _Outdated | None:
    """The present release where its schema is an older one; None for any other."""
    try:
        content = parse_json(target.read("manifest.json") or "{}")
        if content["schema_version"] >= SCHEMA_VERSION:
            return None
        return _Outdated(content["release"]["version"], content["digest"])
    except (ValueError, KeyError, TypeError):
        # No release; opening it says what is wrong.
        return None


def _require_pixels(
    dataset: Dataset, reviewed: Collection[str], reviewer: str | None
) -> pl.DataFrame:
    """Record the reviews, pass the gate for pixels, and return the findings in them."""
    if unknown := sorted(set(reviewed) - set(dataset.cards)):
        raise UsageError(f"the set has no source {unknown[0]}", where="--pixels-reviewed")
    for slug in sorted(set(reviewed)):
        write_review(dataset, slug, reviewer)
    allowed = terms(dataset.cards).values()
    return require_clean_pixels(dataset, {term.source for term in allowed if term.form == "pixels"})
