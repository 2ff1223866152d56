"""The page of a run: what it says, what it keeps to itself, and what it follows."""

from __future__ import annotations

import re
import stat
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest
from flask.testing import FlaskClient
from PIL import Image

import qoqdata
import qoqtrain
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.serving.gate import Gate
from qoqtrain.monitor.answered import answered_questions, choose_questions
from qoqtrain.monitor.app import watch_app
from qoqtrain.monitor.page import opened_dataset
from qoqtrain.monitor.run_folder import RunFolder
from qoqtrain.trainer.log import metrics, rollouts
from tests.qoqtrain.monitor.conftest import add_step, numbers
from tests.viewer.conftest import BOXED, HOSTILE, PLAIN, SIZE, inside


@pytest.fixture
def client(run: Path, dataset: Dataset) -> FlaskClient:
    gate = Gate("127.0.0.1", "qoqtrain watch")
    app = watch_app(RunFolder(run), dataset, "", gate)
    app.test_client_class = inside(gate)
    client = app.test_client()
    assert "403" in client.get("/").status
    assert "qoqtrain watch" in client.get("/").text
    opened = client.get("/", query_string={"token": gate.token}, base_url="http://localhost")
    assert opened.status_code == 303
    return client


def test_appended_steps_are_read_once_and_a_resumed_run_anew(run: Path) -> None:
    folder = RunFolder(run)
    assert [line["step"] for line in folder.lines()] == [1, 2, 3]
    before = folder.version
    with (run / metrics.FILE).open("a") as stream:
        stream.write('{"step": 4, "re')
    assert [line["step"] for line in folder.lines()] == [1, 2, 3]
    with (run / metrics.FILE).open("a") as stream:
        stream.write('ward": 1.0}\n')
    assert [line["step"] for line in folder.lines()] == [1, 2, 3, 4]
    assert folder.version != before
    # A run that goes on from step 1 writes another step 2.
    metrics.forget_after(run / metrics.FILE, 1)
    add_step(run, numbers(2, loss=9.0))
    assert [(line["step"], line["loss"]) for line in folder.lines()] == [(1, 0.1), (2, 9.0)]


def test_groups_that_differ_come_before_tied_ones(run: Path, dataset: Dataset) -> None:
    table = RunFolder(run).rollouts(3)
    assert choose_questions(table) == [BOXED, PLAIN]
    first, second = answered_questions(table, dataset)
    assert (first.tied, second.tied) == (False, True)
    outlines = [outline for outline, _ in first.figures[0].figure.outlines]
    claimed = [one for one in outlines if one.role == "claimed"]
    assert [(one.box, one.reader) for one in claimed] == [((10.0, 20.0, 60.0, 80.0), "rollout 1")]
    assert {one.role for one in outlines} >= {"mask", "claimed"}


def test_the_page_shows_the_latest_step_and_text_stays_text(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Rollouts of step 3" in page and BOXED[:12] in page
    assert HOSTILE not in page and "&lt;img src=x" in page
    places = re.findall(r'(?:src|href)="(/[^"]+/drawn/[^"]+)"', page)
    assert len(places) >= 3  # two images and a mask
    for place in places:
        answer = client.get(place, base_url="http://localhost")
        assert answer.status_code == 200 and answer.mimetype.startswith("image/")
        assert answer.headers["Cache-Control"] == "no-store"
    assert "Rollouts of step 2" in client.get("/?step=2").text
    # A step without rollouts, and no number, are the latest.
    assert all("of step 3" in client.get(f"/?step={step}").text for step in ("77", "x"))
    assert client.get(f"/drawn/3/{BOXED}/9").status_code == 404
    assert client.get(f"/drawn/9/{BOXED}/0").status_code == 404


def test_the_version_changes_with_the_run(client: FlaskClient, run: Path) -> None:
    before = client.get("/version").text
    assert before in client.get("/").text
    add_step(run, numbers(4))
    assert client.get("/version").text != before
    (run / "model").mkdir()
    assert "data-ended" in client.get("/").text


def test_one_file_asks_for_nothing(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages" / "run.html"
    assert qoqtrain.write_run_page(run, out, samples="all") == 2
    page = out.read_text()
    assert "<script" not in page and "data:image/jpeg;base64," in page
    outside = re.findall(r'(?:src|href)="(?!data:|#)([^"]*)"', page)
    assert outside == []
    assert HOSTILE not in page
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = tmp_path / "again.html"
    qoqtrain.write_run_page(run, again, samples="all")
    assert again.read_bytes() == out.read_bytes()


def test_a_file_to_pass_on_shows_what_its_terms_allow(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qoqtrain.monitor import answered

    out = tmp_path / "run.html"
    for form, shown in (("pixels", 2), ("annotations", 0), ("withheld", 0)):
        monkeypatch.setattr(answered, "shown_form", lambda card, form=form: form)
        assert qoqtrain.write_run_page(run, out) == shown
        assert (BOXED[:12] in out.read_text()) == bool(shown)
    assert qoqtrain.write_run_page(run, out, samples="none") == 0
    assert '<h3 id="reward-title">Reward</h3>' in out.read_text()


def test_what_leaves_the_server_is_screened(
    run: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from qoqdata.curation.burned_in import receipt
    from qoqtrain.monitor import answered

    out = tmp_path / "run.html"
    monkeypatch.setattr(answered, "shown_form", lambda card: "pixels")
    findings = pl.DataFrame(
        {"id": [BOXED, PLAIN], "image": [0, 0], "outcome": ["open", "blank"]}
        | {edge: [0, 0] for edge in ("x0", "y0")}
        | {edge: [SIZE, SIZE] for edge in ("x1", "y1")}
    )
    monkeypatch.setattr(receipt, "read_receipt", lambda dataset: None)
    monkeypatch.setattr(receipt, "read_findings", lambda dataset: findings)
    assert [qoqtrain.write_run_page(run, out, samples=one) for one in ("open", "all")] == [1, 2]
    table = RunFolder(run).rollouts(3)
    (shown,) = answered_questions(table, dataset, reader="outside")
    assert shown.id == PLAIN
    with Image.open(BytesIO(shown.figures[0].image.content)) as image:
        assert image.convert("L").getextrema()[1] < 8  # made black as a whole
    qoqdata.decide(dataset, PLAIN, False, why="names the patient", author="ana")
    assert [qoqtrain.write_run_page(run, out, samples=one) for one in ("open", "all")] == [0, 1]
    # Whoever serves the page looks at the run as it was.
    assert len(answered_questions(table, dataset)) == 2


def test_without_the_data_set_curves_and_responses_stand(run: Path, tmp_path: Path) -> None:
    (tmp_path / "set").rename(tmp_path / "moved")
    dataset, note = opened_dataset(RunFolder(run), None)
    assert dataset is None and "--data says where" in note
    out = tmp_path / "run.html"
    # Nobody knows whose terms hold, so nothing is shown that is passed on.
    assert qoqtrain.write_run_page(run, out) == 0
    assert qoqtrain.write_run_page(run, out, samples="all") == 2
    assert "No image is shown:" in out.read_text()
    assert qoqtrain.write_run_page(run, out, samples="all", data=str(tmp_path / "moved")) == 2
    assert "data:image/jpeg;base64," in out.read_text()


def test_faults_are_told(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no run"):
        RunFolder(tmp_path)
    with pytest.raises(UsageError, match=r"no rollouts of step 9.*it has those of 2 to 3"):
        qoqtrain.write_run_page(run, tmp_path / "x.html", step=9)
    with pytest.raises(UsageError, match="is a folder"):
        qoqtrain.write_run_page(run, tmp_path)
    with pytest.raises(DatasetError, match="there is no such data set"):
        qoqtrain.write_run_page(run, tmp_path / "x.html", data=str(tmp_path / "nothing"))
    (path,) = (run / rollouts.FOLDER).glob("step-00000002-*")
    path.write_bytes(b"PAR1 damaged")
    with pytest.raises(UsageError, match="cannot be read"):
        qoqtrain.write_run_page(run, tmp_path / "x.html", step=2)
    assert qoqtrain.write_run_page(run, tmp_path / "x.html", samples="all") == 2
