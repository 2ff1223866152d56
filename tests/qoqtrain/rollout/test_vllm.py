"""The HTTP protocol of the vLLM sampler, and of new weights, on a small server of our own.

It speaks the fields that vLLM documents; no vLLM ran here.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.rollout.protocol import Prompt, SamplingSettings
from qoqtrain.rollout.servers import Servers
from qoqtrain.rollout.vllm import VllmSampler, chat_message, load_weights
from tests.qoqtrain.loopback import serving

SAMPLING = SamplingSettings(n=2, temperature=0.7, top_p=0.9, max_tokens=5)
MARK = "<|image|>"


def answer_of(body: dict) -> dict:
    """Two answers that say which question and seed they are for, the later one first."""
    text = body["messages"][0]["content"][0]["text"]
    choices = [
        {
            "index": index,
            "message": {"content": f"{text}:{body['seed'] % 1000}:{index}"},
            "finish_reason": "length" if index else "stop",
            "token_ids": [7, 8 + index],
            "logprobs": {"content": [{"logprob": -0.5}, {"logprob": -1.5}]},
        }
        for index in (1, 0)
    ]
    return {"choices": choices, "usage": {"prompt_tokens": 3}}


@pytest.fixture
def server():
    """(address, requests, reply): `reply` may be replaced by a status and bytes."""
    asked: list[dict] = []
    reply: dict = {}

    def answer(_: str, body: dict) -> tuple[int, bytes]:
        asked.append(body)
        status, content = reply.get("is", (200, None))
        return status, json.dumps(answer_of(body)).encode() if content is None else content

    with serving(answer) as address:
        yield f"{address}/v1", asked, reply


def sampler(*urls: str) -> VllmSampler:
    return VllmSampler(
        Servers(urls),
        "policy",
        lambda record: [chat_message(record["question"], [], MARK)],
        timeout=20,
    )


def prompts(*names: str) -> list[Prompt]:
    return [Prompt({"id": name, "question": name}, 3, copy) for copy, name in enumerate(names)]


def test_rollouts_come_in_order_with_their_tokens(server):
    url, asked, _ = server
    found = sampler(url)(prompts("a", "b", "c"), SAMPLING, seed=1, step=2)
    assert [(r.question, r.row, r.index) for r in found] == [
        (name, row, index) for row, name in enumerate("abc") for index in (0, 1)
    ]
    assert found[1].tokens == (7, 9)
    assert [r.truncated for r in found[:2]] == [False, True]
    assert found[4].text.startswith("c:")
    body = next(body for body in asked if body["messages"][0]["content"][0]["text"] == "a")
    assert (body["n"], body["temperature"], body["top_p"]) == (2, 0.7, 0.9)
    assert body["max_completion_tokens"] == 5
    assert body["return_token_ids"] is True


def test_log_probabilities_count_only_where_nothing_bends_them(server):
    """A server gives them before temperature and top-p."""
    url, _, _ = server
    for temperature, top_p, wanted in (
        (1.0, 1.0, (-0.5, -1.5)),
        (0.7, 1.0, None),
        (1.0, 0.9, None),
    ):
        sampling = SamplingSettings(n=2, temperature=temperature, top_p=top_p, max_tokens=5)
        found = sampler(url)(prompts("a"), sampling, seed=1, step=2)
        assert [rollout.logprobs for rollout in found] == [wanted, wanted]


def test_what_the_template_opens_and_what_is_never_sampled(server):
    url, asked, _ = server
    opened = replace(sampler(url), opened="<think>\n", silent=(11, 12))
    found = opened(prompts("a"), SAMPLING, seed=1, step=2)
    assert all(rollout.text.startswith("<think>\na:") for rollout in found)
    assert asked[-1]["logit_bias"] == {"11": -100, "12": -100}


def test_the_same_step_asks_with_the_same_seeds(server):
    url, _, _ = server
    one = sampler(url)(prompts("a", "b"), SAMPLING, seed=1, step=2)
    assert sampler(url)(prompts("a", "b"), SAMPLING, seed=1, step=2) == one
    assert sampler(url)(prompts("a", "b"), SAMPLING, seed=1, step=3) != one


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ((500, b"out of memory"), "status 500: out of memory"),
        ((200, b"<html>"), "no JSON"),
        ((200, b'{"choices": [], "usage": {"prompt_tokens": 3}}'), "0 answers instead of 2"),
        ((200, b'{"choices": [], "usage": {"prompt_tokens": 9}}'), "9 tokens, the trainer's 3"),
        ((200, b'{"choices": []}'), "usage"),
        (
            (200, b'{"choices": [{"index": 0}], "usage": {"prompt_tokens": 3}}'),
            "token_ids",
        ),
    ],
)
def test_a_strange_answer_stops_the_run_with_what_it_was(server, reply, words):
    url, _, told = server
    told["is"] = reply
    with pytest.raises(QoqdataError, match=words):
        sampler(url)(prompts("a"), SAMPLING, seed=1, step=2)


def test_several_servers_share_the_questions_and_one_that_dies_is_done_without(caplog):
    """The answers are those of one server: they depend on what is asked alone."""
    asked: dict[str, list[str]] = {"one": [], "two": []}
    dies_after = 2

    def answering(name: str):
        def answer(_: str, body: dict) -> tuple[int, bytes]:
            asked[name].append(body["messages"][0]["content"][0]["text"])
            if name == "two" and len(asked["two"]) > dies_after:
                return 502, b"engine dead"
            return 200, json.dumps(answer_of(body)).encode()

        return answer

    names = [f"q{number}" for number in range(8)]
    with serving(answering("one")) as one, serving(answering("two")) as two:
        both = sampler(f"{one}/v1", f"{two}/v1")
        found = both(prompts(*names), SAMPLING, seed=1, step=2)
        assert set(asked["one"]) | set(asked["two"][:dies_after]) == set(names)
        assert list(both.servers.lost) == [f"{two}/v1"]
        assert "status 502: engine dead" in caplog.text
        before = len(asked["two"])
        again = both(prompts(*names), SAMPLING, seed=1, step=2)
        assert len(asked["two"]) == before
        alone = sampler(f"{one}/v1")(prompts(*names), SAMPLING, seed=1, step=2)
    assert found == again == alone
    # Nobody is there any more.
    with pytest.raises(QoqdataError, match="does not answer"):
        both(prompts("q"), SAMPLING, seed=1, step=2)


def test_questions_go_round_and_a_server_that_came_back_is_asked_again():
    servers = Servers(("a", "b", "c"))
    assert [servers.order(number)[0] for number in range(4)] == ["a", "b", "c", "a"]
    assert servers.order(1) == ["b", "c", "a"]
    servers.lose("b", "dead")
    assert [servers.order(number) for number in (0, 1)] == [["a", "c"], ["c", "a"]]
    servers.regain({})
    assert servers.order(1) == ["b", "c", "a"]


def test_a_wrong_answer_is_not_asked_of_another_server():
    """It is a fault of the set-up, which the others have too."""
    reply = b'{"choices": [], "usage": {"prompt_tokens": 9}}'
    with serving(lambda *_: (200, reply)) as one, serving(lambda *_: (200, reply)) as two:
        both = sampler(f"{one}/v1", f"{two}/v1")
        with pytest.raises(QoqdataError, match="9 tokens, the trainer's 3"):
            both(prompts("a"), SAMPLING, seed=1, step=2)
    assert both.servers.lost == {}


def test_no_server():
    with pytest.raises(QoqdataError, match="does not answer"):
        sampler("http://127.0.0.1:9/v1")(prompts("a"), SAMPLING, seed=1, step=2)


def test_an_embedded_prompt_is_a_completion_with_its_tensor_alone():
    """In base64 what torch.save writes; tokens and log-probabilities as completions have them."""
    torch = pytest.importorskip("torch")
    asked: list[tuple[str, dict]] = []

    def answer(path: str, body: dict) -> tuple[int, bytes]:
        asked.append((path, body))
        choices = [
            {
                "index": index,
                "text": "fine",
                "finish_reason": "stop",
                "token_ids": [4, 5],
                "logprobs": {"token_logprobs": [-0.25, -0.5]},
            }
            for index in (0, 1)
        ]
        content = {"choices": choices, "usage": {"prompt_tokens": 3}}
        return 200, json.dumps(content).encode()

    whole = torch.arange(40, dtype=torch.bfloat16).view(10, 4)
    plain = SamplingSettings(n=2, temperature=1.0, top_p=1.0, max_tokens=5)
    with serving(answer) as address:
        embedded = replace(sampler(f"{address}/v1"), embeddings={0: whole[2:5]}, silent=(11,))
        found = embedded(prompts("a"), plain, seed=1, step=2)
    ((path, body),) = asked
    assert path == "/v1/completions" and not {"prompt", "messages"} & set(body)
    content = base64.b64decode(body["prompt_embeds"])
    read = torch.load(io.BytesIO(content), weights_only=True)
    assert read.dtype == torch.bfloat16 and torch.equal(read, whole[2:5])
    assert read.untyped_storage().nbytes() == 3 * 4 * 2
    assert (body["n"], body["max_tokens"], body["logit_bias"]) == (2, 5, {"11": -100})
    assert [(one.index, one.tokens, one.logprobs) for one in found] == [
        (0, (4, 5), (-0.25, -0.5)),
        (1, (4, 5), (-0.25, -0.5)),
    ]


def test_a_server_without_embeddings_is_told_how_it_has_them():
    torch = pytest.importorskip("torch")
    with serving(lambda *_: (400, b"You must set `--enable-prompt-embeds`")) as address:
        embedded = replace(sampler(f"{address}/v1"), embeddings={0: torch.zeros(3, 4)})
        with pytest.raises(QoqdataError, match=r"status 400.*Fix: start vLLM 0.24"):
            embedded(prompts("a"), SAMPLING, seed=1, step=2)


def test_images_stand_where_the_text_marks_them():
    jpeg, png = b"\xff\xd8\xff...", b"\x89PNG..."
    message = chat_message(f"Image 1: {MARK}\nImage 2: {MARK}\nWhat?", [jpeg, png], MARK)
    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["text", "image_url", "text", "image_url", "text"]
    url = message["content"][3]["image_url"]["url"]
    assert url == f"data:image/png;base64,{base64.b64encode(png).decode()}"
    with pytest.raises(UsageError, match="1 marks for 2 images"):
        chat_message(MARK, [jpeg, png], MARK)


Replies = dict[str, tuple[int, bytes]]


@pytest.fixture
def weights_server() -> Iterator[tuple[str, list[tuple[str, dict]], Replies]]:
    """(address, requests, replies): `replies` by path go before an empty 200."""
    asked: list[tuple[str, dict]] = []
    replies: Replies = {}

    def answer(path: str, body: dict) -> tuple[int, bytes]:
        asked.append((path, body))
        return replies.get(path, (200, b""))

    with serving(answer) as address:
        yield f"{address}/v1", asked, replies


def test_the_weights_are_loaded_before_what_they_replace_is_forgotten(weights_server):
    url, asked, replies = weights_server
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


def test_a_release_without_a_cache_of_images_is_no_error(weights_server):
    url, asked, replies = weights_server
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
def test_a_server_that_does_not_take_them_stops_the_run(weights_server, path, reply, words):
    url, _, replies = weights_server
    replies[path] = reply
    with pytest.raises(QoqdataError, match=words):
        load_weights(url, Path("/w"))


def test_a_server_that_is_not_there():
    with pytest.raises(QoqdataError, match="does not answer"):
        load_weights("http://127.0.0.1:9/v1", Path("/w"), timeout=2)
