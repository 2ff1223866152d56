"""The table and the tree of RSPECT, joined: 1.79 million rows and files, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

TABLE, TRAIN, TEST = "train.csv", "train", "test"
KEYS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
SLICE = "pe_present_on_image"
NEGATIVE, INDETERMINATE = "negative_exam_for_pe", "indeterminate"
#: Columns of a study, which repeat on each of its rows.
STUDY = (
    *(NEGATIVE, INDETERMINATE, "qa_motion", "qa_contrast", "flow_artifact"),
    *("rv_lv_ratio_gte_1", "rv_lv_ratio_lt_1", "leftsided_pe", "rightsided_pe", "central_pe"),
    *("chronic_pe", "acute_and_chronic_pe", "true_filling_defect_not_pe"),
)


def plan_studies(job: Job) -> Iterator[Planned]:
    """One unit a study of train; rows and files are joined by all three UIDs."""
    base = _base(job)
    table = job.raw.csv(f"{base}{TABLE}", columns=(*KEYS, SLICE, *STUDY))
    files = _files(job, f"{base}{TRAIN}")
    if (nameless := table.filter(pl.any_horizontal(pl.col(KEYS).is_null()))).height:
        what = f"{nameless.height} rows lack a UID"
        raise BadTable(what, where=f"{base}{TABLE}", fix="fetch the table again")
    # A cell may be blank where there is a row, which is no label; where there is none, all are.
    sound = pl.all_horizontal(pl.col(SLICE, *STUDY).is_in(["0", "1"]).fill_null(value=False))
    table = table.with_columns(sound=sound)
    joined = table.join(files, on=KEYS, how="full", coalesce=True, maintain_order="left_right")
    studies = joined.group_by(KEYS[0], maintain_order=True).agg(
        series=pl.col(KEYS[1]).n_unique(),
        rows=pl.col("sound").is_not_null().sum(),
        slices=pl.col(KEYS[2]).n_unique(),
        lines=pl.len(),
        paths=pl.col("path").drop_nulls().sort(),
        positive=pl.col(KEYS[2]).filter(pl.col(SLICE) == "1").sort(),
        sound=pl.col("sound").all(),
        torn=pl.any_horizontal(pl.col(STUDY).drop_nulls().n_unique() > 1),
        **{column: pl.col(column).drop_nulls().first() for column in STUDY},
    )
    for study in studies.iter_rows(named=True):
        paths = tuple(study["paths"])
        try:
            yield _unit(study, paths)
        except InputError as error:
            yield Refused(study[KEYS[0]], error, paths)
    for (key, *_), rest in _files(job, f"{base}{TEST}").group_by(KEYS[0], maintain_order=True):
        what = "a study of the competition's test, whose labels are not public"
        yield Filtered(str(key), "no_label", what, tuple(rest["path"]))


def _base(job: Job) -> str:
    """The folder that holds train.csv, at the top or one below, with its slash."""
    if job.raw.exists(TABLE):
        return ""
    found = [path for path in job.raw.files(TABLE) if path.count("/") == 1]
    if len(found) != 1:
        what = f"is {'not there' if not found else f'there {len(found)} times'}"
        raise MissingFile(what, where=TABLE, fix="unpack the competition's files, all of them")
    return found[0].removesuffix(TABLE)


def _files(job: Job, folder: str) -> pl.DataFrame:
    """The DICOM files below a folder by the UIDs of their path; none where it is not there."""
    paths = job.raw.files("*.dcm", under=folder) if job.raw.exists(folder) else []
    parts = pl.Series("path", paths, pl.String).str.split("/")
    return pl.DataFrame(
        {
            KEYS[0]: parts.list.get(-3, null_on_oob=True),
            KEYS[1]: parts.list.get(-2, null_on_oob=True),
            KEYS[2]: parts.list.get(-1).str.strip_suffix(".dcm"),
            "path": paths,
        },
        schema={**dict.fromkeys(KEYS, pl.String), "path": pl.String},
    )


def _unit(study: dict[str, Any], paths: tuple[str, ...]) -> Unit:
    key = study[KEYS[0]]
    if study["series"] > 1:
        raise DuplicateKey(f"has {study['series']} series, and a study here is one", where=key)
    if study["lines"] > study["slices"]:
        fix = "remove the one that is wrong"
        raise DuplicateKey("a slice has two rows, or lies there twice", where=key, fix=fix)
    if len(paths) < study["lines"]:
        what = f"{study['lines'] - len(paths)} of {study['lines']} slices are not there"
        raise MissingFile(what, where=key, fix="fetch the study again")
    if study["rows"] < study["lines"]:
        what = f"{TABLE} has no row for {study['lines'] - study['rows']} of its slices"
        raise MissingKey(what, where=key)
    if not study["sound"]:
        raise BadTable("a label is neither 0 nor 1", where=key, fix="fetch the table again")
    if study["torn"]:
        raise BadTable("its rows disagree about the study", where=key, fix="fetch the table again")
    facts = {column: study[column] == "1" for column in STUDY}
    return Unit(key, paths, group=key, facts=facts | {"positive": study["positive"]})
