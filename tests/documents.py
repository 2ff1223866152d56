"""The documents of the repository and their fenced snippets, and a reader who tries them."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qoqdata.sources.catalogue import GROUP
from qoqdata.yaml_document import parse_yaml

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))

#: A fenced block, and why it is not run.
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\S*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_PROMPT = "$ "
#: Ways to start the same command on many processes; a reader with one processor leaves them away.
_LAUNCHER = re.compile(r"^torchrun .*?--no-python ")


@dataclass(frozen=True)
class Snippet:
    """A fenced block; `reason` says why it is not run, if it is not."""

    path: Path
    line: int
    language: str
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"


def snippets(path: Path) -> list[Snippet]:
    """All fenced blocks of a document, in order."""
    content = path.read_text(encoding="utf-8")
    return [
        Snippet(
            path,
            content.count("\n", 0, match.start("text")),
            match["language"],
            match["text"],
            match["reason"],
        )
        for match in FENCE.finditer(content)
    ]


def command_lines(snippet: Snippet) -> Iterator[str]:
    """The commands of a console or shell snippet; lines that end in a backslash are joined."""
    return (line for line, _ in commands_and_outputs(snippet))


def commands_and_outputs(snippet: Snippet) -> list[tuple[str, list[str]]]:
    """Each command of a snippet, and the lines that a console snippet shows below it."""
    pairs: list[tuple[str, list[str]]] = []
    for line in snippet.text.replace("\\\n", " ").splitlines():
        if snippet.language == "bash" and line.strip():
            pairs.append((line, []))
        elif line.startswith(_PROMPT):
            pairs.append((line.removeprefix(_PROMPT), []))
        elif pairs:
            pairs[-1][1].append(line)
    return pairs


def is_shown(output: str, shown: list[str]) -> bool:
    """Whether `shown` is all of an output; its line `...` stands for any lines, also for none."""
    parts = [r"(?:.*\n)*" if line == "..." else re.escape(line) + r" *\n" for line in shown]
    return re.fullmatch("".join(parts), f"{output.rstrip()}\n") is not None


@dataclass
class Reader:
    """Runs the snippets of one document from top to bottom, in the current folder.

    commands   what to call with the arguments of each command line; gives its standard output
    stand_ins  what the document names and a test does not have, and what stands for it
    additions  arguments that make a command small, by how it starts
    files      for a key of a YAML snippet: what to put before it, the file it is, and a command
               that reads it
    names      what the Python snippets find defined
    """

    commands: dict[str, Callable[[list[str]], str]]
    stand_ins: dict[str, str] = field(default_factory=dict)
    additions: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)

    def run(self, snippet: Snippet) -> None:
        """Run a snippet; what fails raises, and so does a language that nothing runs."""
        match snippet.language:
            case "python":
                # Line numbers in a traceback are those of the document.
                code = "\n" * snippet.line + self._here(snippet.text)
                exec(compile(code, str(snippet.path), "exec"), self.names)
            case "console" | "bash":
                for line, shown in commands_and_outputs(snippet):
                    output = self.execute(line)
                    assert not shown or is_shown(output, shown), f"{line} prints\n{output}"
            case "yaml":
                self._try_file(snippet.text)
            case "toml":
                assert GROUP in tomllib.loads(snippet.text)["project"]["entry-points"]
            case "":
                pass  # a listing
            case language:
                raise AssertionError(f"nothing runs {language!r}: {snippet}")

    def check(self, snippet: Snippet) -> None:
        """What holds for a snippet that is not run: names and options exist."""
        if snippet.language == "python":
            for node in ast.walk(ast.parse(snippet.text)):
                if isinstance(node, ast.ImportFrom) and str(node.module).startswith("qoq"):
                    module = importlib.import_module(str(node.module))
                    assert all(hasattr(module, alias.name) for alias in node.names), str(snippet)
        elif snippet.language in ("console", "bash"):
            for line in command_lines(snippet):
                name, *arguments = shlex.split(_LAUNCHER.sub("", line), comments=True)
                if name in self.commands:
                    # Options that do not exist are refused before the help is shown.
                    self.commands[name]([*arguments, "--help"])

    def execute(self, line: str) -> str:
        """Run one command line; its standard output, which may go to a file as well."""
        words = shlex.split(_LAUNCHER.sub("", self._here(line)), comments=True)
        target = None
        if ">" in words:
            *words, _, target = words
        name, *arguments = words
        assert name in self.commands, f"nothing runs {line!r}; mark it, and say why"
        for start, further in self.additions.items():
            if " ".join(words).startswith(start):
                arguments += further
        output = self.commands[name](arguments)
        if target:
            Path(target).write_text(output, encoding="utf-8")
        return output

    def _here(self, text: str) -> str:
        for far, near in self.stand_ins.items():
            text = text.replace(far, near)
        return text

    def _try_file(self, text: str) -> None:
        for key, (before, name, command) in self.files.items():
            if key in parse_yaml(text, where="snippet"):
                Path(name).write_text(self._here(before + text), encoding="utf-8")
                self.execute(command)
                return
        raise AssertionError(f"nothing reads this YAML:\n{text}")
