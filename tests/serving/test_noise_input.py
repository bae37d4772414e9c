"""Graphs whose random parameters are inputs: the draw of a key is that of PyTorch, and the file says how to draw."""

import json
import threading

import numpy as np
import pytest
import torch
from torch import nn

import variate
from variate import registry
from variate.errors import CheckpointError, ExportError, UsageError
from variate.random.average import mean_log_probabilities
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.random.seeding import outputs_under
from variate.random.strata import mode_of
from variate.serving.drawn_session import DrawnSession
from variate.serving.exporting import export
from variate.serving.noise_input import INPUTS
from variate.serving.onnx_graph import RANDOM_OPERATIONS
from variate.serving.opening import open_exported

pytest.importorskip("onnxruntime", reason="needs variate[onnx]")
FAMILIES = [name for name, entry in registry.entries("families").items() if entry.facts["random"]]
KEYS = Stream("user", 3).take(3)


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).eval()


def inputs(*shape):
    return torch.rand(shape or (2, 5), generator=torch.Generator().manual_seed(1))


def opened(net, x, folder, **options):
    return open_exported(export(net, folder / "a.onnx", x, noise="input", **options).path)


def agree(run, net, x, keys=KEYS):
    for key in keys:
        expected = outputs_under(net, x, [key])[0]
        torch.testing.assert_close(run.at(key, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_key_draws_the_same_network_as_in_pytorch(family, tmp_path):
    net, x = randomize(small(), family, scale=0.4).eval(), inputs()
    run = opened(net, x, tmp_path)
    agree(run, net, x)
    assert not torch.equal(run(x), run(x))
    assert run(inputs(7, 5)).shape == (7, 3)


@pytest.mark.parametrize(
    "options",
    [{"share": "channel"}, {"share": "tensor"}, {"share": "network"}, {"floor": 0.2}, {"snr": 4.0}],
    ids=lambda options: next(iter(options)) + str(next(iter(options.values()))),
)
def test_a_scale_that_is_shared_or_bounded_goes_into_the_file_as_it_acts(options, tmp_path):
    net, x = randomize(small(), scale=0.4, **options).eval(), inputs()
    agree(opened(net, x, tmp_path), net, x)


class Sequence(nn.Module):
    """A recurrence, which keeps its weights in a list of its own, and two layers that share one weight."""

    def __init__(self):
        super().__init__()
        self.lstm, self.one, self.other = nn.LSTM(5, 4, 2, batch_first=True), nn.Linear(4, 4), nn.Linear(4, 4)
        self.other.weight = self.one.weight

    def forward(self, x):
        return self.other(self.one(self.lstm(x)[0].mean(1)).tanh())


def test_recurrences_and_tied_weights_get_their_draw(tmp_path):
    torch.manual_seed(0)
    net, x = randomize(Sequence(), scale=0.3).eval(), inputs(2, 6, 5)
    agree(opened(net, x, tmp_path), net, x)


def test_fixed_parameters_stay_in_the_graph_and_several_networks_draw_apart(tmp_path):
    first = randomize(small(), {"0.bias": "fixed", "*": "normal"}, scale=0.3)
    net, x = nn.Sequential(first, randomize(nn.Linear(3, 3), scale=0.3)).eval(), inputs()
    run = opened(net, x, tmp_path)
    agree(run, net, x)
    names = [each.input for each in run._inputs]
    assert names == ["drawn.0.0.weight", "drawn.0.2.weight", "drawn.0.2.bias", "drawn.1.weight", "drawn.1.bias"]


def test_noise_on_the_input_is_an_input_too(tmp_path):
    layers = nn.Sequential(variate.Shift((5,)), small())
    net, x = randomize(layers, {"0.bias": "normal(scale=0.25, learn=no)", "*": "normal"}).eval(), inputs()
    agree(opened(net, x, tmp_path), net, x)


def test_the_mean_of_draws_is_that_of_as_many_keys_and_uses_modes_evenly(tmp_path, monkeypatch):
    net, x = randomize(small(), "modes(count=3)", scale=0.4).eval(), inputs()
    run = opened(net, x, tmp_path, draws=3)
    used = []
    at = DrawnSession.at
    monkeypatch.setattr(DrawnSession, "at", lambda self, key, x: used.append(key) or at(self, key, x))
    found = run(x)
    torch.testing.assert_close(found, mean_log_probabilities(outputs_under(net, x, used)), rtol=1e-4, atol=1e-5)
    assert sorted(mode_of(net, key) for key in used) == [0, 1, 2]


def test_threads_answer_with_draws_of_their_own_keys(tmp_path):
    net, x = randomize(small(), scale=0.4).eval(), inputs()
    run, found = opened(net, x, tmp_path), {}
    keys = Stream("user", 5).take(8)

    def answers(key):
        found[key] = [run.at(key, x) for _ in range(20)]

    threads = [threading.Thread(target=answers, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for key in keys:
        assert all(torch.equal(each, run.at(key, x)) for each in found[key])


def test_the_file_says_what_each_input_is_and_a_receiver_without_variate_can_draw(tmp_path):
    import onnx
    import onnxruntime

    net, x = randomize(small(), {"0.*": "uniform", "*": "laplace"}, scale=0.4).eval(), inputs()
    path = export(net, tmp_path / "a.onnx", x, noise="input").path
    graph = onnx.load(path)
    assert not [node for node in graph.graph.node if node.op_type in RANDOM_OPERATIONS]
    described = json.loads({entry.key: entry.value for entry in graph.metadata_props}[INPUTS])
    tensors = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    assert [(each["input"], each["shape"], each["noise"]) for each in described] == [
        ("drawn.0.weight", [4, 5], "uniform"),
        ("drawn.0.bias", [4], "uniform"),
        ("drawn.2.weight", [3, 4], "laplace"),
        ("drawn.2.bias", [3], "laplace"),
    ]
    assert described[2]["distribution"].startswith("Laplace: w = mean + scale * z")
    stds = dict(net.stds())
    for each in described:
        parameter = each["input"].removeprefix("drawn.")
        np.testing.assert_allclose(tensors[each["tensors"]["scale"]], stds[parameter].detach(), rtol=1e-5)
    session = onnxruntime.InferenceSession(path)
    means = {each["input"]: tensors[each["tensors"]["mean"]] for each in described}
    logits = session.run(["logits"], {"x": x.numpy(), **means})[0]
    np.testing.assert_allclose(logits, net.mean()(x).detach(), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="drawn"):  # a forgotten draw is no deterministic answer
        session.run(None, {"x": x.numpy()})


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return nn.functional.dropout(self.layer(x), 0.5, training=True)


REFUSALS = {
    "no parameters": (small, {}, UsageError, "no random parameters"),
    "other noise": (Dropping, {}, UsageError, "no random parameters"),
    "other noise too": (lambda: randomize(Dropping()), {}, ExportError, "belong to no random parameter"),
    "the mean": (lambda: randomize(small()), {"mean": True}, UsageError, "mean and key leave no noise"),
    "a word": (lambda: randomize(small()), {"noise": "outside"}, UsageError, "noise is 'outside'"),
    "bfloat16": (lambda: randomize(small().bfloat16()), {}, ExportError, "NumPy makes no inputs"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_has_no_such_graph_is_told(name, tmp_path):
    make, options, error, words = REFUSALS[name]
    net = make().eval()
    x = inputs().to(next(net.parameters()).dtype)
    with pytest.raises(error, match=words):
        export(net, tmp_path / "a.onnx", x, **{"noise": "input", **options})
    assert not (tmp_path / "a.onnx").exists()


def test_it_is_for_onnx(tmp_path):
    with pytest.raises(UsageError, match="for random ONNX graphs"):
        export(randomize(small()), tmp_path / "a.pt2", inputs(), format="torch-export", noise="input")


def test_a_file_whose_description_does_not_fit_is_damaged(tmp_path):
    import onnx

    path = export(randomize(small()).eval(), tmp_path / "a.onnx", inputs(), noise="input").path
    graph = onnx.load(path)
    (entry,) = [entry for entry in graph.metadata_props if entry.key == INPUTS]
    entry.value = entry.value.replace("mean.0.weight", "mean.9.weight")
    onnx.save(graph, path)
    with pytest.raises(CheckpointError, match="cannot be opened"):
        open_exported(path)
