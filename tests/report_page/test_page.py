"""The page of a report: what it says, against counts by hand, and what it never does."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.report_page import page as pages
from qoqdata.report_page import samples
from tests.remote.servers import Site, serving
from tests.report_page.conftest import COPY, RAW_KEY, Page, with_card, written
from tests.validation.written_set import write
from tests.viewer.conftest import BOXED, HEART, HOSTILE, PLAIN, SCAN, rows


def made(dataset: Any, out: Path, **more: Any) -> str:
    return qoqdata.report(dataset, out=out, **more).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    folder = tmp_path_factory.mktemp("page")
    return Page(made(written(folder / "set"), folder / "page.html"))


def test_counts_of_sources(page: Page) -> None:
    (films,) = page.table("What was found and what is here")
    # Six records, of which a copy and a held one are dropped; that of text alone shows nothing.
    assert films == {
        "source": "films",
        "domain": "chest_xray",
        "role": "training",
        "units": "8",
        "quarantined": "2",
        "filtered": "0",
        "records": "6",
        "kept": "3",
        "studies": "3",
        "patients": "1",
    }
    (terms,) = page.table("Terms, by the sources' cards as built")
    assert (terms["licence"], terms["what may leave"]) == ("CC0", "everything")


def test_the_proof_is_counted_anew(page: Page) -> None:
    shared = page.table("What each two splits share")
    patients = next(row for row in shared if (row["what"], row["and"]) == ("patients", "test"))
    # The one patient of all records; PLAIN, in the test split, is dropped.
    assert (patients["distinct"], patients["in both"]) == ("1", "0")
    assert {row["in both"] for row in shared} == {"0"}
    assert "No two splits share a patient, a study, or an image or signal." in page.text


def test_a_leak_is_told(dataset: Dataset, tmp_path: Path) -> None:
    qoqdata.decide(dataset, PLAIN, True, why="looked at")
    dataset.layout.verdicts.unlink()
    page = Page(made(dataset, tmp_path / "page.html"))
    row = page.table("What each two splits share")[1]
    assert (row["what"], row["of"], row["and"]) == ("patients", "train", "test")
    assert "No two splits share" not in page.text and "Two splits share" in page.text


def test_quarantine_by_reason(page: Page) -> None:
    (group,) = page.table("Units that gave no record, by reason")
    assert (group["reason"], group["units"], group["of its units"]) == ("bad_image", "2", "25.0 %")
    assert group["examples"] == f"{RAW_KEY}: cut off {HOSTILE}; patient-0816: cut off"


def test_curation_by_rule_with_pairs(page: Page) -> None:
    rules = {row["rule"]: row for row in page.table("Records dropped, by rule and split")}
    assert (rules["duplicate"]["dropped"], rules["duplicate"]["train"]) == ("1", "1")
    assert (rules["phi_held"]["dropped"], rules["phi_held"]["test"]) == ("1", "1")
    assert COPY[:12] in page.text and BOXED[:12] in page.text
    # The copy and what it repeats are shown; never what a rule of privacy dropped.
    shown = [tags for tag, tags in page.tags if tag == "img" and "record" in (tags["alt"] or "")]
    pairs = [tags for tags in shown if "dropped" in (tags["alt"] or "")]
    assert len(pairs) == 1


def test_labels_people_and_samples(page: Page) -> None:
    labels = {row["label"]: row for row in page.table("Labels of films that some question names")}
    # BOXED asserts both, SCAN the second alone.
    assert (labels["Effusion"]["asserted"], labels["Effusion"]["train"]) == ("2", "2")
    assert (labels["Opacity"]["asserted"], labels["Opacity"]["not mentioned"]) == ("1", "1")
    films, ecg, everything = page.table("Age and sex by domain")
    assert (films["studies"], films["female"], films["median age"]) == ("2", "2", "61")
    assert (ecg["domain"], ecg["age stated"], everything["domain"]) == ("ecg", "0.0 %", "all")
    for id_ in (BOXED, HEART):
        assert id_[:12] in page.text
    boxes = [tags for tag, tags in page.tags if tag == "rect" and "box" in (tags["class"] or "")]
    assert [(b["x"], b["y"], b["width"], b["height"]) for b in boxes] == [
        ("20.0", "30.0", "100.0", "60.0"),
        ("60.0", "8.0", "30.0", "192.0"),
    ]
    assert SCAN[:12] not in page.text  # one a task


def test_what_is_not_there_is_said(page: Page) -> None:
    assert page.text.count("There are no statistics yet: run `qoqdata stats`.") == 2
    assert "The scores are not there: run `qoqdata audit`." in page.text


def test_statistics_and_scores(dataset: Dataset, tmp_path: Path) -> None:
    qoqdata.stats(dataset, prior=True)
    qoqdata.audit(dataset)
    page = Page(made(dataset, tmp_path / "page.html"))
    by_domain = {row["domain"]: row for row in page.table("Rarity and difficulty by domain")}
    # Two studies of films and one ECG: sqrt(3 / (2 * 2)) and sqrt(3 / 2).
    assert (by_domain["chest_xray"]["rarity"], by_domain["ecg"]["rarity"]) == ("0.866", "1.22")
    assert by_domain["chest_xray"]["share"] == "66.7 %"
    qoqdata.decide(dataset, SCAN, False, why="cut off")
    later = Page(made(dataset, tmp_path / "later.html"))
    assert later.text.count("The statistics are stale: ") == 2


def test_nothing_is_asked_for_and_nothing_runs(page: Page) -> None:
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    tags = {tag for tag, _ in page.tags}
    assert tags & {"script", "link", "iframe", "object", "form", "base"} == set()
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    policy = next(tags["content"] for tag, tags in page.tags if "http-equiv" in tags)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_hostile_text_stays_text(dataset: Dataset, tmp_path: Path) -> None:
    qoqdata.decide(dataset, PLAIN, True, why="a test")
    dataset.layout.verdicts.unlink()
    dataset = with_card(dataset.root, citation=f"{HOSTILE} & \u202ecod.", name="</table><b>")
    text = made(dataset, tmp_path / "page.html", samples="all")
    page = Page(text)
    assert HOSTILE not in text and HOSTILE in page.text
    assert "b" not in {tag for tag, _ in page.tags}
    assert "\u202e" not in text and "\\u202ecod." in page.text


def test_same_set_same_bytes(dataset: Dataset, tmp_path: Path) -> None:
    first = made(dataset, tmp_path / "one.html")
    assert first == made(open_dataset(dataset.root), tmp_path / "two.html")
    assert str(tmp_path) not in first


@pytest.mark.parametrize(
    ("card", "shown", "texts"),
    [
        ({}, True, True),
        # Annotations may leave, pixels may not.
        ({"redistribution": "forbidden"}, False, True),
        ({"redistribution": "no_derivatives"}, False, False),
        ({"access": "own"}, False, False),
    ],
)
def test_what_is_shown_of_a_source_follows_its_terms(
    dataset: Dataset, tmp_path: Path, card: dict, shown: bool, texts: bool
) -> None:
    dataset = with_card(dataset.root, **card)
    page = Page(made(dataset, tmp_path / "page.html"))
    assert bool([tag for tag, _ in page.tags if tag == "img"]) is shown
    question = "What does it show?"
    assert (question in page.text) is texts
    whole = Page(made(dataset, tmp_path / "all.html", samples="all"))
    assert [tag for tag, _ in whole.tags if tag == "img"] and question in whole.text
    none = Page(made(dataset, tmp_path / "none.html", samples="none"))
    assert not [tag for tag, _ in none.tags if tag == "img"] and question not in none.text


def test_raw_keys_stay_in_the_house(dataset: Dataset, tmp_path: Path) -> None:
    dataset = with_card(dataset.root, raw_paths="keyed")
    assert RAW_KEY not in made(dataset, tmp_path / "page.html")
    whole = tmp_path / "all.html"
    assert RAW_KEY in made(dataset, whole, samples="all")
    assert stat.S_IMODE(whole.stat().st_mode) == 0o600


def test_images_are_bounded(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "Allowance", lambda: samples.Allowance(left=1000))
    report = pages.gather_report(dataset)
    assert report.left_out >= 3
    assert "figures are left out: all that is drawn takes" in pages.report_page(dataset, report)
    drawn = sum(figure.size for sample in report.samples for figure in sample.figures)
    assert drawn <= 1000


def test_a_table_is_bounded() -> None:
    from qoqdata.report_page.sheets import ROWS, sheet

    long = sheet("long", ("n",), ((n,) for n in range(ROWS + 7)))
    assert (len(long.rows), long.more) == (ROWS, 7)


def test_where_the_page_goes(dataset: Dataset) -> None:
    assert qoqdata.report(dataset) == dataset.root / "report" / "index.html"
    assert qoqdata.validate(dataset.root) == qoqdata.validate(dataset)


def test_behind_a_url(dataset: Dataset, tmp_path: Path) -> None:
    with serving(Site(dataset.root.parent)) as site:
        url = f"{site.url}/set"
        with pytest.raises(UsageError, match="nothing is written behind a URL"):
            qoqdata.report(url)
        page = Page(made(url, tmp_path / "page.html"))
    assert "Images and signals were not compared" in page.text
    assert page.table("What each two splits share")[1]["distinct"] == "1"


def test_mistakes(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of open, all, none"):
        qoqdata.report(dataset, samples="some")  # type: ignore[arg-type]
    dataset.layout.verdicts.write_bytes(b"no table")
    with pytest.raises(DatasetError, match=r"verdicts\.parquet"):
        qoqdata.report(dataset, out=tmp_path / "page.html")


def test_a_set_of_one_source_without_anything(tmp_path: Path) -> None:
    """No quarantine, no verdict, no statistics: each section says so."""
    dataset = write(tmp_path / "set", rows()[3:4])
    page = Page(made(dataset, tmp_path / "page.html"))
    said = ("Every unit gave a record.", "The set was not curated", "No record names a label")
    assert all(words in page.text for words in said)
    assert not re.search(r"\bNone\b|\bnan\b", page.text)


def test_a_damaged_image_is_not_drawn(dataset: Dataset, tmp_path: Path) -> None:
    broken = [row | {"images": [{"bytes": b"no image", "path": "a"}]} for row in rows()[:1]]
    other = write(tmp_path / "other", broken)
    drawn = samples.draw_samples(other, other.kept(), "open", samples.Allowance())
    assert [(one.id, len(one.figures), one.note) for one in drawn] == [(BOXED, 0, "0 of 1 figures")]


def test_burned_in_findings_are_not_shown(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qoqdata.curation.burned_in import receipt

    findings = pl.DataFrame(
        {"id": [BOXED, HEART], "image": [0, 0], "outcome": ["open", "blank"]}
        | {edge: [0, 0] for edge in ("x0", "y0")}
        | {edge: [9, 9] for edge in ("x1", "y1")}
    )
    monkeypatch.setattr(receipt, "read_receipt", lambda dataset: None)
    monkeypatch.setattr(receipt, "read_findings", lambda dataset: findings)
    kept = dataset.kept()
    ids = lambda choice: [  # noqa: E731
        one.id for one in samples.draw_samples(dataset, kept, choice, samples.Allowance())
    ]
    assert BOXED not in ids("open") and SCAN in ids("open")
    assert BOXED in ids("all")
