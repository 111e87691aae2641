"""The tests of this room share `synthetic.py`: findings and runs made by hand."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
