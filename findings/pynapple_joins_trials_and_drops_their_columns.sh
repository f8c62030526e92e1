#!/usr/bin/env bash
# One would guess: trials that follow each other without a pause stay so many trials in a pynapple IntervalSet, with their
# columns; a start that lies before the previous end by the rounding of one addition makes no difference.
# What happens: where a start equals the previous end, a microsecond is taken off that end and all columns are kept.
# Where it lies one unit in the last place before it (starts .3 and ends .1 + .2), both trials become one, and the columns
# of *all* trials of the set are dropped, those of trials far away as well. Two warnings are shown; a script that
# selects trials by a column ends in an error, one that counts or averages over trials goes on with fewer of them.
# Way out: ends = np.minimum(ends[:-1], starts[1:]) before the set is made.
# Seen with pynapple 0.11.4, numpy 2.4.6 on CPython 3.11 (source: the class IntervalSet in pynapple/core/interval_set.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
PATH="$folder/venv/bin:$PATH"
pip install -q pynapple==0.11.4 numpy==2.4.6 2>/dev/null

cat >trials.py <<'PY'
import warnings

import numpy as np
import pynapple as nap

warnings.simplefilter("ignore")
outcome = {"outcome": ["hit", "miss", "hit"]}
for name, start in (("equal", 0.1 + 0.2), ("one unit before", 0.3)):
    end = 0.1 + 0.2
    assert np.nextafter(end, 0) <= start <= end
    trials = nap.IntervalSet(start=[0.0, start, 5.0], end=[end, 1.0, 6.0], metadata=outcome)
    print(f"{name}: {len(trials)} trials, columns {list(trials.metadata_columns)}")
PY

seen=$(python trials.py)
echo "$seen"
test "$seen" = "equal: 3 trials, columns ['outcome']
one unit before: 2 trials, columns []"
