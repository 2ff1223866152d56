"""Which records stand for a domain, the same ones each time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.curation.burned_in import receipt
from qoqdata.curation.burned_in.blanking import Blanking, boxes_to_blank
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.items import COLUMNS, all_places, read_records

#: A leaf of the column that masks are described in; masks themselves stay on disk.
_MASKS = "mask_info.list.element.image"


def choose_samples(dataset: Dataset, kept: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most `most` of the `kept` records of each domain: `domain`, `source`, `task` and `id`, in
    the order in which they are shown.

    Of each source one a task in turn, of train before other splits, one with boxes or masks before
    one without; among equals the first by id, which says nothing of what it holds.
    """
    drawn = pl.DataFrame(dataset.files.leaves(["id", "regions.list.element.image", _MASKS]))
    lies_over = pl.any_horizontal(
        pl.col(name).list.len().fill_null(0) > 0 for name in ("regions", "mask_info")
    )
    split = pl.col("split").replace_strict(list(SPLITS), [0, 1, 2], return_dtype=pl.Int32)
    task = ["domain", "source", "task"]
    firsts = (
        kept.select(*task, "id", later=split)
        .join(drawn.select("id", bare=~lies_over), on="id", how="left")
        .filter(pl.col("later") == pl.col("later").min().over(task))
        .filter(pl.col("bare") == pl.col("bare").min().over(task))
        .group_by(*task, "bare")
        .agg(pl.col("id").min())
    )
    turns = firsts.sort("domain", "source", "bare", "task").with_columns(
        turn=pl.int_range(pl.len()).over("domain", "source")
    )
    in_turn = turns.sort("domain", "turn", "source")
    return (
        in_turn.group_by("domain", maintain_order=True)
        .head(most)
        .select("domain", "source", "task", "id")
    )


def records_by_id(
    dataset: Dataset, ids: Collection[str], columns: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The records of these ids in manifest order, `columns` or all; unknown ids give none.

    Behind a URL the shards that hold them are fetched. Raises DatasetError for one that cannot be
    read.
    """
    wanted = pl.DataFrame({"id": list(ids)}, schema={"id": pl.String}).unique()
    places = all_places(dataset.files).join(wanted, on="id", how="semi", maintain_order="left")
    names = None if columns is None else list(columns)
    yield from read_records(dataset.files, dataset.manifest, places.select(COLUMNS), names)


def screened(
    dataset: Dataset,
) -> tuple[Callable[[Mapping[str, Any]], dict[str, Any]], list[str]]:
    """What makes text burned into the images of a record black, as a release does, and the ids of
    records with findings that nobody has settled; nothing of either where no pass of curation
    covers the data, as in a release, whose shards are blanked already."""
    if not dataset.in_folder:
        return dict, []
    try:
        receipt.read_receipt(dataset)
    except DatasetError:
        return dict, []
    findings = receipt.read_findings(dataset)
    open_ = findings.filter(pl.col("outcome") == "open")["id"].unique().sort()
    return Blanking(boxes_to_blank(findings)), open_.to_list()
