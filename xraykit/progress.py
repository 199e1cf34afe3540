"""Progress: a bar where a person watches, and nothing that floods a log where nobody does."""

import os
import sys


def person_watches() -> bool:
    """Return whether someone looks on: in a terminal, or in a notebook opened in JupyterLab."""
    return sys.stdout.isatty() or "JPY_SESSION_NAME" in os.environ
