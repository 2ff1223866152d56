"""Functional groups of enhanced multi-frame objects (PS3.3 C.7.6.16)."""

from __future__ import annotations

from pydicom.dataset import Dataset

from qoqdata.readers.dicom import elements


def group(dataset: Dataset, frame: int, macro: str) -> Dataset | None:
    """The first item of a macro's sequence for a 0-based frame: its own, else the shared one.

    None when neither holds it. Raises UnreadableFile when a sequence is damaged.
    """
    for keyword, index in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        groups = elements.item(dataset, keyword, index)
        macro_item = None if groups is None else elements.item(groups, macro)
        if macro_item is not None:
            return macro_item
    return None


def holder(dataset: Dataset, frame: int, macro: str, keyword: str) -> Dataset:
    """The dataset that carries `keyword` for a frame: the macro's item, else `dataset` itself."""
    macro_item = group(dataset, frame, macro)
    return macro_item if macro_item is not None and keyword in macro_item else dataset
