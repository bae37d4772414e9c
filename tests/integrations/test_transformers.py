"""A random network of Hugging Face's class, saved by that class's own method."""

import json

import pytest
import torch

import variate
from variate.errors import UsageError
from variate.random.randomize import randomize

transformers = pytest.importorskip("transformers", reason="transformers is not installed")


def network():
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=50, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    return randomize(transformers.GPT2LMHeadModel(config)).eval()


@pytest.mark.filterwarnings("ignore")
def test_saved_files_name_the_original_class_and_give_back_means_and_scales(tmp_path):
    from safetensors.torch import load_file

    net, words = network(), torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        for scale in variate.scale_parameters(net):
            scale.add_(1)
    net.save_pretrained(tmp_path)
    assert type(net).__name__ == "RandomGPT2LMHeadModel"
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["GPT2LMHeadModel"]
    means = transformers.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    assert torch.equal(means(words).logits, variate.mean(net)(words).logits)
    loaded = randomize(means).eval()
    loaded.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=False)
    assert torch.equal(variate.at(loaded, 7)(words).logits, variate.at(net, 7)(words).logits)


@pytest.mark.filterwarnings("ignore")
def test_loading_into_the_random_class_is_refused_with_the_way(tmp_path):
    net = network()
    net.save_pretrained(tmp_path)
    with pytest.raises(UsageError, match="from_pretrained cannot build a RandomGPT2LMHeadModel") as raised:
        type(net).from_pretrained(tmp_path)
    assert "GPT2LMHeadModel.from_pretrained" in raised.value.todo


@pytest.mark.filterwarnings("ignore")
def test_parameters_whose_names_have_changed_are_saved_under_those_of_the_network(tmp_path):
    """The attention of ViT has other names in files of older versions, by which no scale would be loaded."""
    from safetensors.torch import load_file

    config = transformers.ViTConfig(
        image_size=8, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    with torch.random.fork_rng():
        net, x = randomize(transformers.ViTForImageClassification(config)).eval(), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        for scale in variate.scale_parameters(net):
            scale.add_(1)
    net.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert state.keys() == net.state_dict().keys()
    means = transformers.ViTForImageClassification.from_pretrained(tmp_path).eval()
    assert torch.equal(means(x).logits, variate.mean(net)(x).logits)
    loaded = randomize(means).eval()
    loaded.load_state_dict(state)
    assert torch.equal(variate.at(loaded, 7)(x).logits, variate.at(net, 7)(x).logits)
