#!/usr/bin/env bash
# One would guess: NWBFile.add_trial(timeseries=...) stores which samples of a series lie in the trial, and the answer is
# the same for a series with a rate and for its twin that has the same times as timestamps.
# What happens: for the series with a rate the product (start - starting_time) * rate is cut to an integer. Where it falls
# below the whole number by rounding (0.29 * 100 is 28.999999999999996), the trial begins one sample early, before
# its start; with timestamps it is searched, and is right. Of 900 trials of .5 s that start on samples of a series at
# 100 Hz, more than a tenth point at other samples than in the twin: one too many, one too few, or one too early.
# Way out: timestamps, or the indices computed by rounding and given as TimeSeriesReference.
# Seen with pynwb 4.2.0, hdmf 6.2.0 on CPython 3.11 (source: TimeIntervals.__calculate_idx_count in pynwb/epoch.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
PATH="$folder/venv/bin:$PATH"
pip install -q pynwb==4.2.0 hdmf==6.2.0 numpy==2.4.6 2>/dev/null

cat >twins.py <<'PY'
from datetime import datetime, timezone

import numpy as np
from pynwb import NWBFile, TimeSeries

rate, n_trials = 100.0, 900
nwb = NWBFile(session_description="twins", identifier="twins", session_start_time=datetime(2026, 1, 1, tzinfo=timezone.utc))
data = np.arange(1000.0)
regular = TimeSeries(name="regular", data=data, unit="m", rate=rate, starting_time=0.0)
stamped = TimeSeries(name="stamped", data=data, unit="m", timestamps=data / rate)
nwb.add_acquisition(regular)
nwb.add_acquisition(stamped)
for i in range(n_trials):
    nwb.add_trial(start_time=i / rate, stop_time=i / rate + 0.5, timeseries=[regular, stamped])

differ, early = 0, []
for i in range(n_trials):
    one, other = nwb.trials["timeseries"][i]
    differ += (one.idx_start, one.count) != (other.idx_start, other.count)
    if one.idx_start < i:
        early.append(i)
    assert other.idx_start == i  # the search finds the sample that the trial begins with
print(f"{differ} of {n_trials} trials have other samples with a rate; {len(early)} begin before their start, "
      f"the first of them at {early[0] / rate} s")
PY

seen=$(python twins.py)
echo "$seen"
test "$seen" = "118 of 900 trials have other samples with a rate; 53 begin before their start, the first of them at 0.29 s"
