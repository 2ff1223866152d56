"""A made-up ISIC 2020: JPEG images in train/, the table of labels and the list of duplicates."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_jpeg

from ..phantom import lesion_on_skin

DIAGNOSES = (
    "nevus",
    "melanoma",
    "seborrheic keratosis",
    "unknown",
    "lentigo NOS",
    "lichenoid keratosis",
    "solar lentigo",
    "cafe-au-lait macule",
    "atypical melanocytic proliferation",
)
SITES = ("torso", "head/neck", "lower extremity", "upper extremity", "palms/soles", "oral/genital")
#: Images of a patient; 16 in the real set.
PER_PATIENT = 3
#: One image of so many is a copy of the one before it.
PER_COPY = 6
QUIRKS = {
    "missing_file": "a row whose image was not fetched",
    "missing_key": "an image that no row names",
    "bad_table": "columns that contradict each other; a row without patient",
    "bad_label": "duplicates of which one is malignant",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` images, some of them twice under two names. With quirks: each fault of QUIRKS, blank
    cells, and images of the challenge's test."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    pairs: list[dict[str, object]] = []
    names = [f"ISIC_{number}" for number in rng.choice(9_000_000, n + 1, replace=False) + 100_000]
    for number in range(n):
        row = _row(rng, names[number], number)
        if number % PER_COPY == PER_COPY - 1:
            row = rows[-1] | {"image_name": names[number], "patient_id": row["patient_id"]}
            pairs.append({"image_name_1": names[number - 1], "image_name_2": names[number]})
        else:
            malignant = row["benign_malignant"] == "malignant"
            shape = (int(rng.integers(40, 60)), int(rng.integers(48, 72)))
            pixels = lesion_on_skin(rng, shape, malignant=malignant)
        rows.append(row)
        if not (quirks and number == 0):
            write_jpeg(out / "train" / f"{names[number]}.jpg", pixels)
    if quirks:
        _break(out, rows, pairs, names[n], pixels)
    columns = ["image_name_1", "image_name_2"]
    write_csv(out / "ISIC_2020_Training_Duplicates.csv", pairs, columns=columns)
    write_csv(out / "ISIC_2020_Training_GroundTruth_v2.csv", rows)


def _row(rng: np.random.Generator, name: str, number: int) -> dict[str, object]:
    diagnosis = DIAGNOSES[number % len(DIAGNOSES)]
    malignant = diagnosis == "melanoma"
    return {
        "image_name": name,
        "patient_id": f"IP_{number // PER_PATIENT:07}",
        "lesion_id": f"IL_{number:07}",
        "sex": str(rng.choice(["male", "female"])),
        "age_approx": f"{5 * int(rng.integers(3, 19))}.0",
        "anatom_site_general_challenge": SITES[number % len(SITES)],
        "diagnosis": diagnosis,
        "benign_malignant": "malignant" if malignant else "benign",
        "target": int(malignant),
    }


def _break(
    out: Path,
    rows: list[dict[str, object]],
    pairs: list[dict[str, object]],
    stray: str,
    pixels: np.ndarray,
) -> None:
    write_jpeg(out / "train" / f"{stray}.jpg", pixels)
    write_jpeg(out / "test" / "ISIC_0052060.jpg", pixels)
    rows[2]["target"] = 1
    rows[3]["patient_id"] = None
    rows[6] |= {"sex": None, "age_approx": None, "anatom_site_general_challenge": None}
    if len(pairs) > 2:
        # The later of a benign pair.
        rows[3 * PER_COPY - 1] |= {
            "diagnosis": "melanoma",
            "benign_malignant": "malignant",
            "target": 1,
        }
