"""Every registered source, found through the entry-point group `qoqdata.sources`.

An entry point names a package; each folder below it that holds a `card.yaml` is one source. So a
new source is a new folder and nothing else, here and in outside packages. What the sources of a
domain share is a module in the domain's folder: `from ..snomed import TABLE` in
`ecg/ptb_xl/source.py` means `ecg/snomed.py`.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
from collections.abc import Iterator
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from qoqdata.contract.card import Card
from qoqdata.errors import CardError, UnknownSource
from qoqdata.sources.card import card_digest, load_card
from qoqdata.sources.protocol import Source

GROUP = "qoqdata.sources"
#: Beside a `source.py`; what it holds changes no record.
SIMULATOR = "simulate.py"


def cards() -> dict[str, Card]:
    """The cards of all registered sources by slug, sorted; no converter code is imported."""
    return {slug: load_card(folder / "card.yaml") for slug, (folder, *_) in _folders().items()}


def simulated() -> tuple[str, ...]:
    """The slugs of the sources that have a simulator, sorted; no converter code is imported."""
    return tuple(
        slug for slug, (folder, *_) in _folders().items() if (folder / SIMULATOR).is_file()
    )


def blocking_cards() -> tuple[Card, ...]:
    """The cards of the registered sources that have block lists, by slug."""
    paths = [folder / "card.yaml" for folder, *_ in _folders().values()]
    # A card is parsed only where its text has the field: most have none.
    return tuple(load_card(path) for path in paths if "\nblock:" in path.read_text("utf-8"))


def find_source(slug: str) -> Source:
    """The source called `slug`; UnknownSource suggests the nearest names."""
    folders = _folders()
    if slug not in folders:
        near = difflib.get_close_matches(slug, folders, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`qoqdata sources` lists them"
        raise UnknownSource(f"no source is called {slug!r}", fix=hint)
    return load_source(*folders[slug])


def load_source(folder: Path, module: str, root: Path | None = None) -> Source:
    """The source in `folder`, whose code is the importable `module`, of a package at `root`."""
    card = load_card(folder / "card.yaml")
    if card.slug != folder.name:
        raise CardError(
            f"slug {card.slug!r} is not the folder's name", where=str(folder / "card.yaml")
        )
    code = _import(module, folder)
    return Source(
        card=card,
        folder=folder,
        module=module,
        plan=code.plan,
        convert=code.convert,
        configure=getattr(code, "configure", None),
        card_digest=card_digest(folder / "card.yaml"),
        code_digest=_code_digest(folder, root or folder),
        simulate=partial(_simulate, folder, module) if (folder / SIMULATOR).is_file() else None,
    )


def quirks(source: Source) -> frozenset[str]:
    """The reasons of quarantine that QUIRKS of its `simulate.py` names; none without one."""
    if source.simulate is None:
        return frozenset()
    return frozenset(getattr(_simulator(source.folder, source.module), "QUIRKS", ()))


@cache
def _folders() -> dict[str, tuple[Path, str, Path]]:
    folders: dict[str, tuple[Path, str, Path]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        package = importlib.import_module(entry.value)
        for root in map(Path, package.__path__):
            for folder in _source_folders(root):
                inside = ".".join(folder.relative_to(root).parts)
                module = ".".join(part for part in (entry.value, inside, "source") if part)
                if folder.name in folders and folders[folder.name][0] != folder:
                    where = f"{folders[folder.name][0]} and {folder}"
                    raise CardError(f"two sources are called {folder.name!r}", where=where)
                folders[folder.name] = (folder, module, root)
    return dict(sorted(folders.items()))


def _source_folders(root: Path) -> Iterator[Path]:
    for card in sorted(root.rglob("card.yaml")):
        if not {"example", "raw"} & set(card.relative_to(root).parts):
            yield card.parent


def _import(module: str, folder: Path) -> ModuleType:
    try:
        code = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise CardError(f"has no importable {module}", where=str(folder)) from error
    if absent := [name for name in ("plan", "convert") if not hasattr(code, name)]:
        raise CardError(f"does not define {absent[0]}", where=str(folder / "source.py"))
    return code


def _simulate(
    folder: Path, module: str, out: Path, n: int, *, seed: int = 0, quirks: bool = False
) -> None:
    _simulator(folder, module).simulate(out, n, seed=seed, quirks=quirks)


def _simulator(folder: Path, module: str) -> ModuleType:
    """The module `simulate` beside `source`."""
    code = importlib.import_module(f"{module.rpartition('.')[0]}.simulate")
    if not hasattr(code, "simulate"):
        raise CardError("does not define simulate", where=str(folder / SIMULATOR))
    return code


def _code_digest(folder: Path, root: Path) -> str:
    """sha256 over the Python files and tables of the source's folder, its example and simulator
    left out, and of the folders up to its package, where its domain's shared modules lie."""
    total = hashlib.sha256()
    for part in (folder, *(root / parent for parent in folder.relative_to(root).parents)):
        for path in sorted(part.iterdir()):
            # A package's own `__init__.py` differs between a checkout and an installation.
            own = part == root and path.name == "__init__.py"
            counts = path.suffix in (".py", ".csv", ".tsv", ".json") and path.name != SIMULATOR
            if path.is_file() and counts and not own:
                total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
