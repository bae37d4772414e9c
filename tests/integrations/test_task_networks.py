"""Networks of Hugging Face from configs, audited on their own task without a wrapper."""

import pytest
import torch

import variate

transformers = pytest.importorskip("transformers")
COUNT, SIDE = 4, 32
X = torch.rand(COUNT, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def made(kind, config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(config).eval()


def segmenter():
    config = transformers.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[3, 3],
        strides=[2, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16, num_labels=3,
    )  # fmt: skip
    return made(transformers.SegformerForSemanticSegmentation, config)


def classifier(labels):
    config = transformers.ViTConfig(
        image_size=SIDE, patch_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, num_labels=labels,
    )  # fmt: skip
    return made(transformers.ViTForImageClassification, config)


@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize(
    ("make", "task", "y"),
    [
        (segmenter, "positions", torch.arange(COUNT * SIDE * SIDE).view(COUNT, SIDE, SIDE) % 4 - 1),
        (lambda: classifier(5), "classes", torch.arange(COUNT)),
        (lambda: classifier(1), "binary", torch.arange(COUNT) % 2),
        (lambda: classifier(3), "labels", torch.arange(COUNT * 3).view(COUNT, 3) % 2),
        (lambda: classifier(1), "regression(tolerance=0.5)", torch.zeros(COUNT)),
    ],
    ids=["segmentation", "classes", "one logit", "labels", "a number"],
)
def test_logits_are_found_in_the_output(make, task, y, random):
    network = variate.randomize(make(), scale=0.05).eval() if random else make()
    result = variate.evaluate(network, X, y, task=task, budget="linf:0.03", attacks=[{"name": "pgd", "steps": 2}],
                              draws=2, verdict_draws=4, deployments=["single", "mean-2"])  # fmt: skip
    assert len(result.rows) == 4
    assert all(0 <= row.low <= row.rate <= row.high <= 1 for row in result.rows)
    if task == "positions":  # maps of half the size are brought to that of the image
        with torch.no_grad():
            assert network(X).logits.shape[-1] < SIDE
