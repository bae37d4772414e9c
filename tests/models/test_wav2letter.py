"""The small network for transcripts: its frames, that it learns to spell, and attacks on what it spells."""

import pytest
import torch

from variate.evaluation.evaluate import evaluate
from variate.evaluation.plan import Plan, perturb
from variate.evaluation.target import Target
from variate.inputs.budget import Budget
from variate.inputs.modalities.audio import Audio
from variate.models.wav2letter import Wav2Letter
from variate.random.randomize import randomize
from variate.random.seeding import kind_of
from variate.tasks.transcript import Transcript

RATE, TONE = 2000, 400  # samples per second; samples of one tone
TASK = Transcript(symbols=3)
HERTZ = torch.tensor([150.0, 300.0, 500.0])


def test_an_answer_has_a_frame_for_every_64_ms():
    net = Wav2Letter((1, 24_000), 11, details={"rate": 8000})
    assert net(torch.rand(2, 1, 24_000)).shape == (2, 47, 11)  # 3 s
    assert Wav2Letter((1, 48_000), 11, details={"rate": 16_000})(torch.rand(2, 1, 48_000)).shape == (2, 47, 11)


def test_a_frame_hears_its_part_of_the_clip():
    torch.manual_seed(0)
    net = Wav2Letter((1, 24_000), 4, details={"rate": 8000}).eval()
    x = torch.rand(1, 1, 24_000).requires_grad_()
    (slope,) = torch.autograd.grad(net(x)[0, 10].square().sum(), x)
    loudness_moves_all = slope[0, 0].abs().median()
    heard = (slope[0, 0].abs() > 10 * loudness_moves_all).nonzero()[:, 0]
    middle = 10 * 512  # of the frame
    assert heard.min() > middle - 6000
    assert heard.max() < middle + 6000


def strings(count, seed):
    """Strings of two or three tones, and their labels."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (count, 3), generator=draw)
    y[::2, 2] = -1
    time = torch.arange(TONE) / RATE
    tones = torch.sin(2 * torch.pi * HERTZ[y.clamp(min=0), None] * time) * (y >= 0)[..., None]
    noise = 0.02 * torch.randn(count, 3 * TONE, generator=draw)
    return (0.5 + 0.2 * tones.flatten(1) + 0.2 * noise).clamp(0, 1).unsqueeze(1), y


@pytest.fixture(scope="module")
def spelling():
    """A network that has learned to spell tones."""
    torch.manual_seed(0)
    net = Wav2Letter((1, 3 * TONE), TASK.width(3), details={"rate": RATE}, width=16)
    x, y = strings(32, seed=0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(50):
        optimizer.zero_grad()
        TASK.loss(TASK.read(net(x), tuple(x.shape)), y).mean().backward()
        optimizer.step()
    return net.eval()


def test_it_learns_to_spell_tones(spelling):
    x, y = strings(64, seed=1)
    with torch.no_grad():
        answers = TASK.read(spelling(x), tuple(x.shape))
    assert float(TASK.score(answers, y).mean()) > 0.9


@pytest.mark.parametrize("random", [False, True])
@pytest.mark.parametrize("climb", TASK.climbs)
@pytest.mark.parametrize("attack", ["pgd", "apgd-ce", "fmn"])
def test_attacks_lose_the_transcript_within_their_budget(spelling, attack, climb, random):
    x, y = strings(4, seed=2)
    network = TASK.answers(randomize(spelling, scale=0.01) if random else spelling)
    target = Target(network, kind_of(network, x), modality=Audio(rate=RATE), task=TASK)
    budget = Budget.parse("snr:6dB")
    perturbed, _ = perturb(target, Plan(attack, 1, {"steps": 20}, climb=climb), budget, x, y)
    assert target.modality.reach(x, budget).contains(perturbed).all()
    with torch.no_grad():
        clean, attacked = (TASK.score(TASK.answers(spelling)(inputs), y).mean() for inputs in (x, perturbed))
    assert clean > 0.9
    assert attacked < 0.5


@pytest.mark.parametrize("exact", [False, True])
def test_an_evaluation_reports_the_mean_score_over_draws(spelling, exact):
    x, y = strings(6, seed=3)
    task = Transcript(symbols=3, exact=exact)
    network = randomize(spelling, scale=0.01)
    result = evaluate(
        network, x, y, budget="snr:10dB", attacks=["pgd(steps=10)"], draws=4, modality=Audio(rate=RATE), task=task
    )
    rates = {row.attack: row.rate for row in result.rows if row.deployment == "single"}
    assert rates["clean"] > 0.8
    assert rates["pgd"] < 0.4
