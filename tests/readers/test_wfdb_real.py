"""Real WFDB files of eight collections against wfdb, by hand, and against Einthoven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import UnreadableFile
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.ecg.leads import TWELVE, canonical
from tests.readers.einthoven import einthoven_residuals


def test_every_real_record_equals_wfdb_bit_for_bit(realdata: Path) -> None:
    """All PTB-XL (500 and 100 Hz), Chapman, Challenge 2020 and 2021, CPSC2021 and MIT-LCP files.

    Both sides compute (sample - baseline) / gain in float64; after the cast to float32 that we
    store there must be no difference at all. No record here is refused by wfdb or by us.
    """
    wfdb = pytest.importorskip("wfdb")
    headers = sorted((realdata / "ecg").rglob("*.hea"))
    assert len(headers) >= 100
    for path in headers:
        theirs = wfdb.rdrecord(str(path)[:-4])
        ours = read_ecg(path)
        rows = {canonical(name): k for k, name in enumerate(theirs.sig_name)}
        unit = dict(zip(map(canonical, theirs.sig_name), theirs.units, strict=True))
        kept = {lead for lead in rows if unit[lead].lower() == "mv"}
        assert set(ours.leads) == kept, path
        assert ours.fs == theirs.fs
        expected = theirs.p_signal.T[[rows[lead] for lead in ours.leads]]
        assert np.isfinite(expected).all()
        assert np.array_equal(ours.signal, expected.astype(np.float32)), path
        assert list(ours.comments) == theirs.comments


def test_real_headers_give_age_sex_dx(realdata: Path) -> None:
    ecg = realdata / "ecg"
    facts = {
        "cinc2021/E07500": (78, "male", ("67741000119109", "426177001")),
        "cinc2021/HR06000.mat": (59, "female", ("164934002", "426783006")),
        "chapman-shaoxing/WFDBRecords/01/010/JS00001.hea": (
            85,
            "male",
            ("164889003", "59118001", "164934002"),
        ),
        "cinc2020_phase1_cpsc2018/A0010": (None, None, ("RBBB",)),
        "wfdb_misc/s0010_re": (81, "female", ()),
        "ptb-xl/records500/00000/00001_hr": (None, None, ()),
    }
    for name, (age, sex, dx) in facts.items():
        recording = read_ecg(ecg / name)
        assert recording.dx == dx
        if age is not None:
            assert (recording.age, recording.sex) == (age, sex)


def test_real_leads_come_in_canonical_order_and_obey_einthoven(realdata: Path) -> None:
    for folder in ("ptb-xl/records500", "cinc2021", "chapman-shaoxing"):
        for path in sorted((realdata / "ecg" / folder).rglob("*.hea")):
            recording = read_ecg(path)
            assert recording.leads == TWELVE
            residuals = einthoven_residuals(recording.leads, recording.signal, recording.valid)
            assert set(residuals) == {"III", "aVR", "aVL", "aVF"}
            assert max(residuals.values()) < 0.02, path


def test_real_values_by_hand(realdata: Path) -> None:
    recording = read_ecg(realdata / "ecg/ptb-xl/records500/00000/00001_hr")
    # first values of the header, 1000 units per mV
    first = [-115, -50, 65, 82, -90, 7, -65, -40, -5, -35, -35, -75]
    assert np.array_equal(recording.signal[:, 0], (np.array(first) / 1000).astype(np.float32))
    assert recording.signal.shape == (12, 5000) and recording.fs == 500.0
    # lead V4 of record 4 ends with 53 samples stuck at its maximum, 3.025 mV
    stuck = read_ecg(realdata / "ecg/ptb-xl/records500/00000/00004_hr")
    v4 = stuck.leads.index("V4")
    assert np.flatnonzero(~stuck.valid[v4]).tolist() == list(range(4947, 5000))
    assert (stuck.signal[v4, 4947:] == np.float32(3.025)).all()


def test_a_real_record_damaged_in_one_byte_is_refused(realdata: Path, tmp_path: Path) -> None:
    source = realdata / "ecg/cinc2021"
    (tmp_path / "E07500.hea").write_bytes((source / "E07500.hea").read_bytes())
    data = bytearray((source / "E07500.mat").read_bytes())
    data[60_000] ^= 1
    (tmp_path / "E07500.mat").write_bytes(bytes(data))
    with pytest.raises(UnreadableFile, match="checksum"):
        read_ecg(tmp_path / "E07500")
