"""The value of one part of a reward, with what became of it."""

from __future__ import annotations

from typing import Literal, NamedTuple

#: ok             scored
#: missing_truth  there is nothing to score against: the value is None and the weight is shared out
#: no_answer      no closed box where the answer belongs
#: no_boxes       no list of objects
#: unparsable     something is there and cannot be read
#: truncated      generation stopped at the token limit
Status = Literal["ok", "missing_truth", "no_answer", "no_boxes", "unparsable", "truncated"]


class Part(NamedTuple):
    """`value` in 0 to 1, None only with missing truth; `reason` is given where not plainly ok."""

    value: float | None
    status: Status = "ok"
    reason: str | None = None
