"""Adversarial training in the Trainer of transformers, of a tiny BERT and a tiny ViT from configs."""

import pytest
import torch

import variate
from variate.errors import InputError, UsageError

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")

MEAN, STD = [0.5, 0.4, 0.3], [0.25, 0.3, 0.35]


def made(kind, config, *, random=True):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config)
    return variate.randomize(model, scale=0.1) if random else model


def bert(*, random=True):
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=8, num_labels=2, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    return made(transformers.BertForSequenceClassification, config, random=random)


def vit(*, random=True):
    config = transformers.ViTConfig(
        image_size=8, patch_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=2,
    )  # fmt: skip
    return made(transformers.ViTForImageClassification, config, random=random)


def texts(count=8):
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(2, 30, (count, 5), generator=generator)
    mask = torch.ones_like(ids)
    mask[::2, 3:] = 0
    return [{"input_ids": i, "attention_mask": m, "labels": int(i[0] > 15)} for i, m in zip(ids, mask, strict=True)]


def images(count=8):
    pixels = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return [{"pixel_values": (x - mean) / std, "labels": int(x[0].mean() > 0.5)} for x in pixels]


def adversary(**options):
    from variate.integrations.transformers.adversarial_training import AdversarialTraining

    return AdversarialTraining(**{"budget": "l2:0.5", "steps": 2, **options})


def trainer(model, data, folder, callbacks, **options):
    chosen = {
        "max_steps": 2, "per_device_train_batch_size": 4, "per_device_eval_batch_size": 4, "report_to": [],
        "disable_tqdm": True, "use_cpu": True, "save_strategy": "no", "learning_rate": 1e-2, "logging_steps": 1,
        "remove_unused_columns": False,
    }  # fmt: skip
    arguments = transformers.TrainingArguments(output_dir=str(folder), **{**chosen, **options})
    return transformers.Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data, callbacks=callbacks)


def order(rows, data, key):
    """The examples of the data set that rows of a batch are."""
    stacked = torch.stack([example[key] for example in data]).flatten(1).float()
    return torch.cdist(rows.flatten(1).float(), stacked).argmin(1)


def test_the_pixels_of_every_training_batch_are_moved_within_the_budget(tmp_path):
    data, model, seen = images(4), vit(), []
    model.vit.embeddings.patch_embeddings.projection.register_forward_pre_hook(
        lambda module, args: seen.append(args[0].detach().clone())
    )
    callback = adversary(budget="linf:0.05", steps=3, mean=MEAN, std=STD)
    trainer(model, data, tmp_path, [callback], max_steps=1).train()
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    originals = torch.stack([example["pixel_values"] for example in data])[order(seen[-1], data, "pixel_values")]
    moved = ((seen[-1] - originals) * std).abs().flatten(1).amax(1)
    pixels = seen[-1] * std + mean
    assert len(seen) == 3 + 1  # three steps of PGD, and one forward of the Trainer
    assert bool(((moved > 0.03) & (moved < 0.05 + 1e-5)).all())
    assert float(pixels.min()) > -1e-5
    assert float(pixels.max()) < 1 + 1e-5


def test_the_vectors_of_pieces_are_moved_and_those_of_padding_are_not(tmp_path):
    data, model, seen = texts(4), bert(random=False), []
    embedding = model.bert.embeddings.word_embeddings
    model.bert.embeddings.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append([kwargs["input_ids"]]), with_kwargs=True
    )
    model.bert.embeddings.LayerNorm.register_forward_pre_hook(lambda module, args: seen[-1].append(args[0].detach()))
    trainer(model, data, tmp_path, [adversary(budget="l2:0.5", steps=3)], max_steps=1, learning_rate=0.0).train()
    ids, vectors = seen[-1]
    rest = model.bert.embeddings.position_embeddings.weight[: ids.shape[1]]
    rest = rest + model.bert.embeddings.token_type_embeddings.weight[0]
    offsets = (vectors - embedding.weight[ids] - rest).detach()
    mask = torch.stack([data[int(row)]["attention_mask"] for row in order(ids, data, "input_ids")])
    assert float(offsets[mask == 0].abs().max()) < 1e-6
    assert torch.allclose(offsets.flatten(1).norm(dim=1), torch.tensor(0.5), atol=0.02)
    assert not embedding._forward_hooks  # the model is left as it was


def test_every_forward_takes_the_next_draw_of_its_own_stream(tmp_path):
    model, drawn = bert(), []
    model.classifier.register_forward_pre_hook(lambda module, _: drawn.append(module.weight.detach().clone()))
    callback = adversary(seed=5, scales=None)
    options = {"learning_rate": 0.0, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}
    trainer(model, texts(), tmp_path, [callback], **options).train()
    count = 2 * 2  # steps of the optimizer, and batches of each
    keys, search = variate.Stream("train", 5).take(count), variate.Stream("search", 5).take(2 * count)
    expected = [key for turn in range(count) for key in (*search[2 * turn : 2 * turn + 2], keys[turn])]
    weights = [variate.at(model, key).classifier.weight for key in expected]
    assert len(drawn) == len(weights)
    assert all(torch.equal(one, other) for one, other in zip(drawn, weights, strict=True))
    assert callback.state()["attributes"] == {"indices": [count, 2 * count]}
    assert variate.stream(model).seed is None  # a trained network draws from the system's entropy


@pytest.mark.parametrize(("make", "data"), [(bert, texts), (vit, images)])
def test_without_a_budget_it_is_the_training_of_the_trainer(make, data, tmp_path):
    """The loss, its accumulation and the draws of the network are those of a Trainer without the callback."""
    options = {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}
    plain, attacked = make(), make()
    variate.set_seed(plain, 3)
    trainer(plain, data(), tmp_path, [], **options).train()
    norm = {"budget": "l2:0"} if make is bert else {"budget": "linf:0", "mean": MEAN, "std": STD}
    callback = adversary(**norm, seed=3, scales=None)
    trainer(attacked, data(), tmp_path, [callback], **options).train()
    assert callback.indices == [4, 8]
    for name, parameter in plain.named_parameters():
        assert torch.allclose(parameter, attacked.get_parameter(name), atol=2e-4), name


@pytest.mark.parametrize(("make", "data"), [(bert, texts), (vit, images)])
def test_a_resumed_training_ends_as_an_uninterrupted_one(make, data, tmp_path):
    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "lr_scheduler_type": "constant"}
    chosen = {} if make is bert else {"budget": "linf:0.05", "mean": MEAN, "std": STD}
    whole, half = make(), make()
    trainer(whole, data(), tmp_path, [adversary(**chosen)], **options).train()
    run = trainer(half, data(), tmp_path / "again", [adversary(**chosen)], **options)
    run.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    start = dict(make().named_parameters())
    for name, parameter in whole.named_parameters():
        assert torch.equal(parameter, half.get_parameter(name)), name
    assert not torch.equal(whole.classifier.weight_rho, start["classifier.weight_rho"])  # scales learn too
    other = trainer(make(), data(), tmp_path / "other", [adversary(**{**chosen, "steps": 3})], **options)
    with pytest.raises(UsageError, match="another adversarial training") as raised:
        other.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert raised.value.findings == ("steps: 2 there, 3 now",)


def test_objectives_of_the_distribution_act_on_the_scales(tmp_path):
    models = {scales: bert() for scales in (None, "snr(target=1)")}
    for scales, model in models.items():
        trainer(model, texts(), tmp_path, [adversary(scales=scales)]).train()
    plain, pulled = (sum(float(std.mean()) for std in variate.stds(model).values()) for model in models.values())
    assert pulled > plain
    with pytest.raises(UsageError, match="trades needs inputs and labels"):
        adversary(scales="trades")


def test_label_smoothing_is_refused_unless_the_answers_are_attacked(tmp_path):
    with pytest.raises(UsageError, match=r"label_smoothing_factor=0\.1") as raised:
        trainer(bert(), texts(), tmp_path, [adversary()], label_smoothing_factor=0.1).train()
    assert "against='answers'" in raised.value.todo
    model, losses = bert(), []
    model.register_forward_hook(lambda module, args, output: losses.append(output.loss))
    callback = adversary(against="answers")
    done = trainer(model, texts(), tmp_path, [callback], label_smoothing_factor=0.1, max_steps=1)
    done.train()
    assert set(losses) == {None}  # the Trainer's own loss is that of the label smoother
    assert callback.state()["attributes"]["indices"][1] == 1 + 2  # a draw that answers, and two steps


def test_mistakes_are_told(tmp_path):
    with pytest.raises(UsageError, match="no size"):
        adversary(budget="0.3")
    with pytest.raises(UsageError, match="steps is 0"):
        adversary(steps=0)
    with pytest.raises(UsageError, match="words:2 does not apply to input_ids"):
        trainer(bert(), texts(), tmp_path, [adversary(budget="words:2")]).train()
    with pytest.raises(InputError, match="pixels range from") as raised:
        trainer(vit(), images(), tmp_path, [adversary(budget="linf:0.1")]).train()
    assert "mean= and std=" in raised.value.todo
    unlabelled = [{key: value for key, value in example.items() if key != "labels"} for example in texts()]
    with pytest.raises(InputError, match="no labels when the model sees it"):
        trainer(bert(), unlabelled, tmp_path, [adversary()]).train()


def test_an_interrupted_training_leaves_no_second_attack(tmp_path):
    class Interrupting(transformers.TrainerCallback):
        def on_step_end(self, *args, **given):
            raise KeyboardInterrupt

    model, passes = bert(random=False), []
    with pytest.raises(KeyboardInterrupt):
        trainer(model, texts(), tmp_path, [adversary(), Interrupting()]).train()
    model.classifier.register_forward_pre_hook(lambda *_: passes.append(torch.is_grad_enabled()))
    trainer(model, texts(), tmp_path, [adversary()], max_steps=1).train()
    assert sum(passes) == 2 + 1  # two steps of one attack, and the Trainer's own
    assert not model._forward_pre_hooks
    assert not model.bert.embeddings.word_embeddings._forward_hooks


def test_the_processor_of_the_trainer_says_how_pixels_are_normalized(tmp_path):
    processor = transformers.ViTImageProcessor(image_mean=MEAN, image_std=STD)
    model, callback = vit(), adversary(budget="linf:0.1")
    run = trainer(model, images(), tmp_path, [callback], max_steps=1)
    run.callback_handler.processing_class = processor
    run.train()
    assert (callback.mean, callback.std) == (MEAN, STD)


class TestRobustEvaluation:
    def evaluated(self, folder, budget, **options):
        from variate.integrations.transformers.robust_evaluation import RobustEvaluation

        model = bert()
        with torch.no_grad():
            model.classifier.weight.mul_(50)
        told = []
        measure = RobustEvaluation(
            budget or "l2:1", steps=3, log=lambda numbers, step: told.append((numbers, step)), **options
        )
        run = trainer(model, texts(), folder, [measure] if budget else [])
        torch.manual_seed(0)
        metrics = run.evaluate()
        return model, metrics, run, told, torch.get_rng_state()

    def test_the_metrics_get_the_rate_and_its_interval(self, tmp_path):
        model, metrics, run, told, _ = self.evaluated(tmp_path, "l2:1e-6", draws=32)
        data = texts()
        ids, mask = (torch.stack([example[key] for example in data]) for key in ("input_ids", "attention_mask"))
        y = torch.tensor([example["labels"] for example in data])
        with torch.no_grad():
            answers = []
            for key in range(100):
                with variate.fixed(model, key):
                    answers.append(model(ids, attention_mask=mask).logits.argmax(-1))
        clean = float((torch.stack(answers) == y).float().mean())
        rate, low, high = (metrics[f"eval_robust_accuracy{end}"] for end in ("", "_low", "_high"))
        assert rate == pytest.approx(clean, abs=0.15)  # with next to no budget, it is the clean rate
        assert 0 <= low < rate < high <= 1
        assert run.state.log_history[-1]["eval_robust_accuracy"] == rate
        assert told == [({name: metrics[name] for name in told[0][0]}, 0)]

    def test_a_large_budget_leaves_nothing(self, tmp_path):
        _, metrics, *_ = self.evaluated(tmp_path, "l2:30", examples=6)
        _, clean, *_ = self.evaluated(tmp_path, "l2:1e-6", examples=6)
        assert metrics["eval_robust_accuracy"] < clean["eval_robust_accuracy"] - 0.2

    def test_an_evaluation_within_a_training_has_the_same_budget(self, tmp_path):
        from variate.integrations.transformers.batches import Pieces
        from variate.training.robust_rate import RobustRate

        model, batch = bert(random=False).eval(), texts(4)
        kept = {key: torch.stack([torch.as_tensor(example[key]) for example in batch]) for key in batch[0]}
        seen, sizes = [Pieces(model), Pieces(model)], []  # of the training, and of the evaluation
        model.bert.embeddings.word_embeddings.register_forward_hook(
            lambda module, args, output: sizes.append((output - module.weight[args[0]]).flatten(1).norm(dim=1).max())
        )
        x = seen[1].keep(kept)
        RobustRate(seen[1], "l2:0.5", steps=3, modality=seen[1].modality).add(x, kept["labels"])
        assert float(sizes[-1]) == pytest.approx(0.5, abs=0.02)
        seen[1].close()
        seen[0].close()
        assert len(model.bert.embeddings.word_embeddings._forward_hooks) == 1  # that of this test

    def test_it_leaves_no_trace(self, tmp_path):
        model, *_, state = self.evaluated(tmp_path, "l2:0.5")
        *_, plain = self.evaluated(tmp_path, "")
        assert torch.equal(state, plain)
        assert not model.bert.embeddings.word_embeddings._forward_hooks
        assert all(parameter.grad is None for parameter in model.parameters())
