"""The sections of a study protocol, from its design."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_schema.biomarkers import VARIABLES
from data_schema.printed_units import printed_unit
from data_schema.variables import PATHWAYS
from models.metrics.comparison.paired_changes import MARGIN
from models.metrics.intervals import widening_of_folds
from training.fit import FOLDS
from training.protocol.checklists import probast_section, tripod_section
from training.protocol.commands import analysis_commands, rehearsal_commands
from training.protocol.design import POWERS, StudyDesign
from training.protocol.dictionary import dictionary_section
from training.protocol.study_file import facts_of, settings_text
from training.protocol.words import OPEN, sampling
from training.report.checklists.probast import FEW_EVENTS
from training.report.content import Section, Table

__all__ = ["protocol_sections", "protocol_title"]

_REVIEW = (
    "Critical illness and bone metabolism: where are we now and what is next? Eur J Med Res 2022;"
    "27:177. doi:10.1186/s40001-022-00805-w"
)
_REFERENCES = (
    _REVIEW,
    "Riley et al. Calculating the sample size required for developing a clinical prediction model. "
    "BMJ 2020;368:m441. doi:10.1136/bmj.m441",
    "DeLong, DeLong & Clarke-Pearson. Biometrics 1988;44:837-845. doi:10.2307/2531595",
    "Obuchowski & McClish. Stat Med 1997;16:1529-1542. "
    "doi:10.1002/(SICI)1097-0258(19970715)16:13<1529::AID-SIM565>3.0.CO;2-H",
    "Nadeau & Bengio. Mach Learn 2003;52:239-281. doi:10.1023/A:1024068626366",
    "Collins, Ogundimu & Altman. Stat Med 2016;35:214-226. doi:10.1002/sim.6787",
    "Scheike, Zhang & Gerds. Biometrika 2008;95:205-220. doi:10.1093/biomet/asm096",
    "Collins et al. TRIPOD+AI. BMJ 2024;385:e078378. doi:10.1136/bmj-2023-078378",
    "Moons et al. PROBAST. Ann Intern Med 2019;170:W1-W33. doi:10.7326/M18-1377",
)


def protocol_title(design: StudyDesign) -> str:
    """Return the title of the protocol."""
    parts = ", ".join(_part_label(part) for part in design.settings.added_value)
    return f"Added value of {parts} for {design.outcome.label.lower()} in critical illness"


def _part_label(part: str) -> str:
    """Return the label of a part of the panel: pathways and variables joined by +."""
    return " + ".join(
        VARIABLES[name].label if name in VARIABLES else PATHWAYS[name] for name in part.split("+")
    )


def protocol_sections(design: StudyDesign, settings: Path) -> tuple[Section, ...]:
    """Return every section of the protocol; `settings` is the file with the settings."""
    return (
        _summary(design),
        _background(design),
        _patients(design),
        _sampling(design),
        _outcome(design),
        _limitation(design),
        _panel_and_base(design),
        _missing(design),
        _sample_size(design),
        _analysis(design, settings),
        _adds(design),
        _rehearsal(design, settings),
        _sites(design),
        _ethics(),
        tripod_section(design),
        probast_section(design),
        dictionary_section(design),
        Section("References", points=_REFERENCES, points_title="Sources"),
    )


def _summary(design: StudyDesign) -> Section:
    outcome, panel = design.outcome, design.panel
    rows = (
        ("Question", f"What the panel adds to the prediction of {outcome.label.lower()}"),
        ("Design", f"Prospective cohort, {design.sites} sites; no intervention"),
        ("Patients", facts_of(design).eligibility),
        ("Sample", f"Once, {sampling(design)}, whatever was ordered; assays blinded"),
        ("Time zero", outcome.time_zero),
        ("Primary horizon", f"{design.horizon_days:g} days"),
        ("Competing event", outcome.competing_label or "none"),
        ("Panel", f"{', '.join(panel.added)}: {len(panel.columns)} variables"),
        ("Base", f"{', '.join(design.settings.over)}: {len(panel.over)} variables"),
        (
            "Result",
            f"Change of the AUC with its 95 % interval; adds if the lower end exceeds {MARGIN:g}",
        ),
        (
            "Size",
            f"{design.needed:,} patients with a known outcome, about "
            f"{round(design.needed * design.event_rate):,} with the event",
        ),
        ("Title, sponsor, investigators", OPEN),
        ("Registration, version and date", OPEN),
    )
    return Section(
        "Summary",
        (
            f'A draft. What only the group can state is marked "{OPEN}". Everything else follows '
            "from the options of osteon protocol and Osteon's catalogue, and is to be read by a "
            "statistician and a clinician before it is registered.",
        ),
        tables=(Table("", ("item", "this study"), rows),),
    )


def _background(design: StudyDesign) -> Section:
    notes = tuple(
        f"{variable.label}: {variable.note}" for variable in design.variables if variable.note
    )
    return Section(
        "Background",
        (
            facts_of(design).context,
            "A marker may be associated with the outcome and still add nothing to what severity "
            "scores and routine tests say. This study measures the second.",
            f"Starting point: {_REVIEW}. Further evidence and existing models: {OPEN}.",
        ),
        points=notes,
        points_title="What the catalogue notes of the panel" if notes else "",
    )


def _patients(design: StudyDesign) -> Section:
    return Section(
        "Patients",
        (
            f"{facts_of(design).eligibility} No result, order or suspicion decides who is sampled: "
            "a marker that is measured only where it was thought of says what the ward knew.",
            "Not eligible: under 18 years, pregnant, and stays after the first in the study. Each "
            "exclusion is logged with its reason, before any result is known, and reported as a "
            "flow of patients.",
            f"Sites, their intensive care units, and dates of accrual and follow-up: {OPEN}.",
        ),
    )


def _sampling(design: StudyDesign) -> Section:
    specimens = "; ".join(f"{v.label} in {v.specimen}" for v in design.variables if v.specimen)
    hints = tuple(f"{v.label}: {v.hint}" for v in design.variables if v.hint)
    return Section(
        "Sampling and assays",
        (
            f"One sample {sampling(design)}, in every patient, in a window that is the same at "
            f"every site; its hour is recorded. Width of the window: {OPEN}.",
            *([f"Where the specimen is part of the variable: {specimens}."] if specimens else []),
            f"Specimens, tubes, processing, storage, number of thaws: {OPEN}.",
            "The laboratory knows neither outcome nor site nor clinical record. Treating staff and "
            "those who ascertain the outcome do not receive the results. Samples of patients with "
            "and without the event are spread over runs at random.",
            f"Assay, manufacturer, lot, calibration, limits of detection and of quantification, "
            f"and precision of each marker: {OPEN}. A change of assay during the study is a new "
            "variable, never the same one.",
            *_clock(design),
        ),
        points=hints,
        points_title="What the catalogue asks of the sample" if hints else "",
    )


def _clock(design: StudyDesign) -> Sequence[str]:
    """Return what a fixed hour of the stay means for markers that change with the hour of day."""
    by_clock = [
        variable.label
        for variable in design.variables
        if variable.origin and "ctx_not_fasting_morning" in variable.origin.caveats
    ]
    if not by_clock:
        return ()
    return (
        f"{'; '.join(by_clock)}: food and the hour of day change the result. A fixed hour of the "
        "stay falls at any hour of the day, so hour and feeding at the sample are recorded in all "
        "(sampling_hour, fasting) and belong to the base.",
    )


def _outcome(design: StudyDesign) -> Section:
    outcome = design.outcome
    longest = max(design.settings.horizons_days)
    sentences = [
        f"{outcome.label}, counted in days from time zero: {outcome.time_zero}. The estimand is "
        f"the cumulative incidence by {design.horizon_days:g} days under the care that patients "
        "receive; secondary horizons are "
        + " and ".join(
            f"{days:g}" for days in design.settings.horizons_days if days != design.horizon_days
        )
        + " days.",
        facts_of(design).outcome_assessment,
        f"Every patient is followed for {longest:g} days, or until the event"
        + (f" or {outcome.competing_label}" if outcome.competing_label else "")
        + f". Source of the outcome and of the last contact: {OPEN}. Discharge is no end of "
        "follow-up" + (", but the competing event." if outcome.ends_at_discharge else "."),
    ]
    if outcome.competing_label:
        sentences.append(
            f"Competing event: {outcome.competing_label}. It is recorded with its day and kept "
            "apart from loss to follow-up: patients who had it stay in the denominator, and the "
            "risk of both events is reported side by side. One minus Kaplan-Meier is not used; it "
            "would overstate the risk."
        )
    return Section("Outcome", tuple(sentences))


def _limitation(design: StudyDesign) -> Section:
    return Section(
        "Limitation of treatment",
        (
            facts_of(design).treatment_limitation,
            "Deaths after such a decision are decisions as well as outcomes, and a model may learn "
            "who will be treated no further. The report therefore gives the share of deaths that "
            "followed one, and the change of the AUC among patients without one.",
        ),
    )


def _panel_and_base(design: StudyDesign) -> Section:
    rows = [
        (name, "; ".join(VARIABLES[column].label for column in members))
        for name, members in design.panel.added.items()
    ]
    return Section(
        "Panel and base",
        (
            f"Panel: {len(design.panel.columns)} variables. Base: {len(design.panel.over)} "
            "variables. Both are fixed here, before any outcome is read: the settings name them, "
            "and the cohort file has the columns of the data dictionary and no other. Both models "
            "hold the base; they differ in the results of the panel alone. Which tests were done "
            "is known to both.",
            "No direction of risk is imposed on a marker of the panel, nor is any variable "
            "selected by its association with the outcome.",
        ),
        tables=(
            Table("Panel", ("part", "variables"), tuple(rows)),
            Table(
                "Base",
                ("named", "variables"),
                (
                    (
                        ", ".join(design.settings.over),
                        "; ".join(VARIABLES[column].label for column in design.panel.over),
                    ),
                ),
            ),
        ),
    )


def _missing(design: StudyDesign) -> Section:
    limited = [v for v in design.variables if v.detection_limit is not None]
    return Section(
        "Missing values and detection limits",
        (
            "Every eligible patient is sampled, so that a missing result of the panel is an "
            "accident of tube or assay. Its reason is logged; no patient is left out for it.",
            "Two states are kept apart: recorded as not done, and not entered. Missing values are "
            "handled within the model, which also learns from copies of the patients with fields "
            "left empty. Flags of what was not done are not learned from (missingness = "
            f'"{design.settings.missingness}").',
            "A result below the detection limit is recorded as such, with the limit of that run, "
            "and stays censored there; it is never replaced by zero, half of the limit or a blank. "
            + (
                "Usual limits in the catalogue: "
                + "; ".join(
                    f"{v.label} {v.detection_limit:g} {printed_unit(v.unit)}" for v in limited
                )
                + "."
                if limited
                else "The catalogue holds no usual limit of these variables."
            ),
            "The result is also given among patients in whom at least half of the panel was "
            "measured.",
        ),
    )


def _sample_size(design: StudyDesign) -> Section:
    development = design.development
    widening = widening_of_folds(FOLDS)
    gains = tuple(
        (
            f"{row.base_auroc:.2f}",
            f"{row.base_auroc + design.expected_gain:.2f}",
            f"{row.sizes[0].for_precision:,}",
            *(f"{size.for_power:,}" for size in row.sizes),
            f"{row.sizes[-1].half_width:.4f}",
        )
        for row in design.gains
    )
    criteria = (
        (f"Gain: adds with a probability of {100 * POWERS[-1]:g} %", f"{design.for_gain:,}"),
        ("Riley: expected shrinkage at least 0.9", f"{development.for_shrinkage:,}"),
        ("Riley: optimism of R2 at most 0.05", f"{development.for_optimism:,}"),
        ("Riley: overall risk within 0.05", f"{development.for_overall_risk:,}"),
        (
            f"Sites: {FEW_EVENTS} patients with and {FEW_EVENTS} without the event in each of "
            f"{design.sites}",
            f"{design.for_sites:,}",
        ),
        ("The largest", f"{design.needed:,}"),
    )
    return Section(
        "Sample size",
        (
            "Patients whose outcome is known at the primary horizon. To these is added the share "
            f"expected to be lost before it: {OPEN}.",
        ),
        topics=(
            (
                "Stated by the group",
                f"risk by {design.horizon_days:g} days {design.event_rate:g}"
                + (" (cumulative incidence)" if design.outcome.competing_label else "")
                + f"; gain in the AUC {design.expected_gain:g}; margin {MARGIN:g} in every run of "
                f"Osteon. Why these figures are expected: {OPEN}.",
            ),
            (
                "Variance of the gain",
                "DeLong's, of two areas in the same patients, in the binormal model. The score of "
                "base and panel is the best linear one of all variables, that of the base the best "
                "of its own, so that they correlate by the ratio of their distances between "
                "patients with and without the event, however the markers correlate with the base.",
            ),
            (
                "Training",
                f"Both models are judged out of fold in {FOLDS} folds, whose training sets "
                f"overlap: the interval is {widening:g} times as wide as that of resampled "
                "patients (Nadeau & Bengio), and the size allows for it.",
            ),
            (
                "Riley's criteria",
                f"{development.parameters} candidate parameters of base and panel; Cox-Snell R2 "
                f"{development.r2:.3f}, which is 15 % of the largest possible. Derived for "
                "regression without a penalty. A smaller base, named with --over, needs fewer.",
            ),
        ),
        tables=(
            Table(
                "Patients by the area that the base is expected to reach",
                (
                    "AUC of the base",
                    "with the panel",
                    "interval just above the margin",
                    *(f"adds in {100 * power:g} % of studies" for power in POWERS),
                    f"half width at {100 * POWERS[-1]:g} %",
                ),
                gains,
                numbers=True,
            ),
            Table("Criteria", ("criterion", "patients"), criteria, numbers=True),
        ),
    )


def _analysis(design: StudyDesign, settings: Path) -> Section:
    return Section(
        "Analysis",
        (
            "These lines are the whole analysis, in this order; nothing is chosen after the "
            "outcomes are read. They may be run once the last patient has been followed to the "
            "primary horizon, on a file that is fixed by its digest.",
            f"Version of Osteon, digest of its source, and person who runs it: {OPEN}.",
        ),
        commands=analysis_commands(design, settings),
        parts=(
            Section(
                "Settings",
                (f"The file {settings.name}, registered with this protocol:",),
                commands=tuple(settings_text(design).rstrip("\n").split("\n")),
                commands_are="toml",
            ),
            Section(
                "Models",
                (
                    "The cumulative incidence of the event by direct binomial regression with "
                    "weights for censoring: a penalised logistic part and a gradient-boosted one, "
                    "mixed by a weight chosen out of fold, recalibrated, never decreasing over the "
                    "horizon. The same procedure fits the base with and without the panel.",
                ),
            ),
            Section(
                "Secondary results",
                (
                    "At every horizon: the changes of scaled Brier score, Brier score and net "
                    "benefit (at half, one and two times the observed risk), a likelihood-ratio "
                    "test of the panel above a base in splines, integrated discrimination "
                    "improvement and continuous net reclassification; calibration and "
                    "discrimination of both models, by sex, age and site; each part of the panel "
                    "left out, and alone. None of them changes the verdict.",
                ),
            ),
        ),
    )


def _adds(design: StudyDesign) -> Section:
    above = f"{MARGIN:g}"
    return Section(
        'What counts as "adds"',
        (
            f"The primary result is the change of the AUC at {design.horizon_days:g} days, with "
            f"minus without the panel, out of fold by patient. Its 95 % interval comes from "
            f"{design.settings.bootstrap_resamples:,} resamples of patients, each with the risks "
            "of both models, widened for training sets that folds share.",
            f"The panel adds if the lower end of that interval lies above {above}. The verdict is "
            "read off the interval alone, whatever the P value.",
        ),
        tables=(
            Table(
                "",
                ("interval", "verdict"),
                (
                    (f"lower end above {above}", "adds"),
                    (
                        f"lower end above 0, upper end above {above}",
                        "adds some, size uncertain",
                    ),
                    (f"upper end at or below {above}", f"adds no more than {above}"),
                    ("any other", "inconclusive"),
                ),
            ),
        ),
    )


def _rehearsal(design: StudyDesign, settings: Path) -> Section:
    commands: Sequence[str] = rehearsal_commands(design, settings)
    if not commands:
        return Section(
            "Rehearsal",
            not_done=(
                f"Osteon simulates no {design.outcome.label.lower()}; rehearse the analysis on a "
                "cohort of another study."
            ),
        )
    return Section(
        "Rehearsal",
        (
            "The same analysis on simulated patients, before the first patient is enrolled. It "
            "shows that settings and columns are complete. Its figures say nothing about patients: "
            "the joint distribution of the markers is assumed there.",
        ),
        commands=tuple(commands),
    )


def _sites(design: StudyDesign) -> Section:
    return Section(
        "Sites",
        (
            f"{design.sites} sites or more. After the primary result each site is held out in turn "
            "and judged by models of the others; figures are pooled with a prediction interval "
            "for a new site where there are enough sites. A verdict that one site alone carries is "
            "reported as such.",
            f"Differences between sites in assay, sampling hour or follow-up, and how they are "
            f"settled: {OPEN}.",
        ),
    )


def _ethics() -> Section:
    topics = (
        "Ethics committee and approval",
        "Consent, also of patients who cannot give it at the fixed hour",
        "Withdrawal, and what becomes of sample and data",
        "Data protection, pseudonyms and who holds the key",
        "Results of the panel that a patient might need to know",
        "Data monitoring, interim looks (none is planned here)",
        "Funding and conflicts of interest",
        "Patient and public involvement",
        "Access to data and samples",
        "Publication, whatever the verdict",
        "Amendments: each dated, with its reason, before the outcomes are read",
    )
    return Section(
        "Ethics, consent and conduct",
        ("The risks of the models are computed after the study and reach no one at the bedside.",),
        topics=tuple((topic, OPEN) for topic in topics),
    )
