"""A made-up NIH ChestX-ray14: films in numbered folders, two tables and two lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import write_csv, write_png, write_text

from ..phantom import ZONES, chest_film
from .source import BOXES, CORNER, SIDE, TABLES

FINDINGS = (
    *("Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Effusion", "Emphysema", "Fibrosis"),
    *("Hernia", "Infiltration", "Mass", "Nodule", "Pleural_Thickening", "Pneumonia"),
    "Pneumothorax",
)
#: As the table of boxes spells them.
BOXED = {"Infiltration": "Infiltrate"} | {
    name: name
    for name in (
        *("Atelectasis", "Cardiomegaly", "Effusion", "Mass", "Nodule", "Pneumonia"),
        "Pneumothorax",
    )
}
#: Films of a patient, a quarter of the patients is the test part, and pixels of a side.
PER_PATIENT, TEST_EVERY, SHOWN = 3, 4, 64
#: Half of a box, of the side.
HALF = 0.1
QUIRKS = {
    "missing_file": "a row whose film was not fetched",
    "missing_key": "a film that no row names; one that is in no list",
    "bad_table": "No Finding beside a finding",
    "duplicate_key": "a film that lies in two folders",
    "unreadable_file": "a film that was cut",
}


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` films; opacities lie where the boxes are. With quirks each fault of QUIRKS, an age of 414
    years, and a box over the edge."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, object]] = []
    boxes: list[tuple[object, ...]] = []
    parts: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    for number in range(n):
        patient, follow_up = divmod(number, PER_PATIENT)
        name = f"{patient + 1:08}_{follow_up:03}.png"
        count = number % 3 if number >= len(FINDINGS) else 1
        picked = [FINDINGS[(number + k) % len(FINDINGS)] for k in range(count)]
        zones = rng.permutation(list(ZONES))[: len(picked)]
        for label, zone in zip(picked, zones, strict=True):
            if label in BOXED and number % 2 == 0:
                row, column = ZONES[str(zone)]
                corner = (SIDE * (column - HALF), SIDE * (row - HALF), 2 * HALF * SIDE)
                boxes.append((name, BOXED[label], *corner, 2 * HALF * SIDE))
        film = chest_film(rng, (SHOWN, SHOWN), dict.fromkeys(map(str, zones), 0.7))
        write_png(out / f"images_{number // 200 + 1:03}" / "images" / name, film)
        rows.append(
            {
                "Image Index": name,
                "Finding Labels": "|".join(picked) or "No Finding",
                "Follow-up #": follow_up,
                "Patient ID": patient + 1,
                "Patient Age": int(rng.integers(1, 95)),
                "Patient Gender": "MF"[patient % 2],
                "View Position": ("PA", "AP")[number % 2],
                "OriginalImage[Width": 2500,
                "Height]": 2048,
                "OriginalImagePixelSpacing[x": 0.168,
                "y]": 0.168,
            }
        )
        part = "test_list.txt" if patient % TEST_EVERY == TEST_EVERY - 1 else "train_val_list.txt"
        parts[part].append(name)
    if quirks:
        _break(out, rows, boxes, parts["train_val_list.txt"])
    write_csv(out / TABLES[0], rows)
    columns = ("Image Index", "Finding Label", *CORNER)
    write_csv(out / BOXES, [dict(zip(columns, box, strict=True)) for box in boxes], columns=columns)
    for list_name, names in parts.items():
        write_text(out / list_name, "\n".join(names) + "\n")


def _break(
    out: Path,
    rows: list[dict[str, object]],
    boxes: list[tuple[object, ...]],
    listed: list[str],
) -> None:
    folder = out / "images_001" / "images"
    films = sorted(folder.iterdir())
    films[0].unlink()
    films[1].write_bytes(films[1].read_bytes()[:300])
    write_png(out / "images_002" / "images" / films[2].name, np.full((SHOWN, SHOWN), 90, np.uint8))
    rows[3]["Finding Labels"] = "No Finding|Hernia"
    films[4].rename(folder / "00099999_000.png")
    del rows[4]
    listed.remove(str(rows[4]["Image Index"]))
    rows[5]["Patient Age"] = 414
    boxes.append((rows[6]["Image Index"], "Mass", 900.0, 900.0, 200.0, 200.0))
    rows[6]["Finding Labels"] = "Mass"
