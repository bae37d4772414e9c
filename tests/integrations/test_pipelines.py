"""Pipelines of transformers as networks: they answer as the pipeline does, and ``variate audit`` takes them."""

import json
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import variate
from variate.errors import UsageError
from variate.inputs.modalities.text import Text
from variate.inputs.words import inputs_of
from variate.integrations.transformers.pipelines import is_pipeline, network_of

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ["<pad>", "<unk>", "good", "fine", "bad", "poor", "film", "unlisted"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "fine", "bad", "poor", "film", "un", "##listed"]


def image_pipeline(side=8, *, random=False, **options):
    config = transformers.ViTConfig(
        image_size=8, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=3, initializer_range=0.5,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.ViTForImageClassification(config).eval()
    if random:
        model = variate.randomize(model, scale=0.05).eval()
    size = {"height": 8, "width": 8}
    chosen = {"size": size, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], **options}
    processor = transformers.ViTImageProcessor(**chosen)
    return transformers.pipeline("image-classification", model=model, image_processor=processor, device="cpu")


def text_pipeline():
    config = transformers.BertConfig(
        vocab_size=len(PIECES), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=16, num_labels=2,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.BertForSequenceClassification(config).eval()
        torch.nn.init.normal_(model.bert.embeddings.word_embeddings.weight)
        torch.nn.init.normal_(model.classifier.weight)
    tokenizer = transformers.BertTokenizerFast(vocab={piece: index for index, piece in enumerate(PIECES)})
    tokenizer.model_max_length = 16
    return transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")


def answered(pipe, inputs):
    """The scores of every label, as the pipeline returns them, in the order of the labels."""
    found = pipe(inputs, top_k=10)
    return torch.tensor([[row["score"] for row in sorted(rows, key=lambda row: row["label"])] for rows in found])


@pytest.mark.parametrize(("side", "options"), [(8, {}), (12, {}), (12, {"resample": 3})])
def test_images_are_prepared_as_the_pipeline_prepares_them(side, options):
    from PIL import Image

    pipe = image_pipeline(side, **options)
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    network = network_of(pipe)
    expected = answered(pipe, [Image.fromarray(picture) for picture in pixels])
    assert torch.allclose(network(x).logits.softmax(-1), expected, atol=1e-5 if side == 8 else 5e-3)
    x.requires_grad_()
    network(x).logits.sum().backward()
    assert float(x.grad.abs().sum()) > 0


def test_texts_are_read_by_the_tokenizer_of_the_pipeline():
    pipe, ids = text_pipeline(), torch.tensor([[2, 6, 0], [7, 4, 6]])
    network = network_of(pipe, words=WORDS)
    x = inputs_of(ids)
    assert network.texts(x) == ["good film", "unlisted bad film"]
    expected = answered(pipe, ["good film", "unlisted bad film"])
    assert torch.allclose(network(x).logits.softmax(-1), expected, atol=1e-5)
    with pytest.raises(UsageError, match="the pipeline reads texts"):
        network_of(pipe)(x)


def test_a_black_box_attack_replaces_the_words_of_a_pipeline():
    pipe = text_pipeline()
    text = Text(WORDS, neighbors=[[], [], [3, 4, 5], [2, 4, 5], [2, 3, 5], [2, 3, 4], [], []])
    ids = torch.tensor([[2, 6], [4, 6], [3, 6], [5, 6]])
    network = network_of(pipe, words=WORDS)
    y = network(inputs_of(ids)).logits.argmax(-1)
    result = variate.evaluate(
        network, inputs_of(ids), y, budget="words:1", attacks=["greedy-words"], modality=text, deployments=["single"]
    )
    clean, attacked = (row.rate for row in result.rows)
    found = []  # of all texts that one replacement can make
    for row in ids.tolist():
        texts = [[other, row[1]] for other in (row[0], *text.neighbors[row[0]])]
        found.append(bool((network(inputs_of(torch.tensor(texts))).logits.argmax(-1) == y[len(found)]).all()))
    assert clean == 1
    assert attacked == sum(found) / len(found)


@pytest.mark.parametrize("random", [False, True])
def test_an_audit_takes_a_pipeline(random, tmp_path, monkeypatch):
    from variate.cli.main import app

    pipe = image_pipeline(random=random)
    x = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    y = (network_of(pipe)(x).logits.argmax(-1)).numpy()
    np.savez(tmp_path / "own.npz", x=x.numpy(), y=y)
    module = type(sys)("piped")
    module.pipe = lambda: pipe
    monkeypatch.setitem(sys.modules, "piped", module)
    words = ["audit", "piped:pipe", "--data", tmp_path / "own.npz", "--suite", "none", "--attack", "pgd(steps=3)"]
    options = [
        "--budget",
        "linf:0.3",
        "--draws",
        2,
        "--verdict-draws",
        20,
        "--out",
        tmp_path / "out",
        "--json",
        "--deployment",
        "single",
    ]
    done = CliRunner().invoke(app, [str(word) for word in (*words, *options, "--no-doubts", "--quiet")])
    assert done.exit_code == 0, done.output
    rates = {row["attack"]: row["rate"] for row in json.loads(done.stdout)["rates"] if row["deployment"] == "single"}
    assert rates["clean"] == 1 if not random else rates["clean"] > 0.5
    assert rates["pgd"] < rates["clean"]


def test_an_audit_gives_a_pipeline_the_words_of_the_data(tmp_path, monkeypatch):
    from variate.cli.own_module import build, fitted

    module = type(sys)("piped")
    module.pipe = text_pipeline
    monkeypatch.setitem(sys.modules, "piped", module)
    network = fitted(build("piped:pipe"), Text(WORDS))
    assert network.texts(inputs_of(torch.tensor([[2, 6]]))) == ["good film"]


def test_mistakes_are_told():
    assert not is_pipeline(torch.nn.Linear(2, 2))
    with pytest.raises(UsageError, match="this is a Linear"):
        network_of(torch.nn.Linear(2, 2))
    pipe = image_pipeline(12, resample=1)
    with pytest.raises(UsageError, match="resizes in a way that cannot be followed"):
        network_of(pipe)
    pipe.task = "object-detection"
    with pytest.raises(UsageError, match="a pipeline for object-detection"):
        network_of(pipe)
