"""Networks with an answer for every word."""

from dataclasses import replace

import pytest
import torch

from variate import registry
from variate.datasets.info import About
from variate.inputs.words import inputs_of
from variate.random.randomize import randomize
from variate.tasks.task import task_of
from variate.training.saved import build

FACTS = About("text", (6, 1), 4, details={"words": ["<pad>", "<unk>", *"abcdefgh"]}, task="positions(classes=last)")
TASK = task_of(FACTS.task)
TAGGERS = [
    name
    for name, entry in registry.entries("networks").items()
    if "text" in entry.facts["modality"] and "positions" in entry.facts["tasks"]
]
IDS = torch.tensor([[2, 3, 4, 5, 0, 0], [6, 7, 8, 9, 2, 3]])


def test_there_are_taggers():
    assert set(TAGGERS) == {"lstm-tagger", "transformer-tagger"}


@pytest.mark.parametrize("name", TAGGERS)
@pytest.mark.parametrize("random", [False, True])
def test_every_word_is_answered_and_its_context_counts(name, random):
    torch.manual_seed(0)
    network = build(name, FACTS).eval()
    module = randomize(network, scale=0.1).at(3) if random else network
    logits = module(inputs_of(IDS))
    assert logits.shape == (2, 6, 4)
    changed = IDS.clone()
    changed[0, 3] = 9
    moved = (module(inputs_of(changed)) - logits).abs().amax(2)  # (B, T)
    assert (moved[0, :4] > 1e-6).all()
    assert not moved[1].any()


@pytest.mark.parametrize(("name", "plain"), [("lstm-tagger", "lstm"), ("transformer-tagger", "transformer")])
def test_the_mean_of_the_answers_is_that_of_the_network_with_pooling(name, plain):
    tagger, network = build(name, FACTS).eval(), build(plain, replace(FACTS, task="classes")).eval()
    network.load_state_dict({key.partition(".")[2]: value for key, value in tagger.state_dict().items()})
    words = (IDS > 0)[..., None]
    mean = (tagger(inputs_of(IDS)) * words).sum(1) / words.sum(1)  # the layer after the pooling is linear
    torch.testing.assert_close(mean, network(inputs_of(IDS)))


@pytest.mark.parametrize("name", TAGGERS)
def test_it_learns_what_depends_on_the_word_before(name):
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(2, 10, (64, 6), generator=draw)
    y = ids.roll(1, 1) % 2
    y[:, 0] = -1
    network = build(name, FACTS)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.005)
    for _ in range(60):
        optimizer.zero_grad()
        outputs = TASK.read(network(inputs_of(ids)), (64, 6, 1))
        TASK.loss(outputs, y).mean().backward()
        optimizer.step()
    with torch.no_grad():
        answers = TASK.read(network.eval()(inputs_of(ids)), (64, 6, 1))
    assert float(TASK.score(answers, y).mean()) > 0.9  # from the word itself: a third
