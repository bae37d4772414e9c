"""Early stop: no more failures than alpha in the whole procedure, and fewer votes where it is easy."""

import numpy as np
import pytest
import torch
from halfspaces import SIGMA, at, halfspace
from scipy.special import ndtr
from torch import nn

from variate.certificates.certify import certify
from variate.errors import UsageError
from variate.records.file import Records
from variate.records.proofs import proofs


def test_the_whole_procedure_fails_no_more_often_than_alpha():
    """Half of the inputs are just nearer to the boundary than the radius: each certificate there is a failure."""
    alpha, radius = 0.05, 0.1
    x, y = at([radius - 0.001] * 4 + [radius + 0.2] * 4)
    failed, certified = [], []
    for seed in range(40):
        proof = certify(
            halfspace(), x, y, radii=[radius], draws=128, alpha=alpha, early_stop=True, deployments=["vote"], seed=seed
        )
        failed.append(float((proof.radius[:4] >= radius).double().mean()))
        certified.append(float((proof.radius[4:] >= radius).double().mean()))
    assert np.mean(failed) <= alpha + 2 * (alpha / 40) ** 0.5
    assert np.mean(certified) > 0.9


def test_easy_examples_take_few_votes_and_hard_ones_all():
    distances = [0.5, 0.4, 0.11, 0.0, -0.4]
    x, y = at(distances)
    passes = []
    network = halfspace()
    network[1].register_forward_hook(lambda *_: passes.append(1))
    records = Records()
    proof = certify(network, x, y, radii=[0.1], draws=1000, early_stop=True, records=records)
    assert proof.cast.tolist()[2] == 1000
    assert max(proof.cast.tolist()[:2]) <= 64
    assert proof.cast.tolist()[3] <= 256  # certainly not certified: that is decided early too
    assert proof.label.tolist()[:2] == [1, 1]
    assert proof.rows[0].rate == pytest.approx(2 / 5)
    assert [row.deployment for row in proof.rows] == ["vote"]
    whole = certify(network, x, y, radii=[0.1], draws=1000, records=records)
    assert whole.cast.tolist() == [1000] * 5
    assert bool((proof.radius <= whole.radius + 0.25).all())
    assert len(records.certificates) == 2
    assert "from up to 1,000 votes" in proof.sentence


def test_votes_in_the_records_are_not_cast_again(tmp_path):
    x, y = at([0.5, 0.3, 0.2, 0.0])
    path, options = tmp_path / "records.jsonl", {"draws": 300, "early_stop": True, "batch_size": 3}
    proof = certify(halfspace(), x, y, radii=[0.05, 0.2], records=Records(path), **options)
    text = path.read_text()
    again = certify(halfspace(), x, y, radii=[0.05, 0.2], records=Records(path), **options)
    assert path.read_text() == text
    assert again.rows == proof.rows
    assert torch.equal(again.cast, proof.cast)
    assert [row.radius for row in proofs(Records(path))[0].proved.rows] == [0.05, 0.2]
    assert proof.rows[0].rate >= proof.rows[1].rate
    truth = np.array([0.5, 0.3, 0.2, 0.0])
    assert bool((proof.radius.numpy() <= truth + 1e-6).all())
    assert float(proof.low[0]) < float(ndtr(0.5 / SIGMA))


def test_what_early_stop_cannot_do_is_refused():
    x, y = at([0.4, 0.3])
    with pytest.raises(UsageError, match="decides the vote alone"):
        certify(halfspace(), x, y, radii=[0.1], early_stop=True, deployments=["single"])
    with pytest.raises(UsageError, match="at least 12 draws"):
        certify(halfspace(), x, y, radii=[0.1], draws=9, early_stop=True)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    assert certify(plain, x, y, radii=["0.01"], early_stop=True).cast.tolist() == [1, 1]
