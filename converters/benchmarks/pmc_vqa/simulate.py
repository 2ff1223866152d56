"""A made-up PMC-VQA: figures, and the table of its newer test part."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qoqdata.simulation import photograph, write_csv, write_jpeg

WORDS = ("liver", "kidney", "spleen", "heart", "lung", "bowel")

#: Reasons of the quarantine that quirks lead to.
QUIRKS = ("bad_label", "bad_table", "missing_file", "unreadable_file")


def simulate(out: Path, n: int, *, seed: int = 0, quirks: bool = False) -> None:
    """`n` questions, two a figure. With quirks: options that print their letters, a figure lost
    and one cut, an answer that is no letter, an empty question, options that repeat.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(n):
        figure = f"PMC{1000 + number // 2}_F1.jpg"
        if number % 2 == 0:
            write_jpeg(out / "figures" / figure, photograph(rng, (72, 64)))
        words = [str(word) for word in rng.permutation(WORDS)[:4]]
        answer = "ABCD"[int(rng.integers(4))]
        caption = f"Figure 1. The {words['ABCD'.index(answer)]} after staining."
        if quirks and number % 3 == 0:
            words = [f" {letter}:{word} " for letter, word in zip("ABCD", words, strict=True)]
        rows.append(
            {
                "index": number,
                "Figure_path": figure,
                "Caption": caption,
                "Question": "Which organ does the figure show?",
                **{f"Choice {one}": word for one, word in zip("ABCD", words, strict=True)},
                "Answer": answer,
                "split": "test",
            }
        )
    if quirks:
        _break(out, rows)
    write_csv(out / "test_2.csv", rows)


def _break(out: Path, rows: list[dict[str, object]]) -> None:
    """A fault in each of the first rows, as far as they go."""
    for number, (column, value) in enumerate(
        (("Answer", "E"), ("Question", ""), ("Choice B", "liver"), ("Figure_path", "lost.jpg"))
    ):
        if number < len(rows):
            rows[number][column] = value
            if column == "Choice B":
                rows[number]["Choice A"] = value
    if len(rows) > 4:
        path = out / "figures" / str(rows[4]["Figure_path"])
        path.write_bytes(path.read_bytes()[:200])
