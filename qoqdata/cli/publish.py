"""qoqdata publish: a release to the Hub or to any folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qoqdata import console
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.publication.release import Prepared
    from qoqdata.publication.target import Delivery, Target

EPILOG = """Example:  qoqdata publish ./set --repo-id our-lab/our-set --private --dry-run

To a folder or bucket:  qoqdata publish ./set --to s3://our-bucket/our-set

What may not leave as pixels leaves as annotations with a recipe for `qoqdata rebuild`, or not at
all; no option changes that. A publication that was interrupted goes on: run the same command."""


def add(app: typer.Typer) -> None:
    app.command("publish", epilog=EPILOG)(publish_command)


def publish_command(
    dataset: Annotated[Path, typer.Argument(help="The data set's folder.")],
    repo_id: Annotated[str | None, typer.Option(help="ORG/NAME on the Hugging Face Hub.")] = None,
    to: Annotated[str | None, typer.Option(help="A folder: path or fsspec URL.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a private repository.")] = False,
    revision: Annotated[str, typer.Option(help="Branch on the Hub.")] = "main",
    version: Annotated[str | None, typer.Option(help="Default: follows from the diff.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send nothing.")] = False,
    pixels_reviewed: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="Private images were checked for burned-in text."),
    ] = None,
    salt_file: Annotated[Path | None, typer.Option(help="The salt of the build.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Publish a data set: licence gate, privacy gate, upload, verification.

    Readers see the old release or the new one, never a half. The token is $HF_TOKEN or that of
    `hf auth login`.
    """
    from qoqdata.cli.progress import counter
    from qoqdata.dataset import open_dataset
    from qoqdata.publication.release import deliver, prepare
    from qoqdata.records.identity import load_salt

    target = _target(repo_id, to, private=private, revision=revision)
    opened = open_dataset(dataset)
    salt = load_salt(salt_file, create=False)
    reviewed = pixels_reviewed or []
    prepared = prepare(opened, target, salt=salt, version=version, reviewed=reviewed)
    if not json:
        show(prepared)
    if dry_run:
        console.say(f"\ndry run: the outgoing files lie in {prepared.staged.root}")
        return
    with counter("files", quiet=json) as progress:
        delivery = deliver(prepared, target, progress)
    report(prepared, delivery, target, as_json=json)


def show(prepared: Prepared) -> None:
    """What leaves, as what, and what changed since the last release."""
    from qoqdata.cli.diff import show as show_difference

    manifest = prepared.staged.manifest
    release = manifest.release
    assert release is not None
    rows: list[tuple] = [
        (slug, "pixels", entry.counts.records, entry.licence)
        for slug, entry in manifest.sources.items()
    ]
    rows += [(slug, "recipe", None, "annotations and recipe") for slug in release.recipes]
    rows += [(slug, "withheld", None, reason) for slug, reason in release.withheld.items()]
    console.table(("source", "leaves as", "records", "terms"), rows)
    console.say(f"\nversion {prepared.version}")
    if prepared.change is not None:
        console.say("since the last release:")
        show_difference(prepared.change)


def report(prepared: Prepared, delivery: Delivery, target: Target, *, as_json: bool) -> None:
    """What was sent, and how to read it."""
    if as_json:
        console.emit_json(
            {
                "url": target.url,
                "version": prepared.version,
                "revision": delivery.revision,
                "sent": delivery.sent,
                "unchanged": len(delivery.unchanged),
                "removed": delivery.removed,
                "bytes_sent": delivery.bytes_sent,
            }
        )
        return
    megabytes = delivery.bytes_sent / 1e6
    console.say(
        f"\nsent {len(delivery.sent)} files ({megabytes:,.1f} MB), "
        f"{len(delivery.unchanged)} unchanged, {len(delivery.removed)} removed; digests verified"
    )
    console.say(f'read it with  qoqdata.open("{target.url}")')


def _target(repo_id: str | None, to: str | None, *, private: bool, revision: str) -> Target:
    from qoqdata.publication.folder import Folder
    from qoqdata.publication.hub import Hub

    if (repo_id is None) == (to is None):
        raise UsageError("say where to publish", fix="either --repo-id ORG/NAME or --to URL")
    if repo_id is None:
        return Folder(str(to))
    if repo_id.count("/") != 1 or not all(repo_id.split("/")):
        raise UsageError(f"{repo_id!r} is not ORG/NAME", where="--repo-id")
    return Hub(repo_id, revision=revision, private=private)
