"""What joins the rules: a recogniser that the user has, such as Presidio with a language model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from qoqdata.curation.phi.rule import Span
from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine


class Recogniser(Protocol):
    """Finds what the rules cannot, such as a name that is on no list.

    `name` goes into the receipt. A span's rule names the kind of what was found; `language` is one
    of `qoqdata.curation.phi.language`.
    """

    @property
    def name(self) -> str:
        """The recogniser and what it knows, in a few words."""

    def find(self, text: str, language: str) -> Iterable[Span]:
        """What it finds in a text; nothing in a language that it does not know."""


class Presidio:
    """Microsoft Presidio with spaCy models that are on this machine; nothing is fetched.

    Raises UsageError where the package or a model is not installed.
    """

    #: Kinds that are no identifiers here: a nationality or a year alone may stay.
    LEFT_OUT = frozenset({"NRP", "DATE_TIME", "ORGANIZATION"})
    LEAST_SCORE = 0.5

    def __init__(self, models: Mapping[str, str]) -> None:
        self._languages = frozenset(models)
        self._engine = _engine(models)
        self.name = "presidio " + ", ".join(f"{key}={models[key]}" for key in sorted(models))

    def find(self, text: str, language: str) -> Iterable[Span]:
        if language not in self._languages:
            return []
        found = self._engine.analyze(text, language=language, score_threshold=self.LEAST_SCORE)
        return [
            Span(f"presidio_{one.entity_type.lower()}", one.start, one.end)
            for one in found
            if one.entity_type not in self.LEFT_OUT
        ]


def _engine(models: Mapping[str, str]) -> AnalyzerEngine:
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
    except ImportError as error:
        fix = "pip install 'qoqdata[phi]', or leave phi.presidio out of the recipe"
        raise UsageError(
            "presidio-analyzer is not installed", where="phi.presidio", fix=fix
        ) from error
    for language, model in models.items():
        # Presidio would fetch a model that is not there.
        if not (spacy.util.is_package(model) or Path(model).exists()):
            fix = "install a spaCy model that you trust, or give the folder of one"
            what = f"the model {model!r} is not on this machine"
            raise UsageError(what, where=f"phi.presidio.{language}", fix=fix)
    listed = [{"lang_code": language, "model_name": model} for language, model in models.items()]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": listed})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=list(models))
