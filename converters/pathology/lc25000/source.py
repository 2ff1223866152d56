"""LC25000: histology tiles whose folder is the label; augmented siblings stay in one split."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.errors import BadTable, MissingFile, MissingKey
from qoqdata.records.content import Record
from qoqdata.records.images import image_from_file
from qoqdata.sources.asking import ask, translate
from qoqdata.sources.protocol import Job, Planned, Refused, Unit

GROUPS = "lc25000_image_groups.csv"
UNGROUPED = "no group list"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a tile; the group list, where it is there, is joined by file stem."""
    groups = _groups(job)
    tiles = job.raw.files("*.jpeg", "*.jpg", "*.png")
    if not tiles:
        fix = "point --raw at the unpacked lung_colon_image_set"
        raise MissingFile("holds no tile", where="the raw folder", fix=fix)
    for path in tiles:
        folder, _, name = path.rpartition("/")
        stem, label = name.rpartition(".")[0], folder.rpartition("/")[2]
        if groups is None:
            # Siblings cannot be told apart, so no tile may leave the split of the others.
            yield Unit(stem, (path,), group=UNGROUPED, split="train", facts={"folder": label})
        elif stem in groups:
            yield Unit(stem, (path,), group=groups[stem], facts={"folder": label})
        else:
            what = f"{GROUPS} does not list this tile"
            yield Refused(stem, MissingKey(what, where=path), (path,))
    stems = {path.rpartition("/")[2].rpartition(".")[0] for path in tiles}
    for stem in sorted(set(groups or ()) - stems):
        yield Refused(stem, MissingFile(f"listed in {GROUPS}, not on disk", where=stem))


def convert(unit: Unit, job: Job) -> list[Record]:
    """The tile as it is."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    label = translate(job.card, unit.facts["folder"], where=unit.files[0])
    return [Record(**ask(job.card, "diagnosis", [label]), images=(image,), notes=notes)]


def _groups(job: Job) -> dict[str, str] | None:
    """Group by file stem, or None when there is no group list."""
    if not job.raw.exists(GROUPS):
        return None
    table = job.raw.csv(GROUPS, columns=["stem", "group_id"])
    groups = dict(table.select("stem", "group_id").iter_rows())
    if len(groups) < table.height or None in groups or None in groups.values():
        raise BadTable("stems repeat or cells are empty", where=GROUPS, fix="fetch it again")
    return groups
