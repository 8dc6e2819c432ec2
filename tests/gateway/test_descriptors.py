from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace

import pytest

from routebench.gateway.descriptors import with_room
from routebench.gateway.limits import Limits

LIMITS = replace(Limits(), max_connections=4_000, max_concurrency=1_000)


def test_where_there_is_room_limits_are_as_wished() -> None:
    asked = []
    assert with_room(LIMITS, raise_to=lambda wanted: asked.append(wanted) or wanted) == LIMITS
    assert asked == [5_128]
    assert with_room(LIMITS, raise_to=lambda _: None) == LIMITS


@pytest.mark.parametrize("room", [10, 200, 1_024, 4_096, 5_127])
def test_where_there_is_less_there_is_a_part_for_providers(room: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made = with_room(LIMITS, raise_to=lambda _: room)
    assert made.max_connections + made.max_concurrency <= max(room - 128, 2)
    assert made.max_connections >= made.max_concurrency >= 1
    assert f"open {room} files" in caplog.text
    assert "`ulimit -n 5128`" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="files are not bounded there")
def test_the_bound_of_the_system_is_raised_and_kept() -> None:
    code = """
import json, resource
from dataclasses import asdict, replace
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 600))
from routebench.gateway.descriptors import with_room
from routebench.gateway.limits import Limits
small = with_room(replace(Limits(), max_connections=300, max_concurrency=100))
raised = resource.getrlimit(resource.RLIMIT_NOFILE)
large = with_room(Limits())
print(json.dumps([small.max_connections, small.max_concurrency, raised, large.max_connections, large.max_concurrency]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [300, 100, [528, 600], 236, 236]
