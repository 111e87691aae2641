"""sarif.json is SARIF 2.1.0: the types that are generated from the published schema accept it, unknown and missing properties included."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy
PACKAGES = ("typescript@7", "@types/sarif@2.1.7")
SAMPLER = """\
import numpy as np

def softmax(z):
    return np.exp(z) / np.exp(z).sum(-1, keepdims=True)  # overflows

def mine(logits, temperature, top_k):
    z = logits / temperature
    return np.where(z >= np.sort(z, -1)[:, -min(top_k + 1, z.shape[1])][:, None], softmax(z), 0)
"""


@pytest.fixture(scope="module")
def compiler():
    """Return a directory in which TypeScript and the types of SARIF are installed."""
    if shutil.which("npm") is None:
        pytest.skip("no npm here")
    directory = Path(os.environ.get("SAMPLERFUZZ_CACHE", Path.home() / ".cache" / "samplerfuzz-ci")) / "sarif-types"
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "node_modules" / "@types" / "sarif").is_dir():
        (directory / "package.json").write_text("{}")
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", *PACKAGES], cwd=directory, check=True, capture_output=True, timeout=300
        )
    return directory


def complaints(compiler, name, text):
    file = compiler / f"{name}.ts"
    file.write_text(f'import type {{ Log }} from "sarif";\nconst log: Log = {text};\nexport default log;\n')
    command = ["npx", "tsc", "--noEmit", "--strict", "--moduleResolution", "bundler", "--module", "esnext", file.name]
    return subprocess.run(command, cwd=compiler, capture_output=True, text=True, timeout=300).stdout


def test_what_a_run_writes_has_the_types_of_the_published_schema(compiler, tmp_path):
    (tmp_path / "mine.py").write_text(SAMPLER)
    command = [
        sys.executable,
        "-m",
        "samplerfuzz",
        "fuzz",
        "mine.py:mine",
        "--max-time",
        "5",
        "--seed",
        "1",
        "--no-model",
        "--report-dir",
        "run",
    ]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 1
    text = (tmp_path / "run" / "sarif.json").read_text("utf-8")
    assert text.count('"ruleId"') >= 3
    assert complaints(compiler, "right", text) == ""
    assert "not assignable" in complaints(compiler, "wrong", text.replace('"level": "error"', '"level": "fatal"'))
    assert "does not exist" in complaints(compiler, "unknown", text.replace('"ruleId"', '"ruleName"'))
