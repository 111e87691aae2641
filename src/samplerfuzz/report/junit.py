"""junit.xml: a test case for every check of every target, for CI systems."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from samplerfuzz.report.schema import FindingEntry, Report
from samplerfuzz.report.text import printable


def junit_xml(report: Report) -> str:
    """Return the text of junit.xml: a suite a target, a case a check, a failure a finding."""
    root = ET.Element("testsuites", name="samplerfuzz", time=f"{report.seconds:.3f}")
    failures = tests = 0
    for target in report.targets:
        found = [f for f in report.findings if f.target == target.target]
        names = sorted({*target.checks, *(f.check for f in found)})
        suite = ET.SubElement(root, "testsuite", name=printable(target.target), time=f"{target.seconds:.3f}", timestamp=report.started)
        suite.set("tests", str(len(names) + len(target.skipped)))
        failed = {f.check for f in found if not f.known}
        accepted = {f.check: f.known for f in found if f.known and f.check not in failed}
        suite.set("failures", str(len(failed)))
        suite.set("skipped", str(len(target.skipped) + len(accepted)))
        for name in names:
            case = ET.SubElement(suite, "testcase", classname=printable(target.target), name=name)
            broken = [f for f in found if f.check == name and not f.known]
            if name in accepted:
                ET.SubElement(case, "skipped", message=printable(f"known: {accepted[name]}"))
            elif broken:
                failure = ET.SubElement(case, "failure", type=broken[0].severity, message=printable(broken[0].title))
                failure.text = "\n\n".join(_text(f) for f in broken)
        for name, reason in target.skipped.items():
            case = ET.SubElement(suite, "testcase", classname=printable(target.target), name=name)
            ET.SubElement(case, "skipped", message=printable(reason))
        tests += len(names) + len(target.skipped)
        failures += len(failed)
    root.set("tests", str(tests))
    root.set("failures", str(failures))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _text(finding: FindingEntry) -> str:
    lines = [f"[{finding.severity}] {finding.title}", f"id: {finding.id}", f"order: {' > '.join(finding.order)}"]
    if finding.reproducer:
        lines.append(f"reproducer: {finding.reproducer}")
    return "\n".join(printable(line) for line in lines)
