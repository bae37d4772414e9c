"""Noise as a counter. A statistical check fails for a perfect generator with probability ALARM; keys are constants."""

import math

import pytest
import torch
from scipy import stats

from variate.randomness import Stream, hash_words
from variate.samplers import counter
from variate.testing.findings import FALSE_ALARM, Z

UID = hash_words("parameter", "conv1.weight")
KEY = 7
N = 2**18
LAST = 2 * counter.BLOCK + 3  # elements: a whole block, and a pair and a half of the next


def z_of(values):
    return float(values.mean() / values.std() * math.sqrt(values.numel()))


def correlation_z(a, b):
    return float(torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1]) * math.sqrt(a.numel())


def reference(key, uid, index):
    """One element in Python integers and double precision: SplitMix64 as published, then Box and Muller."""
    mask = 2**64 - 1

    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    first = mix(mix(key + golden & mask) + uid + golden & mask)
    second = mix(((first ^ golden) + key + golden) & mask)
    z = (first + (index // 2) * golden) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 + second) & mask
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
    z ^= z >> 31
    low, high = z & 0xFFFFFFFF, z >> 32 & 0x7FFFFFFF
    angle = (low - 2**32 if low >= 2**31 else low) * math.pi / 2**31
    radius = math.sqrt(-2 * math.log((high + 0.5) / 2**31))
    return radius * (math.cos(angle) if index % 2 == 0 else math.sin(angle))


def test_draws_of_saved_networks_never_change():
    frozen = [1.17676425, -2.27888584, -1.11688983, -0.39106601, -1.58659053, 0.41035798]
    assert counter.normal(KEY, UID, (6,)).tolist() == pytest.approx(frozen, abs=1e-6)
    assert counter.normal(KEY, UID, (LAST,))[-2:].tolist() == pytest.approx([-0.56475115, -1.50911570], abs=1e-6)
    assert counter.normal(2**63 - 1, 2**64 - 1, (2,)).tolist() == pytest.approx([-1.06227911, 0.29143086], abs=1e-6)


@pytest.mark.parametrize(("key", "uid"), [(KEY, UID), (0, 0), (2**63 - 1, 2**64 - 1), (2**62, 1)])
def test_elements_equal_the_reference(key, uid):
    noise = counter.normal(key, uid, (LAST,))
    for index in (0, 1, 2, 3, 1000, LAST - 4, LAST - 3, LAST - 2, LAST - 1):
        assert float(noise[index]) == pytest.approx(reference(key, uid, index), abs=2e-5)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 2 * counter.BLOCK - 1, 2 * counter.BLOCK, 2 * counter.BLOCK + 1])
def test_an_element_depends_on_its_index_only(count):
    longer = counter.normal(KEY, UID, (2 * LAST,))
    assert torch.equal(counter.normal(KEY, UID, (count,)), longer[:count])


@pytest.mark.parametrize("shape", [(), (1,), (24,), (2, 3, 4), (4, 0, 2), (1, 24, 1)])
def test_shape_only_arranges_the_elements(shape):
    noise = counter.normal(KEY, UID, shape)
    assert noise.shape == shape
    assert torch.equal(noise.flatten(), counter.normal(KEY, UID, (math.prod(shape),)))


def test_threads_and_the_global_generator_take_no_part():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one = counter.normal(KEY, UID, (LAST,))
    assert torch.equal(torch.get_rng_state(), state)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        assert torch.equal(one, counter.normal(KEY, UID, (LAST,)))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("key", [0, KEY, *Stream("search", 0).take(2)])
def test_moments_and_distribution(key):
    noise = counter.normal(key, UID, (N,)).double()
    for power, moment in ((1, 0), (2, 1), (3, 0), (4, 3)):
        assert abs(z_of(noise**power - moment)) < Z
    assert stats.kstest(noise.numpy(), "norm").pvalue > FALSE_ALARM
    assert stats.kstest(noise[::2].numpy(), "norm").pvalue > FALSE_ALARM
    tail = int((noise.abs() > 4).sum())
    assert stats.binomtest(tail, N, 2 * stats.norm.sf(4)).pvalue > FALSE_ALARM


@pytest.mark.parametrize("lag", [1, 2, 3, 64, counter.BLOCK, 2 * counter.BLOCK])
def test_elements_are_independent(lag):
    noise = counter.normal(KEY, UID, (N,))
    for one, other in ((noise[:-lag], noise[lag:]), (noise[:-lag] ** 2, noise[lag:] ** 2)):
        assert abs(correlation_z(one, other)) < Z
    pairs = noise.view(-1, 2).double()
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
    one, two = counter.normal(KEY, UID, (N,)), counter.normal(*OTHERS[other], (N,))
    for lag in (0, 1, 2):
        assert abs(correlation_z(one[lag:], two[: N - lag])) < Z
        assert abs(correlation_z(one[lag:] ** 2, two[: N - lag] ** 2)) < Z


def test_the_same_element_over_keys_of_a_stream_is_normal_and_unrelated():
    noise = torch.stack([counter.normal(key, UID, (4,)) for key in Stream("search", 0).take(4000)])  # (S, 4)
    for element in noise.double().T:
        assert stats.kstest(element.numpy(), "norm").pvalue > FALSE_ALARM
        assert abs(correlation_z(element[:-1], element[1:])) < Z


def test_noise_of_different_tensors_never_repeats():
    noise = torch.cat([counter.normal(key, uid, (1000,)) for key in range(10) for uid in range(10)])
    assert len(torch.unique(noise)) > 0.99 * len(noise)  # a 32-bit float takes some values twice


def test_uniform_noise_is_uniform_and_by_row():
    rows = counter.uniform([1, 2, 3], UID, N)
    assert rows.shape == (3, N)
    for row in rows:
        assert stats.kstest(row.numpy(), "uniform").pvalue > FALSE_ALARM
        assert 0 < float(row.min()) < float(row.max()) < 1
    assert abs(correlation_z(rows[0], rows[1])) < Z
    assert torch.equal(counter.uniform([3, 1], UID, 10), rows[[2, 0], :10])


@pytest.mark.parametrize("bits", [0, -1, 2**63 - 1, -(2**63)])
def test_uniform_noise_is_never_0_or_1(bits, monkeypatch):
    monkeypatch.setattr(counter, "_bits", lambda keys, uid, start, count, device: torch.full((1, 2), bits))
    assert bool(((counter.uniform([1], 1, 2) > 0) & (counter.uniform([1], 1, 2) < 1)).all())


@pytest.mark.parametrize("bits", [0, -1, 2**63 - 1, -(2**63)])
def test_normal_noise_is_finite_for_any_bits(bits, monkeypatch):
    monkeypatch.setattr(counter, "_bits", lambda keys, uid, start, count, device: torch.full((1, count), bits))
    assert bool(counter.normal(1, 1, (4,)).isfinite().all())
