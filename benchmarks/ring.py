"""Ring of Figure 5: whether the latents of the rotating ball form one closed loop.

``python benchmarks/ring.py [--seeds 5] [--write] [--quick]``; fits and rows are those of ``ball.py``.
"""

from compare import parse, run
from results import write_section
from rows import read_rows
from table import tabulate_ring

if __name__ == "__main__":
    arguments = parse(__doc__)
    table = tabulate_ring(read_rows([run("ball", arguments)]))
    print(table.to_markdown())
    if arguments.write:
        write_section(table)
