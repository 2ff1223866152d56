"""Brain MRI slices whose folder is the label: copies, parts, and what lies elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qoqdata.errors import BadLabel, DuplicateKey, MissingFile, MissingKey
from qoqdata.simulation import write_jpeg
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import RawTree

FOUR, TWO = find_source("brain_tumor"), find_source("brain_mri")
FOLDERS = ("no_tumor", "glioma_tumor", "meningioma_tumor", "pituitary_tumor")


def _slice(path: Path, grey: int) -> None:
    write_jpeg(path, np.full((16, 16), grey, np.uint8))


def _four(raw: Path) -> None:
    """One image a folder, no two alike."""
    for n, part in enumerate(("Training", "Testing")):
        for m, label in enumerate(FOLDERS):
            _slice(raw / part / label / "a.jpg", 20 * (4 * n + m) + 10)


def _two(raw: Path) -> None:
    _slice(raw / "yes" / "Y1.jpg", 15)
    _slice(raw / "no" / "1 no.jpeg", 40)


def _plan(source: Any, raw: Path, **mounts: Path) -> dict[str, Planned]:
    return {one.key: one for one in source.plan(Job(source.card, RawTree(raw, mounts)))}


def test_parts_are_the_official_splits(tmp_path: Path) -> None:
    _four(tmp_path)
    splits = {one.split for one in _plan(FOUR, tmp_path).values() if isinstance(one, Unit)}
    assert splits == {"train", "test"}


@pytest.mark.parametrize("folder", ["Training/glioma_tumor", "Testing/no_tumor"])
def test_a_missing_folder_is_refused_and_not_skipped(tmp_path: Path, folder: str) -> None:
    """The prior pipeline went on without a class folder that was not there."""
    _four(tmp_path)
    (tmp_path / folder / "a.jpg").unlink()
    with pytest.raises(MissingFile, match=folder.lower()):
        _plan(FOUR, tmp_path)


def test_a_test_image_that_training_has_is_left_out_of_test(tmp_path: Path) -> None:
    """The prior pipeline had no check of duplicates across the parts."""
    _four(tmp_path)
    for part, name in (("Training", "z.jpg"), ("Testing", "b.jpg")):
        _slice(tmp_path / part / "glioma_tumor" / name, 200)
    planned = _plan(FOUR, tmp_path)
    assert isinstance(planned["training/glioma_tumor/z.jpg"], Unit)
    copy = planned["Testing/glioma_tumor/b.jpg"]
    assert isinstance(copy, Filtered) and copy.reason == "duplicate"


def test_a_nested_copy_adds_nothing(tmp_path: Path) -> None:
    """The prior pipeline doubled the data where an archive holds everything twice."""
    _four(tmp_path)
    before = {key for key, one in _plan(FOUR, tmp_path).items() if isinstance(one, Unit)}
    _four(tmp_path / "deeper" / "still")
    planned = _plan(FOUR, tmp_path)
    assert {key for key, one in planned.items() if isinstance(one, Unit)} == before
    assert {one.reason for one in planned.values() if isinstance(one, Filtered)} == {"duplicate"}


def test_one_file_under_two_labels_is_refused_in_both(tmp_path: Path) -> None:
    _two(tmp_path)
    for label in ("yes", "no"):
        _slice(tmp_path / label / "same.jpg", 99)
    planned = _plan(TWO, tmp_path)
    both = [planned["yes/same.jpg"], planned["no/same.jpg"]]
    assert all(isinstance(one, Refused) and isinstance(one.error, BadLabel) for one in both)


def test_other_files_of_one_key_are_refused(tmp_path: Path) -> None:
    _two(tmp_path)
    _slice(tmp_path / "brain_tumor_dataset" / "yes" / "Y1.jpg", 70)
    planned = _plan(TWO, tmp_path)
    refused = [one for one in planned.values() if isinstance(one, Refused)]
    assert len(refused) == 2
    assert all(isinstance(one.error, DuplicateKey) for one in refused)


def test_an_image_in_no_folder_of_a_label_is_refused(tmp_path: Path) -> None:
    _two(tmp_path)
    _slice(tmp_path / "maybe" / "Y9.jpg", 70)
    stray = _plan(TWO, tmp_path)["maybe/Y9.jpg"]
    assert isinstance(stray, Refused) and isinstance(stray.error, MissingKey)


def test_further_files_move_no_image_to_another_group(tmp_path: Path) -> None:
    """The prior pipeline shuffled the listing: one more file, and every image moved."""
    _two(tmp_path)
    before = _plan(TWO, tmp_path)
    _slice(tmp_path / "yes" / "A0.jpg", 150)
    _two(tmp_path / "brain_tumor_dataset")
    after = _plan(TWO, tmp_path)
    assert {key: after[key] for key in before} == before


def test_what_the_four_class_set_has_is_left_out(tmp_path: Path) -> None:
    _two(tmp_path / "two")
    _four(tmp_path / "four")
    _slice(tmp_path / "four" / "Training" / "no_tumor" / "b.jpg", 40)
    planned = _plan(TWO, tmp_path / "two", brain_tumor=tmp_path / "four")
    assert len(planned) == 2
    copy = planned["no/1 no.jpeg"]
    assert isinstance(copy, Filtered) and copy.reason == "in_other_source"
    assert isinstance(planned["yes/Y1.jpg"], Unit)


def test_origin_is_asked_of_tumours_only_and_doubt_is_noted(tmp_path: Path) -> None:
    _four(tmp_path)
    job = Job(FOUR.card, RawTree(tmp_path))
    asked = {unit.key: FOUR.convert(unit, job) for unit in FOUR.plan(job) if isinstance(unit, Unit)}
    none = asked["training/no_tumor/a.jpg"]
    assert [type(one) is Skipped for one in none] == [False, False, True]
    doubted = asked["testing/glioma_tumor/a.jpg"]
    assert all(
        "unreliable" in " ".join(one.notes) for one in doubted if not isinstance(one, Skipped)
    )
    trusted = asked["training/glioma_tumor/a.jpg"]
    assert not any("unreliable" in " ".join(getattr(one, "notes", ())) for one in trusted)
