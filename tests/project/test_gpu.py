"""What must hold on a GPU as on the CPU."""

import pytest
import torch
from torch import nn

from variate.evaluation.evaluate import evaluate
from variate.random.randomize import randomize
from variate.random.seeding import kind_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU on this machine")


def plain() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


def test_a_key_gives_the_same_weights_on_every_device():
    net = randomize(plain(), scale=0.3)
    drawn = {name: tensor.clone() for name, tensor in net.at(7).state_dict().items()}
    on_gpu = net.to("cuda").at(7).state_dict()
    for name, tensor in drawn.items():
        assert torch.allclose(on_gpu[name].cpu(), tensor, rtol=1e-5, atol=1e-6)


def test_kinds_are_told_apart():
    x = torch.rand(2, 1, 4, 4, device="cuda")
    assert kind_of(plain().cuda(), x) == "deterministic"
    assert kind_of(nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(16, 3)).cuda().train(), x) == "keyed"


def test_an_evaluation_on_the_gpu_agrees_with_the_cpu():
    net = randomize(plain(), scale=0.3)
    x = torch.rand(40, 1, 4, 4)
    y = net.mean()(x).argmax(1)
    options = {"budget": "linf:0.1", "attacks": ["fgsm", {"name": "pgd", "steps": 3}], "draws": 4}
    rows = [evaluate(net.to(device), x, y, **options).rows for device in ("cpu", "cuda")]
    for one, other in zip(*rows, strict=True):
        assert one.rate == pytest.approx(other.rate, abs=0.02)
