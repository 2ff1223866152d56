"""The code and tables that a source's conversion depends on, and their digest.

These are all files in the source's folder that conversion may read; the modules of its package that
it imports, also in functions and through one another; and the tables beside these and in the
folders between the source and its package. A module imported by a computed name is not seen.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

_CARD, _PACKAGE = "card.yaml", "__init__.py"
#: Told of by a digest of its own, and where files are fetched from, which changes none of them.
_NO_PART = (_CARD, "download.yaml")
#: Folders of a source that are no part of its conversion.
_APART = frozenset(("example", "examples", "raw", "tests", "__pycache__"))
#: Notes, and what Python makes of code.
_NOTES = (".md", ".rst", ".pyc", ".pyo")


def code_digest(folder: Path, module: str, root: Path) -> str:
    """sha256 over name and content of the files of `code_files`."""
    total = hashlib.sha256()
    for path in code_files(folder, module, root):
        content = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return total.hexdigest()


def code_files(folder: Path, module: str, root: Path) -> list[Path]:
    """The sorted files that the source in `folder`, whose `source.py` is the importable `module`,
    depends on, of those in the package at `root`."""
    inside = folder.relative_to(root).parts
    package = module.split(".")[: -1 - len(inside)]
    own = set(_tree(folder))
    # A simulator or a test beside a source converts nothing, unless the source imports it.
    modules = {path for path in own if path.suffix == ".py" and not _stands_apart(path.name)}
    tables = {path for path in own if path.suffix != ".py"}
    modules |= set(_imports_of(modules, package, root))
    for shared in {root / parent for parent in folder.relative_to(root).parents}:
        tables |= set(_tables_beside(shared))
    for path in modules - own:
        tables |= set(_tables_beside(path.parent))
    # The package's own `__init__.py` differs between a checkout and an installation.
    return sorted((modules | tables) - {root / _PACKAGE})


def package_root(folder: Path, module: str) -> Path:
    """The folder of the topmost package of `module`, whose `source.py` is in `folder`."""
    root = folder
    *packages, last = module.split(".")[:-1] or [""]
    if folder.name != last:
        return folder
    while packages and root.parent.name == packages.pop():
        root = root.parent
    return root


def _imports_of(modules: Iterable[Path], package: list[str], root: Path) -> Iterator[Path]:
    """The files of all modules below `root` that `modules` import, directly or not."""
    waiting, seen = list(modules), set(modules)
    while waiting:
        path = waiting.pop()
        for found in _imports(path, package, root):
            if found not in seen:
                seen.add(found)
                waiting.append(found)
                yield found


def _imports(path: Path, package: list[str], root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # Nothing can import it either.
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _named(alias.name.split("."), (), package, root)
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            parts = node.module.split(".") if node.module else []
            if node.level == 0:
                yield from _named(parts, names, package, root)
            elif len(path.relative_to(root).parents) >= node.level:
                yield from _modules(path.parents[node.level - 1], parts, names, root)


def _named(
    parts: list[str], names: Iterable[str], package: list[str], root: Path
) -> Iterator[Path]:
    """Files of an absolute import, where it names something in the package."""
    if package and parts[: len(package)] == package:
        yield from _modules(root, parts[len(package) :], names, root)


def _modules(start: Path, parts: list[str], names: Iterable[str], root: Path) -> Iterator[Path]:
    """Files that are run for the module at `parts` below `start`, and for its members `names`."""
    target = start.joinpath(*parts)
    for place in (target, *(target / name for name in names)):
        module = place.with_name(f"{place.name}.py")
        if place != root and module.is_file():
            yield module
        # Every package on the way is imported first.
        folders = [place, *place.parents]
        for folder in folders[: folders.index(root)] if root in folders else ():
            if (init := folder / _PACKAGE).is_file():
                yield init


def _tree(folder: Path) -> Iterator[Path]:
    """The files at and below a folder that conversion may read, nested sources left out."""
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir():
            if path.name not in _APART and not (path / _CARD).is_file():
                yield from _tree(path)
        elif path.name not in _NO_PART and path.suffix not in _NOTES:
            yield path


def _tables_beside(folder: Path) -> Iterator[Path]:
    """Files in a folder that are no code, and those in folders of it that hold nothing else."""
    for path in folder.iterdir():
        if path.is_file():
            files = {path}
        elif path.name in _APART or any(path.rglob(_CARD)):
            continue
        else:
            files = set(_tree(path))
        names = {file.suffix for file in files}
        if ".py" not in names:
            yield from (file for file in files if _is_table(file))


def _is_table(path: Path) -> bool:
    hidden = path.name.startswith(".") or path.name.endswith("~")
    return not hidden and path.name not in _NO_PART and path.suffix not in _NOTES


def _stands_apart(name: str) -> bool:
    return name in ("simulate.py", "conftest.py") or name.startswith("test_")
