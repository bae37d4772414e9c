"""The page for users of other libraries: their code runs, and a network carried over is the same network here."""

import importlib
import math
import re

import pytest
import torch
from pages import ROOT
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

import variate
from variate.random.uncertainty import Uncertainty

PAGE = (ROOT / "docs/from-other-libraries.md").read_text(encoding="utf-8")
NEEDED = {
    "bayesian-torch": ("bayesian_torch.layers",),
    "torchbnn": ("torchbnn",),
    "TyXe": ("pyro", "tyxe"),
}
DRAWS, Z = 400, 5.0
pytestmark = pytest.mark.filterwarnings("ignore")  # of the other libraries


@pytest.fixture(scope="module")
def carried():
    """What the blocks of a section define, theirs and ours, run in order once."""
    known = {}

    def run(library):
        for module in NEEDED[library]:
            pytest.importorskip(module, reason=f"{library} is not installed: see benchmarks/peers.txt")
        if library not in known:
            (section,) = [part for part in PAGE.split("\n## ") if part.startswith(f"{library}\n")]
            page = {"__name__": "__main__"}
            for block in re.findall(r"^```(?:py|python)\n(.*?)^```", section, re.S | re.M):
                exec(block, page)
            known[library] = page | {"x": torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(2))}
        return known[library]

    return run


def by_tensor(net, prior):
    """The divergence of every tensor from N(0, prior^2), by torch."""
    return {
        name: kl_divergence(Normal(net.get_parameter(name).detach(), std.detach()), Normal(0.0, prior))
        for name, std in net.stds().items()
    }


def test_bayesian_torch_has_the_same_divergence_and_another_loss(carried):
    page = carried("bayesian-torch")
    net, theirs = page["net"], page["theirs"]
    ours = by_tensor(net, 1.0)
    assert net.kl().item() == pytest.approx(float(sum(part.sum() for part in ours.values())), rel=1e-5)
    layers = [theirs.get_submodule(place) for place in ("1", "4")]
    total = sum(
        layer.kl_div(mean, F.softplus(rho), *(torch.tensor(value) for value in (0.0, 1.0))) * mean.numel()
        for layer in layers
        for mean, rho in ((layer.mu_weight, layer.rho_weight), (layer.mu_bias, layer.rho_bias))
    )
    assert net.kl().item() == pytest.approx(float(total), rel=1e-5)
    expected = float(sum(part.mean() for part in ours.values()))
    assert page["get_kl_loss"](theirs).item() == pytest.approx(expected, rel=1e-5)  # means, not sums


def test_bayesian_torch_measures_the_same_uncertainty(carried):
    page = carried("bayesian-torch")
    logits = torch.stack([page["net"](page["x"]) for _ in range(20)]).detach()
    answers, found = logits.softmax(-1).numpy(), Uncertainty.of(logits)
    assert page["predictive_entropy"](answers) == pytest.approx(found.entropy.numpy(), abs=1e-5)
    assert page["mutual_information"](answers) == pytest.approx(found.mutual_information.numpy(), abs=1e-5)


def test_bayesian_torch_leaves_deterministic_what_the_page_says(carried):
    page = carried("bayesian-torch")
    options = {**page["options"], "type": "Reparameterization", "moped_enable": False}
    module = nn.Sequential(
        nn.Embedding(5, 4), nn.LayerNorm(4), nn.BatchNorm1d(4), nn.Conv2d(4, 4, (1, 1)), nn.Linear(4, 2)
    )
    weight = module[4].weight.detach().clone()
    page["dnn_to_bnn"](module, options)
    left = {name.partition(".")[0] for name, _ in module.named_parameters() if "mu_" not in name and "rho_" not in name}
    assert left == {"0", "1", "2"}
    assert not torch.equal(module[4].mu_weight, weight)  # pretrained weights are dropped
    with pytest.raises(AttributeError):
        page["dnn_to_bnn"](nn.Sequential(nn.MultiheadAttention(4, 1)), options)
    scales = F.softplus(page["theirs"].get_submodule("1").rho_weight)
    torch.manual_seed(0)
    start = nn.Linear(64, 32).weight.detach()  # the first layer of the page, before it was converted
    torch.testing.assert_close(scales.detach(), 0.1 * start.abs(), rtol=1e-3, atol=1e-6)


def test_torchbnn_has_the_same_divergence(carried):
    page = carried("torchbnn")
    net, theirs, loss = page["net"], page["theirs"], page["bnn"].BKLLoss
    assert net.kl().item() == pytest.approx(loss(reduction="sum")(theirs).item(), rel=1e-5)
    assert net.kl().item() / page["elements"] == pytest.approx(loss(reduction="mean")(theirs).item(), rel=1e-5)
    theirs_in_the_loss = 0.01 * loss(reduction="mean")(theirs).item()
    assert page["weight"] * net.kl().item() / len(page["batches"].x) == pytest.approx(theirs_in_the_loss, rel=1e-5)


def test_tyxe_has_the_same_divergence_and_loss(carried):
    page = carried("TyXe")
    net, theirs = page["net"], page["theirs"]
    posteriors = theirs.net_guide.get_detached_distributions().values()
    total = sum(
        kl_divergence(found, Independent(Normal(torch.zeros(found.event_shape), 1.0), len(found.event_shape)))
        for found in posteriors
    )
    assert net.kl().item() == pytest.approx(float(total), rel=1e-5)
    infer, (x, y) = importlib.import_module("pyro.infer"), (page["x"], torch.arange(8))
    with torch.no_grad():
        loss = infer.TraceMeanField_ELBO(num_particles=DRAWS).loss(theirs.model, theirs.guide, x, y)
        each = torch.stack([F.cross_entropy(net(x), y, reduction="sum") for _ in range(DRAWS)])
    error = float(each.std()) * math.sqrt(2 / DRAWS)
    assert abs(loss - net.kl().item() - float(each.mean())) < Z * error + 1e-5 * loss


@pytest.mark.parametrize("library", NEEDED)
def test_a_network_carried_over_answers_in_the_same_distribution(carried, library):
    page = carried(library)
    net, theirs, x = page["net"].eval(), page["theirs"], page["x"]
    with torch.no_grad():
        if library == "TyXe":
            other = theirs.predict(x, num_predictions=DRAWS, aggregate=False)
        else:
            other = torch.stack([theirs(x) for _ in range(DRAWS)])
        ours = net.draws(x, variate.Stream("user", 0).take(DRAWS))
    assert float(ours.std(0).min()) > 0
    error = ((ours.var(0) + other.var(0)) / DRAWS).sqrt()
    assert float(((ours.mean(0) - other.mean(0)) / error).abs().max()) < Z
    ratio = (ours.var(0) / other.var(0)).log()  # of variance 4 / (DRAWS - 1) for Gaussian outputs
    assert float(ratio.abs().max()) < Z * math.sqrt(4 / (DRAWS - 1))


def test_everything_is_random_here_unless_it_is_named():
    module = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.MultiheadAttention(4, 1), nn.Linear(4, 2))
    assert variate.randomize(module).deterministic_parameters() == []
