"""How far counts can be trusted: proportions with their interval."""

from scipy.stats import binomtest


def wilson_interval(right: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a proportion, 0 to 1; `of` is at least 1.

    Wilson (1927), Journal of the American Statistical Association 22, 209, as in SciPy.
    """
    low, high = binomtest(right, of).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


def proportion(right: int, of: int) -> str:
    """Write a proportion as counts, percent, and Wilson's 95 % interval in percent.

    Examples
    --------
    >>> proportion(27, 36)
    '27/36 = 75 % [59, 86]'
    >>> proportion(18, 18)
    '18/18 = 100 % [82, 100]'
    """
    if of == 0:
        return "0/0"
    low, high = wilson_interval(right, of)
    return f"{right}/{of} = {100 * right / of:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
