"""What a student has for themself: a seed."""

from hashlib import sha256

from ..errors import InputError

N_SEEDS = 10**6  # two of 200 students have the same seed with a probability of 2 %


def student_seed(student: str) -> int:
    """Return the random seed of a student, drawn from their name or number.

    Split, new weights and order of the images follow from it, so that two students see different
    scores, and an answer that was copied does not fit. Capitals and spaces make no difference.

    Parameters
    ----------
    student : str

    Returns
    -------
    int
        From 0 to 999,999, the same on every machine.

    Raises
    ------
    InputError
        If it is empty.

    Examples
    --------
    >>> xk.student_seed("Ada Lovelace"), xk.student_seed("ada  lovelace")
    (757213, 757213)
    """
    name = " ".join(str(student).casefold().split())
    if not name:
        raise InputError("Expected a name or number of a student, found an empty text")
    return (
        int.from_bytes(sha256(name.encode("utf-8", "surrogatepass")).digest()[:8], "big") % N_SEEDS
    )
