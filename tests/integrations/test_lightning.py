"""The callback of Lightning, in a training of Lightning's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from variate.errors import UsageError
from variate.random.randomize import randomize

lightning = pytest.importorskip("lightning.pytorch", reason="needs variate[lightning]", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings("ignore")


class Training(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = randomize(nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2)), scale=0.05)

    def training_step(self, batch, _):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, _):
        self.log("accuracy", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=0.05)


def data():
    x = torch.rand(120, 4, generator=torch.Generator().manual_seed(0))
    return TensorDataset(x, (x[:, 0] > 0.5).long())


def trained(**options):
    from variate.integrations.lightning import RobustAccuracy

    module = Training()
    trainer = lightning.Trainer(
        max_epochs=6,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[RobustAccuracy(network="net", **options)],
    )
    trainer.fit(module, DataLoader(data(), batch_size=20), DataLoader(data(), batch_size=50))
    return module, trainer.callback_metrics


def test_it_logs_the_accuracy_under_attack_and_leaves_the_training_alone():
    module, metrics = trained(budget="linf:0.3", examples=70)
    assert float(metrics["accuracy"]) > 0.85
    assert float(metrics["robust_accuracy"]) < float(metrics["accuracy"]) - 0.2
    other, small = trained(budget="linf:0.001", examples=70, name="nearly_clean")
    assert float(small["nearly_clean"]) > 0.85
    means = [dict(one.net.named_parameters())["0.weight"] for one in (module, other)]
    assert all(bool(mean.isfinite().all()) for mean in means)


def test_a_budget_that_is_none_is_told_at_once():
    from variate.integrations.lightning import RobustAccuracy

    with pytest.raises(UsageError, match="no size"):
        RobustAccuracy("0.3")


class Whole(lightning.LightningModule):
    """Its steps run its layers by themselves: ``forward``, which draws, is never called."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def training_step(self, batch, _):
        return F.cross_entropy(self.layer(batch[0]), batch[1])

    def validation_step(self, batch, _):
        return self.layer(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_the_steps_of_a_random_module_make_a_draw_each():
    net = randomize(Whole(), scale=0.5)
    batch = data()[:30]
    before = net.layer.weight_rho.detach().clone()
    one, other = net.validation_step(batch, 0), net.validation_step(batch, 0)
    assert not torch.equal(one, other)
    with net.fixed(7):
        assert torch.equal(net.validation_step(batch, 0), net.validation_step(batch, 0))
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    lightning.Trainer(max_epochs=2, accelerator="cpu", **quiet).fit(net, DataLoader(data(), batch_size=40))
    assert float((net.layer.weight_rho - before).abs().max()) > 0
