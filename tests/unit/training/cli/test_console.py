"""Tables keep names and numbers whole, whatever the width."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from training.cli import console

NAME = "XGBoost survival:cox + Breslow"
NUMBERS = ["c", "auc 252\N{NO-BREAK SPACE}d", "explain rows per second"]


@pytest.mark.parametrize("width", [20, 60, 80, 120])
def test_a_name_and_a_number_are_never_broken_over_two_lines(monkeypatch, capsys, width):
    monkeypatch.setattr(console, "_WIDTH_WITHOUT_TERMINAL", width)
    console.print_rows(
        ["model", *NUMBERS], [[NAME, "0.7123", "0.8400", "12,345"]] * 2, numbers=NUMBERS
    )
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in printed[-2:]] == [NAME, NAME]
    assert all(line.split()[-3:] == ["0.7123", "0.8400", "12,345"] for line in printed[-2:])


def test_the_head_of_a_column_of_numbers_is_broken_at_words(capsys):
    console.print_rows(["model", *NUMBERS], [[NAME, "0.7123", "0.8400", "12,345"]], numbers=NUMBERS)
    heads = capsys.readouterr().out.splitlines()[:-1]
    assert len(heads) > 1
    assert {"explain", "rows", "per", "second"} <= set(" ".join(heads).split())
    assert "252\N{NO-BREAK SPACE}d" in " ".join(heads)


def test_words_still_fold_at_the_width(monkeypatch, capsys):
    monkeypatch.setattr(console, "_WIDTH_WITHOUT_TERMINAL", 40)
    console.print_rows(["rule", "message"], [["blank", "a sentence that goes on and on " * 3]])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


def test_no_word_is_cut_where_a_table_is_wider_than_the_terminal(monkeypatch, capsys):
    monkeypatch.setattr(console, "_WIDTH_WITHOUT_TERMINAL", 80)
    rule, variable = "leak_not_done_by_name", "mechanical_ventilation__hours_since_admission"
    message = "must_not_be_known_before_time_zero_by_any_column of the cohort. Leave it out."

    console.print_rows(
        ["", "rule", "variable", "rows", "what to do"],
        [["warning", rule, variable, "12", message]],
        numbers=["rows"],
    )

    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert {rule, variable, *message.split()} <= set(printed.split())


def test_a_table_that_fits_by_wrapping_at_words_stays_a_table(monkeypatch, capsys):
    monkeypatch.setattr(console, "_WIDTH_WITHOUT_TERMINAL", 80)
    console.print_rows(
        ["", "rule", "what to do"], [["warning", "constant", "a sentence that goes on " * 6]]
    )
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["rule", "what", "to", "do"]
    assert max(map(len, printed)) <= 80


WORKS = """
import logging, sys, time
from training.cli.console import working
log = logging.getLogger("training.somewhere")
with working() as progress:
    time.sleep(0.3)
    for step in range(8):
        progress("choosing out of fold, by patient, in all folds", step, 8)
        progress("fitting fold models", step, 8)
        time.sleep(0.15)
        log.info("stage %d of the run: %s", step, "word " * 25)
        print("a library prints", step)
print("the result")
"""


def screen(content: str) -> str:
    """Return what a terminal shows in the end, with all that has scrolled away."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[\??[0-9;]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+", content):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part.endswith("A"):
            row = max(0, row - int(part[2:-1] or 1))
        elif part.endswith("K"):
            lines[row] = ""
        elif not part.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    return "\n".join(lines)


def test_a_progress_bar_swallows_no_line_in_a_terminal_of_80_columns():
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", WORKS], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    ):
        os.close(theirs)
        content = b""
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            content += piece
    os.close(ours)
    raw = content.decode()
    # Something is shown before the first step is reported.
    assert 0 <= raw.find("working") < raw.find("choosing out of fold")
    shown = " ".join(screen(raw).split())
    for step in range(8):
        assert f"stage {step} of the run: {'word ' * 25}".strip() in shown
        assert f"a library prints {step}" in shown
    assert shown.endswith("the result")
    assert "fitting fold models" not in shown
    assert all(len(line) <= 80 for line in screen(raw).splitlines())
