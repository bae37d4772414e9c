"""``check`` with inputs measures: which draws reach the outputs, foreign randomness, and the batch."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from variate.errors import InputError, RandomizeError, UsageError
from variate.random.inspection import check
from variate.random.randomize import randomize

X = torch.linspace(0, 1, 20).view(5, 4)


class Cached(nn.Linear):
    kept = None

    def forward(self, x):
        if self.kept is None:
            self.kept = self.weight.detach().T.clone()
        return x @ self.kept


class Unused(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        return self.used(x)


class Noisy(nn.Linear):
    def __init__(self, noise):
        super().__init__(4, 3)
        self.noise = noise

    def forward(self, x):
        return super().forward(x) + self.noise()


class Centered(nn.Linear):
    def forward(self, x):
        return super().forward(x - x.mean(0))


GENERATOR = np.random.default_rng(0)
FOUND = {
    "nothing": (lambda: nn.Linear(4, 3), []),
    "a random network": (lambda: randomize(nn.Linear(4, 3)), []),
    "a cache": (lambda: Cached(4, 3, bias=False), ["weight: its draw does not reach the outputs"]),
    "unused": (Unused, ["unused.weight: its draw does not", "unused.bias: its draw does not"]),
    "dropout": (
        lambda: nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5)),
        ["1 (Dropout) draws from the generator of torch"],
    ),
    "NumPy": (lambda: Noisy(lambda: float(np.random.rand())), ["draws from the generator of NumPy"]),
    "Python": (lambda: Noisy(random.random), ["draws from the generator of Python's random"]),
    "a generator of its own": (lambda: Noisy(lambda: float(GENERATOR.random())), ["its outputs differ under one key"]),
    "batch norm": (lambda: nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)), ["1 is batch norm in train mode"]),
    "the batch": (lambda: Centered(4, 3), ["depends on the rest of the batch"]),
    "wrong inputs": (lambda: nn.Linear(5, 3), ["its forward fails on these inputs: RuntimeError"]),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_is_measured(case):
    make, expected = FOUND[case]
    module = make()
    before = torch.get_rng_state(), random.getstate(), {n: p.clone() for n, p in module.state_dict().items()}
    findings = check(module, X).findings
    assert len(findings) == len(expected), findings
    for part, finding in zip(expected, findings, strict=True):
        assert part in finding
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert all(torch.equal(tensor, before[2][name]) for name, tensor in module.state_dict().items())


def test_writes_are_named():
    assert "the forward writes into it" in check(nn.Embedding(10, 4, max_norm=0.5), torch.arange(5)).findings[0]


def test_inputs_may_be_several():
    assert check(nn.Bilinear(4, 4, 3), (X, X)).findings == []
    assert check(nn.Linear(4, 3), {"input": X}).findings == []
    with pytest.raises(UsageError, match="pass the families as family="):
        check(nn.Linear(4, 3), {"*.bias": "fixed"})


class Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.weights, self.layers = (
            nn.Linear(4, 4),
            [nn.Parameter(torch.rand(4, 4))],
            {"a": [nn.Linear(4, 4)]},
        )

    def forward(self, x):
        return self.layers["a"][0](self.layer(x) @ self.weights[0])


def test_weights_that_torch_does_not_register_are_named_or_excepted():
    with pytest.raises(RandomizeError) as caught:
        randomize(Hidden())
    assert [finding.split()[0] for finding in caught.value.findings] == [
        "weights.0",
        "layers.a.0.weight",
        "layers.a.0.bias",
    ]
    net = randomize(Hidden(), {"weights.*": "fixed", "layers.*": "fixed"})
    assert [site.name for site in net.sites] == ["layer.weight", "layer.bias"]
    lstm = randomize(nn.LSTM(4, 3))  # keeps its registered parameters in a list too
    assert len(lstm.sites) == 4


def test_quantized_parts_are_named():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        half = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3)), {"0"})
    assert check(half).findings == ["0 is quantized: its weights are packed integers, which cannot be random"]


def test_parameters_side_by_side_in_one_storage_are_not_shared():
    plain = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(plain.parameters()), plain.parameters())
    net = randomize(plain, scale=0.5)
    assert torch.allclose(net.mean()(X), plain(X))
    with net.fixed(3):
        assert torch.allclose(net(X), net.at(3)(X))
    lstm = nn.LSTM(4, 8)
    flat, place = torch.cat([p.detach().flatten() for p in lstm.parameters()]), 0
    for p in lstm.parameters():
        p.data, place = flat[place : place + p.numel()].view_as(p), place + p.numel()
    assert len(randomize(lstm).sites) == 4


def test_interleaved_parameters_are_told_from_overlapping_ones():
    class Two(nn.Module):
        def __init__(self, one, other):
            super().__init__()
            self.one, self.other = nn.Parameter(one), nn.Parameter(other)

    whole = torch.rand(4, 6)
    assert len(randomize(Two(whole[:, ::2], whole[:, 1::2])).sites) == 2
    with pytest.raises(RandomizeError, match="other shares memory with one"):
        randomize(Two(whole[:, :4], whole[:, 3:]))


class TiedByUse(nn.Module):
    def __init__(self):
        super().__init__()
        self.code = nn.Linear(4, 4)

    def forward(self, x):
        return nn.functional.linear(self.code(x), self.code.weight.T)


def test_a_weight_used_twice_has_its_whole_spread_in_each_example():
    torch.manual_seed(0)
    net = randomize(TiedByUse(), scale=0.5).eval()
    with torch.no_grad():
        each = net.draws_per_example(X[1:2].expand(3000, 4), 1).std(0)
        whole = net.draws(X[1:2], list(range(3000)))[:, 0].std(0)
    assert torch.allclose(each, whole, rtol=0.12)


def test_draws_of_several_outputs_say_what_to_do():
    pair = type("Pair", (nn.Linear,), {"forward": lambda self, x: (nn.Linear.forward(self, x), x)})
    with pytest.raises(InputError, match="tuple of 2"):
        randomize(pair(4, 3)).draws(X, [1, 2])
