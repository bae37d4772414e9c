"""A served network: fresh draws whatever the thread or the process, and nothing that tells of a key."""

import copy
import io
import logging
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.random.average import mean_log_probabilities
from variate.random.keys import Stream, fresh_keys, stream_of
from variate.random.randomize import randomize
from variate.serving import serving
from variate.serving.serving import Served
from variate.training.defense import defended


class Slow(nn.Module):
    """Two layers with a pause between them, in which another thread could put its draw in place."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(4, 6), nn.Linear(6, 3)
        self.meanwhile = lambda: None

    def forward(self, x):
        hidden = self.one(x)
        threading.Event().wait(0.002)
        return self.two(torch.tanh(hidden))


def net(scale=0.5):
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)), scale=scale).eval()


def inputs():
    return torch.rand(5, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def keys(monkeypatch):
    """The keys that were used."""
    used = []

    def noted(count):
        used.append(fresh_keys(count))
        return used[-1]

    monkeypatch.setattr(serving, "fresh_keys", noted)
    return used


@pytest.mark.parametrize("draws", [2, 8])  # one by one, and in a group
def test_an_answer_is_the_mean_probability_over_fresh_draws(draws, keys):
    random, x = net(), inputs()
    served = Served(random, draws)
    answers = [served(x) for _ in range(2)]
    assert not torch.equal(*answers)
    for answer, used in zip(answers, keys[-2:], strict=True):
        assert torch.allclose(
            answer, mean_log_probabilities(torch.stack([random.at(key)(x) for key in used])), atol=1e-5
        )
    labels = served.labels(x)
    assert torch.equal(labels, mean_log_probabilities(random.draws(x, keys[-1])).argmax(-1))


def test_every_key_is_of_the_operating_system_and_of_the_serving_stream(monkeypatch):
    found = fresh_keys(300)
    assert len(set(found)) == 300
    assert {stream_of(key) for key in found} == {"serve"}
    rows = torch.tensor([[key >> bit & 1 for bit in range(56)] for key in found]).double()
    assert float((rows.mean(0) - 0.5).abs().max()) < 5.5 / (2 * 300**0.5)  # every bit is fair
    numbers = iter([3, 3, 4])
    monkeypatch.setattr("secrets.randbits", lambda bits: next(numbers))
    assert len(set(fresh_keys(2))) == 2  # a number that is met again is taken once


def test_threads_do_not_see_one_anothers_draws(monkeypatch):
    """Every answer is that of the one key that its thread took: no layer ran with another thread's weights."""
    torch.manual_seed(0)
    random, x, local = randomize(Slow(), scale=0.5).eval(), inputs(), threading.local()

    def noted(count):
        local.keys = fresh_keys(count)
        return local.keys

    monkeypatch.setattr(serving, "fresh_keys", noted)
    served = Served(random)

    def request(_):
        answer = served(x)
        return answer, local.keys

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(request, range(48)))
    used = [key for _, found in answers for key in found]
    assert len(set(used)) == 48
    for answer, found in answers:
        assert torch.allclose(answer, random.draws(x, found)[0].log_softmax(-1), atol=1e-5)


def test_a_network_that_draws_from_torch_is_served_one_request_at_a_time_and_leaves_its_generator():
    module, _ = defended("dropout", nn.Sequential(nn.Linear(4, 40), nn.ReLU(), nn.Linear(40, 3)))
    busy = threading.Lock()

    def alone(*_):
        assert busy.acquire(blocking=False)
        threading.Event().wait(0.002)
        busy.release()

    module.register_forward_hook(alone)
    served, x = Served(module, 2), inputs()
    state = torch.get_rng_state()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: served(x), range(12)))
    assert torch.equal(state, torch.get_rng_state())
    assert len({answer.numpy().tobytes() for answer in answers}) == 12


def test_noise_beside_the_random_parameters_is_fresh_too():
    """Dropout inside a random network draws from torch's generator, which every new process begins alike."""
    module, _ = defended("dropout", nn.Sequential(nn.Linear(4, 40), nn.ReLU(), nn.Linear(40, 3)))
    served, x = Served(randomize(module, scale=1e-6)), inputs()
    found = []
    for _ in range(2):
        torch.manual_seed(0)
        found.append(served(x))
    assert not torch.allclose(*found, atol=1e-3)


def _forked(run):
    """What ``run`` returns in a child."""
    with multiprocessing.get_context("fork").Pool(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        return pool.apply(run)


served_here, random_here = Served(net()), net()


def _answer():
    return served_here(inputs()).numpy().tobytes()


def _next_keys():
    return [random_here.stream.next() for _ in range(5)], random_here(inputs()).detach().numpy().tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_fork_repeats_nothing():
    random_here.stream.next()
    answers = {_answer(), *(_forked(_answer) for _ in range(2))}
    assert len(answers) == 3
    children = [_forked(_next_keys) for _ in range(2)]
    everything = [*children, _next_keys()]
    assert len({key for keys, _ in everything for key in keys}) == 15
    assert len({answer for _, answer in everything}) == 3


def _seeded_keys():
    return seeded_here.take(3)


seeded_here = Stream("user", 5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_seeded_stream_goes_on_in_a_child_as_it_was():
    assert _forked(_seeded_keys) == Stream("user", 5).take(3)


def test_a_file_tells_no_key_and_what_is_loaded_twice_has_keys_of_its_own():
    random = net()
    kept = pickle.dumps(random)
    assert random.stream._start.to_bytes(7, "little") not in kept
    loaded = [pickle.loads(kept), pickle.loads(kept), copy.deepcopy(random), random]
    assert len({one.stream.next() for one in loaded}) == 4
    streams = [Stream("user"), Stream("user", 3)]
    fresh, seeded = pickle.loads(pickle.dumps(streams))
    assert fresh.name == "user"
    assert fresh.next() != streams[0].next()
    assert seeded.next() == streams[1].next()


class Yielding(Stream):
    """A stream that lets another thread in whenever its index is read."""

    @property
    def index(self):
        threading.Event().wait(1e-4)
        return vars(self)["kept"]

    @index.setter
    def index(self, value):
        vars(self)["kept"] = value


@pytest.mark.parametrize("take", [lambda stream: [stream.next()], lambda stream: stream.take(2)])
def test_threads_never_get_the_same_key_of_a_stream(take):
    stream = Yielding("serve")
    with ThreadPoolExecutor(8) as pool:
        found = [key for keys in pool.map(lambda _: take(stream), range(64)) for key in keys]
    assert len(found) >= 64
    assert len(set(found)) == len(found)


def test_nothing_shows_or_keeps_a_key(keys, caplog, capfd):
    served = Served(net(), 3)
    with caplog.at_level(logging.DEBUG):
        served(inputs())
    used = {str(key) for found in keys for key in found}
    kept = io.BytesIO()
    pickle.dump(served, kept)
    shown = repr(served) + repr(vars(served)) + caplog.text + "".join(capfd.readouterr())
    assert used
    assert not any(key in shown for key in used)
    assert not any(int(key).to_bytes(8, "little") in kept.getvalue() for key in used)
    again = pickle.loads(kept.getvalue())
    assert repr(again) == repr(served)
    assert not torch.equal(again(inputs()), again(inputs()))


def test_what_is_loaded_into_the_network_is_served_and_its_mode_is_left():
    random, x = net(scale=0.01).train(), inputs()
    served = Served(random)
    before = served(x)
    with torch.no_grad():
        random[2].bias.add_(torch.tensor([9.0, 0.0, 0.0]))
    assert not torch.allclose(before, served(x), atol=1.0)
    assert random.training
    assert not served(x).requires_grad


def test_a_deterministic_network_is_served_as_it_is():
    module, x = nn.Sequential(nn.Dropout(0.9), nn.Linear(4, 3)).eval(), inputs()
    with torch.no_grad():
        assert torch.allclose(Served(copy.deepcopy(module).train())(x), module(x).log_softmax(-1), atol=1e-6)
        assert torch.allclose(Served(module)(x), module(x).log_softmax(-1), atol=1e-6)


def test_no_draws():
    with pytest.raises(UsageError, match="draws is 0"):
        Served(net(), draws=0)


def test_an_answer_carries_the_uncertainty_of_its_own_draws(keys):
    network = net()
    served = Served(network, draws=6)
    found = served.uncertainty(inputs())
    (used,) = [own for own in keys if len(own) == 6]
    logits = network.draws(inputs(), used)
    torch.testing.assert_close(found.log_probabilities, mean_log_probabilities(logits))
    shares = logits.softmax(-1)
    entropy = -(shares.mean(0) * shares.mean(0).log()).sum(-1)
    torch.testing.assert_close(found.entropy, entropy)
    torch.testing.assert_close(found.mutual_information, entropy + (shares * shares.log()).sum(-1).mean(0))
    assert (found.pairwise_kl >= found.mutual_information).all()
    assert Served(network).uncertainty(inputs()).mutual_information.max() < 1e-7  # one draw agrees with itself
