"""The result of a check as JUnit XML, which every continuous integration shows beside the tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from routebench.checking.check import Checked
from routebench.errors import InputError
from routebench.rules.golden import name_of

_SUITE = "routebench check"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, checked: Checked) -> None:
    """Writes a test case for every gate and one for every golden decision.

    Raises:
        InputError: the file cannot be written.
    """
    suite = ET.Element("testsuite", name=_SUITE)
    for gate in checked.gates:
        case = _case(suite, f"{_SUITE}.gates", gate.name)
        if gate.ok is None:
            ET.SubElement(case, "skipped", message=_clean(gate.reading))
        elif not gate.ok:
            _fail(case, gate.reading, gate.reading)
        else:
            ET.SubElement(case, "system-out").text = _clean(gate.reading)
    failures = {failure.number: failure for failure in checked.golden.failed}
    for number, golden in enumerate(checked.ruleset.golden, start=1):
        case = _case(suite, f"{_SUITE}.golden", f"{number}. {name_of(golden)}")
        if number in checked.golden.unseen:
            ET.SubElement(case, "skipped", message="its request is private, and was not given")
        if number in checked.golden.unasked:
            ET.SubElement(case, "skipped", message="a classifier's model has a say in it, and is not asked here")
        if number in failures:
            found = failures[number]
            chain, rule = " > ".join(found.got) or "no model", found.got_rule
            wanted = f"{' > '.join(found.expected)} by {found.expected_rule}"
            _fail(case, f"expected {wanted}, now {chain} by {rule}", str(found))
    _write(path, suite)


def write_junit_error(path: Path, message: str) -> None:
    """Writes the one test case of a check that could not be made.

    Raises:
        InputError: the file cannot be written.
    """
    suite = ET.Element("testsuite", name=_SUITE)
    first = message.partition("\n")[0]
    error = ET.SubElement(_case(suite, f"{_SUITE}.gates", "check"), "error", message=_clean(first))
    error.text = _clean(message)
    _write(path, suite)


def _case(suite: ET.Element, where: str, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=where, name=_clean(name))


def _fail(case: ET.Element, message: str, text: str) -> None:
    ET.SubElement(case, "failure", message=_clean(message)).text = _clean(text)


def _write(path: Path, suite: ET.Element) -> None:
    suite.set("tests", str(len(suite)))
    for kind, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(plural, str(len(suite.findall(f"testcase/{kind}"))))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another path with --junit") from None


def _clean(text: str) -> str:
    """A text without the signs that XML cannot hold even when they are escaped; they are shown by their numbers."""
    return _NOT_XML.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
