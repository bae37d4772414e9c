"""Error rates of sequences, against torchmetrics and by hand."""

import pytest
import torch

from variate.errors import UsageError
from variate.metrics.choose import chosen
from variate.metrics.measure import measure
from variate.metrics.metric import metric_of

SYMBOLS, FRAMES = 5, 24


def outputs_of(answers):
    """Outputs (G, N, T K) that spell sequences of symbols (G, N, ...), a blank after each symbol."""
    logits = torch.zeros(len(answers), len(answers[0]), FRAMES, SYMBOLS + 1)
    logits[..., SYMBOLS] = 1
    for g, row in enumerate(answers):
        for n, symbols in enumerate(row):
            for t, symbol in enumerate(symbols):
                logits[g, n, 2 * t, symbol] = 9
    return logits.flatten(2)


def labels_of(rows):
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[-1] * (longest - len(row))] for row in rows])


def rate(name, answers, labels):
    return measure(f"transcript(symbols={SYMBOLS})", outputs_of(answers), labels_of(labels), names=name)[0].value


def test_by_hand():
    labels = [[0, 1, 2], [3]]
    assert rate("character-error-rate", [[[0, 1, 2], [3]]], labels) == 0
    assert rate("character-error-rate", [[[0, 2], [3, 3, 3]], [[0, 1, 2], [3]]], labels) == pytest.approx(3 / 8)
    assert rate("character-error-rate", [[[], []]], labels) == 1
    assert rate("word-error-rate", [[[0, 2], [3, 3]]], labels) == rate(
        "character-error-rate", [[[0, 2], [3, 3]]], labels
    )


def test_words_are_what_spaces_part():
    labels = [[0, 1, 4, 2, 3], [1, 4, 4, 1]]
    answers = [[[0, 1, 4, 2], [4, 1, 4, 1, 4]]]  # the second word of the first differs; spaces at the ends are no words
    assert rate("word-error-rate(space=4)", answers, labels) == pytest.approx(1 / 4)


def test_against_torchmetrics():
    functional = pytest.importorskip("torchmetrics.functional.text")
    generator = torch.Generator().manual_seed(0)

    def draw():
        lengths = torch.randint(1, 12, (20,), generator=generator).tolist()
        return [torch.randint(0, SYMBOLS, (length,), generator=generator).tolist() for length in lengths]

    def spelled(rows):
        return ["".join("abcd "[symbol] for symbol in row) for row in rows]

    labels, answers = draw(), [draw(), draw()]
    labels = [[0, *row] for row in labels]  # a word in each
    said, truth = [*spelled(answers[0]), *spelled(answers[1])], spelled(labels) * 2
    characters = functional.char_error_rate(said, truth)
    words = functional.word_error_rate(said, truth)
    assert rate("character-error-rate", answers, labels) == pytest.approx(float(characters), abs=1e-6)
    assert rate("word-error-rate(space=4)", answers, labels) == pytest.approx(float(words), abs=1e-6)


def test_chosen_and_with_an_interval():
    labels = [[0, 1, 2], [3], [2, 2], [1]] * 10
    answers = [[row if (g + n) % 3 else row[1:] for n, row in enumerate(labels)] for g in range(4)]
    task = f"transcript(symbols={SYMBOLS})"
    assert [one.name for one in chosen(task, labels_of(labels))] == ["character-error-rate"]
    (found,) = measure(task, outputs_of(answers), labels_of(labels))
    assert 0 < found.low < found.value < found.high < 1


@pytest.mark.parametrize("space", [-1, 0.5, "true"])
def test_a_space_that_is_no_symbol(space):
    with pytest.raises(UsageError, match="the number of a symbol"):
        metric_of(f"word-error-rate(space={space})")
