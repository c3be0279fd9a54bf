"""TRIPOD+AI and PROBAST of a planned study: what its design answers, and what the group must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from models.inference.contract import StudyFacts
from training.protocol.design import StudyDesign
from training.protocol.study_file import facts_of
from training.protocol.words import OPEN, sampling
from training.report.checklists.subject import Subject
from training.report.checklists.tripod import TOPICS, Analysis, Item, tripod_items
from training.report.content import Section, Table

__all__ = ["probast_section", "tripod_section"]

_DONE: tuple[Analysis, ...] = ("subgroups", "sample size", "sites")
_BY_DESIGN, _BY_REPORT = "by this protocol", "by the report of the analysis"


def tripod_section(design: StudyDesign) -> Section:
    """Return every part of an item of TRIPOD+AI, with who answers it.

    What the report of a run states by itself follows from the code that writes it
    (`training.report.checklists.tripod`); what this protocol states is in the settings file.
    """
    stated = _items(design, facts_of(design))
    without = _items(design, StudyFacts())
    rows: list[tuple[str, ...]] = []
    answered: list[str] = []
    for heading, topics in TOPICS.items():
        rows.append((heading,))
        for number, topic in topics.items():
            item = stated[number]
            if not item.is_filled or (item.status == "partly reported" and item.field):
                who, content = OPEN, f"Key {item.field} of [study]. {item.content}".strip()
            elif item != without[number]:
                who, content = _BY_DESIGN, item.content
            else:
                places = f"Sections: {', '.join(item.sections)}." if item.sections else ""
                who, content = _BY_REPORT, " ".join(filter(None, (item.content, places)))
            rows.append((number, topic, who, content))
            answered.append(who)
    counts = Counter(answered)
    return Section(
        "TRIPOD+AI",
        (
            "The parts of the 27 items of TRIPOD+AI, topics shortened: "
            f"{counts[_BY_DESIGN]} of {len(answered)} are answered by this protocol, "
            f"{counts[_BY_REPORT]} by the report that the analysis writes, and {counts[OPEN]} are "
            "left to the group, in the table [study] of the settings file.",
        ),
        tables=(Table("", ("item", "topic", "answered", "content"), tuple(rows)),),
    )


def _items(design: StudyDesign, facts: StudyFacts) -> Mapping[str, Item]:
    outcome = design.outcome
    return tripod_items(
        Subject(
            name=outcome.reserved_model,
            outcome_label=outcome.label,
            is_death=outcome.is_death,
            competing=outcome.competing_label,
            population=facts.eligibility,
            population_described=bool(facts.eligibility),
            time_zero=outcome.time_zero,
            simulated=False,
            out_of_fold=True,
            refitted=True,
            study=facts,
        ),
        _DONE,
        external=False,
    )


def probast_section(design: StudyDesign) -> Section:
    """Return the signalling questions of PROBAST, with what in the design answers them.

    References
    ----------
    .. [1] Moons et al. Ann Intern Med 170 (2019) W1-W33. doi:10.7326/M18-1377
    """
    outcome, needed = design.outcome, design.needed
    competing = (
        f"{outcome.competing_label} competes: cumulative incidence, never one minus Kaplan-Meier"
        if outcome.competing_label
        else "no event competes"
    )
    return Section(
        "PROBAST",
        (
            "The signalling questions of PROBAST, shortened, with the part of the design that "
            "answers each. Nothing is rated: that is for reviewers who did not plan the study.",
        ),
        tables=(
            Table(
                "",
                ("question", "topic", "answered by"),
                (
                    ("Participants",),
                    ("1.1", "Source of data", f"A prospective cohort of {design.sites} sites."),
                    (
                        "1.2",
                        "Inclusion and exclusion",
                        "All eligible patients in sequence; each exclusion is counted by reason.",
                    ),
                    ("Predictors",),
                    (
                        "2.1",
                        "Defined and assessed alike in all",
                        f"One sample {sampling(design)} in all, one assay per marker, one "
                        "laboratory or a stated comparison of laboratories.",
                    ),
                    ("2.2", "Without knowledge of the outcome", "Samples bear a pseudonym only."),
                    (
                        "2.3",
                        "Known when the model is used",
                        f"Nothing measured after time zero ({outcome.time_zero}) is read.",
                    ),
                    ("Outcome",),
                    ("3.1", "Determined appropriately", facts_of(design).outcome_assessment),
                    ("3.2", "Standard, stated beforehand", f"{outcome.label}, by the stated day."),
                    ("3.3", "Predictors not part of it", "The panel takes no part in it."),
                    ("3.4", "Determined alike in all", "One source and one rule at every site."),
                    ("3.5", "Without knowledge of predictors", "No access to the panel's results."),
                    (
                        "3.6",
                        "Interval between predictors and outcome",
                        f"{design.horizon_days:g} days from time zero.",
                    ),
                    ("Analysis",),
                    (
                        "4.1",
                        "Enough participants with the outcome",
                        f"{needed:,} patients, about {round(needed * design.event_rate):,} with "
                        "the event: see Sample size.",
                    ),
                    (
                        "4.2",
                        "Handling of continuous and categorical predictors",
                        "No number is cut into categories; splines and trees.",
                    ),
                    ("4.3", "All enrolled participants analysed", "No patient is dropped."),
                    (
                        "4.4",
                        "Missing values",
                        "Handled within the model, which learned from blanked copies, too: see "
                        "Missing values and detection limits.",
                    ),
                    ("4.5", "No selection by univariable tests", "All columns stated beforehand."),
                    (
                        "4.6",
                        "Censoring and competing risks",
                        f"Weighting for censoring; {competing}.",
                    ),
                    (
                        "4.7",
                        "Measures of performance",
                        "Discrimination, calibration, overall accuracy and net benefit, each with "
                        "its interval.",
                    ),
                    (
                        "4.8",
                        "Overfitting and optimism",
                        "Out of fold by patient, every choice inside the folds; then each site "
                        "held out in turn.",
                    ),
                    (
                        "4.9",
                        "Model and reported results agree",
                        "The registered bundle is the model; the report is written by its run.",
                    ),
                ),
            ),
        ),
    )
