"""Outages, slow-downs and bursts on recorded outcomes: what a rule set would do while they last."""

from __future__ import annotations

from routebench.simulation.arrivals import Times, read_times
from routebench.simulation.figures import Figures
from routebench.simulation.findings import Found
from routebench.simulation.incidents_file import load_scenario, parse_scenario
from routebench.simulation.scenario import Burst, Incident, Scenario
from routebench.simulation.simulation import Simulation, simulate

__all__ = [
    "Burst",
    "Figures",
    "Found",
    "Incident",
    "Scenario",
    "Simulation",
    "Times",
    "load_scenario",
    "parse_scenario",
    "read_times",
    "simulate",
]
