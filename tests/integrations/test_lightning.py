"""The callbacks of Lightning, in trainings of Lightning's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, default_collate

import variate
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


QUIET = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)


class Watched(Training):
    """Keeps what its steps were given."""

    def __init__(self, lr=0.05):
        super().__init__()
        self.lr, self.given = lr, []

    def training_step(self, batch, index):
        x, y = (batch["image"], batch["label"]) if isinstance(batch, dict) else batch
        self.given.append((x.clone(), y.clone(), self.net[0].weight.detach().clone()))
        return super().training_step((x, y), index)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.lr)


def adversary(**options):
    from variate.integrations.lightning import AdversarialTraining

    return AdversarialTraining(**{"budget": "linf:0.1", "steps": 2, "network": "net", **options})


def fitted(module, callback, *, epochs=2, loader=None, folder=None, path=None, **options):
    keeping = {"enable_checkpointing": folder is not None, "default_root_dir": folder}
    trainer = lightning.Trainer(
        max_epochs=epochs, accelerator="cpu", callbacks=[callback], **keeping, **QUIET, **options
    )
    trainer.fit(module, loader or DataLoader(data(), batch_size=40), ckpt_path=path)
    return trainer


class TestAdversarialTraining:
    def test_every_step_gets_a_batch_within_the_budget_and_the_data_stay_as_they_were(self):
        dataset, module = data(), Watched()
        before = dataset.tensors[0].clone()
        fitted(module, adversary(), loader=DataLoader(dataset, batch_size=40))
        assert torch.equal(dataset.tensors[0], before)
        assert len(module.given) == 6
        moved = torch.stack([x for x, _, _ in module.given[:3]]).view(-1, 4) - before
        assert 0.08 < float(moved.abs().amax()) <= 0.1 + 1e-6
        loss, perturbed = (
            F.cross_entropy(variate.mean(module.net)(x), dataset.tensors[1])
            for x in (before, torch.cat([x for x, _, _ in module.given[3:]]))
        )
        assert perturbed > loss

    def test_the_loss_and_the_attack_take_draws_of_their_own_streams(self):
        module, callback = Watched(lr=0.0), adversary(seed=4, scales=None)
        drawn = []
        module.net[0].register_forward_pre_hook(lambda layer, _: drawn.append(layer.weight.detach().clone()))
        fitted(module, callback, epochs=1)
        own, search = variate.Stream("train", 4).take(3), variate.Stream("search", 4).take(6)
        order = [key for turn in range(3) for key in (*search[2 * turn : 2 * turn + 2], own[turn])]
        weights = [variate.at(module.net, key)[0].weight for key in order]
        assert len(drawn) == 9
        assert all(torch.equal(one, other) for one, other in zip(drawn, weights, strict=True))
        assert callback.state_dict() == {"indices": [3, 6]}
        assert variate.stream(module.net).seed is None

    def test_it_is_the_attack_of_our_own_training(self):
        """With the same keys, the perturbed batch is that of the inner attack of ``variate.train``."""
        from variate.inputs.budget import Budget
        from variate.training.inner_attack import InnerAttack

        module = Watched(lr=0.0)
        fitted(module, adversary(seed=4), epochs=1)
        x, y = data().tensors
        attack = InnerAttack(module.net, variate.Stream("search", 4), Budget.parse("linf:0.1"), steps=2, seed=4)
        assert torch.allclose(attack(x[:40], y[:40]), module.given[0][0], atol=1e-6)

    def test_a_resumed_training_ends_as_an_uninterrupted_one(self, tmp_path):
        whole, half, again = Watched(), Watched(), Watched()
        fitted(whole, adversary(), epochs=4)
        path = tmp_path / "half.ckpt"
        fitted(half, adversary(), epochs=2, folder=tmp_path).save_checkpoint(path)
        fitted(again, adversary(), epochs=4, folder=tmp_path, path=path)
        for name, parameter in whole.named_parameters():
            assert torch.equal(parameter, again.get_parameter(name)), name

    def test_objectives_of_the_distribution_act_on_the_scales(self):
        modules = {scales: Watched() for scales in (None, "snr(target=1)")}
        for scales, module in modules.items():
            fitted(module, adversary(scales=scales))
        plain, pulled = (sum(float(std.mean()) for std in variate.stds(m.net).values()) for m in modules.values())
        assert pulled > plain

    def test_batches_may_be_dictionaries_and_tuples_are_refused(self):
        named, module = [{"image": x, "label": y} for x, y in data()], Watched()
        fitted(module, adversary(keys=("image", "label")), epochs=1, loader=DataLoader(named, batch_size=40))
        moved = (module.given[0][0] - data().tensors[0][:40]).abs().amax()
        assert 0.08 < float(moved) <= 0.1 + 1e-6
        for loader, found in (
            (DataLoader(data(), batch_size=40, collate_fn=lambda rows: tuple(default_collate(rows))), "a tuple"),
            (DataLoader(named, batch_size=40), "a dict of 'image', 'label'"),
        ):
            with pytest.raises(UsageError, match=f"the batch is {found}"):
                fitted(Watched(), adversary(), epochs=1, loader=loader)

    def test_mistakes_are_told_at_once(self):
        with pytest.raises(UsageError, match="no size"):
            adversary(budget="0.3")
        with pytest.raises(UsageError, match="elbo needs inputs and labels"):
            adversary(scales="elbo")
        with pytest.raises(UsageError, match="does not apply to image inputs"):
            adversary(budget="words:2")
