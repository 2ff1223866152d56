"""DICOM files: one image, a clip, or a slice of a series."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import uid as uids
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from qoqdata.simulation.mark import MARK, write_bytes

#: SOP class by modality; any other modality is written as secondary capture.
CLASSES = {
    "CR": uids.ComputedRadiographyImageStorage,
    "DX": uids.DigitalXRayImageStorageForPresentation,
    "MG": uids.DigitalMammographyXRayImageStorageForPresentation,
    "CT": uids.CTImageStorage,
    "MR": uids.MRImageStorage,
    "US": uids.UltrasoundImageStorage,
    "XA": uids.XRayAngiographicImageStorage,
}
#: Those of several frames in one file.
CLIP_CLASSES = {
    "US": uids.UltrasoundMultiFrameImageStorage,
    "XA": uids.XRayAngiographicImageStorage,
}
#: Modalities whose pixel spacing is that of the detector, not of the patient.
_PROJECTIONS = ("CR", "DX", "MG", "XA")


def uid(*parts: object) -> str:
    """A valid UID that depends on `parts` alone, such as a seed and the name of a study."""
    return generate_uid(entropy_srcs=["qoqdata", *(f"{len(str(p))}:{p}" for p in parts)])


def write_dicom(
    path: Path,
    pixels: np.ndarray,
    *,
    seed: int = 0,
    modality: str = "DX",
    patient: str | None = None,
    study: str | None = None,
    series: str | None = None,
    number: int = 1,
    spacing: tuple[float, float] | None = None,
    position: tuple[float, float, float] | None = None,
    window: tuple[float, float] | None = None,
    view: str | None = None,
    laterality: str | None = None,
    age: int | None = None,
    sex: str | None = None,
    fps: float | None = None,
    **elements: Any,
) -> None:
    """Stored values (rows, columns), (frames, rows, columns) or RGB (rows, columns, 3), in
    explicit VR, little endian.

    `pixels` are uint8, uint16 or int16; three samples last mean RGB, uint8. UIDs come of `seed`,
    `patient`, `study` (default: the file's stem), `series` (default: the study's), `number` and the
    file's name; a UID among `elements` stands as it is. `spacing` is (row, column) in mm,
    `position` the upper left pixel of an axial slice in mm, `window` (centre, width) in modality
    units, `age` in years, `sex` M, F or O, `fps` of a clip. `elements` are further ones by keyword,
    such as PhotometricInterpretation="MONOCHROME1"; None removes one.

    Marked by ImageType DERIVED, PatientName Synthetic^Patient and ImageComments. Raises ValueError
    for another dtype or shape.
    """
    if pixels.dtype not in (np.uint8, np.uint16, np.int16):
        raise ValueError(f"{path.name}: pixels are {pixels.dtype}, not uint8, uint16 or int16")
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3 and pixels.dtype == np.uint8
    if pixels.ndim not in (2, 3):
        raise ValueError(f"{path.name}: pixels have {pixels.ndim} axes")
    study = path.stem if study is None else study
    series = study if series is None else series
    clip = pixels.ndim == 3 and not colour
    sop_class = CLASSES.get(modality, uids.SecondaryCaptureImageStorage)
    if clip:
        secondary = uids.MultiFrameGrayscaleWordSecondaryCaptureImageStorage
        sop_class = CLIP_CLASSES.get(modality, secondary)

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    values: dict[str, Any] = {
        "SOPClassUID": sop_class,
        "SOPInstanceUID": uid(seed, patient, study, series, number, path.name),
        "StudyInstanceUID": uid(seed, patient, study),
        "SeriesInstanceUID": uid(seed, patient, study, "series", series),
        "FrameOfReferenceUID": uid(seed, patient, study, "frame", series),
        "ImageType": ["DERIVED", "SECONDARY"],
        "ImageComments": MARK,
        "PatientName": "Synthetic^Patient",
        "PatientID": patient or "",
        "PatientSex": sex or "",
        "PatientAge": None if age is None else f"{age:03}Y",
        "Modality": modality,
        "Manufacturer": "qoqdata",
        "StudyID": "1",
        "StudyDate": "",
        "StudyTime": "",
        "AccessionNumber": "",
        "ReferringPhysicianName": "",
        "PatientBirthDate": "",
        "SeriesNumber": 1,
        "InstanceNumber": number,
        "ViewPosition": view,
        "ImageLaterality": laterality,
        "ImagerPixelSpacing" if modality in _PROJECTIONS else "PixelSpacing": (
            None if spacing is None else list(spacing)
        ),
        "ImagePositionPatient": None if position is None else list(position),
        "ImageOrientationPatient": None if position is None else [1, 0, 0, 0, 1, 0],
        "WindowCenter": None if window is None else window[0],
        "WindowWidth": None if window is None else window[1],
        "FrameTime": None if fps is None else round(1000 / fps, 6),
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if colour else None,
        "NumberOfFrames": len(pixels) if clip else None,
        "Rows": pixels.shape[1] if clip else pixels.shape[0],
        "Columns": pixels.shape[2] if clip else pixels.shape[1],
        "BitsAllocated": pixels.dtype.itemsize * 8,
        "BitsStored": pixels.dtype.itemsize * 8,
        "HighBit": pixels.dtype.itemsize * 8 - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    for keyword, value in (values | elements).items():
        if value is not None:
            setattr(dataset, keyword, value)
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    data = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).tobytes()
    kind = "OB" if pixels.itemsize == 1 else "OW"
    dataset.add_new("PixelData", kind, data + b"\0" * (len(data) % 2))
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    write_bytes(path, stream.getvalue())
