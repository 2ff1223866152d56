"""axe-core on a page in a browser: what keeps somebody with a keyboard or a screen reader out."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

#: Findings that count; `moderate` and `minor` ones are advice.
GRAVE = ("serious", "critical")
#: What axe is asked for: rules of WCAG 2 at the levels A and AA.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
_RUN = """
const [tags, done] = arguments;
axe.run(document, {runOnly: tags, resultTypes: ["violations"]})
  .then(({violations}) => done(violations.map(({id, impact, nodes}) => [
    id, impact, nodes.map((node) => `${node.target}: ${node.failureSummary}`)])))
  .catch((error) => done([["axe", "critical", [String(error)]]]));
"""


def axe_source() -> str:
    """The script of axe-core; skips the test where its package is not installed."""
    spec = find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        pytest.skip("axe-core-python is not installed: pip install 'qoqdata[dev]'")
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def grave_findings(page: Any, *, theme: str) -> list[str]:
    """A line for each grave finding on the page that the browser shows, in a theme."""
    emulated = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
    page.set_script_timeout(240)
    page.execute_script(axe_source())
    found = page.execute_async_script(_RUN, RULES)
    return [
        f"{theme} {page.current_url.rpartition('/')[2]}: {rule} ({impact}) {where}"
        for rule, impact, places in found
        if impact in GRAVE
        for where in places
    ]
