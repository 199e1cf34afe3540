"""xraykit: classify chest X-rays by transfer learning, and find out what the network learned.

Everything a notebook needs is reached as ``xk.NAME`` after ``import xraykit as xk``. Names are
loaded on first use, so that importing the package takes no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["recipes"],
    submod_attrs={
        "errors": ["InputError"],
        "quiet": ["keras"],
        "data.augmentation": ["Augmentation"],
        "data.images": ["ImageSet"],
        "data.tasks": ["Task", "load_task"],
        "data.facts": ["picture_facts"],
        "data.external": ["load_elsewhere"],
        "data.phantoms.dataset": ["draw_phantoms"],
        "models.backbones": ["backbone"],
        "models.classifier": ["build_classifier"],
        "training.train": ["train"],
        "evaluation.predict": ["predict"],
        "evaluation.intervals": ["Proportion"],
        "evaluation.scores": ["Scores", "predictive_values", "score"],
        "evaluation.comparison": ["compare_proportions", "mcnemar", "pictures_to_separate"],
        "evaluation.curves": ["curves"],
        "evaluation.calibration": ["apply_temperature", "calibration", "fit_temperature"],
        "evaluation.cross_validation": ["cross_validate"],
        "evaluation.folds": ["spread"],
        "evaluation.audit": ["Audit", "audit"],
        "evaluation.embedding": ["features", "separation", "tsne"],
        "evaluation.gradcam": ["gradcam", "weight_in_thorax"],
        "evaluation.changes": ["WAYS", "occlude"],
        "evaluation.occlusion": ["cross_validate_occlusion", "occlusion"],
        "evaluation.elsewhere": ["elsewhere"],
        "plots.pictures": ["plot_pictures"],
        "plots.learning": ["plot_history"],
        "plots.results": ["plot_confusion"],
        "plots.maps": ["plot_map", "plot_tsne"],
        "plots.comparison": ["plot_comparison", "plot_proportions"],
        "plots.reliability": ["plot_calibration", "plot_curves"],
        "recipes.choose": ["choose_comparison", "choose_recipe"],
        "recipes.questions": ["EXPERIMENTS"],
        "recipes.experiments": ["run_experiment", "saved_experiment"],
        "recipes.hardware": ["time_recipe"],
        "course.checks": ["check_classifier"],
        "course.saving": ["save_results"],
    },
)
