"""Tables as users have them, read with a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qoqdata.sources import catalogue
from qoqdata.sources.annotation_table import read_annotations
from qoqdata.sources.mapping import Mapping, complete_card, parse_mapping
from qoqdata.sources.protocol import Job
from qoqdata.sources.rawtree import open_raw

LABELS = {"clear": "Clear", "mass": "Mass", "node": "Node"}
COLUMNS = {
    "labels": "finding", "patient": "who", "group": "family", "split": "set", "age": "age",
    "sex": "sex", "context": "notes",
}  # fmt: skip


def read(tmp_path: Path, rows: str, columns: dict[str, Any], **changes: Any) -> Any:
    """Annotations of a table whose key column is `file`."""
    (tmp_path / "t.csv").write_text(rows)
    content = {
        "slug": "ours",
        "name": "Ours",
        "domain": "ct",
        "question": "What?",
        "labels": LABELS,
        "table": {"file": "t.csv", "key": "file"} | columns,
    } | changes
    mapping = parse_mapping(Mapping, content, source="image_table")
    card = complete_card(catalogue.find_source("image_table").card, mapping, modality="image_2d")
    return read_annotations(Job(card, open_raw(tmp_path), mapping=mapping), mapping)
