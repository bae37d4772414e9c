"""Damaged files and odd words of every kind: a right answer or an error of ours, and never for long.

VARIATE_MUTATIONS=300 pytest tests/files/test_damaged_files.py     # more of each kind than the usual 60
"""

import inspect
import json
import os
import random
import time
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from variate import registry
from variate.datasets.load import labelled
from variate.datasets.parts.images import class_folders
from variate.datasets.parts.wav import RefusedError, clip_of
from variate.errors import VariateError
from variate.evaluation.plan import Plan
from variate.inputs.budget import Budget
from variate.options import parse
from variate.random.identity import identity
from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import Example
from variate.report.formats import as_csv
from variate.statistics.rates import Deployment
from variate.study import packaged
from variate.study.file import read_study
from variate.training.saved import load

MUTATIONS = int(os.environ.get("VARIATE_MUTATIONS", "60"))  # of each kind
SLOW = 5.0  # seconds of this process, however busy the machine is
ODD = [
    "9" * 5000,
    "-1",
    "0",
    "1e999",
    "NaN",
    "Infinity",
    "null",
    "[]",
    "{}",
    '""',
    "1e-999",
    "10000000000",
    '"\\ud800"',
]
CELLS = ["", "None", "12,5", "1e400", "-", "9" * 400, '"', "\x00", "\ufeff", "0.5", "x"]


def damaged(content: bytes, draw: random.Random) -> bytes:
    """The content with some bytes changed, cut off, doubled or inserted."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(changed)) if changed else 0
        match draw.randrange(4):
            case 0:
                changed[place : place + 1] = bytes([draw.randrange(256)])
            case 1:
                del changed[place : place + draw.randint(1, 60)]
            case 2:
                changed[place:place] = changed[place : place + draw.randint(1, 60)]
            case 3:
                changed[place:place] = draw.randbytes(draw.randint(1, 4))
    return bytes(changed)


def with_odd_value(text: str, draw: random.Random) -> str:
    """A JSON document in which one value, somewhere, is another one."""
    document = json.loads(text)
    place, key = document, draw.choice([*document])
    while isinstance(place[key], dict | list) and place[key] and draw.random() < 0.7:
        place = place[key]
        key = draw.choice([*place]) if isinstance(place, dict) else draw.randrange(len(place))
    place[key] = "ODD"
    return json.dumps(document).replace('"ODD"', draw.choice(ODD))


def arrays(folder, draw):
    path = folder / "d.npz"
    if not path.exists():
        np.savez(path, x=np.random.default_rng(0).random((20, 1, 4, 4)), y=np.arange(20) % 3)
    odd = folder / "e.npz"
    if draw.random() < 0.5:
        odd.write_bytes(damaged(path.read_bytes(), draw))
    else:
        kinds = ("f2", "f4", ">f8", "i1", "u2", ">i8", "u8", "?", "U3", "S2", "M8[D]", "c8", "i4,f4")
        shapes = ((20,), (20, 3), (20, 1, 4, 4), (), (0, 4), (19, 3))
        x, y = (np.zeros(draw.choice(shapes), draw.choice(kinds)) for _ in range(2))
        if draw.random() < 0.5:
            y = draw.choice([np.arange(20) % 3, np.arange(20) / 10, np.arange(20) - 1, np.array(["a", "b"] * 10)])
        np.savez(odd, x=x, y=y)
    x, y = labelled(str(odd))
    assert len(x) == len(y) > 0
    assert y.dtype == torch.int64
    assert int(y.min()) >= 0


def table(folder, draw):
    rows = [
        [f"{draw.random():.3f}", str(draw.randint(0, 9)), "red" if i % 3 else "blue", "ab"[i % 2]] for i in range(60)
    ]
    for _ in range(draw.randint(1, 3)):
        rows[draw.randrange(60)][draw.randrange(4)] = draw.choice(CELLS)
    text = "\n".join(["one,two,color,label", *map(",".join, rows)])
    (folder / "t.csv").write_bytes(damaged(text.encode(), draw) if draw.random() < 0.3 else text.encode())
    x, _ = labelled("csv", folder=folder / "t.csv", split="train")
    assert bool(((x >= 0) & (x <= 1)).all())


def texts(folder, draw):
    lines = [json.dumps({"text": f"a film {i}", "label": i % 2}) for i in range(40)]
    lines[draw.randrange(40)] = with_odd_value(lines[0], draw)
    content = "\n".join(lines).encode()
    (folder / "t.jsonl").write_bytes(damaged(content, draw) if draw.random() < 0.5 else content)
    labelled("texts", folder=folder / "t.jsonl", split="train")


def images(folder, draw):
    from PIL import Image

    path = folder / "i.zip"
    if not path.exists():
        with zipfile.ZipFile(path, "w") as archive:
            for name in ("train/a/0.png", "train/b/0.png", "test/a/0.png"):
                with archive.open(name, "w") as file:
                    Image.new("L", (8, 8), 100).save(file, "PNG")
    (folder / "j.zip").write_bytes(damaged(path.read_bytes(), draw))
    found, labels = class_folders(folder / "j.zip", "train", (1, 8, 8))
    assert len(found) == len(labels)


def clip(_folder, draw):
    head = b"RIFF\x64\x1f\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x40\x1f\0\0"
    sound = np.random.default_rng(0).integers(-9000, 9000, 4000, dtype=np.int16).tobytes()
    content = damaged(head, draw) + sound if draw.random() < 0.7 else damaged(head + sound, draw)
    try:
        assert np.abs(clip_of(content, rate=8000, length=8000).samples).max() <= 1
    except RefusedError as reason:
        raise VariateError(str(reason)) from reason


def records(folder, draw):
    lines = (folder / "good.jsonl").read_text().splitlines()
    place = draw.randrange(len(lines))
    if draw.random() < 0.5:
        lines[place] = with_odd_value(lines[place], draw)
    content = "\n".join([*lines, ""]).encode()
    (folder / "r.jsonl").write_bytes(damaged(content, draw) if draw.random() < 0.5 else content)
    as_csv([Records(folder / "r.jsonl")])


def card(folder, draw):
    run = folder / "run"
    whole = (folder / "card.json").read_text(), (folder / "network.safetensors").read_bytes()
    run.mkdir(exist_ok=True)
    (run / "card.json").write_text(with_odd_value(whole[0], draw) if draw.random() < 0.7 else whole[0])
    (run / "network.safetensors").write_bytes(damaged(whole[1], draw) if draw.random() < 0.4 else whole[1])
    assert identity(load(run)) == identity(load(folder))


def words(_folder, draw):
    text = draw.choice(
        ["linf:8/255", "snr:20dB", "features:a=1,*=5%; times 2", "survive-10", "random(share=channel, snr=2)", "l0:20"]
    )
    text = damaged(text.encode(), draw).decode("latin-1") + draw.choice(["", "9" * 5000, "e999999999", ":", "("])
    for read in (Budget.parse, Deployment.parse, lambda word: parse(word, "a defense")):
        try:
            read(text)
        except VariateError:
            continue


def study(folder, draw):
    path = folder / "study.toml"
    path.write_bytes(damaged((packaged.FOLDER / "digits.toml").read_bytes(), draw))
    read_study(str(path))


def attacks(_folder, draw):
    entry = draw.choice([*registry.entries("attacks").values()])
    names = [
        name
        for name, option in inspect.signature(entry.load()).parameters.items()
        if option.kind.name == "KEYWORD_ONLY"
    ]
    text = f"{entry.name}({draw.choice(names)}={draw.choice(ODD + CELLS)})"
    Plan.of(damaged(text.encode(), draw).decode("latin-1") if draw.random() < 0.3 else text, 2)


def _add_scores(path):
    """Add a claim whose answers have scores."""
    claim = Claim(
        network="scored", fingerprint="f", inputs="i", attack="pgd", options={}, settings={}, budget="linf:0.1",
        draws=1, verdict_draws=8, deployments=["single", "survive-2"], seed=0, modality="image", allowed="a",
        drawn="keys", task="regression(tolerance=0.3)",
    )  # fmt: skip
    scores = np.random.default_rng(0).random((8, 4))
    lines = [
        Example(claim=claim.id, example=j, answers={"single": pack(column)}, distance=0, forwards=1, backwards=1)
        for j, column in enumerate(scores.T)
    ]
    Records(path).add([claim, *lines])


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder with good records, and a good network with its card."""
    import variate
    from variate.training.cell import Cell
    from variate.training.recipe import Recipe
    from variate.training.run_folder import train_cell

    folder = tmp_path_factory.mktemp("good")
    net = variate.randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)))
    variate.evaluate(
        net, torch.rand(4, 1, 4, 4), torch.arange(4) % 3, budget="linf:0.3", attacks=["fgsm"], draws=2,
        verdict_draws=8, deployments=["single", "survive-2"], pictures=True, records=folder / "good.jsonl", name="net",
    )  # fmt: skip
    shifted = nn.Sequential(variate.Shift((1, 4, 4)), nn.Flatten(), nn.Linear(16, 3))
    smoothed = variate.randomize(shifted, {"0.bias": "normal(scale=1, learn=no)", "*": "fixed"})
    variate.certify(
        smoothed, torch.rand(4, 1, 4, 4), torch.arange(4) % 3, radii=[0.1], draws=20, alpha=0.1,
        records=Records(folder / "good.jsonl"), name="smoothed",
    )  # fmt: skip
    _add_scores(folder / "good.jsonl")
    train_cell(Cell("digits", "mlp", "random", Recipe(epochs=1), train_examples=64), folder)
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [arrays, table, texts, images, clip, records, card, words, study, attacks])
def test_damage_ends_in_an_error_of_ours_or_a_right_answer(kind, good):
    for seed in range(MUTATIONS):
        started, said = time.process_time(), ""
        try:
            kind(good, random.Random(f"{kind.__name__} {seed}"))
        except VariateError as error:
            said = str(error)
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {str(error)[:200]}")
        assert len(said) < 5000, f"seed {seed}: {said[:100]}"
        assert time.process_time() - started < SLOW, f"seed {seed} took {time.process_time() - started:.0f} s"
