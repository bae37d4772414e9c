import warnings

import pytest
import torch
from torch import nn

from variate.errors import RandomizeError, UsageError
from variate.random.keys import hash_words
from variate.random.randomize import randomize


class Held(nn.Module):
    """A module around the given parameters and attributes."""

    def __init__(self, **held):
        super().__init__()
        for name, value in held.items():
            setattr(self, name, value)

    def forward(self, x):
        return x


def parameter(value, grad=True):
    return nn.Parameter(value, requires_grad=grad)


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch advises torch.compile
        return nn.Sequential(torch.jit.script(nn.Linear(2, 2)))


def with_own_forward():
    module = nn.Linear(2, 2)
    module.forward = lambda x: x
    return module


def sharing():
    weight = torch.randn(4, 2)
    return Held(top=parameter(weight[:2]), whole=parameter(weight))


FORBIDDEN = {
    "no parameters": (nn.ReLU, ["it has no parameters"]),
    "integers": (lambda: Held(w=parameter(torch.ones(2, dtype=torch.int8), False)), ["w is torch.int8"]),
    "complex": (lambda: Held(w=parameter(torch.ones(2, dtype=torch.cfloat))), ["w is torch.complex64"]),
    "sparse": (lambda: Held(w=parameter(torch.eye(3).to_sparse())), ["w is sparse"]),
    "meta": (lambda: nn.Linear(2, 2, device="meta"), ["weight is on the meta device", "bias is on the meta device"]),
    "lazy": (lambda: nn.LazyLinear(2), ["weight is not initialized yet", "bias is not initialized yet"]),
    "script": (scripted, ["0 is TorchScript"]),
    "clash": (lambda: Held(w=parameter(torch.ones(2)), _variate=3), ["it already has _variate"]),
    "clash of scales": (lambda: Held(w=parameter(torch.ones(2)), w_rho=1), ["w_rho already exists"]),
    "shared storage": (sharing, ["whole shares memory with top"]),
    "own forward": (with_own_forward, ["its forward is an attribute of the instance"]),
    "random already": (
        lambda: randomize(nn.Linear(2, 2)),
        ["it already has _variate"],
    ),
    "random inside": (lambda: nn.Sequential(randomize(nn.Linear(2, 2))), ["0 is a random network already"]),
}


@pytest.mark.parametrize("case", FORBIDDEN)
def test_what_cannot_be_made_random_says_why(case):
    make, expected = FORBIDDEN[case]
    with pytest.raises(RandomizeError) as caught:
        randomize(make())
    for finding in expected:
        assert any(found.startswith(finding) for found in caught.value.findings), caught.value.findings
    assert caught.value.todo


def test_every_finding_is_reported_at_once():
    module = Held(
        a=parameter(torch.ones(2, dtype=torch.cfloat)),
        b=nn.LazyLinear(1),
        c=nn.Linear(1, 1, device="meta"),
        d=sharing(),
        _variate=0,
        e=parameter(torch.ones(2)),
        e_rho=1,
    )
    with pytest.raises(RandomizeError) as caught:
        randomize(module, {"*": "normal", "f.*": "fixed"})
    wanted = [
        "complex",
        "b.weight",
        "b.bias",
        "c.weight",
        "c.bias",
        "d.whole",
        "already has _variate",
        "e_rho",
        "'f.*'",
    ]
    for what in wanted:
        assert any(what in finding for finding in caught.value.findings), what
    assert len(caught.value.findings) == len(wanted)
    assert all(finding in str(caught.value) for finding in caught.value.findings)


def test_an_exception_lifts_what_is_forbidden_about_a_parameter():
    module = Held(codes=parameter(torch.ones(2, dtype=torch.int8), False), w=parameter(torch.ones(2)))
    net = randomize(module, {"codes": "fixed"})
    assert [site.name for site in net.sites] == ["w"]
    assert net.deterministic_parameters() == ["codes"]


@pytest.mark.parametrize(
    ("families", "random"),
    [
        ("normal", ["0.weight", "0.bias", "1.weight", "1.bias"]),
        ({}, ["0.weight", "0.bias", "1.weight", "1.bias"]),
        ({"*.bias": "fixed", "*": "normal"}, ["0.weight", "1.weight"]),
        ({"0.bias": "normal", "0.*": "fixed"}, ["0.bias", "1.weight", "1.bias"]),
        ({"1.weight": "normal", "*": "fixed"}, ["1.weight"]),
        ({"[01].weight": "fixed"}, ["0.bias", "1.bias"]),
    ],
)
def test_the_first_pattern_that_matches_decides(families, random):
    net = randomize(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), families)
    assert [site.name for site in net.sites] == random
    assert {site.family for site in net.sites} == {"normal"}
    every = {"0.weight", "0.bias", "1.weight", "1.bias"}
    assert set(net.deterministic_parameters()) == every - set(random)


def test_an_unmatched_pattern_names_the_nearest_parameter():
    with pytest.raises(RandomizeError) as caught:
        randomize(nn.Sequential(nn.Linear(2, 2)), {"0.wieght": "fixed"})
    assert "'0.wieght' matches no parameter" in caught.value.findings[0]
    assert "'0.weight'" in caught.value.findings[0]


def test_a_pattern_behind_one_that_takes_everything_is_reported():
    with pytest.raises(RandomizeError, match=r"0\.bias"):
        randomize(nn.Sequential(nn.Linear(2, 2)), {"*": "normal", "0.bias": "fixed"})


def test_an_unknown_family_names_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'normal'"):
        randomize(nn.Linear(2, 2), "nromal")


def test_nothing_left_to_be_random_is_an_error():
    with pytest.raises(RandomizeError, match="no parameter that could be random"):
        randomize(nn.Linear(2, 2), "fixed")


def test_tied_parameters_are_one_site_known_by_each_of_its_names():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    net = randomize(module)
    (tied,) = [site for site in net.sites if len(site.owners) == 2]
    assert (tied.name, tied.owners) == ("0.weight", (("0", "weight"), ("1", "weight")))
    drawn = net.at(1)
    assert drawn[0].weight is drawn[1].weight
    fixed = randomize(module, {"1.weight": "fixed"})
    assert fixed.deterministic_parameters() == ["0.weight", "1.weight"]


def test_a_site_is_numbered_by_its_name():
    for site in randomize(nn.Linear(2, 2)).sites:
        assert site.uid == hash_words("parameter", site.name)
