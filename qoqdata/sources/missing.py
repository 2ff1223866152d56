"""Why a row of a table has no file, by what lies at the path that it names."""

from __future__ import annotations

import os
from collections.abc import Sequence

from qoqdata.errors import InputError, MissingFile, UnsupportedFormat
from qoqdata.sources.joining import path_text
from qoqdata.sources.protocol import Refused
from qoqdata.sources.raw_listing import ignored_by
from qoqdata.sources.rawtree import RawTree


def with_reason(item: Refused, raw: RawTree, *, reads: Sequence[str]) -> Refused:
    """The refusal of a row without a file, as what the path says: that it leaves the raw root, is a
    pipe, a folder or a link to nothing, or that the mapping ignores it; of a file of a format that
    the source does not read, those that it does, given as patterns."""
    if type(item.error) is UnsupportedFormat:
        fix = f"convert it, or drop the row; read are {', '.join(reads)}"
        return Refused(
            item.key, UnsupportedFormat(item.error.what, where=item.key, fix=fix), item.files
        )
    if type(item.error) is not MissingFile:
        return item
    path = path_text(item.key) or item.key
    if (pattern := ignored_by(path, raw.ignore)) is not None:
        fix = "mend the pattern, or drop the row"
        what = f"the mapping's `ignore` leaves it out by {pattern!r}"
        return Refused(item.key, MissingFile(what, where=item.key, fix=fix), item.files)
    try:
        found = raw.resolve(path)
    except InputError as error:
        plain = type(error) is MissingFile and not os.path.lexists(raw.root / path)
        return item if plain else Refused(item.key, error, item.files)
    if found.is_dir():
        what, fix = "is a folder", "name a file"
    else:
        what = "lies behind a linked folder"
        fix = "put the folder in place of the link, or name it by the path where it really lies"
    return Refused(item.key, MissingFile(what, where=item.key, fix=fix), item.files)
