"""Inverts every condition of the gates, one after another, and tells which no test notices.

    .venv/bin/python -m tests.attacks.invert_gates [MODULE ...]

Each mutant is a process of its own, in which one `if`, comparison, `and` or `or` part or condition
of a comprehension is turned round. Only the tests that reach its line are run, then all tests of
their files where none of these fails (files share fixtures), or of the gate where none reaches it.
Exit 1 where a mutant survives that `EQUIVALENT` does not name,
or where that table names a condition that is gone.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple

import pytest

from qoqdata import console

_PUBLICATION = ["tests/attacks/test_gates.py", "tests/publication"]
_SETS = ["tests/attacks/test_hostile_data_set.py", "tests/attacks/test_damaged_data_set.py"]
_HOSTILE = [*_SETS, "tests/publication/test_rebuild.py"]
_IDS = [
    "tests/publication/test_key_search.py",
    "tests/publication/test_privacy.py",
    "tests/records/test_raw_keys.py",
    "tests/pipeline/test_raw_keys.py",
]
_VERDICTS = ["tests/curation/phi", "tests/curation/test_verdicts.py", "tests/attacks/test_gates.py"]
_PIXELS = ["tests/curation/burned_in", "tests/attacks/test_gates.py"]
_LIMITS = [
    "tests/attacks/test_stuck_units.py",
    "tests/pipeline/test_limits.py",
    "tests/pipeline/test_unit_limits.py",
]
#: Modules that decide what may leave and what is believed, and the tests that hold them.
GATES = {
    "qoqdata.publication.licences": [*_PUBLICATION, "tests/publication/test_licences.py"],
    "qoqdata.publication.release": _PUBLICATION,
    "qoqdata.publication.staging": [*_PUBLICATION, "tests/curation/burned_in"],
    "qoqdata.publication.privacy": [*_IDS, "tests/publication/test_searched.py"],
    "qoqdata.publication.searched": ["tests/publication/test_searched.py"],
    "qoqdata.publication.outgoing_texts": [*_IDS, "tests/publication/test_card.py"],
    "qoqdata.publication.key_search": _IDS,
    "qoqdata.publication.key_sightings": _IDS,
    "qoqdata.records.raw_keys": _IDS,
    "qoqdata.pipeline.raw_keys": _IDS,
    "qoqdata.publication.recipe": [*_HOSTILE, "tests/publication"],
    "qoqdata.publication.rebuild": _HOSTILE,
    "qoqdata.remote.integrity": [
        *_SETS,
        "tests/attacks/test_shards_at_rest.py",
        "tests/stream/test_bad_rows.py",
        "tests/test_metadata.py",
    ],
    "qoqdata.parquet_memory": ["tests/test_parquet_memory.py"],
    "qoqdata.remote.transfer": ["tests/remote/test_http.py"],
    "qoqdata.remote.links": ["tests/attacks/test_hostile_data_set.py"],
    "qoqdata.contract.manifest": [*_SETS, "tests/contract"],
    "qoqdata.side_table": ["tests/attacks/test_damaged_data_set.py", "tests/statistics"],
    "qoqdata.verdicts": _VERDICTS,
    "qoqdata.curation.verdicts": [*_VERDICTS, "tests/curation"],
    "qoqdata.curation.phi.receipt": _VERDICTS,
    "qoqdata.curation.phi.scan": _VERDICTS,
    "qoqdata.curation.burned_in.gate": _PIXELS,
    "qoqdata.curation.burned_in.receipt": _PIXELS,
    "qoqdata.curation.burned_in.blanking": _PIXELS,
    "qoqdata.pipeline.unit_limits": _LIMITS,
    "qoqdata.pipeline.faults": [
        *_LIMITS,
        "tests/attacks/test_stuck_plans.py",
        "tests/pipeline/test_faults.py",
    ],
    "qoqtrain.rollout.server": [
        "tests/attacks/test_rollout_server.py",
        "tests/qoqtrain/rollout/test_vllm.py",
    ],
}

#: Inversions that change nothing a caller could see, by module and condition, and why.
EQUIVALENT: dict[str, dict[str, str]] = {
    "qoqdata.publication.privacy": {
        "size >= _BATCH": "texts are searched in parts of another size, all the same",
        "len(clean) < _REMEMBERED": "a text that repeats is searched again, with the same result",
    },
    "qoqdata.publication.staging": {"''": "a source that is withheld always has a reason"},
    "qoqtrain.rollout.server": {
        "type(error).__name__": "no error that we could bring about says nothing",
    },
}

#: Seconds for the tests of a mutant, and how many times those that the gate itself took.
_LEAST, _TIMES = 60.0, 5.0
#: Where a process that the tests start finds the mutant too.
_FINDER = """
import importlib.util, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            return importlib.util.spec_from_file_location(name, {mutant!r})
sys.meta_path.insert(0, Finder)
"""


class Condition(NamedTuple):
    """A condition of a module: its place among them, its line, and its text."""

    number: int
    line: int
    text: str


class Reach(NamedTuple):
    """How the tests of a gate ended, what they took in seconds, and by line which reach it."""

    code: int
    seconds: float
    tests: dict[int, list[str]]


def conditions(tree: ast.AST) -> list[ast.expr]:
    """The conditions of a module: whole ones, comparisons, and each part of `and` and `or`."""
    found: dict[int, ast.expr] = {}
    for node in ast.walk(tree):
        tests: Sequence[ast.expr] = ()
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            tests = [node.test]
        elif isinstance(node, ast.comprehension):
            tests = node.ifs
        elif isinstance(node, ast.BoolOp):
            tests = node.values
        elif isinstance(node, ast.Compare):
            tests = [node]
        found |= {id(test): test for test in tests}
    # Who may call what is typed, and never so at run time.
    return [test for test in found.values() if ast.unparse(test) != "TYPE_CHECKING"]


class _Inverted(ast.NodeTransformer):
    """Puts `not` before the condition of a number."""

    def __init__(self, tree: ast.AST, number: int) -> None:
        self.target = conditions(tree)[number]

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.target:
            return ast.copy_location(ast.UnaryOp(ast.Not(), self.generic_visit(node)), node)
        return self.generic_visit(node)


def codes(code: CodeType) -> Iterator[CodeType]:
    """A module's code and that of everything defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes(constant)


def replace_functions(module: str, mutant: CodeType) -> None:
    """Give the functions and methods of a loaded module the code of the mutant."""
    by_place = {(code.co_name, code.co_firstlineno): code for code in codes(mutant)}
    loaded = importlib.import_module(module)
    owners = [vars(loaded), *(vars(v) for v in vars(loaded).values() if isinstance(v, type))]
    for owner in owners:
        for value in owner.values():
            function = getattr(value, "__func__", getattr(value, "__wrapped__", value))
            function = getattr(function, "fget", function)
            if isinstance(function, FunctionType) and function.__module__ == module:
                old = function.__code__
                new = by_place.get((old.co_name, old.co_firstlineno))
                if new is not None:
                    function.__code__ = new


class _Reached:
    """A plugin of pytest that notes which test reaches which lines of a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.tests = str(path), defaultdict[int, list[str]](list)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[Any]:
        lines: set[int] = set()

        def note(frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
            if frame.f_code.co_filename != self.path:
                return None
            lines.add(frame.f_lineno)
            return note

        sys.settrace(note)
        try:
            result = yield
        finally:
            sys.settrace(None)
        for line in lines:
            self.tests[line].append(item.nodeid)
        return result


def tested(tests: Collection[str], *options: str, plugins: Sequence[object] = ()) -> int:
    """The exit code of the tests, which say nothing."""
    options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *options)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main([*options, *tests], plugins=plugins))


def in_child(work: Callable[[], int], seconds: float) -> int | None:
    """The exit code of `work` in a process of its own, None where it took longer."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        os._exit(work())
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def reach(module: str, path: Path) -> Reach:
    """Run the tests of a gate as it is."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder, "tests.json")

        def work() -> int:
            reached = _Reached(path)
            code = tested(GATES[module], plugins=[reached])
            kept.write_text(json.dumps(reached.tests), encoding="utf-8")
            return code

        begin = time.monotonic()
        code = in_child(work, 1800)
        by_line = json.loads(kept.read_text(encoding="utf-8")) if code is not None else {}
    tests = {int(line): found for line, found in by_line.items()}
    return Reach(1 if code is None else code, time.monotonic() - begin, tests)


def survives(module: str, path: Path, number: int, tests: Sequence[str], seconds: float) -> bool:
    """Whether the tests pass with the condition of that number inverted; a hang is noticed."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    mutant = ast.fix_missing_locations(_Inverted(tree, number).visit(tree))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mutant.py")
        file.write_text(ast.unparse(mutant), encoding="utf-8")
        finder = _FINDER.format(module=module, mutant=str(file))
        Path(folder, "sitecustomize.py").write_text(finder, encoding="utf-8")

        def work() -> int:
            paths = [folder, *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
            os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
            replace_functions(module, compile(mutant, str(path), "exec"))
            return tested(tests)

        return in_child(work, seconds) == 0


def survivors(module: str) -> Iterator[Condition]:
    """The conditions of a module whose inversion no test of its gate notices."""
    path = Path(importlib.import_module(module).__file__ or "")
    # What is imported here once is imported in none of the children.
    tested(GATES[module], "--collect-only")
    as_is = reach(module, path)
    if as_is.code:
        raise SystemExit(f"the tests of {module} fail without any inversion")
    seconds = max(_LEAST, _TIMES * as_is.seconds)
    known = EQUIVALENT.get(module, {})
    for number, node in enumerate(conditions(ast.parse(path.read_text(encoding="utf-8")))):
        condition = Condition(number, node.lineno, ast.unparse(node))
        if condition.text in known:
            continue
        lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
        near = list(dict.fromkeys(test for line in lines for test in as_is.tests.get(line, ())))
        if near and not survives(module, path, number, near, seconds):
            continue
        files = sorted({test.partition("::")[0] for test in near}) or GATES[module]
        if survives(module, path, number, files, seconds):
            yield condition


def gone(module: str) -> list[str]:
    """Conditions that `EQUIVALENT` names of a module and that it no longer has."""
    path = Path(importlib.import_module(module).__file__ or "")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    present = {ast.unparse(condition) for condition in conditions(tree)}
    return sorted(set(EQUIVALENT.get(module, {})) - present)


def main(modules: list[str]) -> int:
    """Try every condition of the modules; 1 where one survives."""
    count = 0
    for module in modules or GATES:
        for text in gone(module):
            count += 1
            console.say(f"{module}: has no condition {text}")
        for condition in survivors(module):
            count += 1
            console.say(f"{module}:{condition.line}: survives: not ({condition.text})")
        console.say(f"{module}: done")
    console.say(f"{count} conditions are held by no test")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
