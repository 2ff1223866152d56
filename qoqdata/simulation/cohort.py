"""Patients whom several made-up sources have: what one says of them, the others say too."""

from __future__ import annotations

_SPLITS = ("train", "train", "validate", "test")


def official_split(patient: int) -> str:
    """The split of a patient in MIMIC-CXR's list, which simulators of all parts of MIMIC write.

    It depends on the subject id alone, so that sources made apart agree on a patient they share.
    """
    return _SPLITS[patient % len(_SPLITS)]
