"""Pairs of files within 6 bits by imagehash, brute force; for an environment that has it."""

import resource
import sys
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

RADIUS = 6

paths = sorted(Path(sys.argv[1]).glob("*.png"))
words = [int(str(imagehash.phash(Image.open(path))), 16) for path in paths]
hashes = np.array(words, np.uint64)
for number, word in enumerate(hashes[:-1]):
    near = np.flatnonzero(np.bitwise_count(hashes[number + 1 :] ^ word) <= RADIUS)
    for other in near:
        sys.stdout.write(f"{paths[number].name}\t{paths[number + 1 + other].name}\n")
usage = resource.getrusage(resource.RUSAGE_SELF)
sys.stdout.write(f"{usage.ru_utime + usage.ru_stime}\n")
