"""Tables in files: what is declared and what is inferred, and every mistake named with its column and line."""

import csv
import gzip
import json
import os
import random
import re
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from variate import registry
from variate.cli.main import app
from variate.datasets import phishing
from variate.datasets.info import About, about
from variate.datasets.parts.csv import read_csv
from variate.datasets.splits import permutation
from variate.errors import DataError, UsageError
from variate.inputs.columns import columns_of
from variate.models.ft_transformer import FTTransformer
from variate.models.mlp import MLP
from variate.random.randomize import randomize
from variate.study.file import read_study
from variate.study.running import check_study
from variate.training.saved import build

HEADER = ["income", "age", "protocol", "level", "kind"]
DECLARED = """
label = "kind"
[features.income]
low = 0
high = 500
unit = "kEUR"
[features.age]
low = 0
high = 120
step = 1
immutable = true
[features.level]
categories = ["1", "2", "3"]
cost = 0.5
"""
RIVER = os.environ.get("VARIATE_TEST_PHISHING", "")


def lines(count=60, seed=0):
    """Rows whose label follows from their income and protocol."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        income, protocol = draw.uniform(10, 200), draw.choice(["tcp", "udp", "icmp"])
        label = "rich" if income + 60 * (protocol == "udp") > 120 else "poor"
        made.append([f"{income:.2f}", str(draw.randint(18, 80)), protocol, str(draw.randint(1, 3)), label])
    return made


def write(path: Path, rows, header=HEADER, declared: str | None = None, delimiter=","):
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    if declared is not None:
        path.with_name(path.name.removesuffix(".gz")).with_suffix(".toml").write_text(declared)
    return path


def load(path, split="train"):
    return registry.get("datasets", "csv").load()(split, folder=path)


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_is_not_declared_is_inferred_from_the_training_split(tmp_path, name, delimiter):
    rows = lines()
    path = write(tmp_path / name, rows, delimiter=delimiter, declared="[features.income]\nlow=0\nhigh=200\n")
    facts = about("csv", folder=path)
    columns = columns_of(facts.details["features"])
    assert [column.name for column in columns] == ["income", "age", "icmp", "tcp", "udp", "level"]
    assert [column.step for column in columns] == [None, 1, None, None, None, 1]
    assert [column.group for column in columns] == [None, None, *["protocol"] * 3, None]
    assert (facts.kind, facts.shape, facts.classes, facts.labels) == ("tabular", (6,), 2, ("poor", "rich"))
    assert (facts.mean[2:5], facts.std[2:5]) == ((0, 0, 0), (1, 1, 1))
    splits = {split: load(path, split) for split in ("train", "validation", "test")}
    assert [len(y) for _, y in splits.values()] == [36, 12, 12]
    x, _ = splits["train"]
    assert (float(x[:, 1].min()), float(x[:, 1].max())) == (0, 1)
    torch.testing.assert_close(x.mean(0)[:2], torch.tensor(facts.mean[:2]))
    whole = sorted(round(200 * float(one), 2) for x, _ in splits.values() for one in x[:, 0])
    assert whole == pytest.approx(sorted(float(row[0]) for row in rows), abs=1e-4)
    assert all(list(facts.modality.findings(x)) == [] for x, _ in splits.values())
    assert load(tmp_path, "test")[0].equal(splits["test"][0])


def test_what_is_declared_is_kept(tmp_path):
    facts = about("csv", folder=write(tmp_path / "table.csv", lines(), declared=DECLARED))
    columns = {column.name: column for column in columns_of(facts.details["features"])}
    assert (columns["income"].low, columns["income"].high, columns["income"].unit) == (0, 500, "kEUR")
    assert (columns["age"].step, columns["age"].mutable) == (1, False)
    assert [(columns[word].group, columns[word].cost) for word in "123"] == [("level", 0.5)] * 3
    assert facts.budget == "linf:0.1"


def test_a_file_is_read_again_when_it_or_its_declaration_changes(tmp_path):
    path = write(tmp_path / "table.csv", lines())
    before = about("csv", folder=path)
    (tmp_path / "table.toml").write_text(DECLARED + "[features.protocol]\nimmutable = true\n")
    assert about("csv", folder=path) != before
    write(path, lines(80), declared=DECLARED)
    assert len(load(path)[1]) == 48


def test_a_column_may_name_the_splits(tmp_path):
    parts = ["train"] * 40 + ["validation"] * 10 + ["test"] * 10
    rows = [[*row, part] for row, part in zip(lines(), parts, strict=True)]
    declared = 'label = "kind"\nsplit = "part"\nbudget = "l0:1"\n[features.income]\nlow = 0\nhigh = 200\n'
    path = write(tmp_path / "table.csv", rows, [*HEADER, "part"], declared)
    assert [len(load(path, split)[1]) for split in ("train", "validation", "test")] == [40, 10, 10]
    assert about("csv", folder=path).budget == "l0:1"
    torch.testing.assert_close(load(path, "test")[0][:, 0] * 200, torch.tensor([float(row[0]) for row in rows[50:]]))
    rows[3][-1] = "trian"
    with pytest.raises(DataError, match="does not name splits") as error:
        load(write(path, rows, [*HEADER, "part"], declared))
    assert error.value.findings == ("'trian' is not a split",)


def test_beyond_a_range_that_is_only_inferred_values_are_clipped_and_counted(tmp_path):
    rows = lines()
    path = write(tmp_path / "table.csv", rows)
    before = load(path, "test")[0]
    first = int(permutation(len(rows))[0])  # a row of the test split
    rows[first][0], rows[first][1] = "1e6", "-5"
    write(path, rows)
    facts, after = about("csv", folder=path), load(path, "test")[0]
    assert facts.details["clipped"]["income"] >= 1
    assert facts.details["clipped"]["age"] >= 1
    other = (after != before).any(1)
    assert int(other.sum()) == 1
    assert after[other][0, :2].tolist() == [1, 0]


def changed(place: int, column: int, cell: str):
    def change(rows):
        rows[place][column] = cell
        return rows

    return change


def each(column: int, cell):
    def change(rows):
        return [[*row[:column], cell(number), *row[column + 1 :]] for number, row in enumerate(rows)]

    return change


FOUND = {
    "a missing value": (changed(3, 1, ""), "", "age: 1 of 60 rows, first in line 5"),
    "a missing word": (changed(3, 2, "NA"), "", "protocol: 1 of 60 rows, first in line 5"),
    "a missing label": (changed(0, 4, "?"), "", "kind: 1 of 60 rows, first in line 2"),
    "a value out of range": (changed(7, 0, "500.5"), DECLARED, "income, line 9: '500.5' is outside 0 to 500"),
    "a value between steps": (changed(3, 1, "20.5"), DECLARED, "age, line 5: '20.5' is between the steps of 1 from 0"),
    "an unknown category": (changed(0, 2, "sctp"), "TEST", "protocol, line 2: 'sctp' is not a known category"),
    "an undeclared category": (changed(0, 3, "4"), DECLARED, "level, line 2: '4' is not a known category"),
    "no number": (changed(0, 0, "many"), "TEST", "income, line 2: 'many' is not a number"),
    "no number where one is declared": (
        each(1, lambda _: "old"), DECLARED,
        "age is declared as numeric but has the value 'old'",
    ),
    "a stray word": (changed(3, 1, "None"), "", "age, line 5: 'None' is not a number, and most of this column is"),
    "a decimal comma": (changed(3, 0, "12,5"), "", "income, line 5: '12,5' is not a number"),
    "decimal commas": (each(0, lambda i: f"{i // 9},5"), "", "income, line 2: '0,5' is a number with a decimal comma"),
    "thousands": (each(0, lambda i: f"{1 + i // 9} 200"), "", "income, line 2: '1 200' is not a number"),
    "percent": (each(0, lambda i: f"{i // 9}%"), "", "income, line 2: '0%' is not a number"),
    "a number that overflows": (changed(3, 0, "1e400"), "", "income, line 5: '1e400' is too large for a number"),
    "a range that overflows": (each(0, lambda i: f"{'-' * (i % 2)}1e308"), "", "'1e308' is too large for a number"),
    "a number of 5,000 digits": (changed(3, 0, "9" * 5000), "", "...' is too large for a number"),
    "an infinite range": (list, "[features.age]\nlow = -inf\n", "features.age.low is -inf, expected a finite number"),
    "an infinite number": (changed(0, 0, "inf"), "TEST", "income, line 2: 'inf' is not a number"),
    "a constant number": (each(1, lambda _: "40"), "", "age is constant: 40 in every row"),
    "a constant word": (each(2, lambda _: "tcp"), "", "protocol is constant: 'tcp' in every row"),
    "a name": (each(2, lambda i: f"host{i}"), "", "protocol has 36 categories in 36 rows"),
    "a range upside down": (list, "[features.age]\nlow = 90\nhigh = 10\n", "age has no range"),
    "a step that does not fit": (list, "[features.age]\nlow = 0\nhigh = 100\nstep = 7\n", "1 to 1,000,000 whole steps"),
    "one class": (each(4, lambda _: "rich"), "", "has 1 values in 36 rows"),
    "a target to predict": (each(4, lambda i: str(i / 7)), "", "has 36 values in 36 rows"),
    "a class without training": (changed(0, 4, "unheard"), "TEST", "line 2: 'unheard'"),
    "an unknown column": (list, "[features.agee]\nlow = 0\n", "no column 'agee'"),
    "an unknown label": (list, 'label = "king"\n', "no column 'king'"),
    "no feature": (list, 'drop = ["income", "age", "protocol", "level"]\n', "has no features"),
    "an unknown key": (list, "[features.age]\nmax = 3\n", "features.age.max: there is no such option"),
    "no TOML": (list, "label = kind\n", "is not a TOML file"),
    "two of a category": (list, '[features.level]\ncategories = ["1", "1"]\n', "level: a category is declared twice"),
    "a budget that is none": (list, 'budget = "linf"\n', "has no size"),
    "few rows": (lambda rows: rows[:9], "", "has 9 rows"),
    "a short row": (lambda rows: [*rows, ["1"]], "", "line 62 has 1 cells, but the header has 5"),
}  # fmt: skip


@pytest.mark.parametrize("case", FOUND)
def test_what_is_wrong_is_named(tmp_path, case):
    change, declared, message = FOUND[case]
    rows = change(lines())
    if declared == "TEST":  # what is changed in the first row is in the test split alone
        split = ["test"] * 10 + ["validation"] * 10 + ["train"] * 40
        path = write(
            tmp_path / "table.csv",
            [[part, *row] for part, row in zip(split, rows, strict=True)],
            ["part", *HEADER],
            'split = "part"',
        )
    else:
        path = write(tmp_path / "table.csv", rows, declared=declared)
    with pytest.raises((DataError, UsageError)) as error:
        load(path)
    assert message in str(error.value)


def test_a_column_of_numbers_and_words_is_categorical_where_it_is_declared_so(tmp_path):
    rows = [[*row[:3], "none" if i % 5 == 3 else row[3], row[4]] for i, row in enumerate(lines())]
    with pytest.raises(DataError, match="has values that its features do not allow"):
        load(write(tmp_path / "table.csv", rows))
    write(tmp_path / "table.csv", rows, declared="[features.level]\ncategorical = true\n")
    groups = [column.get("group") for column in about("csv", folder=tmp_path / "table.csv").details["features"]]
    assert groups.count("level") == 4


def test_every_row_with_a_stray_word_is_named(tmp_path):
    rows = lines()
    for place in (3, 8, 9):
        rows[place][1] = "-"
    with pytest.raises(DataError, match=re.escape("age, line 5: '-' is not a number")) as error:
        load(write(tmp_path / "table.csv", rows))
    assert "(and in 2 more rows: lines 10, 11)" in str(error.value)


def test_a_delimiter_is_counted_outside_of_quotes_and_may_be_named(tmp_path):
    (tmp_path / "table.csv").write_text('"a, in cm";"b, in kg";label\n1;2;x\n')
    assert read_csv(tmp_path / "table.csv").names == ("a, in cm", "b, in kg", "label")
    (tmp_path / "table.csv").write_text("sep=;\na;b\n1;2\n")
    sheet = read_csv(tmp_path / "table.csv")
    assert (sheet.names, sheet.lines) == (("a", "b"), [3])
    (tmp_path / "table.csv").write_text("0,1,2,label\n5,6,7,x\n")  # as pandas names columns
    assert read_csv(tmp_path / "table.csv").names == ("0", "1", "2", "label")


def test_rows_that_are_in_training_and_in_test_are_counted(tmp_path):
    rows = lines(60)[:8]
    with pytest.warns(UserWarning, match=r"in its training split: 12 of 12 in validation, 12 of 12 in test"):
        load(write(tmp_path / "table.csv", [row for row in rows for _ in range(8)]))


def test_every_finding_is_told_at_once(tmp_path):
    rows = each(1, lambda _: "40")(each(2, lambda _: "tcp")(lines()))
    with pytest.raises(DataError) as error:
        load(write(tmp_path / "table.csv", rows))
    assert [finding.split()[0] for finding in error.value.findings] == ["age", "protocol"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no file"),
        (b"", "has no rows"),
        (b"a,b\n", "has no rows"),
        (b"a,a\n1,2\n", "2 columns are named 'a'"),
        (b"a,\n1,2\n", "a column has no name"),
        (b",a\n0,2\n", "to_csv(index=False)"),
        (b"0.844,6,red\n0.5,7,blue\n", "the header has numbers as names: 0.844, 6"),
        (b"1,2,a\n3,4,b\n", "the header has numbers as names"),
        (b"a,b\n1,gr\xf6\n", "iconv -f WINDOWS-1252"),
        ("a,b\n1,2\n".encode("utf-16"), "iconv -f UTF-16"),
        (b"a,b\n1,\xff\n", "is not UTF-8 text"),
        (b'a,b\n1,"2\n', "cannot be read"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, content, message):
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_csv(path)
    assert message in str(error.value)
    (tmp_path / "broken.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot read"):
        read_csv(tmp_path / "broken.csv.gz")


def test_a_table_must_be_named(tmp_path):
    with pytest.raises(DataError, match="no table was given"):
        load(None)
    with pytest.raises(DataError, match="has 0 CSV files"):
        load(tmp_path)


def test_breast_cancer_is_scaled_by_its_ranges():
    facts = about("breast-cancer")
    splits = [registry.get("datasets", "breast-cancer").load()(split) for split in ("train", "validation", "test")]
    whole = torch.cat([x for x, _ in splits])
    assert [len(y) for _, y in splits] == [341, 114, 114]
    assert len(whole.unique(dim=0)) == 569
    assert torch.equal(whole.amin(0), torch.zeros(30))
    assert torch.equal(whole.amax(0), torch.ones(30))
    first = columns_of(facts.details["features"])[0]
    assert (first.name, first.value(0.0), first.value(1.0)) == ("mean radius", 6.981, 28.11)
    assert facts.labels == ("malignant", "benign")
    assert facts.budget == registry.get("datasets", "breast-cancer").facts["budget"]


def rows_of_signs(count):
    draw = random.Random(1)
    for _ in range(count):
        signs = {name: draw.choice(["0.0", "0.5", "1.0"]) for name in phishing.FEATURES}
        signs |= {"age_of_domain": str(draw.randint(0, 1)), "ip_in_url": str(draw.randint(0, 1))}
        yield [*signs.values(), str(draw.randint(0, 1))]


@pytest.fixture
def river(tmp_path):
    """A package of that name with a file of the same form."""
    folder = tmp_path / "river" / "datasets"
    folder.mkdir(parents=True)
    (tmp_path / "river" / "__init__.py").write_text("raise RuntimeError('imported')")
    write(folder / "phishing.csv.gz", rows_of_signs(1250), [*phishing.FEATURES, "is_phishing"])
    return folder


def test_phishing_is_read_from_river_which_is_not_imported(river, monkeypatch):
    data = registry.get("datasets", "phishing")
    given = data.load()("test", folder=river / "phishing.csv.gz")
    assert torch.equal(given[0], data.load()("test", folder=river)[0])
    monkeypatch.syspath_prepend(river.parent.parent)
    assert torch.equal(given[0], data.load()("test")[0])
    facts = about("phishing")
    assert (facts.labels, facts.budget) == (("legitimate", "phishing"), data.facts["budget"])
    given_columns = [c.name for c in columns_of(facts.details["features"]) if not c.mutable]
    assert given_columns == ["is_popular", "age_of_domain"]


@pytest.mark.parametrize("name", ["breast-cancer", "phishing"])
def test_the_packaged_studies_of_tables_can_be_run(river, name):
    check_study(read_study(name), folders={"phishing": river})


def test_phishing_that_is_not_there_or_another_file_is_named(river, tmp_path, monkeypatch):
    load_phishing = registry.get("datasets", "phishing").load()
    with pytest.raises(DataError, match=r"phishing\.csv\.gz is not in"):
        load_phishing("train", folder=tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="is not on this machine") as error:
        load_phishing("train")
    assert "pip install --no-deps river" in str(error.value)
    for name, rows in (("few.csv", rows_of_signs(20)), ("other.csv", lines(1250))):
        header = [*phishing.FEATURES, "is_phishing"] if name == "few.csv" else HEADER
        with pytest.raises(DataError, match="is not the phishing data set of river"):
            load_phishing("train", folder=write(tmp_path / name, rows, header))


@pytest.mark.skipif(not RIVER, reason="VARIATE_TEST_PHISHING does not say where river's phishing.csv.gz is")
def test_the_real_phishing_has_its_published_counts():
    splits = [
        registry.get("datasets", "phishing").load()(s, folder=Path(RIVER)) for s in ("train", "validation", "test")
    ]
    assert [len(y) for _, y in splits] == [750, 250, 250]
    assert sum(int(y.sum()) for _, y in splits) == 548


def tabular(tmp_path) -> tuple[About, Path]:
    path = write(tmp_path / "table.csv", lines(200), declared=DECLARED)
    return about("csv", folder=path), path


@pytest.mark.parametrize("name", ["mlp", "ft-transformer"])
def test_networks_of_tables_learn_random_or_not(tmp_path, name):
    facts, path = tabular(tmp_path)
    x, y = load(path)
    torch.manual_seed(0)
    plain = build(name, facts)
    for network in (plain, randomize(build(name, facts), scale=0.05)):
        optimizer = torch.optim.Adam(network.parameters(), 1e-2)
        for _ in range(60):
            loss = nn.functional.cross_entropy(network(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert float((network(x).argmax(1) == y).float().mean()) > 0.9
    assert torch.equal(plain(x[:3]), plain(x)[:3]) or torch.allclose(plain(x[:3]), plain(x)[:3], atol=1e-5)


def test_a_token_of_a_category_is_its_own_weight_and_of_a_number_its_multiple(tmp_path):
    facts, path = tabular(tmp_path)
    network = FTTransformer(facts.shape, 2, mean=facts.mean, std=facts.std, details=facts.details)
    x = load(path)[0][:5]
    tokenize = network.tokenize
    tokens = tokenize(network.normalize(x))
    assert tokens.shape == (5, 1 + 4, 32)  # the answer's, income, age, protocol, level
    income = (x[:, :1] - facts.mean[0]) / facts.std[0] * tokenize.weight[0] + tokenize.bias[1]
    torch.testing.assert_close(tokens[:, 1], income)
    torch.testing.assert_close(tokens[:, 3], tokenize.weight[2 + x[:, 2:5].argmax(1)] + tokenize.bias[3])
    assert FTTransformer((6,), 2)(x[:, :6]).shape == (5, 2)  # without details: six numbers


def test_mlp_normalizes_every_feature():
    network = MLP((3,), 2, mean=[0.1, 0.2, 0.3], std=[1.0, 2.0, 4.0])
    torch.testing.assert_close(network.normalize(torch.ones(1, 3)), torch.tensor([[0.9, 0.4, 0.175]]))


def test_a_network_of_images_takes_no_rows(tmp_path):
    facts, _ = tabular(tmp_path)
    with pytest.raises(UsageError, match="lenet takes no tabular inputs"):
        build("lenet", facts)


def test_a_table_of_one_s_own_from_the_command_line(tmp_path):
    _, path = tabular(tmp_path)
    where = ["--data-folder", str(path)]
    out = str(tmp_path / "run")
    train = ["train", "--data", "csv", *where, "--network", "ft-transformer", "--defense", "random-at", "--epochs", "2"]
    done = CliRunner().invoke(app, [*train, "--attack-steps", "2", "--out", out, "--quiet"])
    assert done.exit_code == 0, done.output
    budget = "features:income=20,protocol=1"
    rest = ["--budget", budget, "--examples", "20", "--verdict-draws", "4", "--deployment", "single", "--no-doubts"]
    attack = [
        "evaluate",
        out,
        *where,
        "--attack",
        "pgd(steps=3)",
        "--suite",
        "quick",
        "--draws",
        "2",
        *rest,
        "--json",
        "--quiet",
    ]
    done = CliRunner().invoke(app, attack)
    assert done.exit_code == 0, done.output
    assert {row["budget"] for row in json.loads(done.stdout)["rates"]} == {budget, None}
    done = CliRunner().invoke(
        app, ["attack", out, *where, "--attack", "pgd", "--budget", "features:incom=3", "--quiet"]
    )
    assert done.exit_code == 2
    assert "did you mean 'income'" in done.output
    assert CliRunner().invoke(app, ["report", out]).exit_code == 0


@pytest.mark.parametrize("defense", ["random-resize", "rse", "learn2perturb"])
def test_defenses_that_need_images_say_so(tmp_path, defense):
    words = ["train", "--data", "breast-cancer", "--network", "mlp", "--defense", defense, "--epochs", "1", "--quiet"]
    done = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "run")])
    assert done.exit_code in (1, 2), done.output
    assert "images" in done.output or "convolution" in done.output


RELATED = """
label = "kind"
[features.sent]
change = "up"
[features.received]
at_most = "sent"
[features.total]
sum_of = ["sent", "received"]
unit = "bytes"
[features.ratio]
ratio_of = ["received", "seconds"]
[features.seconds]
low = 1
high = 10
change = "down"
"""


def related(tmp_path, declared=RELATED, change=None):
    """A table whose rows keep the declared relations, except for one cell."""
    draw, rows = random.Random(0), []
    for index in range(60):
        received, seconds = draw.randint(0, 40), draw.randint(1, 10)
        sent = received + draw.randint(0, 30)
        rows.append(
            [str(sent), str(sent + received), str(received), f"{received / seconds:.2f}", str(seconds), "ab"[index % 2]]
        )
    for (row, column), cell in (change or {}).items():
        rows[row][column] = cell
    return write(
        tmp_path / "table.csv", rows, ["sent", "total", "received", "ratio", "seconds", "kind"], declared
    ), rows


def test_relations_between_features_are_read_and_kept(tmp_path):
    path, rows = related(tmp_path)
    facts = about("csv", folder=path)
    columns = columns_of(facts.details["features"])
    assert [column.name for column in columns] == ["sent", "total", "received", "ratio", "seconds"]
    sent, total, received, ratio, seconds = columns
    assert (sent.change, seconds.change, received.at_most) == ("up", "down", "sent")
    assert (total.sum_of, ratio.ratio_of) == (("sent", "received"), ("received", "seconds"))
    assert (total.low, total.high) == (sent.low + received.low, sent.high + received.high)
    assert (ratio.low, ratio.high) == pytest.approx((received.low / 10, received.high), abs=1e-9)
    for split in ("train", "validation", "test"):
        x, _ = load(path, split)
        assert list(facts.modality.findings(x)) == []
        own = {column.name: column.low + column.range * x[:, i] for i, column in enumerate(columns)}
        torch.testing.assert_close(own["sent"] + own["received"], own["total"], atol=1e-3, rtol=0)
        torch.testing.assert_close(own["received"] / own["seconds"], own["ratio"], atol=1e-3, rtol=0)
    order = permutation(60)[:12]  # the test split, where parts are clipped and their sum is too
    assert any(abs(float(rows[i][1]) - float(own["total"][place])) < 1e-3 for place, i in enumerate(order))
    shown = CliRunner().invoke(app, ["data", str(path)])
    assert "sum of sent and received" in shown.output
    assert "may only grow" in shown.output


@pytest.mark.parametrize(
    ("declared", "change", "message"),
    [
        (RELATED, {(3, 1): "999"}, "total, line 5: '999' is not the sum of sent and received"),
        (RELATED, {(3, 3): "99"}, "ratio, line 5: '99' is not the ratio of received and seconds"),
        (RELATED, {(3, 2): "70", (3, 1): "", (4, 0): "1"}, "missing values"),
        (RELATED.replace("low = 1\n", "low = 0\n"), None, "divides by seconds, which may be 0"),
        (RELATED.replace('"sent", "received"', '"sent", "lost"'), None, "'lost', which is not another numeric feature"),
        (RELATED.replace('"down"', '"sideways"'), None, "not a valid declaration"),
        (RELATED.replace('unit = "bytes"', "high = 10"), None, "total runs from"),
    ],
)
def test_relations_that_a_table_does_not_keep_are_named(tmp_path, declared, change, message):
    path, _ = related(tmp_path, declared, change)
    with pytest.raises(DataError) as error:
        load(path)
    assert message in str(error.value)


def test_a_value_above_its_limit_is_named(tmp_path):
    row = int(permutation(60)[-1])  # of the training split, so that nothing is clipped
    declared = 'label = "kind"\ndrop = ["total"]\n[features.received]\nat_most = "sent"\n'
    path, _ = related(tmp_path, declared, {(row, 0): "0", (row, 2): "9"})
    with pytest.raises(DataError, match=f"line {row + 2}: '9' is above sent"):
        load(path)
