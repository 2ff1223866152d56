"""Convert one unit into validated rows, or into its quarantine row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qoqdata.errors import InputError, RecordError
from qoqdata.pipeline import quarantine
from qoqdata.records.content import Record
from qoqdata.records.identity import Salt, keyed, record_id
from qoqdata.records.rows import RecordFacts, row
from qoqdata.records.validation import validate
from qoqdata.sources.protocol import Job, Source, Unit


@dataclass(frozen=True)
class UnitOutcome:
    """Rows of a converted unit, or its quarantine row."""

    rows: tuple[dict[str, Any], ...]
    failure: quarantine.Row | None


def convert_unit(unit: Unit, source: Source, job: Job, salt: Salt) -> UnitOutcome:
    """Run the source's `convert` on a unit; whatever it raises ends in the quarantine row."""
    stage: quarantine.Stage = "convert"
    try:
        # The digest comes first: it refuses missing files and paths that leave the root, also
        # where a converter would not look at them.
        digest = job.raw.digest(unit.files)
        records = source.convert(unit, job)
        stage = "validate"
        rows = tuple(_rows(records, unit, source, job, salt, digest))
        for converted in rows:
            validate(converted)
    except Exception as error:
        return UnitOutcome((), quarantine.failed(unit.key, unit.files, stage, error, job))
    return UnitOutcome(rows, None)


def _rows(
    records: list[Record], unit: Unit, source: Source, job: Job, salt: Salt, digest: str
) -> list[dict[str, Any]]:
    if not records:
        raise InputError("the converter gave no record", where=unit.key)
    card = job.card
    private = card.raw_paths == "keyed"
    namespace = card.keys.namespace or card.slug
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        study = record.study or unit.key
        if study != unit.key and not study.startswith(f"{unit.key}/"):
            raise InputError(
                f"the study {study!r} does not begin with the unit's key", where=unit.key
            )
        setting = RecordFacts(
            id=record_id(card.slug, study, record.task, salt=salt if private else None),
            source=card.slug,
            domain=card.domain,
            modality=card.modality,
            split=str(unit.split),
            patient=unit.patient and keyed("patient", namespace, unit.patient, salt=salt),
            study=keyed("study", namespace, study, salt=salt),
            licence=card.licence.name,
            redistribution=card.redistribution,
            raw=tuple(
                keyed("path", card.slug, path, salt=salt) if private else path
                for path in unit.files
            ),
            digest=digest,
            converter=source.card.slug,
            version=str(card.version),
        )
        if setting.id in rows:
            rule = "one record a study and task"
            raise RecordError("occurs twice", record=setting.id, column="id", rule=rule)
        rows[setting.id] = row(record, setting)
    return list(rows.values())
