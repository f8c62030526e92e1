#!/usr/bin/env bash
# One would guess: safetensors.numpy stores the values of an array. As safetensors.torch refuses a tensor whose memory is
# not in C order, the NumPy side would refuse such an array, too, or store a copy in C order.
# What happens: version 0.8.0 writes the memory as it lies and the shape as it is. An array in Fortran order, a transpose
# or a slice with a step comes back with the same shape and type, and with its values in other places, in silence.
# Version 0.7.0 stored it rightly. It is met by weights that come from a linear solver or from scikit-learn's PCA, whose
# components_ are in Fortran order. Way out: np.ascontiguousarray around every array that is saved.
# Seen with safetensors 0.8.0 and 0.7.0, numpy 2.4.6 on CPython 3.11 (source: safetensors/numpy.py, whose docstring asks
# for "contiguous and dense" tensors; issue 825 of the repository safetensors/safetensors).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
PATH="$folder/venv/bin:$PATH"
pip install -q numpy==2.4.6 2>/dev/null

cat >round_trip.py <<'PY'
import numpy as np
from safetensors.numpy import load, save

values = np.arange(6, dtype=np.float32).reshape(2, 3)
arrays = {"C order": values, "Fortran order": np.asfortranarray(values), "every second column": values[:, ::2]}
for name, array in arrays.items():
    back = load(save({"x": array}))["x"]
    print(f"{name}: {'equal' if np.array_equal(back, array) else 'other values'}")
PY

for version in 0.7.0 0.8.0; do
    pip install -q "safetensors==$version" 2>/dev/null
    python round_trip.py >"$version"
    printf 'safetensors %s\n%s\n' "$version" "$(cat "$version")"
done
equal=$(printf '%s: equal\n' "C order" "Fortran order" "every second column")
test "$(cat 0.7.0)" = "$equal"
test "$(cat 0.8.0)" = "$(printf '%s\n' "C order: equal" "Fortran order: other values" "every second column: other values")"
