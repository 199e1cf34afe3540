"""How far counts can be trusted: proportions with their interval."""

from dataclasses import dataclass
from numbers import Integral

from scipy.stats import binomtest

from ..errors import InputError


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

    Raises
    ------
    InputError
        If these are no whole numbers, or more are right than there are.

    Examples
    --------
    >>> Proportion(27, 36)
    27/36 = 75 % [59, 86]
    >>> Proportion(18, 18)
    18/18 = 100 % [82, 100]
    """

    right: int
    of: int

    def __post_init__(self) -> None:
        whole = isinstance(self.right, Integral) and isinstance(self.of, Integral)
        if not (whole and 0 <= self.right <= self.of):
            raise InputError(
                f"right={self.right!r}, of={self.of!r}: expected whole numbers, not more right "
                "than there are"
            )

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
        return f"{self.right}/{self.of} = {percent(self.share, *self.interval)}"


def percent(share: float, low: float, high: float) -> str:
    """Write a share and its interval in percent, with as many decimals as tell the ends apart.

    Examples
    --------
    >>> percent(0.75, 0.589, 0.862)
    '75 % [59, 86]'
    >>> percent(1.0, 0.9997, 1.0)
    '100.00 % [99.97, 100.00]'
    """
    for decimals in range(6):
        said = [f"{100 * each:.{decimals}f}" for each in (share, low, high)]
        if said[1] != said[2]:
            break
    return f"{said[0]} % [{said[1]}, {said[2]}]"
