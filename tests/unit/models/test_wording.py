from __future__ import annotations

import re

from data_schema.biomarkers import VARIABLES
from models.inference.contract import EventNames
from models.wording import INFERRED, StatedContribution, contribution_sentences, estimate_sentence

# "because" and its kin would make a marker, or a drug, the reason of a death.
CAUSAL = re.compile(r"because|due to|protect|cause|lead to|leads to|reduce|increase", re.IGNORECASE)

DEATHS = EventNames("deaths", "death")
FRACTURES = EventNames("fractures", "fracture", "fracture")


def test_a_risk_is_said_to_the_letter_of_the_product_page() -> None:
    assert estimate_sentence(
        risk=0.23,
        low=0.18,
        high=0.29,
        level=0.95,
        horizon_days=28,
        event=DEATHS,
        competing_risk=None,
    ) == (
        "Among 100 patients with these recorded values, the model expects about 23 deaths within "
        "28 days of time zero (95 % interval 18 to 29)."
    )


def test_one_event_is_singular() -> None:
    sentence = estimate_sentence(
        risk=0.011,
        low=0.0,
        high=0.02,
        level=0.95,
        horizon_days=365,
        event=FRACTURES,
        competing_risk=0.992,
    )
    assert "about 1 fracture within 365 days" in sentence
    assert sentence.endswith(
        "Of 100 such patients about 1 would fracture, 99 die first, 0 neither."
    )


def test_the_competing_event_has_its_own_verb() -> None:
    in_hospital = EventNames(
        "deaths in hospital", "death in hospital", "die in hospital", "leave hospital alive"
    )
    sentence = estimate_sentence(
        risk=0.14,
        low=0.1,
        high=0.2,
        level=0.95,
        horizon_days=28,
        event=in_hospital,
        competing_risk=0.79,
    )
    assert sentence.endswith(
        "Of 100 such patients about 14 would die in hospital, 79 leave hospital alive first, "
        "7 neither."
    )


def test_a_risk_below_one_in_200_is_not_said_to_be_none() -> None:
    sentence = estimate_sentence(
        risk=0.003,
        low=0.001,
        high=0.012,
        level=0.95,
        horizon_days=28,
        event=FRACTURES,
        competing_risk=0.29,
    )
    assert sentence == (
        "Among 100 patients with these recorded values, the model expects fewer than 1 fracture "
        "within 28 days of time zero (95 % interval below 1 to 1). Of 100 such patients fewer "
        "than 1 would fracture, 29 die first, 71 neither."
    )


def test_a_risk_above_199_in_200_is_not_said_to_be_certain() -> None:
    sentence = estimate_sentence(
        risk=0.997,
        low=0.98,
        high=0.999,
        level=0.95,
        horizon_days=28,
        event=DEATHS,
        competing_risk=None,
    )
    assert "expects more than 99 deaths" in sentence
    assert "interval 98 to above 99" in sentence


def test_a_variable_raised_or_lowered_the_estimate() -> None:
    stated = [
        StatedContribution("Lactate", 4.21),
        StatedContribution("Albumin", -1.96),
        StatedContribution(INFERRED, 0.6),
    ]
    assert contribution_sentences(stated, horizon_days=28) == [
        "At 28 days, counted from the model's reference, these raised the estimate: Lactate "
        "(+4.2 points); what the model inferred for what was not entered (together) "
        "(+0.6 points); these lowered the estimate: Albumin (\N{MINUS SIGN}2.0 points)."
    ]


def test_what_would_be_printed_as_no_points_is_not_said() -> None:
    assert contribution_sentences([StatedContribution("Lactate", 0.04)], horizon_days=28) == []


def test_a_treatment_marks_the_patient() -> None:
    sentences = contribution_sentences(
        [StatedContribution("Denosumab", -3.0, treatment=True)], horizon_days=28
    )
    assert sentences[-1] == "Denosumab marks the patient; this is not the drug's effect."


def test_estradiol_is_never_said_without_its_two_directions() -> None:
    caution = VARIABLES["estradiol"].caution
    sentences = contribution_sentences(
        [StatedContribution("Estradiol", 3.0, caution=caution)], horizon_days=28
    )
    assert sentences[-1] == (
        "For estradiol, higher values accompany death in acute illness, "
        "lower values accompany bone loss over years."
    )


def test_no_sentence_is_causal() -> None:
    stated = [
        StatedContribution("Lactate", 4.0),
        StatedContribution("Denosumab", -3.0, treatment=True),
        *(
            StatedContribution(v.label, 3.0, caution=v.caution)
            for v in VARIABLES.values()
            if v.caution
        ),
        StatedContribution(INFERRED, -1.0),
    ]
    assert not CAUSAL.search(" ".join(contribution_sentences(stated, horizon_days=28)))
