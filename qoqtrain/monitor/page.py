"""What the page of a run says, gathered and rendered; as one file that asks for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import qoqdata
from qoqdata.atomic import replacing
from qoqdata.dataset import Dataset
from qoqdata.drawing.markup import environment, style
from qoqdata.errors import QoqdataError
from qoqtrain.monitor.answered import AnsweredQuestion, Reader, answered_questions, parts_of
from qoqtrain.monitor.chart import HEIGHT, LEFT, WIDTH, DrawnPanel, drawn_panel
from qoqtrain.monitor.curves import panels
from qoqtrain.monitor.run_folder import RunFolder

PACKAGE = "qoqtrain.monitor"
#: What templates use beside what they are given.
FACTS: dict[str, Any] = {
    "width": WIDTH,
    "height": HEIGHT,
    "left": LEFT,
    "parts_of": parts_of,
}
#: Whose questions stand in a file: of sources whose terms allow it, all, none.
SampleChoice = Literal["open", "all", "none"]
_READERS: dict[SampleChoice | None, Reader] = {None: "server", "all": "house", "open": "outside"}


@dataclass(frozen=True)
class RunPage:
    """`facts` name and value; `step` whose `questions` are shown, of the `steps` that have any;
    `note` why there is no image where there is none."""

    name: str
    ended: bool
    facts: Sequence[tuple[str, str]]
    panels: Sequence[DrawnPanel]
    steps: Sequence[int]
    step: int | None
    questions: Sequence[AnsweredQuestion]
    note: str


def opened_dataset(folder: RunFolder, data: str | None) -> tuple[Dataset | None, str]:
    """The data set that a run was trained on, or lies now at `data`; without it why not."""
    place = data or folder.settings.get("data")
    if place is None:
        return None, "the run does not say what data set it learns from; --data names it"
    try:
        return qoqdata.open(str(place)), ""
    except QoqdataError as error:
        if data is not None:
            raise
        return None, f"{error}; --data says where the data set is now"


def run_page(
    folder: RunFolder,
    dataset: Dataset | None,
    note: str,
    *,
    step: int | None = None,
    choice: SampleChoice | None = None,
) -> RunPage:
    """The page of a run as it is now, with questions of `step` or of the latest that has any.

    `choice` says whose questions stand in a file; None is for the page that is served.

    Raises UsageError and DatasetError for files that cannot be read.
    """
    lines, steps = folder.lines(), folder.rollout_steps()
    shown = step if step in steps else (steps[-1] if steps else None)
    questions: list[AnsweredQuestion] = []
    if shown is not None and choice != "none":
        table = folder.rollouts(shown)
        reader = _READERS[choice]
        questions = answered_questions(table, dataset, reader=reader)
    return RunPage(
        name=folder.root.resolve().name,
        ended=folder.ended,
        facts=_facts(folder, lines),
        panels=[drawn_panel(panel) for panel in panels(lines)],
        steps=steps,
        step=shown,
        questions=questions,
        note=note,
    )


def static_page(page: RunPage) -> str:
    """The page as one file: no script, nothing from elsewhere, all text escaped."""
    template = environment(PACKAGE).get_template("static.html")
    return template.render(
        page=page,
        styles=(
            style("themes.css"),
            style("outlines.css"),
            style("page.css", "qoqdata.serving"),
            style("watch.css", PACKAGE),
        ),
        image_url=lambda question, number: question.figures[number].url,
        mask_url=lambda question, number: question.figures[number].mask_url,
        **FACTS,
    )


def write_page(html: str, path: Path, *, private: bool) -> None:
    """Write the page at `path`; with `private`, readable by its owner alone."""
    with replacing(path) as draft:
        draft.touch()
        if private:
            draft.chmod(0o600)
        draft.write_text(html, encoding="utf-8")


def _facts(folder: RunFolder, lines: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    settings = folder.settings
    last = lines[-1] if lines else {}
    facts = [("model", settings.get("model")), ("data", settings.get("data"))]
    facts += [("stage", settings.get("stage")), ("step", last.get("step"))]
    if (drpo := settings.get("drpo")) and settings.get("stage") == "drpo":
        facts.append(("DRPO preset", drpo.get("preset")))
    return [(name, str(value)) for name, value in facts if value is not None]
