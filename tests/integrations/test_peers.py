"""Networks and data of timm, torchvision, MONAI and MAITE: what works as it is, and the adapter for MAITE."""

import numpy as np
import pytest
import torch
from torch import nn

import variate
from variate.errors import InputError
from variate.integrations.maite import FromMaite, MaiteModel, maite_data

pytestmark = pytest.mark.filterwarnings("ignore")
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.3, 0.25]


def images(*shape):
    return torch.rand(4, *shape, generator=torch.Generator().manual_seed(0))


def seeded(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def rates(network, x, y, *, task="classes"):
    """The clean and the attacked rate."""
    attacks = [{"name": "pgd", "steps": 2}]
    result = variate.evaluate(
        network, x, y, task=task, budget="linf:0.1", attacks=attacks, draws=2, verdict_draws=4, deployments=["single"]
    )
    return [row.rate for row in result.rows]


def check(network, x, *, positions=False):
    """A network is right about its own answers, less so under attack, and can be made random."""
    with torch.no_grad():
        answers = network(x)
    y = answers.argmax(1)
    clean, attacked = rates(network, x, y, task="positions" if positions else "classes")
    assert clean == 1
    assert attacked < 1
    random = variate.randomize(network, scale=1e-4).eval()
    assert rates(random, x, y, task="positions" if positions else "classes")[0] > 0.9


def test_a_model_of_timm_needs_its_normalization_in_front():
    timm, v2 = pytest.importorskip("timm"), pytest.importorskip("torchvision.transforms.v2")
    model = seeded(lambda: timm.create_model("vit_tiny_patch16_224", num_classes=3, img_size=32, depth=1))
    facts = timm.data.resolve_model_data_config(model)
    check(nn.Sequential(v2.Normalize(facts["mean"], facts["std"]), model).eval(), images(3, 32, 32))


def test_a_model_of_torchvision_needs_its_normalization_in_front():
    models, v2 = (pytest.importorskip(f"torchvision.{part}") for part in ("models", "transforms.v2"))
    model = seeded(lambda: models.VisionTransformer(32, 16, 1, 2, 16, 32, num_classes=3))
    nn.init.normal_(model.heads.head.weight)
    check(nn.Sequential(v2.Normalize(MEAN, STD), model).eval(), images(3, 32, 32))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_networks_of_monai_segment_images_and_volumes(dimensions):
    nets = pytest.importorskip("monai.networks.nets")
    make = lambda: nets.UNet(  # noqa: E731
        spatial_dims=dimensions, in_channels=1, out_channels=2, channels=(4, 8), strides=(2,)
    )
    check(seeded(make), images(1, *[8] * dimensions), positions=True)


def test_tensors_of_monai_are_inputs():
    data = pytest.importorskip("monai.data")
    network = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    x = data.MetaTensor(images(1, 8, 8))
    y = network(torch.as_tensor(x)).argmax(1)
    assert rates(network, x, torch.as_tensor(y))[0] == 1


class Pictures:
    """A data set of MAITE."""

    metadata = {"id": "pictures"}  # noqa: RUF012

    def __init__(self, *, of_bytes=False):
        x = images(1, 8, 8).numpy()
        self.images = (255 * x).astype(np.uint8) if of_bytes else x

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], np.eye(3, dtype=np.float32)[index % 3], {"id": index}


class Foreign(nn.Module):
    """A model of MAITE, of probabilities or logits, which keeps gradients or not."""

    metadata = {"id": "foreign"}  # noqa: RUF012

    def __init__(self, *, probabilities=False, arrays=False):
        super().__init__()
        self.layers = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
        self.probabilities, self.arrays = probabilities, arrays

    def forward(self, batch):
        logits = self.layers(torch.stack([torch.as_tensor(image) for image in batch]))
        answers = logits.softmax(-1) if self.probabilities else logits
        return [answer.detach().numpy() if self.arrays else answer for answer in answers]


class TestMaite:
    @pytest.mark.parametrize("of_bytes", [False, True])
    def test_a_data_set_becomes_inputs_and_labels(self, of_bytes):
        x, y = maite_data(Pictures(of_bytes=of_bytes))
        assert torch.allclose(x, images(1, 8, 8), atol=1 / 255)
        assert y.tolist() == [0, 1, 2, 0]
        with pytest.raises(InputError, match="MAITE data set"):
            maite_data([(1, 2)])

    @pytest.mark.parametrize("probabilities", [False, True])
    def test_a_model_is_attacked_with_its_gradient_if_it_has_one(self, probabilities):
        model = Foreign(probabilities=probabilities).eval()
        x = images(1, 8, 8)
        y = model.layers(x).argmax(-1)
        plain, foreign = rates(model.layers, x, y), rates(FromMaite(model), x, y)
        assert foreign == plain
        assert foreign[0] == 1 > foreign[1]

    def test_a_model_of_arrays_is_a_black_box(self):
        network = FromMaite(Foreign(arrays=True).eval())
        x = images(1, 8, 8)
        result = variate.evaluate(
            network, x, network(x).argmax(-1), budget="linf:0.5", attacks=[{"name": "square", "queries": 60}],
            deployments=["single"],
        )  # fmt: skip
        clean, attacked = (row.rate for row in result.rows)
        assert clean > attacked

    def test_a_random_network_answers_as_a_model(self):
        network = variate.randomize(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), scale=0.5).eval()
        model, x = MaiteModel(network, 256), images(1, 8, 8)
        answers = torch.from_numpy(np.stack(model([image.numpy() for image in x])))
        expected = network.draws(x, range(256)).softmax(-1).mean(0)
        assert torch.allclose(answers.sum(-1), torch.ones(4), atol=1e-5)
        assert torch.allclose(answers, expected.detach(), atol=0.06)
        assert not np.array_equal(model(list(x))[0], model(list(x))[0])  # fresh draws at every request

    def test_they_are_what_the_protocols_ask_for(self):
        protocols = pytest.importorskip("maite.protocols.image_classification")
        assert isinstance(MaiteModel(Foreign().layers), protocols.Model)
        assert isinstance(Pictures(), protocols.Dataset)
        assert isinstance(Foreign(), protocols.Model)
