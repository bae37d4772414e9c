"""The sampler on a GPU makes what plain torch makes. Where there is Triton and no GPU, its interpreter runs it."""

import math
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate.random.keys import hash_words
from variate.random.noise import counter, gpu, native, threefry
from variate.random.noise.gpu import Table
from variate.random.noise.kinds import KINDS
from variate.random.noise.native import Row
from variate.random.randomize import randomize

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
CUDA, TRITON = torch.cuda.is_available(), find_spec("triton") is not None
DEVICE = "cpu" if INTERPRETED else "cuda"
UID, KEY = hash_words("parameter", "conv1.weight"), 7
FLOATS = [kind for kind in KINDS if kind != "bits"]
SIZES = (1, 31, 32, 33, 70001)
SHARED = [(0, 1), (1, 1), (1, 24), (3, 8), (700, 5), (5000, 1)]  # (inner, groups)

on_gpu = pytest.mark.skipif(INTERPRETED or not CUDA, reason="there is no GPU on this machine")
with_kernel = pytest.mark.skipif(
    not TRITON or not (CUDA or INTERPRETED),
    reason="there is no Triton on this machine" if CUDA else "there is no GPU on this machine",
)


def noise_of(row, key=KEY):
    return threefry.noise(row.kind, key, row.uid, row.count, device=DEVICE)


def inputs(rows, dtype=torch.float32):
    """Means, scales and empty outs."""
    torch.manual_seed(0)
    means = [torch.randn(row.count) for row in rows]
    scales = [torch.randn(row.groups if row.inner else row.count) * 4 - 1 for row in rows]
    return [[tensor.to(DEVICE, dtype) for tensor in side] for side in (means, scales, map(torch.zeros_like, means))]


def expected(operation, row, mean, scale, key=KEY):
    """In steps and double precision."""
    index = torch.arange(row.count, device=DEVICE)
    scale = scale.double()[index // row.inner % row.groups if row.inner else index]
    noise = noise_of(row, key).double()
    if operation == "draw":
        return mean.double() + (F.softplus(scale, threshold=1000) if row.positive else scale) * noise
    return mean.double() * noise * (scale.sigmoid() if row.positive else 1)


def run(operation, rows, means, scales, outs, key=KEY):
    Table(rows).run(operation, key, means, scales, outs)
    return outs


@with_kernel
def test_many_tensors_of_all_kinds_and_sizes_in_one_launch_are_the_noise_of_plain_torch():
    rows = [Row(UID + i, kind, size) for i, size in enumerate(SIZES) for kind in KINDS]
    means, scales, outs = inputs(rows)
    for row, out in zip(rows, run("noise", rows, means, scales, outs), strict=True):
        if row.kind == "bits":
            assert torch.equal(out.view(torch.int32), noise_of(row).view(torch.int32))
        else:
            assert torch.allclose(out, noise_of(row), rtol=0, atol=2e-6), row


@with_kernel
@pytest.mark.parametrize(("key", "uid"), [(0, 0), (1, 16), (2**63 - 1, 2**64 - 1), (2**62, 1), (2**31, 2**32 + 1)])
def test_all_bits_of_key_and_uid_matter(key, uid):
    row = Row(uid, "bits", 100)
    (out,) = run("noise", [row], *inputs([row]), key=key)
    assert torch.equal(out.view(torch.int32), noise_of(row, key).view(torch.int32))


@with_kernel
@pytest.mark.parametrize("operation", ["draw", "gradient"])
def test_draws_and_gradients_equal_those_in_steps(operation):
    rows = [
        Row(UID + i, kind, size, positive, *shared)
        for i, size in enumerate((33, 5000))
        for kind in FLOATS
        for positive in (False, True)
        for shared in SHARED
    ]
    means, scales, outs = inputs(rows)
    run(operation, rows, means, scales, outs)
    for row, mean, scale, out in zip(rows, means, scales, outs, strict=True):
        assert torch.allclose(out.double(), expected(operation, row, mean, scale), rtol=3e-6, atol=1e-5), row


@with_kernel
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("operation", ["draw", "gradient"])
def test_half_precision_is_rounded_once_at_the_end(operation, dtype):
    rows = [Row(UID, "normal", 5000, True), Row(UID + 1, "laplace", 33, True, 4, 9), Row(UID + 2, "uniform", 100)]
    means, scales, outs = inputs(rows, dtype)
    means[2], outs[2] = means[2].float(), outs[2].float()  # a network may keep some of its parameters in float32
    run(operation, rows, means, scales, outs)
    for row, mean, scale, out in zip(rows, means, scales, outs, strict=True):
        unit = torch.finfo(out.dtype).eps * (1 if INTERPRETED else 0.51)  # the interpreter rounds towards zero
        assert torch.allclose(out.double(), expected(operation, row, mean, scale), rtol=max(unit, 3e-6), atol=1e-5)


@with_kernel
def test_tensors_may_begin_anywhere_and_nothing_is_written_beside_them():
    rows = [Row(UID, "normal", 2077, True), Row(UID, "normal", 0), Row(UID + 1, "normal", 45)]
    buffers = [torch.full((3000,), 9.0, device=DEVICE) for _ in rows]
    means, scales, _ = inputs(rows)
    outs = [buffer[3 : 3 + row.count] for buffer, row in zip(buffers, rows, strict=True)]
    run("draw", rows, means, scales, outs)
    for row, buffer, mean, scale, out in zip(rows, buffers, means, scales, outs, strict=True):
        assert torch.allclose(out.double(), expected("draw", row, mean, scale), rtol=3e-6, atol=1e-5)
        assert bool((buffer[:3] == 9).all())
        assert bool((buffer[3 + row.count :] == 9).all())


@with_kernel
def test_softplus_is_right_over_its_whole_range():
    scale = torch.cat([torch.linspace(-85, 100, 4001), torch.linspace(-2, 2, 4001)]).to(DEVICE)
    row = Row(2, "unit", scale.numel(), True)
    zero, out = torch.zeros_like(scale), torch.zeros_like(scale)
    run("draw", [row], [zero], [scale], [out])
    right = F.softplus(scale.double(), threshold=1000)
    assert torch.allclose((out / noise_of(row)).double(), right, rtol=6e-7, atol=0)


@with_kernel
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")  # of the interpreter
def test_what_is_not_finite_stays_so():
    row = Row(UID, "normal", 4, True)
    scale = torch.tensor([math.nan, math.inf, -math.inf, 0.0], device=DEVICE)
    mean, out = torch.tensor([1.0, 1.0, 1.0, math.nan], device=DEVICE), torch.zeros(4, device=DEVICE)
    run("draw", [row], [mean], [scale], [out])
    assert out[:3].tolist() == pytest.approx([math.nan, math.copysign(math.inf, noise_of(row)[1]), 1.0], nan_ok=True)
    assert bool(out[3].isnan())
    run("gradient", [row], [torch.ones_like(mean)], [scale], [out])
    assert bool(out[0].isnan())
    assert float(out[1]) == pytest.approx(float(noise_of(row)[1]), abs=2e-6)
    assert float(out[2]) == pytest.approx(0, abs=1e-6)


@with_kernel
def test_addresses_are_sent_only_when_they_change(monkeypatch):
    sent, ahead = [], gpu._ahead
    monkeypatch.setattr(gpu, "_ahead", lambda *arguments: sent.append(1) or ahead(*arguments))
    rows = [Row(UID, "normal", 40), Row(UID + 1, "normal", 50)]
    table, first, second = Table(rows), inputs(rows), inputs(rows)
    for tensors, count in ((first, 1), (first, 1), (second, 2), (second, 2), (first, 3)):
        table.run("draw", len(sent), *tensors)
        assert len(sent) == count
    for row, mean, scale, out in zip(rows, *first, strict=True):
        assert torch.allclose(out.double(), expected("draw", row, mean, scale, 2), rtol=3e-6, atol=1e-5)


@with_kernel
def test_no_rows_and_other_dtypes():
    Table([]).run("draw", KEY, [], [], [])
    row = Row(UID, "normal", 4)
    with pytest.raises(TypeError, match=r"float64.*the sampler takes float32, bfloat16, float16"):
        run("draw", [row], *inputs([row], torch.float64))


@pytest.mark.skipif(not TRITON, reason="there is no Triton on this machine")
def test_the_kernel_passes_in_tritons_interpreter():
    if INTERPRETED:
        return  # this is the run below
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout


def test_there_is_no_sampler_without_a_gpu_or_when_it_is_turned_off(monkeypatch):
    assert gpu.available() <= CUDA
    monkeypatch.setenv(native.SWITCH, "torch")
    assert not gpu.available()


def test_triton_is_not_loaded_without_need():
    code = (
        "import sys, variate.random.draw.node; from variate.random.noise import gpu; gpu.Table([]); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "variate.random.noise.gpu_kernel" not in done.stdout.split()


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3)).eval()


@on_gpu
def test_the_sampler_works_here():
    assert gpu.available() == TRITON


@on_gpu
@pytest.mark.parametrize("share", ["element", "channel", "tensor", "network"])
@pytest.mark.parametrize("family", ["normal", "uniform", "laplace", "logistic"])
def test_draws_and_gradients_of_a_network_are_those_of_the_cpu(family, share, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    found = []
    x = torch.rand(5, 1, 4, 4)
    for device in ("cpu", "cuda"):
        net = randomize(small(), family, scale=0.3, share=share).to(device)
        with net.fixed(KEY):
            net(x.to(device)).square().sum().backward()
        drawn = net.at(KEY).state_dict()
        found.append([tensor.cpu() for tensor in (*drawn.values(), *(p.grad for p in net.parameters()))])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


@on_gpu
def test_the_draw_of_a_network_equals_the_cpus_to_rounding():
    net = randomize(small(), scale=0.3)
    drawn = {name: tensor.clone() for name, tensor in net.at(KEY).state_dict().items()}
    moved = net.to("cuda").at(KEY).state_dict()
    for name, tensor in drawn.items():
        assert torch.allclose(moved[name].cpu(), tensor, rtol=2e-6, atol=2e-6)


@on_gpu
@with_kernel
def test_other_streams_wait_for_what_a_call_sends():
    rows = [Row(UID, "normal", 100_000, True)]
    table = Table(rows)
    results = []
    for stream in (torch.cuda.Stream(), torch.cuda.current_stream(), torch.cuda.Stream()):
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            means, scales, outs = inputs(rows)
            table.run("draw", KEY, means, scales, outs)
        stream.synchronize()
        results.append(outs[0])
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@on_gpu
def test_noise_made_on_the_gpu_is_that_of_the_cpu():
    for kind in FLOATS:
        one, other = (counter.noise(kind, KEY, UID, (1000,), device=device).cpu() for device in ("cpu", "cuda"))
        assert torch.allclose(one, other, rtol=2e-6, atol=2e-6)
