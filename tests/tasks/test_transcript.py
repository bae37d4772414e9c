"""Transcripts, against all alignments of tiny cases and a plain edit distance."""

from itertools import groupby, product

import pytest
import torch

from variate.errors import InputError, UsageError
from variate.oracle.view import View
from variate.tasks.parts.alignment import alignment, frames_needed
from variate.tasks.task import Answers, read_answer, task_of, written
from variate.tasks.transcript import Transcript

FRAMES, SYMBOLS = 5, 2
BLANKS = pytest.mark.parametrize("blank", ["last", "first"])
LABELS = torch.tensor([[0, 1], [1, -1], [0, 0], [1, 1]])


def collapsed(path, blank):
    """The symbols of a path of classes, counted without the blank."""
    place = SYMBOLS if blank == "last" else 0
    return [cls - (blank == "first") for cls, _ in groupby(path) if cls != place]


def edits(one, other):
    """The edit distance by its recursion, without a table."""
    if not one or not other:
        return len(one) + len(other)
    return min(edits(one[1:], other) + 1, edits(one, other[1:]) + 1, edits(one[1:], other[1:]) + (one[0] != other[0]))


def transcripts(y):
    return [[symbol for symbol in row if symbol >= 0] for row in y.tolist()]


def random_outputs(rows, seed=0, size=2.0):
    return size * torch.randn(rows, FRAMES * (SYMBOLS + 1), generator=torch.Generator().manual_seed(seed)).double()


def paths(outputs):
    """Every path of an answer with its probability."""
    p = outputs.view(FRAMES, SYMBOLS + 1).softmax(-1).tolist()
    for path in product(range(SYMBOLS + 1), repeat=FRAMES):
        chance = 1.0
        for frame, cls in enumerate(path):
            chance *= p[frame][cls]
        yield path, chance


@BLANKS
def test_the_loss_sums_over_all_alignments(blank):
    task, outputs = Transcript(symbols=SYMBOLS, blank=blank), random_outputs(len(LABELS))
    for answer, label, loss in zip(outputs, transcripts(LABELS), task.loss(outputs, LABELS), strict=True):
        chance = sum(chance for path, chance in paths(answer) if collapsed(path, blank) == label)
        assert float(loss) == pytest.approx(-torch.tensor(chance).log().item() / len(label), rel=1e-5)


@BLANKS
def test_the_alignment_is_the_most_likely_one(blank):
    outputs = random_outputs(len(LABELS), seed=1)
    classes, lengths = LABELS.clamp(min=0) + (blank == "first"), (LABELS >= 0).sum(1)
    logs = outputs.view(len(LABELS), FRAMES, -1).log_softmax(-1)
    aligned = alignment(logs, classes, lengths, SYMBOLS if blank == "last" else 0)
    for answer, label, path in zip(outputs, transcripts(LABELS), aligned.tolist(), strict=True):
        assert tuple(path) == max((c, p) for p, c in paths(answer) if collapsed(p, blank) == label)[1]


def test_as_many_frames_are_needed_as_the_shortest_path_has():
    lengths = (LABELS >= 0).sum(1)
    assert frames_needed(LABELS, lengths).tolist() == [2, 1, 3, 3]


@BLANKS
@pytest.mark.parametrize("exact", [False, True])
def test_score_and_margins_of_random_answers(blank, exact):
    task, y = Transcript(symbols=SYMBOLS, blank=blank, exact=exact), LABELS.repeat(100, 1)
    outputs = random_outputs(len(y), seed=2)
    scores = task.score(outputs, y)
    expected = []
    for answer, label in zip(outputs, transcripts(y), strict=True):
        read = collapsed(answer.view(FRAMES, -1).argmax(-1).tolist(), blank)
        distance = edits(read, label)
        expected.append(float(distance == 0) if exact else max(0.0, 1 - distance / len(label)))
    assert scores.tolist() == pytest.approx(expected)
    assert {0.0, 1.0} <= set(expected)
    assert exact or 0.5 in expected
    for climb in task.climbs:
        assert torch.equal(task.margin(outputs, y, climb) > 0, scores == 0), climb


def test_without_ties_a_wrong_answer_has_a_gap_in_the_alignment():
    task, y = Transcript(symbols=SYMBOLS, exact=True), LABELS.repeat(50, 1)
    outputs = random_outputs(len(y), seed=3)
    gaps = task._gaps(outputs, y)
    assert torch.equal(gaps.amax(1) > 0, task.score(outputs, y) == 0)


def test_a_tie_is_lost_where_another_answer_is_read():
    task = Transcript(symbols=SYMBOLS, exact=True)
    outputs = torch.zeros(1, FRAMES * (SYMBOLS + 1))  # every frame is read as symbol 0
    for label, right in ((0, True), (1, False)):
        y = torch.tensor([[label]])
        assert bool(task.score(outputs, y)) is right
        assert all((float(task.margin(outputs, y, climb)) > 0) is not right for climb in task.climbs)


@pytest.mark.parametrize("climb", Transcript.climbs)
@pytest.mark.parametrize("exact", [False, True])
def test_climbing_a_margin_loses_the_answer(climb, exact):
    task, y = Transcript(symbols=SYMBOLS, exact=exact), LABELS
    start = torch.full((len(y), FRAMES, SYMBOLS + 1), -2.0)
    logs, lengths = torch.zeros(len(y), FRAMES, SYMBOLS + 1), (y >= 0).sum(1)
    path = alignment(logs, y.clamp(min=0), lengths, SYMBOLS)
    outputs = start.scatter(2, path[..., None], 2.0).flatten(1).requires_grad_()
    assert task.score(outputs, y).tolist() == [1.0] * len(y)
    for _ in range(200):
        two = View(lambda out, labels: task.margin(out, labels, climb), y).of(outputs)
        if bool((two[:, 1] > 0).all()):
            break
        (gradient,) = torch.autograd.grad(two[:, 1].sum(), outputs)
        outputs = (outputs + 0.1 * gradient.sign()).detach().requires_grad_()
    assert task.score(outputs, y).tolist() == [0.0] * len(y)


def test_draws_answer_together_frame_by_frame():
    task, y = Transcript(symbols=SYMBOLS), torch.tensor([[0]])
    p = torch.tensor([[0.6, 0.1, 0.3], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]])
    draws = p.log().repeat(1, FRAMES).unsqueeze(1)  # (3, 1, M)
    mean = task.mean(draws, y).view(FRAMES, -1).exp()
    torch.testing.assert_close(mean, p.mean(0).expand(FRAMES, -1))
    assert task.decoded(task.mean(draws, y)) == [[]]  # .3, .27, .43: the blank
    assert task.decoded(task.majority(draws, y)) == [[1]]  # one vote each, and the label wins no tie
    assert task.decoded(task.majority(draws[:2], y)) == [[]]  # the label and the blank
    assert task.decoded(task.majority(draws[[0, 0, 1]], y)) == [[0]]
    assert task.score(draws, y).tolist() == [[1.0], [0.0], [0.0]]


def test_impossible_classes_leave_finite_losses_and_gradients():
    task, y = Transcript(symbols=SYMBOLS), LABELS[:2]
    outputs = random_outputs(2).view(2, FRAMES, -1).clone()
    outputs[0, :, 0] = -torch.inf
    outputs = outputs.flatten(1).requires_grad_()
    values = torch.stack([task.loss(outputs, y), *(task.margin(outputs, y, climb) for climb in task.climbs)])
    (gradient,) = torch.autograd.grad(values.sum(), outputs)
    assert values.isfinite().all()
    assert gradient.isfinite().all()


def test_outputs_are_read_in_one_row_per_example():
    task = task_of("transcript(symbols=2, blank=first)")
    assert written(task) == "transcript(symbols=2, blank=first)"
    assert (task.width(2), task.bits, Transcript(symbols=2, exact=True).bits) == (3, False, True)
    outputs = Answers(torch.nn.Linear(4, 3), task)(torch.rand(2, FRAMES, 4))
    assert outputs.shape == (2, FRAMES * 3)
    task.check(outputs.shape[-1], LABELS[:2])


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 3, 5), "transpose"), ((2, 5, 4), "2 symbols and a blank"), ((2, 15), r"returned shape \(2, 15\)")],
)
def test_an_output_of_another_shape_is_refused(shape, message):
    with pytest.raises(InputError, match=message):
        read_answer(Transcript(symbols=2), torch.zeros(shape), (2, 1, 8))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1], "symbols of the longest"),
        ([[0.0, 1.0], [1.0, 1.0]], "whole numbers"),
        ([[0, 2], [1, 1]], "symbols are 0 to 1"),
        ([[0, -2], [1, 1]], "symbols are 0 to 1"),
        ([[0, 1], [-1, -1]], "1 examples have no symbol; the first is number 1"),
        ([[-1, 1], [1, 1]], "1 examples have symbols after -1; the first is number 0"),
    ],
)
def test_other_labels_are_refused(y, message):
    with pytest.raises(InputError, match=message):
        Transcript(symbols=2).check_labels(torch.tensor(y), 2)


def test_transcripts_that_cannot_be_aligned_are_refused():
    task = Transcript(symbols=2)
    task.check(9, torch.tensor([[0, 1, 0]]))
    with pytest.raises(InputError, match=r"1 transcripts need more frames than the 3 .* number 0 and needs 4"):
        task.check(9, torch.tensor([[0, 0, 1]]))
    with pytest.raises(InputError, match="10 numbers, which are not frames of 3 classes"):
        task.check(10, torch.tensor([[0]]))


@pytest.mark.parametrize("options", ["", "(symbols=0)", "(symbols=2, blank=middle)", "(symbols=2, exact=1)"])
def test_other_options_are_refused(options):
    with pytest.raises(UsageError):
        task_of(f"transcript{options}")
