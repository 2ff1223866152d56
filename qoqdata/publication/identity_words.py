"""Words that announce an id, and words and short forms that are none. In normal form."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: What follows one of these is an id: `patient 7`.
ANNOUNCING = _words(
    """
    patient patientin patienten pat pt subject participant proband probandin case fall paciente
    person mrn pid id ids uid identifier identifiers accession acc kennung patientid subjectid
    caseid studyid patientennummer fallnummer dossier expediente 患者 病人
    """
)
#: These may stand between: `patient no. 7`.
NUMBERING = _words("id ids no nr num number nummer numero key code uid")
#: Of a key that holds them, they say nothing; `pat` and its like are made for keys.
COMMON = (
    (ANNOUNCING - _words("pat pt mrn pid acc"))
    | NUMBERING
    | _words(
        """
        a an the in of to on at is are was were with and or by for from as be not this that
        anon anonym anonymous anonymized anonymised unknown none null nan test phantom default
        dummy name export raw data folder dir file files image images img im frame frames slice
        slices scan series study studies exam visit session record records mask masks label labels
        video clip left right dcm dicom png jpg jpeg tif tiff bmp gif webp hea dat mat nii gz nrrd
        mha mhd csv json avi mp4 mm cm ml mg kg hz mv uv bpm mmhg
        """
    )
)
#: Extensions of raw files.
FILES = _words(
    """
    dcm dicom ima png jpg jpeg tif tiff bmp gif webp hea dat mat nii gz nrrd mha mhd avi mp4 zip
    edf xml csv json
    """
)
#: What a number before them counts or measures, and not whom it names: `patient 65 years`.
COUNTED = _words(
    """
    y yr yrs year years yo old d day days w wk week weeks month months h hr hour hours min minutes
    mm cm m ml l mg g kg hz ms s sec mv percent male female man woman jahre jahr ans anos times of
    """
)
#: Stages, vertebrae, leads, sequences, generations, measures: `t2`, `c7`, `v1`, `5mm`, `3d`.
SHORT_FORM = re.compile(
    r"[tnmrg][0-4][abcx]?|[cdlst][0-9]{1,2}|v[1-9]r?|m[0-9]|t[12]w|b12|h[0-9]|co2|o2|a1c|po2|"
    r"[0-9]{1,2}[a-z]|[0-9]{1,2}(?:mm|cm|ml|mg|kg|hz|kv|st|nd|rd|th|yo|yr)|x[0-9]{1,2}"
)
