"""Words as numbers, the layer that makes vectors of them, and networks of the user's own that have another."""

import json

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from variate.cli.main import app
from variate.errors import InputError, UsageError
from variate.evaluation.plan import Plan, Target, perturb
from variate.inputs.budget import Budget
from variate.inputs.words import RADIUS, Lookup, Tokens, ids_of, inputs_of, reads_words, smooth, tokens_of
from variate.oracle.losses import cross_entropy
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize
from variate.random.seeding import kind_of
from variate.testing.text_attacks import TEXT, WORDS, _model, _texts


def test_numbers_of_words_are_exact():
    ids = torch.arange(65_536)
    assert torch.equal(ids_of(inputs_of(ids)), ids)


def test_the_smooth_form_moves_vectors_and_never_padding():
    torch.manual_seed(0)
    tokens = Tokens(10, 4)
    x = inputs_of(torch.tensor([[3, 5, 0]]))
    plain, there = tokens(x)
    whole = smooth(x, 4)
    assert torch.equal(tokens(whole)[0], plain)
    assert there.tolist() == [[True, True, False]]
    whole[0, :, 1:] += 0.25
    moved = tokens(whole)[0] - plain
    torch.testing.assert_close(moved[0, :2], torch.full((2, 4), 0.25 * 2 * RADIUS))
    assert not moved[0, 2].any()
    assert not plain[0, 2].any()


class Own(nn.Module):
    """A network of one's own: an embedding of words, one of places, a linear layer."""

    def __init__(self, model=None, *, rows=27, places=6):
        super().__init__()
        self.words, self.places, self.head = nn.Embedding(rows, 4), nn.Embedding(places, 4), nn.Linear(4, 3)
        if model is not None:
            self.words.load_state_dict(model.tokens.embedding.state_dict())
            self.head.load_state_dict(model.head.state_dict())

    def forward(self, x):
        ids = ids_of(x)
        vectors = self.words(ids) * (ids > 0).unsqueeze(-1) + 0 * self.places(torch.arange(x.shape[1]))
        return self.head(vectors.sum(1))


def own():
    return Own(_model(3)).double().eval()


@pytest.mark.parametrize(("attack", "budget"), [("pgd", "l2:1"), ("hotflip", "words:2"), ("greedy-words", "chars:2")])
def test_a_network_of_ones_own_is_attacked_as_one_of_ours(attack, budget):
    x, y = _texts(), torch.arange(4) % 3
    found = []
    for network in (_model(3), Lookup(own(), len(WORDS))):
        taken = TEXT.prepared(x, Budget.parse(budget), network)
        target = Target(network, kind_of(network, x), modality=TEXT)
        found.append(perturb(target, Plan(attack, 1, {}), Budget.parse(budget), taken, y)[0])
    torch.testing.assert_close(found[1], found[0])
    assert not torch.equal(found[1][..., : x.shape[-1]], x) or attack == "pgd"


@pytest.mark.parametrize("draws", [3, 8])  # one by one, and in a group
def test_a_random_network_of_ones_own_has_the_gradient_of_one_of_ours(draws):
    x, y = smooth(_texts(), 4), torch.arange(4) % 3
    slopes = []
    for network in (randomize(_model(3), scale=1e-9), randomize(Lookup(own(), len(WORDS)), scale=1e-9)):
        oracle = GradientOracle(network.eval(), draws=draws, stream=Stream("search", 0), examples=4, kind="random")
        slopes.append(oracle.gradient(x, y, cross_entropy)[1][..., 1:])
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-5, atol=1e-7)
    assert float(slopes[0].abs().max()) > 0


def test_which_embedding_is_meant():
    several = Own(places=len(WORDS))
    assert Lookup(Own(), len(WORDS)).embedding_name == "words"
    assert Lookup(several, len(WORDS), "words").width == 4
    with pytest.raises(UsageError, match="has 2 embeddings of 27 words") as error:
        Lookup(several, len(WORDS))
    assert error.value.findings == ("words: 27 rows", "places: 27 rows")
    with pytest.raises(UsageError, match="has no embeddings of 1,000 words"):
        Lookup(Own(), 1000)
    assert TEXT.taken(several) is several
    assert reads_words(TEXT.taken(Own()))
    assert isinstance(tokens_of(TEXT.taken(Own())), Lookup)
    model = _model(3)
    assert TEXT.taken(model) is model


def test_an_embedding_that_sees_other_words_cannot_be_moved():
    class Twice(Own):
        def forward(self, x):
            return super().forward(x.repeat(1, 2, 1)[:, :6])

    x = inputs_of(torch.full((2, 3), 4))
    network = Lookup(Twice(), len(WORDS))
    assert network(x).shape == (2, 3)
    with pytest.raises(InputError, match="the embedding returned"):
        network(smooth(x, 4))


def test_an_audit_of_a_network_of_ones_own_for_texts(tmp_path, monkeypatch):
    rows = [{"text": f"{'good' if i % 2 else 'dull'} film number {i}", "label": i % 2} for i in range(150)]
    data = tmp_path / "t.jsonl"
    data.write_text("\n".join(json.dumps(row) for row in rows))
    (tmp_path / "mine_texts.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self, known):\n"
        "        super().__init__()\n        torch.manual_seed(0)\n        self.known = known\n"
        "        self.table = nn.Embedding(50, 8) if known else nn.ParameterList([torch.randn(50, 8)])\n"
        "        self.drop, self.head = nn.Dropout(0.2), nn.Linear(8, 2)\n\n    def forward(self, x):\n"
        "        ids = (x[..., 0] * 65536).round().long()\n"
        "        return self.head(self.drop((self.table(ids) if self.known else self.table[0][ids]).mean(1)))\n\n\n"
        "def known():\n    return Net(True)\n\n\ndef unknown():\n    return Net(False)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    few = f"--data texts --data-folder {data} --examples 6 --draws 2 --verdict-draws 16 --deployment single --quiet"

    def audit(module, *words):
        told = ["audit", f"mine_texts:{module}", *few.split(), "--out", tmp_path / module, *words]
        return CliRunner().invoke(app, [str(word) for word in told])

    whole = audit("known", "--suite", "quick", "--json")
    assert whole.exit_code == 0, whole.output
    assert {row["attack"] for row in json.loads(whole.stdout)["rates"]} == {"clean", "quick"}
    refused = audit("unknown", "--suite", "quick")
    assert refused.exit_code == 2
    assert "has no known layer that embeds words" in refused.output
    asked = audit("unknown", "--suite", "none", "--attack", "greedy-words", "--json")
    assert asked.exit_code == 0, asked.output
    assert {row["attack"] for row in json.loads(asked.stdout)["rates"]} == {"clean", "greedy-words"}
    assert audit("unknown", "--suite", "none").exit_code == 2
