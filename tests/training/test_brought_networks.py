"""Training of networks that answer in another form, change their inputs, or cannot be trained."""

import pytest
import torch
from torch import nn

from variate.errors import GradientError, InputError
from variate.training.train import train

X = torch.rand(8, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 3
RECIPE = {"epochs": 2, "lr": 0.1, "optimizer": "sgd", "accelerator": "cpu"}


class Head(nn.Module):
    def __init__(self, before=lambda x: x, after=lambda out: out):
        super().__init__()
        torch.manual_seed(0)
        self.head, self.before, self.after = nn.Linear(4, 3), before, after

    def forward(self, x):
        return self.after(self.head(self.before(x)))


def test_logits_in_a_dictionary_are_trained_and_validated_on():
    found = train(Head(after=lambda out: {"logits": out}), [(X, Y)], validation=(X, Y), **RECIPE)
    assert found == train(Head(), [(X, Y)], validation=(X, Y), **RECIPE)


@pytest.mark.parametrize("loss", [None, lambda outputs, batch: nn.functional.cross_entropy(outputs, batch[1])])
def test_a_forward_that_works_in_place_does_not_change_the_loaders_tensors(loss):
    x = X.clone()
    train(Head(before=lambda x: x.sub_(0.5)), [(x, Y)], loss=loss, **RECIPE)
    assert torch.equal(x, X)


@pytest.mark.parametrize("loss", [None, lambda outputs, batch: outputs.square().mean()])
def test_what_its_own_code_raises_is_shown_with_its_line(loss):
    def refuse(x):
        raise KeyError("no such thing")

    with pytest.raises(InputError, match="no such thing") as raised:
        train(Head(before=refuse), [(X, Y)], loss=loss, **RECIPE)
    assert __file__ in raised.value.findings[0]
    with pytest.raises(InputError, match="same dtype"):
        train(Head().half(), [(X, Y)], loss=loss, **RECIPE)


def test_nothing_to_train_is_an_error_by_name():
    with pytest.raises(GradientError, match="nothing to train"):
        train(Head(after=lambda out: out.detach()), [(X, Y)], **RECIPE)
