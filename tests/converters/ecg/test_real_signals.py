"""Signals of real recordings, as sources give them, against wfdb."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import wfdb

from qoqdata.readers.ecg.leads import canonical
from qoqdata.records.content import Record
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job, Unit
from qoqdata.sources.rawtree import open_raw

find_source("ptb_xl")
SOURCES = {
    "ptb_xl": ("ptb-xl", "", 34),
    "chapman_shaoxing": ("chapman-shaoxing", "", 4),
    "georgia": ("cinc2021", "training/georgia/g8", 22),
    "cpsc2018": ("cinc2020_phase1_cpsc2018", "training/cpsc_2018/g1", 4),
}


@pytest.mark.parametrize("slug", SOURCES)
def test_millivolts_are_those_of_wfdb(realdata: Path, tmp_path: Path, slug: str) -> None:
    """All recordings, laid out as the source is; those of cinc2021 are of three collections."""
    folder, place, count = SOURCES[slug]
    raw = realdata / "ecg" / folder
    if place:
        shutil.copytree(raw, tmp_path / place)
        raw = tmp_path
    source = find_source(slug)
    options = {name: option.default for name, option in source.card.options.items()}
    job = Job(source.card, open_raw(raw), options)
    units = [unit for unit in source.plan(job) if isinstance(unit, Unit)]
    shown = 0
    for unit in units:
        if not job.raw.exists(unit.files[0]):
            continue  # an index lists a hundred recordings, of which four are here
        records = [one for one in source.convert(unit, job) if isinstance(one, Record)]
        theirs = wfdb.rdrecord(str(job.raw.resolve(unit.files[0]).with_suffix("")))
        rows = {
            canonical(name): row
            for name, row in zip(theirs.sig_name, theirs.p_signal.T, strict=True)
        }
        assert records and len({id(record.ecg) for record in records}) == 1
        ecg = records[0].ecg
        assert ecg is not None and ecg.fs == theirs.fs and set(ecg.leads) == set(rows)
        expected = np.stack([rows[lead] for lead in ecg.leads])
        assert ecg.signal.shape == expected.shape
        assert np.nanmax(np.abs(ecg.signal - expected)) < 1e-4
        shown += 1
    assert shown == count


def test_codes_of_all_real_headers_have_a_label(realdata: Path) -> None:
    snomed = import_module("qoqdata.converters.ecg.snomed")
    stated = set()
    for header in (realdata / "ecg").rglob("*.hea"):
        for line in header.read_text().splitlines():
            if line.lstrip("# ").startswith("Dx:"):
                stated |= {code.strip() for code in line.partition(":")[2].split(",")}
    codes = {code for code in stated if code.isdigit()}
    assert len(codes) >= 20 and codes <= set(snomed.terms())
