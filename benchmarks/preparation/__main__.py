"""Peak memory of `qoqdata prepare mimic_iv` against the size of the tables.

    python -m benchmarks.preparation --gigabytes 0.1 0.5 2 --work FOLDER

Makes up tables of events of the given packed sizes (a member of 100 MB or less, as often as it
takes: gzip files may be concatenated), prepares each in a process of its own, and prints size,
unpacked size, rows, kept rows, seconds of CPU and peak resident memory. Needs the disk for the
largest.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
from qoqdata.converters.multimodal.mimic_iv.events import read_items

STAYS, ROWS = 5_000, 2_000_000
BEGIN = np.datetime64("2150-01-01T00:00:00")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[0.1, 0.5, 2.0])
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    parts = {name: _member(name) for name in ("icu/chartevents", "hosp/labevents")}
    for size in given.gigabytes:
        raw = given.work / f"mimic-{size:g}"
        shutil.rmtree(raw, ignore_errors=True)
        packed, unpacked = _write(raw, parts, size)
        code = (
            "import sys, json, qoqdata, resource\n"
            "receipt = qoqdata.prepare('mimic_iv', raw=sys.argv[1])\n"
            "used = resource.getrusage(resource.RUSAGE_SELF)\n"
            # Not ru_maxrss: Linux hands a parent's peak on to its children.
            "lines = open('/proc/self/status').read().splitlines()\n"
            "peak = next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
            "print(json.dumps([receipt['events'], used.ru_utime + used.ru_stime, peak]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(raw)], capture_output=True, text=True, check=True
        )
        events, seconds, peak = json.loads(done.stdout)
        rows, kept = (sum(one[name] for one in events.values()) for name in ("rows", "kept"))
        print(  # noqa: T201
            f"{packed / 1e9:.2f} GB packed, {unpacked / 1e9:.1f} GB unpacked, {rows:,} rows, "
            f"{kept:,} kept: {seconds:.0f} s of CPU, peak {peak / 1024:.0f} MB",
            flush=True,
        )
        shutil.rmtree(raw)


def _member(table: str) -> tuple[bytes, bytes, int]:
    """Header and rows of a table of events, packed apart, and their size unpacked."""
    rng = np.random.default_rng(len(table))
    items = read_items().filter(table=table)
    place = rng.integers(0, items.height, ROWS)
    stay = rng.integers(0, STAYS, ROWS)
    at = (BEGIN + rng.integers(-86_400, 3 * 86_400, ROWS)).astype("datetime64[us]")
    low, high, scale, offset = (items[name].to_numpy()[place] for name in
                                ("low", "high", "scale", "offset"))  # fmt: skip
    value = ((rng.uniform(low, high) - offset) / scale).round(1)
    unit = [one.split("|")[0].replace("-", "") for one in items["units"]]
    # Some rows are of items that nobody asks for, as most of the real ones are.
    itemid = np.where(
        rng.random(ROWS) < 0.4, 999_999, items["itemid"].cast(pl.Int64).to_numpy()[place]
    )
    charted = table == "icu/chartevents"
    frame = pl.DataFrame(
        {
            "subject_id": 10_000_000 + stay,
            "hadm_id": 20_000_000 + stay,
            "stay_id": 30_000_000 + stay,
            "charttime": at,
            "storetime": at + 1_000_000 * rng.integers(60, 7200, ROWS),
            "itemid": itemid,
            "value": value.astype(str),
            "valuenum": value,
            "valueuom": np.array(unit)[place],
            "warning": np.zeros(ROWS, np.int8),
        }
    ).with_columns(pl.col("charttime", "storetime").dt.to_string("%Y-%m-%d %H:%M:%S"))
    if not charted:
        frame = frame.drop("stay_id")
    text = BytesIO()
    frame.write_csv(text, include_header=False)
    header = (",".join(frame.columns) + "\n").encode()
    return gzip.compress(header), gzip.compress(text.getvalue(), 1), len(text.getvalue())


def _write(
    raw: Path, parts: dict[str, tuple[bytes, bytes, int]], gigabytes: float
) -> tuple[int, int]:
    """Tables with events of `gigabytes` packed, three quarters of them charted values."""
    for folder in ("icu", "hosp"):
        (raw / folder).mkdir(parents=True)
    packed = unpacked = 0
    for name, share in (("icu/chartevents", 0.75), ("hosp/labevents", 0.25)):
        header, member, size = parts[name]
        with (raw / f"{name}.csv.gz").open("wb") as file:
            file.write(header)
            for _ in range(max(1, round(gigabytes * share * 1e9 / len(member)))):
                packed += file.write(member)
                unpacked += size
    stay = np.arange(STAYS)
    times = pl.lit("2150-01-01 00:00:00")
    stays = pl.DataFrame({"subject_id": 10_000_000 + stay, "hadm_id": 20_000_000 + stay,
                          "stay_id": 30_000_000 + stay})  # fmt: skip
    stays.with_columns(first_careunit=pl.lit("MICU"), intime=times,
                       outtime=pl.lit("2150-01-05 00:00:00")).write_csv(
        raw / "icu/icustays.csv")  # fmt: skip
    stays.drop("stay_id").with_columns(
        admittime=times, dischtime=pl.lit("2150-01-09 00:00:00"), deathtime=pl.lit(""),
        admission_type=pl.lit("URGENT"), admission_location=pl.lit("CLINIC"),
        hospital_expire_flag=pl.lit("0")).write_csv(raw / "hosp/admissions.csv")  # fmt: skip
    stays.select("subject_id", gender=pl.lit("F"), anchor_age=pl.lit(60),
                 anchor_year=pl.lit(2150)).write_csv(raw / "hosp/patients.csv")  # fmt: skip
    stays.select("hadm_id", seq_num=pl.lit(1), icd_code=pl.lit("I214"),
                 icd_version=pl.lit(10)).write_csv(raw / "hosp/diagnoses_icd.csv")  # fmt: skip
    for table, name in (("icu/chartevents", "icu/d_items"), ("hosp/labevents", "hosp/d_labitems")):
        read_items().filter(table=table).select("itemid", label="stated").write_csv(
            raw / f"{name}.csv"
        )
    return packed, unpacked


if __name__ == "__main__":
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
