"""The feed reads ahead, and its states do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from qoqdata.errors import InputError, QoqdataError
from qoqtrain.trainer.questions import Feed, StepQuestions


class Counting:
    """A stream of numbered records that counts what was taken."""

    def __init__(self, at: int = 0, end: int = 10**9) -> None:
        self.at, self.end = at, end

    def __iter__(self):
        while self.at < self.end:
            self.at += 1
            yield {"id": str(self.at), "images": [b"x"]}

    def state_dict(self):
        return {"at": self.at}


class Naming:
    """A collator whose rows are names; every tenth record cannot be shown."""

    def row(self, record):
        if int(record["id"]) % 10 == 0:
            raise InputError("cannot be shown", where=record["id"])
        return f"row {record['id']}"


def feed(stream, *, count: int = 4, leave_out: bool = True, images: bool = False) -> Feed:
    return Feed(stream, Naming(), count, leave_out=leave_out, images=images)


def test_a_state_goes_on_behind_its_own_step():
    stream = Counting()
    with feed(stream) as feeding:
        for step in range(1, 4):
            taken = feeding.take()
            assert taken.state == {"at": 4 * step}
            assert [record["id"] for record in taken.records] == [
                str(4 * step - left) for left in (3, 2, 1, 0)
            ]
        state = taken.state
    with feed(Counting(**state)) as again:
        assert again.take(last=True).records[0]["id"] == "13"


def test_nothing_is_read_behind_the_last_step():
    stream = Counting()
    with feed(stream) as feeding:
        feeding.take()
        feeding.take(last=True)
    assert stream.at == 8


def test_ecgs_that_are_shorter_than_the_window_are_counted():
    ecgs = [None, SimpleNamespace(short=True), SimpleNamespace(short=False)]
    rows: list[Any] = [None, *(SimpleNamespace(ecg=ecg) for ecg in ecgs)]
    questions = StepQuestions([], rows, [], {})
    assert (len(questions.ecgs), questions.short_ecgs) == (2, 1)


def test_what_cannot_be_shown_is_named_or_stops():
    with feed(Counting(), count=12) as feeding:
        taken = feeding.take(last=True)
    assert taken.rows[9] is None
    assert taken.left_out == ["10: cannot be shown"]
    with feed(Counting(), count=12, leave_out=False) as feeding:
        failure = feeding.take(last=True).failure
    assert isinstance(failure, InputError)


def test_an_end_within_a_step_is_a_failure():
    with feed(Counting(end=6)) as feeding:
        assert feeding.take().failure is None
        assert isinstance(feeding.take(last=True).failure, QoqdataError)


@pytest.mark.parametrize("images", [True, False])
def test_images_stay_only_where_they_are_asked_for(images):
    with feed(Counting(), images=images) as feeding:
        assert ("images" in feeding.take(last=True).records[0]) == images
