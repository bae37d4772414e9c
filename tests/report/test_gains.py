"""Differences by deployment and over seeds: known gains, and networks that must not be paired."""

import numpy as np
import pytest
from claims import claim, network

from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import Example
from variate.report.formats import as_markdown
from variate.report.gains import gains
from variate.report.headline import headline
from variate.report.page import page_text
from variate.statistics.comparison import compare
from variate.statistics.seeds import compare_seeds

EXAMPLES, DRAWS = 200, 16


def right(share, seed, *, draws=1):
    """Answers to the same examples, of which some are easier than others."""
    ease = np.random.default_rng(99).uniform(-0.3, 0.3, EXAMPLES)
    return np.random.default_rng(seed).random((draws, EXAMPLES)) < share + ease


def study(seeds=3, *, gain=0.15):
    """A random network with ``mean-4`` answers, its adversarially trained twin and its mean network, by seed."""
    store = Records()
    for seed in range(seeds):
        for group, defense, random in (("random", "random-at", True), ("at", "at", False)):
            name, shared = f"{group}, seed {seed}", {"group": group} if seeds > 1 else {}
            store.add([network(name, defense=defense, random=random, seed=seed, fingerprint=name, **shared)])
        claim(store, f"at, seed {seed}", right(0.5, 10 + seed), group="at" if seeds > 1 else None)
        name, group = f"random, seed {seed}", "random" if seeds > 1 else None
        add_averaged(store, name, right(0.5, 20 + seed, draws=DRAWS), right(0.5 + gain, 30 + seed, draws=4), group)
        twin = {"twin_of": name, "part": "twins", "group": f"{group}, mean network" if group else None}
        claim(store, f"{name}, mean network", right(0.5, 40 + seed), **twin)
    return store


def add_averaged(store, name, single, averaged, group):
    """A claim with answers of one draw and of the mean of four."""
    line = Claim(
        network=name, fingerprint=name, inputs="i", attack="pgd", options={}, settings={}, seed=0, modality="image",
        allowed="a", drawn="keys", budget="linf:0.1", draws=1, verdict_draws=len(single), group=group,
        deployments=["single", "mean-4", "survive-4"],
    )  # fmt: skip
    store.add([line])
    counts = {"label": 0, "distance": 0.1, "forwards": 3, "backwards": 2}
    store.add(
        [
            Example(claim=line.id, example=i, answers={"single": pack(one), "mean-4": pack(mean)}, **counts)
            for i, (one, mean) in enumerate(zip(single.T, averaged.T, strict=True))
        ]
    )  # fmt: skip


def lines(store):
    """The lines of the table: twin and deployment to the difference in points, the seeds and the examples."""
    table = gains(store)
    return {
        (line[1].text, line[2].text): (line[7].value, line[4].value, line[9].value)
        for line in (table.lines if table is not None else ())
    }


def test_every_deployment_is_compared_over_all_seeds():
    store = study()
    found = lines(store)
    assert set(found) == {(twin, rule) for twin in ("mean network", "at") for rule in ("single", "mean-4")}
    pairs = [(right(0.65, 30 + seed, draws=4), right(0.5, 10 + seed)) for seed in range(3)]
    assert found["at", "mean-4"] == (pytest.approx(compare_seeds(pairs).difference), 3, EXAMPLES)
    pairs = [(right(0.5, 20 + seed, draws=DRAWS), right(0.5, 40 + seed)) for seed in range(3)]
    assert found["mean network", "single"] == (pytest.approx(compare_seeds(pairs).difference), 3, EXAMPLES)
    assert found["at", "mean-4"][0] > 0.08 > abs(found["at", "single"][0])


def test_one_seed_is_compared_where_draws_are_averaged():
    found = lines(study(seeds=1))
    assert set(found) == {("mean network", "mean-4"), ("at, seed 0", "mean-4")}
    expected = compare(right(0.65, 30, draws=4), right(0.5, 10))
    assert found["at, seed 0", "mean-4"] == (pytest.approx(expected.difference), 1, EXAMPLES)


def test_the_strongest_attack_is_that_of_the_deployment():
    store = study(seeds=1)
    before = lines(store)["at, seed 0", "mean-4"][0]
    claim(store, "at, seed 0", right(0.3, 50), attack="apgd-ce")
    assert lines(store)["at, seed 0", "mean-4"][0] > before + 0.1


def test_other_examples_and_other_architectures_are_not_paired():
    store = study(seeds=1)
    claim(store, "at, seed 0", right(0.5, 10), inputs="others")
    assert ("at, seed 0", "mean-4") not in lines(store)
    store = study(seeds=1)
    store.add([network("at, seed 0", defense="at", random=False, architecture="mlp")])
    assert ("at, seed 0", "mean-4") not in lines(store)


def test_an_average_of_networks_is_compared_deployment_by_deployment():
    store = study()
    trained = {"data": "digits", "average of": {"at, seed 0": "a", "at, seed 1": "b"}}
    for seed in range(3):
        name = f"2 of at, seed {seed}"
        store.add([network(name, defense="at", seed=seed, group="2 of at", training=trained)])
        add_averaged(store, name, right(0.5, 60 + seed, draws=DRAWS), right(0.6, 70 + seed, draws=4), "2 of at")
    found = lines(store)
    pairs = [(right(0.65, 30 + seed, draws=4), right(0.6, 70 + seed, draws=4)) for seed in range(3)]
    assert found["2 of at", "mean-4"] == (pytest.approx(compare_seeds(pairs).difference), 3, EXAMPLES)
    assert 0 < found["2 of at", "mean-4"][0] < 0.1
    table = gains(store)
    assert [line[1].text for line in table.lines if line[0].text == "2 of at"] == ["at", "at"]


def test_a_wider_deterministic_network_is_a_twin():
    store = study()
    for seed in range(3):
        facts = {"defense": "at", "random": False, "architecture": "lenet(width=2)", "group": "at, wide"}
        store.add([network(f"at, wide, seed {seed}", seed=seed, **facts)])
        claim(store, f"at, wide, seed {seed}", right(0.55, 80 + seed), group="at, wide")
    assert {twin for twin, _ in lines(store)} == {"mean network", "at, wide"}  # the better of two


def test_the_verdict_and_the_page_say_what_could_be_missed_and_what_holds_over_seeds():
    store = study()
    basis = headline(store).basis
    assert "points could have been missed." in basis
    assert "Over 3 seeds, the difference is " in basis
    page = page_text([store])
    assert "Differences by deployment and over seeds" in page
    assert "points, below" in page
    text = as_markdown([store])
    assert "Differences by deployment and over seeds: paired" in text
    assert "| random | at | mean-4 | linf:0.1 | 3 |" in text


def test_a_study_of_deterministic_networks_has_no_gains():
    store = Records()
    claim(store, "at", right(0.5, 0))
    assert gains(store) is None
