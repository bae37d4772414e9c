"""The detector of similar queries: which it rejects, what it remembers, and what a served network does about it."""

import copy
import math
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError, SimilarQueryError, UsageError
from variate.random.randomize import randomize
from variate.serving.serving import Served
from variate.serving.similar import Similar, ordinary_rejections

LEVELS = 4
ONE = {"window": 1, "step": 1 / LEVELS, "share": 0.0}  # of one value: similar if it has the same level


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def net():
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), scale=0.1).eval()


def rejected(detector, x, client=""):
    return detector.rejected(x, [client] * len(x)).tolist()


def test_equal_inputs_are_similar_and_others_of_ordinary_traffic_are_not():
    detector, x = Similar(), uniform(40, 64)
    assert not any(rejected(detector, x))
    assert all(rejected(detector, x.flip(0)))
    assert not any(rejected(detector, x, client="another"))


def test_the_similarity_is_the_share_of_windows_that_did_not_change():
    """Of 64 values in windows of 4 there are 61; changing a value in the middle changes 4 of them."""
    x = (torch.arange(64) % 61)[None] / 64.0  # whole levels, all windows different
    for changed in range(1, 10):
        moved = x.clone()
        moved[0, 6 : 6 * changed + 1 : 6] += 1.0
        kept = (61 - 4 * changed) / 61
        for share, expected in ((kept + 0.001, False), (kept - 0.001, True)):
            detector = Similar(window=4, step=1 / 64, hashes=61, share=share, salt=b"any")
            assert rejected(detector, torch.cat([x, moved])) == [False, expected], changed


def test_changes_below_a_rounding_step_are_not_seen():
    x = torch.full((1, 64), 0.5) + torch.arange(64) % 5 / 5
    assert rejected(Similar(step=0.2), torch.cat([x, x + 0.05])) == [False, True]


def test_as_many_ordinary_queries_are_rejected_as_collide():
    """One value in four equally likely levels: n queries meet 4 (1 - (3/4)^n) levels, and the others are rejected."""
    for n in (2, 5, 12):
        shares = [ordinary_rejections(Similar(**ONE), uniform(n, 1, seed=seed), seed=seed) for seed in range(200)]
        expected = 1 - LEVELS * (1 - (1 - 1 / LEVELS) ** n) / n
        assert abs(np.mean(shares) - expected) < 4.5 * np.std(shares) / 200**0.5


def test_two_answered_queries_are_never_more_similar_than_the_share():
    """Queries along a line: those that are answered are at least as far apart as the share asks."""
    base, direction = uniform(64), uniform(64, seed=1) - 0.5
    x = torch.stack([base + t * direction for t in torch.linspace(0, 2, 60)])
    detector = Similar(share=0.25, step=0.1)
    kept = x[~detector.rejected(x, [""] * 60)]
    assert 2 < len(kept) < 40
    for i in range(1, len(kept)):
        alone = Similar(share=0.25, step=0.1)
        assert not any(rejected(alone, kept[[i, i - 1]]))


def test_the_oldest_query_and_the_idlest_client_are_forgotten_first():
    x = torch.arange(LEVELS, dtype=torch.float64)[:, None] / LEVELS
    detector = Similar(**ONE, queries=2, clients=2)
    assert rejected(detector, x[[0, 1, 2, 0, 2]]) == [False, False, False, False, True]  # 1 and 2 pushed 0 out
    for client in ("a", "b"):  # the first of three clients has gone
        detector.rejected(x[:1], [client])
    assert rejected(detector, x[:1], "b") == [True]
    assert rejected(detector, x[:1], "a") == [True]
    assert rejected(detector, x[:1]) == [False]
    assert rejected(detector, x[:1], "b") == [False]  # pushed out in turn: a was seen later


def test_memory_is_bounded_whatever_is_sent():
    detector, sizes = Similar(hashes=10, queries=20, clients=3), []
    for turn in range(12):
        detector.rejected(uniform(25, 64, seed=turn), [f"client {turn % 5}"] * 25)
        sizes.append(detector.nbytes)
    assert max(sizes) == sizes[-1] == 3 * 20 * (12 * 10 + 4)


def test_the_salt_decides_on_the_hashes_and_is_not_kept():
    first, second = Similar(), Similar()
    x = uniform(1, 64)
    assert set(first._fingerprints(x)[0]) & set(second._fingerprints(x)[0]) == set()
    again = pickle.loads(pickle.dumps(first))
    assert again.options == first.options
    assert set(again._fingerprints(x)[0]) & set(first._fingerprints(x)[0]) == set()
    assert (Similar(salt=b"1")._fingerprints(x)[0] == Similar(salt=b"1")._fingerprints(x)[0]).all()


def test_words_and_tiny_inputs():
    words = torch.tensor([[3, 7, 7, 1, 0], [3, 7, 7, 1, 0], [4, 8, 8, 2, 1]])
    assert rejected(Similar(), words) == [False, True, False]
    assert rejected(Similar(), torch.tensor([0.1, 0.1, 0.9])) == [False, True, False]


@pytest.mark.parametrize("text", ["similar", "similar(share=0.25, queries=50)", "similar(window=8)"])
def test_a_detector_is_written_as_it_is_parsed(text):
    assert str(Similar.parse(text)) == text
    assert str(Similar.parse(str(Similar(stride=3)))) == "similar(stride=3)"


@pytest.mark.parametrize(
    ("text", "says"),
    [("simlar", "did you mean 'similar'"), ("similar(quries=3)", "queries"), ("similar(share=1)", "below 1")],
)
def test_a_detector_that_does_not_exist(text, says):
    with pytest.raises(UsageError, match=r"there is no|cannot take") as error:
        Served(net(), detector=text)
    assert says in str(error.value)


def test_a_window_larger_than_the_input():
    with pytest.raises(InputError, match="64 values, and the detector's window 65"):
        Served(net(), detector="similar(window=65)")(uniform(1, 64).float())


def test_a_request_with_a_similar_input_is_not_answered_and_not_remembered():
    served, x = Served(net(), 2, detector=Similar(queries=10)), uniform(4, 64).float()
    assert served(x[:2], client="a").shape == (2, 3)
    with pytest.raises(SimilarQueryError, match="1 of 2 inputs") as error:
        served.labels(x[1:3], client="a")
    assert error.value.rows == (0,)
    assert served.labels(x[2:3], client="a").shape == (1,)  # nothing of the rejected request was remembered
    assert served(x[:2], client="b").shape == (2, 3)
    with pytest.raises(SimilarQueryError, match="1 of 2 inputs"):
        served(x[[3, 3]], client="a")  # similar to each other
    assert served(x[:0], client="a").shape == (0, 3)


def test_without_a_detector_every_query_is_answered():
    served, x = Served(net()), uniform(1, 64).float()
    assert {tuple(served(x, client="a").shape) for _ in range(3)} == {(1, 3)}


def test_a_request_that_failed_may_be_sent_again():
    network, x = net(), uniform(1, 64).float()
    served = Served(network, detector="similar")
    served(uniform(1, 64, seed=5).float())
    broken = network.register_forward_hook(lambda *_: 1 / 0)
    served._local = type(served._local)()  # a new copy of the network, with the hook
    with pytest.raises(InputError):
        served(x)
    broken.remove()
    served._local = type(served._local)()
    assert served(x).shape == (1, 3)


def test_flags_answer_and_follow_a_client_that_drifts():
    flags = []
    served = Served(net(), detector=Similar(step=0.1), on_similar=flags.append)
    drift = torch.full((64,), 0.0015)
    for i in range(30):
        assert served((uniform(64) + i * drift)[None].float()).shape == (1, 3)
    assert all(isinstance(flag, SimilarQueryError) and flag.rows == (0,) for flag in flags)
    assert len(flags) > 25  # each is similar to the one before, though not to the first


def test_what_a_server_may_get_wrong():
    with pytest.raises(UsageError, match="never called without a detector"):
        Served(net(), on_similar=print)
    with pytest.raises(UsageError, match="the client is a list"):
        Served(net(), detector="similar")(uniform(1, 64).float(), client=[1])
    with pytest.raises(UsageError, match="the detector is a int"):
        Served(net(), detector=3)


def test_threads_share_the_memory():
    """Of 32 equal queries sent at once, exactly one is answered."""
    served, x = Served(net(), detector="similar"), uniform(1, 64).float()

    def sent(_):
        try:
            return served(x).shape == (1, 3)
        except SimilarQueryError:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(sent, range(32))) == 1


def test_a_copy_keeps_the_options_and_forgets_the_queries():
    served, x = Served(net(), 3, detector="similar(queries=7)"), uniform(1, 64).float()
    served(x)
    for again in (copy.deepcopy(served), pickle.loads(pickle.dumps(served))):
        assert repr(again) == repr(served) == "Served(RandomSequential, draws=3, detector='similar(queries=7)')"
        assert again(x).shape == (1, 3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_remembers_its_own_queries_alone():
    detector, x = Similar(), uniform(2, 64)
    assert rejected(detector, x) == [False, False]
    detector._lock.acquire()  # as held by another thread while the process forks
    child = os.fork()
    if child == 0:
        os._exit(0 if [rejected(detector, x), rejected(detector, x)] == [[False] * 2, [True] * 2] else 1)
    detector._lock.release()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert rejected(detector, x) == [True, True]


def test_a_plain_search_is_seen_and_ordinary_digits_are_not():
    x, _ = variate.data("digits", "validation")
    assert ordinary_rejections("similar", x) < 0.1, ordinary_rejections("similar", x)
    probes = x[:1] + 0.01 * torch.randn(200, *x.shape[1:], generator=torch.Generator().manual_seed(0))
    assert ordinary_rejections("similar", probes.clamp(0, 1)) > 0.9
    assert math.isclose(ordinary_rejections("similar", x[[0] * 5]), 0.8)
