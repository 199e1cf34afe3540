"""How far counts can be trusted: proportions with their interval."""

from dataclasses import dataclass

from scipy.stats import binomtest


def wilson_interval(right: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a proportion, 0 to 1; `of` is at least 1.

    Wilson (1927), Journal of the American Statistical Association 22, 209, as in SciPy.
    """
    low, high = binomtest(right, of).proportion_ci(confidence, method="wilson")
    return float(low), float(high)


@dataclass(frozen=True, repr=False)
class Proportion:
    """How many of how many: written as counts, percent, and Wilson's 95 % interval in percent.

    Attributes
    ----------
    right, of : int

    Examples
    --------
    >>> Proportion(27, 36)
    27/36 = 75 % [59, 86]
    >>> Proportion(18, 18)
    18/18 = 100 % [82, 100]
    """

    right: int
    of: int

    @property
    def share(self) -> float:
        """0 to 1; not a number where there is none."""
        return self.right / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of Wilson's 95 % interval, 0 to 1."""
        return wilson_interval(self.right, self.of) if self.of else (0.0, 1.0)

    def __format__(self, how: str) -> str:
        return format(str(self), how)

    def __repr__(self) -> str:
        if not self.of:
            return f"{self.right}/{self.of}"
        low, high = self.interval
        percent = f"{100 * self.share:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
        return f"{self.right}/{self.of} = {percent}"
