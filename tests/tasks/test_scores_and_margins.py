"""What every task promises: scores, margins above 0 exactly where an answer is lost, and draws that answer together."""

import itertools

import pytest
import torch
from torch import nn

from variate.errors import InputError, UsageError
from variate.tasks.task import Answers, name_of, network_of, read_answer, task_of, written

B = 300
MASKS = torch.randint(-1, 3, (B, 2, 2), generator=torch.Generator().manual_seed(1))
MASKS[:, 0, 0] = MASKS[:, 0, 0].clamp(min=0)  # a position of every example counts
TRANSCRIPTS = torch.tensor([[0, 1], [1, -1], [1, 1]]).repeat(B // 3, 1)
LABELS = {
    "classes": torch.arange(B) % 4,
    "binary": torch.arange(B) % 2,
    "labels": torch.arange(3 * B).view(B, 3) // 3 % 2,
    "labels(exact=true)": torch.arange(3 * B).view(B, 3) // 2 % 2,
    "regression(tolerance=0.5)": torch.linspace(-1, 1, B),
    "regression(tolerance=0.5, until=1.5)": torch.linspace(-1, 1, 2 * B).view(B, 2),
    "positions": MASKS,
    "positions(score_by=accuracy)": MASKS,
    "transcript(symbols=2)": TRANSCRIPTS,
    "transcript(symbols=2, exact=true)": TRANSCRIPTS,
    "transcript(symbols=2, blank=first)": TRANSCRIPTS,
}
SHAPES = {
    "classes": (4,),
    "binary": (1,),
    "labels": (3,),
    "regression": (1,),
    "positions": (3, 2, 2),
    "transcript": (4, 3),
}


def answers(text, count=B, seed=0):
    """What a network might return for the task of a text."""
    shape = SHAPES[text.partition("(")[0]]
    if text.startswith("regression") and LABELS[text].dim() == 2:
        shape = (2,)
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def outputs_of(text, seed=0):
    task = task_of(text)
    return task, read_answer(task, answers(text, seed=seed), (B, 1, 2, 2)), LABELS[text]


@pytest.mark.parametrize("text", LABELS)
def test_a_margin_is_above_zero_exactly_where_the_score_is_zero(text):
    task, outputs, y = outputs_of(text)
    task.check_labels(y, B)
    task.check(outputs.shape[1], y)
    scores = task.score(outputs, y)
    assert 0 < (scores == 0).float().mean() < 1, "the case needs lost answers and others"
    two_sided = [climb for climb in task.climbs if climb not in ("up", "down")]
    for climb in two_sided:
        assert torch.equal(task.margin(outputs, y, climb) > 0, scores == 0), climb


@pytest.mark.parametrize("text", LABELS)
def test_scores_take_draws_and_lie_between_zero_and_one(text):
    task, outputs, y = outputs_of(text)
    draws = torch.stack([outputs_of(text, seed)[1] for seed in range(3)])
    scores = task.score(draws, y)
    assert scores.shape == (3, B)
    assert scores.min() >= 0
    assert scores.max() <= 1
    assert torch.equal(scores[0], task.score(outputs, y))
    assert task.bits == (text in ("classes", "binary") or "exact=true" in text)
    if task.bits:
        assert set(scores.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("text", LABELS)
def test_equal_draws_answer_together_as_each_of_them(text):
    task, outputs, y = outputs_of(text)
    draws = torch.stack([outputs] * 3)
    alone = task.score(outputs, y)
    assert torch.allclose(task.score(task.mean(draws, y), y), alone)
    assert torch.allclose(task.score(task.majority(draws, y), y), alone)


@pytest.mark.parametrize("text", LABELS)
def test_a_margin_and_a_loss_have_gradients(text):
    task, outputs, y = outputs_of(text)
    y = task.typed(y)
    for value in [task.loss, *(lambda o, t, climb=c: task.margin(o, t, climb) for c in task.climbs)]:
        leaf = outputs.clone().requires_grad_()
        assert value(leaf, y).shape == (B,)
        (slope,) = torch.autograd.grad(value(leaf, y).sum(), leaf)
        assert slope.isfinite().all()
        assert slope.abs().sum() > 0


def test_intersection_over_union_by_hand():
    task = task_of("positions")
    y = torch.tensor([[[0, 0], [1, -1]]])
    answer = torch.tensor([[[0, 1], [1, 2]]])  # right at two of the three positions that count
    logits = nn.functional.one_hot(answer, 3).movedim(-1, 1).float()
    outputs = task.read(logits, (1, 1, 2, 2))
    assert task.score(outputs, y).item() == pytest.approx(
        (1 / 2 + 1 / 2) / 2
    )  # classes 0 and 1; class 2 does not count
    assert task_of("positions(score_by=accuracy)").score(outputs, y).item() == pytest.approx(2 / 3)


def test_a_score_falls_from_the_tolerance_on():
    task = task_of("regression(tolerance=1, until=3)")
    y = torch.zeros(5)
    errors = torch.tensor([0.0, -1.0, 2.0, 3.0, -9.0])[:, None]
    assert task.score(errors, y).tolist() == [1, 1, 0.5, 0, 0]
    assert task_of("regression(tolerance=1)").score(errors, y).tolist() == [1, 1, 0, 0, 0]
    assert task.margin(errors, y, "up").tolist() == pytest.approx([-1, -4 / 3, -1 / 3, 0, -4])


def test_draws_of_numbers_answer_by_mean_and_median():
    task, y = task_of("regression(tolerance=0.5)"), torch.zeros(1)
    draws = torch.tensor([0.0, 1.0, 8.0, 3.0]).view(4, 1, 1)
    assert task.mean(draws, y).item() == 3
    assert task.majority(draws, y).item() == 2


def test_a_tie_of_votes_is_wrong():
    for text, y, one, other in [
        ("labels", [[1]], [[1.0]], [[-1.0]]),
        ("labels", [[0]], [[1.0]], [[-1.0]]),
        ("positions", [[[0]]], [[1.0, 0.0]], [[0.0, 1.0]]),
        ("positions", [[[1]]], [[1.0, 0.0]], [[0.0, 1.0]]),
        ("classes", [1], [[1.0, 0.0]], [[0.0, 1.0]]),
    ]:
        task, labels = task_of(text), torch.tensor(y)
        draws = torch.tensor([one, other])
        assert task.score(task.majority(draws, labels), labels).item() == 0, text
        assert task.score(task.majority(draws[[0, 0, 1]], labels), labels).item() in (0, 1)


def test_a_mean_is_that_of_probabilities():
    task, y = task_of("labels"), torch.ones(1, 1)
    draws = torch.tensor([[[4.0]], [[-1.0]], [[-1.0]]])
    assert torch.sigmoid(task.mean(draws, y)).item() == pytest.approx(torch.sigmoid(draws).mean().item())
    assert task.majority(draws, y).item() < 0  # two of three votes


def test_the_smoothed_margin_follows_the_score():
    """Of two inputs, the one that flips the closest part has the higher margin, whatever it does to the others."""
    task, y = task_of("labels"), torch.ones(2, 4)
    flips_one = torch.tensor([-0.1, 4.0, 4.0, 4.0])
    lowers_all = torch.tensor([0.3, 3.5, 3.5, 3.5])
    both = torch.stack([flips_one, lowers_all])
    smoothed, margin = task.margin(both, y), task.margin(both, y, "margin")
    assert smoothed[0] > smoothed[1]
    assert margin[1] > margin[0], "the mean of the margins prefers the other"


@pytest.mark.parametrize("climb", task_of("positions").climbs)
def test_positions_that_do_not_count_change_nothing(climb):
    task, outputs, y = outputs_of("positions")
    maps = outputs.view(B, 3, 4)
    changed = torch.where((y.view(B, 1, 4) == -1), maps.flip(1) + 5, maps).flatten(1)
    assert not torch.equal(changed, outputs)
    for one, other in [
        (task.margin(outputs, y, climb), task.margin(changed, y, climb)),
        (task.score(outputs, y), task.score(changed, y)),
        (task.loss(outputs, y), task.loss(changed, y)),
    ]:
        assert torch.allclose(one, other, atol=1e-6)


def test_the_divergence_is_that_of_jensen_and_shannon():
    from variate.tasks.positions import _divergence

    logits, y = torch.randn(5, 3, 1), torch.tensor([[0], [1], [2], [1], [0]])
    p, q = logits.softmax(1)[..., 0], nn.functional.one_hot(y[:, 0], 3).float()
    middle = (p + q) / 2
    kl = [(a * (a / middle).log()).nan_to_num(0).sum(1) for a in (p, q)]
    assert torch.allclose(_divergence(logits, y)[:, 0], (kl[0] + kl[1]) / 2, atol=1e-6)


def test_what_a_network_returns_is_read_by_its_key():
    class Pair(nn.Module):
        def forward(self, x):
            return {"out": x[:, :2], "aux": x[:, 2:]}

    x = torch.rand(3, 5)
    assert torch.equal(Answers(Pair(), task_of("classes(key=aux)"))(x), x[:, 2:])
    assert torch.equal(Answers(Pair(), task_of("labels"))(x), x[:, :2]), "out is found by itself"
    assert torch.equal(read_answer(task_of("labels(key=1)"), (x, x[:, :1]), (3, 5)), x[:, :1])
    with pytest.raises(InputError, match="without 'main'"):
        Answers(Pair(), task_of("classes(key=main)"))(x)


def test_one_logit_is_read_as_two():
    task, z = task_of("binary"), torch.tensor([-1.0, 2.0])
    for shape in ((2,), (2, 1)):
        outputs = read_answer(task, z.view(shape), (2, 5))
        assert torch.allclose(outputs.softmax(1)[:, 1], torch.sigmoid(z))
    network = nn.Linear(2, 1)
    assert network_of(task.answers(network)) is network
    assert task_of("classes").answers(network) is network


def test_maps_of_another_size_are_brought_to_that_of_the_image():
    task = task_of("positions")
    outputs = task.read(torch.rand(2, 3, 4, 4), (2, 1, 16, 16))
    assert outputs.shape == (2, 3 * 16 * 16)
    last = task_of("positions(classes=last)").read(torch.rand(2, 7, 3), (2, 7, 1))
    assert last.shape == (2, 21)


@pytest.mark.parametrize("text", [*LABELS, "classes(key=out)", "positions(classes=last, score_by=accuracy)"])
def test_a_task_is_written_as_it_is_read(text):
    task = task_of(text)
    assert task_of(written(task)) == task
    assert name_of(task) == text.partition("(")[0]
    assert task_of(task) is task


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("regression", "needs a tolerance"),
        ("regression(tolerance=0)", "needs a tolerance"),
        ("regression(tolerance=1, until=0.5)", "until is 0.5"),
        ("labels(exact=maybe)", "exact is 'maybe'"),
        ("positions(score_by=dice)", "dice"),
        ("classes(size=3)", "size"),
        ("segments", "segments"),
        ("classes(key=1.5)", "key of an answer"),
    ],
)
def test_a_task_that_does_not_exist_is_refused(text, expected):
    with pytest.raises(UsageError, match=expected):
        task_of(text)


@pytest.mark.parametrize(
    ("text", "y", "expected"),
    [
        ("classes", torch.tensor([0.5, 1]), "labels are integers"),
        ("binary", torch.tensor([0, 2]), "label 2"),
        ("labels", torch.tensor([0, 1]), "is needed"),
        ("labels", torch.tensor([[0, 2], [1, 1]]), "other than 0 and 1"),
        ("labels", torch.tensor([[0.0, 1], [1, 1]]), "whole numbers"),
        ("regression(tolerance=1)", torch.tensor([0.0, torch.nan]), "NaN or infinite in 1"),
        ("regression(tolerance=1)", torch.zeros(2, 2, 2), "is needed"),
        ("positions", torch.zeros(2, dtype=torch.long), "a class for every position"),
        ("positions", torch.full((2, 3, 3), -1), "no position counts in 2"),
        ("positions", torch.full((2, 3, 3), -2), "label -2"),
    ],
)
def test_labels_of_the_wrong_kind_are_refused(text, y, expected):
    with pytest.raises(InputError, match=expected):
        task_of(text).check_labels(y, 2)


@pytest.mark.parametrize(
    ("text", "width", "y", "expected"),
    [
        ("labels", 4, torch.ones(2, 3), "4 outputs, but y has 3"),
        ("regression(tolerance=1)", 2, torch.ones(2), "2 numbers, but y has 1"),
        ("positions", 10, torch.zeros(2, 2, 2, dtype=torch.long), "for 4 positions"),
        ("positions", 4, torch.zeros(2, 2, 2, dtype=torch.long), "at least two logits"),
        ("positions", 8, torch.full((2, 2, 2), 2), "label 2"),
    ],
)
def test_outputs_that_do_not_fit_the_labels_are_refused(text, width, y, expected):
    with pytest.raises(InputError, match=expected):
        task_of(text).check(width, y)


def test_a_network_that_answers_something_else_is_refused():
    for text, answer in [
        ("classes", torch.rand(2, 3, 4)),
        ("positions", torch.rand(2, 3)),
        ("binary", torch.rand(2, 2)),
    ]:
        with pytest.raises(InputError, match="the network returned shape"):
            read_answer(task_of(text), answer, (2, 5))
    for answer in ("text", torch.rand(3, 2), [torch.rand(2, 3)] * 2):
        with pytest.raises(InputError, match="2 inputs"):
            read_answer(task_of("labels"), answer, (2, 5))


def test_a_smoothed_margin_of_all_orders_is_one():
    """Parts may come in any order."""
    task, y = task_of("labels"), torch.ones(1, 3)
    values = [task.margin(torch.tensor([order]), y).item() for order in itertools.permutations((1.0, -0.5, 2.0))]
    assert max(values) - min(values) < 1e-6


PARTED = [
    "classes",
    "binary",
    "labels",
    "labels(exact=true)",
    "regression(tolerance=0.5)",
    "positions(score_by=accuracy)",
]


def test_tasks_say_whether_their_score_is_a_mean_of_parts():
    assert [text for text in LABELS if task_of(text).parted] == PARTED


@pytest.mark.parametrize("text", PARTED)
def test_a_score_is_the_share_of_right_parts_and_what_most_draws_say_of_a_part_their_majority_does(text):
    task, _, y = outputs_of(text)
    draws = torch.stack([outputs_of(text, seed)[1] for seed in range(3)])
    right = task.part_labels(y)
    counted = right >= 0
    agrees = (task.parts(draws, y) == right) & counted  # (3, B, P)
    assert torch.allclose(task.score(draws, y), (agrees.sum(-1) / counted.sum(-1)).float())
    most = agrees.sum(0) >= 2
    together = task.parts(task.majority(draws, y)[None], y)[0] == right
    assert bool((together | ~most).all())
    assert 0 < most.float().mean() < 1
