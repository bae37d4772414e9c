"""Training on texts whose words are replaced: the inner attack replaces words as the attacker will."""

import pytest
import torch
from torch.nn import functional as F

import variate
from variate.inputs.budget import Budget
from variate.inputs.modalities.text import Text
from variate.inputs.words import inputs_of
from variate.models.text_cnn import TextCNN
from variate.random.keys import Stream
from variate.testing.text_attacks import TEXT, _model, _texts
from variate.training.inner_attack import InnerAttack

WORDS = ("<pad>", "<unk>", "for", "against", "lovely", "awful", "film", "the")
PAIRED = Text(WORDS, ((), (), (), (), (5,), (4,), (7,), (6,)))


@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize("budget", ["words:2", "chars:1"])
def test_the_inner_attack_replaces_allowed_words_and_raises_the_loss(random, budget):
    network, x = _model(3), _texts()
    with torch.no_grad():
        y = network(x).argmax(1)
    learning = variate.randomize(network, scale=0.05) if random else network
    inner = InnerAttack(learning, Stream("train", 0), Budget.parse(budget), steps=3, seed=0, modality=TEXT)
    found = inner(x, y)
    assert found.shape == x.shape
    assert not torch.equal(found, x)
    assert bool(TEXT.reach(x, Budget.parse(budget)).contains(found).all())
    with torch.no_grad():
        losses = [F.cross_entropy(network(inputs), y) for inputs in (x, found)]
    assert losses[1] > losses[0]


def reviews(count, seed):
    """Texts of a word that is always right, and may be replaced by its opposite, and one that is right in 90 %."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(2, (count,), generator=generator)
    wrong = (torch.rand(count, generator=generator) < 0.1).long()
    ids = 6 + torch.randint(2, (count, 4), generator=generator)
    ids[:, 1], ids[:, 2] = 2 + (y + wrong) % 2, 4 + y
    return inputs_of(ids), y


@pytest.mark.parametrize("objective", ["adversarial", "trades(weight=6)"])
def test_training_within_words_learns_what_the_attacker_cannot_replace(objective):
    facts = {"shape": (4, 1), "classes": 2, "details": {"words": WORDS}}
    pairs, (x, y) = [reviews(200, seed) for seed in range(5)], reviews(200, 99)
    kept = {}
    for name in ("cross-entropy", objective):
        torch.manual_seed(0)
        network = TextCNN(**facts)
        variate.train(
            network, pairs, objective=name, epochs=8, lr=3e-3, budget="words:1", attack_steps=3, modality=PAIRED
        )
        result = variate.evaluate(network, x, y, budget="words:1", attacks=["hotflip"], modality=PAIRED)
        kept[name] = {row.attack: row.rate for row in result.rows}
    assert kept["cross-entropy"]["clean"] > 0.95
    assert kept["cross-entropy"]["hotflip"] < 0.3
    assert kept[objective]["hotflip"] > 0.8
