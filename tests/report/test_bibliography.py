"""What a report cites: exactly what its records used, as the registry names it."""

import re
from inspect import signature
from pathlib import Path

import pytest
from claims import JUDGED, answers, claim, network, sample

from variate import registry
from variate.records.certified import Certificate
from variate.records.file import Records
from variate.report.bibliography import AUTHORS, FAMILY, OF_CONFIDENCE, TITLE, _sources, bibtex, titles
from variate.training.defenses.random import random

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store():
    return sample()


def test_bibtex_names_exactly_what_was_used(store):
    store.add([network("lap", defense="random(family=laplace)"), network("m", defense="mart", random=False)])
    claim(
        store, "random", answers(0.5), attack="standard", options={"attacks": [{"name": "apgd-ce", "draws": 1}, "fmn"]}
    )
    text = bibtex(store)
    used = dict(re.findall(r"@misc\{([^,]+),.*?used as: (.*?)\}", text, re.S))
    assert used["madry2018-170606083"] == "attack pgd, defense at"
    assert used["croce2020-200301690"] == "attack apgd-ce"
    assert used["pintor2021-210212827"] == "attack fmn"
    assert used["khan2019-190510906"] == "defense random"
    assert used["laplace1774"] == "family laplace"
    assert used["graves2011"] == "family normal"
    assert used["lecun1998"] == "network lenet"
    assert used["alpaydin1998"] == "dataset digits"
    assert "author = {Wang and others}" in text  # a source without an address keeps its words
    assert "ICLR; used as" in text
    assert "eprint = {1706.06083}" in text
    assert "square" not in text
    keys = re.findall(r"@\w+\{([^,]+),", text)
    assert len(set(keys)) == len(keys)
    assert keys[0] == "variate"


def test_what_is_cited_for_a_norm_is_left_out_without_it(store):
    assert "tramer2019" not in bibtex(store)
    claim(store, "random", answers(0.5), budget="l1:5")
    assert "tramer2019-190413000" in bibtex(store)


def test_every_source_of_the_registry_becomes_an_entry_with_a_year():
    store, known = Records(), registry.entries("attacks")
    for name in known:
        claim(store, "n", answers(0.5), attack=name, budget="l1:1")
    text = bibtex(store)
    for name, entry in known.items():
        for number in re.findall(r"arXiv:(\d{4}\.\d{4,5})", entry.facts["cite"]):
            assert f"eprint = {{{number}}}" in text, name
    entries = text.split("\n\n")[1:]
    assert all(re.search(r"year = \{\d{4}\}", one) for one in entries)
    assert all(len(re.findall("[{]", one)) == len(re.findall("[}]", one)) for one in entries)


def test_every_source_that_the_registry_cites_has_a_title():
    keys = {
        key
        for kind in registry.SINGULAR
        for name, entry in registry.entries(kind).items()
        for key, _ in _sources(entry.facts.get("cite") or "", name)
    }
    keys |= {key for _, _, cite in OF_CONFIDENCE for key, _ in _sources(cite, "")}
    without_source = {re.sub(r"\W", "", name) for kind in registry.SINGULAR for name in registry.entries(kind)}
    without_source.add("golbabaei2023")  # proceedings whose title no source that we could read gives
    assert {key for key in keys if key not in titles()} <= without_source
    assert set(titles()) <= keys
    assert all(re.search(r"\d", key) for key in set(titles()) - {"spam"})


def test_a_certificate_is_cited(store):
    facts = JUDGED | {"network": "random", "fingerprint": "random", "inputs": "i", "seed": 0}
    votes = {"noise": "n", "choosing": 1, "draws": 9, "alpha": 0.1, "votes_of": 1, "asked": 9}
    assert "cohen2019" not in bibtex(store)
    store.add([Certificate(mechanism="gaussian", **facts | votes)])
    assert "used as: certificate gaussian" in bibtex(store)


def test_titles_are_written_with_their_capitals(store):
    text = bibtex(store)
    assert "  author = {Madry and others},\n  title = {{Towards Deep Learning Models Resistant to " in text
    assert "@misc{khan2019-190510906,\n" in text
    entries = [entry for entry in text.split("\n\n") if not entry.startswith("@misc{wang20")]
    assert all("title = {{" in entry for entry in entries)


def test_variate_is_cited_as_its_citation_file_says():
    facts = (ROOT / "CITATION.cff").read_text()
    assert f"title: {TITLE}\n" in facts
    assert f"name: {AUTHORS}\n" in facts
    assert signature(random).parameters["family"].default == FAMILY
