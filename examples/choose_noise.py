"""How noisy should a random network be? Choose the noise on the validation split of digits with three seeds.

    python examples/choose_noise.py docs/results/noise/records.jsonl

Takes about ten minutes on two cores. Networks that are already recorded are not trained again.
"""

import itertools
import sys
from pathlib import Path

import torch

from variate import registry
from variate.datasets.batches import Batches
from variate.datasets.info import about
from variate.evaluation.evaluate import evaluate
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.training.run_folder import run_record
from variate.training.saved import build
from variate.training.train import train

NOISE = (0.0, 0.1, 0.2, 0.35, 0.5)  # as a fraction of each tensor's size; 0 is the deterministic network
SEEDS = (0, 1, 2)
BUDGET = "linf:0.1"


def objective_of(base: str, noise: float) -> str:
    """The objective that holds the noise at this level."""
    return f"{base}+snr(target={1 / noise:g})" if noise else base


def judge(base: str, noise: float, seed: int, records: Records) -> None:
    """Train one network, and attack it on the validation split with PGD averaged over 10 draws."""
    entry = registry.get("datasets", "digits")
    torch.manual_seed(seed)
    network = build("lenet", about("digits"))
    if noise:
        network = randomize(network, scale=noise)
    batches = Batches(*entry.load()("train"), batch_size=128, seed=seed)
    options = {"budget": BUDGET, "attack_steps": 7, "lr": 3e-3, "seed": seed}
    objective = objective_of(base, noise)
    train(network, batches, objective=objective, epochs=40, name=f"noise {noise}", show_progress=True, **options)
    name = f"{objective}, seed {seed}"
    pgd = {"name": "pgd", "steps": 20, "draws": 10}
    x, y = entry.load()("validation")
    evaluate(network, x, y, budget=BUDGET, attacks=[pgd], deployments=["single"], records=records, name=name)


if __name__ == "__main__":
    path = Path(sys.argv[1])
    store = Records(path)
    if not store.runs:
        x, _ = registry.get("datasets", "digits").load()("validation")
        command, title = f"python examples/choose_noise.py {path}", "How noisy: LeNet on the validation split of digits"
        store.add([run_record(command=command, title=title, data="digits", seed=0, x=x)])
    done = {claim.network for claim in store.claims.values() if claim.attack == "pgd" and store.examples.get(claim.id)}
    for base, noise, seed in itertools.product(("cross-entropy", "adversarial"), NOISE, SEEDS):
        if f"{objective_of(base, noise)}, seed {seed}" not in done:
            judge(base, noise, seed, store)
