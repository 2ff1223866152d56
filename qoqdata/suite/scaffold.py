"""Scaffold a new source: a folder that passes its own suite, to be changed line by line."""

from __future__ import annotations

import importlib.util
import sys
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import yaml

from qoqdata.errors import UsageError
from qoqdata.readers import encode
from qoqdata.sources import catalogue
from qoqdata.sources.card import parse_card
from qoqdata.sources.protocol import Source
from qoqdata.suite import examples

TEXTS = {"card.yaml": "card.yaml", "source.py.txt": "source.py"}


def scaffold(name: str, domain: str, parent: Path) -> Source:
    """Make `parent/name` with card, source, example and expected records.

    Raises UsageError for a bad name or domain, a name in use, or a folder that is there already.
    """
    folder = parent / name
    if name in catalogue.cards():
        raise UsageError(f"a source called {name!r} is registered already")
    if folder.exists():
        raise UsageError("is there already", where=str(folder), fix="choose another name")
    with as_file(files("qoqdata.suite") / "template") as template:
        texts = {
            target: (template / text).read_text().replace("NAME", name).replace("DOMAIN", domain)
            for text, target in TEXTS.items()
        }
        parse_card(yaml.safe_load(texts["card.yaml"]), where="the new card")
        table = (template / "example" / "raw" / "labels.csv").read_text()
    images = folder / "example" / "raw" / "images"
    images.mkdir(parents=True)
    for target, text in texts.items():
        (folder / target).write_text(text, encoding="utf-8")
    (images.parent / "labels.csv").write_text(table, encoding="utf-8")
    for number in range(1, 4):
        ramp = np.add.outer(np.arange(24), np.arange(32)) * number
        (images / f"{number:04d}.png").write_bytes(encode.png(ramp.astype(np.uint8)))
    return _load(folder)


def write_expected(source: Source, work: Path) -> int:
    """Build the new example and write its expected records; returns how many."""
    example = examples.build_example(source, work)
    examples.accept(source, example)
    return len(example.records)


def _load(folder: Path) -> Source:
    """The source in a folder that no entry point names yet."""
    module = f"qoqdata_new_source_{folder.name}"
    spec = importlib.util.spec_from_file_location(module, folder / "source.py")
    if spec is None or spec.loader is None:
        raise UsageError("cannot be imported", where=str(folder / "source.py"))
    code = importlib.util.module_from_spec(spec)
    sys.modules[module] = code
    spec.loader.exec_module(code)
    return catalogue.load_source(folder, module)
