"""A real sweep in a real pseudo-terminal."""

import re
import sys

from tests.telemetry.terminal import in_terminal, plain

COMMAND = "from ablate.cli.main import main; main()"


def test_a_sweep_shows_its_bar_its_stages_its_time_left_and_its_table(arguments):
    words = ["+ablation=rank", "ablation.values=[2,4]", "ablation.baseline=2", "seeds=[0]"]
    shown = plain(in_terminal([sys.executable, "-c", COMMAND, "run", *arguments, *words]))
    assert re.search(r"rank +━+ +0/2 +runs", shown)
    assert re.search(r"(before|train|evaluate digits) +[━╸╺]+ +\d+/\d+ +(items|steps)", shown)
    assert re.search(r"rank +[━╸╺]+ +1/2 +runs +about 0:\d\d left", shown)
    growing = shown[shown.index("1/2") : shown.index("2/2")]
    assert "How does the rank" in growing
    assert re.search(r"^2 +1 +0\.\d{3} +baseline", growing, re.MULTILINE)
    end = shown[shown.rindex("How does the rank") :]
    assert re.search(r"^4 +1 +0\.\d{3} +[-+]?0\.\d{3} ", end, re.MULTILINE)
    assert "time: load" in end


def test_a_narrow_terminal_shows_whole_numbers(arguments):
    words = ["+ablation=rank", "ablation.values=[2,4]", "ablation.baseline=2", "seeds=[0]"]
    command = [sys.executable, "-c", COMMAND, "run", *arguments, *words]
    shown = plain(in_terminal(command, columns=60))
    assert "wider than this terminal" in shown
    end = shown[shown.rindex("How does the rank") :]
    assert re.search(r"^4 +1 +0\.\d{3} +[-+]?0\.\d{3} ", end, re.MULTILINE)
    assert "95 % interval" in end
