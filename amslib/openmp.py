"""Sets how the threads of torch wait for each other. The package imports this before torch.

OpenMP's threads wait in a loop that keeps a core busy. Beside another busy process they take each
other's cores that way, and training becomes several times slower; asleep they do not. The runtime
reads the variable once, when torch is loaded; processes that this one starts inherit it.
"""

from __future__ import annotations

import os
import sys

if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
