"""Conformance suite for attacks on texts, on a linear bag-of-words model whose best replacements are known."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from variate.errors import AttackError
from variate.evaluation.plan import Plan, check_contract, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modalities.text import Text
from variate.inputs.words import PADDING, Tokens, ids_of, inputs_of
from variate.oracle.oracle import Oracle
from variate.random.randomize import randomize
from variate.random.seeding import kind_of
from variate.registry import Entry

LETTERS = "abcde"
WORDS = ("<pad>", "<unk>", *(first + second for first in LETTERS for second in LETTERS))
TEXT = Text(WORDS, tuple(() if i < 2 else tuple(2 + (i - 2 + step) % 25 for step in (3, 7, 11, 16)) for i in range(27)))
LENGTH, DRAWS = 6, 2
SHARES = {"gradient": 0.95, "scores": 0.95, "labels": 0.02}  # minimum fraction of the reachable margin loss


class BagOfWords(nn.Module):
    """A linear layer on the sum of the word vectors.

    Args:
        classes: number of logits.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.tokens = Tokens(len(WORDS), 4)
        self.head = nn.Linear(4, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Inputs of shape (B, T, C) to logits of shape (B, K)."""
        logits: Tensor = self.head(self.tokens(x)[0].sum(1))
        return logits


def text_findings(entry: Entry, budget: Budget) -> Iterator[str]:
    """All violations of an attack on texts, with a budget of words or characters."""
    for network in (_model(3), randomize(_model(3), scale=0.2)):
        x, y = _texts(), torch.arange(4) % 3
        before = x.clone()
        perturbed, oracle = run_on_texts(entry, network, x, y, budget)
        try:
            check_contract(entry.name, perturbed, TEXT.reach(before, budget), budget)
        except AttackError as error:
            yield str(error)
        if not torch.equal(x, before):
            yield "it changes its inputs in place"
        alone = [run_on_texts(entry, network, x[i, None], y[i, None], budget)[0] for i in range(len(x))]
        if not torch.equal(perturbed, torch.cat(alone)):
            yield f"on {type(network).__name__} the results in a batch and alone differ"
        if not torch.equal(run_on_texts(entry, network, x, y, budget.with_size("0"))[0], x):
            yield "with a budget of 0 it changes its inputs"
        access = entry.facts["access"]
        forwards, backwards = oracle.queries.forwards, oracle.queries.backwards
        if any((forwards > 0) != (access != "none")) or any((backwards > 0) != (access == "gradient")):
            yield f"its access is {access}, but it made {forwards} forward and {backwards} backward passes"
    yield from _takes_its_share(entry, budget)
    if entry.facts["targeted"]:
        yield from _comes_nearer(entry, budget)


def run_on_texts(
    entry: Entry, network: nn.Module, x: Tensor, y: Tensor, budget: Budget, *, aim: str | None = None
) -> tuple[Tensor, Oracle]:
    """Run one attack on texts as an evaluation does."""
    target = Target(network, kind_of(network, x), name=entry.name, modality=TEXT)
    return perturb(target, Plan(entry.name, DRAWS, {}, target=aim), budget, x, y, checked=False)


def best_margin(model: BagOfWords, x: Tensor, y: Tensor, budget: Budget) -> Tensor:
    """The smallest margin of a two-class model within a budget of words or characters: shape (B,).

    The margin is a sum over words, so the best replacement of each word at each cost is known. Selecting replacements
    within the budget is a knapsack problem: the largest reduction by the first words, for every total cost.

    Args:
        model: a model with two classes.
        x: inputs, shape (B, T, 1).
        y: labels, shape (B,).
        budget: a budget of words or characters.
    """
    with torch.no_grad():
        candidates, costs = TEXT.swaps(budget.norm)
        ids = ids_of(x)
        sign = 1.0 - 2.0 * y.double()  # sign of the label in first logit - second logit
        word_logits = model.tokens.embedding.weight @ (model.head.weight[0] - model.head.weight[1])  # (V,)
        contributions = sign[:, None] * word_logits[ids]  # (B, T)
        candidate_ids = candidates[ids]  # (B, T, C)
        gains = (contributions[..., None] - sign[:, None, None] * word_logits[candidate_ids.clamp(min=0)]).clamp(
            min=0
        )  # (B, T, C)
        gains = gains.masked_fill((candidate_ids < 0) | (ids == PADDING)[..., None], 0)
        reduction = gains.new_zeros(len(x), int(budget.size) + 1)
        for position in range(ids.shape[1]):
            previous = reduction.clone()
            for cost in sorted(set(costs.flatten().tolist())):
                best = gains[:, position].masked_fill(costs[ids[:, position]] != cost, 0).amax(1)
                if 0 < cost < reduction.shape[1]:
                    reduction[:, cost:] = torch.maximum(
                        reduction[:, cost:], previous[:, : -cost or None] + best[:, None]
                    )
        return signed_margin(model, x, y) - reduction[:, -1]


def signed_margin(model: BagOfWords, x: Tensor, y: Tensor) -> Tensor:
    """The logit of the label minus the other of two logits: shape (B,)."""
    with torch.no_grad():
        logits = model(x)
        margin: Tensor = logits.gather(1, y[:, None])[:, 0] - logits.gather(1, 1 - y[:, None])[:, 0]
        return margin


def _takes_its_share(entry: Entry, budget: Budget) -> Iterator[str]:
    model, x = _model(2), _texts()
    with torch.no_grad():
        y = model(x).argmax(1)
    wide = budget.with_size("3") if entry.facts["access"] != "labels" else budget.with_size(str(LENGTH))
    perturbed, _ = run_on_texts(entry, model, x, y, wide)
    start, end, best = (
        signed_margin(model, x, y),
        signed_margin(model, perturbed, y),
        best_margin(model, x, y, wide),
    )
    share = float(((start - end) / (start - best)).mean())
    if not share >= SHARES[entry.facts["access"]]:
        yield f"on a bag-of-words model it removes only {share:.1%} of the margin that the best replacements remove"


def _comes_nearer(entry: Entry, budget: Budget) -> Iterator[str]:
    model, x = _model(3), _texts()
    with torch.no_grad():
        y = model(x).argmax(1)
    perturbed, _ = run_on_texts(entry, model, x, y, budget.with_size(str(LENGTH)), aim="next")
    goal = (y + 1) % 3
    with torch.no_grad():
        before, after = (model(inputs).log_softmax(1).gather(1, goal[:, None]).mean() for inputs in (x, perturbed))
    if not float(after) > float(before):
        yield "with a target label, it does not make the target more likely"


def _model(classes: int) -> BagOfWords:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return BagOfWords(classes).double().eval()


def _texts() -> Tensor:
    """Four texts of six words or fewer: shape (4, 6, 1), float64."""
    ids = 2 + torch.randint(25, (4, LENGTH), generator=torch.Generator().manual_seed(5))
    ids[1, 4:] = 0  # padding
    ids[2, 1] = 1  # an unknown word, which nothing replaces
    return inputs_of(ids).double()
