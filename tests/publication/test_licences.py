"""What may leave of a source follows from its card alone."""

from __future__ import annotations

import pytest

from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import REDISTRIBUTION
from qoqdata.publication.licences import configs, licence_id, term, terms
from qoqdata.sources import catalogue


def card(slug: str = "ptb_xl", **changes) -> Card:
    content = catalogue.find_source("ptb_xl").card.model_dump()
    return Card.model_validate(content | {"slug": slug} | changes)


@pytest.mark.parametrize(
    ("redistribution", "access", "form"),
    [
        ("allowed", "open", "pixels"),
        ("attribution", "credentialed", "pixels"),
        ("attribution_noncommercial", "open", "pixels"),
        ("share_alike_noncommercial", "open", "pixels"),
        ("no_derivatives", "open", "withheld"),
        ("no_derivatives", "own", "withheld"),
        ("unclear", "open", "recipe"),
        ("forbidden", "credentialed", "recipe"),
        ("forbidden", "own", "withheld"),
        ("unclear", "own", "withheld"),
        ("allowed", "own", "pixels"),
    ],
)
def test_form_of_each_term(redistribution, access, form):
    found = term(card(redistribution=redistribution, access=access))
    assert found.form == form
    assert (found.reason is None) == (form == "pixels")


def test_every_redistribution_term_is_decided():
    for redistribution in REDISTRIBUTION:
        assert term(card(redistribution=redistribution)).form in ("pixels", "recipe", "withheld")


def test_terms_that_propagate():
    found = term(card(redistribution="share_alike_noncommercial"))
    assert (found.noncommercial, found.share_alike) == (True, True)
    found = term(card(redistribution="attribution"))
    assert (found.noncommercial, found.share_alike) == (False, False)


def test_catalogue_of_today():
    forms = {slug: found.form for slug, found in terms(catalogue.cards()).items()}
    assert forms["ptb_xl"] == forms["ham10000"] == forms["kits23"] == "pixels"
    assert forms["covid_blues"] == "withheld"
    assert forms["lc25000"] == "recipe"
    assert forms["image_table"] == "withheld"


def licensed(name: str, spdx: str | None) -> dict:
    return {"name": name, "spdx": spdx}


def test_configs_never_mix_licences():
    cards = {
        "aa": card("aa", licence=licensed("CC BY 4.0", "CC-BY-4.0")),
        "bb": card("bb", licence=licensed("CC BY 4.0", "CC-BY-4.0")),
        "cc": card("cc", licence=licensed("ODC By", "ODC-By-1.0")),
        "dd": card("dd", domain="ct", licence=licensed("CC BY 4.0", "CC-BY-4.0")),
        "ee": card("ee", domain="ct", redistribution="forbidden"),
    }
    assert configs(cards) == {
        "ct": ("dd",),
        "ecg-cc-by-4.0": ("aa", "bb"),
        "ecg-odc-by-1.0": ("cc",),
    }


def test_licence_without_spdx_is_named_by_its_words():
    assert licence_id(card(licence=licensed("Our terms, v2 (2024)", None))) == "our-terms-v2-2024"
