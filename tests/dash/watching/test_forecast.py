from __future__ import annotations

import math
from dataclasses import replace

import pytest

from routebench.dash.watching.forecast import Pace, spend_usd
from routebench.run import ModelProgress, Progress


def model(
    name: str = "m", calls: int = 100, done: int = 20, billed: int | None = None, **fields: object
) -> ModelProgress:
    n = done if billed is None else billed
    known = {"n_billed": n, "billed_usd": 0.01 * n, "billed_sd_usd": 0.002, **fields}
    return ModelProgress(name, calls, done, done, 0, 0, 0, None, None, None, **known)  # type: ignore[arg-type]


def progress(*models: ModelProgress, elapsed_s: float = 0.0, **fields: object) -> Progress:
    told = {"status": "running", "paused": {}, "spent_usd": sum(one.billed_usd for one in models), **fields}
    return Progress(
        run_id="r",
        calls=sum(one.calls for one in models),
        done=sum(one.done for one in models),
        known=0,
        in_flight=0,
        n_cost_unknown=0,
        cap_usd=None,
        n_sent=0,
        max_calls=None,
        errors_by_kind={},
        lanes=(),
        note=None,
        elapsed_s=elapsed_s,
        eta_s=None,
        models=models,
        problems=(),
        **told,  # type: ignore[arg-type]
    )


def test_spend_is_what_was_billed_and_the_mean_for_what_is_left() -> None:
    told = spend_usd(progress(model()))
    assert told is not None
    assert told.value == pytest.approx(1.0)
    # 80 draws, and a mean of 20: 80 * 0.002^2 * (1 + 80 / 20).
    spread = 1.96 * math.sqrt(80 * 0.002**2 * 5)
    assert (told.low, told.high) == pytest.approx((1 - spread, 1 + spread))


def test_spend_is_unknown_while_a_model_has_hardly_begun_or_has_no_bill() -> None:
    assert spend_usd(progress(model(), model("late", done=3))) is None
    assert spend_usd(progress(model(), model("unpriced", billed=0))) is None
    # A model that is paused sends nothing more, and one that is through needs no forecast.
    assert spend_usd(progress(model("late", done=3), paused={"late": "only fails"})) is not None
    through = spend_usd(progress(model(calls=2, done=2)))
    assert through is not None
    assert (through.low, through.value, through.high) == pytest.approx((0.02, 0.02, 0.02))


def test_time_left_is_that_of_the_slowest_model_with_the_spread_of_a_count() -> None:
    pace = Pace()
    pace.look(progress(model("fast", done=0), model("slow", done=0)))
    now = progress(model("fast", done=80), model("slow", done=25), elapsed_s=50.0)
    pace.look(now)
    left = pace.left_s(now)
    assert left is not None
    assert left.value == pytest.approx(75 * 50 / 25)
    assert (left.low, left.high) == pytest.approx((150 / (1 + 1.96 / 5), 150 / (1 - 1.96 / 5)))


def test_only_the_last_minute_counts_and_a_pause_is_no_pace() -> None:
    pace = Pace()
    for second in range(0, 200, 10):
        # Ten times as fast in the last minute.
        done = second // 10 if second < 140 else 14 + (second - 140)
        pace.look(progress(model(calls=200, done=done), elapsed_s=float(second)))
    now = progress(model(calls=200, done=64), elapsed_s=190.0)
    left = pace.left_s(now)
    assert left is not None
    assert left.value < 136 * 190 / 64 / 2
    pace.look(replace(now, status="paused"))
    assert pace.left_s(now) is None


def test_time_is_unknown_before_enough_calls_have_ended() -> None:
    pace = Pace()
    first = progress(model(done=0))
    pace.look(first)
    assert pace.left_s(first) is None
    later = progress(model(done=7), elapsed_s=5.0)
    pace.look(later)
    assert pace.left_s(later) is None
