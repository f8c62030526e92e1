#!/usr/bin/env bash
# One would guess: a conftest.py at the root of a project is the first code of a test run, so that it can set
# OMP_NUM_THREADS=1 before NumPy starts its threads, as projects do whose tests run in several workers.
# What happens: where jaxtyping is installed, pytest loads its plugin (entry point pytest11) before any conftest.py, and
# the plugin's package imports NumPy. The variable that conftest.py sets comes too late, in silence: every worker runs
# as many BLAS threads as there are cores, and they wait for each other. It is enough that jaxtyping is a dependency for
# type checkers; no option of it has to be used. Way out: threadpoolctl's limits, or "-p no:jaxtyping".
# Seen with jaxtyping 0.3.11, pytest 9.2.0, numpy 2.4.6 on CPython 3.11 (source: jaxtyping/_pytest_plugin.py and its
# entry point in the package's metadata; pytest's documentation, "Plugin discovery order at tool startup").
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
PATH="$folder/venv/bin:$PATH"
pip install -q jaxtyping==0.3.11 pytest==9.2.0 numpy==2.4.6 2>/dev/null

cat >conftest.py <<'PY'
import sys

EARLY = "numpy" in sys.modules
PY
cat >test_order.py <<'PY'
import conftest


def test_order():
    print("NumPy is loaded before conftest.py:", conftest.EARLY)
PY

seen=$(python -m pytest -q -s test_order.py | grep "before conftest")
without=$(python -m pytest -q -s -p no:jaxtyping test_order.py | grep "before conftest")
echo "with jaxtyping installed: $seen"
echo "with -p no:jaxtyping:     $without"
test "$seen" = "NumPy is loaded before conftest.py: True"
test "$without" = "NumPy is loaded before conftest.py: False"
