"""What a run panel shows and what it can do, without a widget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from routebench.dash.format import duration, money
from routebench.dash.watching.forecast import Pace, spend_usd
from routebench.dash.watching.look import Look
from routebench.dash.watching.priced import Priced
from routebench.dash.watching.scores import Score, mean_scores
from routebench.dash.watching.stored import Stored
from routebench.errors import InputError
from routebench.run import Limits, Progress, Run, going_on

if TYPE_CHECKING:
    from routebench.bench import Bench

Stage = Literal["plan", "run", "elsewhere"]
"""Priced and not begun; begun, or ended, here; going on in another process."""


class Watch:
    """Follows a bench, or one run of it: from the priced plan to the last answer.

    Args:
        bench: what can be run; None to follow a run alone.
        run: what is followed; `find` looks for it when left out.
        cap_usd: the most that all runs of this watch may be billed together, whoever asks.
        read_only: whether nothing can be begun, paused or stopped.

    Attributes:
        stage: where it stands.
        run: the run that is followed, or has been.
        priced: the plan, while nothing is sent.
        stored: what the store knew at the last look into it.
        log: what happened, a time and a sentence each.
    """

    def __init__(
        self,
        bench: Bench | None = None,
        run: Run | None = None,
        *,
        cap_usd: float | None = None,
        read_only: bool = False,
    ) -> None:
        self.bench = bench
        self.run = run
        self.most_usd = cap_usd
        self.read_only = read_only
        self.priced: Priced | None = None
        self.stored: Stored | None = None
        self.scores: dict[str, Score] = {}
        self.log: list[tuple[str, str]] = []
        self.stage: Stage = "plan" if run is None else "run"
        self._spent_usd = 0.0
        self._unbooked = run
        self._own: Run | None = None
        self._most_at_once: int | None = None
        self._wanted_usd: float | None = None
        self._wanted_calls: int | None = None
        self._last: Progress | None = None
        self._pace = Pace()

    @property
    def suite(self) -> str:
        """The name of the suite."""
        if self.bench is not None:
            return self.bench.suite.name
        assert self.run is not None
        return self.run.plan.suite.name

    @property
    def limits(self) -> Limits:
        """How fast a run may go at the most."""
        if self.run is not None:
            return self.run.limits
        return self._bench().limits

    @property
    def left_usd(self) -> float | None:
        """What runs of this watch may still be billed, None for no bound."""
        return None if self.most_usd is None else max(0.0, self.most_usd - self._spent_usd)

    @property
    def is_going(self) -> bool:
        """Whether a run goes on here."""
        return self.stage == "run" and self.run is not None and self.run.running

    def find(self) -> None:
        """Looks where the suite stands: going on here, going on elsewhere, or to be planned.

        Raises:
            StoreError: the store cannot be read, or another process holds it.
            ConfigError: the plan cannot be made.
        """
        bench = self._bench()
        if not self.is_going:
            self._book()
        here = going_on(bench.store, bench.suite.name)
        if here is not None:
            self._follow(here)
            return
        self.stored = Stored.read(bench.store, bench.suite.name)
        if self.stored.is_alive:
            self.stage = "elsewhere"
            return
        self.priced = Priced.of(bench.plan(), bench.store)
        self.stage = "plan"

    def start(self, cap_usd: float | None = None, max_calls: int | None = None) -> Run:
        """Sends the plan.

        Args:
            cap_usd: hard cap on what is billed, judges included; None for none.
            max_calls: hard cap on requests.

        Raises:
            InputError: the cap is above what this watch may spend, or there is nothing to send.
            ConfigError: a key is missing, or a model has no known price and calls are not capped.
        """
        bench = self._bench()
        self._check_writable()
        if self.stage != "plan" or self.priced is None:
            raise InputError("a run goes on already; pause or stop that one")
        if not self.priced.n_calls:
            raise InputError("nothing to run: every cell is known; add a case, a model or a sample")
        self._check_cap(cap_usd)
        if self.priced.unpriced and max_calls is None:
            names = ", ".join(self.priced.unpriced)
            raise InputError(
                f"the most that a call of {names} can cost is unknown (no price, or no cap on its output); cap the "
                "number of calls, or give `price` and `max_tokens` in the bench.yaml"
            )
        self._wanted_usd, self._wanted_calls = cap_usd, max_calls
        run = self._own = bench.run(self.priced.plan, budget_usd=cap_usd, max_calls=max_calls)
        self._follow_own(run)
        cap = "no cap" if cap_usd is None else f"a cap of {money(cap_usd)}"
        calls = "" if max_calls is None else f", at most {max_calls:,} requests"
        self.note(f"run {run.run_id} began: {len(run.plan.calls):,} calls, {cap}{calls}")
        return run

    def pause_or_resume(self) -> None:
        """Sends nothing new until it is called again; calls in flight finish."""
        self._check_writable()
        run = self._going()
        if run.progress().status == "paused":
            run.resume()
        else:
            run.pause()

    def stop(self) -> None:
        """Ends the run after the calls in flight; the next one goes on from there."""
        self._check_writable()
        self._going().stop()

    def raise_cap(self, cap_usd: float) -> None:
        """Allows the run that goes on to be billed more.

        Raises:
            InputError: that is not more, or more than this watch may spend.
        """
        self._check_writable()
        self._check_cap(cap_usd)
        self._going().raise_cap(cap_usd)
        self._wanted_usd = cap_usd

    def throttle(self, max_concurrency: int) -> None:
        """Lets no more calls of an account be in flight at once, in this run and those that this watch begins later."""
        self._check_writable()
        self._going().throttle(max_concurrency)
        self._most_at_once = max_concurrency

    def look(self) -> Look:
        """Looks at the run: cheap enough to be asked twice a second."""
        assert self.run is not None
        progress = self.run.progress()
        self._tell_changes(progress)
        self._pace.look(progress)
        going = progress.status in ("running", "paused", "pending")
        return Look(
            progress,
            spend_usd(progress) if going else None,
            self._pace.left_s(progress) if progress.status == "running" else None,
            self.run.recent(),
            self.run.problems(),
        )

    def ended(self) -> Run | None:
        """Settles a run that has ended; returns the run of the judges that follows it, if one does."""
        assert self.run is not None
        run = self.run
        progress = run.progress()
        self._tell_changes(progress)
        self._book()
        # Of judges' calls a plan has no cells; and what somebody else began, somebody else judges.
        is_answered = bool(run.plan.keys) and not progress.left and run.error is None
        if self.bench is None or run is not self._own or not is_answered:
            return None
        judging = self.bench.judge(
            budget_usd=None if self._wanted_usd is None else max(0.0, self._wanted_usd - progress.spent_usd),
            max_calls=None if self._wanted_calls is None else max(0, self._wanted_calls - progress.n_sent),
        )
        if judging is not None:
            self._follow_own(judging)
            self.note(f"the judges are asked: {len(judging.plan.calls):,} calls")
        return judging

    def read_scores(self) -> None:
        """Reads the mean scores so far, grading what has no grade yet where this watch may write.

        Raises:
            StoreError: the store cannot be read.
        """
        if self.bench is None:
            return
        if not self.read_only:
            self.bench.grade()
        names = [model.name for model in self.bench.models]
        self.scores = mean_scores(self.bench.store, self.suite, names)

    def note(self, text: str) -> None:
        """Adds a line to the log, at the run's own time."""
        elapsed_s = 0.0 if self.run is None else self.run.progress().elapsed_s
        self.log.append((duration(elapsed_s) if elapsed_s >= 1 else "0 s", text))

    def _follow(self, run: Run) -> None:
        if run is not self.run:
            self._pace, self._last = Pace(), None
        self.run, self.stage, self._unbooked = run, "run", run

    def _follow_own(self, run: Run) -> None:
        if self._most_at_once is not None:
            run.throttle(self._most_at_once)
        self._follow(run)

    def _book(self) -> None:
        """Notes what a run that has ended was billed, once, whoever asks first."""
        run, self._unbooked = self._unbooked, None
        if run is not None:
            self._spent_usd += run.progress().spent_usd

    def _bench(self) -> Bench:
        if self.bench is None:
            raise InputError("this panel follows one run; rb.live(bench) can begin one")
        return self.bench

    def _going(self) -> Run:
        if not self.is_going or self.run is None:
            raise InputError("no run goes on here; plan what is left")
        return self.run

    def _check_writable(self) -> None:
        if self.read_only:
            raise InputError("this page only shows; runs are begun and stopped where the bench is")

    def _check_cap(self, cap_usd: float | None) -> None:
        most = self.left_usd
        if most is None:
            return
        if self.priced is not None and self.priced.unpriced:
            names = ", ".join(self.priced.unpriced)
            raise InputError(
                f"the most that {names} can cost is unknown, and this page may spend {money(most)} at the most; give "
                "`price` and `max_tokens` in the bench.yaml"
            )
        if cap_usd is None or cap_usd > most:
            raise InputError(f"this page may spend {money(most)} at the most; give a cap of that or less")

    def _tell_changes(self, now: Progress) -> None:
        before, self._last = self._last, now
        if before is None:
            return
        if now.status != before.status:
            ends = "" if now.note is None else f": {now.note}"
            left = f", {now.left:,} not sent" if now.left and now.status not in ("running", "paused") else ""
            self.note(f"{now.status}{ends}{left}")
        if now.cap_usd != before.cap_usd:
            self.note(f"cap raised from {money(before.cap_usd)} to {money(now.cap_usd)}")
        cuts = {lane.name: lane.cuts for lane in before.lanes}
        for lane in now.lanes:
            if lane.cuts > cuts.get(lane.name, 0):
                self.note(f"{lane.name}: refused for its rate, now at most {lane.limit} in flight")
        for name, reason in now.paused.items():
            if name not in before.paused:
                self.note(f"{name} is paused: {reason}")
