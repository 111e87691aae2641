"""The tests of servers share a stub."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
