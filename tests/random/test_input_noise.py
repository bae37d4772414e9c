"""Layers that act on the input itself: which inputs they take, and what they leave of them."""

import pytest
import torch
from torch import nn

from variate.errors import InputError
from variate.inputs.modalities.text import Text
from variate.inputs.words import RADIUS, Lookup, Tokens, ids_of, inputs_of, smooth
from variate.random.input_noise import Mask


def order(mask, values):
    with torch.no_grad():
        mask.order.copy_(torch.tensor(values).reshape(mask.order.shape))
    return mask


def test_channels_of_a_pixel_are_hidden_together():
    mask = order(Mask((2, 2), keep=1, hidden=-1.0), [0.0, 3.0, 1.0, 2.0])
    x = torch.rand(2, 3, 2, 2)
    expected = torch.full_like(x, -1.0)
    expected[..., 0, 1] = x[..., 0, 1]
    assert torch.equal(mask(x), expected)


def test_words_are_hidden_in_either_form_and_hidden_vectors_do_not_move():
    mask = order(Mask((4, 1), keep=2), [1.0, 0.0, 3.0, 2.0])
    x = inputs_of(torch.tensor([[5, 6, 7, 8]]))
    moved = smooth(x, 3)
    moved[..., 1:] = torch.rand(1, 4, 3, generator=torch.Generator().manual_seed(0))
    assert ids_of(mask(x)).tolist() == ids_of(mask(moved)).tolist() == [[0, 0, 7, 8]]
    torch.manual_seed(0)
    tokens = Tokens(10, 3)
    vectors, shown = tokens(mask(moved))
    assert shown.tolist() == [[False, False, True, True]]
    offsets = (moved[0, 2:, 1:] - 0.5) * 2 * RADIUS
    assert torch.allclose(vectors[0, 2:], tokens.embedding.weight[[7, 8]] + offsets)
    network = nn.Sequential(Ids(), nn.Embedding(10, 3))
    looked_up = Lookup(network, words=10)(mask(moved))
    assert torch.allclose(looked_up[0, :2], network[1].weight[0].expand(2, 3))
    assert torch.allclose(looked_up[0, 2:], network[1].weight[[7, 8]] + offsets)


class Ids(nn.Module):
    def forward(self, x):
        return ids_of(x)


def test_gradients_reach_the_vectors_of_shown_words_only():
    network = nn.Sequential(order(Mask((4, 1), keep=2), [1.0, 0.0, 3.0, 2.0]), Tokens(10, 3))
    x = (
        Text(words=[str(i) for i in range(10)])
        .smooth(inputs_of(torch.tensor([[5, 6, 7, 8]])), network)
        .requires_grad_()
    )
    network(x)[0].sum().backward()
    moved = x.grad[0, :, 1:].abs().sum(1)
    assert moved[:2].tolist() == [0, 0]
    assert (moved[2:] > 0).all()


@pytest.mark.parametrize("shape", [(4,), (2, 5, 1), (2, 5, 3), (2, 2, 4)])
def test_inputs_of_another_shape_are_refused(shape):
    with pytest.raises(InputError, match=r"Mask has the shape \(4, 1\)"):
        Mask((4, 1), keep=2)(torch.rand(shape))
