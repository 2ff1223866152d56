"""What earlier conversions got wrong, planted: the rule that names it does, and no other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.readers.ecg import read_ecg
from qoqdata.simulation import write_wfdb
from qoqdata.validation import find
from tests.curation.film_table import Film, built
from tests.records.sound_rows import image_row, region
from tests.scenes import scene
from tests.validation.written_set import write

Films = list[Film]
PROBE = find_spec("cleanlab") is not None
SPLITS = ("train", "train", "validation", "test")


def scenes() -> Films:
    """Twelve films of as many patients, no two alike."""
    return [
        Film(f"f{n}.png", "ab"[n // 4 % 2], f"p{n}", SPLITS[n % 4], scene(n)) for n in range(12)
    ]


def shades() -> Films:
    """120 films of noise, in train and in test: the dark ones are Clear, the bright ones Opaque."""
    rng = np.random.default_rng(0)
    films = []
    for n in range(120):
        pixels = np.clip(rng.normal((60, 150)[n % 2], 20, (48, 48, 3)), 0, 255).astype(np.uint8)
        films.append(Film(f"f{n}.png", "ab"[n % 2], f"p{n}", "train" if n < 80 else "test", pixels))
    return films


def told(dataset: Dataset, *, probe: bool = False, **settings: Any) -> set[str]:
    """Every rule that names something of a data set: reasons of its quarantine, breaches of its
    validation, findings of curation and audit, with the probe if asked. What is left is proven."""
    rules = {finding.rule for finding in find(dataset)}
    for path in (dataset.root / "quarantine").glob("*.parquet"):
        rules |= set(pl.read_parquet(path)["reason"])
    curated = qoqdata.curate(dataset, burned_in=False, **settings)
    verdicts = curated.verdicts.select("rule", "reason")
    rules |= {f"{rule}: {reason}" for rule, reason in verdicts.iter_rows()}
    rules |= {"study_copy"} if curated.study_copies.height else set()
    alike = curated.duplicates.filter(outcome="reported").select("copy", "way", "contradicts")
    for copy, way, contradicts in alike.iter_rows():
        rules.add(f"{copy}, {way}" + ", with another answer" * contradicts)
    assert qoqdata.prove(open_dataset(dataset.root)).holds
    found = qoqdata.audit(open_dataset(dataset.root), label_errors=probe)
    tables = {"told": found.told, "shifted": found.shifted, "alike_text": found.alike_texts}
    if found.probed is not None:
        by_split = found.probed.errors.partition_by("split", as_dict=True)
        tables |= {f"label_error, {split}": table for (split,), table in by_split.items()}
        tables["held_out"] = found.probed.estranged
        tables["contradiction"] = found.probed.contradictions
    rules |= {rule for rule, table in tables.items() if table.height}
    return rules | set(found.giveaways["fault"]) | set(found.mismapped["verdict"])


def beside(**changes: Any) -> Films:
    """The scenes and a copy of the first, of another patient unless the changes say otherwise."""
    films = scenes()
    return [*films, replace(films[0], **{"file": "copy.png", "patient": "q"} | changes)]


def small(film: np.ndarray) -> np.ndarray:
    return cv2.resize(film, (96, 96), interpolation=cv2.INTER_AREA)


def relabelled(label: Callable[[int], str | None]) -> Films:
    """The shades with other labels, where `label` gives one for the number of a film."""
    return [replace(film, label=label(n) or film.label) for n, film in enumerate(shades())]


def contexts(context: Callable[[str], str]) -> Films:
    return [replace(film, context=context(film.label)) for film in shades()]


FILM, WHITE = scene(0), np.full((224, 224, 3), 255, np.uint8)
SHUFFLED = np.random.default_rng(1).permutation(80) % 2
REPORT = "The heart is of normal size and there is a small effusion on the left side only"
LEAK = "leakage: shows an image of the {} split".format
#: What was done wrong; the films; all that is told.
LEAKS = {
    "a patient in train and test": (
        beside(patient="p0", split="test", pixels=scene(99)),
        {"torn_group"},
    ),
    "one film in train and test": (beside(split="test"), {LEAK("test")}),
    "one film in train and validation": (beside(split="validation"), {LEAK("validation")}),
    "a row in train and test": ([*scenes(), replace(scenes()[0], split="test")], {"duplicate_key"}),
    "a flipped sibling in test": (beside(split="test", pixels=FILM[:, ::-1]), {LEAK("test")}),
    "a turned sibling in test": (beside(split="test", pixels=np.rot90(FILM)), {LEAK("test")}),
    "a smaller mirror in test": (beside(split="test", pixels=small(FILM)), {LEAK("test")}),
    "a mirror in JPEG in test": (beside(split="test", file="copy.jpg"), {LEAK("test")}),
    "a report under two patients": (
        [replace(film, context=REPORT) if n in (0, 3) else film for n, film in enumerate(scenes())],
        {"alike_text"},
    ),
    "a size of each answer": (
        [replace(f, pixels=f.pixels[:, :40]) if f.label == "b" else f for f in shades()],
        {"told"},
    ),
    "an augmented sibling in train": (beside(pixels=FILM[:, ::-1]), {"alike, flipped"}),
    "one film twice in train": (beside(), {"duplicate: asks the same of what is equal"}),
    "the answer in the context": (
        contexts({"a": "clear lungs", "b": "opaque lungs"}.__getitem__),
        {"answer_in_context", "told", "alike_text"},
    ),
    "an outcome in the context": (
        contexts({"a": "sent home", "b": "died on the ward"}.__getitem__),
        {"told", "alike_text"},
    ),
}
LABELS = {
    "two answers to one film": (
        beside(label="b"),
        {"duplicate: asks the same of what is equal, with another answer"},
    ),
    "the same tissue in two tiles": (
        beside(label="b", pixels=FILM[8:, :-8]),
        {"alike, cropped, with another answer"},
    ),
    "a white square with its answer": (beside(pixels=WHITE), {"quality: blank"}),
    "a film that is not there": (beside(pixels=None), {"missing_file"}),
    "a label of another column": (beside(pixels=scene(99), label="PA"), {"bad_label"}),
    "a label in other letters": (beside(pixels=scene(99), label="A"), {"bad_label"}),
    "a row without a label": (beside(pixels=scene(99), label=""), {"no_label"}),
    "a split by another name": (beside(pixels=scene(99), split="VALID"), {"bad_table"}),
    "labels scrambled": (
        relabelled(lambda n: "ab"[SHUFFLED[n]] if n < 80 else None),
        {"label_error, train"},
    ),
    "labels of one site inverted": (
        relabelled(lambda n: "ba"[n % 2] if n < 20 else None),
        {"label_error, train"},
    ),
    "the doubtful answered as absent": (
        relabelled(lambda n: "a" if n % 8 == 1 and n < 80 else None),
        {"label_error, train"},
    ),
    "one class in the test part": (
        relabelled(lambda n: "a" if n >= 80 else None),
        {"shifted", "label_error, test", "held_out"},
    ),
    "labels of the test part inverted": (
        relabelled(lambda n: "ba"[n % 2] if n >= 80 else None),
        {"label_error, test", "held_out"},
    ),
    "labels of train inverted": (
        relabelled(lambda n: "ba"[n % 2] if n < 80 else None),
        {"label_error, test", "held_out"},
    ),
    "four labels of the test part wrong": (
        relabelled(lambda n: "ba"[n % 2] if n in (81, 94, 107, 118) else None),
        {"label_error, test"},
    ),
}


@pytest.mark.parametrize("defect", [*LEAKS, *LABELS])
def test_the_rule_that_names_it_does(tmp_path: Path, defect: str) -> None:
    films, rules = (LEAKS | LABELS)[defect]
    if any(rule.startswith("label_error") for rule in rules):
        pytest.importorskip("cleanlab")
    assert told(built(tmp_path, films), probe=PROBE) == rules


@pytest.mark.parametrize("films", [scenes, shades])
def test_sound_films_are_told_nothing_of(tmp_path: Path, films: Callable[[], Films]) -> None:
    assert told(built(tmp_path, films()), probe=PROBE) == set()


#: Labels of a complete copy: of twelve films, and how they were published.
MAPPED = {"labels": {"a": "Clear", "b": "Opaque", "c": "Wet"}}
RIGHT = {"a": 6, "b": 4, "c": 2}
#: What a mapping made of each label; what is told.
MAPPINGS = {
    "as it is": ({}, set()),
    "two classes swapped": ({"a": "b", "b": "a"}, {"swapped: Clear, Opaque"}),
    "two classes merged": ({"c": "b"}, {"merged: Wet answered as Opaque"}),
    "all absent": ({"b": "a", "c": "a"}, {"merged: Opaque, Wet answered as Clear"}),
}


@pytest.mark.parametrize("defect", MAPPINGS)
def test_a_mapping_that_is_wrong_throughout(tmp_path: Path, defect: str) -> None:
    mapped, rules = MAPPINGS[defect]
    labels = [mapped.get(label, label) for label, count in RIGHT.items() for _ in range(count)]
    films = [
        replace(film, label=label, split="train")
        for film, label in zip(scenes(), labels, strict=True)
    ]
    counts = {MAPPED["labels"][label]: count for label, count in RIGHT.items()}
    expected = {"counts": counts, "according_to": "their paper"}
    assert told(built(tmp_path, films, **MAPPED, expected=expected)) == rules


def test_an_image_of_a_benchmark(tmp_path: Path) -> None:
    copy = tmp_path / "quiz"
    copy.mkdir()
    cv2.imwrite(str(copy / "case.jpg"), small(FILM)[..., ::-1])
    qoqdata.benchmark_index(copy, out=tmp_path / "index.parquet")
    dataset = built(tmp_path / "films", scenes())
    rules = told(dataset, against=tmp_path / "index.parquet")
    assert rules == {"benchmark: shows an image of the benchmark quiz"}


def test_recordings_under_two_names_and_without_a_beat(tmp_path: Path) -> None:
    """Of a simulated tree: two recordings again as they are, ten at half the gain, and one with
    zeros in place of its signal, of which no record is made."""
    raw = tmp_path / "raw"
    qoqdata.simulate("georgia", n=12, out=raw)
    for number, header in enumerate(sorted(raw.rglob("*.hea"))):
        own = read_ecg(header)
        said = [line[1:] for line in header.read_text().splitlines() if line.startswith("#Dx")]
        twin = header.with_name(f"{header.stem}9")
        if number < 2:
            write_wfdb(twin, own.signal, own.fs, own.leads, said)
        else:
            write_wfdb(twin, own.signal / 2, own.fs, own.leads, said)
    write_wfdb(header.with_name("E00099"), np.zeros_like(own.signal), own.fs, own.leads, said)
    qoqdata.build("georgia", raw=raw, out=tmp_path / "set", workers=0)
    assert told(open_dataset(tmp_path / "set")) >= {
        LEAK("test").replace("an image", "a signal"),
        "duplicate: asks the same of what is equal",
    }
    (table,) = (tmp_path / "set/quarantine").rglob("*.parquet")
    (lost,) = pl.read_parquet(table).select("unit", "reason", "message").rows()
    assert lost[:2] == ("E00099", "unreadable_file")
    assert "no lead has a usable sample" in lost[2]


def row(number: int, **changes: Any) -> dict[str, Any]:
    keys = {"id": f"r{number}", "patient": f"p{number}", "study": f"s{number}"}
    return image_row(**keys | changes)


#: Sets of another converter, which only their validation sees: a change of the second record.
WRITTEN = {
    "a patient is in one split": {"patient": "p1", "split": "test"},
    "a study is in one split": {"study": "s1", "split": "test"},
    "ids are unique": {"id": "r1"},
    "the answer is an option or a join of options": {"answer": "0"},
    "labels are options": {"labels": ["Fibrosis"]},
    "a box lies inside its image": {"regions": [region(x_min=0, y_min=0, x_max=0, y_max=0)]},
}


@pytest.mark.parametrize("rule", WRITTEN)
def test_validation_names_it(tmp_path: Path, rule: str) -> None:
    dataset = write(tmp_path / "set", [row(1, split="train"), row(2, **WRITTEN[rule])])
    assert [finding.rule for finding in find(dataset)] == [rule]
