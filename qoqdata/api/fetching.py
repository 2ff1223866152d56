"""Functions about raw files: fetching them, and checking what lies there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from qoqdata.fetching.checking import RawCheck
    from qoqdata.fetching.download import Fetched


def get(source: str, *, out: str | Path, progress: ProgressCallback | None = None) -> Fetched:
    """Fetch the raw files of an open source into `out`, or what of them is missing there.

    Files come from where the publisher has them, by its own listing, and are compared with the
    sizes and digests that it states; a download that was cut goes on. `progress` hears of files.
    Raises UsageError for a source whose files a person has to ask for, with the steps, InputError
    where the listing cannot be had, UnknownSource.
    """
    from qoqdata.fetching.channels import published_files, read_download
    from qoqdata.fetching.download import fetch
    from qoqdata.sources.catalogue import find_source

    found = find_source(source)
    download = read_download(found)
    card = found.card
    if card.access != "open" or download is None:
        steps = " ".join(card.get.split())
        why = f"its access is {card.access}" if card.access != "open" else "no channel is known"
        fix = f"{steps} ({card.licence.name}; {card.homepage or 'your own'})"
        raise UsageError(f"is fetched by a person: {why}", where=source, fix=fix)
    return fetch(published_files(download), Path(out), progress or silent)


def check_raw(
    source: str,
    *,
    raw: str | Path,
    listing: bool = True,
    progress: ProgressCallback | None = None,
) -> RawCheck:
    """Compare what lies in `raw` with its publisher's listing, and plan the source, without pixels.

    `listing` False asks no server. `progress` hears of files. Raises UsageError where `raw`
    is no folder, InputError where the listing cannot be had, UnknownSource.
    """
    from qoqdata.fetching import checking
    from qoqdata.fetching.channels import published_files, read_download
    from qoqdata.sources.catalogue import find_source

    found = find_source(source)
    download = read_download(found) if listing else None
    files = None if download is None else published_files(download)
    return checking.check_raw(found, Path(raw), files, progress or silent)
