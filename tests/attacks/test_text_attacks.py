"""Attacks on texts within budgets of many words: what is tried, and what is asked."""

import torch

from variate.attacks.parts.words import best_change
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.words import inputs_of
from variate.testing.text_attacks import TEXT, WORDS, _model, best_margin, signed_margin

LENGTH = 20


def texts():
    """Four texts of twenty words, and the model of two classes whose labels they have."""
    model = _model(2)
    ids = 2 + torch.randint(len(WORDS) - 2, (4, LENGTH), generator=torch.Generator().manual_seed(3))
    x = inputs_of(ids).double()
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def attacked(name, size):
    model, x, y = texts()
    budget = Budget.parse(f"words:{size}")
    perturbed, oracle = perturb(Target(model, "deterministic", modality=TEXT), Plan(name, 1, {}), budget, x, y)
    return model, x, y, budget, perturbed, oracle.queries


def test_greedy_words_tries_as_many_words_as_the_budget_has():
    model, x, y, budget, perturbed, _ = attacked("greedy-words", LENGTH)
    start, found = signed_margin(model, x, y), signed_margin(model, perturbed, y)
    best = best_margin(model, x, y, budget)
    torch.testing.assert_close(found, best)  # a linear model: each word has its own best replacement
    assert ((perturbed != x).sum((1, 2)) > 12).any()
    assert (found < start).all()


def test_greedy_words_tries_a_dozen_words_within_a_small_budget():
    *_, few = attacked("greedy-words", 1)
    *_, more = attacked("greedy-words", 12)
    assert (few.forwards == more.forwards).all()


def test_hotflip_asks_no_more_than_there_are_words():
    *_, whole, asked = attacked("hotflip", LENGTH)
    *_, beyond, again = attacked("hotflip", 100 * LENGTH)
    assert torch.equal(whole, beyond)
    assert (asked.forwards == again.forwards).all()
    assert (asked.backwards == LENGTH).all()


def test_what_is_not_possible_is_never_chosen_whatever_rounding_says():
    values = torch.tensor([[1.0, 1.0 + 1e-6, 0.5], [1.0, 2.0, 0.5], [1.0, 3.0, 2.0]])
    possible = torch.tensor([[False, True], [True, True], [False, True]])
    assert best_change(values, possible, torch.ones(3, 2)).tolist() == [0, 1, 2]


def test_what_costs_twice_must_raise_the_loss_twice_as_much():
    values, possible = torch.tensor([[1.0, 2.0, 2.9], [1.0, 2.0, 3.1], [1.0, 0.5, 0.9]]), torch.ones(3, 2).bool()
    assert best_change(values, possible, torch.tensor([[1, 2]] * 3)).tolist() == [1, 2, 0]
