"""An estimator from the options of a configuration file."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.errors import DatasetError, UsageError
from qoqdata.statistics import tables
from qoqtrain.adapters.options import drpo_of
from tests.records.sound_rows import image_row
from tests.validation.written_set import write


def test_an_estimator_from_options(tmp_path: Path) -> None:
    drpo, column = drpo_of({"priors": {"ct": 90}, "settings": {"alpha": 0.5}})
    assert (column, drpo.settings.alpha, drpo.priors.domains["ct"].n_records) == ("domain", 0.5, 90)
    drpo, column = drpo_of({"preset": "grpo", "domain_key": "source", "domain_column": "data"})
    assert (drpo.domain_key, column, drpo.settings.alpha) == ("source", "data", 0.0)
    dataset = write(tmp_path / "set", [image_row(id=f"r{i}", patient=f"p{i}") for i in range(3)])
    with pytest.raises(DatasetError, match="no statistics yet"):
        drpo_of({"dataset": str(dataset.root)})
    stats = tables.write_statistics(dataset.layout, tables.compute(dataset.kept(), None))
    drpo, _ = drpo_of({"dataset": str(dataset.root)})
    assert drpo.priors.digest == stats.digest
    assert {prior.n_records for prior in drpo.priors.domains.values()} == {3}
    with pytest.raises(UsageError, match="unknown DRPO options: colour"):
        drpo_of({"colour": "red"})
