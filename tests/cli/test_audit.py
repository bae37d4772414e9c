"""`variate audit` of networks that say their answer in their own way, without a wrapper of the user's."""

import pytest
from typer.testing import CliRunner

from variate.cli.main import app

NETWORKS = """
import torch
from torch import nn


def _made(kind, config):
    torch.manual_seed(0)
    return kind(config).eval()


def classifier():
    import transformers
    config = transformers.ViTConfig(image_size=32, patch_size=8, hidden_size=16, num_hidden_layers=1,
                                    num_attention_heads=2, intermediate_size=32, num_labels=4)
    return _made(transformers.ViTForImageClassification, config)


def segmenter():
    import transformers
    config = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[3, 3],
        strides=[2, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16, num_labels=3,
    )
    return _made(transformers.SegformerForSemanticSegmentation, config)


def one_logit():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4), nn.Dropout(0.2), nn.Linear(4, 1))
"""
DATA = """
import numpy as np

X = np.random.default_rng(0).random((4, 3, 32, 32), dtype=np.float32)


def four():
    return X, np.arange(4)


def masks():
    return X, np.arange(4 * 32 * 32).reshape(4, 32, 32) % 4 - 1


def halves():
    return X, np.arange(4) % 2
"""
FEW = ["--suite", "none", "--attack", "pgd(steps=1)", "--draws", "1", "--verdict-draws", "4", "--budget", "linf:0.03"]


@pytest.fixture
def audit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (("audited", NETWORKS), ("audited_data", DATA)):
        (tmp_path / f"{name}.py").write_text(text)

    def command(network, data, *words):
        start = ["audit", f"audited.py:{network}", "--data", f"audited_data.py:{data}", "--out", "out", "--quiet"]
        return CliRunner().invoke(app, [*start, *FEW, "--deployment", "single", *words])

    return command


@pytest.mark.parametrize(
    ("network", "data", "words"),
    [
        ("classifier", "four", []),
        ("segmenter", "masks", ["--task", "positions"]),
        ("one_logit", "halves", ["--task", "binary"]),
    ],
)
def test_an_answer_is_found_where_the_network_puts_it(audit, network, data, words):
    if network != "one_logit":
        pytest.importorskip("transformers")
    done = audit(network, data, "--no-doubts", *words)
    assert done.exit_code == 0, done.output
    assert "pgd" in done.stdout
    assert "under attack is at most" in done.stdout


def test_a_task_that_is_not_named_is_asked_for(audit):
    done = audit("one_logit", "halves")
    assert done.exit_code == 1
    assert "--task binary" in done.output
    done = audit("one_logit", "masks")
    assert done.exit_code == 1
    assert "name their task, such as positions" in " ".join(done.output.split())
