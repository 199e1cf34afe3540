"""xraykit: classify chest X-rays by transfer learning, and find out what the network learned.

Everything a notebook needs is reached as ``xk.NAME`` after ``import xraykit as xk``. Names are
loaded on first use, so that importing the package takes no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["recipes"],
    submod_attrs={
        "errors": ["InputError", "TrainingError", "WriteError", "XraykitError"],
        "log": ["set_verbosity"],
        "_keras": ["keras"],
        "data.augmentation": ["Augmentation"],
        "data.images": ["ImageSet"],
        "data.tasks": ["Task", "load_task"],
        "data.metadata": ["image_metadata"],
        "data.external": ["load_external"],
        "data.phantoms": ["draw_phantoms"],
        "models.backbones": ["backbone"],
        "models.classifier": ["build_classifier"],
        "training.train": ["train"],
        "training.predict": ["predict"],
        "metrics.intervals": ["Proportion", "display_table"],
        "metrics.scores": ["Scores", "predictive_values", "score", "summarize_cross_validation"],
        "metrics.comparison": ["compare_proportions", "mcnemar", "required_test_size"],
        "metrics.curves": ["curves"],
        "metrics.calibration": ["apply_temperature", "calibration", "fit_temperature"],
        "training.cross_validation": ["cross_validate"],
        "audit.audit": ["Audit", "audit_task"],
        "explain.embedding": ["features", "cluster_separation", "tsne"],
        "explain.gradcam": ["gradcam", "thorax_attention"],
        "explain.perturbations": [
            "PERTURBATIONS",
            "cross_validate_perturbations",
            "evaluate_perturbations",
            "perturb",
        ],
        "explain.external_validation": ["external_validation"],
        "plots.images": ["plot_images"],
        "plots.learning": ["plot_history"],
        "plots.confusion": ["plot_confusion"],
        "plots.maps": ["plot_map", "plot_tsne"],
        "plots.comparison": ["plot_comparison", "plot_proportions"],
        "plots.reliability": ["plot_calibration", "plot_curves"],
        "recipes.choose": ["choose_comparison", "choose_recipe"],
        "experiments.experiments": ["EXPERIMENTS"],
        "experiments.run": ["run_experiment", "saved_experiment"],
        "experiments.timing": ["time_recipe"],
        "classroom.checks": ["check_classifier"],
        "headless.save": ["save_results"],
    },
)
