"""What the pages show: counts that are right, text that stays text, pictures that can be drawn."""

from __future__ import annotations

import json
import re
from html import unescape
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from flask.testing import FlaskClient
from PIL import Image

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import QUARANTINE
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import BadTable
from qoqdata.serving.gate import Gate
from qoqdata.viewer.app import viewer_app
from tests.records.sound_rows import facts
from tests.remote.servers import Site, serving
from tests.validation.written_set import write
from tests.viewer.conftest import BOXED, HEART, HOSTILE, PLAIN, SCAN, SIZE, TEXT, inside, rows


def shown(page: str) -> list[str]:
    """Ids on the grid, in order."""
    return re.findall(r'class="card" href="[^"]*/record/([0-9a-f]{32})', page)


def counts(page: str, name: str) -> dict[str, str]:
    """Values and counts of a filter."""
    found = re.findall(
        rf'name="{name}" value="([^"]*)"[^>]*>\s*<span>[^<]*</span><data>([^<]*)</data>', page
    )
    return {unescape(value): count for value, count in found}


def test_the_grid_counts_every_filter(client: FlaskClient) -> None:
    page = client.get("/").text
    # Shards of a manifest are in the order of their names: test, train, validation.
    assert shown(page) == [PLAIN, BOXED, SCAN, HEART, TEXT]
    assert counts(page, "split") == {"train": "3", "test": "1", "validation": "1"}
    assert counts(page, "sex") == {"female": "2", "not stated": "2", "male": "1"}
    assert counts(page, "label") == {"Effusion": "2", "Clear": "1", "Opacity": "1"}


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ({"split": "train"}, [BOXED, SCAN, HEART]),
        ({"split": ["train", "test"], "sex": "female"}, [BOXED, SCAN]),
        ({"sex": "not stated"}, [HEART, TEXT]),
        ({"label": "Effusion"}, [BOXED, SCAN]),
        ({"label": ["Effusion", "Opacity"]}, [BOXED]),
        ({"q": "REPORT: evil"}, [PLAIN]),
        ({"q": "sinus beats"}, [HEART]),
        ({"q": "sinus nothing"}, []),
        ({"q": "effus"}, [BOXED, SCAN, TEXT]),  # a label, or a word of the answer
        ({"q": ".*"}, []),
        ({"q": "cccccc"}, [SCAN]),
        ({"sort": "age"}, [PLAIN, BOXED, SCAN, HEART, TEXT]),
        ({"sort": "age", "desc": "1"}, [BOXED, SCAN, PLAIN, HEART, TEXT]),
        ({"sort": "images", "desc": "1"}, [SCAN, PLAIN, BOXED, HEART, TEXT]),
        ({"split": "nowhere"}, []),
        ({"sort": "password", "page": "-7"}, [PLAIN, BOXED, SCAN, HEART, TEXT]),
    ],
)
def test_what_is_asked_for_is_found(client: FlaskClient, arguments: dict, ids: list[str]) -> None:
    assert shown(client.get("/", query_string=arguments).text) == ids


def test_a_facet_counts_under_the_other_filters(client: FlaskClient) -> None:
    page = client.get("/", query_string={"split": "train", "sex": "female"}).text
    # Of splits those that women are in; of sexes those in train.
    assert counts(page, "split") == {"train": "2"}
    assert counts(page, "sex") == {"female": "2", "not stated": "1"}


def test_hostile_text_stays_text(client: FlaskClient) -> None:
    for page in ("/", f"/record/{PLAIN}", f"/?q={HOSTILE}", f"/?split={HOSTILE}"):
        text = client.get(page).text
        assert "<img src=x" not in text and "<b>bold" not in text and "\u202e" not in text
    assert "&lt;img src=x" in client.get("/").text
    assert "\\u202eevil" in client.get(f"/record/{PLAIN}").text
    missing = client.get("/record/<script>alert(1)</script>")
    assert missing.status_code == 404 and "<script>alert" not in missing.text


def test_a_record_has_boxes_masks_and_their_readers(client: FlaskClient) -> None:
    page = client.get(f"/record/{BOXED}").text
    assert re.search(
        r'<rect class="box c0 target" x="20.0" y="30.0" width="100.0" height="60.0"', page
    )
    assert re.search(r'<rect class="box c1 given" x="60.0"', page)
    assert f"/record/{BOXED}/mask/0/7/2" in page
    assert re.findall(r'data-layer="reader" value="([^"]*)"', page) == ["r1", "r2", "unnamed"]
    drawn = client.get(f"/record/{BOXED}/mask/0/7/2").data
    pixels = np.asarray(Image.open(BytesIO(drawn)))
    covered = pixels[..., 3] > 0
    assert covered[120:, 120:].all() and covered.sum() == 120 * 120
    assert tuple(pixels[200, 200, :3]) == (0x00, 0x9E, 0x73)


def test_a_stack_shows_one_slice_and_fetches_others_later(client: FlaskClient) -> None:
    page = client.get(f"/record/{SCAN}").text
    assert page.count("<figure") == 3 and len(re.findall(r"<figure[^>]* hidden>", page)) == 2
    assert page.count(" data-src=") == 2
    images = [client.get(f"/record/{SCAN}/image/{n}").data for n in range(3)]
    assert [np.asarray(Image.open(BytesIO(one)))[0, 0] for one in images] == [10, 60, 110]
    assert client.get(f"/record/{SCAN}/image/3").status_code == 404


def test_thumbnails(client: FlaskClient) -> None:
    client.get("/")
    drawn = (PLAIN, BOXED, SCAN, HEART, TEXT, "f" * 32)
    # Told by id: a row is where it lay when the page was made.
    kinds = [client.get(f"/thumbnail/{row}/{id_}") for row, id_ in enumerate(drawn)]
    assert client.get(f"/thumbnail/3/{PLAIN}").data == kinds[0].data
    assert [one.mimetype for one in kinds[:4]] == ["image/jpeg"] * 3 + ["image/svg+xml"]
    assert [one.status_code for one in kinds] == [200] * 4 + [404] * 2
    assert max(Image.open(BytesIO(kinds[0].data)).size) == 224


def test_an_ecg_lies_on_paper(client: FlaskClient) -> None:
    page = client.get(f"/record/{HEART}").text
    assert page.count("<figure") == 2  # 11 seconds
    sheet = client.get(f"/record/{HEART}/ecg/0").text
    assert ">I</text>" in sheet and ">II</text>" in sheet and "25 mm/s, 10 mm/mV" in sheet
    assert client.get(f"/record/{HEART}/ecg/2").status_code == 404


def test_quarantine_by_reason(client: FlaskClient, dataset: Dataset) -> None:
    assert "Nothing is in it" in client.get("/quarantine").text
    rows = [
        ("films", f"u{n}", [f"{n}.png"], "quarantined", "convert", reason, "E", HOSTILE, "1")
        for n, reason in enumerate(("bad_input", "too_large", "bad_input"))
    ]
    path = dataset.layout.quarantine("films")
    path.parent.mkdir()
    table = pl.DataFrame(rows, schema=list(QUARANTINE.names), orient="row").to_arrow()
    pl.DataFrame(table.cast(arrow_schema(QUARANTINE))).write_parquet(path)
    page = client.get("/quarantine").text
    assert re.findall(r'class="number">(\d+)<.*?<code>(\w+)<', page) == [
        ("2", "bad_input"),
        ("1", "too_large"),
    ]
    assert "<img src=x" not in page and "u0" in page and "u2" in page


def test_before_and_after_within_what_was_found(client: FlaskClient) -> None:
    page = client.get(f"/record/{SCAN}", query_string={"split": "train", "at": 1}).text
    links = dict(re.findall(r'rel="(\w+)"[^>]* href="[^"]*/record/([^"]*)"', page))
    assert links["prev"] == f"{BOXED}?split=train&amp;at=0"
    assert links["next"] == f"{HEART}?split=train&amp;at=2"


def test_no_page_asks_anybody_else(client: FlaskClient) -> None:
    for path in ("/", f"/record/{BOXED}", "/quarantine", "/static/viewer.css", "/static/viewer.js"):
        text = client.get(path, buffered=True).text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|\burl\(", text)
        assert "innerHTML" not in text and " style=" not in text and "onclick" not in text


def test_a_set_behind_a_url_is_shown_and_not_decided_on(
    dataset: Dataset, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    with serving(Site(dataset.root.parent)) as site:
        app = viewer_app(open_dataset(f"{site.url}/set"), gate, author="ana")
        app.test_client_class = inside(gate)
        client = app.test_client()
        client.get("/", query_string={"token": gate.token}, base_url="http://localhost")
        assert shown(client.get("/").text) == [PLAIN, BOXED, SCAN, HEART, TEXT]
        assert client.get(f"/record/{SCAN}/image/1").status_code == 200
        assert "behind a URL" in client.get(f"/record/{SCAN}").text
        form = {"id": SCAN, "choice": "drop", "why": "x"}
        answer = client.post("/decide", data=form, headers={"Origin": "http://localhost"})
        assert answer.status_code == 400 and "written into the set" in answer.text


def test_a_damaged_shard_is_told_in_words(client: FlaskClient, dataset: Dataset) -> None:
    shard = dataset.root / "data" / "films" / "train-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:-9])
    answer = client.get(f"/record/{SCAN}")
    assert answer.status_code == 500 and "train-00000.parquet" in answer.text
    assert "Traceback" not in answer.text
    assert client.get(f"/record/{PLAIN}").status_code == 200


def test_a_length_is_told_only_where_there_is_a_scale(tmp_path: Path) -> None:
    """Spacing is down, then across: 240 pixels at 0.5 mm across are 120 mm."""
    content = [row for row in rows() if row["id"] in (SCAN, PLAIN, HEART)]
    (scan,) = [row for row in content if row["id"] == SCAN]
    scan["image_info"] = [
        facts(width=SIZE, height=SIZE, index=n, spacing=[0.25, 0.5, 3.0]) for n in range(2)
    ] + [facts(width=SIZE, height=SIZE, index=2, spacing=None)]
    gate = Gate("127.0.0.1")
    app = viewer_app(write(tmp_path / "scaled", content), gate, author="ana")
    app.test_client_class = inside(gate)
    client = app.test_client()
    client.get("/", query_string={"token": gate.token}, base_url="http://localhost")
    page = client.get(f"/record/{SCAN}").text
    assert re.findall(r'data-mm="([^"]*)"', page) == ["120.0 60.0"] * 2 and 'id="measure"' in page
    assert 'data-paper="275.0 63.0"' in client.get(f"/record/{HEART}").text


def test_lineage(client: FlaskClient) -> None:
    assert f"/record/{BOXED}/why" in client.get(f"/record/{BOXED}").text
    page = client.get(f"/record/{BOXED}/why").text
    assert "raw files" in page and "conversion" in page and "sha256" in page
    assert client.get(f"/record/{'f' * 32}/why").status_code == 404


def test_rollouts_with_parts_and_weight(dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "rollouts.jsonl"
    lines = [
        {"id": BOXED, "step": 1, "rollout": 0, "reward": 0.0, "response": HOSTILE},
        {
            "id": BOXED,
            "step": 2,
            "rollout": 0,
            "reward": 1.0,
            "overall": 0.875,
            "answer": 1.0,
            "grounding": 0.5,
            "advantage": -1.25,
            "prediction": "Opacity",
        },
        {"id": PLAIN, "step": 2, "rollout": 0, "reward": 0.5},
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    gate = Gate("127.0.0.1")
    app = viewer_app(dataset, gate, rollouts=path, author="ana")
    app.test_client_class = inside(gate)
    client = app.test_client()
    client.get("/", query_string={"token": gate.token}, base_url="http://localhost")
    page = client.get(f"/record/{BOXED}").text
    assert "rollouts: 2" in page and HOSTILE not in page
    assert "0.875" in page and "answer 1.00, grounding 0.50" in page and "-1.250" in page
    assert page.index("0.875") < page.index("0.000")  # the last step first
    assert "rollouts: " not in client.get(f"/record/{SCAN}").text
    path.write_text('{"reward": 1.0}\n')
    with pytest.raises(BadTable, match="lacks the column 'id'"):
        viewer_app(dataset, gate, rollouts=path, author="ana")
