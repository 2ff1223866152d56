"""Planted secrets are found wherever they hide; a clean release has none."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydicom import dcmread

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.publication.key_search import key_search
from qoqdata.publication.outgoing_texts import texts_of
from qoqdata.publication.privacy import Leak, scan_outgoing, secrets_of
from qoqdata.publication.staging import stage
from qoqdata.records.identity import Salt
from qoqdata.records.raw_keys import pack
from qoqdata.sources import catalogue
from qoqdata.suite.examples import SALT
from tests.records.sound_rows import image_row
from tests.validation.written_set import write

SETTING = BuildSetting(SALT, workers=0)


def test_a_staged_release_has_no_leak(mixed: Dataset, tmp_path: Path) -> None:
    staged = stage(mixed, tmp_path / "out")
    assert scan_outgoing(staged.root, secrets_of(mixed, SALT)) == []


@pytest.mark.parametrize(
    "spelling",
    [
        SALT.secret,
        SALT.secret.hex().encode(),
        SALT.secret.hex().upper().encode(),
        base64.b64encode(SALT.secret),
    ],
)
def test_salt_in_any_spelling(mixed: Dataset, tmp_path: Path, spelling: bytes) -> None:
    (tmp_path / "image.bin").write_bytes(b"\xff" * 100_000 + spelling + b"\x00")
    assert scan_outgoing(tmp_path, secrets_of(mixed, SALT)) == [
        Leak("image.bin", "the site's salt")
    ]


@pytest.mark.parametrize(
    "column", ["context", "question", "reasoning", "answer", "provenance", "options", "regions"]
)
def test_a_path_in_any_text_column(mixed: Dataset, tmp_path: Path, column: str) -> None:
    where = "/home/somebody/films/a.png"
    row = image_row(options=None)
    match column:
        case "provenance":
            row[column] = row[column] | {"notes": [f"copied from {where}"]}
        case "options":
            row[column] = ["Clear", where]
        case "regions":
            row[column] = [row[column][0] | {"reader": where}]
        case _:
            row[column] = f"see {where}"
    written = write(tmp_path / "set", [row])
    leaks = scan_outgoing(written.root, secrets_of(mixed, SALT))
    files = ("data/films/train-00000.parquet", "meta/films.parquet")
    assert leaks == [Leak(file, "an absolute path") for file in files]


def test_own_folder_of_the_data_set(mixed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"built in {mixed.root.resolve()}")
    found = {leak.what for leak in scan_outgoing(tmp_path, secrets_of(mixed, SALT))}
    assert "a path of this machine" in found


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = catalogue.find_source("dicom_folder").folder / "example"
    request = SourceRequest(
        source="dicom_folder", raw=folder / "raw", mapping=folder / "mapping.yaml"
    )
    out = tmp_path_factory.mktemp("private") / "set"
    build(BuildConfig(sources=(request,)), out, BuildSetting(SALT, workers=0))
    return open_dataset(out)


def test_raw_patient_id_of_a_private_source(private: Dataset, tmp_path: Path) -> None:
    raw = catalogue.find_source("dicom_folder").folder / "example" / "raw" / "export" / "IM0"
    patient = str(dcmread(raw).PatientID)
    (tmp_path / "README.md").write_text(f"Thanks to {patient} for taking part.")
    secrets = secrets_of(private, SALT)
    assert scan_outgoing(tmp_path, secrets) == [Leak("README.md", "a raw patient or study key")]
    (tmp_path / "README.md").write_text("Thanks to everybody for taking part.")
    assert scan_outgoing(tmp_path, secrets) == []


def test_ids_are_recognised_with_the_right_salt_only(private: Dataset, tmp_path: Path) -> None:
    other = Salt(b"the secret of quite another site")
    (tmp_path / "README.md").write_text("P1 P-001 PAT001")
    assert scan_outgoing(tmp_path, secrets_of(private, other)) == []


KEY = "a raw patient or study key"


def scan(root: Path, dataset: Dataset) -> list[Leak]:
    return scan_outgoing(root, secrets_of(dataset, SALT))


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.list_(pa.string()),
        pa.large_list(pa.string()),
        pa.list_(pa.struct([("a", pa.list_(pa.string()))])),
        pa.struct([("a", pa.string())]),
        pa.map_(pa.string(), pa.string()),
    ],
    ids=str,
)
def test_a_key_in_any_kind_of_column(private: Dataset, tmp_path: Path, kind: pa.DataType) -> None:
    def holding(kind: pa.DataType, text: str) -> Any:
        if pa.types.is_map(kind):
            return [("k", text)]
        if pa.types.is_struct(kind):
            return {kind[0].name: holding(kind[0].type, text)}
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return [holding(kind.value_type, text)]
        return text

    for name, text in (("bad", "of patient-0"), ("good", "of patients")):
        values = pa.array([None, holding(kind, "clean"), holding(kind, text)], kind)
        pq.write_table(pa.table({"n": [1, 2, 3], "x": values}), tmp_path / f"{name}.parquet")
    assert scan(tmp_path, private) == [Leak("bad.parquet", KEY)]


def test_a_key_in_names_footers_and_escapes(private: Dataset, tmp_path: Path) -> None:
    table = pa.table({"n": [1]})
    pq.write_table(table.rename_columns(["PATIENT-0"]), tmp_path / "column.parquet")
    noted = table.replace_schema_metadata({"note": "patient 0"})
    pq.write_table(noted, tmp_path / "footer.parquet")
    pq.write_table(table, tmp_path / "sound.parquet")
    (tmp_path / "patient_0").mkdir()
    (tmp_path / "patient_0" / "x.txt").touch()
    escaped = "".join(f"\\u{ord(one):04x}" for one in "PATIENT-0")
    (tmp_path / "value.json").write_text(f'{{"a": [{{"b": "{escaped}"}}]}}')
    (tmp_path / "key.json").write_text(f'{{"{escaped}": 1}}')
    (tmp_path / "broken.json").write_text('{"PATIENT-0"')
    (tmp_path / "table.unheardof").write_text("PATIENT-0")
    found = {leak.file for leak in scan(tmp_path, private)}
    everything = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")}
    assert found == everything - {"sound.parquet"}


@pytest.mark.parametrize(
    ("raw_paths", "texts"),
    [(True, ["a", "containers", "P1.zip", "0f", "b"]), (False, ["a", "containers", "b"])],
)
def test_names_of_containers_are_raw_paths(
    tmp_path: Path, raw_paths: bool, texts: list[str]
) -> None:
    content = {"a": [{"containers": {"P1.zip": "0f"}}, "b"]}
    (tmp_path / "recipe.json").write_text(json.dumps(content))
    assert list(texts_of(tmp_path / "recipe.json", raw_paths=raw_paths)) == [texts]


def test_each_file_with_a_leak_is_told(private: Dataset, tmp_path: Path) -> None:
    for name in ("a.md", "b.md"):
        (tmp_path / name).write_text("PATIENT-0 in /home/somebody/x")
    (tmp_path / "c.md").write_text("clean")
    both = ("a raw patient or study key", "an absolute path")
    assert scan(tmp_path, private) == [Leak(f, what) for f in ("a.md", "b.md") for what in both]


def test_long_texts_are_searched_to_their_end(private: Dataset, tmp_path: Path) -> None:
    texts = [f"{number} " + "clean text " * 60_000 for number in range(3)] + ["of PATIENT-0"]
    pq.write_table(pa.table({"x": texts}), tmp_path / "a.parquet")
    assert scan(tmp_path, private) == [Leak("a.parquet", KEY)]


def test_identifiers_of_headers_are_searched_for(private: Dataset, tmp_path: Path) -> None:
    raw = catalogue.find_source("dicom_folder").folder / "example" / "raw" / "export" / "IM0"
    header = dcmread(raw)
    said = (header.SOPInstanceUID, header.StudyInstanceUID, "Example Doe", "export/IM0")
    for number, text in enumerate(map(str, said)):
        (tmp_path / f"{number}.md").write_text(f"see {text}, again")
    assert {leak.file for leak in scan(tmp_path, private)} == {f"{n}.md" for n in range(4)}


def test_patients_of_public_sources_but_not_their_paths(tmp_path: Path) -> None:
    outgoing, out = tmp_path / "outgoing", tmp_path / "set"
    kits = catalogue.find_source("kits23").folder / "example" / "raw"
    build(BuildConfig(sources=(SourceRequest(source="kits23", raw=kits),)), out, SETTING)
    outgoing.mkdir()
    dataset = open_dataset(out)
    patient = sorted(path.name for path in kits.rglob("case_*") if path.is_dir())[0]
    (outgoing / "README.md").write_text(f"Thanks to {patient.upper().replace('_', '-')}.")
    assert scan(outgoing, dataset) == [Leak("README.md", KEY)]
    qoqdata.curate(dataset)
    assert scan(stage(dataset, tmp_path / "staged").root, dataset) == []
    public = secrets_of(dataset, SALT)
    row = image_row(options=None)
    row["provenance"] |= {"raw": [f"{patient}/imaging.nii.gz"]}
    written = write(tmp_path / "films", [row])
    files = ["data/films/train-00000.parquet", "meta/films.parquet"]
    assert [leak.file for leak in scan_outgoing(written.root, public)] == files
    shown = replace(public, public=frozenset({"films"}))
    assert scan_outgoing(written.root, shown) == []


def test_a_set_without_hashes_of_its_keys_cannot_be_searched(
    private: Dataset, tmp_path: Path
) -> None:
    copy = open_dataset(Path(shutil.copytree(private.root, tmp_path / "set")))
    path = copy.layout.raw_keys("our_dicom")
    assert path.stat().st_mode & 0o077 == 0 or path.parent.parent.stat().st_mode & 0o077 == 0
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="run the build of our_dicom again"):
        secrets_of(copy, SALT)
    path.unlink()
    with pytest.raises(DatasetError, match="which raw keys our_dicom has"):
        secrets_of(copy, SALT)


def test_a_build_that_goes_on_keeps_the_hashes(tmp_path: Path) -> None:
    folder = catalogue.find_source("dicom_folder").folder / "example"
    mapping = folder / "mapping.yaml"
    request = SourceRequest(source="dicom_folder", raw=folder / "raw", mapping=mapping)
    kept = []
    for _ in range(2):
        build(BuildConfig(sources=(request,)), tmp_path / "set", SETTING)
        path = open_dataset(tmp_path / "set").layout.raw_keys("our_dicom")
        kept.append(path.read_bytes())
        path.unlink()
    assert kept[0] == kept[1] != b""


def test_of_a_drawing_what_is_written_is_searched(private: Dataset, tmp_path: Path) -> None:
    """Lines and pixels are long rows of digits and letters in which any short key is found."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg"><path stroke="black" d="M{lines}"/>'
        '<image href="data:image/jpeg;base64,{pixels}"/><text>{text}</text></svg>'
    )
    plain = {"lines": "1.0,2.0 H4", "pixels": "AAAA", "text": "lesion"}
    # Letters of no command end a line, and what they spell is read.
    for name, words, leaks in (
        ("lines", "1.0,2.0 patient-0", [KEY]),
        ("text", "lesion of patient-0", [KEY]),
        ("pixels", "patient/0", []),
    ):
        (tmp_path / "sample.svg").write_text(drawing.format(**plain | {name: words}))
        found = scan_outgoing(tmp_path, secrets_of(private, SALT))
        assert [leak.what for leak in found] == leaks, name
    (tmp_path / "sample.svg").write_text(drawing.format(**plain | {"lines": "123456,7.5"}))
    assert scan_outgoing(tmp_path, secrets_of(private, SALT)) == []


def test_a_key_that_is_an_option_of_an_installed_card_is_none_where_options_stand(
    private: Dataset, tmp_path: Path
) -> None:
    """As `pT3`, a stage of kidney tumours and a patient of somebody's: a question lists its options
    a line each."""
    key = "PATIENT-0"
    secrets = secrets_of(private, SALT)
    known = replace(secrets, shipped=secrets.shipped | {key})
    leak = Leak("a.json", "a raw patient or study key")
    for text, told, of_card in (
        (key, [leak], []),
        (f"Which?\n{key}\nAnother", [leak], []),
        (f"Which?\nthe one of {key}\nAnother", [leak], [leak]),
    ):
        (tmp_path / "a.json").write_text(json.dumps({"question": text}))
        assert scan_outgoing(tmp_path, secrets) == told
        assert scan_outgoing(tmp_path, known) == of_card


@pytest.mark.parametrize(
    ("home", "told"),
    [("/srv/people/alma", ["a path of this machine"]), ("/srv", []), ("/root", []), ("/", [])],
)
def test_a_home_folder_is_a_path_of_this_machine_unless_it_is_everybodys(
    mixed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, told: list[str]
) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path(home))
    (tmp_path / "README.md").write_text(f"begun in {home} by us")
    assert [leak.what for leak in scan_outgoing(tmp_path, secrets_of(mixed, SALT))] == told


def test_words_of_installed_cards_name_nobody(mixed: Dataset, tmp_path: Path) -> None:
    """Somebody's patient may be filed under such a word; a word beside it is another matter."""
    secrets = secrets_of(mixed, SALT)
    keys = pack(["Intraventricular", "Zephyrine"], SALT)
    planted = replace(secrets, keys=key_search(keys, SALT, secrets.keys.vocabulary))
    (tmp_path / "README.md").write_text("Intraventricular blood is common here.")
    assert scan_outgoing(tmp_path, planted) == []
    (tmp_path / "README.md").write_text("Zephyrine has it too.")
    assert scan_outgoing(tmp_path, planted) == [Leak("README.md", KEY)]
