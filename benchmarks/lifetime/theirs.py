"""One turn of `lifetimes`, run by the Python of its own environment: ours cannot be imported."""

import json
import sys
import time
from pathlib import Path

import numpy as np
from lifetimes import (  # type: ignore[import-not-found]
    GammaGammaFitter,
    ModifiedBetaGeoFitter,
)

_HORIZON_DAYS = 90


def main() -> None:
    """Reads the customers, prints the seconds of each step."""
    stored = np.load(sys.argv[1])
    frequency, recency, age = stored["frequency"], stored["recency_days"], stored["age_days"]
    has_repeat = frequency > 0
    value = np.where(has_repeat, stored["mean_order_value"], 0.0)
    started = time.perf_counter()
    purchases = ModifiedBetaGeoFitter()
    purchases.fit(frequency, recency, age)
    bought = time.perf_counter()
    values = GammaGammaFitter()
    values.fit(frequency[has_repeat], value[has_repeat])
    valued = time.perf_counter()
    expected = purchases.conditional_expected_number_of_purchases_up_to_time(
        _HORIZON_DAYS, frequency, recency, age
    )
    purchases.conditional_probability_alive(frequency, recency, age)
    worth = values.conditional_expected_average_profit(frequency, value)
    total = float(np.sum(expected * worth))
    ended = time.perf_counter()
    told = {
        "purchases": bought - started,
        "values": valued - bought,
        "forecast": ended - valued,
        "expected_value": total,
        "peak_mib": _peak_mib(),
    }
    sys.stdout.write(json.dumps(told))


def _peak_mib() -> float:
    # Not getrusage: its maximum begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
