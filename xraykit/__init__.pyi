import collections.abc
import typing

from ._keras import keras as keras
from .audit.audit import Audit as Audit, audit_task as audit_task
from .classroom.checks import check as check, hint as hint
from .classroom.questions import add_hints as add_hints, graded as graded
from .classroom.student import student_seed as student_seed
from .data.augmentation import Augmentation as Augmentation
from .data.external import load_external as load_external
from .data.images import ImageSet as ImageSet
from .data.metadata import image_metadata as image_metadata
from .data.phantoms import draw_phantoms as draw_phantoms
from .data.tasks import Task as Task, load_task as load_task
from .errors import (
    InputError as InputError,
    TrainingError as TrainingError,
    WriteError as WriteError,
    XraykitError as XraykitError,
)
from .experiments.experiments import EXPERIMENTS as EXPERIMENTS
from .experiments.run import run_experiment as run_experiment, saved_experiment as saved_experiment
from .experiments.shortcuts import saved_shortcuts as saved_shortcuts
from .experiments.timing import time_recipe as time_recipe
from .explain.embedding import (
    cluster_separation as cluster_separation,
    features as features,
    tsne as tsne,
)
from .explain.external_validation import external_validation as external_validation
from .explain.gradcam import gradcam as gradcam, thorax_attention as thorax_attention
from .explain.perturbations import (
    PERTURBATIONS as PERTURBATIONS,
    cross_validate_perturbations as cross_validate_perturbations,
    evaluate_perturbations as evaluate_perturbations,
    perturb as perturb,
)
from .headless.parameters import check_types as check_types
from .headless.save import save_results as save_results
from .log import set_verbosity as set_verbosity
from .metrics.calibration import (
    apply_temperature as apply_temperature,
    calibration as calibration,
    fit_temperature as fit_temperature,
)
from .metrics.comparison import (
    compare_proportions as compare_proportions,
    mcnemar as mcnemar,
    required_test_size as required_test_size,
)
from .metrics.curves import curves as curves
from .metrics.intervals import Proportion as Proportion, display_table as display_table
from .metrics.scores import (
    Scores as Scores,
    predictive_values as predictive_values,
    score as score,
    summarize_cross_validation as summarize_cross_validation,
)
from .models.backbones import backbone as backbone
from .models.classifier import build_classifier as build_classifier
from .plots.comparison import (
    plot_comparison as plot_comparison,
    plot_proportions as plot_proportions,
)
from .plots.confusion import plot_confusion as plot_confusion
from .plots.images import plot_images as plot_images
from .plots.learning import plot_history as plot_history
from .plots.maps import plot_map as plot_map, plot_tsne as plot_tsne
from .plots.reliability import plot_calibration as plot_calibration, plot_curves as plot_curves
from .recipes.choose import choose_comparison as choose_comparison, choose_recipe as choose_recipe
from .recipes.recipe import Recipe as Recipe
from .training.cross_validation import cross_validate as cross_validate
from .training.predict import predict as predict
from .training.train import train as train

if typing.TYPE_CHECKING:
    recipes: collections.abc.Mapping[str, Recipe]  # what its module type offers
else:
    from . import recipes as recipes
