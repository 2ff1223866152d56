"""The viewer of a set whose build goes on or was stopped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import qoqdata
from qoqdata.contract.manifest import Manifest
from qoqdata.dataset import Dataset
from qoqdata.errors import UnfinishedBuild
from qoqdata.pipeline.receipts import ShardReceipt, write_receipt
from qoqdata.serving.gate import Gate
from qoqdata.viewer.app import viewer_app
from tests.viewer.conftest import BOXED, HEART, PLAIN, SCAN, TEXT, inside
from tests.viewer.test_gate import ORIGIN
from tests.viewer.test_pages import shown

BAD = {
    "source": "films",
    "unit": "case <9>",
    "raw": ["a/9.dcm"],
    "outcome": "quarantined",
    "stage": "convert",
    "reason": "unreadable_file",
    "error": "UnreadableFile",
    "message": "a/9.dcm: ends early",
    "converter_version": "1",
}


class Build:
    """A build of the fixture's set, chunk by chunk, with the receipts that a real one leaves."""

    def __init__(self, dataset: Dataset) -> None:
        self.layout, self.whole = dataset.layout, dataset.manifest
        self.layout.manifest.rename(self.layout.root / "later.json")
        shutil.rmtree(self.layout.root / "meta", ignore_errors=True)
        self.layout.build.mkdir(exist_ok=True)

    def finish(self, split: str, *quarantine: dict) -> None:
        (shard,) = [one for one in self.whole.shards if one.split == split]
        receipt = ShardReceipt(
            fingerprint="f",
            shard=shard,
            converted=shard.rows,
            records=shard.rows,
            annotation_only=0,
            quarantine=quarantine,
        )
        write_receipt(self.layout.receipt(shard.source, Path(shard.path).stem), receipt)


@pytest.fixture
def build(dataset: Dataset) -> Build:
    return Build(dataset)


@pytest.fixture
def client(build: Build) -> FlaskClient:
    gate = Gate("127.0.0.1")
    app = viewer_app(build.layout.root, gate, author="ana")
    app.test_client_class = inside(gate)
    client = app.test_client()
    client.get("/", query_string={"token": gate.token}, base_url="http://localhost")
    return client


def test_each_look_has_the_chunks_that_are_done(client: FlaskClient, build: Build) -> None:
    page = client.get("/").text
    assert shown(page) == [] and "No chunk with records is done yet" in page
    version = client.get("/version").text
    build.finish("train")
    assert client.get("/version").text != version
    page = client.get("/").text
    assert shown(page) == [BOXED, SCAN, HEART] and "This build has not ended" in page
    assert client.get(f"/record/{SCAN}").status_code == 200
    assert client.get(f"/record/{SCAN}/image/2").mimetype == "image/png"
    before = client.get(f"/thumbnail/0/{BOXED}").data
    build.finish("test")
    assert shown(client.get("/").text) == [PLAIN, BOXED, SCAN, HEART]
    # A page from before shows under a record what is of that record.
    assert client.get(f"/thumbnail/0/{BOXED}").data == before
    assert client.get("/?q=sinus").status_code == 200


def test_a_chunk_that_is_done_again_is_not_shown_until_it_is_whole(
    client: FlaskClient, build: Build
) -> None:
    build.finish("train")
    build.finish("test")
    shard = next(one for one in build.whole.shards if one.split == "train")
    (build.layout.root / shard.path).unlink()
    build.finish("validation")
    assert shown(client.get("/").text) == [PLAIN, TEXT]


def test_quarantine_so_far(client: FlaskClient, build: Build) -> None:
    assert "Nothing is in it so far" in client.get("/quarantine").text
    build.finish("train", BAD)
    page = client.get("/quarantine").text
    assert "case &lt;9&gt;" in page and "a/9.dcm: ends early" in page
    assert "unreadable_file" in page and "This build has not ended" in page


def test_nothing_is_decided_before_the_end(client: FlaskClient, build: Build) -> None:
    build.finish("train")
    page = client.get(f"/record/{BOXED}").text
    assert "decide when it has" in page and 'name="choice"' not in page
    form = {"id": BOXED, "choice": "drop", "why": "x"}
    for path in ("/decide", "/undo"):
        answer = client.post(path, data=form, headers=ORIGIN)
        assert answer.status_code == 400 and "its build has ended" in answer.text
    assert not build.layout.decisions.exists()


def test_once_the_build_ends_it_is_the_set(client: FlaskClient, build: Build) -> None:
    build.finish("train")
    assert len(shown(client.get("/").text)) == 3
    later = build.layout.root / "later.json"
    manifest = Manifest.model_validate_json(later.read_bytes())
    from qoqdata.metadata import write_metadata

    write_metadata(build.layout.root, manifest.shards)
    later.rename(build.layout.manifest)
    page = client.get("/").text
    assert len(shown(page)) == 5 and "has not ended" not in page
    assert 'name="choice"' in client.get(f"/record/{BOXED}").text


def test_a_folder_without_a_build_is_refused_as_before(tmp_path: Path, build: Build) -> None:
    with pytest.raises(qoqdata.QoqdataError, match="no such data set"):
        qoqdata.view(tmp_path / "nothing", on_ready=print)
    with pytest.raises(UnfinishedBuild):
        qoqdata.open(build.layout.root)
