import subprocess
import sys
from itertools import combinations

import pytest

from variate.errors import UsageError
from variate.random.keys import (
    COUNTER_BITS,
    KEY_BITS,
    LEGACY_COUNTER_BITS,
    LEGACY_SEED_BITS,
    STREAMS,
    STRIDE,
    Stream,
    check_key,
    check_keys,
    hash_words,
    legacy_seed,
    stream_of,
)

SEEDS = (0, 1, 2**40, -3)


@pytest.mark.filterwarnings("ignore:a network that serves")
def test_streams_are_disjoint_because_the_name_is_in_the_key():
    for name in STREAMS:
        for seed in SEEDS:
            keys = Stream(name, seed).take(50) + Stream(name, seed, index=2**50).take(50)
            assert {stream_of(key) for key in keys} == {name}
            assert {key >> COUNTER_BITS for key in keys} == {STREAMS.index(name)}
            assert all(0 <= key < 2**KEY_BITS for key in keys)


@pytest.mark.filterwarnings("ignore:a network that serves")
def test_legacy_seeds_of_two_streams_are_disjoint_and_fit_torch():
    tops = []
    for name in STREAMS:
        seeds = [legacy_seed(key) for seed in SEEDS for key in Stream(name, seed).take(50)]
        assert all(0 <= seed < 2**LEGACY_SEED_BITS for seed in seeds)
        tops.append({seed >> LEGACY_COUNTER_BITS for seed in seeds})
    assert all(one.isdisjoint(other) for one, other in combinations(tops, 2))


def test_no_key_and_no_legacy_seed_repeats_in_a_stream():
    assert STRIDE % 2 == 1  # index * STRIDE is then a permutation modulo every power of two
    keys = Stream("search", 0).take(100_000)
    assert len(set(keys)) == len(keys)
    assert len({legacy_seed(key) for key in keys}) == len(keys)


def test_a_stream_is_a_function_of_name_seed_and_index():
    keys = Stream("train", 5).take(20)
    one = Stream("train", 5)
    assert [one.next() for _ in range(20)] == keys
    assert Stream("train", 5, index=7).take(13) == keys[7:]
    assert Stream("train", 6).take(20) != keys
    assert one.index == 20


def test_keys_of_saved_runs_never_change():
    assert Stream("search", 0).take(2) == [211259184090648381, 183735632315701690]
    assert Stream("verdict", 7).take(2) == [249917300492728483, 222393748717781792]
    assert hash_words("parameter", "conv1.weight") == 980804115928379835


def test_without_a_seed_the_operating_system_decides():
    assert Stream("serve").take(4) != Stream("serve").take(4)
    assert "entropy" in repr(Stream("serve"))
    assert "seed 3" in repr(Stream("user", 3))


def test_hashes_do_not_depend_on_the_process():
    code = "from variate.random.keys import hash_words; print(hash_words('a', 1))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == hash_words("a", 1)
    assert hash_words("a", "b") != hash_words("ab")


@pytest.mark.parametrize("key", [-1, 2**KEY_BITS, 1.0, True, "1", None])
def test_what_is_not_a_key(key):
    with pytest.raises(UsageError, match="is not a key"):
        check_key(key)


@pytest.mark.parametrize("keys", [[], [1, 1], [1, 2, 1]])
def test_averages_need_different_keys(keys):
    with pytest.raises(UsageError, match="different keys"):
        check_keys(keys)


def test_what_is_a_key():
    assert check_keys([0, 2**KEY_BITS - 1]) == [0, 2**KEY_BITS - 1]


def test_an_unknown_stream_names_the_choices():
    with pytest.raises(UsageError, match="verdict"):
        Stream("test")


def test_a_fixed_seed_for_serving_is_warned_of():
    with pytest.warns(UserWarning, match="predictable"):
        Stream("serve", 0)
    Stream("serve")
