"""Exported graphs: random where the network is, alike in distribution, equal where nothing is drawn."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import variate
from variate import registry
from variate.errors import CheckpointError, ExportError, UsageError
from variate.oracle.averaging import FreshAverage
from variate.random.average import mean_log_probabilities
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.random.seeding import outputs_under
from variate.registry import get
from variate.serving.exporting import ENDINGS, export
from variate.serving.onnx_graph import RANDOM_OPERATIONS
from variate.serving.opening import open_exported
from variate.training.defense import defended

pytest.importorskip("onnxruntime", reason="needs variate[onnx]")
FAMILIES = [name for name, entry in registry.entries("families").items() if entry.facts["random"]]
CALLS = 600
Z = 5.5  # about 500 comparisons below, each wrong by chance in 4e-8


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).eval()


def inputs(batch=2, features=5):
    return torch.rand(batch, features, generator=torch.Generator().manual_seed(1))


def images():
    return torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def lenet(defense="deterministic"):
    torch.manual_seed(0)
    module = get("networks", "lenet").load()((1, 8, 8), 10, mean=[0.5], std=[0.5])
    return defended(defense, module)[0].eval()


def path_of(folder, form):
    return folder / f"network{ENDINGS[form]}"


def moments(outputs):
    """First and second moments of every call's outputs, with all products: (S, D + D^2)."""
    flat = outputs.flatten(1).double()  # (S, D)
    return torch.cat([flat, (flat[:, :, None] * flat[:, None, :]).flatten(1)], 1)


def furthest(one, other):
    """The largest z-score between the moments of two samples of calls."""
    center = one.mean(0)
    one, other = moments(one - center), moments(other - center)
    error = (one.var(0) / len(one) + other.var(0) / len(other)).sqrt()
    return float(((one.mean(0) - other.mean(0)).abs() / error.clamp_min(1e-12)).max())


def called(run, x, calls=CALLS):
    return torch.stack([run(x) for _ in range(calls)])


def of_keys(net, x, count=CALLS):
    return outputs_under(net, x, Stream("user", 3).take(count))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("form", ENDINGS)
def test_every_family_draws_inside_the_graph_as_it_does_outside(form, family, tmp_path):
    net, x = randomize(small(), family, scale=0.4).eval(), inputs()
    written = export(net, path_of(tmp_path, form), x, format=form)
    assert (written.random, written.draws, written.batch) == (True, 1, None)
    run = open_exported(written.path)
    assert not torch.equal(run(x), run(x))
    assert run(inputs(7)).shape == (7, 3)
    calls = CALLS if form == "onnx" else 250
    assert furthest(of_keys(net, x), called(run, x, calls)) < Z


def test_a_wrong_scale_would_be_seen(tmp_path):
    x = inputs()
    written = export(randomize(small(), scale=0.4).eval(), tmp_path / "a.onnx", x)
    other = randomize(small(), scale=0.6).eval()
    assert furthest(of_keys(other, x), called(open_exported(written.path), x)) > Z


@pytest.mark.parametrize("defense", ["dropout", "learn2perturb", "pni", "rse", "smoothing", "wca"])
def test_other_random_defenses_are_exported_with_their_noise(defense, tmp_path):
    net, x = lenet(defense), images()
    run = open_exported(export(net, tmp_path / "a.onnx", x).path)
    assert furthest(of_keys(net, x)[..., :3], called(run, x)[..., :3]) < Z


@pytest.mark.parametrize("form", ENDINGS)
def test_a_deterministic_network_and_the_fixed_twins_agree_to_rounding(form, tmp_path):
    net, x = randomize(small(), scale=0.4).eval(), inputs()
    for module, options, twin in (
        (small(), {}, small()),
        (nn.Sequential(nn.Dropout(0.5), small()).eval(), {}, small()),
        (net, {"mean": True}, net.mean()),
        (net, {"key": 7}, net.at(7)),
        (nn.Sequential(nn.Flatten(), net), {"mean": True}, net.mean()),
        (nn.Sequential(nn.Flatten(), net), {"key": 7}, net.at(7)),
    ):
        written = export(module, path_of(tmp_path, form), x, format=form, **options)
        run = open_exported(written.path)
        assert not written.random
        assert torch.equal(run(x), run(x))
        assert torch.allclose(run(x), twin(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", ENDINGS)
def test_one_call_can_average_several_fresh_draws(form, tmp_path):
    net, x = randomize(small(), scale=0.5).eval(), inputs()
    written = export(net, path_of(tmp_path, form), x, format=form, draws=3)
    assert written.draws == 3
    logits = of_keys(net, x, 3 * CALLS).view(CALLS, 3, 2, 3)
    expected = torch.stack([mean_log_probabilities(each) for each in logits])
    found = called(open_exported(written.path), x, 250)
    assert furthest(expected, found) < Z
    assert furthest(of_keys(net, x).log_softmax(-1), found) > Z  # a single draw is not the mean of three
    assert torch.allclose(found.exp().sum(-1), torch.ones(()))


def test_the_mean_of_draws_draws_afresh():
    net, x = randomize(small(), scale=0.5).eval(), inputs()
    with torch.no_grad():
        assert not torch.equal(FreshAverage(net, 2)(x), FreshAverage(net, 2)(x))


def test_sessions_replay_one_another_unless_they_are_opened_with_entropy(tmp_path):
    """What onnxruntime does by itself, which the documents tell of; and what `open_exported` does about it."""
    import onnxruntime

    x = inputs()
    path = export(randomize(small()).eval(), tmp_path / "a.onnx", x).path
    onnxruntime.set_seed(1)
    plain = [onnxruntime.InferenceSession(path).run(None, {"x": x.numpy()})[0] for _ in range(2)]
    assert np.array_equal(*plain)
    assert not torch.equal(open_exported(path)(x), open_exported(path)(x))


class Weights(nn.Module):
    """Answers with its weights, so that the draw can be seen."""

    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Parameter(torch.ones(8)), nn.Parameter(torch.ones(8))

    def forward(self, x):
        return (torch.cat([self.one, self.other]) + 0 * x.sum()).expand(len(x), 16)


def test_the_tensors_of_a_first_call_are_independent_of_one_another(tmp_path):
    """Over sessions: two tensors of one session have correlations up to 0.6 in its very first call."""
    net = randomize(Weights()).eval()
    path = export(net, tmp_path / "a.onnx", inputs()).path
    drawn = torch.stack([open_exported(path)(inputs())[0] for _ in range(400)])
    correlations = torch.corrcoef(drawn.T)[:8, 8:]
    assert float(correlations.abs().max()) < Z / 400**0.5


@pytest.mark.parametrize("form", ENDINGS)
def test_what_is_exported_is_left_as_it_was(form, tmp_path):
    net, x = randomize(small()).train(), inputs()
    tensors = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    state, index = torch.get_rng_state(), net.stream.index
    run = open_exported(export(net, path_of(tmp_path, form), x, format=form).path)
    run(x)
    assert torch.equal(state, torch.get_rng_state())
    assert net.training
    assert net.stream.index == index
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in net.state_dict().items())


def test_the_file_says_what_it_is(tmp_path):
    import onnx

    export(randomize(small()).eval(), tmp_path / "a.onnx", inputs(), draws=2)
    graph = onnx.load(tmp_path / "a.onnx")
    facts = {entry.key: entry.value for entry in graph.metadata_props}
    assert facts["variate"] == variate.__version__
    assert (facts["variate.random"], facts["variate.draws"]) == ("true", "2")
    drawn = [node for node in graph.graph.node if node.op_type in RANDOM_OPERATIONS]
    assert len(drawn) == 2 * 4  # two draws of four tensors
    assert not [attribute for node in drawn for attribute in node.attribute if attribute.name == "seed"]


class Elsewhere(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        return self.layer(x) + float(np.random.default_rng().random())


class Lucky(nn.Module):
    """Random, but in a way that the exporter takes for a constant."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x):
        noise = 0.0 if torch.compiler.is_compiling() else torch.rand(())
        return self.layer(x) + noise


class Masked(nn.Module):
    """Draws a mask of constant rate, which the exporter by itself would keep for ever."""

    def __init__(self, mask):
        super().__init__()
        self.one, self.other, self.mask = nn.Linear(5, 6), nn.Linear(6, 3), mask

    def forward(self, x):
        return self.other(self.mask(torch.tanh(self.one(x))))


MASKS = {
    "of a constant rate": lambda h: h * torch.bernoulli(torch.full((6,), 0.3)),
    "by its own method": lambda h: h * torch.zeros(6).bernoulli(0.3),
    "of the features": lambda h: h * torch.bernoulli(h.abs()),
    "by dropout": lambda h: torch.nn.functional.dropout(h, 0.4, training=True),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("random", [False, True])
def test_masks_are_not_folded_into_constants(random, name, tmp_path):
    torch.manual_seed(0)
    net, x = Masked(MASKS[name]).eval(), inputs()
    net = randomize(net, scale=0.1).eval() if random else net
    run = open_exported(export(net, tmp_path / "a.onnx", x).path)
    assert furthest(of_keys(net, x, 1500), called(run, x, 1500)) < Z


def test_an_operation_that_the_exporter_keeps_as_a_constant_is_an_error(tmp_path, monkeypatch):
    """Two calls differ by the weights alone, and still the mask would be frozen."""
    monkeypatch.setattr("variate.serving.onnx_graph._coin", lambda rate, generator=None: torch.ones_like(rate))
    net = randomize(Masked(MASKS["of a constant rate"])).eval()
    with pytest.raises(ExportError, match="the others would be constants"):
        export(net, tmp_path / "a.onnx", inputs())


class Sequence(nn.Module):
    """A layer that could drop values in training, and the mean of what it makes of a sequence."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(8, 3)

    def forward(self, x):
        found = self.layer(x)
        return self.head((found[0] if isinstance(found, tuple) else found).mean(1))


SEQUENCES = {
    "LSTM": lambda: nn.LSTM(8, 4, num_layers=2, dropout=0.5, bidirectional=True, batch_first=True),
    "GRU": lambda: nn.GRU(8, 8, batch_first=True),
    "attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5, batch_first=True),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_what_could_drop_values_in_training_is_exported_as_it_answers(name, tmp_path):
    torch.manual_seed(0)
    net, x = Sequence(SEQUENCES[name]()).eval(), torch.rand(2, 5, 8)
    exported = export(net, tmp_path / "a.onnx", x)
    assert not exported.random
    torch.testing.assert_close(open_exported(exported.path)(x), net(x).detach(), rtol=1e-4, atol=1e-5)


def test_a_recurrence_whose_weights_are_random_draws_inside_the_graph(tmp_path):
    torch.manual_seed(0)
    net, x = randomize(Sequence(nn.LSTM(8, 8, batch_first=True)), scale=0.1).eval(), torch.rand(2, 5, 8)
    run = open_exported(export(net, tmp_path / "a.onnx", x).path)
    assert furthest(of_keys(net, x), called(run, x)) < Z


FAILURES = {
    "no format": (small, {"format": "tflite"}, UsageError, "no format 'tflite'"),
    "two twins": (lambda: randomize(small()), {"mean": True, "key": 1}, UsageError, "exclude one another"),
    "no key": (lambda: randomize(small()), {"key": -1}, UsageError, "not a key"),
    "no draws": (lambda: randomize(small()), {"draws": 0}, UsageError, "draws is 0"),
    "draws of one": (small, {"draws": 2}, UsageError, "are all the same"),
    "noise elsewhere": (Elsewhere, {}, ExportError, "outside torch"),
    "noise elsewhere too": (lambda: randomize(Elsewhere()), {}, ExportError, "outside torch"),
    "noise that gets lost": (Lucky, {}, ExportError, "deterministic, but the network is not"),
    "an average": (lambda: randomize(small()).average([1, 2]), {}, ExportError, "average over fixed keys"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_cannot_be_exported_is_told(name, tmp_path):
    make, options, error, words = FAILURES[name]
    with pytest.raises(error, match=words):
        export(make().eval(), tmp_path / "a.onnx", inputs(), **options)
    assert not (tmp_path / "a.onnx").exists()


def test_the_ending_must_be_that_of_the_format(tmp_path):
    with pytest.raises(UsageError, match=r"does not end in \.pt2"):
        export(small(), tmp_path / "a.onnx", inputs(), format="torch-export")


@pytest.mark.parametrize(
    ("defense", "options", "words"),
    [
        ("sap", {}, "searchsorted"),
        ("ensemble", {}, "data-dependent"),
        ("ensemble", {"format": "torch-export"}, "data-dependent"),
        ("random-resize", {}, "data-dependent"),
        ("rse", {"mean": True}, "has random layers"),
        ("rse", {"key": 3}, "has random layers"),
    ],
)
def test_defenses_that_the_exporter_cannot_take_say_why(defense, options, words, tmp_path, capfd):
    with pytest.raises(ExportError, match=words):
        export(lenet(defense), path_of(tmp_path, options.get("format", "onnx")), images(), **options)
    assert capfd.readouterr() == ("", "")  # not the exporter's dump of its graph


def test_what_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(UsageError, match="not an exported network"):
        open_exported(tmp_path / "a.bin")
    with pytest.raises(CheckpointError, match="no file"):
        open_exported(tmp_path / "a.onnx")
    for name in ("b.onnx", "b.pt2"):
        (tmp_path / name).write_bytes(b"nonsense")
        with pytest.raises(CheckpointError, match=r"cannot (be opened|read)"):
            open_exported(tmp_path / name)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a"
    words = ["train", "--data", "digits", "--network", "mlp", "--defense", "random", "--epochs", "3", "--quiet"]
    done = command(*words, "--out", folder)
    assert done.exit_code == 0, done.output
    return folder


def command(*words):
    from variate.cli.main import app

    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("form", ENDINGS)
def test_the_command_writes_a_network_as_accurate_as_the_trained_one(form, trained, tmp_path):
    path = path_of(tmp_path, form)
    done = command("export", trained, "--format", form, "--out", path, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "path": str(path),
        "format": form,
        "random": True,
        "draws": 1,
        "noise": "graph",
        "batch": None,
    }
    x, y = get("datasets", "digits").load()("test")
    x, y = x[:200], y[:200]
    run, net = open_exported(path), variate.load(trained)
    here = (of_keys(net, x, 100).argmax(-1) == y).double().mean(1)  # (S,)
    there = (called(run, x, 100).argmax(-1) == y).double().mean(1)
    assert float(here.mean()) > 0.5
    error = float((here.var() / len(here) + there.var() / len(there)).sqrt())
    assert abs(float(here.mean() - there.mean())) < Z * error


def test_the_command_writes_the_twins_too(trained, tmp_path):
    net, x = variate.load(trained), images()
    for words, twin in ((["--mean"], net.mean()), (["--key", "3"], net.at(3))):
        done = command("export", trained, "--out", tmp_path / "t.onnx", *words)
        assert done.exit_code == 0, done.output
        assert "deterministic" in done.stdout
        assert torch.allclose(open_exported(tmp_path / "t.onnx")(x), twin(x), rtol=1e-3, atol=1e-4)
    done = command("export", trained, "--out", tmp_path / "t.onnx", "--mean", "--key", "3")
    assert done.exit_code == 2


def test_the_command_writes_a_graph_that_takes_its_draw(trained, tmp_path):
    done = command("export", trained, "--noise", "input", "--out", tmp_path / "a.onnx", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["noise"] == "input"
    run, x = open_exported(tmp_path / "a.onnx"), images()
    assert torch.allclose(run.at(3, x), variate.load(trained).at(3)(x), rtol=1e-3, atol=1e-4)
    done = command("export", trained, "--noise", "input", "--mean", "--out", tmp_path / "b.onnx")
    assert done.exit_code == 2
    assert "mean and key leave no noise" in done.output
