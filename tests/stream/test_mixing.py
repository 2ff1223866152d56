"""Weights of a mix, by rule and given, with a bound on repeats; changed in the middle of a run."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.statistics import difficulty
from qoqdata.stream import Mix, Stream
from qoqdata.stream.mixing import probabilities, weights
from qoqdata.stream.plan import Share
from qoqdata.stream.sequence import components
from tests.statistics.written import write_stats
from tests.stream.sets import Part, write

RECORDS = {"a": 900, "b": 90, "c": 10}
N = 143


def opened(dataset: Dataset, mix: Mix | str, **asked: object) -> Stream:
    return dataset.stream(mix=mix, columns=["id", "domain"], workers=0, **asked)


@pytest.mark.parametrize(
    ("mix", "want"),
    [
        (Mix(weights="proportional"), [0.9, 0.09, 0.01]),
        (Mix(weights="uniform"), [1 / 3, 1 / 3, 1 / 3]),
        # Square roots: 30, 9.4868, 3.1623.
        (Mix(weights="temperature", temperature=2), [0.703436, 0.222446, 0.074149]),
        (Mix(weights={"a": 1, "b": 0, "c": 3}), [0.25, 0, 0.75]),
    ],
)
def test_weights_by_rule(mix: Mix, want: list[float]) -> None:
    found = probabilities(weights(mix, RECORDS, None), RECORDS, max_repeats=None)
    assert found.tolist() == pytest.approx(want, abs=1e-4)


def test_a_target_is_cut_level_by_level() -> None:
    """a has 64 studies, b 36. Domains by their root: 8 to 6. In a x 49 and y 15 are alike."""
    studies = {"a/x": 49.0, "a/y/z": 15.0, "b/x": 36.0}
    mix = Mix("domain/label", "target", exponents=(0.5, 0.0))
    want = {"a/x": 8 / 14 / 2, "a/y/z": 8 / 14 / 2, "b/x": 6 / 14}
    assert weights(mix, studies, None) == pytest.approx(want)
    proportional = Mix("domain/label", "target", exponents=1.0)
    assert weights(proportional, studies, None)["b/x"] == pytest.approx(0.36)
    for wrong in ({"exponents": (0.5,)}, {"exponents": 2.0}, {"exponents": "x"}):
        with pytest.raises(UsageError, match="exponents"):
            Mix("domain/label", "target", **wrong)
    for by in ("label/domain", "domain/domain", "colour", "domain/label/concept", ""):
        with pytest.raises(UsageError, match="components"):
            Mix(by)


def with_rates(dataset: Dataset, rates: list[float | None], policy: str = "tiny") -> Dataset:
    """The set with success rates of some of its records, in order of id."""
    ids = sorted(dataset.records.select("id").collect()["id"].to_list())
    known = [(name, rate) for name, rate in zip(ids, rates, strict=False) if rate is not None]
    path = dataset.root / "rollouts.jsonl"
    path.write_text("".join(json.dumps({"id": n, "reward": r}) + "\n" for n, r in known))
    table = difficulty.from_rollouts(path, policy=policy, scorer="reward")
    difficulty.write_difficulty(dataset.layout, table)
    return open_dataset(dataset.root)


def test_the_last_level_is_how_hard_a_question_is(tmp_path: Path) -> None:
    written = write(tmp_path / "set", [Part("films", "chest_xray", (8,))])
    mix = Mix("domain/difficulty", "target", exponents=0.0)
    with pytest.raises(UsageError, match=r"no success rates to mix by.*qoqdata difficulty"):
        opened(written, mix)
    # Below a third, below two thirds, above; the others have none.
    dataset = with_rates(written, [0.0, 0.3333, 1 / 3, 0.66, 2 / 3, 1.0])
    stream = opened(dataset, mix)
    shares = {name: (one.records, one.probability) for name, one in stream.sampling().items()}
    assert shares == {
        f"chest_xray/{name}": (2, pytest.approx(0.25)) for name in ("", "hard", "middle", "easy")
    }
    # Another table gives other components, so a state of this one is refused.
    state = stream.state_dict()
    other = opened(with_rates(dataset, [1.0] * 6), mix)
    with pytest.raises(DatasetError, match="selected other records"):
        other.load_state_dict(state)
    with pytest.raises(UsageError, match="choose with --policy"):
        opened(with_rates(dataset, [1.0], "second"), mix)
    named = opened(dataset, Mix("difficulty", "uniform", policy="second"))
    assert {name: one.records for name, one in named.sampling().items()} == {"": 7, "easy": 1}


def test_labels_with_a_slash_keep_their_difficulty_apart() -> None:
    mix = Mix("domain/label/difficulty", "target", exponents=(0.0, 0.0, 1.0))
    assert mix.parts("ct/a/b/hard") == ("ct", "a/b", "hard")
    assert mix.parts("ct//") == ("ct", "", "")
    assert Mix("difficulty").parts("easy") == ("easy",)
    found = weights(mix, {"ct/a/b/hard": 3.0, "ct/a/b/easy": 1.0, "ct/c/": 9.0}, None)
    assert found == pytest.approx({"ct/a/b/hard": 3 / 8, "ct/a/b/easy": 1 / 8, "ct/c/": 1 / 2})
    for wrong in ("difficulty/domain", "label/domain/difficulty", "label/task"):
        with pytest.raises(UsageError, match="difficulty last"):
            Mix(wrong)


def test_components_of_several_levels() -> None:
    """A label that is rare over all may be common in its domain: rarest is within the domain."""
    frame = pl.DataFrame(
        {
            "domain": ["a", "a", "a", "b", "b"],
            "labels": [["x", "y"], ["x"], None, ["x", "y"], ["y"]],
        }
    )
    found = {name: at.tolist() for name, at in components(frame, "domain/label").items()}
    assert found == {"a/": [2], "a/x": [1], "a/y": [0], "b/x": [3], "b/y": [4]}


def test_bounded_repeats() -> None:
    """c may be 2 x 10 of 1000 draws, b 180; a gets the rest."""
    found = probabilities(dict.fromkeys(RECORDS, 1.0), RECORDS, max_repeats=2)
    assert found.tolist() == pytest.approx([0.8, 0.18, 0.02])
    with pytest.raises(UsageError, match="max_repeats"):
        probabilities({"a": 0.0, "b": 1.0, "c": 1.0}, RECORDS, max_repeats=2)


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 10_000)), min_size=1, max_size=8),
    st.floats(1, 50),
)
def test_bounds_hold_and_the_rest_is_proportional(
    given_: list[tuple[float, int]], most: float
) -> None:
    records = {str(i): n for i, (_, n) in enumerate(given_)}
    raw = {str(i): w for i, (w, _) in enumerate(given_)}
    if sum(raw.values()) < 1e-6:
        return
    total = sum(records.values())
    try:
        p = probabilities(raw, records, max_repeats=most)
    except UsageError:
        assert most * sum(n for w, n in given_ if w > 0) < total * (1 + 1e-6)
        return
    bound = np.array([most * n / total for n in records.values()])
    assert p.sum() == pytest.approx(1) and (p <= bound * (1 + 1e-6)).all()
    free = [i for i in range(len(p)) if p[i] < bound[i] * (1 - 1e-6) and given_[i][0] > 1e-9]
    ratios = [p[i] / given_[i][0] for i in free]
    assert not ratios or max(ratios) == pytest.approx(min(ratios))


@pytest.mark.parametrize(
    "weights_",
    [
        {"a": 1},
        {"a": 1, "b": 1, "c": -1},
        {"a": 1, "b": 1, "c": math.nan},
        {"a": 1, "b": 1, "c": math.inf},
        {"a": 0, "b": 0, "c": 0},
        {"a": 1, "b": 1, "c": 1, "d": 1},
    ],
)
def test_weights_that_cannot_be(weights_: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="weights"):
        weights(Mix(weights=weights_), RECORDS, None)


@pytest.mark.parametrize(
    "wrong",
    [{"by": "colour"}, {"weights": "often"}, {"temperature": 0.0}, {"max_repeats": 0}],
)
def test_mixes_that_cannot_be(wrong: dict) -> None:
    with pytest.raises(UsageError):
        Mix(**wrong)


def test_rarity_is_that_of_the_tables(tmp_path: Path) -> None:
    """n x sqrt(N / (D n)) is in proportion to sqrt(n): 6 to 2."""
    dataset = write(tmp_path, [Part("films", "chest_xray", (36,)), Part("scans", "ct", (4,))])
    mix = Mix("domain", "rarity")
    with pytest.raises(DatasetError, match="no statistics yet"):
        opened(dataset, mix)
    write_stats(dataset)
    found = {name: s.probability for name, s in opened(dataset, mix).sampling().items()}
    assert found == pytest.approx({"chest_xray": 0.75, "ct": 0.25})
    with pytest.raises(UsageError, match="rarity of labels"):
        opened(dataset, Mix("label", "rarity"))


def test_rarity_does_not_count_questions(tmp_path: Path) -> None:
    """Three questions about each scan leave it as likely as one; of a stream that a filter halves,
    half of the films' studies stay: 18 sqrt(1 / 36) to 4 sqrt(1 / 4) is 3 to 2."""
    parts = [Part("films", "chest_xray", (36,)), Part("scans", "ct", (12,), asked=3)]
    dataset = write(tmp_path, parts)
    write_stats(dataset)
    mix = Mix("domain", "rarity")
    found = {name: s.probability for name, s in opened(dataset, mix).sampling().items()}
    assert found == pytest.approx({"chest_xray": 0.75, "ct": 0.25})
    assert {name: s.records for name, s in opened(dataset, mix).sampling().items()}["ct"] == 12
    half = (pl.col("domain") == "ct") | (pl.col("age") < 18)
    found = {name: s.probability for name, s in opened(dataset, mix, where=half).sampling().items()}
    assert found == pytest.approx({"chest_xray": 0.6, "ct": 0.4})


def test_components_by_label() -> None:
    """B occurs twice, A thrice: a record with both is of B; ties go by name."""
    labels = [["A"], ["A", "B"], ["A", "B", "B"], None, [], ["D", "C"]]
    frame = pl.DataFrame({"labels": labels}, schema={"labels": pl.List(pl.String)})
    found = {name: at.tolist() for name, at in components(frame, "label").items()}
    assert found == {"": [3, 4], "A": [0], "B": [1, 2], "C": [5]}


def test_sampling_and_draw_counts(mixed: Dataset) -> None:
    stream = opened(mixed, Mix("domain", {"chest_xray": 2, "ct": 1, "ecg": 1}))
    told = stream.sampling()
    assert {name: s.records for name, s in told.items()} == {"chest_xray": 100, "ct": 30, "ecg": 13}
    assert told["ecg"].probability == pytest.approx(0.25, abs=1e-8)
    assert told["ecg"].passes == pytest.approx(0.25 * 143 / 13, abs=1e-6)
    seen = Counter(record["domain"] for record in islice(stream, 2000))
    drawn = stream.draw_counts()
    assert {name: r.draws for name, r in drawn.items()} == seen
    assert drawn["ct"].share == pytest.approx(0.25, abs=0.02)
    assert drawn["ct"].passes == pytest.approx(seen["ct"] / 30)
    plain = mixed.stream(columns=["domain"], workers=0)
    seen = Counter(record["domain"] for record in islice(plain, 200))
    assert {name: r.draws for name, r in plain.draw_counts().items()} == seen


def test_no_record_again_before_all_of_its_component(mixed: Dataset) -> None:
    stream = opened(mixed, "source:uniform")
    seen: Counter[str] = Counter(record["id"] for record in islice(stream, 1500))
    for source in ("films", "scans", "hearts"):
        counts = [n for name, n in seen.items() if name.startswith(source)]
        assert max(counts) - min(counts) <= 1


WEIGHTS = st.fixed_dictionaries(dict.fromkeys(("chest_xray", "ct", "ecg"), st.floats(0.01, 5)))


@pytest.mark.slow
@settings(max_examples=10)
@given(
    st.lists(st.tuples(st.integers(0, 6), WEIGHTS), min_size=1, max_size=4),
    st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=5, max_size=5),
)
def test_reweighted_and_resumed_is_unbroken(
    mixed: Dataset, changes: list[tuple[int, dict]], worlds: list[int]
) -> None:
    """Weights change between steps of 12 draws, which all worlds share evenly; the other run is
    torn down before and after each change."""
    whole = opened(mixed, "domain:uniform")
    want: list[str] = []
    for steps, given_ in changes:
        want += [r["id"] for r in islice(whole, 12 * steps)]
        whole.reweight(given_)
    want += [r["id"] for r in islice(whole, 60)]

    got: dict[int, str] = {}
    state = json.dumps(opened(mixed, "domain:uniform").state_dict())

    def run(draws: int, number: int) -> str:
        world = worlds[number]
        states = set()
        for rank in range(world):
            one = opened(mixed, "domain:uniform").shared(Share(rank, world))
            one.load_state_dict(json.loads(state))
            got.update({r["position"]: r["id"] for r in islice(one, draws // world)})
            states.add(json.dumps(one.state_dict()))
        assert len(states) == 1
        return states.pop()

    for number, (steps, given_) in enumerate(changes):
        state = run(12 * steps, number)
        one = opened(mixed, "domain:uniform")
        one.load_state_dict(json.loads(state))
        one.reweight(given_)
        state = json.dumps(one.state_dict())
        assert len(state) < 1000
    run(60, len(changes))
    assert [got[p] for p in range(len(want))] == want


def test_a_state_of_other_first_weights_is_refused(mixed: Dataset) -> None:
    state = opened(mixed, "domain:uniform").state_dict()
    given_ = Mix("domain", {"chest_xray": 2, "ct": 1, "ecg": 1})
    with pytest.raises(UsageError, match="mix"):
        opened(mixed, given_).load_state_dict(state)


def test_too_many_components_to_change(tmp_path: Path) -> None:
    labels = tuple(f"finding {i}" for i in range(120))
    dataset = write(tmp_path, [Part("films", "chest_xray", (240,), labels=labels)])
    stream = opened(dataset, "label:uniform")
    ids = [r["id"] for r in islice(stream, 10)]
    assert len(json.dumps(stream.state_dict())) < 1000
    with pytest.raises(UsageError, match="too large"):
        stream.reweight(dict.fromkeys(labels, 1.0))
    assert [r["id"] for r in islice(stream, 10)] == stream.order(10, 20)["id"].to_list()
    assert len(set(ids)) == 10


def test_weights_of_a_stream_without_a_mix(mixed: Dataset) -> None:
    with pytest.raises(UsageError, match="has no mix"):
        mixed.stream().reweight({"ct": 1})


def test_the_order_before_a_change_is_not_known(mixed: Dataset) -> None:
    stream = opened(mixed, "domain:uniform")
    next(iter(stream))
    stream.reweight({"chest_xray": 1, "ct": 1, "ecg": 1})
    with pytest.raises(UsageError, match="weights were others"):
        stream.order(0, 5)
