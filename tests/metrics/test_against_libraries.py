"""Every metric is that of scikit-learn or torchmetrics, with all weights 1 and under any other weights."""

import numpy as np
import pytest
import torch
from sklearn import metrics as theirs

from variate.metrics.measure import measure
from variate.metrics.metric import metric_of
from variate.metrics.responses import responses

DRAWS, EXAMPLES = 3, 60


def answers(classes, seed=0, *, draws=DRAWS, examples=EXAMPLES):
    """Outputs that tell something, with ties between probabilities, and labels in which every class occurs."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.cat([torch.arange(classes), torch.randint(0, classes, (examples - classes,), generator=generator)])
    noise = torch.randn(draws, examples, classes, generator=generator, dtype=torch.float64)
    logits = torch.nn.functional.one_hot(y, classes) + noise
    return (logits * 2).round() / 2, y


def weights_of(seed=0, *, draws=DRAWS, examples=EXAMPLES):
    """Weights as those of a resample: some examples and draws twice or not at all."""
    generator = np.random.default_rng(seed)
    return np.outer(generator.integers(1, 3, draws), generator.integers(0, 4, examples)).astype(float)


def ours(name, task, outputs, y, weights):
    """A metric under weights (G, N) of the real examples."""
    prepared = metric_of(name).prepared(responses(task_of(task), outputs, y))
    extra = np.zeros((len(weights), 2 * prepared.made_up))
    return float(prepared.of(np.concatenate([weights, extra], 1)[:, :, None])[0])


def task_of(task):
    from variate.tasks.task import task_of as found

    return found(task)


def sensitivity_at(y, p, fpr, weight):
    false, true, _ = theirs.roc_curve(y, p, sample_weight=weight, drop_intermediate=False)
    return true[false <= fpr + 1e-12].max()


def expected(name, y, p, weight):
    """The metric by scikit-learn, of probabilities (M, K)."""
    answer, classes = p.argmax(1), p.shape[1]
    truth = np.eye(classes)[y]
    ranked = [1] if classes == 2 else range(classes)
    return {
        "accuracy": lambda: theirs.accuracy_score(y, answer, sample_weight=weight),
        "balanced-accuracy": lambda: theirs.balanced_accuracy_score(y, answer, sample_weight=weight),
        "mcc": lambda: theirs.matthews_corrcoef(y, answer, sample_weight=weight),
        "f-beta(beta=2)": lambda: theirs.fbeta_score(
            y, answer, beta=2, average="binary" if classes == 2 else "macro", sample_weight=weight
        ),
        "auroc": lambda: np.mean([theirs.roc_auc_score(truth[:, k], p[:, k], sample_weight=weight) for k in ranked]),
        "average-precision": lambda: np.mean(
            [theirs.average_precision_score(truth[:, k], p[:, k], sample_weight=weight) for k in ranked]
        ),
        "sensitivity(fpr=0.1)": lambda: np.mean([sensitivity_at(truth[:, k], p[:, k], 0.1, weight) for k in ranked]),
        "brier": lambda: theirs.brier_score_loss(y, p, sample_weight=weight, labels=range(classes)),
        "expected-cost(costs=linear)": lambda: np.average(np.abs(y - answer), weights=weight),
    }[name]()


CLASSES = [
    "accuracy",
    "balanced-accuracy",
    "mcc",
    "f-beta(beta=2)",
    "auroc",
    "average-precision",
    "sensitivity(fpr=0.1)",
    "brier",
    "expected-cost(costs=linear)",
]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", CLASSES)
def test_classes(name, classes):
    outputs, y = answers(classes)
    flat = np.tile(y.numpy(), DRAWS), outputs.softmax(-1).reshape(-1, classes).numpy()
    for weights in (np.ones((DRAWS, EXAMPLES)), weights_of()):
        assert ours(name, "classes", outputs, y, weights) == pytest.approx(
            expected(name, *flat, weights.reshape(-1)), abs=1e-9
        )
    measured = measure("classes", outputs, y, names=name)[0]
    assert measured.value == pytest.approx(expected(name, *flat, np.ones(DRAWS * EXAMPLES)), abs=1e-9)
    assert measured.low < measured.value < measured.high


@pytest.mark.parametrize("name", CLASSES)
def test_one_logit_is_as_two(name):
    outputs, y = answers(2)
    logit = outputs[..., 1] - outputs[..., 0]
    two = torch.stack([torch.zeros_like(logit), logit], -1)
    assert measure("binary", two, y, names=name)[0].value == pytest.approx(
        measure("classes", outputs, y, names=name)[0].value, abs=1e-9
    )


@pytest.mark.parametrize("name", [name for name in CLASSES if "cost" not in name])
def test_several_labels_are_averaged(name):
    outputs, y = answers(2, seed=1)[0][..., [1]], answers(2, seed=1)[1]
    more, z = answers(2, seed=2)[0][..., [1]], answers(2, seed=2)[1]
    both = measure("labels", torch.cat([outputs, more], -1) - 0.25, torch.stack([y, z], 1), names=name)[0].value
    found = []
    for logit, labels in ((outputs - 0.25, y), (more - 0.25, z)):
        p = logit.sigmoid().reshape(-1).numpy()
        found.append(expected(name, np.tile(labels.numpy(), DRAWS), np.stack([1 - p, p], 1), None))
    assert both == pytest.approx(np.mean(found), abs=1e-9)


@pytest.mark.parametrize("classes", [2, 4])
def test_calibration_error(classes):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    outputs, y = answers(classes)
    p = outputs.softmax(-1).reshape(-1, classes)
    error = functional.multiclass_calibration_error(p, y.repeat(DRAWS), num_classes=classes, n_bins=15)
    assert measure("classes", outputs, y, names="calibration-error")[0].value == pytest.approx(float(error), abs=1e-6)


def test_with_many_thresholds_equal_weights_are_exact_and_others_nearly():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(1200) % 2
    outputs = torch.randn(2, 1200, 2, generator=generator, dtype=torch.float64)
    outputs[..., 1] += y
    p = outputs.softmax(-1)[..., 1].reshape(-1).numpy()
    for weights, accuracy in ((np.ones((2, 1200)), 1e-9), (weights_of(draws=2, examples=1200), 1e-4)):
        area = theirs.roc_auc_score(np.tile(y, 2), p, sample_weight=weights.reshape(-1))
        assert ours("auroc", "classes", outputs, y, weights) == pytest.approx(area, abs=accuracy)


def maps_of(classes=3, *, size=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (8, size, size), generator=generator)
    logits = torch.nn.functional.one_hot(y, classes).movedim(-1, 1) + torch.randn(
        DRAWS, 8, classes, size, size, generator=generator, dtype=torch.float64
    )
    y[:, 0, :3] = -1
    return logits.flatten(2), y


POSITIONS = {
    "mean-iou": lambda y, answer, weight: theirs.jaccard_score(y, answer, average="macro", sample_weight=weight),
    "dice": lambda y, answer, weight: theirs.f1_score(y, answer, average="macro", sample_weight=weight),
    "dice(background=false)": lambda y, answer, weight: theirs.f1_score(
        y, answer, average="macro", sample_weight=weight, labels=[1, 2]
    ),
    "pixel-accuracy": lambda y, answer, weight: theirs.accuracy_score(y, answer, sample_weight=weight),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_positions(name):
    outputs, y = maps_of()
    answer = outputs.reshape(DRAWS, 8, 3, -1).argmax(2)
    counted = (y.flatten(1) >= 0).expand(DRAWS, -1, -1).numpy()
    truth = y.flatten(1).expand(DRAWS, -1, -1).numpy()[counted]
    for weights in (np.ones((DRAWS, 8)), weights_of(examples=8)):
        each = np.broadcast_to(weights[:, :, None], counted.shape)[counted]
        value = POSITIONS[name](truth, answer.numpy()[counted], each)
        assert ours(name, "positions", outputs, y, weights) == pytest.approx(value, abs=1e-9)


def test_example_iou_is_the_score_of_the_task():
    outputs, y = maps_of()
    score = task_of("positions").score(outputs, y).mean()
    assert measure("positions", outputs, y, names="example-iou")[0].value == pytest.approx(float(score), abs=1e-6)


NUMBERS = {
    "mae": theirs.mean_absolute_error,
    "rmse": theirs.root_mean_squared_error,
    "r2": theirs.r2_score,
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("numbers", [1, 2])
def test_numbers(name, numbers):
    generator = torch.Generator().manual_seed(0)
    y = 100 + 3 * torch.randn(EXAMPLES, numbers, generator=generator)
    outputs = y + torch.randn(DRAWS, EXAMPLES, numbers, generator=generator)
    task = "regression(tolerance=1)"
    truth, answer = y.double().repeat(DRAWS, 1).numpy(), outputs.double().reshape(-1, numbers).numpy()
    for weights in (np.ones((DRAWS, EXAMPLES)), weights_of()):
        value = NUMBERS[name](truth, answer, sample_weight=weights.reshape(-1))
        assert ours(name, task, outputs, y, weights) == pytest.approx(value, abs=1e-9)
    within = measure(task, outputs, y, names="within-tolerance")[0].value
    assert within == pytest.approx(np.mean(np.abs(truth - answer) <= 1))
