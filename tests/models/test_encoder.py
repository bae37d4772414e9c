"""A Hugging Face encoder from a folder: its own vectors, random like any other network, saved and opened again."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from variate.cli.main import app
from variate.datasets.info import About
from variate.errors import UsageError
from variate.inputs.words import inputs_of
from variate.random.randomize import randomize
from variate.training.saved import build

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "film", "good", "bad", "##ly", "a"]
WORDS = ["<pad>", "<unk>", "film", "badly", "a", "zebra"]
FACTS = About("text", (5, 1), 2, details={"words": WORDS})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("encoder")
    numbers = {piece: number for number, piece in enumerate(PIECES)}
    transformers.BertTokenizerFast(vocab=numbers).save_pretrained(place)
    config = transformers.BertConfig(
        vocab_size=len(PIECES), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(place)
    return place


def test_words_begin_with_the_mean_of_their_pieces_and_padding_says_nothing(folder):
    network = build(f"encoder(path={folder})", FACTS).eval()
    pieces = transformers.AutoModel.from_pretrained(folder).get_input_embeddings().weight
    vectors = network.tokens.embedding.weight
    torch.testing.assert_close(vectors[2], pieces[5])
    torch.testing.assert_close(vectors[3], (pieces[7] + pieces[8]) / 2)
    torch.testing.assert_close(vectors[5], pieces[1])  # no piece of it is known
    short, long = inputs_of(torch.tensor([[2, 3, 4]])), inputs_of(torch.tensor([[2, 3, 4, 0, 0]]))
    with torch.no_grad():
        torch.testing.assert_close(network(short), network(long))


def test_every_parameter_that_answers_is_random(folder):
    net = randomize(build(f"encoder(path={folder})", FACTS), scale=0.1)
    x = inputs_of(torch.tensor([[2, 3, 4, 0, 0]]))
    with torch.no_grad():
        assert not torch.equal(net(x), net(x))
    net(x).sum().backward()
    without = [name for name, parameter in net.named_parameters() if parameter.grad is None]
    assert not [name for name in without if "embeddings.word" not in name]


def test_options_of_a_network_are_checked(folder):
    with pytest.raises(UsageError, match="no encoder at"):
        build("encoder", FACTS)
    with pytest.raises(UsageError, match="did you mean 'path'"):
        build(f"encoder(pth={folder})", FACTS)
    (folder / "sub").mkdir()
    (folder / "sub" / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="cannot read the encoder"):
        build(f"encoder(path={folder / 'sub'})", FACTS)


def test_it_is_trained_saved_and_attacked_from_the_command_line(folder, tmp_path):
    data = tmp_path / "t.jsonl"
    rows = [{"text": f"a {'good' if i % 2 else 'bad'} film {i}", "label": str(i % 2)} for i in range(60)]
    data.write_text("\n".join(map(json.dumps, rows)))
    words = ["train", "--data", "texts", "--data-folder", data, "--network", f"encoder(path={folder})", "--epochs", 1]
    attack = [
        "attack",
        tmp_path / "r",
        "--data-folder",
        data,
        "--attack",
        "hotflip",
        "--budget",
        "chars:1",
        "--draws",
        2,
    ]
    for command in (
        [*words, "--defense", "random", "--out", tmp_path / "r", "--quiet"],
        [*attack, "--examples", 4, "--verdict-draws", 8, "--deployment", "single", "--quiet"],
    ):
        done = CliRunner().invoke(app, [str(word) for word in command])
        assert done.exit_code == 0, done.output


def test_no_code_of_the_folder_runs_and_nothing_is_unpickled(folder, tmp_path):
    own = shutil.copytree(folder, tmp_path / "own")
    config = json.loads((own / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}
    (own / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}))
    (own / "evil.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(UsageError, match="cannot read the encoder at"):
        build(f"encoder(path={own})", FACTS)
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    weights = load_file(pickled / "model.safetensors")
    (pickled / "model.safetensors").unlink()
    torch.save(weights, pickled / "pytorch_model.bin")
    with pytest.raises(UsageError, match="cannot read the encoder at") as error:
        build(f"encoder(path={pickled})", FACTS)
    assert "save_pretrained" in error.value.todo
