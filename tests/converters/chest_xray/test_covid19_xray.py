"""COVID-19 Detection X-Ray: folders are labels, and films stand in several of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import BadLabel, MissingFile
from qoqdata.pipeline.planning import make_plan
from qoqdata.records.content import Record
from qoqdata.simulation import write_jpeg
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit
from qoqdata.sources.rawtree import open_raw

SOURCE = find_source("covid19_xray")
CLASSES = tuple(SOURCE.card.labels)
PARTS = ("NonAugmentedTrain", "ValData")


def _film(path: Path, grey: int) -> None:
    write_jpeg(path, np.full((8, 8), grey, np.uint8))


def _write(raw: Path) -> None:
    """One film of each class in each part, all called 1.jpg, no two alike."""
    for place, (part, name) in enumerate((p, c) for p in PARTS for c in CLASSES):
        _film(raw / part / name / "1.jpg", 20 * place)


def _planned(raw: Path) -> tuple[dict[str, Planned], Job]:
    job = Job(SOURCE.card, open_raw(raw))
    return {one.key: one for one in SOURCE.plan(job)}, job


@pytest.mark.parametrize(
    ("folder", "diagnosis", "cause"),
    [
        ("Normal", "Normal", None),
        ("BacterialPneumonia", "Bacterial pneumonia", "Bacterial"),
        ("ViralPneumonia", "Viral pneumonia", "Viral"),
        ("COVID-19", "COVID-19", None),
    ],
)
def test_folders_are_labels(tmp_path: Path, folder: str, diagnosis: str, cause: str | None) -> None:
    """COVID-19 is no other viral pneumonia, and words are those of other chest sources."""
    _write(tmp_path)
    planned, job = _planned(tmp_path)
    unit = planned[f"ValData/{folder}/1.jpg"]
    assert isinstance(unit, Unit) and unit.split == "validation"
    first, second = SOURCE.convert(unit, job)
    assert isinstance(first, Record) and first.answer == diagnosis
    assert (second.answer if isinstance(second, Record) else None) == cause


def test_names_repeat_and_films_do_not(tmp_path: Path) -> None:
    """Eight films of one name are eight units, also below a further folder."""
    _write(tmp_path / "archive/COVID19_Dataset")
    planned, job = _planned(tmp_path)
    assert len(planned) == 8
    splits = [unit.split for unit in make_plan(SOURCE, job).units]
    assert sorted(map(str, splits)) == ["train"] * 4 + ["validation"] * 4


def test_augmented_copies_are_no_films(tmp_path: Path) -> None:
    """TrainData is counted and not read; what equals an original is told from what was made."""
    _write(tmp_path)
    original = tmp_path / "NonAugmentedTrain/COVID-19/1.jpg"
    (tmp_path / "TrainData/COVID-19").mkdir(parents=True)
    (tmp_path / "TrainData/COVID-19/9.jpg").write_bytes(original.read_bytes())
    _film(tmp_path / "TrainData/OversampledAugmentedCOVID-19/COVID-19/1.jpg", 255)
    planned, _ = _planned(tmp_path)
    copy = planned["TrainData/COVID-19/9.jpg"]
    made = planned["TrainData/OversampledAugmentedCOVID-19/COVID-19/1.jpg"]
    assert isinstance(copy, Filtered) and isinstance(made, Filtered)
    assert (copy.reason, made.reason) == ("copy", "augmented")
    assert sum(isinstance(one, Unit) for one in planned.values()) == 8


@pytest.mark.parametrize("part", PARTS)
def test_a_class_without_films_refuses_the_source(tmp_path: Path, part: str) -> None:
    """It is not skipped, and TrainData does not stand in for what it was made of."""
    _write(tmp_path)
    _film(tmp_path / "TrainData/Normal/1.jpg", 255)
    (tmp_path / part / "Normal/1.jpg").unlink()
    with pytest.raises(MissingFile, match="holds no film") as raised:
        _planned(tmp_path)
    assert raised.value.where == f"{part}/Normal"


def test_a_film_of_both_parts_is_held_out(tmp_path: Path) -> None:
    """It is asked about once, in validation."""
    _write(tmp_path)
    held_out = tmp_path / "ValData/Normal/1.jpg"
    (tmp_path / "NonAugmentedTrain/Normal/2.jpg").write_bytes(held_out.read_bytes())
    planned, _ = _planned(tmp_path)
    again = planned["NonAugmentedTrain/Normal/2.jpg"]
    assert isinstance(again, Filtered) and again.reason == "copy"
    assert isinstance(planned["ValData/Normal/1.jpg"], Unit)


def test_a_film_of_two_classes_is_of_neither(tmp_path: Path) -> None:
    """Nobody knows which folder is right, whichever comes first."""
    _write(tmp_path)
    normal = tmp_path / "NonAugmentedTrain/Normal/1.jpg"
    (tmp_path / "ValData/COVID-19/2.jpg").write_bytes(normal.read_bytes())
    planned, _ = _planned(tmp_path)
    for key in ("NonAugmentedTrain/Normal/1.jpg", "ValData/COVID-19/2.jpg"):
        refused = planned[key]
        assert isinstance(refused, Refused)
        assert refused.error.what == "the same film is in COVID-19 and in Normal"


def test_what_lies_elsewhere_is_refused(tmp_path: Path) -> None:
    """A film in no part at planning, one in a folder of no class when it is converted."""
    _write(tmp_path)
    _film(tmp_path / "Normal/1.jpg", 201)
    _film(tmp_path / "ValData/Unsorted/1.jpg", 202)
    planned, job = _planned(tmp_path)
    assert isinstance(planned["Normal/1.jpg"], Refused)
    unit = planned["ValData/Unsorted/1.jpg"]
    assert isinstance(unit, Unit)
    with pytest.raises(BadLabel):
        SOURCE.convert(unit, job)
