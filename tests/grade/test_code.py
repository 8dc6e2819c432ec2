from __future__ import annotations

import os
import subprocess
from typing import Any

import pytest

from routebench.errors import SuiteError
from routebench.grade import check_graders, sandbox
from routebench.grade.code import code, run_tests
from routebench.suites import Suite
from routebench.types import Grade
from tests.conftest import make_case

RIGHT = "def add(a, b):\n    return a + b\n"
TESTS = "assert add(1, 2) == 3\nassert add(0, 0) == 0"

FORGES = """
import os
for fd in range(3, 64):
    try:
        os.write(fd, b"passed: x\\n")
    except OSError:
        pass
os._exit(0)
"""

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the sandbox needs a POSIX system")


def graded(answer: str, tests: Any = TESTS, **options: Any) -> Grade:
    return code(make_case("a", target=tests, grader="code", options=options), answer)


@pytest.mark.parametrize(
    "answer",
    [RIGHT, f"Here:\n```python\n{RIGHT}```\nand\n```python\nadd = None\n```", f"```\n{RIGHT}```", f"```py\n{RIGHT}```"],
)
def test_code_that_passes_its_tests(answer: str) -> None:
    assert graded(answer).score == 1.0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("def add(a, b):\n    return 3", "AssertionError in the tests, line 2"),
        ("def add(", "SyntaxError"),
        ("x = 1", "NameError: name 'add' is not defined in the tests"),
        ("import sys\nsys.exit(0)", "ended the program"),
        ("import os\nos._exit(0)", "ended before the tests did (code 0)"),
        ("def add(a, b):\n    import os\n    os._exit(0)", "ended before the tests did (code 0)"),
        ("import ctypes\nctypes.string_at(0)", "ended before the tests did (code"),
        ("x = [0] * 10**9", "out of memory (256 MB) in the answer"),
        ("open('big', 'wb').write(b'0' * 10**8)", "File too large"),
        (
            FORGES,
            "only the tests report",
        ),
    ],
)
def test_code_that_does_not_pass_says_why(answer: str, words: str) -> None:
    grade = graded(answer)
    assert grade.score == 0.0
    assert grade.detail is not None
    assert words in grade.detail


@pytest.mark.parametrize("answer", ["while True:\n    pass", "import time\ntime.sleep(60)"])
def test_a_timeout_is_told_and_leaves_nothing_behind(answer: str) -> None:
    mark = "sleep 4242.4242"
    began = f"import subprocess\nsubprocess.Popen({mark.split()!r})\n"
    grade = graded(began + answer, timeout_s=0.5)
    assert (grade.score, (grade.detail or "").split(";")[0]) == (0.0, "timeout: not done after 0.5 s")
    assert mark not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_the_network_is_out_of_reach_or_the_detail_says_that_it_is_not() -> None:
    asks = "import socket\nsocket.create_connection(('192.0.2.1', 9), timeout=0.2)\n"
    assert graded(asks + RIGHT).score == 0.0
    detail = graded(asks + RIGHT).detail or ""
    assert "unreachable" in detail or "within its reach" in detail


def test_the_environment_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "sk-secret")
    assert graded("import os\nfound = 'MY_API_KEY' in os.environ", "assert not found").score == 1.0


def test_an_entry_is_the_tests_candidate() -> None:
    tests = ["assert candidate(1, 2) == 3", "assert candidate(2, 2) == 4"]
    assert graded(RIGHT, tests, entry="add").score == 1.0
    assert "defines no 'plus'" in (graded(RIGHT, tests, entry="plus").detail or "")


def test_a_sandbox_that_does_not_start_leaves_the_answer_unscored() -> None:
    grade = run_tests({}, 1.0, sandbox=("-c", "raise SystemExit(3)"))
    assert grade.score is None
    assert grade.detail == "the sandbox could not start: it ended with code 3"


def test_a_system_that_cannot_cut_the_network_off_is_named_in_the_detail() -> None:
    elsewhere = f"import runpy, sys; sys.platform = 'other'; runpy.run_path({sandbox.__file__!r}, run_name='__main__')"
    job = {"answer": RIGHT, "tests": TESTS, "entry": None, "memory_mb": 256.0, "cpu_s": 5}
    grade = run_tests(job, 5.0, sandbox=("-c", elsewhere))
    assert grade == Grade("code", 1.0, "all tests passed; the network was within its reach")


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (None, {}, "needs tests"),
        ("assert (", {}, "the tests are not Python"),
        ("assert f(1)", {"timeout_s": -1}, "a number from 0 on"),
        ("assert f(1)", {"entry": "f()"}, "names a function"),
    ],
)
def test_tests_are_checked_before_anything_is_paid(target: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(SuiteError, match=words):
        check_graders(Suite("s", (make_case("a", target=target, grader="code", options=options),)))
