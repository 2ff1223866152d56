"""Functions for people who look at a data set and decide: the viewer, decisions on records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qoqdata.api.opening import DatasetLike, dataset_in_folder, dataset_of

if TYPE_CHECKING:
    from qoqdata.curation.decisions import PersonDecision


def view(
    dataset: DatasetLike,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    policy: str | None = None,
    author: str | None = None,
    on_ready: Callable[[str], None],
) -> None:
    """Serve the viewer of a data set until it is interrupted.

    `on_ready` is given the URL, which holds a token; whoever has it sees the data set. `host` is
    loopback unless you say otherwise, `port` 0 is any free one. `policy` says whose success rates
    are shown, where there are several. Decisions are `author`'s, by default of who is logged in; of
    a set behind a URL nothing can be decided.

    Raises UsageError without the extra `view`, for an address that cannot be bound, and when the
    choice of a policy is open; DatasetError for a set that holds no record.
    """
    from qoqdata.viewer.serving import serve

    serve(
        dataset_of(dataset), host=host, port=port, policy=policy, author=author, on_ready=on_ready
    )


def decide(
    dataset: DatasetLike, id: str, keep: bool, *, why: str, author: str | None = None
) -> PersonDecision:
    """Keep or drop one record whatever the rules of curation say, now and in every later pass.

    A record that is held back for a finding in its text is released by the next pass, if that finds
    the same; what the recipe drops for privacy stays dropped. The log `curation/decisions.jsonl`
    has author and reason. Publication asks for `curate` again. Raises UsageError without a reason
    and for a set behind a URL, DatasetError for an id that the set does not hold.
    """
    from qoqdata.curation import decisions

    target = dataset_in_folder(dataset, command="decide")
    return decisions.decide(target, id, keep, why, author)


def undo(
    dataset: DatasetLike, id: str | None = None, *, author: str | None = None
) -> PersonDecision:
    """Take back the decision that stands on a record, or without `id` the author's last one.

    Returns what was taken back. Raises UsageError where there is none and for a set behind a URL.
    """
    from qoqdata.curation import decisions

    return decisions.undo(dataset_in_folder(dataset, command="decide"), id, author)
