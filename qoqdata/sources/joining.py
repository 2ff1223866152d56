"""How keys of tables find files and rows: one rule for all sources that read a user's tables.

A key is what a table calls a file: a path, a path of another machine, a name without folder or
extension. It is joined where one file fits, and nothing that the key says speaks against it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import polars as pl

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, UnsupportedFormat
from qoqdata.sources.protocol import Refused

Row = dict[str, str | None]
#: The files of each unit, by what the source calls it: a path, a record, the key of a pattern.
Files = Mapping[str, tuple[str, ...]]

# With a letter first: the parts of a UID or of a date are no extensions.
_EXTENSION = re.compile(r"(?<=[^/])\.([A-Za-z][A-Za-z0-9]{0,6})$")
_COMPRESSED = frozenset({"gz", "bz2", "xz", "zst"})
_SAME = {"jpeg": "jpg", "tiff": "tif", "dicom": "dcm"}
#: Of files that say something about another of their name, and are never meant by it alone.
_NOTES = frozenset({"csv", "json", "md", "tsv", "txt", "xml", "yaml", "yml"})
_KEY, _NAME, _STEM = "{key}", "{name}", "{stem}"
_SHAPES = {_KEY: "(?P<key>.+?)", _NAME: "(?P<key>[^/]+?)", _STEM: "(?P<key>[^/]+?)", "*": "[^/]*"}
_SHOWN = 3


@dataclass(frozen=True)
class Unmatched:
    """Why a key means no file, and the names that it could have meant."""

    error: InputError
    names: tuple[str, ...] = ()


def match_keys(
    keys: Iterable[str],
    files: Files,
    *,
    table: str,
    pattern: str | None = None,
    exact: bool = False,
    listing: Collection[str] = (),
) -> dict[str, str | Unmatched]:
    """For each key the name in `files` that it means, or why it means none.

    A key that is such a name is that one. Any other is held against the names and paths of the
    files, first with its extension, then as one without: it fits where the two are the same from
    their last part on, as far as the shorter goes. Separators, a leading `./` or `/`, percent
    encoding, the case of the extension and the form of Unicode make no difference; the case of
    names, leading zeros and the folders that both have do. `pattern` is the one by which `files`
    were named, if any (see `paths_by_key`): of its `{name}` or `{stem}`, a key's folders and
    extension are left aside. `exact` names are identifiers such as UIDs, and no paths.

    Errors name `table`: DuplicateKey where several files fit a key, where several
    keys fit one file, or where a key has folders before those of its file that not all keys have;
    UnsupportedFormat where only a file of `listing` fits, the raw files that the source does not
    read; MissingFile otherwise, with what is called nearly so.
    """
    if pattern is None or _KEY in pattern:
        keys = list(dict.fromkeys(keys))
        if all(map(files.__contains__, keys)):
            return dict(zip(keys, keys, strict=True))  # as in most tables
    asked = {key: _part(key, pattern) for key in keys}
    found: dict[str, str | Unmatched] = {key: part for key, part in asked.items() if part in files}
    if len(found) < len(asked):
        places = _Places({} if exact else files)
        others = _Places({path: (path,) for path in listing})
        heads: dict[str, str] = {}
        for key, part in asked.items():
            if key not in found:
                names, head = places.fitting(part)
                if len(names) == 1:
                    found[key] = names[0]
                    heads |= {key: head} if head else {}
                elif names:
                    found[key] = Unmatched(_ambiguous(key, names, table), tuple(names))
                else:
                    found[key] = Unmatched(_absent(key, part, places, others, table))
        # Folders that the files lack are nothing but where the table was written if all agree.
        meant = {heads.get(key, "") for key, name in found.items() if isinstance(name, str)}
        if heads and len(meant) > 1:
            for key in heads:
                found[key] = Unmatched(_other_folders(key, meant, table), (str(found[key]),))
    found |= _shared(found, table)
    return {key: found[key] for key in asked}


def paths_by_key(paths: Iterable[str], pattern: str) -> tuple[dict[str, str], list[Refused]]:
    """The paths that a pattern such as `images/{key}.png` names, by what stands for the key.

    `{key}` may span folders, `{name}` and `{stem}` may not, and `*` is any text within one part.
    A key of several paths is refused: which one is meant, nobody knows.
    """
    parts = re.split(r"(\{(?:key|name|stem)\}|\*)", path_text(pattern))
    shape = re.compile("".join(_SHAPES.get(part, re.escape(part)) for part in parts))
    found: dict[str, list[str]] = {}
    for path in paths:
        if match := shape.fullmatch(path_text(path)):
            found.setdefault(match["key"], []).append(path)
    refused = []
    for key, several in found.items():
        if len(several) > 1:
            what = f"{len(several)} files fit the pattern {pattern}: {_listed(several)}"
            fix = "make the pattern narrower, or move all but one out of the raw folder"
            refused.append(Refused(key, DuplicateKey(what, where=key, fix=fix), tuple(several)))
    return {key: several[0] for key, several in found.items() if len(several) == 1}, refused


def check_pattern(pattern: str) -> str:
    """The pattern; raises ValueError for one that does not name one key."""
    if sum(pattern.count(place) for place in (_KEY, _NAME, _STEM)) != 1:
        raise ValueError(
            "the pattern needs {key} once, or {name} or {stem} for the key's last part, "
            "with or without extension"
        )
    return pattern


def path_text(key: str) -> str:
    """The path that a key is, with forward slashes, in NFC, without `./` and a leading `/`."""
    text = key.strip().replace("\\", "/")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if text.startswith(("/", ".")) or "//" in text or "/./" in text:
        text = "/".join(part for part in text.split("/") if part not in ("", "."))
    return text


def rows_by_key(table: pl.DataFrame, column: str, *, where: str) -> dict[str, list[Row]]:
    """The rows of each key, in the table's order; keys come in the order of their first row.

    Raises as `keyed_rows`.
    """
    rows: dict[str, list[Row]] = {}
    for key, row in keyed_rows(table, column, where=where):
        rows.setdefault(key, []).append(row)
    return rows


def keyed_rows(table: pl.DataFrame, column: str, *, where: str) -> Iterator[tuple[str, Row]]:
    """Each row with its key, for tables of which only a part is kept.

    `where` is the table's path. Raises BadTable for a row without a key: what it says is of
    something, and nobody knows of what.
    """
    blank = table[column].is_null().arg_true()
    if blank.len():
        place = f"{where}, row {blank[0] + 2}"
        raise BadTable(f"the key {column} is empty", where=place, fix="mend or drop the row")
    for row in table.iter_rows(named=True):
        yield row[column], row


class _Places:
    """Names and paths of files by their last part, with and without extension."""

    def __init__(self, files: Files) -> None:
        self._whole: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
        self._bare: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
        self._near: dict[str, list[str]] | None = None
        self._paths = [path for paths in files.values() for path in paths]
        for name, paths in files.items():
            for path in dict.fromkeys((name, *paths)):
                text = path_text(path)
                whole = _plain_extension(text)
                self._whole[_last(whole)].append((whole, name, path in paths))
                for bare in _bare(text):
                    self._bare[_last(bare)].append((bare, name, path in paths))

    def fitting(self, key: str) -> tuple[list[str], str]:
        """The names that fit, sorted, and the folders that the key has before those of the files.

        Of a name that is no path, a key's further folders would be unheard.
        """
        for text in dict.fromkeys((path_text(key), path_text(unquote(key)))):
            if ".." in text.split("/"):
                continue
            for index, form in ((self._whole, _plain_extension(text)), (self._bare, text)):
                places = index.get(_last(form), ())
                within = {name for path, name, _ in places if f"/{path}".endswith(f"/{form}")}
                if index is self._whole and (
                    same := {name for path, name, _ in places if path == form}
                ):
                    return sorted(same), ""
                beyond = {
                    name: path
                    for path, name, is_path in places
                    if is_path and form.endswith(f"/{path}")
                }
                if within or beyond:
                    names = sorted({*within, *beyond})
                    head = "" if within else form.removesuffix(beyond[names[0]])
                    return names, head
        return [], ""

    def near(self, key: str) -> list[str]:
        """Paths that are called as the key but for case, zeros, folders or extension."""
        if self._near is None:
            self._near = defaultdict(list)
            for path in self._paths:
                for bare in {_loose(form) for form in _bare(path_text(path))}:
                    self._near[bare].append(path)
        forms = {_loose(form) for form in (path_text(key), *_bare(path_text(key)))}
        return sorted({path for form in forms for path in self._near.get(form, ())})


def _part(key: str, pattern: str | None) -> str:
    """What of a key the pattern's place holds."""
    if pattern is None or _KEY in pattern:
        return key
    last = _last(path_text(key))
    return last if _NAME in pattern else _bare(last)[-1]


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _plain_extension(path: str) -> str:
    """The path with its extension in the usual spelling."""
    if (match := _EXTENSION.search(path)) is None:
        return path
    extension = match[1].lower()
    return f"{path[: match.start(1)]}{_SAME.get(extension, extension)}"


def _bare(path: str) -> list[str]:
    """The path without its extension, and without that of what is compressed; itself, if none."""
    match = _EXTENSION.search(path)
    if match is None:
        return [path]
    bare = path[: match.start()]
    return [bare, *(_bare(bare) if match[1].lower() in _COMPRESSED else ())]


def _loose(path: str) -> str:
    """The last part without what is easily lost: case, leading zeros, the `.0` of a float."""
    text = unicodedata.normalize("NFKC", _last(path)).casefold().removesuffix(".0")
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", text)


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)[:_SHOWN]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{' and '.join(shown) if not more else ', '.join(shown)}{more}"


def _ambiguous(key: str, names: Collection[str], table: str) -> DuplicateKey:
    what = f"{table} names it, and {len(names)} files fit: {_listed(names)}"
    fix = "write the path from the raw folder on, or give the mapping a path pattern"
    return DuplicateKey(what, where=key, fix=fix)


def _absent(
    key: str, part: str, places: _Places, others: _Places, table: str
) -> MissingFile | UnsupportedFormat:
    unread, _ = others.fitting(part)
    if path_text(part) not in map(path_text, unread):
        unread = [path for path in unread if path.rpartition(".")[2].lower() not in _NOTES]
    if unread:
        what = f"{table} names it, and {_listed(unread)} is there, which this source does not read"
        fix = "convert it, or mend the mapping's path pattern if that leaves it out"
        return UnsupportedFormat(what, where=key, fix=fix)
    if near := places.near(part):
        what = f"{table} names it, and no file is called so; nearly: {_listed(near)}"
        fix = "write the key as the file is called: zeros, case, folders and extension count"
        return MissingFile(what, where=key, fix=fix)
    what = f"{table} names it, but it is not there"
    return MissingFile(what, where=key, fix="fetch it, or drop the row")


def _other_folders(key: str, heads: Collection[str], table: str) -> DuplicateKey:
    folders = _listed([head or "no folder" for head in heads])
    what = f"{table} has paths below {folders}, so none of them is surely the raw folder"
    fix = "write all paths from the raw folder on"
    return DuplicateKey(what, where=key, fix=fix)


def _shared(found: Mapping[str, str | Unmatched], table: str) -> dict[str, Unmatched]:
    """A refusal for each of the keys that mean one file."""
    counts = Counter(name for name in found.values() if isinstance(name, str))
    keys: dict[str, list[str]] = {name: [] for name, count in counts.items() if count > 1}
    for key, name in found.items() if keys else ():
        if isinstance(name, str) and name in keys:
            keys[name].append(key)
    fix = "write the key the same in each row, or keep one"
    refused = {}
    for name, several in keys.items():
        what = f"{table} names {name} in {len(several)} ways: {_listed(several)}"
        for key in several:
            refused[key] = Unmatched(DuplicateKey(what, where=key, fix=fix), (name,))
    return refused
