"""Severity: scores, circulation, lungs and brain, and the states that name organ failure."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from data_schema.catalogue.origins import BEDSIDE, DERIVED, LABORATORY, SCORED
from data_schema.catalogue.unit_tables import PERCENT, PRESSURE, SCORE
from data_schema.variables import Code, Variable
from data_schema.windows import AT_TIME_ZERO, Since, Window

__all__ = ["ENTRIES"]

_RISES = {"mortality": 1, "in_hospital_mortality": 1}
_FALLS = {"mortality": -1, "in_hospital_mortality": -1}
_FIRST_DAY = Window("worst of the 24 h before time zero", timedelta(hours=24))

_score = partial(Variable, pathway="severity", origin=SCORED, unit="{score}", units=SCORE, low=0.0)
_severity = partial(_score, summarises_severity=True)
_bedside = partial(Variable, pathway="severity", origin=BEDSIDE)
_blood_gas = partial(Variable, pathway="severity", origin=LABORATORY)
_flag = partial(Variable, pathway="severity", kind="flag")

ENTRIES: tuple[Variable, ...] = (
    _severity(
        name="apache2",
        label="APACHE II",
        codes=(Code("9264-3", "APACHE II score"),),
        high=71.0,
        direction=_RISES,
        synonyms=("apache ii", "apacheii", "apache 2", "apache", "aps"),
        window=_FIRST_DAY,
    ),
    _severity(
        name="sofa",
        label="SOFA, total",
        codes=(Code("96790-1", "SOFA Total Score"),),
        high=24.0,
        direction=_RISES,
        synonyms=("sofa score", "sofa total"),
        window=_FIRST_DAY,
    ),
    _severity(
        name="saps2",
        label="SAPS II",
        high=163.0,
        direction=_RISES,
        synonyms=("saps ii", "sapsii", "saps 2", "saps"),
        window=_FIRST_DAY,
    ),
    _severity(
        name="saps1",
        hint="The score of 1984; SAPS II is another scale.",
        label="SAPS I",
        high=60.0,
        synonyms=("saps",),
        window=_FIRST_DAY,
        note="The simplified score of 1984, another scale than SAPS II.",
    ),
    _severity(
        name="apache3_aps",
        hint="Physiology points without age and chronic health.",
        label="APACHE III acute physiology score",
        high=252.0,
        synonyms=("apache", "aps"),
        window=_FIRST_DAY,
        note="Physiology points without age and chronic health.",
    ),
    _severity(
        name="support_sps",
        hint="Acute physiology on the third day, as the SUPPORT study scored it.",
        label="SUPPORT physiology score",
        high=200.0,
        note="Acute physiology on the third day, as the SUPPORT study scored it.",
    ),
    _score(
        name="coma_score",
        hint="0 awake to 100 deep coma: it runs against the Glasgow coma score.",
        label="SUPPORT coma score",
        high=100.0,
        note="0 awake to 100 deep coma, derived from the Glasgow scale: "
        "it runs against the Glasgow coma score.",
    ),
    _score(
        name="gcs",
        label="Glasgow coma score",
        codes=(Code("9269-2", "Glasgow coma score total"),),
        low=3.0,
        high=15.0,
        direction=_FALLS,
        synonyms=("glasgow coma scale",),
    ),
    _bedside(
        name="map",
        label="Mean arterial pressure",
        unit="mm[Hg]",
        units={**PRESSURE, "cm[Hg]": 10.0},
        codes=(
            Code("8478-0", "Mean blood pressure", units=("mm[Hg]", "kPa")),
            Code("76536-2", "Mean blood pressure by Noninvasive", units=("mm[Hg]", "cm[Hg]")),
        ),
        low=0.0,
        high=300.0,
        synonyms=("meanbp", "mean bp", "mean arterial pressure", "mbp"),
        typical_median=(50.0, 130.0),
    ),
    _bedside(
        name="systolic_pressure",
        label="Systolic blood pressure",
        unit="mm[Hg]",
        units=PRESSURE,
        codes=(Code("8480-6", "Systolic blood pressure"),),
        low=0.0,
        high=400.0,
        synonyms=("sbp", "sysbp", "systolic bp"),
        typical_median=(70.0, 180.0),
    ),
    _bedside(
        name="diastolic_pressure",
        label="Diastolic blood pressure",
        unit="mm[Hg]",
        units=PRESSURE,
        codes=(Code("8462-4", "Diastolic blood pressure"),),
        low=0.0,
        high=300.0,
        synonyms=("dbp", "diabp", "diastolic bp"),
        typical_median=(35.0, 110.0),
    ),
    _bedside(
        name="heart_rate",
        label="Heart rate",
        unit="/min",
        units={"/min": 1.0, "{beats}/min": 1.0},
        codes=(Code("8867-4", "Heart rate"),),
        low=0.0,
        high=350.0,
        synonyms=("hr", "hrt", "pulse"),
    ),
    _bedside(
        name="respiratory_rate",
        label="Respiratory rate",
        unit="/min",
        units={"/min": 1.0, "{breaths}/min": 1.0},
        codes=(Code("9279-1", "Respiratory rate"),),
        low=0.0,
        high=150.0,
        synonyms=("rr", "resp rate", "resprate"),
    ),
    _bedside(
        name="temperature",
        label="Body temperature",
        unit="Cel",
        units={"Cel": 1.0},
        offset_units={"[degF]": (1 / 1.8, -32 / 1.8)},
        codes=(Code("8310-5", "Body temperature"),),
        low=13.0,
        high=46.0,
        synonyms=("temp", "body temp"),
        note="Degrees Celsius; degrees Fahrenheit are converted.",
    ),
    _bedside(
        name="spo2",
        label="Oxygen saturation",
        unit="%",
        units=PERCENT,
        codes=(
            Code("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
            Code("2708-6", "Oxygen saturation in Arterial blood"),
        ),
        low=5.0,
        high=100.0,
        synonyms=("sats", "o2 sats", "sao2", "o2 sat"),
        typical_median=(75.0, 100.0),
    ),
    Variable(
        name="pf_ratio",
        hint="Derived if PaO2 and FiO2 are entered.",
        label="PaO2/FiO2",
        pathway="severity",
        origin=DERIVED,
        unit="mm[Hg]",
        units=PRESSURE,
        codes=(Code("50984-4", "Horowitz index in Arterial blood"),),
        low=5.0,
        high=1500.0,
        synonyms=("pafi", "p/f", "p/f ratio", "pao2/fio2", "horowitz"),
        typical_median=(80.0, 480.0),
        note="FiO2 as a fraction, 0.21 to 1.",
    ),
    _blood_gas(
        name="pao2",
        label="PaO2",
        unit="mm[Hg]",
        units=PRESSURE,
        codes=(Code("2703-7", "Oxygen [Partial pressure] in Arterial blood"),),
        low=5.0,
        high=800.0,
        typical_median=(45.0, 250.0),
    ),
    _bedside(
        name="fio2",
        hint="In percent, or choose the fraction.",
        label="FiO2",
        unit="%",
        units=PERCENT,
        codes=(Code("19994-3", "Oxygen/Total gas setting [Volume Fraction] Ventilator"),),
        low=20.0,
        high=100.0,
        typical_median=(20.5, 100.0),
        note="A value of 1 or less with unit % is almost surely a fraction (unit 1): refused.",
    ),
    _blood_gas(
        name="paco2",
        label="PaCO2",
        unit="mm[Hg]",
        units=PRESSURE,
        codes=(Code("2019-8", "Carbon dioxide [Partial pressure] in Arterial blood"),),
        low=1.0,
        high=300.0,
        typical_median=(25.0, 70.0),
        synonyms=("pco2",),
    ),
    _blood_gas(
        name="ph",
        label="Arterial pH",
        unit="[pH]",
        units={"[pH]": 1.0},
        codes=(Code("2744-1", "pH of Arterial blood"),),
        low=6.3,
        high=8.2,
        synonyms=("arterial ph", "blood ph"),
    ),
    _flag(
        name="infection",
        label="Infection",
        window=Window("suspected or proven, at time zero", Since.STAY),
    ),
    _flag(
        name="sepsis",
        label="Sepsis",
        window=AT_TIME_ZERO,
        note="State the definition (Sepsis-3 or earlier) in the model card.",
    ),
    _flag(name="shock", label="Shock", window=AT_TIME_ZERO),
)
