"""The live page in a real browser: it shows what happens, fits a phone and runs nothing that a client wrote."""

import json
import re
import shutil
import subprocess

import pytest
from guarding import guarding

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome", "chrome") if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium here; Debian: apt-get install chromium")


def opened(url, folder, *, width):
    """Return the page's DOM after its first poll."""
    arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=4000", f"--window-size={width},800", "--dump-dom"]
    command = [BROWSER, *arguments, f"--user-data-dir={folder / 'profile'}", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_the_page_shows_what_happens(stub, tmp_path):
    with guarding(stub.url) as guard:
        guard.post("/v1/completions", {"prompt": "x", "temperature": 0.5})
        guard.post("/v1/completions", {"prompt": "x", "temperature": 5})
        guard.post("/v1/completions", {"prompt": "x", "<img src=x onerror='document.title=1'>": 1})
        guard.settle()
        shown = opened(guard.url + "/", tmp_path, width=1200)
    assert re.search(r'<h1 id="title">\s*Guarding', shown)
    assert shown.count("/v1/completions</td>") == 3
    assert re.search(r'<td class="reject">reject</td><td>400</td><td>temperature</td>', shown)
    assert "<img" not in shown
    stats = {name: value for value, name in re.findall(r"<b>([^<]*)</b><span>([^<]*)</span>", shown)}
    assert (stats["accepted"], stats["flagged"], stats["refused"], stats["temperatures outside"]) == ("1", "1", "1", "50.0 %")


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_the_screen(stub, tmp_path, width):
    frame = f"""<!DOCTYPE html><iframe id="f" src="URL" style="width:{width}px;height:800px;border:0"></iframe><pre id="out"></pre><script>
    document.getElementById("f").onload = (event) => {{
      const page = event.target.contentDocument, title = page.getElementById("title");
      const tell = () => document.getElementById("out").textContent = JSON.stringify([page.documentElement.scrollWidth, title.textContent]);
      new MutationObserver(tell).observe(page.body, {{ childList: true, subtree: true }});
      tell();
    }};</script>"""
    with guarding(stub.url, let_by=["GET /frame"]) as guard:
        stub.frame = frame.replace("URL", guard.url + "/").encode()
        for _ in range(3):
            guard.post("/v1/chat/completions", {"prompt": "x", "temperature": 5, "top_p": 3, "repeat_penalty": -1})
        shown = opened(guard.url + "/frame", tmp_path, width=1300)
    scroll, title = json.loads(re.search(r'<pre id="out">(\[.*?\])</pre>', shown)[1])
    assert scroll <= width
    assert title == "Guarding"


def test_the_page_says_that_the_guard_is_gone(tmp_path, stub):
    with guarding(stub.url) as guard:
        page = guard.get("/").text
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    assert "does not answer" in opened(f"file://{tmp_path}/page.html", tmp_path, width=400)
