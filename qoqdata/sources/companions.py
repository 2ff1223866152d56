"""Files that come with others: the data of a header, and texts and tables beside the data."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress

from qoqdata.errors import InputError, UnreadableFile, UnsupportedFormat
from qoqdata.sources.protocol import Filtered, Refused
from qoqdata.sources.rawtree import RawTree

_TEXT_HEADERS = (".mhd", ".nhdr")
_PAIRS = {".hdr": (".img", ".img.gz"), ".hdr.gz": (".img", ".img.gz")}
_HEADER_BYTES = 2**20
#: By name or extension, in lower case, what publishers and tools put beside the data.
# fmt: off
_DOCUMENTS = frozenset(
    {
        "readme", "license", "licence", "copying", "citation", "changelog", "changes",
        "manifest", "records", "checksums", "sha512sums", "sha256sums", "sha1sums",
        "md5sums"
    }
)
_EXTENSIONS = frozenset(
    {
        "md", "rst", "txt", "pdf", "html", "htm", "docx", "csv", "tsv", "xlsx", "xls",
        "json", "jsonl", "xml", "yaml", "yml", "log", "md5", "sha1", "sha256", "sha512",
        "bib", "cff", "sh", "py"
    }
)
# fmt: on
#: A numbered series in a header: a name with a place for the number, first, last and step.
_SERIES = re.compile(r"([^%]*)%0?(\d{0,2})d([^%\s]*)\s+(\d{1,6})\s+(\d{1,6})(?:\s+(\d{1,4}))?")


def data_files(header: str, raw: RawTree, listing: Collection[str]) -> tuple[str, ...]:
    """The listed files that hold the voxels of a volume whose header is a file of its own.

    MetaImage and NRRD headers name them; the two files of an Analyze or NIfTI pair share a stem.
    Nothing for any other file, and for a header that cannot be read, which its reader will tell.
    """
    name = header.lower()
    if name.endswith(_TEXT_HEADERS):
        content = b""
        with suppress(InputError):
            content = raw.read_bytes(header)[:_HEADER_BYTES]
        folder = header[: header.rfind("/") + 1]
        named = (f"{folder}{one}" for one in _values(content.decode("latin-1")))
        return tuple(dict.fromkeys(path for path in named if path in listing and path != header))
    for end, others in _PAIRS.items():
        if name.endswith(end):
            stem = header[: -len(end)]
            return tuple(stem + other for other in others if stem + other in listing)
    return ()


def without_data_files(paths: Mapping[str, str], data: Iterable[str]) -> dict[str, str]:
    """Paths by key without those that are data of another's header."""
    taken = frozenset(data)
    return {key: path for key, path in paths.items() if path not in taken}


def beside_the_data(path: str, error: InputError) -> Refused | Filtered:
    """What becomes of a file that cannot be read: one whose name is that of a text or table, such
    as README or SHA256SUMS.txt, is left out, any other is refused."""
    name = path.rpartition("/")[2].lower()
    stem, _, extension = name.partition(".")
    document = stem in _DOCUMENTS or extension.rpartition(".")[2] in _EXTENSIONS
    if document and type(error) in (UnreadableFile, UnsupportedFormat):
        return Filtered(path, "document", "a text or table beside the data", (path,))
    return Refused(path, error, (path,))


def _values(header: str) -> Iterator[str]:
    """What the lines of a header say, each as it could be the name of a file."""
    for line in header.splitlines():
        value = max(line.partition("=")[2], line.partition(":")[2], key=len).strip() or line.strip()
        yield value
        if match := _SERIES.fullmatch(value):
            first, last, step = int(match[4]), int(match[5]), int(match[6] or 1) or 1
            for number in range(first, last + 1, step):
                yield f"{match[1]}{number:0{match[2] or 1}d}{match[3]}"
