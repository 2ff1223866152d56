"""The pages of a release: what they say, that machines read them, that they run."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any
from xml.etree import ElementTree

import mlcroissant
import polars as pl
import pytest
import yaml

from qoqdata.contract.record import RECORD
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.publication.facts import gather_facts
from qoqdata.publication.front_matter import front_matter
from qoqdata.publication.markdown import escape, table
from qoqdata.publication.pages import write_pages
from qoqdata.publication.privacy import scan_outgoing, secrets_of
from qoqdata.publication.readme import readme
from qoqdata.publication.staging import seal, stage
from qoqdata.statistics.prior import write_prior
from qoqdata.suite.examples import SALT
from tests.report_page.conftest import with_card, written
from tests.statistics.written import write_stats

URL = "hf://datasets/our-lab/our-set@main"


@pytest.fixture(scope="module")
def release(mixed: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    scored, _ = write_prior(mixed)
    write_stats(mixed, scored)
    staged = stage(mixed, tmp_path_factory.mktemp("card") / "out")
    staged = seal(staged, version="1.0.0", previous=None)
    write_pages(staged, URL)
    return staged


@pytest.fixture(scope="module")
def croissant(release: Dataset) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(release.root / "croissant.json")


@pytest.fixture(scope="module")
def page(release: Dataset) -> str:
    return (release.root / "README.md").read_text()


def test_same_release_same_bytes(release: Dataset) -> None:
    names = ["README.md", "croissant.json"]
    names += [f"figures/{p.name}" for p in (release.root / "figures").iterdir()]
    assert {name for name in names if "sample" in name} == {
        "figures/sample_dermoscopy.svg",
        "figures/sample_ecg.svg",
    }
    assert len(names) == 6
    before = {name: (release.root / name).read_bytes() for name in names}
    write_pages(release, URL)
    assert before == {name: (release.root / name).read_bytes() for name in names}


def test_front_matter_as_the_hub_reads_it(release: Dataset, page: str) -> None:
    from huggingface_hub import DatasetCard

    data = DatasetCard(page).data.to_dict()
    assert data["license"] == ["cc-by-4.0", "cc-by-nc-4.0"]
    assert data["size_categories"] == ["n<1K"]
    assert {"ecg", "dermoscopy"} <= set(data["tags"]) and "pathology" not in data["tags"]
    names = [config["config_name"] for config in data["configs"]]
    assert names == ["dermoscopy", "ecg"]
    assert [config.get("default", False) for config in data["configs"]] == [False, True]
    (info,) = [info for info in data["dataset_info"] if info["config_name"] == "ecg"]
    light = release.metadata()
    counted = sum(split["num_examples"] for split in info["splits"])
    assert counted == light.filter(domain="ecg").height > 0


def test_page_says_what_is_not_there(page: str) -> None:
    assert "its licence allows no derivatives" in page
    assert "do not clearly allow redistribution" in page
    assert "`qoqdata rebuild" in page
    assert "Non-commercial use only: ham10000." in page


def test_leakage_is_counted(release: Dataset, page: str) -> None:
    patients = release.metadata()["patient"].drop_nulls().n_unique()
    assert f"| patient | {patients} | 0 |" in page
    studies = release.metadata()["study"].n_unique()
    assert f"| study | {studies} | 0 |" in page


def test_whether_splits_share_images(release: Dataset, page: str) -> None:
    assert "No record shows an image of a later split" in page
    facts = gather_facts(release)
    held = facts.manifest.release
    assert held is not None
    for found, words in ((None, "were not compared"), (1234, "1,234 records show an image")):
        said = held.model_copy(update={"shared_images": found})
        manifest = facts.manifest.model_copy(update={"release": said})
        assert words in readme(replace(facts, manifest=manifest), URL)


def test_every_source_is_cited(release: Dataset, page: str) -> None:
    for slug, card in release.cards.items():
        assert f"- `{slug}`: {escape(card.citation)}" in page


def test_loading_snippet_runs(release: Dataset, page: str, monkeypatch) -> None:
    snippet = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    assert 'load_dataset("our-lab/our-set", "ecg", split="train")' in snippet
    printed: list = []
    exec(
        snippet.replace("our-lab/our-set", str(release.root)),
        {"print": lambda *args: printed.append(args)},
    )
    assert printed == [(printed[0][0], printed[0][1])] and "electrocardiogram" in printed[0][0]


def test_streaming_snippet_runs(release: Dataset, page: str) -> None:
    snippet = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[1]
    printed: list = []
    exec(
        snippet.replace(URL, str(release.root)),
        {"print": lambda *args: printed.append(args)},
    )
    assert len(printed) == 1


def test_croissant_validates_and_iterates(release: Dataset, croissant: mlcroissant.Dataset) -> None:
    dataset = croissant
    assert dataset.metadata.issues.errors == set()
    splits = [row["splits/name"] for row in dataset.records("splits")]
    assert splits == ["train", "validation", "test"]
    rows = list(dataset.records("dermoscopy"))
    light = release.metadata().filter(source="ham10000")
    assert sorted(row["dermoscopy/id"].decode() for row in rows) == light["id"].sort().to_list()
    row = min(rows, key=lambda row: row["dermoscopy/id"])
    wanted = release.records.filter(source="ham10000").sort("id").first().collect().to_dicts()[0]
    assert row["dermoscopy/answer"].decode() == wanted["answer"]
    assert [image.size for image in row["dermoscopy/images"]] == [
        (info["width"], info["height"]) for info in wanted["image_info"]
    ]


def same(found: Any, wanted: Any, name: str) -> bool:
    """Whether a value of mlcroissant is one of polars, whatever it calls its members."""
    if isinstance(wanted, dict):
        return all(same(found[f"{name}/{key}"], value, f"{name}/{key}") for key, value in
                   wanted.items() if f"{name}/{key}" in found)  # fmt: skip
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(
            same(one, other, name) for one, other in zip(found, wanted, strict=True)
        )
    if isinstance(wanted, str):
        return found.decode() == wanted
    return found == wanted


def test_croissant_has_all_columns(release: Dataset, croissant: mlcroissant.Dataset) -> None:
    """Each of the contract, down to the samples of a signal and the corners of a box."""
    dataset = croissant
    for config, members in (("ecg", ("ecg", "number", "provenance")), ("dermoscopy", ("regions",))):
        (fields,) = [one.fields for one in dataset.metadata.record_sets if one.id == config]
        assert tuple(field.name for field in fields) == RECORD.names
        rows = {row[f"{config}/id"].decode(): row for row in dataset.records(config)}
        wanted = release.records.filter(domain=config).sort("id").head(3).collect()
        for row in wanted.to_dicts():
            found = rows[row["id"]]
            for column in ("item", "age", "context", "options", "labels", "uncertain", "licence"):
                assert row[column] is None or same(found[f"{config}/{column}"], row[column], "")
            for column in members:
                if row[column] is not None:
                    name = f"{config}/{column}"
                    assert found[name] and same(found[name], row[column], name), column


def test_croissant_gives_one_split(release: Dataset) -> None:
    place = release.root / "croissant.json"
    light = release.metadata()
    for config, split in (("dermoscopy", "train"), ("ecg", "test")):
        reader = mlcroissant.Dataset(place)
        rows = list(reader.records(config, filters={f"{config}/split": split}))
        wanted = light.filter((pl.col("domain") == config) & (pl.col("split") == split))
        assert sorted(row[f"{config}/id"].decode() for row in rows) == sorted(wanted["id"])
        assert wanted.is_empty() or {row[f"{config}/split"].decode() for row in rows} == {split}


def test_a_client_that_names_no_config_gets_the_largest(release: Dataset, page: str) -> None:
    from datasets import load_dataset

    light = release.metadata()
    largest = light.group_by("domain").len().sort("len").row(-1)[0]
    loaded = load_dataset(str(release.root))
    assert sorted(row for part in loaded.values() for row in part["id"]) == sorted(
        light.filter(domain=largest)["id"]
    )
    assert f"Without a name `{largest}` is loaded." in page


def test_a_benchmark_is_not_what_a_client_gets_unasked(release: Dataset) -> None:
    facts = gather_facts(release)
    assert facts.default_config == "ecg"
    entry = facts.manifest.sources["ptb_xl"].model_copy(update={"role": "evaluation"})
    sources = dict(facts.manifest.sources) | {"ptb_xl": entry}
    manifest = facts.manifest.model_copy(update={"sources": sources})
    assert replace(facts, manifest=manifest).default_config == "dermoscopy"


def test_card_of_a_set_that_stays(mixed: Dataset) -> None:
    """Everything can be loaded, also what would not leave, and the page says what that is."""
    from datasets import load_dataset

    paths = write_pages(mixed, None)
    page = (mixed.root / "README.md").read_text()
    loaded = load_dataset(str(mixed.root))
    machine = mlcroissant.Dataset(mixed.root / "croissant.json")
    for path in paths:
        path.unlink()
    assert "What is not here" not in page and 'load_dataset("PATH"' in page
    assert "recipe only: lc25000 (" in page.replace("\\", "")
    assert "Would not leave at all: covid_blues (" in page.replace("\\", "")
    counts = mixed.metadata().group_by("split").len()
    assert {name: len(part) for name, part in loaded.items()} == dict(counts.iter_rows())
    assert [one.id for one in machine.metadata.record_sets] == ["splits", "default"]
    # What may not leave is not shown.
    samples = {path.stem for path in paths if path.stem.startswith("sample_")}
    assert samples == {"sample_dermoscopy", "sample_ecg"}


def test_a_private_source_is_not_shown(tmp_path: Path) -> None:
    dataset = written(tmp_path / "set")
    assert [sample.domain for sample in gather_facts(dataset).samples] == ["chest_xray", "ecg"]
    private = with_card(dataset.root, access="own")
    assert gather_facts(private).samples == ()


def test_samples_are_drawings_of_their_own(release: Dataset, page: str) -> None:
    lesion = (release.root / "figures" / "sample_dermoscopy.svg").read_text()
    root = ElementTree.fromstring(lesion)
    space = "{http://www.w3.org/2000/svg}"
    box = root.find(f".//{space}rect")
    (facts,) = [one for one in gather_facts(release).samples if one.domain == "dermoscopy"]
    (record,) = [
        row
        for row in release
        if (row["source"], row["task"], row["question"].partition("\n")[0])
        == (facts.source, facts.task, facts.question)
        and row["answer"] == facts.answer
        and row["regions"]
    ][:1]
    region = record["regions"][0]
    assert box is not None
    assert [float(box.get(name) or 0) for name in ("x", "y")] == [region["x_min"], region["y_min"]]
    assert float(box.get("width") or 0) == region["x_max"] - region["x_min"]
    hrefs = [one.get("href") for one in root.iter(f"{space}image")]
    assert hrefs and all((href or "").startswith("data:image/") for href in hrefs)
    ecg = (release.root / "figures" / "sample_ecg.svg").read_text()
    assert "25 mm/s, 10 mm/mV" in ecg and ">V6<" in ecg
    assert f"![ecg: ptb\\_xl, {escape(ecg_task(release))}](figures/sample_ecg.svg)" in page


def ecg_task(release: Dataset) -> str:
    return next(one.task for one in gather_facts(release).samples if one.domain == "ecg")


def test_figures_give_no_raw_key_away(release: Dataset, mixed: Dataset) -> None:
    assert scan_outgoing(release.root, secrets_of(mixed, SALT)) == []


def test_labels_and_people_are_counted(release: Dataset, page: str) -> None:
    rows = [row for row in release if (row["source"], row["task"]) == ("ham10000", "group")]
    counts = Counter(label for row in rows for label in row["labels"])
    (first, most), (last, least) = counts.most_common()
    head = f"| ham10000 | group | {len(rows)} | 3 | {first} ({most}), {last} ({least}) |"
    assert f"{head} {last} ({least}) | 1 |" in page
    studies = {row["study"]: row for row in release if row["source"] == "ham10000"}
    ages = [row["age"] for row in studies.values() if row["age"] is not None]
    cells = f"| dermoscopy | {len(studies)} | {len(ages)} | {median(ages):.3g} |"
    assert cells in page


def test_stale_statistics_are_no_numbers_of_the_card(release: Dataset, tmp_path: Path) -> None:
    root = shutil.copytree(release.root, tmp_path / "set")
    (root / "curation").mkdir()
    verdict = {"id": [release[0]["id"]], "keep": [False], "rule": ["person"], "reason": ["x"]}
    pl.DataFrame(verdict | {"evidence": [None]}).write_parquet(root / "curation/verdicts.parquet")
    dropped = open_dataset(root)
    assert gather_facts(release).stats is not None and gather_facts(dropped).stats is None


def test_front_matter_stays_short(release: Dataset) -> None:
    """Thirty configs of a source with three splits each."""
    facts = gather_facts(release)
    entry, shard = facts.manifest.sources["ptb_xl"], facts.manifest.shards[0]
    slugs = [f"source_{n}" for n in range(30)]
    shards = [
        shard.model_copy(update={"source": slug, "split": split})
        for slug in slugs
        for split in ("train", "validation", "test")
    ]
    manifest = facts.manifest.model_copy(
        update={"sources": dict.fromkeys(slugs, entry), "shards": tuple(shards)}
    )
    cards = dict.fromkeys(slugs, facts.cards["ptb_xl"])
    many = replace(facts, manifest=manifest, cards=cards, configs={slug: (slug,) for slug in slugs})
    text = front_matter(many)
    assert len(text.splitlines()) < 15 * 30 and len(text) < 25_000
    assert len(yaml.safe_load(text.strip("-\n"))["dataset_info"]) == 30


def test_hostile_text_breaks_no_table() -> None:
    text = table(("a|b", "n"), [("x | y\nz <script>", 1234)])
    assert text.splitlines()[2] == "| x \\| y z \\<script\\> | 1,234 |"


def test_front_matter_is_plain_yaml(release: Dataset) -> None:
    text = front_matter(gather_facts(release))
    assert text.startswith("---\n") and text.endswith("---\n")
    assert yaml.safe_load(text.strip("-\n"))["pretty_name"] == "mixed"
