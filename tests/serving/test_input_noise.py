"""Noise on the input stays random and fresh in deployment, served or exported; where it is fixed, that is said."""

import pytest
import torch
from torch import nn

from variate.errors import CertificateWarning
from variate.random.fixing import set_seed
from variate.random.input_noise import Mask, Shift
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.serving.exporting import ENDINGS, export
from variate.serving.opening import open_exported
from variate.serving.serving import Served

SIGMA, CALLS = 0.3, 150
Z = 5.5  # keys are of the operating system: each of about 50 comparisons is wrong by chance in 4e-8


def shifted(**options):
    return randomize(
        nn.Sequential(Shift((4,), **options), nn.Flatten()), {"0.bias": f"normal(scale={SIGMA}, learn=no)"}
    )


def masked():
    return randomize(nn.Sequential(Mask((4,), keep=2, hidden=-9.0)), {"0.order": "normal(scale=1, learn=no)"})


def check_shift(answers):
    """Log probabilities of x + noise: their differences have twice the variance of the noise, without covariance."""
    gaps = answers[:, 0, [0, 2]] - answers[:, 0, [1, 3]]  # (n, 2)
    assert len({row.numpy().tobytes() for row in gaps}) >= len(gaps) - 3  # fresh; on levels, two may fall together
    center, spread = torch.tensor([0.1 - 0.6, 0.2 - 0.9]), SIGMA * 2**0.5
    assert float((gaps.mean(0) - center).abs().max()) < Z * spread / len(gaps) ** 0.5
    assert float((gaps.std(0) / spread - 1).abs().max()) < Z / (2 * len(gaps)) ** 0.5
    assert abs(float(torch.corrcoef(gaps.T)[0, 1])) < Z / len(gaps) ** 0.5


def check_mask(answers):
    """Two of four values are shown, each pair equally often."""
    shown = answers[:, 0] > answers[:, 0].amin(1, keepdim=True) + 1  # (n, 4)
    assert bool((shown.sum(1) == 2).all())
    pairs, counts = shown.unique(dim=0, return_counts=True)
    assert len(pairs) == 6
    assert float((counts / len(shown) - 1 / 6).abs().max()) < Z * (5 / 36 / len(shown)) ** 0.5


INPUT = torch.tensor([[0.1, 0.6, 0.2, 0.9]])
NETWORKS = {
    "shift": (shifted, check_shift),
    "shift on levels": (lambda: shifted(levels=255), check_shift),
    "mask": (masked, check_mask),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_served_noise_is_that_of_the_network_and_fresh(name):
    make, check = NETWORKS[name]
    served = Served(make().eval())
    check(torch.stack([served(INPUT) for _ in range(CALLS)]))


@pytest.mark.parametrize("form", ENDINGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_exported_noise_is_that_of_the_network_and_fresh(name, form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime", reason="needs variate[onnx]")
    make, check = NETWORKS[name]
    file = tmp_path / f"net{ENDINGS[form]}"
    assert export(make().eval(), file, INPUT, format=form).random
    run = open_exported(file)
    check(torch.stack([run(INPUT) for _ in range(CALLS)]))


def test_a_seed_of_the_network_does_not_make_served_noise_predictable():
    answers = []
    for _ in range(2):
        net = shifted().eval()
        set_seed(net, 5)
        torch.manual_seed(0)
        answers.append(Served(net)(INPUT))
    assert not torch.equal(*answers)
    with pytest.warns(UserWarning, match="no certificate"):
        Stream("serve", 5)


FIXED = {
    "frozen": lambda net: net.at(3),
    "at its mean": lambda net: net.mean(),
    "an average": lambda net: net.average([1, 2]),
    "not random": lambda _: nn.Sequential(Shift((4,))),
    "inside": lambda net: nn.Sequential(nn.Identity(), net.at(3)),
}


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("make", [shifted, masked])
def test_fixed_noise_voids_the_certificate_and_says_so(name, make):
    network = FIXED[name](make())
    with pytest.warns(CertificateWarning, match="no certificate") as caught:
        Served(network)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("options", [{"key": 3}, {"mean": True}])
def test_so_does_an_export_of_one_draw(options, tmp_path):
    with pytest.warns(CertificateWarning, match="the noise of 0 is fixed") as caught:
        export(shifted().eval(), tmp_path / "net.pt2", INPUT, format="torch-export", **options)
    assert caught[0].filename == __file__


def test_fresh_noise_and_networks_without_any_raise_no_warning(tmp_path):
    Served(nn.Sequential(nn.Identity(), shifted()))  # warnings are errors here
    Served(nn.Linear(4, 2))
    Served(randomize(nn.Linear(4, 2)).at(3))
