"""Tables keep names and numbers whole, whatever the width."""

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
