"""HAM10000: dermatoscopic images with lesion masks, grouped by lesion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.errors import BadTable, DuplicateKey, MissingFile, MissingKey
from qoqdata.person import read_age
from qoqdata.readers import masks
from qoqdata.records.content import Mask, Record, Region
from qoqdata.records.images import image_from_file, regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, translate
from qoqdata.sources.cells import sex, text
from qoqdata.sources.joining import rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

TABLES = ("HAM10000_metadata.csv", "HAM10000_metadata", "HAM10000_metadata.tab")
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex")
MASK = "_segmentation.png"


def plan(job: Job) -> Iterator[Planned]:
    """One unit an image; images, masks and rows are joined by image_id."""
    name = next((name for name in TABLES if job.raw.exists(name)), None)
    if name is None:
        raise BadTable("there is no metadata table", where=TABLES[0], fix="fetch it from Dataverse")
    separator = "\t" if name.endswith(".tab") else ","
    table = job.raw.csv(name, columns=COLUMNS, separator=separator)
    images = {_stem(path): path for path in job.raw.files("*.jpg")}
    lesions = {_stem(path): path for path in job.raw.files(f"*{MASK}")}
    rows = rows_by_key(table, "image_id", where=name)
    verdicts: dict[str | None, set[str | None]] = {}
    for row in table.iter_rows(named=True):
        verdicts.setdefault(row["lesion_id"], set()).add(text(row["dx"]))
    for key, (row, *more) in rows.items():
        lesion = lesions.pop(key, None)
        files = tuple(path for path in (images.pop(key, f"{key}.jpg"), lesion) if path)
        said = verdicts[row["lesion_id"]] - {None}
        if more:
            twice = DuplicateKey(f"has {1 + len(more)} rows", where=key, fix="keep the right one")
            yield Refused(key, twice, files)
            continue
        if row["lesion_id"] is not None and len(said) > 1:
            what = f"its lesion is {' and '.join(sorted(map(str, said)))} in rows of its images"
            yield Refused(key, BadTable(what, where=key, fix="fetch the table again"), files)
            continue
        if lesion is None and job.options["masks"] == "required":
            what = "has no lesion mask"
            fix = "fetch the segmentations, or set the option masks=optional"
            yield Refused(key, MissingFile(what, where=key, fix=fix), files)
            continue
        facts = {"dx": row["dx"], "dx_type": text(row["dx_type"])}
        # Only the further questions need it.
        facts["site"] = text(row.get("localization"))
        person = {"age": read_age(row["age"]), "sex": sex(row["sex"])}
        yield Unit(key, files, group=row["lesion_id"], facts=facts | person)
    for path in sorted((*images.values(), *lesions.values())):
        what = f"no row of {name} names this file"
        yield Refused(path, MissingKey(what, where=path), (path,))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """The photograph as it is, its mask, and the mask's box; further questions by the option."""
    facts = unit.facts
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    mask = regions = None
    if len(unit.files) > 1:
        path = job.raw.resolve(unit.files[1])
        lesion = masks.read_mask(path, codes=job.card.mask_codes, limits=job.limits)
        shape = (image.height, image.width)
        masks.check_ground(lesion.codes, where=unit.files[1])
        codes = masks.align(lesion.codes, shape, resize="nearest")
        if codes.shape != lesion.codes.shape:
            notes = (*notes, f"mask resized from {lesion.codes.shape} to {shape}, nearest pixel")
        mask = (Mask(codes),)
        regions = regions_from_boxes(masks.boxes(codes, lesion.table), image=0)
    how = f"diagnosis by {facts['dx_type']}" if facts["dx_type"] else "diagnosis by unstated means"
    shared: dict[str, Any] = {"images": (image,), "age": facts["age"], "sex": facts["sex"]}
    shared["notes"] = (*notes, how)
    diagnosis = [translate(job.card, facts["dx"], where=unit.key)]
    fields = ask(job.card, "diagnosis", diagnosis)
    asked: list[Converted] = [Record(**fields, masks=mask, regions=regions, **shared)]
    if job.options["questions"] == "all":
        group = [translate(job.card, facts["dx"], where=unit.key, task="group")]
        asked.append(Record(**ask(job.card, "group", group), **shared))
        asked += [_lesion(job, mask, regions, shared), _site(job, unit, shared)]
    return asked


def _lesion(
    job: Job,
    mask: tuple[Mask, ...] | None,
    regions: tuple[Region, ...] | None,
    shared: Mapping[str, Any],
) -> Converted:
    if not regions:
        return Skipped("lesion", "no_mask", "there is no mask of the lesion, or an empty one")
    fields = ask_boxes(job.card, "lesion", regions)
    return Record(**fields, masks=mask, regions=regions, **shared)


def _site(job: Job, unit: Unit, shared: Mapping[str, Any]) -> Converted:
    if (site := unit.facts["site"]) is None:
        return Skipped("site", "not_stated", "localization is unknown or blank")
    option = translate(job.card, site, where=unit.key, task="site")
    return Record(**ask(job.card, "site", [option]), **shared)


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.removesuffix(MASK) if name.endswith(MASK) else name.rpartition(".")[0]
