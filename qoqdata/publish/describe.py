"""The pages of a release for people and machines, from its manifest, cards and statistics."""

from __future__ import annotations

from qoqdata.dataset import Dataset


def describe(release: Dataset, url: str) -> None:
    """Write README.md, croissant.json and figures into the release's folder."""
