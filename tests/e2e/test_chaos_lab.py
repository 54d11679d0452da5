"""The chaos lab's own rules, where a mistake of the lab would look like one of the worker."""
import subprocess
import sys

from places import REPOSITORY

LAB = REPOSITORY / "tests" / "chaos"
NOBODY_CONNECTED = """
from types import SimpleNamespace
from faults import Faults
lab = SimpleNamespace(proxy=SimpleNamespace(do=lambda *a, **more: 0), note=lambda text: None)
faults = Faults(lab)
for kind in ("delay", "hold", "drop", "cut", "half_close", "late"):
    faults.begin(SimpleNamespace(kind=kind, chance_seed=853569608324))
print(*(fault.kind for fault in faults.done), "|", *faults.skipped)
"""


def test_a_fault_that_strikes_new_connections_counts_while_nobody_is_connected():
    """Else what it does to those that connect meanwhile looks like the worker's doing."""
    done = subprocess.run([sys.executable, "-c", NOBODY_CONNECTED], cwd=LAB, text=True, capture_output=True, timeout=60, check=True)
    assert done.stdout.split() == "delay hold drop | cut half_close late".split()
