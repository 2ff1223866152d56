"""What a process that converts takes of its machine: one core, and memory that it keeps.

Images come and go by the thousand. OpenCV's threads wait for each other at each of them, and the
C library gives every large block back to the system, which clears the pages anew for the next
image: together up to a third of a build's time.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

#: Of glibc's malloc.h: how much free memory stays, and from which size on a block is of its own.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: As large as a film with all that is made of it; the second is the most that glibc takes.
_KEPT_BYTES, _OWN_BLOCK_BYTES = 128 * 2**20, 32 * 2**20


def settle() -> None:
    """For a process that only converts: one core for good, and `keep_memory`."""
    import cv2

    cv2.setNumThreads(1)
    keep_memory()


def keep_memory() -> None:
    """For a process of our own: freed memory, up to 128 MB, is kept for the next image.

    It stays so until the process ends. Only glibc has these settings; elsewhere nothing changes.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_MMAP_THRESHOLD, _OWN_BLOCK_BYTES)


@contextmanager
def converting() -> Iterator[None]:
    """OpenCV takes one core inside, for what is parallel are workers, and the garbage collector
    does not walk again and again what was there before."""
    import cv2

    threads, frozen = cv2.getNumThreads(), gc.get_freeze_count()
    cv2.setNumThreads(1)
    if not frozen:
        gc.freeze()
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        if not frozen:  # What somebody else has frozen stays so.
            gc.unfreeze()
