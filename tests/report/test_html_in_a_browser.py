"""The page in a real browser: it fits a phone, hides nothing, runs nothing that a target wrote, and has a dark side."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from synthetic import case, crossing_token, finding
from test_html import page

from samplerfuzz.checks.finding import Finding

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here; Debian: apt-get install chromium")

# the page lies in a frame as wide as the screen it is meant for, and is asked what became of it
HARNESS = """<!DOCTYPE html><iframe id="f" src="report.html" style="width:{width}px;height:800px;border:0"></iframe><pre id="out"></pre>
<script>
document.getElementById("f").onload = (event) => {{
  const page = event.target.contentDocument, view = event.target.contentWindow;
  const seen = (e) => e.getBoundingClientRect().width > 0;
  document.getElementById("out").textContent = JSON.stringify({{
    width: page.documentElement.scrollWidth,
    executed: "hacked" in view || "hacked" in window,
    images: page.images.length,
    scripts: page.scripts.length,
    findings: [...page.querySelectorAll("details.finding .title")].filter(seen).map((e) => e.textContent.trim()),
    background: view.getComputedStyle(page.body).backgroundColor,
    bars: page.querySelectorAll("rect.got").length,
  }});
}};
</script>"""


def opened(folder: Path, *findings: Finding, width: int, dark: bool = False) -> dict[str, Any]:
    (folder / "report.html").write_text(page(*findings, source="</pre><script>window.hacked = 1</script>"), encoding="utf-8")
    (folder / "harness.html").write_text(HARNESS.format(width=width), encoding="utf-8")
    arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--virtual-time-budget=5000",
        "--dump-dom",
    ]
    arguments += ["--blink-settings=preferredColorScheme=0"] if dark else []
    command = [str(BROWSER), *arguments, f"--user-data-dir={folder / 'profile'}", f"file://{folder}/harness.html"]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="out">(\{.*?\})</pre>', shown, flags=re.DOTALL)
    assert found, shown[-2000:]
    text = found.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    result: dict[str, Any] = json.loads(text)
    return result


def hostile() -> Finding:
    return finding(
        case([[0.0]], parameters={"top_p": [0.5]}),
        expected={"outcome": "value"},
        observed={"outcome": "raised", "message": "<img src=x onerror='window.hacked=1'>"},
        title="</details><script>window.hacked=1</script>\u202e\x1b[0m" + "x" * 300,
        id="0123456789",
    )


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_the_screen_and_executes_nothing(tmp_path: Path, width: int) -> None:
    seen = opened(tmp_path, crossing_token(), hostile(), width=width)
    assert seen["width"] <= width
    assert not seen["executed"]
    assert (seen["images"], seen["scripts"]) == (0, 0)
    assert any("<script>window.hacked=1</script>" in title for title in seen["findings"])
    assert seen["bars"] >= 2


def test_the_page_has_a_dark_side(tmp_path: Path) -> None:
    light, dark = (opened(tmp_path, replace(crossing_token()), width=800, dark=dark)["background"] for dark in (False, True))
    assert light != dark
