"""The page of a report in a real browser: all of it is drawn, in both themes, and nothing is asked
for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import qoqdata
from tests.report_page.conftest import written

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
from tests.viewer.test_browser import browser, failures, photograph, wear

__all__ = ["browser"]

pytestmark = pytest.mark.slow

#: What lies over an image, against the image.
_RECTS = """return [...document.querySelectorAll('.sample .canvas:has(svg)')].map(canvas =>
    ['img', 'svg'].map(name => {
        const box = canvas.querySelector(name).getBoundingClientRect();
        return [box.x, box.y, box.width, box.height].map(Math.round);
    }))"""


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Any:
    dataset = written(tmp_path / "set")
    qoqdata.stats(dataset, prior=True)
    qoqdata.audit(dataset)
    path = qoqdata.report(dataset)
    browser.get(path.as_uri())
    return browser


def test_everything_is_drawn_and_nothing_asked_for(page: Any) -> None:
    loaded = "return [...document.images].map(i => i.complete && i.naturalWidth > 0)"
    drawn = page.execute_script(loaded)
    assert len(drawn) >= 4 and all(drawn)
    asked = "return performance.getEntriesByType('resource').map(e => e.name)"
    assert [name for name in page.execute_script(asked) if not name.startswith("data:")] == []
    assert failures(page) == []
    overlaid = page.execute_script(_RECTS)
    assert overlaid and all(image == over for image, over in overlaid)  # boxes lie on the pixels
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.execute_script(wide) == 0


def test_both_themes_can_be_read(page: Any) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    ink = "return getComputedStyle(document.body).color"
    seen = []
    for theme in ("light", "dark"):
        wear(page, theme)
        seen.append((page.execute_script(paper), page.execute_script(ink)))
        for section in ("sources", "curation", "labels", "samples"):
            page.execute_script(f"document.getElementById('{section}').scrollIntoView()")
            photograph(page, f"report-{section}-{theme}")
    assert seen[0] != seen[1]
