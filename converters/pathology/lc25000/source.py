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
    stems = set()
    for path in tiles:
        folder, _, name = path.rpartition("/")
        stem, label = name.rpartition(".")[0], folder.rpartition("/")[2]
        stems.add(stem)
        if groups is None:
            # Siblings cannot be told apart, so no tile may leave the split of the others.
            yield Unit(stem, (path,), group=UNGROUPED, split="train", facts={"folder": label})
        elif stem not in groups:
            what = f"{GROUPS} does not list this tile"
            yield Refused(stem, MissingKey(what, where=path), (path,))
        elif (listed := groups[stem][1]) != label:
            yield Refused(stem, BadTable(f"{GROUPS} lists it as {listed}", where=path), (path,))
        else:
            yield Unit(stem, (path,), group=groups[stem][0], facts={"folder": label})
    for stem in sorted(set(groups or ()) - stems):
        yield Refused(stem, MissingFile(f"listed in {GROUPS}, not on disk", where=stem))


def convert(unit: Unit, job: Job) -> list[Record]:
    """The tile as it is, asked for what its folder says."""
    image, notes = image_from_file(job.raw.resolve(unit.files[0]), limits=job.limits)
    tasks = job.card.tasks if job.options["questions"] == "all" else ("diagnosis",)
    folder, where = unit.facts["folder"], unit.files[0]
    return [
        Record(
            **ask(job.card, task, [translate(job.card, folder, where=where, task=task)]),
            images=(image,),
            notes=notes,
        )
        for task in tasks
    ]


def _groups(job: Job) -> dict[str, tuple[str, str]] | None:
    """Group and label by file stem, or None when there is no group list."""
    if not job.raw.exists(GROUPS):
        return None
    table = job.raw.csv(GROUPS, columns=["stem", "group_id", "label"])
    rows = list(table.select("stem", "group_id", "label").iter_rows())
    groups = {stem: (group, label) for stem, group, label in rows}
    if len(groups) < len(rows) or None in {cell for row in rows for cell in row}:
        raise BadTable("stems repeat or cells are empty", where=GROUPS, fix="fetch it again")
    return groups
