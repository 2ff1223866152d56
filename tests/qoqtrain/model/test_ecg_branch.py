"""The ECG branch: positions by lead name, masks, pooling."""

from __future__ import annotations

import json

import pytest
import torch

from qoqdata.errors import UsageError
from qoqtrain.model.ecg_branch import EcgBranch, EcgEncoder
from qoqtrain.model.ecg_config import EIGHT, PLACES, EcgConfig, ecg_config

SMALL = EcgConfig(width=16, depth=2, heads=2, patch=10, patches=10)


def seeded(config: EcgConfig, width: int = 12) -> EcgBranch:
    torch.manual_seed(0)
    return EcgBranch(config, width).eval()


def windows(config: EcgConfig, rows: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    signal = torch.randn(rows, len(config.leads), config.samples, generator=generator)
    places = torch.tensor(config.places).expand(rows, -1)
    return signal, torch.ones_like(signal, dtype=torch.bool), places


@pytest.mark.parametrize("attention", ["cross", "full"])
def test_the_order_of_leads_is_of_no_account(attention: str) -> None:
    branch = seeded(EcgConfig(**{**vars(SMALL), "attention": attention}))
    signal, valid, places = windows(SMALL)
    valid = valid.clone()
    valid[0, 3, 20:40] = False
    order = torch.randperm(8, generator=torch.Generator().manual_seed(2))
    tokens = branch(signal, valid, places)
    turned = branch(signal[:, order], valid[:, order], places[:, order])
    torch.testing.assert_close(turned, tokens)


def test_the_name_of_a_lead_counts() -> None:
    branch = seeded(SMALL)
    signal, valid, places = windows(SMALL)
    swapped = branch(signal, valid, places.flip(1))
    assert (swapped - branch(signal, valid, places)).abs().max() > 1e-4


@pytest.mark.parametrize("rubbish", [0.0, 1e9, float("nan"), float("inf")])
def test_invalid_samples_are_not_read(rubbish: float) -> None:
    branch = seeded(SMALL)
    signal, valid, places = windows(SMALL)
    valid = valid.clone()
    valid[1, 2, 15] = False
    valid[0, 5] = False
    spoilt = torch.where(valid, signal, rubbish)
    found = branch(spoilt, valid, places)
    torch.testing.assert_close(found, branch(signal, valid, places))
    assert found.isfinite().all()


def test_an_absent_lead_is_the_same_as_one_that_is_not_given() -> None:
    branch = seeded(SMALL)
    signal, valid, places = windows(SMALL, rows=1)
    kept = [0, 1, 4, 7]
    masked = valid.clone()
    masked[:, [2, 3, 5, 6]] = False
    torch.testing.assert_close(
        branch(signal, masked, places),
        branch(signal[:, kept], valid[:, kept], places[:, kept]),
    )


def test_cross_attention_sees_its_lead_and_its_time_only() -> None:
    torch.manual_seed(0)
    encoder = EcgEncoder(EcgConfig(**{**vars(SMALL), "depth": 1})).eval()
    signal, valid, places = windows(SMALL, rows=1)
    before, _ = encoder(signal, valid, places)
    changed = signal.clone()
    changed[0, 3, 40:50] += 1.0
    after, _ = encoder(changed, valid, places)
    moved = (after - before).abs().amax(-1)[0] > 1e-7
    expected = torch.zeros(8, 10, dtype=torch.bool)
    expected[3, :] = True
    expected[:, 4] = True
    assert torch.equal(moved, expected)


def test_tokens_are_stretches_of_time() -> None:
    one = seeded(SMALL)
    five = EcgBranch(EcgConfig(**{**vars(SMALL), "tokens": 5}), 12).eval()
    five.load_state_dict(one.state_dict())
    given = windows(SMALL)
    # All stretches are of one length, so the mean of their means is the mean of all.
    torch.testing.assert_close(five(*given).view(2, 5, 12).mean(1), one(*given))


def test_a_stretch_without_a_valid_patch_has_no_token() -> None:
    config = EcgConfig(**{**vars(SMALL), "tokens": 5})
    branch = seeded(config)
    signal, valid, places = windows(config)
    whole = branch(signal, valid, places)
    valid = valid.clone()
    valid[0, :, 40:60] = False  # exactly the third stretch
    valid[1, :, ::10] = False  # one bad sample in every patch
    valid[1, 6, 80:] = True
    rows = zip(signal.split(1), valid.split(1), places.split(1), strict=True)
    assert [len(branch(*row)) for row in rows] == [4, 1]
    assert branch(signal, valid, places).shape == (5, 12)
    assert whole.shape == (10, 12)


def test_idle_is_a_zero_that_reaches_every_parameter() -> None:
    branch = seeded(SMALL).train()
    zero = branch.idle(torch.device("cpu"))
    assert zero.item() == 0.0
    zero.backward()
    assert all(value.grad is not None for value in branch.parameters())
    assert all(value.grad.eq(0).all() for value in branch.parameters() if value.grad is not None)


def test_settings_survive_json() -> None:
    config = EcgConfig(leads=tuple(PLACES), tokens=10, windows=3)
    assert ecg_config(json.loads(config.to_json())) == config


@pytest.mark.parametrize(
    "bad",
    [
        {"leads": ["I", "MLII"]},
        {"leads": []},
        {"leads": ["I", "I"]},
        {"tokens": 7},
        {"heads": 5},
        {"attention": "none"},
        {"rate": 0},
        {"windows": 0},
        {"colour": 1},
    ],
)
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(UsageError):
        ecg_config(bad)


def test_the_eight_leads_come_first() -> None:
    # ECG-JEPA's rows are I, II, V1 to V6; its stored positions follow that order.
    assert [PLACES[lead] for lead in EIGHT] == list(range(8))
    assert EIGHT == ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
