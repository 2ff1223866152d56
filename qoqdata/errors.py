"""Every error that qoqdata raises on purpose, drawn at once.

    QoqdataError                what, where, fix
    |-- UsageError              exit code 2
    |   |-- CardError
    |   `-- UnknownSource
    |-- InputError              a raw file or table; ends in quarantine
    |   |-- MissingFile, OutsideRoot, UnreadableFile, UnsupportedFormat
    |   |-- TooLarge, OverLimit, WorkerDied
    |   |-- NoPixels, NotAVolume, Misaligned
    |   `-- BadTable, BadLabel, DuplicateKey, MissingKey, TornGroup, ContradictedKey
    |-- ConverterError          ends in quarantine
    |-- RecordError             ends in quarantine
    `-- DatasetError
        `-- UnfinishedBuild     exit code 3

`code` is stable: it is the reason in quarantine tables and in `--json` output. Of what ends in
quarantine the docstring says what it means and, below, what to do: docs/quarantine.md takes it.
"""

from __future__ import annotations

from typing import Any, ClassVar


class QoqdataError(Exception):
    """Base of all errors: `what` went wrong, `where` (file, field, row) and how to `fix` it."""

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(what, where, fix)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}. Fix: {self.fix}" if self.fix else head

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword arguments do not survive the default pickling, and errors cross processes.
        return (_rebuild, (type(self), self.what, self.where, self.fix, self.__dict__.copy()))


def _rebuild(
    kind: type[QoqdataError], what: str, where: str | None, fix: str | None, state: dict[str, Any]
) -> QoqdataError:
    error = kind.__new__(kind)
    QoqdataError.__init__(error, what, where=where, fix=fix)
    error.__dict__.update(state)
    return error


class UsageError(QoqdataError):
    """The command or its configuration is wrong."""

    code = "usage"


class CardError(UsageError):
    """A source card breaks its schema."""

    code = "bad_card"


class UnknownSource(UsageError):
    """No source of that name is registered."""

    code = "unknown_source"


class InputError(QoqdataError):
    """A raw file or table cannot be used, for a reason that has no code of its own.

    Read the message: it names the file and the fault.
    """

    code = "bad_input"


class MissingFile(InputError):
    """A table or a header names a file that is not there.

    Complete the raw folder, or correct the path in the table, and build again: only what
    changed is converted. Where the publisher never had the file, leave it: the row is the
    account of it.
    """

    code = "missing_file"


class OutsideRoot(InputError):
    """A path or a link leads out of the raw folder, or is no regular file.

    Put the file itself in the place of the link, or name the folder that it leads into under
    `mounts:` of build.yaml. Pipes and devices are never opened.
    """

    code = "outside_root"


class UnreadableFile(InputError):
    """The file is damaged, cut short, or not what its name says.

    Compare its digest with the publisher's (`qoqdata check-raw`) and fetch it again.
    """

    code = "unreadable_file"


class UnsupportedFormat(InputError):
    """The file is intact, and no decoder here can read it, or not without guessing.

    Convert it without loss into a format that is read, or install the extra that the message
    names.
    """

    code = "unsupported_format"


class TooLarge(InputError):
    """What the header declares, or what decompression gives, is beyond a limit.

    If the file is sound, raise the limit that the message names, under `limits:` of build.yaml.
    """

    code = "too_large"


class OverLimit(InputError):
    """Converting took more time or memory than a unit is given, twice.

    If the file is sound, raise `limits.unit_seconds` or `limits.unit_bytes`, or build with
    fewer workers.
    """

    code = "over_limit"


class NoPixels(InputError):
    """A valid DICOM object without an image, such as a report or a presentation state.

    Nothing is wrong with it. Leave such files out with `ignore` or `modalities` of a mapping.
    """

    code = "no_pixels"


class NotAVolume(InputError):
    """The images are no parallel, evenly spaced slices of one volume.

    Read them one by one (`unit: file` of `dicom_folder`), or complete the series.
    """

    code = "not_a_volume"


class BadTable(InputError):
    """A table lacks a column, is empty, cannot be parsed, or a cell is not what its column holds.

    Correct the cell or the column that the message names.
    """

    code = "bad_table"


class BadLabel(InputError):
    """A raw label, or a code of a mask, that the card or the mapping does not map.

    Add it to `labels` or `mask_codes`, or correct it in the raw file. It is never taken for
    another.
    """

    code = "bad_label"


class DuplicateKey(InputError):
    """A key that must be unique stands more than once.

    Remove all rows or files but one. Several questions about one file need a column `item`.
    """

    code = "duplicate_key"


class MissingKey(InputError):
    """A row without its file, or a file without its row.

    Add the partner, correct the key, or name files that have no label under `ignore` of a
    mapping.
    """

    code = "missing_key"


class TornGroup(InputError):
    """Official splits would tear a patient, or another group that must stay together, apart.

    Say in the card which split such a group goes to (`splits.conflict`), or correct the table.
    """

    code = "torn_group"


class ContradictedKey(InputError):
    """Two sources that share their patients give one study two patients, or one study or patient
    two splits.

    Correct the table that is wrong; have all of these sources follow one list (`splits.patients`
    of their cards); or, where the names only look the same, give the cards a `namespace` each.
    """

    code = "contradicted_key"


class WorkerDied(InputError):
    """The process that converted it crashed or was killed, again when it was alone.

    Open the file in another program. If it is sound, the decoder is at fault: report it.
    """

    code = "worker_died"


class Misaligned(InputError):
    """Image, mask or boxes do not share a grid.

    Take the mask of the same image, at the same size, turned the same way.
    """

    code = "misaligned"


class ConverterError(QoqdataError):
    """The converter breaks the protocol, asks what its card lacks, or failed by a fault of its own.

    It is a fault of the source, not of your files: the message has the line. Correct or report
    it.
    """

    code = "converter_error"


class RecordError(QoqdataError):
    """A record breaks a rule that all records keep: an id, a column, a box outside of its image.

    The message names the column and the rule. Correct the raw file, or the source that made the
    record of it.
    """

    code = "bad_record"

    def __init__(
        self, what: str, *, record: str, column: str, rule: str, fix: str | None = None
    ) -> None:
        super().__init__(
            f"{what} (rule: {rule})", where=f"record {record}, column {column}", fix=fix
        )
        self.record, self.column, self.rule = record, column, rule


class DatasetError(QoqdataError):
    """A data set on disk is incomplete, altered or of another version."""

    code = "bad_dataset"


class UnfinishedBuild(DatasetError):
    """A data set whose build was interrupted."""

    code = "unfinished"


class FailedSourceWarning(UserWarning):
    """A data set of which a source failed as a whole, and why."""


class CatalogueWarning(UserWarning):
    """A package or a source that the catalogue leaves out, and why."""
