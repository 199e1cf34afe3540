"""xraykit: classify chest X-rays by transfer learning, and find out what the network learned.

Everything a notebook needs is reached as ``xk.NAME`` after ``import xraykit as xk``. Names are
loaded on first use, so that importing the package takes no TensorFlow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
