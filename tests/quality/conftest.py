"""The tests of this room share `zoo_triggers.py`: the documented trigger of each defect."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
