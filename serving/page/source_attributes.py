"""The 31 source attributes that ONC HTI-1 requires of a predictive decision support intervention.

45 CFR 170.315(b)(11)(iv)(B). Attributes state what was not done, and what the site must add.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from data_schema.biomarkers import VARIABLES
from models.inference.contract import Contract
from models.registry.validations import Validation
from models.wording import NOTICE, performance_basis

__all__ = ["source_attributes"]

_NOT_DONE = "Not done. "
_SITE = "To be stated by the site. "


@dataclass(frozen=True, slots=True)
class SourceAttribute:
    """One attribute: its category, its name, and the answer for one model."""

    category: str
    name: str
    answer: str


def source_attributes(
    contract: Contract, validations: Sequence[Validation] = ()
) -> tuple[SourceAttribute, ...]:
    """Return the 31 attributes of a model, in the order of the rule, each with an answer.

    `validations` are those that the registry lists with the version.
    """
    facts = _Facts(contract, tuple(validations))
    return tuple(
        SourceAttribute(
            category, name, (answer if isinstance(answer, str) else answer(facts)).strip()
        )
        for category, entries in _ATTRIBUTES.items()
        for name, answer in entries
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the answers are made from."""

    contract: Contract
    validations: tuple[Validation, ...]


def _output(facts: _Facts) -> str:
    contract = facts.contract
    horizons = ", ".join(f"{days:g}" for days in contract.default_horizons_days)
    return (
        f"The risk, with an interval, of {contract.event_label} within {horizons} days of time "
        f"zero ({contract.time_zero}), and what raised or lowered the estimate."
    )


def _population(facts: _Facts) -> str:
    contract = facts.contract
    patients = contract.population.rstrip(".")
    return f"Adults who are not pregnant, like those in the training data: {patients}."


def _criteria(facts: _Facts) -> str:
    contract = facts.contract
    training = contract.training
    return (
        f"{contract.population.rstrip('.')}; at time zero: {contract.time_zero}. "
        f"{training.patients:,} patients, {training.events:,} {contract.event_label}."
    )


_PERSONAL = {
    "age": "age (date of birth)",
    "sex": "sex",
    "race": "race",
    "ethnicity": "ethnicity",
    "language": "language",
    "income": "income (a social determinant)",
    "education_years": "education (a social determinant)",
}


def _variables(facts: _Facts) -> str:
    contract = facts.contract
    read = dict.fromkeys(f.variable for f in contract.features)
    listed = [words for name, words in _PERSONAL.items() if name in read]
    lived = [
        VARIABLES[name].label.lower()
        for name in ("smoking", "alcohol", "falls")
        if name in read and name in VARIABLES
    ]
    used = ", ".join([*listed, *lived])
    return f"Used as inputs: {used}. No others are." if used else "None of them is an input."


def _internal(facts: _Facts) -> str:
    contract = facts.contract
    evaluation = contract.evaluation
    if not evaluation:
        return _NOT_DONE
    return (
        f"{performance_basis(evaluation, contract.training)} {evaluation.patients:,} patients were "
        "judged; the table of performance on this page has every figure with its interval."
    )


def _relevance(facts: _Facts) -> str:
    contract = facts.contract
    if contract.simulated:
        return "None: it learned from simulated patients and says nothing about real patients."
    return f"{_SITE}It must be compared with: {contract.population.rstrip('.')}."


def _validated_on(facts: _Facts) -> str:
    listed = "; ".join(validation.sentence for validation in facts.validations)
    return f"{listed}." if listed else _NOT_DONE


def _validated_by(facts: _Facts) -> str:
    if not facts.validations:
        return f"{_NOT_DONE}No person outside its development."
    users = ", ".join(dict.fromkeys(validation.by for validation in facts.validations))
    return f"Recorded in the registry by {users}. {_SITE}Whether they took part in development."


def _validated_where(facts: _Facts) -> str:
    if not facts.validations:
        return f"{_NOT_DONE}There are none."
    return f"{_SITE}The validation's report compares their case mix with the training cohort's."


def _validated_how(facts: _Facts) -> str:
    if not facts.validations:
        return f"{_NOT_DONE}A site can run osteon validate on its own cohort."
    return (
        "By osteon validate: discrimination, calibration, net benefit and case mix in patients "
        "that the version did not learn from."
    )


def _updated(facts: _Facts) -> str:
    updates = facts.contract.updates
    done = (
        f"Updated to local patients {len(updates)} times, last on {updates[-1].at[:10]}. "
        if updates
        else ""
    )
    return (
        f"{done}A new version becomes champion only through the gate, which compares it on "
        "patients outside the training data and signs the record. How often: to be stated by the "
        "site."
    )


_ATTRIBUTES: Mapping[str, tuple[tuple[str, str | Callable[[_Facts], str]], ...]] = {
    "Details and output": (
        ("Developer and contact", f"The Osteon developers. {_SITE}The contact for this service."),
        ("Funding of the technical implementation", f"None declared. {_SITE}"),
        ("Output value", _output),
        ("Type of output", "A prediction. Never a recommendation, order or diagnosis."),
    ),
    "Purpose": (
        (
            "Intended use",
            "Research: to study what bone-derived and endocrine markers add to other data of a "
            f"patient. {NOTICE}",
        ),
        ("Intended patients", _population),
        ("Intended users", "Clinicians and researchers who can judge the estimate."),
        ("Role in a decision", "It informs research. It replaces no clinical judgement."),
    ),
    "Cautioned use": (
        (
            "Cautioned uses",
            "Patients under 18, pregnancy, patients unlike the training cohort (all refused); "
            "triage; limiting or withdrawing treatment; choosing a treatment from a contribution.",
        ),
        (
            "Known risks and limits",
            "An estimate for patients like this one is no certainty for one patient. Contributions "
            "describe the model, not what would change the outcome. The model warns of markers "
            "that the kidney retains, hormone treatment and biotin.",
        ),
    ),
    "Development": (
        ("Who was included in the training data", _criteria),
        ("Personal and social variables among the inputs", _variables),
        ("How representative the training data are", f"{_NOT_DONE}{_SITE}"),
        ("Relevance of the training data to this setting", _relevance),
    ),
    "Fairness in development": (
        (
            "Approach to fairness",
            "Every run evaluates the model by sex, age and further groups that are large enough. "
            "Nothing is adjusted for them, and the model carries no figure by group.",
        ),
        (
            "How bias is limited",
            "Directions of risk are constrained only if they are known; variables that were not "
            "measured get no share under a pathway. Nothing else is done.",
        ),
    ),
    "External validation": (
        ("Data it was validated on, other than its own", _validated_on),
        ("Who validated it", _validated_by),
        ("How representative those data are", _validated_where),
        ("How it was validated", _validated_how),
    ),
    "Performance": (
        ("Validity in data from the same source", _internal),
        (
            "Fairness in data from the same source",
            "By sex, age and further groups in the report of the training run.",
        ),
        ("Validity in data from another source", _validated_on),
        ("Fairness in data from another source", _NOT_DONE),
        ("Effect of its use on outcomes", "Not studied. There are no publications of its use."),
    ),
    "Maintenance": (
        ("How and how often validity is monitored", _SITE),
        ("Validity in local data", _SITE),
        ("How and how often fairness is monitored", _SITE),
        ("Fairness in local data", _SITE),
    ),
    "Updates": (
        ("How and how often it is updated", _updated),
        ("How often performance is corrected when risks are identified", _SITE),
    ),
}
