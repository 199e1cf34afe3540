import numpy as np
import pytest

from xraykit.data.phantoms import _draw_view
from xraykit.phantoms.disease import PATTERNS, coverage
from xraykit.phantoms.thorax import BUILDS, draw_thorax


def draw(label, severity, number=1):
    """Return the optical depth that a disease adds, and the aerated fraction of the chest."""
    rng = np.random.default_rng(number)
    view = _draw_view(160, 200, BUILDS["adult"].width, rng)
    chest = draw_thorax(BUILDS["adult"], 1.5 * view.pixel, rng)
    _, aerated = chest.project(view)
    return PATTERNS[label](chest, view, aerated, severity, rng), aerated


@pytest.mark.parametrize("label", PATTERNS)
def test_patterns_add_depth_only_in_the_lungs(label):
    for number in range(3):
        added, aerated = draw(label, 0.7, number)
        assert added.min() >= 0
        assert not added[aerated == 0].any()
        assert added[aerated > 0].max() > 0.2


@pytest.mark.parametrize("label", PATTERNS)
def test_patterns_severity_increases_coverage_and_depth(label):
    mild, severe = (
        [draw(label, severity, number) for number in range(5)] for severity in (0.05, 0.95)
    )
    covered = [[coverage(*chest) for chest in chests] for chests in (mild, severe)]
    assert 0 < np.mean(covered[0]) < 0.6 * np.mean(covered[1])
    depths = [np.mean([added.sum() for added, _ in chests]) for chests in (mild, severe)]
    assert depths[1] > 2 * depths[0]
