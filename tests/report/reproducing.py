"""A finding by hand, the target it speaks of, and its reproducer run where samplerfuzz cannot be imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from synthetic import finding

from samplerfuzz.checks.finding import Finding
from samplerfuzz.report.reproducer import write_reproducer


def seen(check: str, protocol: str, expected: dict[str, Any], observed: dict[str, Any], of: Any, **more: Any) -> dict[str, Any]:
    return {"check": check, "protocol": protocol, "expected": expected, "observed": {"outcome": "value", **observed}, "of": of, **more}


def found(what: dict[str, Any], target: str) -> Finding:
    what = dict(what)
    return finding(what.pop("of"), target=target, **{"returns": "logits", **what})


def write_target(path: Path, source: str) -> Path:
    path.write_text(f"import numpy as m\nimport samplerfuzz as sf\n\n@sf.target(order=['top_p'], returns='logits')\n{source}\n")
    return path


def execute(script: Path, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a reproducer where importing the real samplerfuzz would fail."""
    trap = folder / "trap" / "samplerfuzz"
    trap.mkdir(parents=True, exist_ok=True)
    (trap / "__init__.py").write_text("raise ImportError('the real samplerfuzz was imported')")
    environment = {"PYTHONPATH": str(trap.parent), "PATH": "", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, str(script), *arguments], capture_output=True, text=True, timeout=60, env=environment, cwd=folder
    )


def shows_and_does_not_show(what: dict[str, Any], wrong: str, right: str, folder: Path) -> None:
    """Assert that the reproducer exits 1 with the defective target and 0 with the repaired one."""
    target = write_target(folder / "target.py", wrong)
    script = write_reproducer(found(what, f"{target}:mine"), folder / "findings")
    broken = execute(script, folder=folder)
    assert broken.returncode == 1, broken.stdout + broken.stderr
    assert "REPRODUCES" in broken.stdout
    repaired = execute(script, str(write_target(folder / "repaired.py", right)), folder=folder)
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert "does not reproduce" in repaired.stdout
