"""The test of the trophies reads what `make_trophies.py` reads."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
