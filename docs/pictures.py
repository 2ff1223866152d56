"""The pictures of the tutorial: `python docs/pictures.py` does what it says, and photographs it.

Needs the extras `dev` and `view`, and chromium and chromedriver on the PATH. Look at what it made.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

import qoqdata

DOCS = Path(__file__).resolve().parent
PICTURES = DOCS / "pictures"
_WINDOW = (1100, 900)
_COLOURS = 64


def make_set(folder: Path) -> Path:
    """The set of the tutorial, as it is when the viewer is opened, built in `folder`."""
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    films, table = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[:2]
    (folder / "make.py").write_text(f"{films}\n{table}", encoding="utf-8")
    subprocess.run([sys.executable, "make.py"], cwd=folder, check=True)
    mapping = folder / "films.yaml"
    mapping.write_text(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    qoqdata.build("image_table", raw=folder / "films", mapping=mapping, out=folder / "set")
    return folder / "set"


def photograph(dataset: Path) -> None:
    """Write grid.png and record.png: the films with an opacity, and one of them."""
    command = [sys.executable, "-m", "qoqdata", "view", str(dataset), "--author", "reader"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer:
        options = webdriver.ChromeOptions()
        for argument in ("headless=new", "no-sandbox", "hide-scrollbars"):
            options.add_argument(f"--{argument}")
        browser = webdriver.Chrome(options=options)
        try:
            assert viewer.stdout is not None
            browser.set_window_size(*_WINDOW)
            browser.get(viewer.stdout.readline().strip())
            browser.get(f"{browser.current_url}?label=Lung+opacity")
            _save(browser, "grid")
            record = browser.find_element(By.CSS_SELECTOR, "a[href*='/record/']")
            browser.get(str(record.get_attribute("href")))
            _save(browser, "record")
        finally:
            browser.quit()
            viewer.terminate()


def _save(browser: webdriver.Chrome, name: str) -> None:
    """A picture of the page with a few colours, once all of its images have come."""
    ready = "return [...document.images].every(i => i.complete && i.naturalWidth)"
    WebDriverWait(browser, 30).until(lambda page: page.execute_script(ready))
    picture = Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    picture = picture.quantize(_COLOURS, dither=Image.Dither.NONE)
    picture.save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.environ["QOQDATA_SALT_FILE"] = str(Path(work) / "salt")
        photograph(make_set(Path(work)))
