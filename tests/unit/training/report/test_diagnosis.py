"""The diagnosis of the data as a section of a report."""

import numpy as np

from training.diagnosis.diagnose import Diagnosis
from training.diagnosis.domains import Domain, Question
from training.diagnosis.leaks import MeasuredLeak
from training.report.diagnosis import diagnosis_section, diagnosis_sentence

LEAK = MeasuredLeak(
    "outlook", ("leak_missing",), 90.0, 0.7, 0.69, -0.01, -0.02, -0.0001, 300, "regression"
)
UNMEASURED = MeasuredLeak("other", ("leak_missing",), 90.0, *(np.nan,) * 5, patients=300)
DIAGNOSIS = Diagnosis(
    "mortality",
    90.0,
    (
        Domain("participants", (Question("sites", "Several sites?", "not known", "None stated."),)),
        Domain(
            "predictors",
            (
                Question("leakage", "Known at time zero?", "concern", "2 columns are not."),
                Question("missing_by_outcome", "Alike?", "concern", "ph (-3 points)."),
            ),
        ),
        Domain("analysis", (Question("stays", "Together?", "no concern", "One stay each."),)),
    ),
    (LEAK, UNMEASURED),
    ("Whether `osteon landmark` was used.",),
)


def test_every_question_stands_under_its_domain_with_the_answer() -> None:
    section = diagnosis_section(DIAGNOSIS)

    questions, leaks = section.tables
    assert [row[0] for row in questions.rows if len(row) == 1] == [
        "Participants",
        "Predictors",
        "Analysis",
    ]
    assert ("Known at time zero?", "concern", "2 columns are not.") in questions.rows
    assert section.points == ("Whether osteon landmark was used.",)
    assert leaks.rows == (
        ("outlook", "90", "0.700", "0.690", "\N{MINUS SIGN}0.010 (\N{MINUS SIGN}0.020 to +0.000)"),
        ("other", "90", "", "", "not measured"),
    )
    assert "ridge regression" in leaks.notes[0]


def test_without_suspects_there_is_no_table_of_them() -> None:
    alone = Diagnosis("mortality", 90.0, DIAGNOSIS.domains, (), ())

    assert len(diagnosis_section(alone).tables) == 1


def test_the_first_page_names_the_concerns() -> None:
    assert diagnosis_sentence(DIAGNOSIS) == (
        "Of 4 questions about the data, 2 are a concern (columns known only later; values missing "
        "by outcome) and 1 cannot be answered: see Diagnosis of the data."
    )
