"""Values of options that are all invalid: whatever the file, each ends with 2 and one line."""

from __future__ import annotations

NO_NUMBERS = ["nan", "inf", "-inf", "1e999", "abc", "1,5", "0x10", "--", "1e", "½", "\u202e1"]
NO_COUNTS = [*NO_NUMBERS, "-1", "1.5", "9" * 25, "9" * 5000]
NO_POSITIVES = [*NO_NUMBERS, "-1", "0", "-1e-9"]
WORDS = ["nothing", "AUTO!", "a\x1b[31mb", "x" * 5000, "'; echo mark", "../..", "$(mark)", "%s%n", "\u0000"[:0] + "{0}"]

OPTIONS: dict[str, list[str]] = {
    "--dim": [*[v for v in NO_COUNTS if v != "auto"], "0", "100001"],
    "--steps": [*NO_COUNTS, "0", "100000001"],
    "--seed": NO_COUNTS,
    "--null": [*NO_COUNTS, "10001"],
    "--repeats": [*NO_COUNTS, "0", "10001"],
    "--bin": NO_POSITIVES,
    "--resample": NO_POSITIVES,
    "--smooth": [*NO_NUMBERS, "-1", "-0.04"],
    "--held-out": [*NO_NUMBERS, "-0.1", "1", "1.5", "2"],
    "--min-length": [*NO_NUMBERS, "-1"],
    "--max-gap": [*NO_NUMBERS, "-1"],
    "--every": [*NO_COUNTS, "0"],
    "--size": [*NO_NUMBERS, "0", "3", "-64", "64x", "x64", "64x64x64", "3x64"],
    "--dff-quantile": [*NO_NUMBERS, "-0.1", "1.1"],
    "--dff-window": NO_POSITIVES,
    "--min-confidence": [*NO_NUMBERS, "-0.1", "1.1"],
    "--power-rate": NO_POSITIVES,
    "--time-scale": [*NO_NUMBERS, "0", "-1", "1/0", "0/1", "1/2/3", "trials=", "=1x", "trials=nan"],
    "--overlap": WORDS,
    "--transformation": WORDS,
    "--scale": WORDS,
    "--preset": WORDS,
    "--network": WORDS,
    "--frame-times": WORDS,
    "--device": [*WORDS, "cuda:x", "cuda:99", "tpu"],
    "--source": [*WORDS, "/", "//", "/units/../units"],
    "--trials": [*WORDS, "/intervals", ","],
    "--tags": WORDS,
    "--where": [
        "direction ==", "direction = 1", "(((", "__import__('os')", "direction.__class__", "lambda: 1", "1 +",
        "open('mark')", "direction == nowhere", "direction == 99", "[x for x in direction]",
        "direction ** 99999 ** 99999",
        "not " * 3000 + "direction", "(" * 500 + "direction == 1" + ")" * 500, "direction\x00 == 1"[:9], "nosuch == 1",
    ],
    "--units": ["nosuch == 1", "id <", "999", "1,1", "-1", "1;2", "__import__('os')", "x" * 5000, "id == 'a' * 10**9"],
    "--name": ["a/b", "a:b", ".", "..", " ", "a\tb", "a\x1b[31m", "x" * 101, "é" * 101, "a\u202eb",
        "a\nb", "a*", "a\\b", "ab "],
    "-o": ["nowhere/x.nwb", ".", "https://localhost/x.nwb", "s.nwb", "x" * 300 + ".nwb", "x/" * 3000 + "x.nwb"],
    "--warm-start": ["nowhere.nwb", "s.nwb", "s.nwb#nothing", "#", "x" * 5000],
    "--checkpoint": ["nowhere", "s.nwb", "x" * 5000],
}  # fmt: skip


def list_rows() -> list[tuple[str, str]]:
    """Every option with every value that it refuses."""
    return [(option, value) for option, values in OPTIONS.items() for value in dict.fromkeys(values)]
