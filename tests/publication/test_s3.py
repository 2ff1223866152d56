"""A release to an S3-compatible server on loopback, and back."""

from __future__ import annotations

import polars as pl
import pytest

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.publication.folder import Folder
from qoqdata.publication.release import deliver, prepare
from qoqdata.suite.examples import SALT

pytest.importorskip("moto")
pytest.importorskip("s3fs")


@pytest.mark.slow
def test_publish_and_read(mixed: Dataset, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    from moto.server import ThreadedMotoServer
    from s3fs import S3FileSystem

    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        keys = {"key": "loopback", "secret": "loopback"}
        options = keys | {"endpoint_url": f"http://{host}:{port}"}
        S3FileSystem(**options, skip_instance_cache=True).mkdir("releases")
        target = Folder("s3://releases/our-set", options)
        first = deliver(prepare(mixed, target, salt=SALT), target)
        assert first.revision == "1.0.0" and "manifest.json" in first.sent
        again = deliver(prepare(mixed, target, salt=SALT), target)
        assert again.sent == ()
        read = open_dataset("s3://releases/our-set", storage_options=options)
        wanted = mixed.records.filter(pl.col("source") == "ptb_xl").sort("id").collect()
        found = read.records.filter(pl.col("source") == "ptb_xl").collect().sort("id")
        assert found.equals(wanted)
    finally:
        server.stop()
