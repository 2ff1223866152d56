"""Nobody sees a record, and nothing is written, without the token, the host and the origin."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from qoqdata.dataset import Dataset
from qoqdata.serving.gate import COOKIE, Gate
from tests.viewer.conftest import BOXED

PAGES = (
    *("/", f"/record/{BOXED}", f"/record/{BOXED}/why", f"/thumbnail/0/{BOXED}"),
    *(f"/record/{BOXED}/image/0", "/quarantine", "/version"),
)
#: The client's own host.
ORIGIN = {"Origin": "http://localhost"}
DROP = {"id": BOXED, "choice": "drop", "why": "cut off"}


@pytest.mark.parametrize("page", [*PAGES, "/static/viewer.js"])
def test_a_stranger_sees_nothing(stranger: FlaskClient, page: str) -> None:
    answer = stranger.get(page)
    assert answer.status_code == 403
    assert BOXED not in answer.text and "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("token", ["", "wrong", None])
def test_a_wrong_token_opens_nothing(stranger: FlaskClient, token: str | None) -> None:
    for place in ("http://localhost", None):
        answer = stranger.get("/", query_string=token and {"token": token}, base_url=place)
        assert answer.status_code == 403 and "Set-Cookie" not in answer.headers


def test_the_cookie_is_worth_nothing_outside_its_path(client: FlaskClient, gate: Gate) -> None:
    for page in PAGES:
        headers = {"Cookie": f"{COOKIE}={gate.token}"}
        assert client.get(page, base_url="http://localhost", headers=headers).status_code == 403
        assert client.get(page, base_url="http://localhost/x/", headers=headers).status_code == 403


def test_the_token_becomes_a_cookie_that_no_script_and_no_site_has(
    stranger: FlaskClient, gate: Gate
) -> None:
    answer = stranger.get("/", query_string={"token": gate.token}, base_url="http://localhost")
    assert (answer.status_code, answer.location) == (303, f"{gate.root}/")
    cookie = answer.headers["Set-Cookie"]
    assert f"Path={gate.root}/" in cookie
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Domain" not in cookie
    assert all(stranger.get(page).status_code == 200 for page in PAGES)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", ""]
)
def test_a_name_that_leads_here_from_elsewhere_is_refused(
    client: FlaskClient, gate: Gate, host: str
) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 403
    answer = client.get(
        "/", query_string={"token": gate.token}, headers={"Host": host}, base_url="http://localhost"
    )
    assert answer.status_code == 403 and "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("bound", "header", "known"),
    [
        ("127.0.0.1", "localhost:1234", True),  # the other end of a tunnel
        ("127.0.0.1", "[::1]:8765", True),
        ("127.0.0.1", "10.0.0.5:8765", False),
        ("10.0.0.5", "10.0.0.5:8765", True),
        ("0.0.0.0", "10.0.0.5:8765", True),
        ("0.0.0.0", "evil.example:8765", False),
        ("127.0.0.1", "[", False),
    ],
)
def test_names_of_this_machine(bound: str, header: str, known: bool) -> None:
    assert Gate(bound).knows_host(header) is known


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://localhost:9999"},
        ORIGIN | {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_only_pages_of_the_viewer_write(
    client: FlaskClient, dataset: Dataset, headers: dict[str, str]
) -> None:
    for path in ("/decide", "/undo"):
        assert client.post(path, data=DROP, headers=headers).status_code == 403
    assert not dataset.layout.decisions.exists()
    assert client.post("/decide", data=DROP, headers=ORIGIN).status_code == 303
    assert dataset.layout.decisions.exists()


def test_reading_never_writes(client: FlaskClient, dataset: Dataset) -> None:
    for path in ("/decide", "/undo"):
        assert client.get(path, query_string=DROP, headers=ORIGIN).status_code == 405
    assert not dataset.layout.decisions.exists()


def test_every_answer_forbids_what_is_not_the_viewers_own(client: FlaskClient) -> None:
    for page in (*PAGES, "/nowhere", "/static/viewer.css"):
        headers = client.get(page, buffered=True).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
