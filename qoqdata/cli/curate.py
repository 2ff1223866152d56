"""qoqdata curate: which records stay."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import qoqdata
from qoqdata import command_line, console

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.curation.burned_in.pixels import PixelCuration
    from qoqdata.curation.verdicts import Curation

EPILOG = """Example:  qoqdata curate ./set

Against benchmarks:  qoqdata curate ./set --against index.parquet

With decisions:  qoqdata curate ./set --recipe curation.yaml

  # curation.yaml
  phi:
    on_finding: hold            # hold (default), drop, or open: keep, and nothing can be published
    accept:                     # by rule, id, source, column; what is left out matches all
      - {rule: date, source: ptb_xl, column: context, why: "dates are shifted by the source"}
    drop:
      - {id: 0f3a..., why: "names the patient"}
    presidio: {en: en_core_web_lg}   # spaCy models you have; needs pip install 'qoqdata[phi]'
  leakage:
    on_finding: drop            # drop (default), report or skip
  benchmarks: {on_finding: drop}               # or report; with --against
  duplicates: {equal: drop, alike: report}     # the default; of the training split alone
  quality: {drop: [blank, flat]}               # others: saturated, tiny, odd_shape, clipped
  label_errors: {on_finding: report}           # or drop: what audit --label-errors found
  likeness: {radius: 6, detail: 0.85}          # when two images show the same
  burned_in:
    on_finding: blank           # open (default), blank (black boxes in what is published) or drop
    accept:
      - {source: echo, evidence: screen, why: "depth scales of the device, looked at"}"""


def add(app: typer.Typer) -> None:
    app.command("curate", epilog=EPILOG)(curate_command)


def curate_command(
    dataset: Annotated[str, typer.Argument(help="The data set: folder, or URL in a bucket.")],
    recipe: Annotated[Path | None, typer.Option(help="curation.yaml with your decisions.")] = None,
    burned_in: Annotated[
        bool | None,
        typer.Option(
            "--burned-in/--no-burned-in",
            help="Look for text in all images, or none. Default: private ones and what may leave.",
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(metavar="INDEX", help="Of `qoqdata benchmark-index`; repeatable."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Counts as JSON.")] = False,
) -> None:
    """Decide which records stay: protected health information, leakage, duplicates, quality.

    Records with a finding in a text are held back: not trained on and not published until the
    recipe accepts or drops them. Verdicts go to curation/verdicts.parquet, findings without their
    text to curation/phi.parquet, pairs of images and signals to curation/leakage.parquet, repeated
    questions to curation/duplicates.parquet, images that stand twice in one study to
    curation/study_copies.parquet, faults to curation/quality.parquet. Text burned into
    images goes to curation/burned_in.parquet with its box, and to burned_in.html to look at.
    Copies that are encoded, scaled, windowed, flipped or turned by a quarter are found, and cropped
    ones that are not flipped or turned. With an index of a benchmark, training records that show
    one of its images or ECGs are dropped: curation/benchmark_images.parquet names both. Exit code 1
    means that findings are open.
    """
    with console.counter("records", quiet=json) as progress:
        result = qoqdata.curate(
            dataset, recipe=recipe, burned_in=burned_in, against=against or (), progress=progress
        )
    if json:
        console.emit_json(counts(result))
    else:
        show(result)
    for decision in result.unmatched:
        said = decision.model_dump(exclude_none=True)
        console.complain(f"warning: the recipe's decision {said} matches no finding")
    in_pixels = 0 if result.pixels is None else result.pixels.receipt.open
    command_line.leave(command_line.FINDINGS if result.phi.open or in_pixels else command_line.DONE)


def counts(result: Curation) -> dict[str, Any]:
    """The receipt, findings by place, rule, language and outcome, and how many records they hold.

    A record is counted once, under the heaviest of its verdicts.
    """
    leaks = None if result.leaks is None else result.leaks["id"].n_unique()
    return {
        **result.phi.model_dump(),
        "dropped_records": len(_dropped(result)),
        "held_records": len(_held(result)),
        "crowded": result.likeness.crowded,
        "by_place": _counted(result.findings, *_PLACES).to_dicts(),
        "records_in_two_splits": leaks,
        "duplicates": _counted(result.duplicates, *_DUPLICATES).to_dicts(),
        "study_copies": _counted(result.study_copies, *_COPIES).to_dicts(),
        "faults": _counted(result.faults, *_FAULTS).to_dicts(),
        "benchmark_images": None
        if result.benchmark_images is None
        else _counted(result.benchmark_images, *_BENCHMARKS).to_dicts(),
        "burned_in": None if result.pixels is None else result.pixels.receipt.model_dump(),
    }


def show(result: Curation) -> None:
    """Findings by where they are, rule and outcome, and what is left to decide."""
    for findings, keys in (
        (result.findings, _PLACES),
        (result.duplicates, _DUPLICATES),
        (result.study_copies, _COPIES),
        (result.faults, _FAULTS),
        (result.benchmark_images, _BENCHMARKS),
    ):
        if findings is not None and findings.height:
            table = _counted(findings, *keys)
            console.table(table.columns, table.iter_rows())
            console.say()
    if result.leaks is not None and result.leaks.height:
        _show_leaks(result.leaks)
    if result.pixels is not None and result.pixels.findings.height:
        _show_pixels(result.pixels)
    for source, images in result.likeness.crowded.items():
        console.say(
            f"{images:,} images or signals of {source} look like very many others at first sight: "
            "each was compared with the nearest of these, and copies may be missed"
        )
    held = len(_held(result))
    console.say(
        f"{result.phi.records:,} records read: {result.findings.height} findings, "
        f"{len(_dropped(result))} records dropped, {result.phi.open} findings open"
    )
    if held:
        console.say(
            f"{held:,} records are held back: not trained on, and they do not leave. Their ids and "
            "places are in curation/phi.parquet; a recipe accepts or drops them: "
            "qoqdata curate --help"
        )


#: What findings are counted by.
_PLACES = ("source", "column", "rule", "language", "outcome")
_DUPLICATES = ("source", "split", "task", "kept_source", "copy", "contradicts", "outcome")
_COPIES = ("source", "split", "view", "other_view", "laterality", "other_laterality", "outcome")
_FAULTS = ("source", "split", "medium", "fault", "outcome")
_BENCHMARKS = ("benchmark", "source", "split", "outcome")


def _counted(table: pl.DataFrame, *keys: str) -> pl.DataFrame:
    """Findings, and records that have them, by some columns."""
    import polars as pl

    counts = table.group_by(*keys).agg(findings=pl.len(), records=pl.col("id").n_unique())
    return counts.sort(*keys)


def _held(result: Curation) -> set[str]:
    from qoqdata.curation.verdicts import HELD

    return set(result.verdicts.filter(rule=HELD)["id"]) - _dropped(result)


def _dropped(result: Curation) -> set[str]:
    from qoqdata.curation.verdicts import HELD

    return {
        id_
        for id_, keep, rule in result.verdicts.select("id", "keep", "rule").iter_rows()
        if not keep and rule != HELD
    }


def _show_pixels(pixels: PixelCuration) -> None:
    """Lines of text in images, by source and outcome, and how they were read."""
    rows = [
        (source, looked.images, outcome, count)
        for source, looked in pixels.receipt.sources.items()
        for outcome, count in looked.outcomes.items()
    ]
    console.table(("source", "images", "text burned in", "lines"), rows)
    if pixels.receipt.ocr is None:
        console.say("nothing read them: pip install 'qoqdata[ocr]' finds fewer that are none")
    console.say("look at them in curation/burned_in.html\n")


def _show_leaks(leaks: pl.DataFrame) -> None:
    """Records that show an image of a later split, by the sources and splits of both."""
    import polars as pl

    columns = ("source", "split", "other_source", "other_split")
    counts = (
        leaks.group_by(*columns)
        .agg(records=pl.col("id").n_unique(), least_correlation=pl.col("correlation").min())
        .sort(*columns)
    )
    head = ("source", "split", "shows images of", "split", "records", "correlation from")
    console.table(head, counts.iter_rows())
    console.say()
