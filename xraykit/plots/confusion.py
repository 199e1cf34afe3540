"""The confusion matrix."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from ..errors import check_kind
from ..metrics.intervals import Proportion
from ..metrics.scores import Scores
from .style import finish, styled


@styled
def plot_confusion(scores: Scores, title: str = "") -> Figure:
    """Plot the confusion matrix: one row per true class, one column per predicted class.

    Returns
    -------
    Figure
        A notebook displays it if the call is the last line of a cell.

    Examples
    --------
    >>> xk.plot_confusion(xk.score(predictions)).savefig("confusion.png")
    """
    check_kind(scores, Scores, "scores, xk.score(predictions)")
    names = list(scores.confusion.index)
    side = 2.2 + 0.8 * len(names)
    figure, axis = plt.subplots(figsize=(side + 0.8, side))
    matrix = ConfusionMatrixDisplay(scores.confusion.to_numpy(), display_labels=names)
    matrix.plot(ax=axis, cmap="Blues", values_format="d", colorbar=False, text_kw={"fontsize": 16})
    axis.set(xlabel="predicted", ylabel="true")
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axis.set_title(f"{title}\n{Proportion(scores.correct, scores.total)}".strip())
    counts = scores.confusion.stack()
    errors = [f"{n} {true} as {told}" for (true, told), n in counts.items() if n and true != told]
    text = f"Confusion matrix, {Proportion(scores.correct, scores.total)} correct"
    return finish(figure, f"{text}; wrong: {', '.join(errors) or 'none'}")
