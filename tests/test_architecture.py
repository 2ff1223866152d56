"""Who may import whom. docs/architecture.md says why; the layers below are the rule itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]

#: From the ground up. A package or module imports from the rows above its own, never from its own
#: row or below. The longest name that fits counts.
QOQDATA = (
    ("errors", "extras", "printable", "progress", "shipped", "system_faults", "threads", "version"),
    ("json_document", "parquet_memory", "units", "yaml_document"),
    ("atomic", "layout", "settings", "contract", "converters"),
    ("side_table",),
    ("boxes", "concepts", "person", "manifest", "metadata", "roles", "rollouts", "verdicts"),
    ("readers", "question", "simulation", "remote.urls"),
    ("answer_format", "remote.cache", "remote.faults"),
    ("records", "remote.store"),
    ("sources", "remote.lease", "remote.work_folder"),
    ("pipeline", "statistics"),
    ("remote",),
    ("light", "stream"),
    ("items", "statistics.families", "statistics.probe"),
    ("notebook",),
    ("dataset",),
    (
        "validation",
        "curation",
        "differences",
        "exports",
        "collection",
        "estimation",
        "fetching",
    ),
    ("description", "drawing", "plots", "reasoning"),
    ("serving",),
    ("publication", "viewer", "suite", "demo"),
    ("report_page",),
    ("api",),
    ("console",),
    ("command_line",),
    ("cli",),
    ("__main__",),
)
QOQTRAIN = (
    ("drpo", "rewards"),
    ("model", "rollout"),
    ("data",),
    ("evaluate",),
    ("trainer",),
    ("monitor",),
    ("api",),
    ("adapters",),
    ("cli",),
    ("__main__",),
)
#: What qoqtrain uses of qoqdata. "" is the package itself: `qoqdata.open` and the like.
FOR_QOQTRAIN = (
    *(
        "",
        "answer_format",
        "api",
        "atomic",
        "boxes",
        "command_line",
        "concepts",
        "console",
        "contract",
        "dataset",
        # The page of a run shows records as the viewer does, behind the same gate.
        "description",
        "drawing",
        "errors",
    ),
    *(
        "manifest",
        "parquet_memory",
        "progress",
        "publication",
        "question",
        "readers",
        "roles",
        "serving",
        "settings",
        "stream",
        "units",
        "yaml_document",
    ),
)
#: What a converter uses: the rows up to the protocol, so that it knows no pipeline.
FOR_CONVERTERS = tuple(name for row in QOQDATA[:9] for name in row)


class Import(NamedTuple):
    """`module` is the importing module; `name` is what it imports, with its module."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module} imports {self.name}"


def imports(top: str, root: Path = ROOT) -> Iterator[Import]:
    """Every import of ours below a folder, inside functions too; not those for types only."""
    for path in sorted((root / top).rglob("*.py")):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in _outside_type_checking(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                # Relative imports stay in their folder.
                names = [] if node.level else [f"{node.module}.{a.name}" for a in node.names]
            for name in names:
                one = Import(module, name)
                if name.partition(".")[0] in ("qoqdata", "qoqtrain"):
                    yield one


def _outside_type_checking(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from _outside_type_checking(child)


def unit(name: str, units: frozenset[str]) -> str:
    """The longest of `units` that holds `name`; "" is the package itself."""
    parts = name.split(".")[1:]
    prefixes = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in units), "")


def climbing(top: str, layers: tuple[tuple[str, ...], ...], root: Path = ROOT) -> list[str]:
    """The imports of a package that lead to its own row or below it."""
    rows = {name: number for number, row in enumerate(layers) for name in row}
    units = frozenset(rows)
    offences = []
    for one in imports(top, root):
        importer, target = unit(one.module, units), unit(one.name, units)
        if one.name.partition(".")[0] != top or importer in ("", target):
            continue
        # `qoqdata` itself, which has no row, gives what `qoqdata.api` gives.
        if rows.get(target, rows.get("api", 0)) >= rows[importer]:
            offences.append(str(one))
    return offences


@pytest.mark.parametrize(("top", "layers"), [("qoqdata", QOQDATA), ("qoqtrain", QOQTRAIN)])
def test_imports_lead_downwards(top: str, layers: tuple[tuple[str, ...], ...]) -> None:
    assert climbing(top, layers) == []


@pytest.mark.parametrize(("top", "layers"), [("qoqdata", QOQDATA), ("qoqtrain", QOQTRAIN)])
def test_everything_has_its_row(top: str, layers: tuple[tuple[str, ...], ...]) -> None:
    inside = {
        path.stem
        for path in (ROOT / top).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert inside - {"__init__"} <= {name for row in layers for name in row}


def test_qoqdata_does_not_know_qoqtrain() -> None:
    assert [str(one) for one in imports("qoqdata") if one.name.startswith("qoqtrain")] == []


def test_qoqtrain_uses_a_few_rooms_of_qoqdata() -> None:
    units = frozenset(name for row in QOQDATA for name in row)
    ours = [one for one in imports("qoqtrain") if one.name.startswith("qoqdata")]
    assert [str(one) for one in ours if unit(one.name, units) not in FOR_QOQTRAIN] == []


def test_converters_know_the_protocol_and_what_is_below() -> None:
    units = frozenset(name for row in QOQDATA for name in row)
    strangers = [
        one for one in imports("converters") if unit(one.name, units) not in FOR_CONVERTERS
    ]
    assert [str(one) for one in strangers] == []


def test_an_import_upwards_is_found(tmp_path: Path) -> None:
    package = tmp_path / "qoqdata"
    package.mkdir()
    (package / "errors.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from qoqdata.sources import card\n"
        "def fault():\n    from qoqdata import readers\n"
    )
    (package / "readers.py").write_text(
        "import qoqdata.errors\nimport qoqdata.statistics.probe.x\n"
    )
    assert climbing("qoqdata", QOQDATA, tmp_path) == [
        "qoqdata.errors imports qoqdata.readers",
        "qoqdata.readers imports qoqdata.statistics.probe.x",
    ]
