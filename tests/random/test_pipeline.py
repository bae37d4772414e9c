"""Pipelines: the rule decides, exactly; random stages draw afresh; the whole is attacked and judged as one network."""

import itertools

import pytest
import torch
from torch import nn

import variate
from variate.errors import UsageError
from variate.random.keys import Stream
from variate.random.pipeline import Pipeline
from variate.random.seeding import outputs_under
from variate.records.rows import CLEAN
from variate.training.defense import defended


class Says(nn.Module):
    """Logits by the number of the input, whatever it holds: (B, 1) to (B, K)."""

    def __init__(self, logits):
        super().__init__()
        self.register_buffer("logits", torch.tensor(logits))

    def forward(self, x):
        return self.logits[x[:, 0].long()]


def sure(labels, classes=2):
    return (3.0 * nn.functional.one_hot(torch.tensor(labels), classes)).tolist()


EVERY = list(itertools.product([0, 1], repeat=3))
X = torch.arange(8.0)[:, None]
STAGES = [Says(sure([labels[stage] for labels in EVERY])) for stage in range(3)]


def test_a_veto_is_that_of_any_stage_and_a_majority_that_of_most():
    veto, majority = (variate.pipeline(STAGES, rule)(X).argmax(1).tolist() for rule in ("veto", "majority"))
    assert veto == [int(any(labels)) for labels in EVERY]
    assert majority == [int(sum(labels) >= 2) for labels in EVERY]
    benign = variate.pipeline(STAGES, "veto", positive=0)(X).argmax(1).tolist()
    assert benign == [int(all(labels)) for labels in EVERY]


def test_of_equal_votes_the_surer_answer_wins_and_unequal_votes_beat_confidence():
    x = torch.zeros(1, 1)
    one, two = Says([[4.0, 0.0, 0.0]]), Says([[0.0, 0.0, 5.0]])
    assert int(variate.pipeline([one, two], "majority")(x).argmax()) == 2
    lone = Says([[0.0, 90.0, 0.0]])
    assert int(variate.pipeline([one, lone, one], "majority")(x).argmax()) == 0


def test_of_three_classes_the_alarm_of_any_stage_decides():
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 200, 3, generator=draw)
    found = variate.pipeline([Says(own.tolist()) for own in logits], "veto")(torch.arange(200.0)[:, None]).argmax(1)
    alarm = (logits.argmax(-1) == 1).any(0)
    assert torch.equal(found == 1, alarm)


def test_an_attack_follows_the_stage_that_decides():
    """Of two linear stages, only the more suspicious one has a gradient in the score; both evaded is evaded."""
    stages = [nn.Linear(2, 2), nn.Linear(2, 2)]
    with torch.no_grad():
        for stage, weight in zip(stages, ([4.0, 0.0], [0.0, 4.0]), strict=True):
            stage.weight.copy_(torch.tensor([[0.0, 0.0], weight]))
            stage.bias.copy_(torch.tensor([2.0, 0.0]))
    x, y = torch.tensor([[0.55, 0.55], [0.7, 0.55]]), torch.ones(2, dtype=torch.long)
    leaf = torch.tensor([[0.9, 0.6]], requires_grad=True)
    answer = variate.pipeline(stages)(leaf)
    (answer[0, 1] - answer[0, 0]).backward()
    assert leaf.grad[0, 0] > 0
    assert leaf.grad[0, 1] == 0
    judged = variate.evaluate(
        variate.pipeline(stages), x, y, budget="linf:0.1", attacks=["pgd"], deployments=["single"], modality="tabular"
    )
    assert [row.rate for row in judged.rows] == [1.0, 0.5]  # 0.45 and 0.45 evade, 0.6 does not


def test_random_stages_draw_afresh_and_apart():
    """Each of two stages raises the alarm at half of its draws; a veto at three of four."""
    stages = [nn.Linear(1, 2, bias=False) for _ in range(2)]
    for stage in stages:
        nn.init.zeros_(stage.weight)
    pipe = variate.pipeline([variate.randomize(stage, scale=0.5).eval() for stage in stages])
    keys = Stream("verdict", 0).take(1000)
    alarms = outputs_under(pipe, torch.ones(1, 1), keys).argmax(-1).float()
    assert abs(float(alarms.mean()) - 0.75) < 4 * (0.75 * 0.25 / 1000) ** 0.5
    assert torch.equal(outputs_under(pipe, torch.ones(1, 1), keys[:5]).argmax(-1).float(), alarms[:5])


def test_a_trained_pipeline_has_the_stages_it_was_asked_for():
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    made, objective = defended("pipeline(stages=4, random=3, rule=majority)", network)
    assert isinstance(made, Pipeline)
    assert [isinstance(stage, variate.RandomNetwork) for stage in made.stages] == [False, True, True, True]
    assert (made.rule, objective) == ("majority", "cross-entropy+snr")
    x, y = torch.rand(32, 4), torch.randint(2, (32,))
    result = variate.evaluate(
        made.eval(), x, y, budget="linf:0.1", attacks=["square(queries=4)"], deployments=["single"], verdict_draws=8,
        draws=2, modality="tabular",
    )  # fmt: skip
    assert [row.attack for row in result.rows] == [CLEAN, "square"]
    assert all(claim.drawn == "keys" and claim.verdict_draws == 8 for claim in result.claims)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: variate.pipeline([]), "has no stages"),
        (lambda: variate.pipeline([nn.Identity(), "mlp"]), "not networks"),
        (lambda: variate.pipeline(STAGES, "vetoo"), "did you mean 'veto'"),
        (lambda: variate.pipeline(STAGES, positive=-1), "positive class is -1"),
        (lambda: variate.pipeline(STAGES, positive=2)(X), "stages have 2 classes"),
        (lambda: defended("pipeline(stages=1)", nn.Linear(2, 2)), "stages is 1"),
        (lambda: defended("pipeline(stages=2, random=3)", nn.Linear(2, 2)), "at least 3"),
    ],
)
def test_pipelines_that_make_no_sense_are_explained(make, message):
    with pytest.raises(UsageError) as error:
        make()
    assert message in str(error.value)
