"""DICOM segmentation objects against highdicom, which reads the real ones and writes new ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from qoqdata.errors import InputError, UnreadableFile
from qoqdata.readers.dicom import read_segmentation
from tests.readers.dicom_objects import image, item, save

CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
LIVER = CT.with_name("liver_1frame.dcm")
MASK = np.zeros((1, 128, 128, 2))
MASK[0, 10:30, 20:60, 0] = 1
MASK[0, 90:100, 5:9, 1] = 1


def written(tmp_path: Path, kind: str, mask: np.ndarray) -> Path:
    """A segmentation of the packaged CT slice with the segments kidney and tumour."""
    hd = pytest.importorskip("highdicom")
    codes = pydicom.sr.codedict.codes
    algorithm = hd.AlgorithmIdentificationSequence(
        name="by hand", family=codes.DCM.ManualProcessing, version="1"
    )
    segments = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Kidney,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
            algorithm_identification=algorithm,
        )
        for number, label in ((1, "kidney"), (2, "tumour"))
    ]
    made = hd.seg.Segmentation(
        source_images=[pydicom.dcmread(CT)],
        pixel_array=mask,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid=hd.UID(),
        series_number=2,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="1",
        device_serial_number="1",
        max_fractional_value=200,
    )
    path = tmp_path / f"{kind}.dcm"
    made.save_as(path)
    return path


def test_binary_frames_name_segment_source_and_place(tmp_path: Path) -> None:
    found = read_segmentation(written(tmp_path, "BINARY", MASK))
    source = pydicom.dcmread(CT)
    assert (found.kind, found.pixels.dtype) == ("BINARY", np.uint8)
    assert [(s.number, s.label) for s in found.segments] == [(1, "kidney"), (2, "tumour")]
    assert found.segments[0].property_type == ("64033007", "SCT", "Kidney")
    assert [frame.segment for frame in found.frames] == [1, 2]
    assert np.array_equal(found.pixels, np.moveaxis(MASK, -1, 1)[0])
    for frame in found.frames:
        assert frame.source_sop_instance_uid == source.SOPInstanceUID
        assert frame.plane is not None
        assert frame.plane.position == tuple(source.ImagePositionPatient)
        assert frame.plane.spacing == tuple(source.PixelSpacing)


def test_fractional_frames_are_fractions(tmp_path: Path) -> None:
    found = read_segmentation(written(tmp_path, "FRACTIONAL", MASK * 0.75))
    assert (found.kind, found.pixels.dtype) == ("FRACTIONAL", np.float32)
    # Stored as 150 of 200.
    assert np.unique(found.pixels).tolist() == [0.0, 0.75]
    assert [frame.segment for frame in found.frames] == [1, 2]


def test_label_maps_hold_segment_numbers(tmp_path: Path) -> None:
    found = read_segmentation(written(tmp_path, "LABELMAP", MASK))
    assert (found.kind, found.pixels.dtype.kind) == ("LABELMAP", "u")
    assert np.array_equal(found.pixels[0], MASK[0, ..., 0] + 2 * MASK[0, ..., 1])
    assert [frame.segment for frame in found.frames] == [None]


def test_real_segmentations_agree_with_highdicom(realdata: Path) -> None:
    hd = pytest.importorskip("highdicom")
    paths = sorted((realdata / "dicom" / "seg").glob("*.dcm"))
    assert len(paths) >= 6
    for path in paths:
        found, reference = read_segmentation(path), hd.seg.segread(path)
        stored = reference.pixel_array.reshape(found.pixels.shape)
        scale = reference.MaximumFractionalValue if found.kind == "FRACTIONAL" else 1
        assert np.allclose(found.pixels, stored / scale)
        assert [segment.number for segment in found.segments] == list(reference.segment_numbers)
        labels = {segment.number: segment.label for segment in found.segments}
        for number, frame in enumerate(found.frames):
            groups = reference.PerFrameFunctionalGroupsSequence[number]
            identified = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
            assert frame.segment == identified
            assert labels[identified] == reference.get_segment_description(identified).segment_label
            source = groups.DerivationImageSequence[0].SourceImageSequence[0]
            assert frame.source_sop_instance_uid == source.ReferencedSOPInstanceUID


def test_bit_packed_frames_unpack_across_bytes(tmp_path: Path) -> None:
    # Three frames of 3 x 3 bits: 27 bits, so frames start inside a byte.
    masks = np.random.default_rng(5).integers(0, 2, (3, 3, 3)).astype(np.uint8)
    dataset = image(np.zeros((3, 3, 3), "u1"), Modality="SEG", SegmentationType="BINARY")
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    dataset.PixelData = np.packbits(masks.ravel(), bitorder="little").tobytes()
    dataset.SegmentSequence = [item(SegmentNumber=4, SegmentLabel="lung")]
    found = read_segmentation(save(dataset, tmp_path / "bits.dcm"))
    assert np.array_equal(found.pixels, masks)
    # One segment: frames that name none show it.
    assert {frame.segment for frame in found.frames} == {4}
    dataset.SegmentSequence.append(item(SegmentNumber=5, SegmentLabel="heart"))
    with pytest.raises(UnreadableFile, match="no segment"):
        read_segmentation(save(dataset, tmp_path / "bits.dcm"))


def test_labels_of_no_segment_and_values_above_one_are_refused(tmp_path: Path) -> None:
    dataset = image(np.array([[0, 1, 2]], "u1"), Modality="SEG", SegmentationType="LABELMAP")
    dataset.SegmentSequence = [item(SegmentNumber=1, SegmentLabel="lung")]
    path = save(dataset, tmp_path / "seg.dcm")
    with pytest.raises(UnreadableFile, match="labels of no segment"):
        read_segmentation(path)
    dataset.SegmentationType = "BINARY"
    with pytest.raises(UnreadableFile, match="values above 1"):
        read_segmentation(save(dataset, path))


def test_other_objects_are_no_segmentation() -> None:
    with pytest.raises(InputError, match="not a segmentation"):
        read_segmentation(CT)


def test_packaged_segmentation_agrees_with_pydicom() -> None:
    found = read_segmentation(LIVER)
    assert np.array_equal(found.pixels[0], pydicom.dcmread(LIVER).pixel_array)
    assert found.frames[0].segment == 1
