#!/usr/bin/env bash
# One would guess: create_sorting_analyzer(sorting, recording) puts both on one clock, since the analyzer is made of the
# pair; where the recording begins at 100 s, analyzer.sorting's spike times are seconds of that clock.
# What happens: analyzer.recording keeps its start, and analyzer.sorting counts from 0. A spike of the frame that the
# recording has at 100.04 s is given at .04 s with return_times=True, without a word, from memory and from a folder that
# was stored and loaded again. What is aligned to events or to behaviour on the recording's clock is wrong by that start.
# Way out: sorting.register_recording(recording) before the analyzer is made; times are then right in it.
# Seen with spikeinterface 0.105.3, numpy 2.4.6 on CPython 3.11 (source: create_sorting_analyzer in
# spikeinterface/core/sortinganalyzer.py; BaseSorting.get_unit_spike_train and register_recording in basesorting.py).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
PATH="$folder/venv/bin:$PATH"
pip install -q spikeinterface==0.105.3 numpy==2.4.6 2>/dev/null

cat >clocks.py <<'PY'
import warnings

import spikeinterface as si

warnings.simplefilter("ignore")


def name_clock(sorting, recording):
    unit = sorting.unit_ids[0]
    first = sorting.get_unit_spike_train(unit, return_times=True)[0]
    expected = recording.sample_index_to_time(sorting.get_unit_spike_train(unit)[0])
    return "the recording's" if abs(first - expected) < 1e-6 else f"{expected - first:g} s too early"


recording, sorting = si.generate_ground_truth_recording(durations=[5.0], num_channels=4, num_units=3, seed=0)
recording = recording.save(folder="recording", verbose=False)
recording.shift_times(100.0)
analyzer = si.create_sorting_analyzer(sorting, recording, format="binary_folder", folder="analyzer")
print("analyzer.recording begins at", analyzer.recording.get_start_time())
print("clock of analyzer.sorting:", name_clock(analyzer.sorting, recording))
print("the same, loaded:", name_clock(si.load("analyzer").sorting, recording))
sorting.register_recording(recording)
print("registered before:", name_clock(si.create_sorting_analyzer(sorting, recording).sorting, recording))
PY

seen=$(python clocks.py 2>/dev/null)
echo "$seen"
test "$seen" = "analyzer.recording begins at 100.0
clock of analyzer.sorting: 100 s too early
the same, loaded: 100 s too early
registered before: the recording's"
