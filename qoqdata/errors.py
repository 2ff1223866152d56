"""Every error that qoqdata raises on purpose, drawn at once.

    QoqdataError                what, where, fix
    |-- UsageError              the command or its configuration is wrong         exit code 2
    |   |-- CardError           a source card breaks its schema
    |   `-- UnknownSource       no source of that name is registered
    |-- InputError              a raw file or table cannot be used; ends in quarantine
    |   |-- MissingFile         named by a table, absent on disk
    |   |-- OutsideRoot         a path that leaves the raw root
    |   |-- UnreadableFile      damaged, truncated, or not what its name says
    |   |-- UnsupportedFormat   intact, but no decoder here can read it
    |   |-- TooLarge            a declared or real size beyond the limits
    |   |-- OverLimit           more time or memory than the limits give a unit
    |   |-- NoPixels            a valid DICOM object without an image
    |   |-- NotAVolume          images that are no slices of a volume
    |   |-- BadTable            a table lacks a column, is empty or cannot be parsed
    |   |-- BadLabel            a raw label that the card does not map
    |   |-- DuplicateKey        a key that must be unique and is not
    |   |-- MissingKey          a row or file without its partner
    |   |-- TornGroup           official splits that tear a patient or group apart
    |   |-- WorkerDied          the process that ran it crashed or was killed
    |   `-- Misaligned          image, mask or boxes do not share a grid
    |-- ConverterError          a converter breaks the protocol, or asks what its card lacks
    |-- RecordError             a record breaks the schema: id, column, rule
    `-- DatasetError            a data set on disk is incomplete, altered or of another version
        `-- UnfinishedBuild     its build was interrupted                         exit code 3

`code` is stable: it is the reason in quarantine tables and in `--json` output.
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
    code = "usage"


class CardError(UsageError):
    code = "bad_card"


class UnknownSource(UsageError):
    code = "unknown_source"


class InputError(QoqdataError):
    code = "bad_input"


class MissingFile(InputError):
    code = "missing_file"


class OutsideRoot(InputError):
    code = "outside_root"


class UnreadableFile(InputError):
    code = "unreadable_file"


class UnsupportedFormat(InputError):
    code = "unsupported_format"


class TooLarge(InputError):
    code = "too_large"


class OverLimit(InputError):
    code = "over_limit"


class NoPixels(InputError):
    code = "no_pixels"


class NotAVolume(InputError):
    code = "not_a_volume"


class BadTable(InputError):
    code = "bad_table"


class BadLabel(InputError):
    code = "bad_label"


class DuplicateKey(InputError):
    code = "duplicate_key"


class MissingKey(InputError):
    code = "missing_key"


class TornGroup(InputError):
    code = "torn_group"


class WorkerDied(InputError):
    code = "worker_died"


class Misaligned(InputError):
    code = "misaligned"


class ConverterError(QoqdataError):
    code = "converter_error"


class RecordError(QoqdataError):
    """A record that breaks the schema; names the record id, the column and the rule."""

    code = "bad_record"

    def __init__(
        self, what: str, *, record: str, column: str, rule: str, fix: str | None = None
    ) -> None:
        super().__init__(
            f"{what} (rule: {rule})", where=f"record {record}, column {column}", fix=fix
        )
        self.record, self.column, self.rule = record, column, rule


class DatasetError(QoqdataError):
    code = "bad_dataset"


class UnfinishedBuild(DatasetError):
    code = "unfinished"


class FailedSourceWarning(UserWarning):
    """A data set of which a source failed as a whole, and why."""


class CatalogueWarning(UserWarning):
    """A package or a source that the catalogue leaves out, and why."""
