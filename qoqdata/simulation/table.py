"""Tables and texts. Only a workbook has a place for a mark."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from qoqdata.simulation.mark import MARK, write_bytes

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_CORE = f"{_PACKAGE}/relationships/metadata/core-properties"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
#: The parts of a workbook of one sheet that are the same in all (ECMA-376, part 1).
_PARTS = {
    "[Content_Types].xml": f"""<Types xmlns="{_PACKAGE}/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>
<Override PartName="/xl/sheet.xml" ContentType="{_TYPE}.worksheet+xml"/>
<Override PartName="/docProps/core.xml"
 ContentType="application/vnd.openxmlformats-package.core-properties+xml"/></Types>""",
    "_rels/.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>
<Relationship Id="r2" Type="{_CORE}" Target="docProps/core.xml"/></Relationships>""",
    "docProps/core.xml": f"""<cp:coreProperties xmlns:cp="{_PACKAGE}/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description>{MARK}</dc:description>
</cp:coreProperties>""",
    "xl/workbook.xml": f"""<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>
<sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>""",
    "xl/_rels/workbook.xml.rels": f"""<Relationships xmlns="{_PACKAGE}/relationships">
<Relationship Id="r1" Type="{_OFFICE}/worksheet" Target="sheet.xml"/></Relationships>""",
}


def write_csv(
    path: Path,
    rows: Sequence[Mapping[str, object]],
    *,
    columns: Sequence[str] | None = None,
    separator: str | None = None,
) -> None:
    """A table of rows in UTF-8, gzipped where the name ends in `.gz`; None is an empty cell.

    `columns` are by default those of the first row, and are needed for a table without rows. The
    separator is a tab for `.tsv` and `.tab`, else a comma. A table carries no mark: a comment or a
    further column would change what its source reads. Raises ValueError for a row with other
    columns.
    """
    names = list(rows[0] if columns is None else columns)
    if separator is None:
        separator = "\t" if {".tsv", ".tab"} & set(path.suffixes) else ","
    stream = StringIO()
    table = csv.DictWriter(stream, names, delimiter=separator, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(path, stream.getvalue())


def write_xlsx(
    path: Path, rows: Sequence[Mapping[str, object]], *, columns: Sequence[str] | None = None
) -> None:
    """A workbook of one sheet: numbers as numbers, None as no cell, all else as text.

    `columns` as in `write_csv`. Its description marks it.
    """
    write_bytes(path, workbook(rows, list(rows[0] if columns is None else columns)))


def workbook(rows: Sequence[Mapping[str, object]], names: Sequence[str]) -> bytes:
    """The bytes that `write_xlsx` writes."""
    lines = [names, *([row[name] for name in names] for row in rows)]
    body = "".join(f"<row>{''.join(map(_cell, line))}</row>" for line in lines)
    sheet = f'<worksheet xmlns="{_MAIN}"><sheetData>{body}</sheetData></worksheet>'
    stream = BytesIO()
    with ZipFile(stream, "w") as book:
        for name, part in {**_PARTS, "xl/sheet.xml": sheet}.items():
            # Its time is that of ZipInfo, 1980, so that the same rows are the same file.
            head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
            book.writestr(ZipInfo(name), head + part, compress_type=ZIP_DEFLATED)
    return stream.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'


def write_text(path: Path, text: str) -> None:
    """A text in UTF-8, gzipped where the name ends in `.gz`; it carries no mark but its own."""
    data = text.encode()
    # A time of 0, so that the same text is the same file.
    write_bytes(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
