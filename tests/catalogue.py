"""What can be random: modules by operations, what each operation must do, and the few pairs that torch itself forbids.

``tests/random/test_catalogue.py`` runs every pair. ``python tests/catalogue.py`` prints the page made of the same
tables, ``docs/what-can-be-random.md``.
"""

from __future__ import annotations

import copy
import io
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.testing.slow import slow_forward

KEY = 5
LOOSE = {"rtol": 2e-3, "atol": 2e-4}  # single precision, sums in another order


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.decode = nn.Linear(4, 7)
        self.decode.weight = self.embed.weight

    def forward(self, tokens):
        return self.decode(torch.tanh(self.embed(tokens)))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.same = self.layer

    def forward(self, x):
        return self.same(torch.tanh(self.layer(x)))


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ParameterList([nn.Parameter(torch.randn(4, 4)) for _ in range(3)])
        self.named = nn.ParameterDict({"shift": nn.Parameter(torch.randn(4))})

    def forward(self, x):
        for step in self.steps:
            x = torch.tanh(x @ step)
        return x + self.named["shift"]


class Scalar(nn.Module):
    """A parameter without dimensions, such as a learned temperature."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.temperature = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.layer(x) / self.temperature


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, need_weights=False)[0]


class Pairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Bilinear(4, 4, 3)

    def forward(self, x):
        return self.layer(x, x + 1)


class Logits(nn.Module):
    """A Hugging Face model whose first output is what is looked at; a float input stands for embeddings or pixels."""

    def __init__(self, model, argument):
        super().__init__()
        self.model = model
        self.argument = argument

    def forward(self, x):
        return self.model(**{self.argument: x}, return_dict=False)[0]


def transformer():
    layer = nn.TransformerEncoderLayer(4, 2, dim_feedforward=6, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def bert():
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = BertConfig(vocab_size=11, max_position_embeddings=8, hidden_dropout_prob=0.0, **sizes)
    config.attention_probs_dropout_prob = 0.0
    return Logits(BertForSequenceClassification(config), "input_ids")


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel

    nothing = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    config = GPT2Config(vocab_size=11, n_positions=8, n_embd=8, n_layer=1, n_head=2, use_cache=False, **nothing)
    return Logits(GPT2LMHeadModel(config), "input_ids")


def vit():
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = ViTConfig(image_size=6, patch_size=3, num_channels=2, num_labels=3, **sizes)
    return Logits(ViTForImageClassification(config), "pixel_values")


def timm_network():
    import timm

    return timm.create_model("test_resnet", num_classes=3, in_chans=2)


def seeded(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def tokens():
    return torch.arange(10).view(2, 5) % 7


@dataclass(frozen=True)
class Module:
    """One kind of module.

    Attributes:
        make: the module, freshly initialized.
        inputs: a batch for it.
        needs: a package that it needs, or "".
        forbids: operations that torch itself cannot do to the plain module, with what torch says.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]
    needs: str = ""
    forbids: dict[str, str] = field(default_factory=dict)


def normed(norm, dimensions=2):
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    return lambda: nn.Sequential(convolution(2, 4, 3), norm(), nn.ReLU())


RECURRENT = {
    "vmap": "Batching rule not implemented",
    "torch.compile": "RNN, GRU, or LSTM",
}
FORWARD_AD = {"hessian": "forward AD"}
ONLY_STATE = "only supported through state_dict"
PARAMETRIZED = {"pickle": ONLY_STATE, "torch.save": ONLY_STATE, **FORWARD_AD}
SHARED_MODULE = {"functional_call": "does not require grad"}

rows = lambda: seeded(5, 4)  # noqa: E731
images = lambda: seeded(4, 2, 6, 6)  # noqa: E731
sequences = lambda: seeded(3, 5, 4)  # noqa: E731

MODULES: dict[str, Module] = {
    "Linear": Module(lambda: nn.Linear(4, 3), rows),
    "Bilinear": Module(Pairs, rows),
    "Conv1d": Module(lambda: nn.Conv1d(2, 4, 3, padding=1, groups=2), lambda: seeded(4, 2, 6)),
    "Conv2d": Module(lambda: nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular", groups=2), images),
    "Conv3d": Module(lambda: nn.Conv3d(2, 3, 2, dilation=2), lambda: seeded(3, 2, 4, 4, 4)),
    "ConvTranspose1d": Module(lambda: nn.ConvTranspose1d(2, 3, 3, stride=2), lambda: seeded(4, 2, 6)),
    "ConvTranspose2d": Module(lambda: nn.ConvTranspose2d(2, 3, 3, stride=2), images),
    "ConvTranspose3d": Module(lambda: nn.ConvTranspose3d(2, 3, 2), lambda: seeded(3, 2, 4, 4, 4)),
    "BatchNorm1d": Module(normed(lambda: nn.BatchNorm1d(4), 1), lambda: seeded(4, 2, 6)),
    "BatchNorm2d": Module(normed(lambda: nn.BatchNorm2d(4)), images),
    "BatchNorm3d": Module(normed(lambda: nn.BatchNorm3d(4), 3), lambda: seeded(3, 2, 4, 4, 4)),
    "LayerNorm": Module(lambda: nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), rows),
    "GroupNorm": Module(normed(lambda: nn.GroupNorm(2, 4)), images),
    "InstanceNorm2d": Module(normed(lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True)), images),
    "PReLU": Module(lambda: nn.Sequential(nn.Linear(4, 4), nn.PReLU(4)), rows),
    "Embedding": Module(lambda: nn.Sequential(nn.Embedding(7, 4, padding_idx=0), nn.Linear(4, 2)), tokens),
    "EmbeddingBag": Module(lambda: nn.EmbeddingBag(7, 4), tokens, forbids=FORWARD_AD),
    "RNN": Module(lambda: nn.RNN(4, 3, nonlinearity="relu"), sequences, forbids=RECURRENT),
    "LSTM": Module(lambda: nn.LSTM(4, 3, num_layers=2, bidirectional=True, proj_size=2), sequences, forbids=RECURRENT),
    "GRU": Module(lambda: nn.GRU(4, 3, num_layers=2), sequences, forbids=RECURRENT),
    "LSTM inside": Module(lambda: nn.Sequential(nn.LSTM(4, 3, batch_first=True)), sequences, forbids=RECURRENT),
    "MultiheadAttention": Module(SelfAttention, sequences),
    "TransformerEncoder": Module(transformer, sequences),
    "weight norm (parametrized)": Module(
        lambda: parametrizations.weight_norm(nn.Linear(4, 3)), rows, forbids=PARAMETRIZED
    ),
    "tied weights": Module(Tied, tokens),
    "a module called twice": Module(Twice, rows, forbids=SHARED_MODULE),
    "lists of parameters": Module(Listed, rows),
    "a scalar parameter": Module(Scalar, rows),
    "frozen layers": Module(
        lambda: nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Tanh(), nn.Linear(4, 2)), rows
    ),
    "Hugging Face BERT": Module(bert, tokens, needs="transformers"),
    "Hugging Face GPT-2": Module(gpt2, tokens, needs="transformers"),
    "Hugging Face ViT": Module(vit, images, needs="transformers"),
    "timm ResNet": Module(timm_network, lambda: seeded(2, 2, 32, 32), needs="timm"),
}


def made(name: str, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, RandomNetwork, Tensor]:
    """The plain module, its random network, and inputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = MODULES[name].make().to(dtype)
    x = MODULES[name].inputs()
    return module, randomize(module), x.to(dtype) if x.is_floating_point() else x


def tensors(output: Any) -> list[Tensor]:
    """All tensors of an output that may be nested tuples."""
    return [output] if isinstance(output, Tensor) else [t for part in output for t in tensors(part)]


def close(one: Any, two: Any, **tolerance: float) -> bool:
    pairs = zip(tensors(one), tensors(two), strict=True)
    return all(torch.allclose(a, b, **(tolerance or {"rtol": 1e-9, "atol": 1e-12})) for a, b in pairs)


def equal(one: Any, two: Any) -> bool:
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(two), strict=True))


def loss(output: Any) -> Tensor:
    return sum((t.float() ** 2 * torch.linspace(1, 2, t.numel()).view_as(t)).sum() for t in tensors(output))


def gradients(net: nn.Module, value: Tensor) -> dict[str, Tensor | None]:
    net.zero_grad()
    value.backward()
    return {name: parameter.grad for name, parameter in net.named_parameters()}


def same_gradients(found: dict[str, Tensor | None], expected: dict[str, Tensor | None], **tolerance: float) -> bool:
    return found.keys() == expected.keys() and all(
        (found[name] is None) == (gradient is None)
        and (gradient is None or torch.allclose(found[name], gradient, **(tolerance or {"rtol": 1e-8, "atol": 1e-10})))
        for name, gradient in expected.items()
    )


def drawn(net: RandomNetwork, x: Tensor) -> Any:
    """The output under the one key, without gradients, in eval mode."""
    with torch.no_grad(), net.eval().fixed(KEY):
        return net(x)


class Recomputed(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.recompute = True

    def forward(self, x):
        return checkpoint(self.inner, x, use_reentrant=False) if self.recompute else self.inner(x)


def train_and_eval(name):
    """forward and backward equal the slow twin's, in train and eval mode"""
    for training in (True, False):
        _, net, x = made(name, torch.float64)
        net.train(training)
        with net.fixed(KEY):
            found = gradients(net, loss(net(x)))
        assert same_gradients(found, gradients(net, loss(slow_forward(net, KEY, x))))


def pretrained(name):
    """pretrained weights load under their own names, and a scale of nearly 0 gives the original's outputs"""
    module, _, x = made(name, torch.float64)
    tiny = randomize(module, scale=1e-13).eval()
    with torch.no_grad():
        assert close(tiny(x), module.eval()(x), rtol=1e-8, atol=1e-10)
        for parameter in module.parameters():
            parameter.mul_(1.5).add_(0.1)
    tiny.load_state_dict(module.state_dict())
    assert close(tiny(x), module(x), rtol=1e-8, atol=1e-10)


def plain(name):
    """`mean()`, `at(key)` and `unwrap()` are modules of the original class that load into the original"""
    module, net, x = made(name, torch.float64)
    module.eval()
    expected = {"at": drawn(net, x), "mean": module(x)}
    whole = list(net.parameters())
    found = {"at": net.at(KEY), "mean": net.mean(), "unwrap": copy.deepcopy(net).unwrap()}
    for what, one in found.items():
        assert type(one) is type(module)
        assert one.state_dict().keys() == module.state_dict().keys()
        other = copy.deepcopy(module)
        other.load_state_dict(one.state_dict())
        assert close(other.eval()(x), expected["at" if what == "at" else "mean"])
    means = {id(parameter) for parameter in net.unwrap().parameters()}
    assert means <= {id(parameter) for parameter in whole}


def copied(name):
    """`copy.deepcopy`, also after a forward pass that recorded a graph"""
    _, net, x = made(name)
    net.eval()(x)
    other = copy.deepcopy(net)
    assert {id(p) for p in other.parameters()}.isdisjoint(id(p) for p in net.parameters())
    assert equal(drawn(other, x), drawn(net, x))


def pickled(name):
    """`pickle`, also after a forward pass that recorded a graph"""
    _, net, x = made(name)
    net.eval()(x)
    assert equal(drawn(pickle.loads(pickle.dumps(net)), x), drawn(net, x))


def saved(name):
    """`torch.save` of the whole network, and of its `state_dict` loaded with `weights_only=True`"""
    _, net, x = made(name)
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    assert equal(drawn(torch.load(file, weights_only=False), x), drawn(net, x))
    state_only(name)


def state_only(name):
    """`state_dict` through `torch.save` and `weights_only=True` into another network"""
    _, net, x = made(name)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.1)
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = made(name)[1]
    other.load_state_dict(torch.load(file, weights_only=True))
    assert equal(drawn(other, x), drawn(net, x))


def safetensors(name):
    """safetensors, ties included"""
    from safetensors.torch import load_model, save_model

    _, net, x = made(name)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.1)
    with tempfile.TemporaryDirectory() as folder:
        save_model(net, str(Path(folder) / "net.safetensors"))
        other = made(name)[1]
        load_model(other, str(Path(folder) / "net.safetensors"))
    assert equal(drawn(other, x), drawn(net, x))


def compiled(name):
    """`torch.compile(fullgraph=True)`: a fresh draw at every call, any key without compiling again, gradients"""
    _, net, x = made(name)
    net.eval()
    torch._dynamo.reset()
    graph = torch.compile(net, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert not equal(graph(x), graph(x))
        for key in range(12):  # more than the graphs that torch would compile anew
            with net.fixed(key):
                assert close(graph(x), net(x), **LOOSE)
    with net.fixed(KEY):
        found = gradients(net, loss(graph(x)))
        assert same_gradients(found, gradients(net, loss(net(x))), **LOOSE)


def exported(name):
    """`torch.export`: a fresh draw at every call of the exported program, or the fixed one"""
    _, net, x = made(name)
    net.eval()
    program = torch.export.export(net, (x,)).module()
    with torch.no_grad():
        assert not equal(program(x), program(x))
        with net.fixed(KEY):
            assert close(torch.export.export(net, (x,)).module()(x), net(x), **LOOSE)


def autocast(name):
    """AMP in bfloat16: fresh draws, finite gradients"""
    _, net, x = made(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        one, other = net(x), net(x)
    assert not equal(one, other)
    for parameter, gradient in gradients(net, loss(one)).items():
        assert gradient is None or bool(gradient.isfinite().all()), parameter


def recomputed(name):
    """`torch.utils.checkpoint`: what is computed again in the backward pass sees the same draw"""
    module, _, x = made(name, torch.float64)
    net = randomize(Recomputed(module)).eval()
    found = []
    for net.recompute in (True, False):
        with net.fixed(KEY):
            output = net(x)
        with torch.no_grad():
            net(x)  # another draw in between
        found.append(gradients(net, loss(output)))
    assert same_gradients(*found)


def vmapped(name):
    """`torch.func.vmap` over inputs"""
    _, net, x = made(name)
    many = torch.stack([x, x.flip(0)])
    with torch.no_grad(), net.eval().fixed(KEY):
        found = tensors(torch.func.vmap(net)(many))
        for i, one in enumerate(many):
            assert close([part[i] for part in found], net(one), **LOOSE)


def functional(name):
    """`torch.func.grad` through `functional_call` over means and scales"""
    _, net, x = made(name)
    net.eval()
    parameters = {key: value.detach() for key, value in net.named_parameters()}
    with net.fixed(KEY):
        found = torch.func.grad(lambda p: loss(torch.func.functional_call(net, p, (x,))))(parameters)
        expected = gradients(net, loss(net(x)))
    assert all(g is None or torch.allclose(found[key], g, **LOOSE) for key, g in expected.items())


def hessian(name):
    """`torch.func.hessian` and `jacrev` in a mean; double backward through the draw"""
    _, net, x = made(name, torch.float64)
    net.eval()
    parameters = {key: value.detach() for key, value in net.named_parameters()}
    last = next(site.name for site in reversed(net.sites) if net.get_parameter(site.name).requires_grad)

    def value(p):
        return loss(torch.func.functional_call(net, {**parameters, last: p}, (x,)))

    with net.fixed(KEY):
        slope = torch.func.jacrev(value)(parameters[last])
        curvature = torch.func.hessian(value)(parameters[last])
    parameter = made(name, torch.float64)[1].get_parameter(last)
    _, net, x = made(name, torch.float64)
    parameter = net.eval().get_parameter(last)
    with net.fixed(KEY):
        (first,) = torch.autograd.grad(loss(net(x)), parameter, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), parameter, allow_unused=True)
    assert torch.allclose(slope, first, rtol=1e-4, atol=1e-6)  # the loss itself is in single precision
    rows = curvature.reshape(parameter.numel(), parameter.numel()).sum(0).view_as(parameter)
    assert torch.allclose(rows, torch.zeros_like(rows) if second is None else second, rtol=1e-3, atol=1e-5)


def accumulated(name):
    """gradient accumulation: two backward passes add up"""
    _, net, x = made(name, torch.float64)
    net.eval()
    parts = []
    for key in (1, 2):
        with net.fixed(key):
            parts.append(gradients(net, loss(net(x))))
    net.zero_grad()
    for key in (1, 2):
        with net.fixed(key):
            loss(net(x)).backward()
    total = {n: p.grad for n, p in net.named_parameters()}
    sums = {n: None if parts[0][n] is None else parts[0][n] + parts[1][n] for n in total}
    assert same_gradients(total, sums)


def converted(name):
    """`.to(dtype)`: double and half precision, and the same draw to rounding"""
    _, net, x = made(name)
    single = drawn(net, x)
    double = drawn(net.double(), x.double() if x.is_floating_point() else x)
    assert all(t.dtype == torch.float64 for t in tensors(double))
    assert close([t.float() for t in tensors(double)], single, **LOOSE)
    net.to(torch.bfloat16)
    half = x.to(torch.bfloat16) if x.is_floating_point() else x
    assert not equal(net(half), net(half))
    found = gradients(net, loss(net(half)))
    assert any(gradient is not None for gradient in found.values())


def frozen(name):
    """`requires_grad_(False)` on means or on scales"""
    for part in ("means", "scales"):
        _, net, x = made(name, torch.float64)
        scales = {id(scale) for scale in net.scale_parameters()}
        whole = {n: p.grad for n, p in net.named_parameters()}
        with net.eval().fixed(KEY):
            whole = gradients(net, loss(net(x)))
            left = [p for p in net.parameters() if (id(p) in scales) != (part == "scales")]
            for parameter in net.parameters():
                if all(parameter is not p for p in left):
                    parameter.requires_grad_(False)
            found = gradients(net, loss(net(x)))
        kept = {id(p) for p in left}
        names = [n for n, p in net.named_parameters() if id(p) in kept]
        assert same_gradients({n: found[n] for n in names}, {n: whole[n] for n in names})
        assert all(found[n] is None for n in found if n not in names)


def many(name):
    """`draws(x, keys)` equals the loop over plain modules"""
    _, net, x = made(name)
    keys = [3, 1, 4, 15]
    net.eval()
    with torch.no_grad():
        expected = torch.stack([tensors(net.at(key)(x))[0] for key in keys])
    network = net if isinstance(drawn(net, x), Tensor) else randomize(First(made(name)[0])).eval()
    if network is not net:
        expected = torch.stack([network.at(key)(x) for key in keys])
    assert torch.allclose(network.draws(x, keys), expected, **LOOSE)


class First(nn.Module):
    """The first tensor of a module that returns several."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return tensors(self.inner(x))[0]


OPERATIONS: dict[str, Callable[[str], None]] = {
    "train, eval": train_and_eval,
    "pretrained": pretrained,
    "plain again": plain,
    "deepcopy": copied,
    "pickle": pickled,
    "torch.save": saved,
    "state_dict": state_only,
    "safetensors": safetensors,
    "torch.compile": compiled,
    "torch.export": exported,
    "AMP": autocast,
    "checkpoint": recomputed,
    "vmap": vmapped,
    "functional_call": functional,
    "hessian": hessian,
    "accumulation": accumulated,
    ".to(dtype)": converted,
    "frozen": frozen,
    "draws": many,
}


EXTRAS = (
    "- run a layer under weights that it made (`functional_call`), read `self.parameters()`, call itself;",
    "- compute weights in hooks (old `weight_norm`, `spectral_norm`, pruning), and replace a layer's `forward`;",
    "- return a generator or a closure, which sees the draw; any other object that runs layers later is an error",
    "  outside `with net.drawn():`;",
    "- write into its weights (`max_norm`, `clamp_`, assignment): it is done to the means too;",
    "- checkpoint any part of itself, or be checkpointed as a whole;",
    "- be compiled (`net.compile()`, `torch.compile`), traced by `torch.jit.trace` or the older ONNX exporter: a fresh",
    "  draw at every run. `torch.jit.script` and `torch.fx` are refused, and `make_fx` unless the key is fixed.",
    "",
    "Everything in `with net.drawn():` sees one draw: `net.generate(...)`, `net.encode(x)`, `net.backbone(x)`.",
    "FSDP2 may shard the network as a whole; one that is sharded by layers is refused.",
    "",
    "What is random in a parameter is its family's matter. In one draw, elements are independent, or vary together",
    "within a tensor (`lowrank-normal`, `matrix-normal`). With `modes(count=4)` every parameter of the network is at",
    "the same one of four values, with small noise of its own around it: one index for each draw, also under",
    "`torch.compile` and in exported graphs. All random parameters must have as many modes; `fixed` ones have one",
    "value.",
    "",
    "[Networks people bring](your-own-network.md#networks-people-bring), compiled, quantized, of other types or with",
    "weights in odd places: what becomes of each in `check`, `randomize`, `evaluate`, `train`, `export` and `serve`.",
)


def page() -> str:
    """The page "What can be random", from the tables above."""
    names = list(OPERATIONS)
    head = ["| module | " + " | ".join(names) + " |", "|:--" + "|:-:" * len(names) + "|"]
    body, notes = [], []
    for name, module in MODULES.items():
        cells = ["no" if operation in module.forbids else "yes" for operation in names]
        body.append(f"| {name} | " + " | ".join(cells) + " |")
    said: dict[str, list[str]] = {}
    for name, module in MODULES.items():
        for operation, words in module.forbids.items():
            said.setdefault(f'{operation}: torch says "{words}"', []).append(name)
    notes = [f"- {what} ({', '.join(who)})" for what, who in said.items()]
    forbidding = {name: list(module.forbids) for name, module in MODULES.items() if module.forbids}
    cells, kinds = len(MODULES) * len(names), len(MODULES)
    exceptions = [f"- {name}: no {', no '.join(operations)}" for name, operations in forbidding.items()]
    meaning = [f"- **{name}**: {operation.__doc__}" for name, operation in OPERATIONS.items()]
    return "\n".join(
        [
            "# What can be random",
            "",
            "Every parameter of every PyTorch module can be random: weights, biases, affine parameters of norms,",
            "embeddings, recurrent and attention weights.",
            "",
            f"The table below asks {len(names)} things of {kinds} kinds of modules, and the answer is yes in",
            f"{cells - sum(map(len, forbidding.values()))} of {cells} cells. The exceptions are what torch itself",
            "cannot do with the plain module:",
            "",
            *exceptions,
            "",
            "## Every cell",
            "",
            "Every cell is a test (`tests/random/test_catalogue.py`); `python tests/catalogue.py` prints this page.",
            "",
            *head,
            *body,
            "",
            "What each column means:",
            "",
            *meaning,
            "- **DDP**: two gloo processes average their gradients as one process would (one test, all modules above).",
            "",
            "Where it says no, torch cannot do it with the plain module either; a test checks this:",
            "",
            *notes,
            "",
            "`variate check module:callable` reports everything that cannot be random at once: parameters that are",
            "integer, complex, sparse, on the meta device, wrapped by a tensor subclass or not initialized yet (lazy",
            "modules: run one forward pass first); two parameters that overlap without being the same object;",
            "TorchScript; parameters and modules in plain lists and dictionaries; quantized modules.",
            "",
            "`variate.check(module, x)` also measures, with a few real inputs: parameters whose draw does not reach",
            "the outputs (unused, cached, detached from them), random numbers that are not ours (with the module that",
            "draws them), writes of a forward into its own weights, and answers that depend on the rest of the batch.",
            "",
            "What a forward may do (`tests/random/test_draw_in_place.py`, `test_copies.py`, `test_tracers.py`):",
            "",
            *EXTRAS,
        ]
    )


if __name__ == "__main__":
    print(page())  # noqa: T201
