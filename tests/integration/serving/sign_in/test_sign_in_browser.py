"""Signing in, the record's form and idle logout as a clinician meets them, in Chromium."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from page_steps import choose, enter_value, open_all, to_the_estimate
from serving.access import sealed

if TYPE_CHECKING:
    import httpx
    from playwright.sync_api import BrowserContext, Page

Windows = Callable[..., "BrowserContext"]


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).isoformat(timespec="seconds")


def observation(number: int, loinc: str, value: float, unit: str, **changed: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": loinc}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": hours_ago(2),
        "valueQuantity": {
            "value": value,
            "unit": unit,
            "code": unit,
            "system": "http://unitsofmeasure.org",
        },
    } | changed


def ends_soon(page: Page, address: str) -> bool:
    """Return whether a session ends: the page leaves at once, the server is notified beside it."""
    for _ in range(50):
        if page.request.get(address).status == 401:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture
def record(provider: Any) -> None:
    """The record of a patient, part of which cannot be read."""
    provider.patient = {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"use": "official", "family": "Okafor", "given": ["Ngozi"]}],
        "gender": "female",
        "birthDate": "1958-03-02",
    }
    provider.observations = [
        observation(1, "2524-7", 2.8, "mmol/L"),
        observation(2, "1751-7", 27, "g/L", effectiveDateTime=hours_ago(70)),
        observation(3, "1988-5", 121, "mg/L"),
        observation(4, "2160-0", 1.9, "mg/dL", status="preliminary"),
        observation(5, "777-3", 150, "furlong"),
        observation(6, "1988-5", 140, "mg/L", effectiveDateTime=hours_ago(-1)),
    ]


def open_page(client: httpx.Client, windows: Windows, **options: Any) -> Page:
    page = windows(**options).new_page()
    page.goto(str(client.base_url))
    page.get_by_text("Signed in: Dr. Ada Moreau").wait_for()
    return page


def open_launch(client: httpx.Client, provider: Any, windows: Windows, **options: Any) -> Page:
    page = windows(**options).new_page()
    page.goto(f"{client.base_url}/launch?{urlencode({'iss': provider.fhir, 'launch': 'l1'})}")
    page.get_by_text("values are filled in").wait_for()
    return page


def test_a_clinician_signs_in_asks_for_a_risk_and_signs_out(
    client: httpx.Client, provider: Any, browser: Windows, trail_of: Any
) -> None:
    page = open_page(client, browser)
    [cookie] = [one for one in page.context.cookies() if one["name"] == "osteon-session"]
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert page.evaluate("document.cookie") == ""
    to_the_estimate(page)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    assert page.evaluate("sessionStorage.length") == 0
    assert "/end-session" in provider.asked
    page.go_back()
    page.wait_for_load_state()
    assert page.get_by_role("heading", name="Estimate", exact=True).count() == 0
    assert "sign_out" in [one["action"] for one in trail_of()]


@pytest.mark.usefixtures("record")
def test_a_page_below_a_public_path_is_used_like_any_other(
    service: Callable[..., Any], provider: Any, browser: Windows
) -> None:
    client, settings = service(path="/osteon")
    page = browser().new_page()
    requested: list[str] = []
    page.on("request", lambda one: requested.append(one.url))
    launch = urlencode({"iss": provider.fhir, "launch": "l1"})
    page.goto(f"{settings.public_url}/launch?{launch}")
    page.get_by_text("values are filled in").wait_for()
    to_the_estimate(page)
    page.locator("a[href*='/facts/']:visible").first.click()
    page.get_by_role("link", name="Back to the page").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    ours = [url for url in requested if url.startswith(str(client.base_url))]
    assert len(ours) > 10
    assert [url for url in ours if not url.startswith(f"{settings.public_url}/")] == []


def test_an_unused_page_warns_and_then_takes_everything_away(
    client: httpx.Client, browser: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = browser().new_page()
    page.clock.install()
    page.goto(str(client.base_url))
    page.get_by_text("Signed in: Dr. Ada Moreau").wait_for()
    page.clock.run_for(14 * 60_000 + 1_000)
    page.get_by_role("button", name="Stay signed in").click()
    assert not page.locator("#signing-out").is_visible()
    page.clock.run_for(14 * 60_000 + 1_000)
    page.locator("#signing-out").wait_for()
    page.clock.run_for(60_000)
    page.get_by_text("The page was not used for a while").wait_for()
    assert ends_soon(page, f"{client.base_url}/page/session")


def test_the_session_ends_though_an_answer_about_it_is_awaited(
    client: httpx.Client, browser: Windows
) -> None:
    page = browser().new_page()
    page.clock.install()
    page.goto(str(client.base_url))
    page.get_by_text("Signed in: Dr. Ada Moreau").wait_for()
    page.clock.run_for(50_000)
    page.locator("h1").first.click()
    page.route("**/page/session", lambda _: None)
    with page.expect_request("**/page/session"):
        page.clock.run_for(20_000)
    page.clock.run_for(15 * 60_000)
    page.get_by_text("The page was not used for a while").wait_for()
    assert ends_soon(page, f"{client.base_url}/page/session")


def test_a_session_that_ended_on_the_server_takes_the_page_away(
    client: httpx.Client, browser: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = open_page(client, browser)
    with page.expect_response("**/page/entries"):
        page.get_by_label("In ICU", exact=True).check()
    real = sealed._now
    monkeypatch.setattr(sealed, "_now", lambda: real() + 901)
    page.get_by_role("button", name="Fill in").click()
    page.get_by_text("The page was not used for a while").wait_for()


@pytest.mark.usefixtures("record")
def test_the_record_is_laid_into_the_form_and_checked_before_it_is_scored(
    client: httpx.Client, provider: Any, browser: Windows
) -> None:
    page = open_launch(client, provider, browser)
    shown = page.locator("#record").inner_text()
    assert "4 values are filled in" in shown
    rows = page.locator("#record-unread tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["C-reactive protein", "Creatinine", "Platelets"]
    assert "after time zero" in rows[0]
    assert "not final" in rows[1]
    choose(page)
    assert page.locator("#v-lactate").input_value() == "2.8"
    assert page.locator("#v-albumin").input_value() == "27"
    assert page.get_by_label("Albumin: unit", exact=True).input_value() == "g/L"
    assert "from the record, taken" in page.locator("#o-lactate").inner_text()
    assert "2.9 days before time zero" in page.locator("#o-albumin").inner_text()
    # Without the admission there is no time zero, and so no risk.
    assert "Admitted to ICU" in page.locator("#bar-fields").inner_text()
    with page.expect_response("**/v1/predict"):
        page.get_by_role("button", name="24 h ago").click()
    with page.expect_request("**/v1/predict") as asked:
        enter_value(page, "lactate", "3.1")
    assert not page.locator("#o-lactate").is_visible()
    sent = asked.value.post_data_json
    assert (sent["patient_id"], sent["encounter_id"]) == ("p1", "e1")
    times = {one["variable"]: "time" in one for one in sent["measurements"]}
    assert times["albumin"]
    assert not times["lactate"]
    page.get_by_role("heading", name="Estimate", exact=True).wait_for()
    assert page.locator("#patient").inner_text() == "Patient: Okafor, Ngozi, born 2 March 1958"
    page.get_by_role("button", name="New patient").click()
    assert not page.locator("#patient").is_visible()
    assert not page.locator("#record").is_visible()
    assert page.locator("#v-albumin").input_value() == ""


@pytest.mark.usefixtures("record")
def test_what_the_record_states_of_the_patient_decides_whether_there_is_a_risk(
    client: httpx.Client, provider: Any, browser: Windows
) -> None:
    provider.patient = provider.patient | {"birthDate": "1958", "deceasedBoolean": True}
    page = open_launch(client, provider, browser)
    choose(page)
    with page.expect_request("**/v1/predict") as asked:
        page.get_by_role("button", name="24 h ago").click()
    sent = asked.value.post_data_json
    assert (sent["deceased"], sent["birth_date"]) == (True, "1958")
    page.get_by_text("The record states that the patient has died.").wait_for()
    assert not page.locator("#risks").is_visible()


@pytest.mark.usefixtures("record")
def test_another_time_zero_fills_in_what_was_known_then_and_keeps_what_was_typed(
    client: httpx.Client, provider: Any, browser: Windows
) -> None:
    page = open_launch(client, provider, browser)
    choose(page)
    open_all(page)
    page.locator("#v-ctx_s").fill("400")
    with page.expect_response("**/page/record"):
        page.locator("#time-zero").fill(
            (datetime.now() - timedelta(hours=48)).strftime("%Y-%m-%dT%H:%M")
        )
        page.locator("#time-zero").blur()
    page.get_by_text("3 values are filled in").wait_for()
    assert page.locator("#v-lactate").input_value() == ""
    assert page.locator("#v-albumin").input_value() == "27"
    assert page.locator("#v-ctx_s").input_value() == "400"


@pytest.mark.usefixtures("record")
def test_a_record_that_comes_late_is_not_laid_into_the_form_of_another_patient(
    client: httpx.Client, provider: Any, browser: Windows
) -> None:
    page = open_launch(client, provider, browser)
    page.get_by_label("In ICU", exact=True).check()
    held: list[Any] = []
    page.route("**/page/record", lambda route: held.append(route))
    page.get_by_role("button", name="Read the record again").click()
    page.wait_for_timeout(100)
    page.get_by_role("button", name="Clear all").click()
    [waiting] = held
    with page.expect_response("**/page/record"):
        waiting.continue_()
    page.wait_for_timeout(200)
    assert page.locator("#v-lactate").input_value() == ""
    assert not page.locator("#patient").is_visible()


@pytest.mark.usefixtures("record")
def test_a_second_launch_takes_the_first_ones_page_away(
    client: httpx.Client, provider: Any, browser: Windows
) -> None:
    first = open_launch(client, provider, browser)
    second = first.context.new_page()
    second.goto(f"{client.base_url}/launch?{urlencode({'iss': provider.fhir, 'launch': 'l2'})}")
    second.get_by_text("values are filled in").wait_for()
    first.get_by_role("button", name="Read the record again").click()
    first.get_by_role("heading", name="Osteon was opened again").wait_for()
    assert first.get_by_text("Okafor").count() == 0
    assert second.locator("#patient").is_visible()


@pytest.mark.usefixtures("record")
def test_a_record_that_cannot_be_read_leaves_the_form_empty_and_says_so(
    client: httpx.Client, provider: Any, browser: Windows
) -> None:
    provider.fhir_status = 403
    page = browser().new_page()
    page.goto(f"{client.base_url}/launch?{urlencode({'iss': provider.fhir, 'launch': 'l1'})}")
    page.get_by_text("The record could not be read now").wait_for()
    assert page.locator("#v-lactate").input_value() == ""


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_what_signing_in_adds(
    client: httpx.Client, provider: Any, browser: Windows, theme: str
) -> None:
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    axe = axe_module.Axe()
    page = open_launch(client, provider, browser, color_scheme=theme)

    def violations() -> list[tuple[str, str]]:
        found = axe.run(page).response["violations"]
        return [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]]

    page.get_by_label("In ICU", exact=True).check()
    assert violations() == []
    page.evaluate("document.getElementById('signing-out').hidden = false")
    assert violations() == []
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    assert violations() == []
