from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from data_schema.fhir.encounter import icu_stays
from data_schema.fhir.resources import Entry

ICU = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "ICU"}]}
SNOMED_ICU = {"coding": [{"system": "http://snomed.info/sct", "code": "309904001"}]}
AT_8 = "2026-11-01T08:00:00Z"
AT_20 = "2026-11-01T20:00:00Z"
NEXT_DAY = "2026-11-02T08:00:00Z"


def place(reference: str, start: str | None, end: str | None = None, **more: Any) -> dict[str, Any]:
    period = {name: time for name, time in (("start", start), ("end", end)) if time}
    return {"location": {"reference": reference}, "period": period, **more}


def encounter(*places: dict[str, Any], **more: Any) -> Entry:
    resource = {"resourceType": "Encounter", "status": "in-progress", "location": list(places)}
    return Entry(resource | more, "Encounter")


def spans(*entries: Entry, **more: Any) -> list[tuple[int, int | None]]:
    """Return (day and hour of the start, of the end) of each stay."""

    def short(moment: datetime | None) -> int | None:
        return None if moment is None else 100 * moment.day + moment.astimezone(UTC).hour

    return [(short(stay.start) or 0, short(stay.end)) for stay in icu_stays(entries, **more)]


def test_a_ward_is_no_intensive_care() -> None:
    assert spans(encounter(place("Location/ward", AT_8))) == []


@pytest.mark.parametrize("kind", [ICU, SNOMED_ICU])
def test_a_location_is_known_by_its_type(kind: dict[str, Any]) -> None:
    location = {"resourceType": "Location", "id": "a", "type": [kind]}
    assert spans(encounter(place("Location/a", AT_8)), Entry(location, "")) == [(108, None)]
    contained = encounter(place("#a", AT_8), contained=[location])
    assert spans(contained) == [(108, None)]
    assert spans(encounter(place("Location/b", AT_8, physicalType=kind))) == [(108, None)]


def test_a_site_names_its_own_units() -> None:
    beside = encounter(place("https://ehr/fhir/Location/micu", AT_8), place("Location/xmicu", AT_8))
    assert spans(beside, icu_locations=["Location/micu"]) == [(108, None)]
    assert spans(encounter(place("Location/xmicu", AT_8)), icu_locations=["Location/micu"]) == []


def test_the_encounter_itself_may_be_the_stay() -> None:
    r4 = encounter(type=[SNOMED_ICU], period={"start": AT_8, "end": AT_20})
    r5 = encounter(**{"class": [SNOMED_ICU]}, actualPeriod={"start": AT_8})
    assert spans(r4) == [(108, 120)]
    assert spans(r5) == [(108, None)]


def test_a_move_within_intensive_care_is_one_stay_and_a_return_is_another() -> None:
    moved = encounter(
        place("Location/a", AT_8, AT_20, physicalType=ICU),
        place("Location/b", AT_20, NEXT_DAY, physicalType=ICU),
    )
    assert spans(moved) == [(108, 208)]
    returned = encounter(
        place("Location/b", NEXT_DAY, physicalType=ICU),
        place("Location/a", AT_8, AT_20, physicalType=ICU),
    )
    assert spans(returned) == [(108, 120), (208, None)]


@pytest.mark.parametrize("status", ["planned", "cancelled", "entered-in-error"])
def test_an_encounter_that_never_was_has_no_stay(status: str) -> None:
    assert spans(encounter(place("Location/a", AT_8, physicalType=ICU), status=status)) == []


def test_a_bed_that_is_only_reserved_is_no_stay() -> None:
    assert spans(encounter(place("a", AT_8, physicalType=ICU, status="reserved"))) == []


@pytest.mark.parametrize("start", [None, "2026-11-01", "2026-11-01T08:00:00"])
def test_a_start_that_is_no_clear_time_gives_no_stay(start: str | None) -> None:
    assert spans(encounter(place("Location/a", start, physicalType=ICU))) == []


def test_an_end_that_cannot_be_read_is_not_taken_for_none() -> None:
    assert spans(encounter(place("Location/a", AT_8, "2026-11-02", physicalType=ICU))) == []


def test_a_stay_runs_from_its_start_to_its_end() -> None:
    (stay,) = icu_stays([encounter(place("Location/a", AT_8, AT_20, physicalType=ICU))])
    assert not stay.is_running(datetime(2026, 11, 1, 7, tzinfo=UTC))
    assert stay.is_running(datetime(2026, 11, 1, 8, tzinfo=UTC))
    assert not stay.is_running(datetime(2026, 11, 1, 20, tzinfo=UTC))


@pytest.mark.parametrize("status", ["finished", "completed", "discharged"])
@pytest.mark.parametrize("location_end", [None, "2026-11-05T08:00:00Z"])
def test_a_finished_encounter_is_finished_whatever_its_locations_say(
    status: str, location_end: str | None
) -> None:
    bed = place("Location/a", AT_8, location_end, physicalType=ICU)
    ended = encounter(bed, status=status, period={"start": AT_8, "end": NEXT_DAY})
    assert spans(ended) == [(108, 208)]


def test_a_finished_encounter_without_an_end_ended_at_an_unknown_time() -> None:
    bed = place("Location/a", AT_8, physicalType=ICU)
    (stay,) = icu_stays([encounter(bed, status="finished", period={"start": AT_8})])
    assert (stay.end, stay.has_ended) == (None, True)
    assert not stay.is_running(datetime(2026, 11, 1, 9, tzinfo=UTC))


def test_an_encounter_in_progress_ends_no_stay_early() -> None:
    bed = place("Location/a", AT_8, AT_20, physicalType=ICU)
    assert spans(encounter(bed, period={"start": AT_8, "end": NEXT_DAY})) == [(108, 120)]
    (stay,) = icu_stays([encounter(place("Location/a", AT_8, physicalType=ICU))])
    assert stay.is_running(datetime(2026, 11, 3, tzinfo=UTC))
