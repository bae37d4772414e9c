"""Variate: networks whose every parameter is a random variate, attacked and judged as such.

Everything public is imported on first use, so that ``import variate`` is quick and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from variate.budget import Budget as Budget
    from variate.checkpoint import load as load
    from variate.checks import check as check
    from variate.deploying.exporting import export as export
    from variate.deploying.opening import open_exported as open_exported
    from variate.deploying.serving import Served as Served
    from variate.draw_accuracy import DrawAccuracy as DrawAccuracy
    from variate.errors import VariateError as VariateError
    from variate.evaluation import evaluate as evaluate
    from variate.facts import about as about
    from variate.hub import from_pretrained as from_pretrained
    from variate.hub import push_to_hub as push_to_hub
    from variate.judge import judge_until as judge_until
    from variate.libraries import art_classifier as art_classifier
    from variate.libraries import foolbox_model as foolbox_model
    from variate.network import RandomNetwork as RandomNetwork
    from variate.oracle import GradientOracle as GradientOracle
    from variate.oracle import LabelOracle as LabelOracle
    from variate.oracle import ScoreOracle as ScoreOracle
    from variate.randomization import randomize as randomize
    from variate.randomness import Stream as Stream
    from variate.record import Records as Records
    from variate.training.loop import train as train
    from variate.verdicts.comparison import compare as compare
    from variate.verdicts.result import Result as Result

__version__ = "0.1.0"

_PLACES = {
    "Budget": "budget",
    "DrawAccuracy": "draw_accuracy",
    "GradientOracle": "oracle",
    "LabelOracle": "oracle",
    "RandomNetwork": "network",
    "Records": "record",
    "Result": "verdicts.result",
    "ScoreOracle": "oracle",
    "Served": "deploying.serving",
    "Stream": "randomness",
    "VariateError": "errors",
    "about": "facts",
    "art_classifier": "libraries",
    "check": "checks",
    "compare": "verdicts.comparison",
    "evaluate": "evaluation",
    "export": "deploying.exporting",
    "foolbox_model": "libraries",
    "from_pretrained": "hub",
    "judge_until": "judge",
    "load": "checkpoint",
    "open_exported": "deploying.opening",
    "push_to_hub": "hub",
    "randomize": "randomization",
    "train": "training.loop",
}
__all__ = ["__version__", *_PLACES]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'variate' has no attribute {name!r}; it has {', '.join(_PLACES)}")
    value = getattr(import_module(f"variate.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
