"""Decisions from the page: they hold at once, in the set and in the filters, and are taken back."""

from __future__ import annotations

import re

from flask.testing import FlaskClient

from qoqdata.curation.decisions import decide
from qoqdata.dataset import Dataset, open_dataset
from tests.viewer.conftest import BOXED, PLAIN, SCAN
from tests.viewer.test_gate import ORIGIN
from tests.viewer.test_pages import counts, shown


def post(client: FlaskClient, path: str, **form: object) -> str:
    answer = client.post(path, data=form, headers=ORIGIN)
    assert answer.status_code == 303
    # Below the root, as the client asks.
    return answer.location[answer.location.index("/record/") :]


def test_drop_keep_and_undo(client: FlaskClient, dataset: Dataset) -> None:
    place = post(client, "/decide", id=BOXED, choice="drop", why="cut <off>", split="train", at=0)
    assert place == f"/record/{BOXED}?split=train&done=decided&at=0"
    page = client.get(place).text
    assert "ana decided to drop it: cut &lt;off&gt;" in page and 'class="state dropped"' in page
    assert counts(client.get("/").text, "state") == {"kept": "4", "dropped": "1"}
    assert shown(client.get("/?state=dropped").text) == [BOXED]
    assert BOXED not in [record["id"] for record in open_dataset(dataset.root)]

    post(client, "/decide", id=BOXED, choice="keep", why="after all")
    assert shown(client.get("/?state=dropped").text) == []
    assert len(dataset) == 5
    assert post(client, "/undo").startswith(f"/record/{BOXED}?")
    assert shown(client.get("/?state=dropped").text) == [BOXED]
    post(client, "/undo")
    assert len(dataset) == 5
    answer = client.post("/undo", headers=ORIGIN)
    assert answer.status_code == 400 and "no decision to take back" in answer.text


def test_what_left_the_selection_makes_room_for_the_next(client: FlaskClient) -> None:
    post(client, "/decide", id=BOXED, choice="drop", why="x")
    page = client.get(f"/record/{BOXED}?split=train&state=kept&at=0").text
    assert re.search(rf'rel="next"[^>]* href="[^"]*/record/{SCAN}\?', page)


def test_wrong_decisions_are_refused_in_words(client: FlaskClient, dataset: Dataset) -> None:
    for form, words in (
        ({"id": PLAIN, "choice": "drop", "why": "  "}, "a decision needs a reason"),
        ({"id": PLAIN, "choice": "sell", "why": "x"}, "keep, drop, relabel or comment"),
        ({"id": "f" * 32, "choice": "drop", "why": "x"}, "there is no record"),
    ):
        answer = client.post("/decide", data=form, headers=ORIGIN)
        assert answer.status_code >= 400 and words in answer.text
    assert not dataset.layout.decisions.exists()


def test_two_people_decide_one_after_another(client: FlaskClient, dataset: Dataset) -> None:
    post(client, "/decide", id=BOXED, choice="drop", why="mine")
    decide(dataset, PLAIN, False, "theirs", author="ben")
    post(client, "/undo")  # ana's own, though ben's is the last
    assert [record["id"] for record in dataset if record["id"] in (BOXED, PLAIN)] == [BOXED]


def test_what_others_decide_is_seen_at_the_next_look(client: FlaskClient, dataset: Dataset) -> None:
    assert shown(client.get("/?state=dropped").text) == []
    decide(dataset, BOXED, False, "theirs", author="ben")
    assert shown(client.get("/?state=dropped").text) == [BOXED]
    page = client.get(f"/record/{BOXED}").text
    assert "ben decided to drop it" in page and "decision 1 of ben" in page


def test_relabel_and_comment(client: FlaskClient, dataset: Dataset) -> None:
    page = client.get(f"/record/{BOXED}").text
    options = re.findall(r'name="answer" value="([^"]*)"', page)
    assert len(options) > 1
    wrong, right = options[0], options[1]
    post(client, "/decide", id=BOXED, choice="relabel", why="see the film", answer=right)
    page = client.get(f"/record/{BOXED}").text
    assert f'ana decided to relabel it, right is <b class="text">{right}</b>: see the film' in page
    assert wrong != right and shown(client.get("/?state=dropped").text) == [BOXED]
    post(client, "/decide", id=BOXED, choice="comment", why="rotated")
    assert "comment 2 of ana" in client.get(f"/record/{BOXED}").text
    post(client, "/undo")
    assert "comment 2 of ana" not in client.get(f"/record/{BOXED}").text
    form = {"id": BOXED, "choice": "relabel", "why": "typed <once>", "answer": "Nonsense"}
    answer = client.post("/decide", data=form, headers=ORIGIN)
    assert answer.status_code == 400 and "none of the options" in answer.text
    assert 'value="typed &lt;once&gt;"' in answer.text


def test_a_page_that_is_out_of_date_decides_nothing(client: FlaskClient, dataset: Dataset) -> None:
    page = client.get(f"/record/{BOXED}").text
    (seen,) = re.findall(r'name="seen"[^>]* value="(\d+)"', page)
    decide(dataset, BOXED, False, "theirs", author="ben")
    form = {"id": BOXED, "choice": "keep", "why": "mine", "seen": seen}
    answer = client.post("/decide", data=form, headers=ORIGIN)
    assert answer.status_code == 409 and "ben decided since it was shown" in answer.text
    assert "ben decided to drop it: theirs" in answer.text and 'value="mine"' in answer.text
    assert len(dataset) == 4
    (seen,) = re.findall(r'name="seen"[^>]* value="(\d+)"', answer.text)
    post(client, "/decide", **{**form, "seen": seen})
    assert len(dataset) == 5
