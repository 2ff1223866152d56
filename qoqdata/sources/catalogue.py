"""Every registered source, found through the entry-point group `qoqdata.sources`.

An entry point names a package; each folder below it that holds a `card.yaml` is one source. So a
new source is a new folder and nothing else, here and in outside packages. What the sources of a
domain share is a module in the domain's folder: `from ..snomed import TABLE` in
`ecg/ptb_xl/source.py` means `ecg/snomed.py`.

A package or source at fault is one CatalogueWarning, and all others are there.
"""

from __future__ import annotations

import difflib
import importlib
import warnings
from collections.abc import Iterable, Iterator
from functools import cache, partial
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from qoqdata.contract.card import Card
from qoqdata.errors import CardError, CatalogueWarning, QoqdataError, UnknownSource
from qoqdata.sources.card import card_and_digest, load_card
from qoqdata.sources.code import code_digest, package_root
from qoqdata.sources.protocol import Source

GROUP = "qoqdata.sources"
#: Beside a `source.py`; what it holds changes no record.
SIMULATOR = "simulate.py"
#: Beside a `source.py` whose tables are prepared before they are planned.
PREPARATION = "prepare.py"


class _Place(NamedTuple):
    folder: Path
    module: str
    root: Path


def cards() -> dict[str, Card]:
    """The cards of all registered sources by slug, sorted; no converter code is imported.

    A card at fault is a CatalogueWarning.
    """
    found = {}
    for slug, places in _places().items():
        try:
            place = _only(slug, places)
            found[slug] = _card(place.folder, place.root)[0]
        except QoqdataError as error:
            _warn(str(error))
    return found


def folders() -> dict[str, Path]:
    """The folder of each source that `cards` has, by slug."""
    return {slug: _places()[slug][0].folder for slug in cards()}


def sources() -> Iterator[Source]:
    """All registered sources by slug; one whose code cannot be imported is a CatalogueWarning."""
    for slug, places in _places().items():
        try:
            yield load_source(*_only(slug, places))
        except QoqdataError as error:
            _warn(str(error))


def simulated() -> tuple[str, ...]:
    """The slugs of the sources that have a simulator, sorted; no converter code is imported."""
    return tuple(
        slug
        for slug, places in _places().items()
        if any((place.folder / SIMULATOR).is_file() for place in places)
    )


def prepared() -> tuple[str, ...]:
    """The slugs of the sources whose tables are prepared, sorted; no converter code is imported."""
    return tuple(
        slug
        for slug, places in _places().items()
        if any((place.folder / PREPARATION).is_file() for place in places)
    )


def blocking_cards(names: Iterable[str]) -> tuple[Card, ...]:
    """The cards of the registered sources whose block lists may be of sources or namespaces of
    these names, by slug."""
    wanted = [" ".join(name.split()).encode() for name in names]
    found = []
    for place in (place for places in _places().values() for place in places):
        path = place.folder / "card.yaml"
        text = path.read_bytes()
        # A card is parsed only where its text has the field, which most have not, and the name: as
        # it stands, or written with escapes.
        if b"\nblock:" not in text:
            continue
        words = b" ".join(text.split())
        if b"\\" in words or any(name in words for name in wanted):
            try:
                found.append(load_card(path, _domain(place.folder, place.root)))
            except QoqdataError as error:
                _warn(str(error))
    return tuple(found)


def find_source(slug: str) -> Source:
    """The source called `slug`; UnknownSource suggests the nearest names.

    Raises CardError for a card or code at fault, and for a name that two sources have.
    """
    places = _places()
    if slug not in places:
        near = difflib.get_close_matches(slug, places, n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`qoqdata sources` lists them"
        raise UnknownSource(f"no source is called {slug!r}", fix=hint)
    return load_source(*_only(slug, places[slug]))


def load_source(folder: Path, module: str, root: Path | None = None) -> Source:
    """The source in `folder`, whose code is the importable `module`, of a package at `root` (by
    default the topmost that `module` names)."""
    root = root or package_root(folder, module)
    card, card_digest = _card(folder, root)
    code = _import(module, folder)
    preparation = _preparation(folder, module)
    return Source(
        card=card,
        folder=folder,
        module=module,
        plan=code.plan,
        convert=code.convert,
        configure=getattr(code, "configure", None),
        card_digest=card_digest,
        code_digest=code_digest(folder, module, root),
        root=root,
        simulate=partial(_simulate, folder, module) if (folder / SIMULATOR).is_file() else None,
        prepare=preparation.prepare if preparation else None,
        prepared_folder=preparation.FOLDER if preparation else None,
    )


def quirks(source: Source) -> frozenset[str]:
    """The reasons of quarantine that QUIRKS of its `simulate.py` names; none without one."""
    if source.simulate is None:
        return frozenset()
    return frozenset(getattr(_simulator(source.folder, source.module), "QUIRKS", ()))


@cache
def _places() -> dict[str, list[_Place]]:
    """Where the sources of each name are: one place, unless two packages use a name."""
    places: dict[str, list[_Place]] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        try:
            package = importlib.import_module(entry.value)
            roots = [Path(path) for path in package.__path__]
        except (Exception, SystemExit) as error:
            reason = f"{type(error).__name__}: {error}"
            _warn(f"package {entry.value}: cannot be imported: {reason}. Fix: mend or uninstall it")
            continue
        for root in roots:
            for folder in _source_folders(root):
                inside = ".".join(folder.relative_to(root).parts)
                module = ".".join(part for part in (entry.value, inside, "source") if part)
                known = places.setdefault(folder.name, [])
                if folder not in (place.folder for place in known):
                    known.append(_Place(folder, module, root))
    return dict(sorted(places.items()))


def _only(slug: str, places: list[_Place]) -> _Place:
    if len(places) > 1:
        where = " and ".join(str(place.folder) for place in places)
        raise CardError(f"two sources are called {slug!r}", where=where, fix="rename one")
    return places[0]


@cache
def _warn(text: str) -> None:
    """Warn once a process: Python forgets what it has shown whenever its filters change."""
    warnings.warn(text, CatalogueWarning, stacklevel=3)


def _source_folders(root: Path) -> Iterator[Path]:
    for card in sorted(root.rglob("card.yaml")):
        if not {"example", "raw"} & set(card.relative_to(root).parts):
            yield card.parent


def _domain(folder: Path, root: Path) -> Path | None:
    """The folder of the domain that the source in `folder` is in, where its package has domains."""
    return folder.parent if root in folder.parent.parents else None


def _card(folder: Path, root: Path) -> tuple[Card, str]:
    """The card of the source in `folder`, and its digest."""
    path = folder / "card.yaml"
    card, digest = card_and_digest(path, _domain(folder, root))
    if card.slug != folder.name:
        raise CardError(f"slug {card.slug!r} is not the folder's name", where=str(path))
    return card, digest


def _import(module: str, folder: Path) -> ModuleType:
    where = str(folder / "source.py")
    try:
        code = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module}.".startswith(f"{error.name}."):
            raise CardError(f"has no importable {module}", where=str(folder)) from error
        raise CardError(f"cannot be imported: {error}", where=where) from error
    except (Exception, SystemExit) as error:
        what = f"cannot be imported: {type(error).__name__}: {error}"
        raise CardError(what, where=where) from error
    for name in ("plan", "convert"):
        if not callable(getattr(code, name, None)):
            raise CardError(f"does not define {name}", where=where)
    return code


def _simulate(
    folder: Path, module: str, out: Path, n: int, *, seed: int = 0, quirks: bool = False
) -> None:
    _simulator(folder, module).simulate(out, n, seed=seed, quirks=quirks)


def _preparation(folder: Path, module: str) -> ModuleType | None:
    """The module `prepare` beside `source`; None without one."""
    if not (folder / PREPARATION).is_file():
        return None
    code = importlib.import_module(f"{module.rpartition('.')[0]}.prepare")
    for name in ("prepare", "FOLDER"):
        if not hasattr(code, name):
            raise CardError(f"does not define {name}", where=str(folder / PREPARATION))
    return code


def _simulator(folder: Path, module: str) -> ModuleType:
    """The module `simulate` beside `source`."""
    code = importlib.import_module(f"{module.rpartition('.')[0]}.simulate")
    if not hasattr(code, "simulate"):
        raise CardError("does not define simulate", where=str(folder / SIMULATOR))
    return code
