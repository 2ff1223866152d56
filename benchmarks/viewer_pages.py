"""The viewer of a large set through HTTP and Chromium: first paint, filters, sorts, searches.

    python -m benchmarks.viewer_pages [--records 2610000] [--set FOLDER]

The table is that of `benchmarks.viewer`; with `--set` the records of a set on disk are looked at,
and loading them is measured too. Each query is asked twice: first it is answered, then remembered.
CPU-seconds are of the server with its client; first paint and the end of the answer are what
Chromium tells, in seconds of the clock on this machine as busy as it is; so is the time until all
thumbnails in the window are drawn, which only a set on disk has. Memory is the most that
the process took.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import numpy as np

import qoqdata
from benchmarks.viewer import made_up
from qoqdata import console
from qoqdata.dataset import Dataset
from qoqdata.serving.server import bound
from qoqdata.viewer.app import app_of
from qoqdata.viewer.half_built import open_half_built
from qoqdata.viewer.media import MediaReader
from qoqdata.viewer.record_index import RecordIndex, index_of, read_index
from qoqdata.viewer.selection import Selections
from qoqdata.viewer.viewed import Viewed

#: Queries of the made-up table, each of them new to the server when it is asked first.
QUERIES = {
    "all records, sorted the other way": "?desc=1",
    "filter by domain": "?domain=ct",
    "three filters": "?domain=ct&domain=mri&split=train&sex=female",
    "label": "?label=finding+7",
    "sort by age for the first time": "?sort=age",
    "sort by age, filtered": "?sort=age&desc=1&split=test",
    "page 20,000": "?page=20000&split=train",
    "search: most reports": "?q=effusion",
    "search: few reports": "?q=299999",
    "search: two words and a filter": "?q=small+heart&split=train",
}
#: What Chromium asks, new to the server as well.
PAGES = {
    "first page": "",
    "page 500": "?page=500",
    "sort by age": "?sort=age&desc=1",
    "filter": "?domain=fundus&sex=male",
    "sort": "?sort=images&desc=1",
    "search": "?q=right+299998",
}
_DRAWN = """
const done = arguments[0];
const seen = (image) => {
  const place = image.getBoundingClientRect();
  return place.top < innerHeight && place.bottom > 0;
};
const look = () => {
  const images = [...document.querySelectorAll(".card img")].filter(seen);
  if (images.every((image) => image.complete)) done(performance.now() / 1000);
  else setTimeout(look, 20);
};
look();
"""
_PAINTED = """
const done = arguments[0];
const look = () => {
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  const [page] = performance.getEntriesByType("navigation");
  if (paint) done([paint.startTime / 1000, page.responseEnd / 1000]);
  else setTimeout(look, 20);
};
look();
"""


def main() -> None:
    """Print seconds and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_610_000)
    parser.add_argument("--set", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began, clock = time.process_time(), time.perf_counter()
        dataset, index = _index(asked.set, asked.records, Path(folder))
        loaded = (time.process_time() - began, time.perf_counter() - clock)
        viewed = Viewed(dataset, index, Selections(index), MediaReader(dataset, index))
        with _served(viewed) as (opener, root, url):
            rows = [_asked(opener, f"{root}{place}", name) for name, place in QUERIES.items()]
            painted = _painted(url, root)
    made = "" if asked.set else ", with making the table"
    console.say(f"{len(index):,} records: {loaded[0]:.1f} CPU s, {loaded[1]:.1f} s to load{made}")
    texts = sum(one.values.estimated_size() + one.codes.nbytes for one in index.texts.values())
    console.say(f"texts that are searched: {texts / 2**20:.0f} MiB")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.say(f"processes that want to run: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} cores")
    console.say(f"memory of the process at most: {most:.2f} GiB")
    console.table(("query", "CPU s", "s", "again s", "KiB"), rows)
    console.table(
        ("Chromium", "first paint s", "answered s", "thumbnails s", "CPU s with these"), painted
    )


def _index(root: Path | None, records: int, folder: Path) -> tuple[Dataset, RecordIndex]:
    if root is not None:
        dataset = qoqdata.open(root)
        return dataset, read_index(dataset)
    index = index_of(made_up(records))
    # There are no shards, so nothing is drawn; thumbnails come after the first paint in any case.
    index.numbers["images"] = np.zeros(len(index), np.float32)
    index.signals = np.zeros(len(index), bool)
    return open_half_built(folder), index


@contextmanager
def _served(viewed: Viewed) -> Iterator[tuple[OpenerDirector, str, str]]:
    """A client that opened the printed URL, where the pages lie, and the URL."""
    server, url = bound(lambda gate: app_of(lambda: viewed, gate, "ana"), command="benchmark")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        with opener.open(url) as first:
            root = first.geturl()
        yield opener, root, url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _asked(opener: OpenerDirector, place: str, name: str) -> tuple[Any, ...]:
    times, size = [], 0
    for _ in range(2):
        began, clock = time.process_time(), time.perf_counter()
        with opener.open(place) as answer:
            size = len(answer.read())
        times.append((time.process_time() - began, time.perf_counter() - clock))
    return name, times[0][0], times[0][1], times[1][1], size // 1024


def _painted(url: str, root: str) -> list[tuple[str, float, float, float, float]]:
    from selenium import webdriver

    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        return []
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1000"):
        options.add_argument(flag)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as page:
        page.set_script_timeout(120)
        page.get(url)
        rows = []
        for name, place in PAGES.items():
            began = time.process_time()
            page.get(f"{root}{place}")
            first, answered = page.execute_async_script(_PAINTED)
            drawn = page.execute_async_script(_DRAWN)
            rows.append((name, first, answered, drawn, time.process_time() - began))
    return rows


if __name__ == "__main__":
    main()
