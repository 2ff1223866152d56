"""ECGs stored as DICOM waveforms (PS3.3 A.34 and C.10.9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.dataset import located, open_dataset
from qoqdata.readers.dicom.header import patient
from qoqdata.readers.ecg.assembly import Channel, assemble
from qoqdata.readers.ecg.leads import ORDER, TWELVE, canonical, is_known
from qoqdata.readers.ecg.recording import Recording
from qoqdata.readers.limits import Limits

_NUMBERS = (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8)
LEAD_CODES = {
    f"{stem}{number}": lead
    for stem in ("2:", "5.6.3-9-")
    for number, lead in zip(_NUMBERS, TWELVE, strict=True)
}
"""MDC (PS3.16 CID 3001) and SCP-ECG lead codes; both number the leads alike."""

_STORED = {
    (8, "SB"): "i1",
    (8, "UB"): "u1",
    (16, "SS"): "i2",
    (16, "US"): "u2",
    (32, "SL"): "i4",
    (32, "UL"): "u4",
}


def read_dicom(path: Path, limits: Limits) -> Recording:
    """Read the original (not derived) multiplex groups of a DICOM ECG.

    Groups that were recorded one after the other (four times three leads) are laid on one time line
    by their time offsets and masked where they were not recorded; of a lead in several groups the
    longest stretch is kept. Samples equal to the padding value are missing. Calibration is sample *
    sensitivity * correction factor + baseline, in the sensitivity units (C.10.9.1.4).

    Raises UnsupportedFormat (no waveform, only derived ones, companded samples, several rates),
    UnreadableFile and TooLarge.
    """
    file = open_dataset(path, limits=limits)
    with located(str(path)):
        dataset = file.dataset
        groups = [
            group
            for group in elements.items(dataset, "WaveformSequence")
            if elements.code_string(group, "WaveformOriginality") != "DERIVED"
        ]
        if not groups:
            raise UnsupportedFormat("the object holds no originally recorded waveform")
        little = bool(dataset.original_encoding[1])
        fs, channels, notes = _time_line(groups, little, limits, str(path))
        recording = assemble(channels, fs, where=str(path), repairs=(*file.repairs, *notes))
        age, sex = patient(dataset)
        return replace(recording, age=age, sex=sex)


def _time_line(
    groups: Sequence[Dataset], little: bool, limits: Limits, where: str
) -> tuple[float, list[Channel], list[str]]:
    rates = {elements.number(group, "SamplingFrequency") for group in groups}
    fs = rates.pop()
    if rates or fs is None or fs <= 0:
        raise UnsupportedFormat("the waveform groups do not share one sampling frequency")
    starts = [
        round((elements.number(group, "MultiplexGroupTimeOffset") or 0.0) / 1000 * fs)
        for group in groups
    ]
    starts = [start - min(starts) for start in starts]
    lengths = [elements.required(group, "NumberOfWaveformSamples") for group in groups]
    counts = [elements.required(group, "NumberOfWaveformChannels") for group in groups]
    total = max(start + length for start, length in zip(starts, lengths, strict=True))
    if min(lengths) <= 0 or min(counts) <= 0:
        raise UnreadableFile("a waveform group declares no samples or no channels")
    limits.check("ecg_samples", total * sum(counts), where=where)
    notes: list[str] = []
    kept: dict[str, _Stretch] = {}
    for number, (group, start) in enumerate(zip(groups, starts, strict=True)):
        for index, channel in enumerate(_channels(group, little, notes)):
            stretch = _Stretch(channel, start)
            # Only leads are known by their names; what else repeats one is a channel of its own.
            lead = channel.name if channel.name in ORDER else f"{number} {index}"
            if (other := kept.get(lead)) is not None:
                notes.append(_choice(other, stretch))
                if other.length >= stretch.length:
                    continue
            kept[lead] = stretch
    channels = [_padded(stretch.channel, stretch.start, total) for stretch in kept.values()]
    return fs, channels, list(dict.fromkeys(notes))


@dataclass(frozen=True)
class _Stretch:
    """A channel and the sample of the time line at which it starts."""

    channel: Channel
    start: int

    @property
    def length(self) -> int:
        return int(self.channel.samples.size)


def _choice(one: _Stretch, two: _Stretch) -> str:
    """Which of two stretches of a lead is kept, as a note.

    The longer one is, as of a rhythm strip that goes on where a group of leads ends. Of two that
    were recorded over the same time none is the truer: raises UnreadableFile unless they are equal.
    """
    lead = one.channel.name
    if one.length != two.length:
        return f"lead {lead} recorded twice; the longer stretch kept"
    if one.start != two.start:
        return f"lead {lead} recorded twice for the same length; the first stretch kept"
    if not _equal(one.channel, two.channel):
        raise UnreadableFile(
            f"two channels are lead {lead} over the same time, and differ",
            fix="correct the lead names in the source",
        )
    return f"lead {lead} is listed twice with identical samples; kept once"


def _equal(one: Channel, two: Channel) -> bool:
    return (
        one.unit == two.unit
        and np.array_equal(one.missing, two.missing)
        and np.array_equal(one.samples, two.samples)
    )


def _padded(channel: Channel, start: int, total: int) -> Channel:
    around = (start, total - start - channel.samples.size)
    if around == (0, 0):
        return channel
    return replace(
        channel,
        samples=np.pad(channel.samples, around),
        missing=np.pad(channel.missing, around, constant_values=True),
    )


def _channels(group: Dataset, little: bool, notes: list[str]) -> list[Channel]:
    bits = elements.required(group, "WaveformBitsAllocated")
    interpretation = elements.code_string(group, "WaveformSampleInterpretation") or "none"
    kind = _STORED.get((bits, interpretation))
    if kind is None:
        raise UnsupportedFormat(f"{bits}-bit waveform samples of interpretation {interpretation}")
    sample_type = np.dtype(kind).newbyteorder("<" if little else ">")
    shape = (
        elements.required(group, "NumberOfWaveformSamples"),
        elements.required(group, "NumberOfWaveformChannels"),
    )
    data = elements.value(group, "WaveformData")
    size = shape[0] * shape[1] * sample_type.itemsize
    if not isinstance(data, bytes) or not size <= len(data) <= size + 1:
        n_bytes = len(data) if isinstance(data, bytes) else 0
        raise UnreadableFile(f"WaveformData holds {n_bytes:,} bytes, {size:,} are declared")
    samples = np.frombuffer(data[:size], sample_type).reshape(shape)
    padding = elements.value(group, "WaveformPaddingValue")
    missing = np.zeros(shape, bool)
    if isinstance(padding, bytes) and len(padding) >= sample_type.itemsize:
        missing = samples == np.frombuffer(padding[: sample_type.itemsize], sample_type)[0]
    definitions = list(elements.items(group, "ChannelDefinitionSequence"))
    if len(definitions) != shape[1]:
        raise UnreadableFile(f"{len(definitions)} channel definitions for {shape[1]} channels")
    return [
        _channel(definition, samples[:, index], missing[:, index], notes)
        for index, definition in enumerate(definitions)
    ]


def _channel(
    definition: Dataset, samples: np.ndarray, missing: np.ndarray, notes: list[str]
) -> Channel:
    units = elements.item(definition, "ChannelSensitivityUnitsSequence")
    unit = elements.text(units, "CodeValue") if units is not None else None
    sensitivity = elements.number(definition, "ChannelSensitivity")
    correction = elements.number(definition, "ChannelSensitivityCorrectionFactor")
    if correction is None and sensitivity:
        notes.append("no correction factor of a channel's sensitivity; 1 assumed")
    scale = (sensitivity or 0.0) * (1.0 if correction is None else correction)
    offset = elements.number(definition, "ChannelBaseline") or 0.0
    if any(elements.number(definition, key) for key in ("ChannelTimeSkew", "ChannelSampleSkew")):
        notes.append("channel skew is stated and not applied")
    bits = elements.integer(definition, "WaveformBitsStored") or samples.dtype.itemsize * 8
    bits = min(max(bits, 1), samples.dtype.itemsize * 8)
    low = -(1 << (bits - 1)) if samples.dtype.kind == "i" else 0
    rails = (low * scale + offset, (low + (1 << bits) - 1) * scale + offset)
    return Channel(
        name=_lead(definition),
        samples=samples * scale + offset,
        missing=missing,
        unit=unit if unit and scale else "uncalibrated",
        rails=rails,
    )


def _lead(definition: Dataset) -> str:
    """The lead's name: by its code, else its meaning, else the label of the channel.

    Raises UnreadableFile where two of these say different leads.
    """
    source = elements.item(definition, "ChannelSourceSequence")
    code = elements.text(source, "CodeValue") if source is not None else None
    meaning = elements.text(source, "CodeMeaning") if source is not None else None
    names = [canonical(meaning or ""), canonical(elements.text(definition, "ChannelLabel") or "")]
    by_code = LEAD_CODES.get(code or "")
    known = [name for name in names if is_known(name)]
    said = list(dict.fromkeys([by_code, *known] if by_code else known))
    if len(said) > 1:
        how = "coded as" if by_code else "described as"
        raise UnreadableFile(f"a channel is {how} lead {said[0]} and called {said[1]}")
    return said[0] if said else next(filter(None, names), "")
