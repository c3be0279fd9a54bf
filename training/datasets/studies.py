"""What the authors of public data sets published of their studies, and what a simulation is.

Each text comes from the publication named in it or from the page of the data set. A field stays
empty where neither states it.
"""

from __future__ import annotations

from models.inference.contract import StudyFacts

__all__ = ["FLCHAIN", "GLOW", "MGUS2", "PHYSIONET2012", "RHC", "SIMULATED", "SUPPORT2"]

_OSTEON_CODE = (
    "Osteon is open source; revision of the code, seed and versions are under Provenance, and the "
    "same seed gives the same model."
)
_SECONDARY_ETHICS = (
    "This run is a secondary analysis of de-identified public data and has no approval of its own."
)
_NO_INVOLVEMENT = "Patients and the public took no part in this secondary analysis."
_NO_PROTOCOL = (
    "No protocol of this analysis was written beforehand; its settings are stored with the model."
)
_NOT_REGISTERED = "This analysis was not registered."
_NO_FUNDING_HERE = "This secondary analysis had no funding of its own."
_NO_CONFLICTS = "None declared for this secondary analysis."
_RESEARCH_ONLY = (
    "The results describe how well outcomes can be predicted in these patients. They are no "
    "evidence for use in other places or later years, where case mix and care differ; compare them "
    "with the original publication."
)

_SUPPORT_CENTRES = (
    "Five teaching hospitals in the United States (Boston, Cleveland, Durham, Los Angeles and "
    "Marshfield)"
)
_SUPPORT_FUNDING = f"SUPPORT was funded by the Robert Wood Johnson Foundation. {_NO_FUNDING_HERE}"

SUPPORT2 = StudyFacts(
    context=(
        "Seriously ill adults have a high risk of death, and physicians and families asked for "
        "estimates of it. The SUPPORT model (Knaus et al., Ann Intern Med 1995;122:191-203) "
        "predicts survival to 180 days from day-3 physiology, disease group and age; it and the "
        "physicians' own estimates are the existing comparators."
    ),
    inequalities=(
        "In SUPPORT, Black patients received fewer interventions and less costly care than others "
        "with the same severity (Phillips et al., J Gen Intern Med 1996;11:387-396). A model of "
        "outcomes under that care repeats its differences."
    ),
    data_source=(
        "A prospective cohort with a cluster-randomised intervention in its second phase, with "
        "physiology abstracted from charts by trained nurses. Suitable for prognosis: outcomes are "
        "complete and variables were defined beforehand; treatments of 1989-94 differ from today's."
    ),
    dates=(
        "Enrolled June 1989 to June 1991 and January 1992 to January 1994, followed up to the end "
        "of 1994"
    ),
    setting=f"{_SUPPORT_CENTRES}; wards and intensive care",
    eligibility=(
        "Adults with one of nine life-threatening diagnoses at defined severity: acute respiratory "
        "failure, multiple organ system failure with sepsis or malignancy, coma, COPD, congestive "
        "heart failure, cirrhosis, metastatic colon cancer, advanced lung cancer. Left out: death "
        "or discharge within 48 h of qualifying, planned discharge within 72 h, no English, AIDS, "
        "pregnancy, acute burns, and head or other trauma without later organ failure"
    ),
    treatments=(
        "Usual care of the five hospitals. In phase II half of the patients were in the "
        "intervention, which gave physicians prognoses and nurses time for communication; it did "
        "not change survival (JAMA 1995;274:1591-1598)"
    ),
    outcome_assessment=(
        "Death from any cause, from hospital records, follow-up interviews and the National Death "
        "Index. Death needs no interpretation, so that blinding does not apply"
    ),
    predictor_assessment=(
        "Physiology and diagnoses were abstracted from charts by trained nurses up to study day 3, "
        "before the outcome; the coma score was assessed clinically"
    ),
    treatment_limitation=(
        "Do-not-resuscitate orders up to discharge are recorded and counted, and are no predictor; "
        "deaths that follow one are reported"
    ),
    ethics=(
        "The institutional review boards of the hospitals approved SUPPORT. " + _SECONDARY_ETHICS
    ),
    funding=_SUPPORT_FUNDING,
    conflicts=_NO_CONFLICTS,
    protocol=(
        "The design of SUPPORT is published (J Clin Epidemiol 1990;43 Suppl). " + _NO_PROTOCOL
    ),
    registration=f"SUPPORT preceded trial registries. {_NOT_REGISTERED}",
    data_access=(
        "Public: hbiostat.org/data (support2), and with the Python package SurvSet, from which it "
        "is read here"
    ),
    code_access=_OSTEON_CODE,
    involvement=(
        "Patients and surrogates were interviewed in SUPPORT as participants. " + _NO_INVOLVEMENT
    ),
    interpretation=_RESEARCH_ONLY,
)

RHC = StudyFacts(
    context=(
        "Connors et al. asked whether right heart catheterisation on the first study day was "
        "associated with survival (JAMA 1996;276:889-897). The patients are those of SUPPORT with "
        "critical illness; the SUPPORT model is the existing comparator."
    ),
    inequalities=SUPPORT2.inequalities,
    data_source=(
        "Patients of the prospective SUPPORT cohort, with variables of study day 1 abstracted from "
        "charts. Missing albumin, bilirubin, blood gases and counts were filled in by the authors "
        "of the file, as if measured"
    ),
    dates=SUPPORT2.dates,
    setting=f"{_SUPPORT_CENTRES}; intensive care",
    eligibility=(
        "Adults of SUPPORT who were critically ill on study day 1, in one of nine disease "
        "categories; those of SUPPORT's own exclusions left out"
    ),
    treatments="Usual care; 38 % had a right heart catheter on study day 1",
    outcome_assessment=SUPPORT2.outcome_assessment,
    predictor_assessment=(
        "Abstracted from charts by trained nurses on study day 1, before the outcome"
    ),
    ethics=SUPPORT2.ethics,
    funding=_SUPPORT_FUNDING,
    conflicts=_NO_CONFLICTS,
    protocol=SUPPORT2.protocol,
    registration=SUPPORT2.registration,
    data_access=(
        "Public: hbiostat.org/data (rhc), and with the Python package SurvSet, from which it is "
        "read here"
    ),
    code_access=_OSTEON_CODE,
    involvement=_NO_INVOLVEMENT,
    interpretation=_RESEARCH_ONLY,
)

FLCHAIN = StudyFacts(
    context=(
        "Serum free light chains are associated with death in the general population (Dispenzieri "
        "et al., Mayo Clin Proc 2012;87:517-523)."
    ),
    data_source=(
        "A population-based study of monoclonal gammopathy; half of its residents, drawn at random "
        "for the public file"
    ),
    dates="Blood drawn 1995-2003, followed up to about 2010",
    setting="Olmsted County, Minnesota; a general population, not patients in hospital",
    eligibility="Residents aged 50 or more with a stored sample",
    outcome_assessment="Death from any cause; it needs no interpretation",
    ethics=_SECONDARY_ETHICS,
    funding=_NO_FUNDING_HERE,
    conflicts=_NO_CONFLICTS,
    protocol=_NO_PROTOCOL,
    registration=_NOT_REGISTERED,
    data_access="Public: R package survival (flchain), and with the Python package SurvSet",
    code_access=_OSTEON_CODE,
    involvement=_NO_INVOLVEMENT,
    interpretation=_RESEARCH_ONLY,
)

PHYSIONET2012 = StudyFacts(
    context=(
        "The PhysioNet/Computing in Cardiology Challenge 2012 asked for mortality in hospital from "
        "the first 48 h of intensive care; SAPS I and SOFA are the existing comparators (Silva et "
        "al., Comput Cardiol 2012;39:245-248)."
    ),
    data_source="Set A of the challenge, drawn from the clinical database MIMIC-II",
    dates="Admitted 2001-2008",
    setting="Intensive care units of one teaching hospital in Boston",
    eligibility="Adults with at least 48 h in intensive care",
    outcome_assessment="Death in hospital, from the hospital's records; discharge ends observation",
    predictor_assessment="Charted values and laboratory results of the first 48 h",
    ethics=(
        "The institutional review boards of the Massachusetts Institute of Technology and Beth "
        "Israel Deaconess Medical Center approved MIMIC. " + _SECONDARY_ETHICS
    ),
    funding=_NO_FUNDING_HERE,
    conflicts=_NO_CONFLICTS,
    protocol=_NO_PROTOCOL,
    registration=_NOT_REGISTERED,
    data_access="Public: physionet.org/content/challenge-2012",
    code_access=_OSTEON_CODE,
    involvement=_NO_INVOLVEMENT,
    interpretation=_RESEARCH_ONLY,
)

GLOW = StudyFacts(
    data_source=(
        "A subset of the Global Longitudinal Study of Osteoporosis in Women for teaching (Hosmer "
        "et al., Applied Logistic Regression, 2013), in which fractures are over-sampled to one in "
        "four"
    ),
    setting="Six of the study's sites in the United States; general practice",
    eligibility="Women of 55 and over",
    outcome_assessment="Any fracture in the first year, reported by the women",
    ethics=_SECONDARY_ETHICS,
    funding=_NO_FUNDING_HERE,
    conflicts=_NO_CONFLICTS,
    protocol=_NO_PROTOCOL,
    registration=_NOT_REGISTERED,
    data_access="Public: R package aplore3 (glow_bonemed)",
    code_access=_OSTEON_CODE,
    involvement=_NO_INVOLVEMENT,
    interpretation=_RESEARCH_ONLY,
)

MGUS2 = StudyFacts(
    context=(
        "Monoclonal gammopathy of undetermined significance progresses to malignancy in about 1 % "
        "of patients a year (Kyle et al., N Engl J Med 2002;346:564-569)."
    ),
    data_source="Patients of one clinic, from a region's complete records",
    dates="Diagnosed 1960-1994",
    setting="Mayo Clinic, south-eastern Minnesota",
    eligibility="Residents of south-eastern Minnesota with the diagnosis",
    ethics=_SECONDARY_ETHICS,
    funding=_NO_FUNDING_HERE,
    conflicts=_NO_CONFLICTS,
    protocol=_NO_PROTOCOL,
    registration=_NOT_REGISTERED,
    data_access="Public: R package survival (mgus2)",
    code_access=_OSTEON_CODE,
    involvement=_NO_INVOLVEMENT,
    interpretation=_RESEARCH_ONLY,
)

SIMULATED = StudyFacts(
    context=(
        "Patients whose true risks are known, to test what a method reports. There is no clinical "
        "problem behind a simulated patient."
    ),
    inequalities="None are simulated: race, income and language of the patients do not exist.",
    data_source=(
        "Drawn by osteon simulate from a causal model calibrated to published figures. Suitable "
        "for checking methods, unsuitable for any statement about patients"
    ),
    dates="Dates are made up",
    setting="Made-up intensive care units",
    eligibility="Adults in intensive care at time zero",
    treatments="Drawn by the causal model",
    outcome_assessment="Drawn by the causal model, so that neither error nor blinding applies",
    predictor_assessment="Drawn by the causal model with the error of the assays",
    treatment_limitation="Not simulated",
    ethics="No person took part",
    funding=_NO_FUNDING_HERE,
    conflicts=_NO_CONFLICTS,
    protocol=_NO_PROTOCOL,
    registration=_NOT_REGISTERED,
    data_access="osteon simulate draws the same patients again from scenario, size and seed",
    code_access=_OSTEON_CODE,
    involvement=_NO_INVOLVEMENT,
    interpretation="No result applies to patients; compare it with the known truth",
)
