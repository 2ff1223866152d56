"""qoqdata publish: a release to the Hub or to any folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import qoqdata
from qoqdata import console
from qoqdata.cli.diff import show as show_change

if TYPE_CHECKING:
    from qoqdata.api.publishing import Publication
    from qoqdata.publication.release import Prepared

EPILOG = """Example:  qoqdata publish ./set --repo-id our-lab/our-set --private --dry-run

To a folder or bucket:  qoqdata publish ./set --to s3://our-bucket/our-set

What may not leave as pixels leaves as annotations with a recipe for `qoqdata rebuild`, or not at
all; no option changes that. A publication that was interrupted goes on: run the same command."""


def add(app: typer.Typer) -> None:
    app.command("publish", epilog=EPILOG)(publish_command)


def publish_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    repo_id: Annotated[str | None, typer.Option(help="ORG/NAME on the Hugging Face Hub.")] = None,
    to: Annotated[str | None, typer.Option(help="A folder: path or fsspec URL.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a private repository.")] = False,
    revision: Annotated[str, typer.Option(help="Branch on the Hub.")] = "main",
    version: Annotated[str | None, typer.Option(help="Default: follows from the diff.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; offline without a target.")
    ] = False,
    pixels_reviewed: Annotated[
        list[str] | None,
        typer.Option(metavar="SOURCE", help="You looked through its images for burned-in text."),
    ] = None,
    reviewer: Annotated[
        str | None, typer.Option(help="Who did. Default: who is logged in.")
    ] = None,
    salt_file: Annotated[Path | None, typer.Option(help="The salt of the build.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The outcome as JSON.")] = False,
) -> None:
    """Publish a data set: licence gate, privacy gate, upload, verification.

    Readers see the old release or the new one, never a half. The token is $HF_TOKEN or that of
    `hf auth login`.
    """
    with console.counter("files", quiet=json) as progress:
        publication = qoqdata.publish(
            dataset,
            repo_id=repo_id,
            to=to,
            private=private,
            revision=revision,
            version=version,
            dry_run=dry_run,
            pixels_reviewed=pixels_reviewed or (),
            reviewer=reviewer,
            salt_file=salt_file,
            on_prepared=None if json else show,
            progress=progress,
        )
    report(publication, as_json=json)


def show(prepared: Prepared) -> None:
    """What leaves, as what, and what changed since the last release."""
    manifest = prepared.staged.manifest
    release = manifest.release
    assert release is not None
    rows: list[tuple[str, str, int | None, str]] = [
        (slug, "pixels", entry.counts.records, entry.licence)
        for slug, entry in manifest.sources.items()
    ]
    rows += [(slug, "recipe", None, "annotations and recipe") for slug in release.recipes]
    rows += [(slug, "withheld", None, reason) for slug, reason in release.withheld.items()]
    console.table(("source", "leaves as", "records", "terms"), rows)
    console.say(f"\nversion {prepared.version}")
    if prepared.change is not None:
        console.say("since the last release:")
        show_change(prepared.change)


def report(publication: Publication, *, as_json: bool) -> None:
    """What was sent, and how to read it; of a dry run, where its files are."""
    prepared, delivery, url = publication.prepared, publication.delivery, publication.url
    # Of a set in a bucket nothing stays here.
    root = prepared.staged.root if prepared.staged.root.is_dir() else None
    if delivery is None and as_json:
        files = [file.path for file in prepared.files]
        console.emit_json({"version": prepared.version, "folder": root, "files": files})
        return
    if delivery is None:
        lie = f"the outgoing files lie in {root}" if root else "all gates are open"
        console.say(f"\ndry run: {lie}; {len(prepared.files)} files")
        return
    if as_json:
        console.emit_json(
            {
                "url": url,
                "version": prepared.version,
                "revision": delivery.revision,
                "sent": delivery.sent,
                "unchanged": len(delivery.unchanged),
                "removed": delivery.removed,
                "bytes_sent": delivery.bytes_sent,
            }
        )
        return
    console.say(
        f"\nsent {len(delivery.sent)} files ({console.size(delivery.bytes_sent)}), "
        f"{len(delivery.unchanged)} unchanged, {len(delivery.removed)} removed; digests verified"
    )
    console.say(f'read it with  qoqdata.open("{url}")')
