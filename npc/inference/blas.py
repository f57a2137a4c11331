"""Keep numpy's BLAS on one thread: our matrices are small, and a second thread costs more than it brings.

Measured on two cores shared with other work: a sentence vector takes 8 ms on one thread and up to 200 ms on two,
because OpenBLAS threads spin while they wait for a core that somebody else has.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from pathlib import Path

import numpy

#: The names the setter has had in numpy's wheels, newest first.
_SETTERS = ("scipy_openblas_set_num_threads64_", "openblas_set_num_threads64_", "openblas_set_num_threads")


@lru_cache(maxsize=1)
def use_one_thread() -> bool:
    """Limit the BLAS inside numpy's wheel to one thread (`NPC_BLAS_THREADS` names another number); True when found."""
    count = int(os.environ.get("NPC_BLAS_THREADS", "1"))
    package = Path(numpy.__file__).parent
    for library in [*(package.parent / "numpy.libs").glob("*openblas*"), *(package / ".dylibs").glob("*openblas*")]:
        try:
            loaded = ctypes.CDLL(str(library))
        except OSError:
            continue
        for name in _SETTERS:
            if hasattr(loaded, name):
                getattr(loaded, name)(count)
                return True
    return False
