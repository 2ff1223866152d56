"""Inverts every condition of the gates, one after another, and tells which no test notices.

    .venv/bin/python -m tests.attacks.invert_gates [MODULE ...]

Each mutant is a process of its own, in which one `if`, `and` part or comprehension condition of a
gate is turned round before its tests run. Exit 1 where one survives.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import importlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType

import pytest

from qoqdata import console

#: Modules that decide what may leave and what is believed, and the tests that hold them.
GATES = {
    "qoqdata.publication.licences": ["tests/attacks/test_gates.py", "tests/publication"],
    "qoqdata.publication.release": ["tests/attacks/test_gates.py", "tests/publication"],
    "qoqdata.publication.privacy": ["tests/publication/test_privacy.py", "tests/attacks"],
    "qoqdata.publication.recipe": ["tests/attacks", "tests/publication/test_rebuild.py"],
    "qoqdata.publication.rebuild": ["tests/attacks", "tests/publication/test_rebuild.py"],
    "qoqdata.remote.integrity": ["tests/attacks", "tests/stream/test_bad_rows.py"],
    "qoqdata.remote.links": ["tests/attacks"],
    "qoqdata.contract.manifest": ["tests/attacks", "tests/contract"],
    "qoqtrain.rollout.server": [
        "tests/attacks/test_rollout_server.py",
        "tests/qoqtrain/rollout/test_vllm.py",
    ],
}


def conditions(tree: ast.AST) -> Iterator[ast.expr]:
    """The conditions of a module, in order: whole ones, and each part of `and` and `or`."""
    for node in ast.walk(tree):
        tests: list[ast.expr] = []
        if isinstance(node, ast.If | ast.IfExp | ast.While):
            tests = [node.test]
        elif isinstance(node, ast.comprehension):
            tests = node.ifs
        elif isinstance(node, ast.BoolOp):
            tests = node.values
        yield from tests


class _Inverted(ast.NodeTransformer):
    """Puts `not` before the condition of a number."""

    def __init__(self, tree: ast.AST, number: int) -> None:
        self.target = list(conditions(tree))[number]

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


def survives(module: str, number: int) -> bool:
    """Whether the tests of the gate pass with its condition of that number inverted."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    path = Path(importlib.import_module(module).__file__ or "")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    mutant = ast.fix_missing_locations(_Inverted(tree, number).visit(tree))
    replace_functions(module, compile(mutant, str(path), "exec"))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not slow"]
        code = pytest.main([*options, *GATES[module]])
    os._exit(int(code))


def main(modules: list[str]) -> int:
    """Try every condition of the modules; the number of survivors is at most 1 as exit code."""
    survivors = 0
    for module in modules or GATES:
        path = Path(importlib.import_module(module).__file__ or "")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for number, condition in enumerate(conditions(copy.deepcopy(tree))):
            if survives(module, number):
                survivors += 1
                console.say(f"{path}:{condition.lineno}: survives: not ({ast.unparse(condition)})")
    console.say(f"{survivors} conditions are held by no test")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
