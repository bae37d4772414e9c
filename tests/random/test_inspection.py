"""``check`` tells everything at once, and leaves the module alone."""

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from variate.errors import UsageError
from variate.random.inspection import check


def tied():
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3))
    module[2].weight = module[0].weight
    return module


def run(*words):
    done = subprocess.run(
        [sys.executable, "-m", "variate", "check", *words], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


def test_what_will_be_random_and_what_not():
    module = tied()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    found = check(module, family={"*.bias": "fixed"}, share="channel")
    assert [parameter.names for parameter in found.random] == [["0.weight", "2.weight"], ["1.weight"]]
    assert [parameter.learned for parameter in found.random] == [3, 3]
    assert found.random[0].shape == [3, 3]
    assert found.random[0].family == "normal(share=channel)"
    assert found.deterministic == dict.fromkeys(["0.bias", "1.bias", "2.bias"], "its family is fixed")
    assert found.buffers == ["1.running_mean", "1.running_var", "1.num_batches_tracked"]
    assert found.findings == []
    assert found.cost.bytes == 4 * (9 + 3)
    assert found.cost.milliseconds > 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_all_findings_at_once():
    module = nn.Sequential(nn.LazyLinear(2), nn.Linear(2, 2, device="meta"))
    found = check(module, family={"7.*": "student-t(df=1)"})
    assert found.cost is None
    for part in ("df=1", "0.weight is not initialized", "1.bias is on the meta device", "'7.*' matches no parameter"):
        assert any(part in finding for finding in found.findings), part


def test_an_option_alone_that_is_wrong_is_a_finding_and_an_unknown_family_an_error():
    assert "floor is -1" in check(nn.Linear(2, 2), floor=-1).findings[0]
    with pytest.raises(UsageError, match="did you mean 'normal'"):
        check(nn.Linear(2, 2), family="nromal")


def test_the_command():
    done = run("torch.nn:Transformer", "--family", "*.bias:fixed", "--family", "*:laplace", "--share", "tensor")
    assert done.returncode == 0
    assert "laplace(share=tensor), 1 learned" in done.stdout
    assert "deterministic: its family is fixed" in done.stdout
    assert "one draw:" in done.stdout
    found = json.loads(run("torch.nn:Transformer", "--json").stdout)
    assert found["module"] == "Transformer"
    assert found["findings"] == []
    assert sum(parameter["learned"] for parameter in found["random"]) > 1e7


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["torch.nn:ReLU"], 1, "it has no parameters"),
        (["torch.nn:Transformer", "--share", "layer"], 1, "shared per 'layer'"),
        (["torch.nn:Linear"], 2, "cannot be called without arguments"),
        (["math:pi"], 2, "no callable named 'pi'"),
        (["builtins:dict"], 2, "returned dict"),
        (["torch.nn:Transformer", "--family", "normal", "--family", "*.bias:fixed"], 2, "combined with patterns"),
    ],
)
def test_mistakes(words, code, message):
    done = run(*words)
    assert done.returncode == code
    assert message in done.stderr


def test_the_doctor_says_who_makes_the_noise():
    done = subprocess.run(
        [sys.executable, "-m", "variate", "doctor", "--json"], capture_output=True, text=True, check=True
    )
    facts = json.loads(done.stdout)
    assert facts["torch"] == torch.__version__.partition("+")[0] or facts["torch"] == torch.__version__
    assert facts["sampler"].startswith(("native", "plain torch"))
