"""Records made by hand: networks, and claims whose every answer is given; and records of two runs compared."""

import json

import numpy as np
import pytest

from variate.records.bits import pack
from variate.records.file import Records
from variate.records.schema import Claim, Example, NetworkLine, RunLine

DRAWS, EXAMPLES = 32, 60
JUDGED = {"modality": "image", "allowed": "a", "drawn": "keys"}  # what a line is on, where a test does not vary it


def assert_same(one, other):
    """Two files of records say the same in the same order, but for seconds and the last digit of confidences."""
    (lines, sure), (others, as_sure) = map(_lines_and_confidences, (one, other))
    assert lines == others
    assert sure == pytest.approx(as_sure, abs=2e-4)


def _lines_and_confidences(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines = [line for line in lines if line["kind"] != "timing"]
    sure = [value for line in lines for value in line.pop("confidences", {}).values()]
    for line in lines:
        line.pop("seconds", None)
    return lines, sure


def network(name, *, defense="random", random=True, **changed):
    """A line on a network."""
    facts = {"architecture": "lenet", "objective": "cross-entropy", "parameters": 1, "epochs": 1, "seed": 0}
    more = {"fingerprint": name, "training": {"data": "digits"}, "validation": None, "seconds": 1.0}
    return NetworkLine(network=name, defense=defense, random=random, **(facts | more | changed))


def claim(
    store,
    name,
    right,
    *,
    attack="pgd",
    budget="linf:0.1",
    draws=1,
    options=None,
    part="table",
    points=0,
    inputs="i",
    fingerprint=None,
    **changed,
):
    """Add a claim and its examples, all right answers of ``right``, shape (draws, examples)."""
    said = (
        {
            "network": name,
            "fingerprint": fingerprint or name,
            "inputs": inputs,
            "attack": attack,
            "options": options or {},
            "settings": options or {},
            "seed": 0,
        }
        | JUDGED
        | changed
    )
    clean = attack == "clean"
    line = Claim(
        budget=None if clean else budget, draws=0 if clean else draws, verdict_draws=len(right),
        deployments=["single"], part=part, **said,
    )  # fmt: skip
    counts = {"label": 0, "distance": 0.1, "forwards": 3 * draws, "backwards": 2, "points": points}
    store.add([line])
    store.add(
        [
            Example(claim=line.id, example=i, answers={"single": pack(right[:, i])}, **counts)
            for i in range(right.shape[1])
        ]
    )
    return line


def answers(share, *, draws=DRAWS, seed=0):
    return np.random.default_rng(seed).random((draws, EXAMPLES)) < share


def sample():
    """A random network, what was made of it, and three deterministic networks, one of another seed."""
    store = Records()
    facts = {"data": "digits", "shape": [1, 8, 8], "examples": EXAMPLES, "title": "a & b_c"}
    versions = {"variate": "0.1.0"}
    store.add([RunLine(command="c", date="2026-01-01", machine="m", versions=versions, seed=0, **facts)])
    store.add([network("random"), network("plain", defense="deterministic", random=False)])
    store.add([network("at", defense="at", random=False), network("other", defense="at", random=False, seed=1)])
    for name, clean, attacked in (
        ("random", 0.9, 0.5), ("plain", 0.95, 0.1), ("at", 0.8, 0.6), ("other", 0.8, 0.9),
        ("random, mean network", 0.9, 0.4),
    ):  # fmt: skip
        draws = DRAWS if name == "random" else 1
        part = "twins" if "," in name else "table"
        owner = {"twin_of": "random"} if part == "twins" else {}
        claim(store, name, answers(clean, draws=draws), attack="clean", part=part, **owner)
        claim(store, name, answers(attacked, draws=draws), part=part, **owner)
    claim(store, "random", answers(0.3, seed=1), draws=20)
    return store
