"""xraykit: classify chest X-rays by transfer learning, and find out what the network learned.

Everything a notebook needs is reached as ``xk.NAME`` after ``import xraykit as xk``. Names are
loaded on first use, so that importing the package takes no TensorFlow.
"""

try:
    import lazy_loader
except ModuleNotFoundError as error:  # one line, where a traceback would hide what to do
    raise SystemExit(
        "✗ The package lazy_loader is missing. Install again: pip install -e ."
    ) from error

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
