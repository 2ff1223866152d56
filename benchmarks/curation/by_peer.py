"""Pairs of files that a package holds for copies, and its CPU-seconds; for an environment that has
it: `python by_peer.py imagehash FOLDER`."""

from __future__ import annotations

import resource
import sys
import types
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

Pairs = Iterable[tuple[str, str]]


def imagehash(folder: Path) -> Pairs:
    """Perceptual hashes within 6 bits, all compared with all."""
    import imagehash as package
    import numpy as np
    from PIL import Image

    paths = sorted(folder.glob("*.png"))
    words = [int(str(package.phash(Image.open(path))), 16) for path in paths]
    hashes = np.array(words, np.uint64)
    for number, word in enumerate(hashes[:-1]):
        near = np.flatnonzero(np.bitwise_count(hashes[number + 1 :] ^ word) <= 6)
        yield from ((paths[number].name, paths[number + 1 + other].name) for other in near)


def cleanvision(folder: Path) -> Pairs:
    """Its sets of exact and near duplicates, as it is set by default."""
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(folder))
    kinds = "exact_duplicates", "near_duplicates"
    lab.find_issues({kind: {} for kind in kinds}, n_jobs=1, verbose=False)
    for kind in kinds:
        for one in lab.info[kind]["sets"]:
            yield from combinations(sorted(Path(path).name for path in one), 2)


def imagededup(folder: Path) -> Pairs:
    """Its perceptual hash within 10 bits, as it is set by default."""
    # Its networks need torch, and are not asked.
    for module, name in (("methods.cnn", "CNN"), ("utils.models", "CustomModel")):
        stub = types.ModuleType(f"imagededup.{module}")
        setattr(stub, name, None)
        sys.modules[stub.__name__] = stub
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(
        image_dir=str(folder), search_method="bktree", num_enc_workers=0, num_dist_workers=0
    )
    return sorted({(min(a, b), max(a, b)) for a, others in found.items() for b in others})


PEERS = {one.__name__: one for one in (imagehash, cleanvision, imagededup)}

if __name__ == "__main__":
    pairs = sorted(set(PEERS[sys.argv[1]](Path(sys.argv[2]))))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lines = [f"PAIR\t{one}\t{other}" for one, other in pairs]
    sys.stdout.write("\n".join([*lines, f"CPU\t{usage.ru_utime + usage.ru_stime}\n"]))
