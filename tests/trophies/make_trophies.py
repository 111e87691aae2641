"""Write reports/TROPHIES.md and the table in README.md from reports/trophies/*.toml: `python tests/trophies/make_trophies.py`."""

import tomllib
from pathlib import Path

REPORTS = Path(__file__).resolve().parents[2] / "reports"
README = REPORTS.parent / "README.md"
BEGIN, END = "<!-- trophies: begin -->", "<!-- trophies: end -->"
FIELDS = (
    "reproducer", "title", "library", "version", "function", "claim", "severity", "case", "expected", "observed", "cause", "upstream",
    "consequence",
)  # fmt: skip
SEVERITIES = ("critical", "high", "medium", "low")
HEAD = """\
# Trophies

Bugs of released software that samplerfuzz found: each was confirmed against the library alone, traced to its cause in the library's source and
compared with what the library documents. "No thread found" speaks of an index of GitHub issues and pull requests, not of the trackers
themselves. A reproducer needs only the library and NumPy, that of a server a Python alone: `python reports/trophies/NAME.py` prints what was
expected and what came back, and exits with 1 while the defect shows. Conventions, documented limits and refusals are not here.

"""


def trophies():
    """Return all entries, the gravest first."""
    found = [entry for file in sorted((REPORTS / "trophies").glob("*.toml")) for entry in tomllib.loads(file.read_text("utf-8"))["trophy"]]
    return sorted(found, key=lambda entry: (SEVERITIES.index(entry["severity"]), entry["library"].lower(), entry["reproducer"]))


def cell(text):
    return " ".join(text.split()).replace("|", "\\|")


def document():
    """Return the text of TROPHIES.md."""
    entries = trophies()
    libraries = sorted({entry["library"] for entry in entries}, key=str.lower)
    lines = [HEAD + f"{len(entries)} bugs in {len(libraries)} libraries: {', '.join(libraries)}.\n"]
    lines += ["| severity | library | what goes wrong | known upstream |", "| --- | --- | --- | --- |"]
    for entry in entries:
        anchor = entry["reproducer"].removesuffix(".py")
        lines.append(
            f"| {entry['severity']} | {entry['library']} {entry['version']} | [{cell(entry['title'])}](#{anchor}) | {cell(entry['upstream'])} |"
        )
    for entry in entries:
        anchor = entry["reproducer"].removesuffix(".py")
        lines += ["", f'<a id="{anchor}"></a>', "", f"## {entry['library']} {entry['version']}: {cell(entry['title'])}", ""]
        lines += [f"- **Where**: `{entry['function']}`; claim `{entry['claim']}`, {entry['severity']}"]
        lines += [
            f"- **{name.capitalize()}**: {cell(entry[name])}"
            for name in ("case", "expected", "observed", "cause", "consequence", "upstream")
        ]
        lines += [f"- **Reproducer**: [{entry['reproducer']}](trophies/{entry['reproducer']})"]
    return "\n".join(lines) + "\n"


def table():
    """Return the table of README.md: a line a library, with its gravest bug."""
    entries = trophies()
    lines = ["| library | bugs | the gravest |", "| --- | ---: | --- |"]
    for library in sorted({entry["library"] for entry in entries}, key=str.lower):
        own = [entry for entry in entries if entry["library"] == library]
        first = own[0]
        link = f"[{cell(first['title'])}](reports/TROPHIES.md#{first['reproducer'].removesuffix('.py')})"
        lines.append(f"| {library} | {len(own)} | {first['severity']}: {link} |")
    return "\n".join(lines)


def readme():
    """Return README.md with the table as it should be."""
    text = README.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(readme(), encoding="utf-8")
    (REPORTS / "TROPHIES.md").write_text(document(), encoding="utf-8")
    print(len(trophies()), "trophies")
