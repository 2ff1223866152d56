"""A made-up HAM10000: photographs of lesions in two folders, their masks, and the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import blob, write_csv, write_jpeg, write_png

from ..phantom import skin_around

#: As often as the real ones, nearly.
DIAGNOSES = ("nv", "mel", "nv", "bkl", "nv", "bcc", "nv", "akiec", "vasc", "df")
SITES = ("back", "face", "lower extremity", "abdomen", "unknown", "scalp")
CONFIRMED = ("histo", "follow_up", "consensus", "confocal")
FIRST = 24306
QUIRKS = {
    "missing_file": "a row whose photograph, and one whose mask was not fetched",
    "missing_key": "a photograph that no row names",
    "bad_label": "a diagnosis in another word",
    "unreadable_file": "a photograph that was cut",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` photographs, two of every third lesion. With quirks each fault of QUIRKS."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    for number in range(n):
        name = f"ISIC_{FIRST + number:07}"
        again = number % 3 == 1
        person = {"age": f"{5 * int(rng.integers(2, 17))}.0", "sex": ("male", "female")[number % 2]}
        if number % 9 == 8:
            person = {"age": "", "sex": "unknown"}
        dx = DIAGNOSES[(number - again) // 3 % len(DIAGNOSES)]
        row: dict[str, object] = {
            "lesion_id": f"HAM_{(number - again):07}",
            "image_id": name,
            "dx": dx,
            "dx_type": CONFIRMED[number % len(CONFIRMED)],
        }
        rows.append(row | person | {"localization": SITES[number % len(SITES)]})
        lesion = blob(rng, (45, 60))
        part = "HAM10000_images_part_1" if number < n // 2 else "HAM10000_images_part_2"
        write_jpeg(out / part / f"{name}.jpg", skin_around(rng, lesion, malignant=dx == "mel"))
        mask = out / "HAM10000_segmentations_lesion_tschandl" / f"{name}_segmentation.png"
        write_png(mask, lesion)
    if quirks:
        _break(out, rows)
    write_csv(out / "HAM10000_metadata.csv", rows)


def _break(out: Path, rows: list[dict[str, object]]) -> None:
    photographs = sorted(out.glob("*part*/*.jpg"))
    photographs[0].unlink()
    next(out.glob(f"*/{photographs[1].stem}_segmentation.png")).unlink()
    photographs[2].write_bytes(photographs[2].read_bytes()[:200])
    rows[3]["dx"] = "melanoma in situ"
    del rows[4]
