"""A package of somebody else adds a family by one class and an entry point, and it has everything that ours have."""

import sys

import pytest
import torch
from torch import nn

from variate import registry
from variate.randomization import randomize
from variate.testing.families import check_family

SOURCE = '''
import math
from dataclasses import dataclass

from variate.distribution import Family
from variate.randomness import hash_words
from variate.registry import family
from variate.samplers import counter


@family(random=True, cite="somebody else")
@dataclass(frozen=True)
class Triangular(Family):
    """The sum of two uniforms."""

    def noise(self, key, uid, like):
        first = counter.noise("uniform", key, uid, like.shape, device=like.device)
        second = counter.noise("uniform", key, hash_words("second", uid), like.shape, device=like.device)
        return (((first + second) / math.sqrt(2)).to(like.dtype),)

    def sample(self, noise, mean, scale):
        return mean + scale * noise[0]

    def std(self, mean, scale):
        return scale.expand_as(mean)

    def entropy(self, mean, scale):
        return scale.expand_as(mean).log().sum() + mean.numel() * (0.5 + math.log(math.sqrt(6)))
'''


@pytest.fixture
def installed(tmp_path, monkeypatch):
    (tmp_path / "triangular.py").write_text(SOURCE)
    info = tmp_path / "thirdparty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[variate.families]\ntriangular = triangular:Triangular\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()
    sys.modules.pop("triangular", None)


def test_it_conforms_trains_and_mixes(installed):
    assert registry.get("families", "triangular").summary == "The sum of two uniforms."
    check_family("triangular")
    net = randomize(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)), {"0.*": "triangular(share=channel)"}, floor=0.01)
    assert {site.family for site in net.sites} == {"triangular(share=channel, floor=0.01)", "normal(floor=0.01)"}
    net(torch.rand(5, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())
