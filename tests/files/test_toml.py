"""TOML files: typos with the nearest name, at every depth."""

import pytest

from variate.datasets.parts.declared import declaration_beside
from variate.errors import DataError, UsageError
from variate.study.file import read_study

STUDY = """
title = "t"
data = "digits"
network = "mlp"
defenses = ["random"]
budget = "linf:0.1"
seed = 1
[training]
epochs = 1
[evaluation]
attacks = ["fgsm"]
"""


@pytest.mark.parametrize(
    ("right", "typo"),
    [
        ("title", "titel"), ("network", "netwrok"), ("epochs", "epoch"), ("attacks", "atacks"), ("seed", "sead"),
        ("[evaluation]", "[evalutaion]"),
    ],
)  # fmt: skip
def test_a_typo_in_a_study_gets_the_nearest_name(tmp_path, right, typo):
    (tmp_path / "s.toml").write_text(STUDY.replace(right, typo))
    with pytest.raises(UsageError, match="is not a study") as error:
        read_study(str(tmp_path / "s.toml"))
    near = "|".join((right.strip("[]"), f"{right}s"))
    assert any("did you mean" in finding and right.strip("[]") in finding for finding in error.value.findings), near


def test_a_typo_in_a_defense_s_own_table_gets_the_nearest_name(tmp_path):
    (tmp_path / "s.toml").write_text(STUDY.replace('["random"]', '[{defense = "random", epocs = 3}]'))
    with pytest.raises(UsageError) as error:
        read_study(str(tmp_path / "s.toml"))
    assert any("did you mean 'epochs'?" in finding for finding in error.value.findings)


def test_a_typo_in_a_declaration_gets_the_nearest_name(tmp_path):
    (tmp_path / "t.toml").write_text("[features.age]\ncategorial = true\n")
    with pytest.raises(DataError) as error:
        declaration_beside(tmp_path / "t.csv")
    assert "did you mean 'categorical'?" in error.value.findings[0]


@pytest.mark.parametrize("text", ["seed = " + "9" * 5000, "title = \xff", "a = ["])
def test_a_file_that_is_no_toml_is_named(tmp_path, text):
    (tmp_path / "s.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"s\.toml"):
        read_study(str(tmp_path / "s.toml"))
