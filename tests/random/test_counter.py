"""Noise as a counter. A statistical check fails for a perfect generator with probability ALARM; keys are constants."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from scipy import stats

from variate.random.keys import Stream, hash_words
from variate.random.noise import counter, native, threefry
from variate.random.noise.kinds import KINDS
from variate.testing.findings import FALSE_ALARM, Z

UID = hash_words("parameter", "conv1.weight")
KEY = 7
N = 2**18
LAST = threefry.AT_ONCE + 45  # elements: a piece of the torch path, and a block and a half of the next
MASK = 2**32 - 1
compiled = pytest.mark.skipif(not native.available(), reason="the package was built without a C compiler")


def normal(key, uid, shape):
    return counter.noise("normal", key, uid, shape)


def z_of(values):
    return float(values.mean() / values.std() * math.sqrt(values.numel()))


def correlation_z(a, b):
    return float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1]) * math.sqrt(a.numel())


def threefry2x32(key, pair, rounds):
    """Threefry-2x32 as published (Salmon et al. 2011), in Python integers."""
    keys = (*key, 0x1BD11BDA ^ key[0] ^ key[1])
    a, b = (pair[0] + keys[0]) & MASK, (pair[1] + keys[1]) & MASK
    for number in range(rounds):
        by = (13, 15, 26, 6, 17, 29, 16, 24)[number % 8]
        a = (a + b) & MASK
        b = ((b << by | b >> (32 - by)) & MASK) ^ a
        if number % 4 == 3:
            turn = number // 4 + 1
            a, b = (a + keys[turn % 3]) & MASK, (b + keys[(turn + 1) % 3] + turn) & MASK
    return a, b


@pytest.mark.parametrize(
    ("key", "pair", "expected"),
    [  # the known answers of Random123's kat_vectors, threefry2x32 with 20 rounds
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((MASK, MASK), (MASK, MASK), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_the_reference_gives_the_published_answers(key, pair, expected):
    assert threefry2x32(key, pair, 20) == expected


def words(key, uid, index):
    """The word of one element in Python integers."""
    mask = 2**64 - 1

    def mix(z):
        z = (z + 0x9E3779B97F4A7C15) & mask
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    first = mix((mix(key) + uid) & mask)
    second = mix(((first ^ 0x9E3779B97F4A7C15) + key) & mask)
    block, lane = divmod(index, 32)
    pair = threefry2x32((first & MASK, first >> 32), (16 * block + lane % 16, second & MASK), 13)
    return pair, pair[lane // 16]


@pytest.mark.parametrize(("key", "uid"), [(KEY, UID), (0, 0), (2**63 - 1, 2**64 - 1), (2**62, 1)])
@pytest.mark.parametrize("path", [counter.noise, lambda kind, key, uid, shape: threefry.noise(kind, key, uid, *shape)])
def test_the_words_equal_the_reference(path, key, uid):
    found = path("bits", key, uid, (LAST,)).view(torch.int32)
    for index in (0, 1, 15, 16, 31, 32, 1000, LAST - 14, LAST - 2, LAST - 1):
        assert int(found[index]) % 2**32 == words(key, uid, index)[1], index


def test_normals_equal_the_reference():
    noise = normal(KEY, UID, (LAST,))
    for index in (0, 15, 16, 31, 32, 777, LAST - 1):
        (a, b), _ = words(KEY, UID, index)
        radius = math.sqrt(-2 * math.log(((a >> 1) | 1) / 2**31))
        angle = (b - 2**32 if b >= 2**31 else b) * math.pi / 2**31
        expected = radius * (math.cos(angle) if index % 32 < 16 else math.sin(angle))
        assert float(noise[index]) == pytest.approx(expected, abs=2e-6)


FROZEN = {
    "normal": [-1.2817073, -0.27968, 0.5613449, -0.8618768],
    "uniform": [1.292721, 1.5601012, -0.710037, 1.116594],
    "laplace": [0.2068688, 0.0739318, -0.3730209, 0.3104362],
    "logistic": [-0.2859266, -0.1098282, 0.7473351, -0.4096766],
    "unit": [0.3731765, 0.4503625, 0.7950299, 0.3223329],
}


@pytest.mark.parametrize("kind", FROZEN)
def test_draws_of_saved_networks_never_change(kind):
    assert counter.noise(kind, KEY, UID, (4,)).tolist() == pytest.approx(FROZEN[kind], abs=2e-6)


@compiled
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lanes", [4, 8, 16])
def test_every_width_and_plain_torch_make_the_same_noise(kind, lanes, monkeypatch):
    if lanes > native._load().variate_lanes():
        pytest.skip(f"this processor has no registers of {32 * lanes} bits")
    made = torch.empty(LAST)
    table = native.Table([native.Row(UID, kind, LAST)])
    library, _, parallel = native._library()
    monkeypatch.setattr(native, "_library", lambda: (library, lanes, parallel))
    table.run("noise", KEY, [made], [made], [made])
    plain = threefry.noise(kind, KEY, UID, LAST)
    if kind == "bits":
        assert torch.equal(made.view(torch.int32), plain.view(torch.int32))
    else:
        assert torch.allclose(made, plain, rtol=2e-6, atol=1e-6)


@compiled
@pytest.mark.parametrize("bits", [0, 1, 2, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bits"])
def test_noise_is_finite_and_in_its_range_for_any_word(kind, bits):
    word = torch.tensor([[bits]], dtype=torch.int64).to(torch.int32)
    for a in (word, torch.tensor([[12345]], dtype=torch.int32)):
        made = threefry._transform(kind, a, word, 32)
        assert bool(made.isfinite().all())
        if kind == "unit":
            assert bool(((made > 0) & (made < 1)).all())


@compiled
@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("kind", ["normal", "uniform", "laplace", "logistic"])
def test_draws_and_gradients_in_one_pass_equal_those_in_steps(kind, positive, size):
    mean, scale, out = torch.randn(size), torch.randn(size) * 5 - 2, torch.empty(size)
    table = native.Table([native.Row(UID, kind, size, positive)])
    noise = counter.noise(kind, KEY, UID, (size,)).double()
    s = torch.nn.functional.softplus(scale.double()) if positive else scale.double()
    table.run("draw", KEY, [mean], [scale], [out])
    assert torch.allclose(out.double(), mean + s * noise, rtol=1e-6, atol=1e-6)
    table.run("gradient", KEY, [mean], [scale], [out])
    slope = scale.double().sigmoid() if positive else 1.0
    assert torch.allclose(out.double(), mean * noise * slope, rtol=1e-5, atol=1e-7)


@compiled
def test_softplus_is_right_over_its_whole_range():
    scale = torch.cat([torch.linspace(-100, 100, 4001), torch.linspace(-2, 2, 4001)])
    zero, out, noise = torch.zeros_like(scale), torch.empty_like(scale), counter.noise("unit", 1, 2, scale.shape)
    native.Table([native.Row(2, "unit", scale.numel(), True)]).run("draw", 1, [zero], [scale], [out])
    expected = torch.nn.functional.softplus(scale.double(), threshold=1000)
    normal_numbers = expected > 1e-37
    assert torch.allclose((out / noise).double()[normal_numbers], expected[normal_numbers], rtol=5e-7, atol=0)


@compiled
@pytest.mark.parametrize(("inner", "groups"), [(1, 1), (1, 24), (3, 8), (100, 5), (7, 2)])
def test_scales_that_elements_share(inner, groups):
    mean, scale, out = torch.randn(1000), torch.rand(groups), torch.empty(1000)
    native.Table([native.Row(UID, "normal", 1000, False, inner, groups)]).run("draw", KEY, [mean], [scale], [out])
    own = scale[torch.arange(1000) // inner % groups]
    assert torch.allclose(out, mean + own * normal(KEY, UID, (1000,)), atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, threefry.AT_ONCE - 1, threefry.AT_ONCE + 1])
def test_an_element_depends_on_its_index_only(count):
    longer = normal(KEY, UID, (2 * LAST,))
    assert torch.equal(normal(KEY, UID, (count,)), longer[:count])
    assert torch.equal(threefry.noise("normal", KEY, UID, count), threefry.noise("normal", KEY, UID, 2 * LAST)[:count])


@pytest.mark.parametrize("shape", [(), (1,), (24,), (2, 3, 4), (4, 0, 2), (1, 24, 1)])
def test_shape_only_arranges_the_elements(shape):
    noise = normal(KEY, UID, shape)
    assert noise.shape == shape
    assert torch.equal(noise.flatten(), normal(KEY, UID, (math.prod(shape),)))


def test_threads_and_the_global_generator_take_no_part():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one = normal(KEY, UID, (N,))
    assert torch.equal(torch.get_rng_state(), state)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert torch.equal(one, normal(KEY, UID, (N,)))
    finally:
        torch.set_num_threads(threads)


def test_the_compiled_sampler_can_be_turned_off():
    code = (
        "from variate.random.noise import counter, native\n"
        f"print(native.describe()); print(counter.noise('normal', {KEY}, {UID}, (5,)).tolist())"
    )
    environment = {**os.environ, native.SWITCH: "torch"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    said, noise = done.stdout.splitlines()
    assert said.startswith("plain torch (VARIATE_SAMPLER=torch)")
    assert eval(noise) == pytest.approx(normal(KEY, UID, (5,)).tolist(), abs=1e-6)


@compiled
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells what is mapped where")
def test_the_compiled_sampler_uses_torchs_own_threads():
    address = native._parallel().value
    for line in Path("/proc/self/maps").read_text().splitlines():
        first, last = (int(end, 16) for end in line.split()[0].split("-"))
        if first <= address < last:
            assert str(Path(torch.__file__).parent) in line


@pytest.mark.parametrize("key", [0, KEY, *Stream("search", 0).take(2)])
def test_moments_and_distribution(key):
    noise = normal(key, UID, (N,)).double()
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert abs(z_of(noise**power - moment)) < Z
    assert stats.kstest(noise.numpy(), "norm").pvalue > FALSE_ALARM
    assert stats.kstest(noise[::2].numpy(), "norm").pvalue > FALSE_ALARM
    tail = int((noise.abs() > 4).sum())
    assert stats.binomtest(tail, N, 2 * stats.norm.sf(4)).pvalue > FALSE_ALARM


@pytest.mark.parametrize("lag", [1, 2, 3, 16, 32, 64, 2**14])
def test_elements_are_independent(lag):
    noise = normal(KEY, UID, (N,))
    for one, other in ((noise[:-lag], noise[lag:]), (noise[:-lag] ** 2, noise[lag:] ** 2)):
        assert abs(correlation_z(one, other)) < Z
    pairs = noise.view(-1, 2, 16).transpose(1, 2).reshape(-1, 2).double()  # the two elements of one Box-Muller pair
    assert abs(correlation_z(pairs[:, 0], pairs[:, 1])) < Z
    assert abs(correlation_z(pairs[:, 0] ** 2, pairs[:, 1] ** 2)) < Z


OTHERS = {
    "next key": (KEY + 1, UID),
    "next uid": (KEY, UID + 1),
    "key with another high bit": (KEY + 2**62, UID),
    "uid with another high bit": (KEY, UID ^ 2**63),
    "exchanged": (UID % 2**63, KEY),
    "key up, uid down": (KEY + 1, UID - 1),
}


@pytest.mark.parametrize("other", OTHERS)
def test_keys_and_uids_are_independent(other):
    one, two = normal(KEY, UID, (N,)), normal(*OTHERS[other], (N,))
    for lag in (0, 1, 2):
        assert abs(correlation_z(one[lag:], two[: N - lag])) < Z
        assert abs(correlation_z(one[lag:] ** 2, two[: N - lag] ** 2)) < Z


def test_the_same_element_over_keys_of_a_stream_is_normal_and_unrelated():
    noise = torch.stack([normal(key, UID, (4,)) for key in Stream("search", 0).take(4000)])  # (S, 4)
    for element in noise.double().T:
        assert stats.kstest(element.numpy(), "norm").pvalue > FALSE_ALARM
        assert abs(correlation_z(element[:-1], element[1:])) < Z


def test_noise_of_different_tensors_never_repeats():
    noise = torch.cat([normal(key, uid, (1000,)) for key in range(10) for uid in range(10)])
    assert len(torch.unique(noise)) > 0.99 * len(noise)  # a 32-bit float takes some values twice


def test_uniform_noise_is_uniform_and_by_row():
    rows = counter.rows("unit", [1, 2, 3], UID, N)
    assert rows.shape == (3, N)
    for row in rows:
        assert stats.kstest(row.numpy(), "uniform").pvalue > FALSE_ALARM
        assert 0 < float(row.min()) < float(row.max()) < 1
    assert abs(correlation_z(rows[0], rows[1])) < Z
    assert torch.equal(counter.rows("unit", [3, 1], UID, 10), rows[[2, 0], :10])
