"""A small set with everything that a report tells of, and a reader of its page."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qoqdata.atomic import digest
from qoqdata.contract.card import Card
from qoqdata.dataset import Dataset
from tests.contract.test_card import CONTENT
from tests.records.sound_rows import image_row
from tests.validation.written_set import load, reseal, save, write
from tests.viewer.conftest import BOXED, HOSTILE, PLAIN, SIZE, TEXT, facts, picture, rows

#: The dropped copy of BOXED, in the same split.
COPY = "9" * 32
RAW_KEY = "patient-0815"


def with_card(root: Path, **changes: Any) -> Dataset:
    """The set with another card of its one source."""
    card = Card.model_validate(CONTENT | changes).model_dump(mode="json")
    (root / "cards" / "films.json").write_text(json.dumps(card))
    manifest = load(root)
    manifest["sources"]["films"]["card_digest"] = digest(card)
    save(root, manifest)
    return reseal(root)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return written(tmp_path / "set")


def written(root: Path) -> Dataset:
    """The viewer's set, its record of text alone in train as its patient is, its test record with
    the image of a training record, a copy of its film that curation dropped, and two quarantined
    units."""
    changes = {TEXT: {"split": "train"}, PLAIN: {"images": [picture(0)]}}
    own = [row | changes.get(row["id"], {}) for row in rows()]
    copy = image_row(
        id=COPY,
        study="92" * 16,
        images=[picture(0)],
        image_info=[facts(width=SIZE, height=SIZE)],
        masks=None,
        mask_info=None,
        regions=None,
    )
    dataset = write(root, [*own, copy], units=8, quarantined=2)
    (root / "curation").mkdir()
    verdicts = {
        "id": [COPY, PLAIN],
        "keep": [False, False],
        "rule": ["duplicate", "phi_held"],
        "reason": ["asks the same of what is equal", f"name in {HOSTILE}"],
        "evidence": [BOXED, None],
    }
    pl.DataFrame(verdicts).write_parquet(root / "curation" / "verdicts.parquet")
    (root / "quarantine").mkdir()
    quarantine = {
        "source": ["films"] * 2,
        "unit": [RAW_KEY, "patient-0816"],
        "raw": [["a.png"], ["b.png"]],
        "outcome": ["quarantined"] * 2,
        "stage": ["convert"] * 2,
        "reason": ["bad_image"] * 2,
        "error": ["InputError"] * 2,
        "message": [f"cut off {HOSTILE}", "cut off"],
        "converter_version": ["1"] * 2,
    }
    pl.DataFrame(quarantine).write_parquet(root / "quarantine" / "films.parquet")
    return dataset


class Page(HTMLParser):
    """What a page shows: its tables by caption, its text, its elements and addresses."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.addresses: list[str] = []
        self._rows: list[list[str]] = []
        self._into: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "table":
            self._rows = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._rows[-1].append("")
            self._into = "cell"
        elif tag in ("caption", "style"):
            self._into = tag

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "caption", "style"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into == "caption":
            self.tables[data] = self._rows
        elif self._into == "cell":
            self._rows[-1][-1] += data.strip()
        if self._into != "style":
            self.text += data

    def table(self, caption: str) -> list[dict[str, str]]:
        """The rows of a table by head."""
        heads, *body = self.tables[caption]
        return [dict(zip(heads, row, strict=True)) for row in body]
