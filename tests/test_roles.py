"""Evaluation sources: in no training, statistic or export, told wherever they are left out."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import qoqdata
from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import DOMAINS, OTHER_DOMAIN
from qoqdata.curation.leakage import find_leaks
from qoqdata.curation.sameness import sameness
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import UsageError
from qoqdata.exports.formats import FORMATS, write_export
from qoqdata.records.content import Record
from qoqdata.sources.protocol import Job, Unit
from qoqdata.statistics.prior import prior_difficulty
from qoqdata.validation import find
from tests.contract.test_card import CONTENT
from tests.pipeline.conftest import mapping
from tests.pipeline.toys import raw_tree, run, toy
from tests.stream.sets import Part, write
from tests.validation.written_set import load, save

PARTS = (
    Part("films", "chest_xray", (12,)),
    Part("films", "chest_xray", (4,), split="test"),
    Part("scans", "ct", (6,)),
    Part("quiz", "other", (5,)),
    Part("quiz", "other", (3,), split="test"),
)


def as_evaluation(dataset: Dataset, *slugs: str) -> Dataset:
    """The data set with these sources as a build of evaluation cards leaves them."""
    manifest = load(dataset.root)
    for slug in slugs:
        manifest["sources"][slug]["role"] = "evaluation"
    save(dataset.root, manifest)
    return open_dataset(dataset.root)


@pytest.fixture
def mixed(tmp_path: Path) -> Dataset:
    """18 training records of two sources beside a benchmark of 5 in train and 3 in test."""
    return as_evaluation(write(tmp_path / "mixed", PARTS), "quiz")


@pytest.fixture
def benchmark(tmp_path: Path) -> Dataset:
    return as_evaluation(write(tmp_path / "benchmark", PARTS[3:]), "quiz")


def sources(records: Any) -> set[str]:
    return {record["source"] for record in records}


def test_a_stream_leaves_them_out_and_says_so(
    mixed: Dataset, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="qoqdata"):
        stream = mixed.stream("train", epochs=1)
    assert stream.n_records == 18 and stream.left_out == {"quiz": 5}
    assert sources(stream) == {"films", "scans"}
    (told,) = caplog.messages
    assert told.endswith("5 records of evaluation sources are left out: quiz 5")


def test_whatever_the_split(mixed: Dataset) -> None:
    stream = mixed.stream("test", epochs=1)
    assert stream.left_out == {"quiz": 3} and sources(stream) == {"films"}


def test_no_mix_has_them(mixed: Dataset) -> None:
    for by in ("domain", "source"):
        names = set(mixed.stream("train", mix=f"{by}:uniform").sampling())
        assert names == {"domain": {"chest_xray", "ct"}, "source": {"films", "scans"}}[by]


def test_evaluation_takes_all(mixed: Dataset, caplog: pytest.LogCaptureFixture) -> None:
    stream = mixed.stream("test", purpose="evaluation", epochs=1)
    assert stream.n_records == 7 and sources(stream) == {"films", "quiz"}
    assert stream.left_out == {} and caplog.messages == []
    with pytest.raises(UsageError, match="mix: is for training"):
        mixed.stream("train", purpose="evaluation", mix="domain:uniform")
    with pytest.raises(UsageError, match="purpose: 'test' is not known"):
        mixed.stream("train", purpose="test")


@pytest.mark.parametrize(
    "train",
    [
        lambda dataset: dataset.stream("train"),
        lambda dataset: dataset.stream("test"),
        lambda dataset: dataset.for_training(),
        lambda dataset: dataset.to_hf(),
        lambda dataset: qoqdata.stats(dataset, prior=True),
        lambda dataset: qoqdata.difficulty(dataset, prior=True),
        lambda dataset: write_export(dataset, to="trl", out=dataset.root / "trl"),
    ],
)
def test_a_benchmark_alone_is_refused(benchmark: Dataset, train: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=r"evaluation sources only \(quiz\)"):
        train(benchmark)


def test_statistics_do_not_count_them(mixed: Dataset, tmp_path: Path) -> None:
    stats = qoqdata.stats(mixed, prior=True)
    alone = qoqdata.stats(write(tmp_path / "alone", PARTS[:3]), prior=True)
    for name in ("domains", "sources", "labels", "clusters"):
        assert getattr(stats, name).equals(getattr(alone, name)), name
    assert OTHER_DOMAIN not in stats.domains["key"].to_list()
    prior = prior_difficulty(mixed.for_training())
    assert not set(prior["id"]) & set(mixed.kept().filter(source="quiz")["id"])


def test_weights_do_not_know_them(mixed: Dataset) -> None:
    import qoqtrain

    qoqdata.stats(mixed, prior=True)
    for by in ("domain", "source"):
        names = {row["domain"] for row in qoqtrain.weights(mixed, by=by)}
        assert not names & {"quiz", OTHER_DOMAIN}


def test_a_run_does_not_train_on_them(mixed: Dataset, benchmark: Dataset) -> None:
    pytest.importorskip("torch")
    from qoqtrain.trainer.questions import train_records

    assert sources(train_records(mixed).to_dicts()) == {"films", "scans"}
    with pytest.raises(UsageError, match="never trained on"):
        train_records(benchmark)


def test_evaluation_asks_their_test_part(mixed: Dataset, tmp_path: Path) -> None:
    import qoqtrain

    lines = [{"id": f"quiz/test/0/{n}", "response": "Opacity"} for n in range(3)]
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    evaluation = qoqtrain.evaluate_predictions(mixed, path, bootstrap=0)
    asked = {outcome.id for outcome in evaluation.outcomes if outcome.source == "quiz"}
    assert asked == {line["id"] for line in lines}


@pytest.mark.parametrize("kind", FORMATS)
def test_exports_leave_them_out_and_count_them(mixed: Dataset, tmp_path: Path, kind: str) -> None:
    tally = write_export(mixed, to=kind, out=tmp_path / kind)
    assert tally.written == {"train": 18, "test": 4}
    assert tally.left_out == {"quiz is for evaluation only": 8}


def test_hugging_face_gets_them_when_asked(
    mixed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    assert {split: len(part) for split, part in mixed.to_hf().items()} == {"train": 18, "test": 4}
    whole = mixed.to_hf(purpose="evaluation")
    assert {split: len(part) for split, part in whole.items()} == {"train": 23, "test": 7}


def test_their_images_are_held_out_whatever_the_split(tmp_path: Path) -> None:
    """A film of training that a benchmark shows in its part called train leaks."""
    from qoqdata.pipeline.build import build
    from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
    from qoqdata.readers import encode
    from tests.pipeline.conftest import SALT
    from tests.scenes import scene

    requests = []
    for slug in ("films", "quiz"):
        raw = tmp_path / slug
        raw.mkdir()
        (raw / "one.png").write_bytes(encode.png(scene(1)))
        (raw / "labels.csv").write_text(f"file,label,patient,set\none.png,a,{slug},train\n")
        said = mapping(slug)
        said["table"]["split"] = "set"
        requests.append(SourceRequest(source="image_table", raw=raw, mapping=said))
    build(BuildConfig(sources=tuple(requests)), tmp_path / "set", BuildSetting(SALT, workers=0))
    dataset = open_dataset(tmp_path / "set")
    assert find_leaks(sameness(dataset, radius=3, detail=0.9)).height == 0
    quiz = as_evaluation(dataset, "quiz")
    (leak,) = find_leaks(sameness(quiz, radius=3, detail=0.9)).to_dicts()
    assert (leak["source"], leak["other_source"], leak["other_split"]) == ("films", "quiz", "train")


# The domain of a record.


def asking(domain: str | None) -> Callable[[Unit, Job], list[Record]]:
    def convert(unit: Unit, job: Job) -> list[Record]:
        return [
            Record("note", "open", ("Why?",), "So.", item=str(n), context="Text.", domain=one)
            for n, one in enumerate((None, domain))
        ]

    return convert


def built(tmp_path: Path, domain: str | None, **card: Any) -> Dataset:
    raw = raw_tree(tmp_path / "films", [("k", "p", "train")])
    run(tmp_path / "set", (toy("films", asking(domain), **card), raw))
    return open_dataset(tmp_path / "set")


def test_a_record_has_its_own_domain(tmp_path: Path) -> None:
    dataset = built(tmp_path, "ct")
    assert sorted(dataset.records.collect()["domain"]) == ["chest_xray", "ct"]
    assert list(find(dataset)) == []
    stats = qoqdata.stats(dataset)
    assert stats.domains["key"].to_list() == ["chest_xray", "ct"]
    # A source that spans two counts once as a source.
    assert stats.sources.select("key", "domain", "n_records").rows() == [("films", "chest_xray", 2)]


def test_other_is_for_evaluation_sources(tmp_path: Path) -> None:
    dataset = built(tmp_path, OTHER_DOMAIN, role="evaluation")
    assert sorted(dataset.records.collect()["domain"]) == ["chest_xray", OTHER_DOMAIN]
    assert dataset.manifest.sources["films"].role == "evaluation"
    assert list(find(dataset)) == []
    manifest = load(dataset.root)
    manifest["sources"]["films"]["role"] = "training"
    save(dataset.root, manifest)
    (finding,) = find(open_dataset(dataset.root))
    assert finding.rule == "other is for evaluation sources"


@pytest.mark.parametrize(
    ("domain", "what"),
    [(OTHER_DOMAIN, "other is for evaluation sources"), ("knees", "'knees'")],
)
def test_a_domain_that_cannot_be(tmp_path: Path, domain: str, what: str) -> None:
    with pytest.raises(qoqdata.errors.DatasetError):
        built(tmp_path, domain).stream("train")
    (row,) = pl.read_parquet(tmp_path / "set" / "quarantine" / "films.parquet").to_dicts()
    assert row["reason"] == "bad_record" and what in row["message"]


def test_a_card_of_no_domain_is_for_evaluation() -> None:
    assert OTHER_DOMAIN not in DOMAINS
    assert Card.model_validate(CONTENT).role == "training"
    Card.model_validate(CONTENT | {"role": "evaluation", "domain": OTHER_DOMAIN})
    with pytest.raises(ValueError, match="is for evaluation sources only"):
        Card.model_validate(CONTENT | {"domain": OTHER_DOMAIN})
    with pytest.raises(ValueError, match=r"needs keys\.namespace"):
        table = {"file": "a.csv", "key": "a", "split": "b", "values": {"x": "train"}}
        splits = CONTENT["splits"] | {"patients": table}
        Card.model_validate(CONTENT | {"splits": splits})
