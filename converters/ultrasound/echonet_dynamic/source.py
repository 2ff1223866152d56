"""EchoNet-Dynamic: four-chamber clips with ejection fraction, volumes and traced ventricles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import (
    BadTable,
    DuplicateKey,
    InputError,
    Misaligned,
    MissingFile,
    MissingKey,
)
from qoqdata.readers import masks, video, video_frames
from qoqdata.readers.video import Clip, FramePolicy
from qoqdata.records.content import Image, Mask, Record, Region
from qoqdata.records.images import clip_images, regions_from_boxes
from qoqdata.sources.asking import ask, ask_boxes, ask_number
from qoqdata.sources.cells import integer, quantity, text
from qoqdata.sources.joining import Row, rows_by_key
from qoqdata.sources.protocol import Converted, Job, Planned, Refused, Skipped, Unit

from .tracings import ENDS, Beat, Lines, Unusable, beat, filled, lines_by_frame

FILES, TRACINGS, SUFFIX = "FileList.csv", "VolumeTracings.csv", ".avi"
SPLITS: dict[str | None, Split] = {"TRAIN": "train", "VAL": "validation", "TEST": "test"}
#: Columns of the numbers that are asked.
EF, ESV, EDV = "EF", "ESV", "EDV"
VOLUMES = {"end_diastolic_volume": EDV, "end_systolic_volume": ESV}
SIZE, COUNT = ("FrameHeight", "FrameWidth"), "NumberOfFrames"
#: Frames that a decoder may lose of a clip at its end.
LOST = 1
#: Points by which a stated ejection fraction may differ from that of the volumes.
AGREEMENT = 1.0
#: Upper bounds of the grades of function, in percent.
GRADES = (40, 50)
VIEW = "A4C"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a video; rows, tracings and files are joined by name, with or without .avi."""
    table = job.raw.csv(FILES, columns=("FileName", EF, ESV, EDV, *SIZE, COUNT, "Split"))
    traced = job.raw.csv(TRACINGS, columns=("FileName", *ENDS, "Frame"))
    tracings = _by_stem(rows_by_key(traced, "FileName", where=TRACINGS))
    videos: dict[str, list[str]] = {}
    for path in job.raw.files(f"*{SUFFIX}"):
        videos.setdefault(path.rpartition("/")[2][: -len(SUFFIX)], []).append(path)
    for key, rows in _by_stem(rows_by_key(table, "FileName", where=FILES)).items():
        paths, lines = videos.pop(key, []), tracings.pop(key, [])
        split = SPLITS.get(text(rows[0]["Split"]))
        try:
            yield _unit(key, rows, paths, lines, split)
        except InputError as error:
            yield Refused(key, error, tuple(paths), split=split)
    for key in sorted({*videos, *tracings}):
        stray = MissingKey(f"no row of {FILES} names this video", where=key)
        yield Refused(key, stray, tuple(videos.get(key, ())))


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about the whole clip, and about its two traced frames."""
    path, facts = job.raw.resolve(unit.files[0]), unit.facts
    clip = video.read_video(path, choose=FramePolicy("all"), limits=job.limits)
    stated = facts["frames"]
    if stated is not None and abs(stated - clip.frame_count) > LOST:
        what = f"has {clip.frame_count} frames, and the table says {stated}"
        raise Misaligned(what, where=unit.key, fix="fetch table and video again")
    images, shape = clip_images(clip, view=VIEW), clip.frames.shape[1:3]
    try:
        if facts["lines"] == []:
            raise Unusable("not_traced", f"{TRACINGS} has no row of it")
        if shape != tuple(facts["size"]):
            raise Unusable("other_size", f"the frames are {shape}, the table says {facts['size']}")
        lines: Lines | None = None if facts["lines"] is None else dict(facts["lines"])
        found = beat(lines, clip.frame_count, shape)
    except Unusable as reason:
        code, what = reason.args
        skipped = [Skipped(task, code, what) for task in ("phase", "ventricle")]
        return [*_numbers(facts, job, _shown(clip, images, None, job)), *skipped]
    about_clip = _numbers(facts, job, _shown(clip, images, found, job))
    return [*about_clip, *_about_frames(found, images, clip, job)]


def _by_stem(rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    """Rows by name without .avi, which one table has and the other has not."""
    found: dict[str, list[Row]] = {}
    for name, members in rows.items():
        found.setdefault(name.removesuffix(SUFFIX), []).extend(members)
    return found


def _unit(
    key: str, rows: list[Row], paths: list[str], traced: list[Row], split: Split | None
) -> Unit:
    if len(rows) > 1 or len(paths) > 1:
        what = f"has {len(rows)} rows in {FILES} and {len(paths)} files"
        raise DuplicateKey(what, where=key, fix="keep the right one")
    if split is None:
        raise BadTable(f"its split is {rows[0]['Split']}, not TRAIN, VAL or TEST", where=key)
    if not paths:
        raise MissingFile("its video is not there", where=key, fix="fetch it, or drop the row")
    lines = lines_by_frame(traced)
    facts: dict[str, Any] = {
        name: quantity(rows[0][name], name, where=key) for name in (EF, ESV, EDV)
    }
    # JSON has no numbers for keys.
    facts["lines"] = None if lines is None else sorted(map(list, lines.items()))
    facts["size"] = [integer(rows[0][side]) for side in SIZE]
    facts["frames"] = integer(rows[0][COUNT])
    return Unit(key, (paths[0],), split=split, facts=facts)


def _shown(clip: Clip, images: tuple[Image, ...], found: Beat | None, job: Job) -> dict[str, Any]:
    """Frames at the centres of equal parts and the traced ones, with the masks of these."""
    policy = FramePolicy("uniform", count=job.options["frames"])
    chosen = set(video_frames.choose(policy, clip.frame_count))
    traced = () if found is None else (found.diastole, found.systole)
    order = sorted(chosen.union(traced))
    rate = "unknown rate" if clip.fps is None else f"{clip.fps:g} frames/s"
    beside = ", and the traced ones," if traced else ""
    how = f"frames: {video.describe(policy)}{beside} of {clip.frame_count} at {rate}"
    drawn = tuple(
        Mask(filled(found.outlines[frame], clip.frames.shape[1:3]), image=order.index(frame))
        for frame in sorted(traced)
        if found is not None
    )
    return {
        "images": tuple(images[frame] for frame in order),
        "masks": drawn or None,
        "notes": (how, *clip.repairs),
    }


def _numbers(facts: Mapping[str, Any], job: Job, shown: dict[str, Any]) -> list[Converted]:
    """Ejection fraction, its grade and the volumes, where they agree with each other."""
    tasks = ("ejection_fraction", "function", *VOLUMES)
    fraction, after, before = (facts[name] for name in (EF, ESV, EDV))
    if fraction is not None and not 0 <= fraction <= 100:
        return [Skipped(task, "contradiction", f"EF is {fraction:g}") for task in tasks]
    if None not in (fraction, after, before):
        by_volumes = 100 * (before - after) / before if before > 0 else -1.0
        if abs(by_volumes - fraction) > AGREEMENT:
            what = f"EF is {fraction:g}, by the volumes {by_volumes:g}"
            return [Skipped(task, "contradiction", what) for task in tasks]
    asked: list[Converted] = []
    if fraction is None:
        asked += [Skipped(task, "not_stated", "EF is blank") for task in tasks[:2]]
    else:
        value = round(fraction, 1)
        grades = job.card.tasks["function"].options or ()
        grade = grades[sum(value >= bound for bound in GRADES)]
        percent = ask_number(job.card, "ejection_fraction", value, unit="%")
        asked += [Record(**percent, **shown), Record(**ask(job.card, "function", [grade]), **shown)]
    for task, column in VOLUMES.items():
        if (volume := facts[column]) is None or volume <= 0:
            asked.append(Skipped(task, "not_stated", f"{column} is blank or no volume"))
        else:
            fields = ask_number(job.card, task, round(volume, 1), unit="mL")
            asked.append(Record(**fields, **shown))
    return asked


def _about_frames(found: Beat, images: tuple[Image, ...], clip: Clip, job: Job) -> list[Converted]:
    """Which of the two traced frames is which, and where the ventricle is in both."""
    frames = sorted((found.diastole, found.systole))
    shared: dict[str, Any] = {"images": tuple(images[frame] for frame in frames)}
    shared["notes"] = (f"frames: the two traced ones of {clip.frame_count}", *clip.repairs)
    place = job.card.tasks["phase"].options or ()
    first = place[frames.index(found.diastole)]
    drawn, regions = list[Mask](), list[Region]()
    for image, frame in enumerate(frames):
        codes = filled(found.outlines[frame], clip.frames.shape[1:3])
        drawn.append(Mask(codes, image=image))
        regions += regions_from_boxes(masks.boxes(codes, job.card.mask_codes), image=image)
    where = ask_boxes(job.card, "ventricle", regions)
    return [
        Record(**ask(job.card, "phase", [first]), **shared),
        Record(**where, regions=tuple(regions), masks=tuple(drawn), **shared),
    ]
