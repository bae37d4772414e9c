"""The small network for transcripts: its frames, and that it learns to spell."""

import torch

from variate.models.wav2letter import Wav2Letter
from variate.tasks.transcript import Transcript

RATE, TONE = 2000, 400  # samples per second; samples of one tone
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


def test_it_learns_to_spell_tones():
    torch.manual_seed(0)
    task = Transcript(symbols=3)
    net = Wav2Letter((1, 3 * TONE), task.width(3), details={"rate": RATE}, width=16)
    x, y = strings(32, seed=0)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(50):
        optimizer.zero_grad()
        task.loss(task.read(net(x), tuple(x.shape)), y).mean().backward()
        optimizer.step()
    fresh, labels = strings(64, seed=1)
    with torch.no_grad():
        answers = task.read(net.eval()(fresh), tuple(fresh.shape))
    assert float(task.score(answers, labels).mean()) > 0.9
