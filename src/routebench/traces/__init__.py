"""What a policy did at work: a row a request, in Parquet segments that are read while they grow."""

from __future__ import annotations

from routebench.traces.frames import features_of, frame_of
from routebench.traces.reading import TraceFolder, read_attempts, read_traces
from routebench.traces.row import Attempt, Outcome, Trace
from routebench.traces.writer import TraceWriter

__all__ = [
    "Attempt",
    "Outcome",
    "Trace",
    "TraceFolder",
    "TraceWriter",
    "features_of",
    "frame_of",
    "read_attempts",
    "read_traces",
]
