"""Scaffold a new source: a folder that passes its own suite, to be changed line by line."""

from __future__ import annotations

import sys
from importlib.resources import as_file, files
from pathlib import Path
from types import ModuleType

from qoqdata.errors import UsageError
from qoqdata.sources import catalogue
from qoqdata.sources.card import parse_card
from qoqdata.sources.protocol import Source
from qoqdata.suite import examples
from qoqdata.yaml_document import parse_yaml

TEXTS = {
    "card.yaml": "card.yaml",
    "source.py.txt": "source.py",
    "simulate.py.txt": "simulate.py",
}
#: Units of the first example, which the simulator writes.
EXAMPLE = 3


def scaffold(name: str, domain: str, parent: Path) -> Source:
    """Make `parent/name` with card, source, simulator and the example that it writes.

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
        parse_card(parse_yaml(texts["card.yaml"], where="the new card"), where="the new card")
    folder.mkdir(parents=True)
    for target, text in texts.items():
        (folder / target).write_text(text, encoding="utf-8")
    source = _load(folder)
    assert source.simulate is not None
    source.simulate(folder / "example" / "raw", EXAMPLE)
    return source


def write_expected(source: Source, work: Path) -> int:
    """Build the new example and write its expected records; returns how many."""
    example = examples.build_example(source, work)
    examples.accept(source, example)
    return len(example.records)


def _load(folder: Path) -> Source:
    """The source in a folder that no entry point names yet, as a package of a name of its own."""
    name = f"qoqdata_new_source_{folder.name}"
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    for module in [module for module in sys.modules if module.partition(".")[0] == name]:
        del sys.modules[module]
    sys.modules[name] = package
    return catalogue.load_source(folder, f"{name}.source")
