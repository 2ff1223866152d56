"""New weights for a vLLM server: the routes that it documents, on a small server of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qoqdata.errors import QoqdataError
from qoqtrain.rollout.vllm_weights import load_weights
from tests.qoqtrain.loopback import serving

Replies = dict[str, tuple[int, bytes]]


@pytest.fixture
def server() -> Iterator[tuple[str, list[tuple[str, dict]], Replies]]:
    """(address, requests, replies): `replies` by path go before an empty 200."""
    asked: list[tuple[str, dict]] = []
    replies: Replies = {}

    def answer(path: str, body: dict) -> tuple[int, bytes]:
        asked.append((path, body))
        return replies.get(path, (200, b""))

    with serving(answer) as address:
        yield f"{address}/v1", asked, replies


def test_the_weights_are_loaded_before_what_they_replace_is_forgotten(server):
    url, asked, replies = server
    replies["/collective_rpc"] = (200, b'{"results": [null]}')
    replies["/reset_prefix_cache"] = (200, b'{"success": true}')
    load_weights(url + "/", Path("/runs/one/serving/step-000003"))
    call = {
        "method": "reload_weights",
        "kwargs": {"weights_path": "/runs/one/serving/step-000003"},
    }
    assert asked == [
        ("/collective_rpc", call),
        ("/reset_prefix_cache", {}),
        ("/reset_encoder_cache", {}),
    ]


def test_a_release_without_a_cache_of_images_is_no_error(server):
    url, asked, replies = server
    replies["/reset_encoder_cache"] = (404, b'{"detail": "Not Found"}')
    load_weights(url, Path("/w"))
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("path", "reply", "words"),
    [
        ("/collective_rpc", (404, b"Not Found"), "status 404.*VLLM_SERVER_DEV_MODE=1"),
        ("/collective_rpc", (500, b"no such folder"), "no such folder"),
        ("/collective_rpc", (200, b"<html>"), "no JSON"),
        ("/reset_prefix_cache", (404, b"Not Found"), "reset_prefix_cache.*status 404"),
        ("/reset_prefix_cache", (200, b'{"success": false}'), "still holds the cache"),
        ("/reset_encoder_cache", (500, b"engine dead"), "engine dead"),
    ],
)
def test_a_server_that_does_not_take_them_stops_the_run(server, path, reply, words):
    url, _, replies = server
    replies[path] = reply
    with pytest.raises(QoqdataError, match=words):
        load_weights(url, Path("/w"))


def test_a_server_that_is_not_there():
    with pytest.raises(QoqdataError, match="does not answer"):
        load_weights("http://127.0.0.1:9/v1", Path("/w"), timeout=2)
