import pytest
import torch
from torch import nn

from variate.errors import CheckpointError
from variate.random.inspection import check
from variate.random.packing import packed, settle, stored_bytes, unpacked
from variate.random.randomize import randomize


def network(family="binomial(bits=3)", **options):
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Linear(7, 9), nn.BatchNorm1d(9), nn.Linear(9, 3)), family, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("share", ["tensor", "channel"])
@pytest.mark.parametrize("bits", range(1, 9))
def test_a_network_comes_back_bit_for_bit(bits, share, dtype):
    net, twin = (network(f"binomial(bits={bits}, share={share})").to(dtype) for _ in range(2))
    draw = net.at(3).state_dict()
    settle(net)
    assert all(torch.equal(draw[name], tensor) for name, tensor in net.at(3).state_dict().items())  # no draw changes
    state = packed(net)
    assert state["0.weight"].dtype == torch.uint8
    assert state["0.weight"].nbytes == -(-63 * bits // 8)
    twin.load_state_dict(unpacked(twin, state))
    assert all(torch.equal(tensor, twin.state_dict()[name]) for name, tensor in net.state_dict().items())
    again = packed(twin)
    assert all(torch.equal(tensor, again[name]) for name, tensor in state.items())


def test_the_bits_of_a_tensor_are_those_of_its_probabilities_in_order():
    net = randomize(nn.Linear(3, 1, bias=False), "binomial(bits=2)")
    with torch.no_grad():
        scale = torch.nn.functional.softplus(net.weight_rho)
        net.weight.copy_(net.sites[0].distribution.at(torch.tensor([[3, 0, 2]]), scale))
    settle(net)
    assert packed(net)["weight"].tolist() == [0b11001000]


def test_the_mean_network_is_at_the_rounded_means():
    net = network("binomial(bits=1)")
    before = net[0].weight.detach().clone()
    weight = net.mean()[0].weight.detach()
    assert len(weight.unique()) == 2
    assert torch.equal(net[0].weight, before)
    settle(net)
    assert torch.equal(net[0].weight, weight)


def test_bytes_are_those_of_the_packed_tensors():
    for family in ("binomial(bits=2, share=channel)", "normal"):
        net = network(family)
        settle(net)
        sizes = {name: tensor.nbytes for name, tensor in packed(net).items()}
        assert stored_bytes(net) == sum(sizes.values())
    layer = nn.Linear(100, 100, bias=False)
    assert check(layer, family="binomial(bits=1)").cost.stored == 10_000 // 8 + 2 * 4
    assert check(layer).cost.stored == 2 * 40_000


def test_tied_weights_come_back_at_every_name():
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[1].weight = module[0].weight
    net = randomize(module, "binomial(bits=4)")
    settle(net)
    state = unpacked(net, packed(net))
    assert torch.equal(state["1.weight"], net[0].weight)
    assert state.keys() == net.state_dict().keys()


def test_means_off_their_grid_and_other_families_stay_numbers():
    assert packed(network())["0.weight"].dtype == torch.float32
    state = packed(network("normal"))
    assert state.keys() == unpacked(network("normal"), state).keys() == network("normal").state_dict().keys()


@pytest.mark.parametrize("wrong", ["bytes", "scale"])
def test_a_file_of_another_size_is_refused(wrong):
    net = network()
    settle(net)
    state = packed(net)
    if wrong == "bytes":
        state["0.weight"] = state["0.weight"][:-1]
    else:
        del state["0.weight_grid"]
    with pytest.raises(CheckpointError, match=r"does not hold 0\.weight in 3 bits"):
        unpacked(net, state)
