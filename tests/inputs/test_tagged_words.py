"""Attacks on taggers: words are replaced in place, within the budget, and labels stay where they are."""

import pytest
import torch

from variate.datasets.info import About
from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.words import PADDING, ids_of, inputs_of
from variate.random.randomize import randomize
from variate.random.seeding import kind_of
from variate.tasks.task import task_of
from variate.training.saved import build

WORDS = ["<pad>", "<unk>", *"abcdefgh"]
NEAR = [[], [], *([2 + (place + 1) % 8, 2 + (place + 3) % 8] for place in range(8))]
TASK = "positions(classes=last)"
FACTS = About("text", (6, 1), 2, details={"words": WORDS, "neighbors": NEAR}, task=TASK)
ATTACKS = ["hotflip", "greedy-words", "greedy-words-labels"]


@pytest.fixture(scope="module")
def tagged():
    """A tagger that has learned the parity of words, and sentences of one to six of them."""
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(2, 10, (64, 6), generator=draw)
    lengths = torch.arange(64)[:, None] % 6 + 1
    ids = ids.masked_fill(torch.arange(6) >= lengths, PADDING)
    y = (ids % 2).masked_fill(ids == PADDING, -1)
    network = build("lstm-tagger(width=8, hidden=8)", FACTS)
    answers, task = task_of(TASK).answers(network), task_of(TASK)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(30):
        optimizer.zero_grad()
        task.loss(answers(inputs_of(ids)), y).mean().backward()
        optimizer.step()
    return network.eval(), inputs_of(ids[:6]), y[:6]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("random", [False, True])
def test_words_are_replaced_in_place_and_the_score_falls(tagged, attack, random):
    network, x, y = tagged
    module, task = randomize(network, scale=0.02) if random else network, task_of(TASK)
    answers = task.answers(module)
    target = Target(answers, kind_of(answers, x), modality=FACTS.modality, task=task)
    perturbed, _ = perturb(target, Plan(attack, 2, {}), Budget.parse("words:1"), x, y)
    before, after = ids_of(x), ids_of(perturbed)
    moved = before != after
    sees_scores = attack != "greedy-words-labels"  # labels alone say whether all of an answer is lost
    assert moved.sum(1).tolist() == ([1] * len(x) if sees_scores else [1, 0, 0, 0, 0, 0])
    assert not moved[y == -1].any()
    assert all(int(new) in NEAR[int(old)] for old, new in zip(before[moved], after[moved], strict=True))
    with torch.no_grad():
        clean, attacked = (task.score(task.answers(network)(inputs), y) for inputs in (x, perturbed))
    assert clean.mean() > 0.9
    assert attacked.mean() < clean.mean() - 0.1
    assert (attacked < clean).sum() == moved.sum()
    assert attacked[0] == 0  # the only word of its sentence


def test_every_replacement_has_another_parity():
    assert all((word + other) % 2 for word, row in enumerate(NEAR) for other in row)


def test_an_evaluation_reports_the_mean_score_of_sentences(tagged):
    network, x, y = tagged
    result = evaluate(network, x, y, budget="words:1", attacks=["hotflip"], task=TASK, modality=FACTS.modality)
    task = task_of(TASK)
    rates = {row.attack: row.rate for row in result.rows if row.deployment == "single"}
    perturbed, _ = perturb(
        Target(task.answers(network), "deterministic", modality=FACTS.modality, task=task),
        Plan("hotflip", 1, {}),
        Budget.parse("words:1"),
        x,
        y,
    )
    with torch.no_grad():
        scores = [float(task.score(task.answers(network)(inputs), y).mean()) for inputs in (x, perturbed)]
    assert [rates["clean"], rates["hotflip"]] == pytest.approx(scores, abs=1e-4)
