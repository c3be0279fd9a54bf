"""The demo's lanes: what runs side by side, and in which order it is printed."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from training.demo import Step, added_value_lines, lanes_of_demo, run_lanes

ACT = """
import os, sys, time
what, name, *rest = sys.argv[1:]
print("log of", name, file=sys.stderr, flush=True)
if what == "slow":
    time.sleep(0.5)
if what == "waits":
    while not os.path.exists(rest[0]):
        time.sleep(0.01)
if what == "makes":
    open(rest[0], "w").close()
print("printed by", name, *rest[1:])
print("Next: nothing")
sys.exit(4 if what == "fails" else 0)
"""
COMMAND = (sys.executable, "-c", ACT)


def _step(place: int, *arguments: str, follows: Step | None = None) -> Step:
    return Step(place, lambda _: arguments, follows=follows)


def test_lanes_run_together_and_print_in_order(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    mark = str(tmp_path / "mark")
    # The first lane ends only if the second runs beside it.
    lanes = [(_step(0, "waits", "a", mark), _step(2, "acts", "c")), (_step(1, "makes", "b", mark),)]
    assert run_lanes(lanes, started=time.monotonic(), command=COMMAND) == 0
    printed, logged = capfd.readouterr()
    lines = [line for line in printed.splitlines() if line.startswith("printed")]
    assert lines == ["printed by a", "printed by b", "printed by c"]
    headers = [line.partition("osteon ")[2] for line in printed.splitlines() if "[" in line]
    assert headers == [f"waits a {mark}", f"makes b {mark}", "acts c"]
    assert "Next" not in printed
    assert [f"log of {name}" in logged for name in "abc"] == [True] * 3


def test_step_reads_what_the_step_before_it_printed() -> None:
    first = _step(0, "acts", "a", "-", "version 3")
    second = Step(
        1, lambda said: ("acts", "b", "-", said.split("version ")[1][0]), follows=first, aside=True
    )
    assert run_lanes([(second,), (first,)], started=time.monotonic(), command=COMMAND) == 0
    assert second.printed.startswith("printed by b 3")


@pytest.mark.parametrize("place", [0, 1])
def test_failed_step_ends_the_demo_with_its_code(
    place: int, capfd: pytest.CaptureFixture[str]
) -> None:
    failing, other = _step(place, "fails", "bad"), _step(1 - place, "slow", "good")
    never = _step(2, "acts", "never", follows=failing)
    code = run_lanes([(failing,), (other, never)], started=time.monotonic(), command=COMMAND)
    printed, logged = capfd.readouterr()
    assert code == 4
    assert "log of bad" in logged
    assert "never" not in printed + logged


def test_demo_promotes_and_explains_the_versions_that_it_registered(tmp_path: Path) -> None:
    steps = sorted((step for lane in lanes_of_demo(tmp_path) for step in lane), key=_place)
    assert [step.place for step in steps] == list(range(7))
    said = "osteon-mortality-support2 version 12 is registered as challenger: 9105 rows"
    assert steps[1].arguments(said) == ("promote", "osteon-mortality-support2", "12")
    said = said.replace("support2", "simulated")
    assert steps[6].arguments(said)[-1] == "models:/osteon-mortality-simulated/12"
    with pytest.raises(RuntimeError, match="no registered version"):
        steps[1].arguments("nothing of the kind")


def _place(step: Step) -> int:
    return step.place


def test_added_value_lines_are_verdict_and_report() -> None:
    printed = (
        "auroc 0.8\nAdded value of resorption over 78 columns:\nVerdict at 90 days: adds.\n"
        "something else\nReport: demo/report.html\nNext: explain\n"
    )
    assert list(added_value_lines(printed)) == [
        "Added value of resorption over 78 columns:",
        "Verdict at 90 days: adds.",
        "Report: demo/report.html",
    ]
