"""The numbers and times of logs: amounts from 0 on, scores, US dollars and moments."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from routebench.errors import OutcomesError
from routebench.suites.importers.frames import Tally

_CURRENCIES = frozenset(
    """
    AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
    CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR
    ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT
    MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD
    SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES
    VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG
    """.split()
)
"""Codes of ISO 4217."""


def amount(value: Any, name: str, where: str) -> float | None:
    """Returns a number from 0 on, None where there is none.

    Raises:
        OutcomesError: it is negative, or no number.
    """
    if value is None or value == "":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        raise OutcomesError(f"{where}: {name} {value!r} is no number; leave it out while it is unknown") from None
    if math.isnan(number):
        return None
    if not 0 <= number < math.inf:
        raise OutcomesError(f"{where}: {name} is {value!r}, not an amount from 0 on; leave it out while it is unknown")
    return number


def count(value: Any, name: str, where: str) -> int | None:
    """Returns a whole number from 0 on, None where there is none.

    Raises:
        OutcomesError: it is negative, broken, or no number.
    """
    if type(value) is int and value >= 0:
        return value
    number = amount(value, name, where)
    if number is None:
        return None
    if not number.is_integer():
        raise OutcomesError(f"{where}: {name} is {value!r}, not a whole number")
    return int(number)


def share(value: Any, where: str) -> float | None:
    """Returns a score.

    Raises:
        OutcomesError: it is outside [0, 1], or no number.
    """
    number = float(value) if isinstance(value, bool) else amount(value, "score", where)
    if number is not None and number > 1:
        raise OutcomesError(f"{where}: score {value!r} is above 1; divide by the top of your scale first")
    return number


def dollars(value: float | None, currency: Any, where: str, tally: Tally) -> float | None:
    """Returns a cost where it is in US dollars, which it is without a currency; others are noted and left unknown.

    Raises:
        OutcomesError: there is no such currency.
    """
    if currency in (None, "", "USD"):
        return value
    code = str(currency).strip().upper()
    if code not in _CURRENCIES:
        raise OutcomesError(f"{where}: currency {currency!r} is no code of ISO 4217, such as USD or EUR; mend the line")
    if code != "USD" and value is not None:
        tally.noted[f"costs in {code}, left unknown"] += 1
        return None
    return value


def moment(value: Any, tally: Tally) -> datetime | None:
    """Returns a time given in ISO 8601, or in seconds, milli-, micro- or nanoseconds since 1970."""
    if value is None or value == "":
        return None
    try:
        if isinstance(value, (int, float)) or (isinstance(value, str) and value.replace(".", "", 1).isdecimal()):
            return datetime.fromtimestamp(_epoch_s(float(value)), UTC)
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError, OverflowError, OSError):
        tally.noted["times that cannot be read, left unknown"] += 1
        return None
    if at.tzinfo is None:
        tally.noted["times without a zone, taken as UTC"] += 1
        return at.replace(tzinfo=UTC)
    return at


def seconds_between(start: datetime | None, end: datetime | None, name: str, where: str) -> float | None:
    """Returns how long something took.

    Raises:
        OutcomesError: it ended before it began.
    """
    if start is None or end is None:
        return None
    took = (end - start).total_seconds()
    if took < 0:
        raise OutcomesError(f"{where}: {name} would be {took:g} s, as it ends before it begins; mend its times")
    return took


def _epoch_s(value: float) -> float:
    # Seconds reach 1e11 in the year 5138, and milliseconds in 1973.
    for factor in (1e9, 1e6, 1e3):
        if value >= 1e8 * factor:
            return value / factor
    return value
