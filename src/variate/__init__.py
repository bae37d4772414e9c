"""Variate: networks whose every parameter is a random variate, attacked and judged as such.

Everything public is imported on first use, so that ``import variate`` is quick and loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from variate._version import __version__

if TYPE_CHECKING:
    from variate.certificates.certified import Certified as Certified
    from variate.certificates.certify import certify as certify
    from variate.certificates.judge_certified import judge_certified as judge_certified
    from variate.certificates.proof import Proof as Proof
    from variate.datasets.batches import loader as loader
    from variate.datasets.info import about as about
    from variate.datasets.load import data as data
    from variate.errors import VariateError as VariateError
    from variate.evaluation.evaluate import evaluate as evaluate
    from variate.evaluation.evaluation import Evaluation as Evaluation
    from variate.evaluation.judge import judge_until as judge_until
    from variate.evaluation.thresholds import with_thresholds as with_thresholds
    from variate.evidence.hub_folder import write_hub_folder as write_hub_folder
    from variate.evidence.verified import Verified as Verified
    from variate.evidence.verify import verify as verify
    from variate.evidence.write import write_evidence as write_evidence
    from variate.inputs.budget import Budget as Budget
    from variate.integrations.foolbox_art import art_classifier as art_classifier
    from variate.integrations.foolbox_art import foolbox_model as foolbox_model
    from variate.integrations.hugging_face import from_pretrained as from_pretrained
    from variate.integrations.hugging_face import push_to_hub as push_to_hub
    from variate.integrations.torchmetrics import DrawAccuracy as DrawAccuracy
    from variate.oracle.oracle import LabelOracle as LabelOracle
    from variate.oracle.oracle import ScoreOracle as ScoreOracle
    from variate.oracle.white_box import GradientOracle as GradientOracle
    from variate.random.as_modes import as_modes as as_modes
    from variate.random.average import average as average
    from variate.random.fixing import drawn as drawn
    from variate.random.fixing import fixed as fixed
    from variate.random.fixing import keys_from as keys_from
    from variate.random.fixing import set_seed as set_seed
    from variate.random.fixing import stream as stream
    from variate.random.input_noise import Mask as Mask
    from variate.random.input_noise import Shift as Shift
    from variate.random.inspection import check as check
    from variate.random.keys import Stream as Stream
    from variate.random.many import draws as draws
    from variate.random.many import input_gradient as input_gradient
    from variate.random.measures import deterministic_parameters as deterministic_parameters
    from variate.random.measures import differs as differs
    from variate.random.measures import entropy as entropy
    from variate.random.measures import kl as kl
    from variate.random.measures import scale_parameters as scale_parameters
    from variate.random.measures import sites as sites
    from variate.random.measures import sizes as sizes
    from variate.random.measures import stds as stds
    from variate.random.network import RandomNetwork as RandomNetwork
    from variate.random.per_example import draws_per_example as draws_per_example
    from variate.random.pipeline import Pipeline as Pipeline
    from variate.random.pipeline import pipeline as pipeline
    from variate.random.plain import at as at
    from variate.random.plain import mean as mean
    from variate.random.plain import unwrap as unwrap
    from variate.random.randomize import randomize as randomize
    from variate.random.strata import mode_of as mode_of
    from variate.random.strata import stratified as stratified
    from variate.random.uncertainty import uncertainty as uncertainty
    from variate.records.file import Records as Records
    from variate.records.rows import Result as Result
    from variate.report.gate.judgment import Judgment as Judgment
    from variate.report.gate.judgment import shortfalls as shortfalls
    from variate.report.spread import spread as spread
    from variate.serving.exporting import export as export
    from variate.serving.opening import open_exported as open_exported
    from variate.serving.serving import Served as Served
    from variate.serving.similar import Similar as Similar
    from variate.statistics.comparison import compare as compare
    from variate.training.optimization import parameter_groups as parameter_groups
    from variate.training.recipe import Recipe as Recipe
    from variate.training.saved import load as load
    from variate.training.train import train as train


_PLACES = {
    "Budget": "inputs.budget",
    "Certified": "certificates.certified",
    "DrawAccuracy": "integrations.torchmetrics",
    "Evaluation": "evaluation.evaluation",
    "GradientOracle": "oracle.white_box",
    "Judgment": "report.gate.judgment",
    "LabelOracle": "oracle.oracle",
    "Mask": "random.input_noise",
    "Pipeline": "random.pipeline",
    "Proof": "certificates.proof",
    "RandomNetwork": "random.network",
    "Recipe": "training.recipe",
    "Records": "records.file",
    "Result": "records.rows",
    "ScoreOracle": "oracle.oracle",
    "Served": "serving.serving",
    "Shift": "random.input_noise",
    "Similar": "serving.similar",
    "Stream": "random.keys",
    "VariateError": "errors",
    "Verified": "evidence.verified",
    "about": "datasets.info",
    "art_classifier": "integrations.foolbox_art",
    "as_modes": "random.as_modes",
    "at": "random.plain",
    "average": "random.average",
    "certify": "certificates.certify",
    "check": "random.inspection",
    "compare": "statistics.comparison",
    "data": "datasets.load",
    "deterministic_parameters": "random.measures",
    "differs": "random.measures",
    "drawn": "random.fixing",
    "draws": "random.many",
    "draws_per_example": "random.per_example",
    "entropy": "random.measures",
    "evaluate": "evaluation.evaluate",
    "export": "serving.exporting",
    "fixed": "random.fixing",
    "foolbox_model": "integrations.foolbox_art",
    "from_pretrained": "integrations.hugging_face",
    "input_gradient": "random.many",
    "judge_certified": "certificates.judge_certified",
    "judge_until": "evaluation.judge",
    "keys_from": "random.fixing",
    "kl": "random.measures",
    "load": "training.saved",
    "loader": "datasets.batches",
    "mean": "random.plain",
    "mode_of": "random.strata",
    "open_exported": "serving.opening",
    "parameter_groups": "training.optimization",
    "pipeline": "random.pipeline",
    "push_to_hub": "integrations.hugging_face",
    "randomize": "random.randomize",
    "scale_parameters": "random.measures",
    "set_seed": "random.fixing",
    "shortfalls": "report.gate.judgment",
    "sites": "random.measures",
    "sizes": "random.measures",
    "spread": "report.spread",
    "stds": "random.measures",
    "stratified": "random.strata",
    "stream": "random.fixing",
    "train": "training.train",
    "uncertainty": "random.uncertainty",
    "unwrap": "random.plain",
    "verify": "evidence.verify",
    "with_thresholds": "evaluation.thresholds",
    "write_evidence": "evidence.write",
    "write_hub_folder": "evidence.hub_folder",
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
