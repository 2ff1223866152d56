"""The pages of reference are what the code says, and the site asks nobody else for anything."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

import qoqdata
import qoqtrain
from docs import reference, website
from qoqdata import errors
from qoqtrain.trainer.log.rollouts import SCHEMA
from tests.documents import ROOT

#: Arrow's names of types, where ours differ.
_KINDS = {"double": "float64", "string": "text"}


@pytest.mark.parametrize("name", reference.PARTS)
def test_a_page_of_reference_is_up_to_date(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert text == reference.page(name), "python docs/reference.py"


def test_every_public_name_is_in_the_reference() -> None:
    page = reference.api_part()
    for package in (qoqdata, qoqtrain):
        for name in set(package.__all__) - {"__version__", "rewards"}:
            assert page.count(f"::: {package.__name__}.{name}\n") == 1, name


def test_no_reason_of_quarantine_is_without_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [line.split(" | ") for line in reference.quarantine_part().splitlines()]
    codes = {row[0].strip("|` ") for row in rows if len(row) == 3}
    assert {kind.code for kind in errors.InputError.__subclasses__()} < codes
    monkeypatch.setattr(errors.MissingKey, "__doc__", "A row without its file.")
    with pytest.raises(SystemExit, match="MissingKey"):
        reference.quarantine_part()


def test_the_page_of_files_names_every_column_of_rollouts() -> None:
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    rows = {
        cells[0].strip("| `"): cells[1]
        for cells in (line.split(" | ") for line in text.splitlines())
        if len(cells) == 3
    }
    for field in SCHEMA:
        kind = "list" if pa.types.is_list(field.type) else str(field.type)
        kind = _KINDS.get(kind, kind)
        assert rows[field.name] == (f"{kind}, null" if field.nullable else kind), field.name


@pytest.mark.parametrize(
    ("name", "text", "asks"),
    [
        ("a.html", '<a href="https://arxiv.org/abs/2506.00711">paper</a>', False),
        ("a.html", '<link rel="canonical" href="https://example.org/">', False),
        ("a.html", '<script src="assets/a.js"></script><img src=../b.png>', False),
        ("a.html", '<script async src="https://example.org/a.js"></script>', True),
        ("a.html", "<script>write('<script src=\"https://example.org/a.js\">')</script>", True),
        ("a.html", "<script>write(\"<script src='https://example.org/a.js'>\")</script>", True),
        ("a.html", "<link rel=stylesheet href=//example.org/a.css>", True),
        ("a.html", '<img alt="x" src="http://example.org/a.png">', True),
        ("a.css", "@font-face{src:url(https://example.org/a.woff)}", True),
        ("a.css", '@import "https://example.org/a.css"', True),
    ],
)
def test_what_a_page_would_fetch_is_seen(name: str, text: str, asks: bool, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert bool(website.foreign_requests(tmp_path)) is asks


def test_links_lead_to_pages_of_the_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def page(text: str) -> str:
        docs = tmp_path / "docs"
        docs.mkdir(exist_ok=True)
        (docs / "a.md").write_text(text)
        for name in website.PAGES:
            (tmp_path / name).write_text("[a](docs/a.md#part) [out](https://example.org/x.md)")
        monkeypatch.setattr(website, "ROOT", tmp_path)
        monkeypatch.setattr(website, "DOCS", docs)
        website.stage(tmp_path / "staged")
        return (tmp_path / "staged" / "a.md").read_text()

    text = page("[all](../README.md) <!-- test -->\n<!-- not run: why -->\n```bash\nls\n```\n")
    assert text == "[all](index.md) <!-- test -->\n```bash\nls\n```\n"
    index = (tmp_path / "staged" / "index.md").read_text()
    assert index == "[a](a.md#part) [out](https://example.org/x.md)"
    with pytest.raises(SystemExit, match="LICENSE"):
        page("[terms](../LICENSE)")
