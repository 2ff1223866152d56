"""The documentation as a site: `python docs/website.py [FOLDER]`, with the extra `docs`.

Pages are docs/*.md, the notebooks, and the files of the top level that `PAGES` names. Links between
them are written as a code host follows them, and become those of the site. The build is strict: a
link or anchor that leads nowhere, a name that the API lacks, or a page that would fetch something
from elsewhere is an error.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
#: What each page outside of docs/ is called in the site.
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
PICTURES = ("*.png", "*.svg")

#: A relative link or picture of Markdown: its target, without the anchor.
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
#: Why a snippet is not run is for the tests; between it and its fence there is no blank line.
_NOT_RUN = re.compile(r"^<!-- (?:not run: .*?|test) -->\n", re.MULTILINE | re.DOTALL)
#: What a browser fetches to show a page; links that a reader follows are none of it.
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\b(?:src|data)=[\"']?"
    r"(?:https?:)?//[^\"'>]+"
    r"|<link\b(?![^>]*rel=[\"']?canonical)[^>]*href=[\"']?(?:https?:)?//[^\"'>]+"
    r"|url\([\"']?(?:https?:)?//[^)]+|@import\s+[\"'](?:https?:)?//[^\"']+"
)


def stage(folder: Path) -> None:
    """Write into `folder` all pages, as the site has them, and their pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in (*sorted(DOCS.glob("*.md")), *(ROOT / name for name in PAGES)):
        text = _NOT_RUN.sub("", path.read_text(encoding="utf-8"))
        (folder / site_name(path)).write_text(_with_site_links(text, path), encoding="utf-8")
    for path in sorted((DOCS / "notebooks").glob("*.ipynb")):
        target = folder / path.relative_to(DOCS).with_suffix(".md")
        target.parent.mkdir(exist_ok=True)
        target.write_text(notebook_page(path), encoding="utf-8")
    for pattern in PICTURES:
        for path in DOCS.rglob(pattern):
            target = folder / path.relative_to(DOCS)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)


def notebook_page(path: Path) -> str:
    """A notebook as Markdown: its texts and its code, which tests run; it has no outputs."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts = ["".join(cell["source"]) for cell in cells]
    return "\n\n".join(
        part if cell["cell_type"] == "markdown" else f"```python\n{part}\n```"
        for cell, part in zip(cells, parts, strict=True)
    )


def site_name(path: Path) -> str:
    """Where a file of the repository is in the site; KeyError for one that is not part of it."""
    if path.is_relative_to(DOCS):
        page = path.with_suffix(".md") if path.suffix == ".ipynb" else path
        return page.relative_to(DOCS).as_posix()
    return PAGES[path.relative_to(ROOT).as_posix()]


def _with_site_links(text: str, path: Path) -> str:
    def target(match: re.Match[str]) -> str:
        linked = (path.parent / match[1]).resolve()
        try:
            return site_name(linked)
        except (KeyError, ValueError):
            raise SystemExit(f"{path.name}: {match[1]} is no page; name the file in code") from None

    return _LINK.sub(target, text)


def foreign_requests(site: Path) -> list[str]:
    """What pages and styles of a built site would fetch from elsewhere, each with its file."""
    return [
        f"{path.relative_to(site)}: {match[0]}"
        for pattern in ("*.html", "*.css")
        for path in sorted(site.rglob(pattern))
        for match in _FETCHED.finditer(path.read_text(encoding="utf-8"))
    ]


def build(site: Path) -> None:
    """Write the site into the folder `site`; SystemExit for any warning."""
    os.environ["NO_MKDOCS_2_WARNING"] = "1"  # The extra pins MkDocs 1.
    from mkdocs.commands.build import build as build_site
    from mkdocs.config import load_config

    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        config = load_config(
            str(ROOT / "mkdocs.yml"), docs_dir=folder, site_dir=str(site), strict=True
        )
        build_site(config)
    if requests := foreign_requests(site):
        raise SystemExit("\n".join(["pages would fetch from elsewhere:", *requests]))


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    parser = argparse.ArgumentParser(description="Build the documentation.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "site")
    target = parser.parse_args().folder.resolve()
    build(target)
    sys.stdout.write(f"{target / 'index.html'}\n")
