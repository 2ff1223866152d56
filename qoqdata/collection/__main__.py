"""Write the page of a shipped collection, docs/NAME.md below the folder it is run in."""

import sys
from pathlib import Path

from qoqdata.collection.collection import load_collection
from qoqdata.collection.counts_page import counts_page
from qoqdata.sources.catalogue import cards

if __name__ == "__main__":
    for name in sys.argv[1:]:
        page = counts_page(load_collection(name), cards())
        Path("docs", f"{name}.md").write_text(page, encoding="utf-8")
