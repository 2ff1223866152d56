"""Markup of what is drawn, from templates in which text stays text."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from qoqdata.drawing.record_figures import Figure, Outline
from qoqdata.printable import printable

#: The address of what a mask covers, from its outline and the number of its colour.
MaskUrl = Callable[[Outline, int], str]


def shown_value(value: Any) -> Any:
    """Text of records as a person can be shown it; what is markup already is ours."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value, lines=True)
    return "" if value is None else value


def environment(*packages: str) -> Environment:
    """Templates of these packages and of this one; all that they are given is escaped."""
    loaders = [PackageLoader(name) for name in (*packages, "qoqdata.drawing")]
    return Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown_value,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def style(name: str, package: str = "qoqdata.drawing") -> Markup:
    """A style sheet of a package, to stand in a page."""
    return Markup((files(package) / "static" / name).read_text(encoding="utf-8"))


def figure_svg(figure: Figure, image_url: str, mask_url: MaskUrl, *, side: int) -> str:
    """An image with its outlines as an SVG of its own, `side` pixels on its longer side."""
    scale = side / max(figure.width, figure.height)
    size = (round(figure.width * scale), round(figure.height * scale))
    template = environment().get_template("figure.svg")
    return template.render(
        figure=figure,
        size=size,
        image_url=image_url,
        mask_url=mask_url,
        style=style("outlines.css"),
    )
