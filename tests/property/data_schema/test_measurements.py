"""Whatever is sent, the answer is a plausible value or a finding that repeats nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from data_schema.biomarkers import VARIABLES
from data_schema.errors import Finding
from data_schema.measurements import CanonicalMeasurement, Measurement, canonical_measurement
from data_schema.units import in_range

NAMES = st.sampled_from(sorted(VARIABLES)) | st.text(max_size=8) | st.none()
CODES = st.sampled_from(sorted(code.code for entry in VARIABLES.values() for code in entry.codes))
UNITS = st.sampled_from(sorted({unit for entry in VARIABLES.values() for unit in entry.units}))
ANY = st.builds(
    Measurement,
    value=st.floats() | st.booleans() | st.text(max_size=8) | st.sampled_from(["<5", "female"]),
    variable=NAMES,
    loinc=st.none() | CODES,
    unit=st.none() | UNITS | st.text(max_size=6),
    comparator=st.sampled_from([None, "<", ">=", "ad"]),
    assay=st.none() | st.just("LC-MS/MS"),
    specimen=st.none() | st.sampled_from(["serum", "EDTA plasma", "urine", "?"]),
)
SECRET = 48151.62342


@given(sent=ANY)
def test_an_accepted_number_is_plausible_and_in_the_canonical_unit(sent: Measurement) -> None:
    found = canonical_measurement(sent)
    assert isinstance(found, CanonicalMeasurement | Finding)
    if isinstance(found, CanonicalMeasurement) and found.variable.kind == "number":
        assert in_range(found.variable, found.value, below=found.below).all()
        assert not (found.below and found.above)


@given(name=st.sampled_from(sorted(VARIABLES)), unit=UNITS, form=st.sampled_from([float, str]))
def test_a_finding_never_holds_the_value(name: str, unit: str, form: type) -> None:
    found = canonical_measurement(Measurement(form(SECRET), variable=name, unit=unit))
    if isinstance(found, Finding):
        assert "48151" not in f"{found.rule}{found.variable}{found.message}"
        assert found.variable == name
