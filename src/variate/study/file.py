"""The TOML file of a study: which networks are trained, and how all of them are attacked and judged."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
)

from variate.certificates.certification import Certification as Options
from variate.errors import UsageError, unknown_name
from variate.evaluation.evaluation import MEGABYTE, Draws, Evaluation
from variate.fields import built, options_of, written_as
from variate.files.toml import findings_of, read_toml
from variate.options import entry_for
from variate.study import packaged
from variate.training.cell import Cell

OF_THE_GRID = ("data", "network", "defense", "seed")
OF_THE_COMMAND = ("data_folder", "devices", "accelerator")


def settings_of(source: type | object, *, without: Sequence[str], given: bool) -> dict[str, Any]:
    """The options of a dataclass as fields of a table; with ``given``, their defaults are set, else None."""
    settings: dict[str, Any] = {}
    for item in options_of(source):
        if item.name in without:
            continue
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        field = Field(default if given else None, ge=item.option.at_least)
        settings[item.name] = (written_as(item.hint), field)
    return settings


def _listed(value: object) -> object:
    """Wrap a single value where a list is allowed."""
    return value if isinstance(value, list) else [value]


def _named(value: object) -> object:
    """Expand a defense given by its name alone."""
    return {"defense": value} if isinstance(value, str) else value


def _per_data(value: object) -> object:
    """A list for all data sets, or a list for each by name."""
    if isinstance(value, dict):
        return {name: _listed(own) for name, own in value.items()}
    return _listed(value)


class _StudyTable(BaseModel):
    model_config = ConfigDict(extra="forbid")


Training = create_model(
    "Training",
    __base__=_StudyTable,
    __module__=__name__,
    **settings_of(Cell, without=OF_THE_GRID + OF_THE_COMMAND, given=False),
)
Training.__doc__ = "The ``[training]`` table of a study: any option of a ``Cell``, the same for every network."


class Defense(Training):  # type: ignore[misc, valid-type]
    """A defense of a study: its text, its display name, and training options that differ from the study's.

    With ``network`` it is trained on that architecture only, in place of those of the study.
    """

    name: str = ""
    defense: str
    network: str | None = None

    @property
    def shown(self) -> str:
        """The name in records and reports."""
        return str(self.name or self.defense)

    def settings(self) -> dict[str, Any]:
        """Training options that differ from the study's."""
        return cast(dict[str, Any], self.model_dump(exclude_unset=True, exclude={"name", "defense", "network"}))


class Average(_StudyTable):
    """An ``[[averages]]`` table of a study: networks of K seeds as one network, whose ``mean-K`` costs K passes.

    The row of a seed has the networks of that seed and of the next K - 1, in a circle; nothing is trained.
    """

    name: str = ""
    of: str
    networks: int = Field(ge=2)

    @property
    def shown(self) -> str:
        """The name in records and reports."""
        return str(self.name or f"{self.networks} of {self.of}")


Judging = create_model(
    "Judging",
    __base__=_StudyTable,
    __module__=__name__,
    **settings_of(Evaluation(attacks=()), without=("budget", "seed", "time_limit", "keep_inputs"), given=True),
)


class EvaluationTable(Judging):  # type: ignore[misc, valid-type]
    """The ``[evaluation]`` table of a study: options of an ``Evaluation``, and options of studies only."""

    split: Literal["test", "validation"] = "test"
    doubts: bool = False
    examples: int | None = Field(None, ge=1)

    @field_validator("draws")
    @classmethod
    def _counted(cls, draws: Draws) -> int:
        """Require a number: a study compares networks under the same number of draws."""
        if not isinstance(draws, int) or draws < 1:
            raise ValueError("a study needs a number of draws, at least 1")
        return draws

    def options(self, seed: int) -> Evaluation:
        """The evaluation of each network, its budget still unset."""
        return built(Evaluation, {**self.model_dump(), "memory": self.memory and self.memory * MEGABYTE, "seed": seed})


Lists = Annotated[list[str] | dict[str, list[str]], BeforeValidator(_per_data)]


class Curves(_StudyTable):
    """The ``[curves]`` table of a study: accuracy under PGD against the budget's size and the attack's draws.

    The sizes replace that of each data set's first budget; they may be given by data set.
    """

    examples: int = Field(200, ge=1)
    steps: int = Field(20, ge=1)
    sizes: Lists = []
    draws: list[int] = []

    def sizes_for(self, data: str) -> list[str]:
        """The sizes of a data set's curve."""
        return entry_for(data, self.sizes) or [] if isinstance(self.sizes, dict) else self.sizes


Size = float | str
Sizes = Annotated[list[Size] | dict[str, list[Size]], BeforeValidator(_per_data)]


Certifying = create_model(
    "Certifying",
    __base__=_StudyTable,
    __module__=__name__,
    **settings_of(Options(), without=("radii", "batch_size", "seed", "early_stop"), given=True),
)


class Certification(Certifying):  # type: ignore[misc, valid-type]
    """A ``[[certify]]`` table: options of ``variate.certify``, for every network with what the certificate needs.

    The radii may be given by data set; data sets that are left out are not certified.
    """

    mechanism: str
    radii: Sizes
    examples: int | None = Field(None, ge=1)

    @field_validator("alpha")
    @classmethod
    def _probability(cls, alpha: float) -> float:
        """Require a probability of a wrong certificate."""
        if not 0 < alpha < 1:
            raise ValueError("alpha is a probability between 0 and 1, such as 0.001")
        return alpha

    def options(self, data: str, seed: int) -> Options:
        """The options for a network trained on a data set."""
        return built(Options, {**self.model_dump(), "radii": self.radii_for(data), "seed": seed})

    def radii_for(self, data: str) -> list[Size]:
        """The sizes to certify on a data set."""
        return entry_for(data, self.radii) or [] if isinstance(self.radii, dict) else self.radii


Point = tuple[str, str, Defense, int]  # data, architecture, defense and seed of a network


def _one_or_more(singular: str, plural: str) -> Any:
    """A field that may be written in the singular or the plural and needs at least one value."""
    return Field(min_length=1, validation_alias=AliasChoices(plural, singular))


Names = Annotated[list[str], BeforeValidator(_listed)]
Seeds = Annotated[list[int], BeforeValidator(_listed)]


class Study(_StudyTable):
    """A study: a grid of data sets, architectures, defenses and seeds, trained and evaluated with the same settings.

    ``data``, ``network`` and ``seed`` are one value or a list, in the singular or the plural. ``network`` and
    ``budget`` may be given by data set. Networks train within the first budget unless ``[training]`` sets another;
    ``[training_on.NAME]`` overrides training options for one data set. For a data set with options, its name alone is
    enough there.
    """

    title: str
    data: Annotated[Names, Field(min_length=1)]
    networks: Lists = _one_or_more("network", "networks")
    defenses: list[Annotated[Defense, BeforeValidator(_named)]] = Field(min_length=1)
    budgets: Lists = _one_or_more("budget", "budgets")
    seeds: Seeds = Field([0], min_length=1, validation_alias=AliasChoices("seeds", "seed"))
    training: Training = Training()  # type: ignore[valid-type]
    training_on: dict[str, Training] = {}  # type: ignore[valid-type]
    evaluation: EvaluationTable
    curves: Curves = Curves()  # type: ignore[call-arg]
    certify: list[Certification] = []
    averages: list[Average] = []

    def networks_for(self, data: str) -> list[str]:
        """The architectures to train on a data set."""
        return entry_for(data, self.networks) or [] if isinstance(self.networks, dict) else self.networks

    def points(self) -> list[Point]:
        """The grid: data, architecture, defense and seed of every network that is trained."""
        return [
            (data, defense.network or network, defense, seed)
            for data in self.data
            for network, defense, seed in product(self.networks_for(data), self.defenses, self.seeds)
            if defense.network is None or network == self.networks_for(data)[0]
        ]

    def budgets_for(self, data: str) -> list[str]:
        """The budgets of a data set, as written in the file."""
        return entry_for(data, self.budgets) or [] if isinstance(self.budgets, dict) else self.budgets

    def settings(self, defense: Defense, data: str) -> dict[str, Any]:
        """The training options of a defense's networks: its own take precedence over the study's."""
        default = {"budget": self.budgets_for(data)[0]}
        on_data = entry_for(data, self.training_on)
        tables = [self.training, *([] if on_data is None else [on_data])]
        shared = [cast(BaseModel, table).model_dump(exclude_unset=True) for table in tables]
        return {**default, **dict(ChainMap(*shared[::-1])), **defense.settings()}


def read_study(source: str) -> Study:
    """Read a study from a TOML file, or a packaged one by name. Raises ``UsageError``."""
    path = packaged.FOLDER / f"{source}.toml" if source in packaged.packaged_studies() else Path(source)
    if not path.is_file():
        raise unknown_name("study file, and no packaged study,", source, packaged.packaged_studies())
    try:
        return Study.model_validate(read_toml(path, UsageError))
    except ValidationError as error:
        raise UsageError(f"{path} is not a study", findings=findings_of(error, Study)) from error
