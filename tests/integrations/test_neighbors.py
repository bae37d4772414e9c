"""Random networks among their neighbors: scikit-learn, torchmetrics, Lightning, Foolbox, ART."""

import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_blobs
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

import variate
from variate.errors import InputError, UsageError
from variate.evaluation.judge import right_answers
from variate.integrations.foolbox_art import art_classifier, foolbox_model
from variate.integrations.sklearn import RandomNetworkClassifier
from variate.integrations.torchmetrics import DrawAccuracy
from variate.oracle.averaging import FreshAverage
from variate.random.network import RandomNetwork
from variate.random.randomize import randomize
from variate.statistics.rates import Deployment, rate_of


def net(scale=0.5):
    torch.manual_seed(0)
    return randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 12), nn.Tanh(), nn.Linear(12, 3)), scale=scale).eval()


def inputs(batch=6):
    return torch.rand(batch, 1, 4, 4, generator=torch.Generator().manual_seed(1))


class TestSklearn:
    @pytest.fixture
    def blobs(self):
        return make_blobs(200, 4, centers=3, random_state=0)

    @pytest.mark.filterwarnings("ignore")
    def test_it_passes_every_check_of_scikit_learn(self):
        """No check is expected to fail. Two are skipped: they need pandas, and scipy's array interface."""
        classifier = RandomNetworkClassifier(epochs=30, draws=4, random_state=0)
        found = check_estimator(classifier, expected_failed_checks={}, on_fail="raise", on_skip=None)
        skipped = {check["check_name"] for check in found if check["status"] == "skipped"}
        assert skipped <= {"check_array_api_input", "check_classifier_data_not_an_array"}
        assert sum(check["status"] == "passed" for check in found) > 40

    def test_without_a_seed_every_prediction_takes_fresh_draws(self, blobs):
        fresh = RandomNetworkClassifier(epochs=2, draws=2).fit(*blobs)
        assert not np.array_equal(fresh.predict_proba(blobs[0]), fresh.predict_proba(blobs[0]))
        seeded = RandomNetworkClassifier(epochs=2, draws=2, random_state=3).fit(*blobs)
        again = RandomNetworkClassifier(epochs=2, draws=2, random_state=3).fit(*blobs)
        assert np.array_equal(seeded.predict_proba(blobs[0]), again.predict_proba(blobs[0]))
        other = RandomNetworkClassifier(epochs=2, draws=2, random_state=4).fit(*blobs)
        assert not np.array_equal(seeded.predict_proba(blobs[0]), other.predict_proba(blobs[0]))

    @pytest.mark.parametrize("defense", ["random", "dropout"])
    def test_threads_get_the_predictions_of_one(self, blobs, defense):
        x = blobs[0][:20]
        fitted = RandomNetworkClassifier(defense=defense, epochs=1, random_state=0).fit(*blobs)
        expected = fitted.predict_proba(x)
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(fitted.predict_proba, [x] * 60))
        assert all(np.allclose(answer, expected, atol=1e-6) for answer in answers)

    def test_it_learns_and_its_network_is_random_and_can_be_attacked(self, blobs):
        x, y = blobs
        names = np.array(["north", "south", "west"])[y]
        fitted = RandomNetworkClassifier(epochs=30, random_state=0).fit(x, names)
        assert fitted.score(x, names) > 0.9
        assert list(fitted.classes_) == ["north", "south", "west"]
        assert isinstance(fitted.network_, RandomNetwork)
        assert np.allclose(fitted.predict_proba(x).sum(1), 1)
        unit = fitted.scaled(x)
        assert (float(unit.min()), float(unit.max())) == (0, 1)
        assert float(fitted.scaled(3 * x).max()) == 1
        result = variate.evaluate(
            fitted.network_, unit[:20], torch.as_tensor(y[:20]), budget="linf:0.9", attacks=["fgsm"], verdict_draws=32
        )
        clean, attacked = (next(row.rate for row in result.rows if row.attack == name) for name in ("clean", "fgsm"))
        assert attacked < clean

    def test_it_is_searched_validated_and_kept_like_any_other(self, blobs):
        search = GridSearchCV(RandomNetworkClassifier(epochs=5, random_state=0), {"lr": [1e-6, 2e-2]}, cv=2)
        search.fit(*blobs)
        assert search.best_params_ == {"lr": 2e-2}
        pipeline = make_pipeline(StandardScaler(), RandomNetworkClassifier(epochs=20, random_state=0))
        assert cross_val_score(pipeline, *blobs, cv=2).mean() > 0.85
        again = pickle.loads(pickle.dumps(search.best_estimator_))
        assert np.array_equal(again.predict_proba(blobs[0]), search.best_estimator_.predict_proba(blobs[0]))

    def test_a_network_of_ones_own_takes_any_shape(self):
        x, y = load_digits(return_X_y=True)
        images, y = x[:200].reshape(-1, 1, 8, 8), y[:200]
        shapes = []

        def made(shape, classes):
            shapes.append((shape, classes))
            return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, classes))

        for network in (made, made((1, 8, 8), 10)):
            fitted = RandomNetworkClassifier(network, defense="rse", epochs=15, random_state=0).fit(images, y)
            assert fitted.score(images, y) > 0.8
        assert shapes[-1] == ((1, 8, 8), 10)
        state = torch.get_rng_state()
        fitted.predict(images[:3])
        assert torch.equal(state, torch.get_rng_state())

    def test_an_adversarial_defense_has_a_budget(self, blobs):
        with pytest.raises(UsageError, match="budget"):
            RandomNetworkClassifier(defense="random-at", epochs=1).fit(*blobs)
        assert RandomNetworkClassifier(defense="random-at", epochs=1, budget="linf:0.05").fit(*blobs)


class TestMetric:
    @pytest.fixture
    def batches(self):
        generator = torch.Generator().manual_seed(0)
        return [(torch.randn(12, b, 3, generator=generator), torch.arange(b) % 3) for b in (4, 7)]

    @pytest.mark.parametrize("deployment", ["single", "mean-3", "majority-3", "survive-3"])
    def test_it_is_the_rate_of_the_judge(self, batches, deployment):
        metric, way = DrawAccuracy(deployment), Deployment.parse(deployment)
        for logits, y in batches:
            metric.update(logits, y)
        bits = torch.cat([right_answers(way, logits, y) for logits, y in batches], 1).numpy()
        expected = rate_of(way, bits)
        assert float(metric.compute()) == pytest.approx(expected.rate)
        assert metric.rate() == expected
        metric.reset()
        with pytest.raises(InputError, match="no answers yet"):
            metric.rate()

    def test_it_is_a_metric_of_torchmetrics_where_there_is_one(self, batches):
        torchmetrics = pytest.importorskip("torchmetrics")
        found = torchmetrics.MetricCollection({"single": DrawAccuracy(), "mean": DrawAccuracy("mean-2")})
        found.update(*batches[0])
        assert set(found.compute()) == {"single", "mean"}
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found.reset()

    def test_mistakes(self):
        with pytest.raises(InputError, match="draws, B, classes"):
            DrawAccuracy().update(torch.zeros(4, 3), torch.zeros(4))
        with pytest.raises(UsageError, match="too few"):
            DrawAccuracy("mean-16").update(torch.zeros(16, 2, 3), torch.zeros(2, dtype=torch.int64))


class TestFreshAverage:
    def test_every_pass_averages_over_draws_of_the_search(self):
        random, x = net(), inputs()
        average = FreshAverage(random, 3, stream=variate.Stream("search", 5))
        keys = variate.Stream("search", 5).take(6)
        for chosen in (keys[:3], keys[3:]):
            expected = random.draws(x, chosen).softmax(-1).mean(0).log()
            assert torch.allclose(average(x), expected, atol=1e-6)

    def test_gradients_reach_the_inputs_and_no_parameter(self):
        random, x = net(), inputs().requires_grad_()
        average = FreshAverage(random, 2, stream=variate.Stream("search", 0))
        average(x).square().sum().backward()
        assert float(x.grad.abs().sum()) > 0
        assert all(parameter.grad is None for parameter in random.parameters())
        assert list(average.parameters()) == []
        average.train().double()
        assert not random.training
        assert next(random.parameters()).dtype == torch.float32

    def test_mistakes(self):
        with pytest.raises(UsageError, match="draws is 0"):
            FreshAverage(net(), 0)
        with pytest.raises(UsageError, match="no average named"):
            FreshAverage(net(), average="median")

    def test_foolbox_attacks_it(self):
        foolbox = pytest.importorskip("foolbox")
        random, x = net(0.05), inputs()
        y = random.mean()(x).argmax(-1)
        model = foolbox_model(random, 4, seed=0)
        assert model.bounds == (0, 1)
        attack = foolbox.attacks.LinfPGD(steps=10)
        found = attack(model, x, foolbox.criteria.Misclassification(y), epsilons=0.5)[0]
        assert float((found - x).abs().max()) <= 0.5 + 1e-6
        right = variate.judge_until(random, found, y, width=0.5).rate.rate
        assert right < variate.judge_until(random, x, y, width=0.5).rate.rate

    @pytest.mark.filterwarnings("ignore")
    def test_art_attacks_it(self):
        evasion = pytest.importorskip("art.attacks.evasion", reason="needs variate[art]")
        random, x = net(0.05), inputs()
        y = random.mean()(x).argmax(-1)
        classifier = art_classifier(random, (1, 4, 4), 3, draws=4, seed=0)
        found = evasion.FastGradientMethod(classifier, eps=0.5).generate(x.numpy(), y=np.eye(3)[y.numpy()])
        right = variate.judge_until(random, torch.from_numpy(found), y, width=0.5).rate.rate
        assert right < variate.judge_until(random, x, y, width=0.5).rate.rate
