"""The page in a browser: entries read back, answered as they are made, and explained."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from models.wording import LIMITATION_NOT_RECORDED, NOTICE

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from playwright.sync_api import BrowserContext, Page

    from serving.prediction.served import ServedModel
from page_steps import (
    charts,
    choose,
    enter_value,
    open_all,
    prediction_of,
    to_the_estimate,
    type_value,
    wait_for_echo,
)


def test_it_asks_where_the_patient_is_before_anything_else(page: Page) -> None:
    assert page.get_by_text(NOTICE).first.is_visible()
    assert not page.locator("#form").is_visible()
    page.get_by_label("In ICU", exact=True).check()
    assert page.locator(".models:visible strong").all_inner_texts() == ["Some deaths"]
    page.get_by_label("Leaving ICU", exact=True).check()
    assert page.locator(".models:visible strong").all_inner_texts() == ["Some fractures"]
    assert "Death without the event competes" in page.locator(".models:visible").inner_text()


def test_what_was_entered_is_read_back_and_the_page_shows_what_the_service_answers(
    page: Page,
) -> None:
    prediction = to_the_estimate(page)
    wait_for_echo(page, "fgf23_c", r"^H, [\d.]+ × upper limit")
    for card, risk in zip(page.locator(".horizon").all(), prediction["risks"], strict=True):
        shown = card.inner_text()
        assert f"{risk['horizon_days']} days" in shown
        assert str(round(100 * risk["risk"])) in shown
        low, high = (round(100 * risk["interval"][end]) for end in ("low", "high"))
        if risk["interval"]["very_wide"]:
            assert f"{low} to {high} %" in shown
            assert "very wide 95 % interval" in shown
        else:
            assert f"95 % interval {low} to {high}" in shown
    first = prediction["risks"][0]
    readings = page.locator("#readings").inner_text()
    assert page.locator("#meaning").inner_text() == first["sentences"][0]
    assert first["comparison"]["sentence"] in readings
    assert prediction["validation"] in readings
    cautions = page.locator("#cautions").inner_text()
    assert all(sentence in cautions for sentence in first["sentences"][2:])
    assert prediction["model"]["name"] in page.locator("#origin").inner_text()
    fgf23 = page.locator("#v-fgf23_c").input_value()
    listed = page.locator("#entered").evaluate("one => one.textContent")
    assert f"FGF23, C-terminal {fgf23} RU/mL" in listed


def test_the_bar_names_what_is_needed_and_follows_each_entry(page: Page) -> None:
    bar = page.locator("#bar")
    assert "Choose where the patient is" in bar.inner_text()
    choose(page)
    bar.get_by_text("Still needed").wait_for()
    needed = page.locator("#bar-fields li").all_inner_texts()
    assert [needed[0], needed[1]] == ["Admitted to ICU", "Age"]
    assert not page.locator("#answer").is_visible()
    page.locator("#bar-fields").get_by_role("button", name="Age").click()
    assert page.evaluate("document.activeElement.id") == "v-age"
    page.get_by_role("button", name="24 h ago").click()
    type_value(page, "age", "70")
    assert page.locator("#bar-fields li").all_inner_texts() == needed[2:]
    first = to_the_estimate(page)
    [risk, *_] = first["risks"]
    cell = page.locator(".bar-cell").first
    assert f"{round(100 * risk['risk'])} %" in cell.inner_text()
    assert f"Entries: {first['completeness']}" in bar.inner_text()
    [later, *_] = enter_value(page, "lactate", "14")["risks"]
    assert later["risk"] != risk["risk"]
    cell.get_by_text(f"{round(100 * later['risk'])} %", exact=True).wait_for()
    enter_value(page, "albumin", "")
    settles = enter_value(page, "lactate", "")["would_settle"]
    assert page.locator("#bar-fields li").all_inner_texts() == [one["label"] for one in settles]


def test_the_first_screen_is_short_and_what_matters_stands_on_it(page: Page) -> None:
    choose(page)
    entries = page.locator(".ward .entry:visible")
    assert 5 <= entries.count() <= 18
    columns = [one.get_attribute("data-column") for one in entries.all()]
    assert {"age", "sex", "fgf23_c", "ctx_s"} <= set(columns)
    assert page.locator(".group .entry:visible").count() == 0
    assert page.locator("#found").inner_text() == ""
    # What the model neither reads nor derives from is no field of it.
    assert page.locator("[data-column=trail]").count() == 0


def test_search_knows_what_wards_say(page: Page) -> None:
    choose(page)
    find = page.get_by_label("Find another variable")
    find.fill("CRRT")
    assert page.locator("#matches button").all_inner_texts() == ["Renal replacement therapy"]
    find.press("Enter")
    assert page.evaluate("document.activeElement.name") == "f-rrt"
    find.fill("INR")
    assert page.locator("#matches li").all_inner_texts() == ["INR: not used by this model"]
    find.fill("alb")
    assert page.locator("#matches button").first.inner_text() == "Albumin"
    find.fill("xyzzy")
    assert page.locator("#found").inner_text() == "No variable is called so."


def test_enter_goes_on_to_the_next_entry_and_commits_this_one(page: Page) -> None:
    to_the_estimate(page)
    page.locator("#v-lactate").fill("9")
    with page.expect_response("**/v1/predict"):
        page.locator("#v-lactate").press("Enter")
    assert page.evaluate("document.activeElement.closest('.entry') !== null")
    assert page.evaluate("document.activeElement.id") != "v-lactate"


def test_both_ranges_and_what_would_settle_most_are_shown(page: Page) -> None:
    for left_out, is_drawn in (((), True), (("lactate", "albumin"), False)):
        page.reload()
        prediction = to_the_estimate(page)
        for column in left_out:
            prediction = enter_value(page, column, "")
        assert (prediction["completeness"] == "sparse") != is_drawn
        wide = prediction["risks"][0]["interval"]["very_wide"]
        assert page.locator("#people").is_visible() == (is_drawn and not wide)
        readings = page.locator("#readings").inner_text()
        assert f"{prediction['completeness'].capitalize()}." in readings
        assert LIMITATION_NOT_RECORDED in readings
        assert prediction["risks"][0]["if_complete"]["sentence"] in readings
        assert page.locator("#settling li").all_inner_texts() == [
            f"{one['label']}: {round(100 * one['share'])} %" for one in prediction["would_settle"]
        ]
        assert bool(left_out) == page.locator("#settling").is_visible()
        width = page.locator("#curve").evaluate("one => one.clientWidth")
        assert width > 500  # the curve takes the place of what is not drawn


def test_the_points_are_the_models_largest_first_or_by_pathway(page: Page) -> None:
    risk = to_the_estimate(page)["risks"][0]
    table = page.locator("#moved")
    measured = [one for one in risk["contributions"] if one["measured"]]
    rows = table.locator("tr.member").all_inner_texts()
    for row, one in zip(rows, measured, strict=False):
        sign = "+" if one["points"] > 0 else "−"
        assert row.startswith(one["words"][0].upper() + one["words"][1:])
        assert f"{sign}{abs(one['points']):.1f}" in row or abs(one["points"]) < 0.05
    assert table.locator("tr.member svg").count() == len(rows)
    assert f"{100 * risk['baseline_risk']:.1f}" in table.inner_text()
    assert f"{100 * risk['risk']:.1f}" in table.inner_text()
    page.get_by_role("button", name="By pathway").click()
    order = [one["pathway"] for one in risk["pathways"] if one["pathway"] != "not_measured"]
    assert table.locator("tr.pathway").count() == len(order)
    assert table.locator("tr.member").count() == len(measured)


def test_the_curve_is_read_at_28_days_and_its_numbers_are_in_words(page: Page) -> None:
    prediction = to_the_estimate(page)
    curve = page.locator("#curve")
    labels = curve.locator(".dot-label").all_text_contents()
    assert labels == [f"{round(100 * one['risk'])} %" for one in prediction["risks"]]
    assert "28" in curve.locator(".tick").all_text_contents()
    assert "Comparable patient" in curve.locator(".label").all_text_contents()
    first, second = (one.bounding_box() for one in curve.locator(".dot-main").all())
    assert second["x"] - first["x"] > 60
    for one in prediction["risks"]:
        words = f"{one['horizon_days']} days {round(100 * one['risk'])} %, interval "
        assert words in page.locator("#curve-words").text_content()


def test_another_horizon_changes_sentences_points_and_people(page: Page) -> None:
    later = to_the_estimate(page)["risks"][1]
    page.locator(".horizon input").nth(1).check()
    assert page.get_by_text(later["sentences"][0], exact=True).is_visible()
    assert f"{later['horizon_days']} days" in page.locator("#why-title").inner_text()
    if not later["interval"]["very_wide"]:
        assert page.locator("#people .dot.event").count() == round(100 * later["risk"])


def test_death_first_stands_beside_fracture(
    browser: Callable[..., BrowserContext], serve: Any, sure_fracture: ServedModel
) -> None:
    from serving.app import create_app
    from serving.settings import Settings

    page = browser().new_page()
    page.goto(str(serve(create_app(Settings(), models=[sure_fracture])).base_url))
    risk = to_the_estimate(page, "Leaving ICU")["risks"][0]
    first = round(100 * risk["competing_risk"])
    assert f"Death first: {first} %" in page.locator(".horizon").first.inner_text()
    assert page.locator("#people .dot").count() == 100
    assert page.locator("#people .dot.first").count() == first
    assert f"{first} die first" in page.locator("#people-key").inner_text()
    charts(page)
    assert not risk["interval"]["very_wide"]
    assert "Dots: death without the event." in page.locator("#curve-caption").inner_text()


def test_a_number_that_can_mean_two_is_refused_and_the_way_to_it_is_shown(page: Page) -> None:
    to_the_estimate(page)
    type_value(page, "fgf23_c", "1,471")
    wait_for_echo(page, "fgf23_c", "point as decimal mark")
    page.get_by_text("No risk while an entry needs a look").first.wait_for()
    assert not page.locator("#answer").is_visible()
    assert page.locator(".bar-cell").count() == 0
    page.locator("#bar-fields").get_by_role("button", name="FGF23").click()
    entry = page.locator("#v-fgf23_c")
    assert entry.evaluate("one => one === document.activeElement")
    assert entry.get_attribute("aria-invalid") == "true"
    enter_value(page, "fgf23_c", "1471")
    wait_for_echo(page, "fgf23_c", r"^H, 8\.2 × upper limit")
    page.locator("#answer").wait_for()


def test_not_measured_and_below_limit_can_be_chosen(page: Page) -> None:
    to_the_estimate(page)
    open_all(page)
    state = page.locator("[data-column=fgf23_c] .state")
    with page.expect_response("**/page/entries"):
        state.select_option(label="not entered")
    assert page.locator("#v-fgf23_c").input_value() == ""
    with page.expect_response("**/page/entries"):
        state.select_option(label="below limit")
    wait_for_echo(page, "fgf23_c", "FGF23, C-terminal: enter the limit")
    enter_value(page, "fgf23_c", "80")
    wait_for_echo(page, "fgf23_c", r"^\s*<80 RU/mL\s*$")
    prediction = enter_value(page, "ctx_s", "<50")
    assert page.locator("[data-column=ctx_s] .state").input_value() == "<"
    sent = {one["variable"]: one for one in prediction["risks"][0]["contributions"]}
    assert sent["fgf23_c"]["comparator"] == sent["ctx_s"]["comparator"] == "<"


def test_not_done_differs_from_an_empty_field(page: Page) -> None:
    to_the_estimate(page)
    open_all(page)
    with page.expect_response("**/v1/predict"):
        page.locator("[data-column=ctx_s] .state").select_option(label="not done")
    assert page.locator("#v-ctx_s").input_value() == ""
    with page.expect_response("**/v1/predict") as answered:
        page.locator(".entry[data-column=diabetes] input[value=absent]").check()
    assert set(answered.value.request.post_data_json["absent"]) == {"ctx_s", "diabetes"}
    with page.expect_response("**/v1/predict") as answered:
        page.locator("[data-column=fgf23_c] .state").select_option(label="not entered")
    prediction = prediction_of(answered.value)
    assert set(prediction["absent"]) == {"ctx_s", "diabetes"}
    assert set(prediction["missing"]) == {"ctx_s", "diabetes", "fgf23_c"}
    page.locator("#bar[aria-busy=false]").wait_for()
    first, *others = page.locator("#missing-by-pathway li").all_text_contents()
    assert first.startswith("Recorded as not done (2)")
    assert "FGF23" not in first
    assert "FGF23, C-terminal" in " ".join(others)
    assert "CTX" not in " ".join(others)


def test_a_typed_value_replaces_not_done(page: Page) -> None:
    to_the_estimate(page)
    open_all(page)
    state = page.locator("[data-column=ctx_s] .state")
    with page.expect_response("**/v1/predict"):
        state.select_option(label="not done")
    assert enter_value(page, "ctx_s", "400")["absent"] == []
    assert state.input_value() == "="


def test_a_unit_is_chosen_and_converted_before_scoring(page: Page) -> None:
    to_the_estimate(page)
    with page.expect_response("**/page/entries"):
        page.get_by_label("CTX-I (beta-CrossLaps), serum: unit").select_option(label="ng/mL")
    prediction = enter_value(page, "ctx_s", "0.5")
    wait_for_echo(page, "ctx_s", r"^= 500 pg/mL")
    sent = {one["variable"]: one for one in prediction["risks"][0]["contributions"]}
    assert sent["ctx_s"]["value"] == 500


def test_partial_input_is_welcome_and_what_is_missing_is_named(page: Page) -> None:
    to_the_estimate(page)
    assert enter_value(page, "ctx_s", "")["missing"] == ["ctx_s"]
    listed = page.locator("#missing-by-pathway").text_content()
    assert "CTX-I (beta-CrossLaps), serum" in str(listed)
    assert not page.locator("#missing-by-pathway").is_visible()
    assert "Inferred for what was not entered" in page.locator("#moved").inner_text()


def test_another_unit_is_offered_as_a_button_that_takes_it(page: Page) -> None:
    to_the_estimate(page)
    type_value(page, "albumin", "30")
    wait_for_echo(page, "albumin", "must be .* Did you mean 30 g/L")
    with page.expect_response("**/v1/predict") as answered:
        page.get_by_role("button", name="Did you mean 30 g/L?").click()
    sent = prediction_of(answered.value)["risks"][0]["contributions"]
    assert {one["variable"]: one.get("value") for one in sent}["albumin"] == 3.0
    wait_for_echo(page, "albumin", r"^= 3 g/dL")


def test_an_age_follows_from_a_date_of_birth(page: Page) -> None:
    to_the_estimate(page)
    prediction = enter_value(page, "age", "2 Mar 1958")
    wait_for_echo(page, "age", r"^= \d\d.* years, from the date of birth")
    assert "age" not in prediction["missing"]
    type_value(page, "age", "3/2/1958")
    page.get_by_text("No risk while an entry needs a look").first.wait_for()


def test_pasted_results_are_confirmed_and_then_entered(page: Page) -> None:
    choose(page)
    page.get_by_role("button", name="24 h ago").click()
    page.get_by_role("button", name="Paste or drop results").click()
    text = "Age 67\nAlb 24 g/L; CTX 0.9 ng/mL; vancomycin 12 mg/L\nLactate 4,1 mmol/L\nCTX 300"
    with page.expect_response("**/page/pasted"):
        page.get_by_label("Any list with names").fill(text)
    page.get_by_text("3 of 6 results are ready").wait_for()
    several = page.locator("#pasted-rows select")
    assert several.count() == 2
    several.first.select_option(index=1)
    assert page.locator("#v-albumin").input_value() == ""
    with page.expect_response("**/v1/predict") as answered:
        page.get_by_role("button", name="Enter 4 values").click()
    prediction = prediction_of(answered.value)
    sent = answered.value.request.post_data_json["measurements"]
    assert {one["variable"]: (one["value"], one["unit"]) for one in sent} == {
        "age": ("67", "a"),
        "albumin": ("24", "g/L"),
        "ctx_s": ("0.9", "ng/mL"),
        "lactate": ("4.1", "mmol/L"),
    }
    assert prediction["status"] == "ok"


def test_a_dropped_bundle_fills_in_the_page(page: Page) -> None:
    choose(page)
    page.get_by_role("button", name="24 h ago").click()
    taken = datetime.now(UTC) - timedelta(hours=2)
    patient = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1958-03-02"}
    lactate = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2524-7"}]},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": taken.isoformat(timespec="seconds"),
        "valueQuantity": {
            "value": 2.8, "unit": "mmol/L", "code": "mmol/L", "system": "http://unitsofmeasure.org",
        },
    }  # fmt: skip

    def drop(*resources: dict[str, Any]) -> None:
        entry = [{"resource": one} for one in resources]
        content = json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entry})
        file = {"name": "bundle.json", "mimeType": "application/json", "buffer": content.encode()}
        with page.expect_response("**/page/bundle"):
            page.locator("#paste-file").set_input_files(file)

    page.get_by_role("button", name="Paste or drop results").click()
    drop(lactate)
    page.get_by_text("must hold the Patient").wait_for()
    drop(patient, lactate)
    page.locator("#paste").wait_for(state="hidden")
    assert page.locator("#v-lactate").input_value() == "2.8"
    assert "from the record, taken" in page.locator("#o-lactate").inner_text()
    assert page.locator("#v-sex").input_value() == "female"


def test_interim_answers_are_followed_by_one_final_answer(page: Page, caplog: Any) -> None:
    stages: list[tuple[str, str]] = []
    page.on(
        "request",
        lambda one: (
            one.url.endswith("/v1/predict")
            and stages.append((one.post_data_json["stage"], one.post_data_json["session"]))
        ),
    )
    to_the_estimate(page)
    enter_value(page, "lactate", "3")
    with page.expect_response("**/v1/predict"):
        page.get_by_role("button", name="Clear all").click()
    assert [stage for stage, _ in stages] == ["interim", "interim", "final"]
    assert len({session for _, session in stages}) == 1
    to_the_estimate(page)
    assert stages[-1][1] != stages[0][1]
    # What is sent while a page is left is seen by the service only.
    with caplog.at_level("INFO"):
        page.locator("a[href^='/facts/']:visible").click()
        page.get_by_role("link", name="Back to the page").wait_for()
        for _ in range(100):
            if "POST /v1/predict 200" in caplog.text:
                break
            page.wait_for_timeout(50)
    assert caplog.text.count("POST /v1/predict 200") == 1


def test_a_refusal_gives_no_number(page: Page) -> None:
    to_the_estimate(page)
    enter_value(page, "age", "15")
    assert page.locator(".bar-cell").count() == 0
    assert page.locator("#refusals").is_visible()
    assert "under 18" in page.locator("#refusals").inner_text()
    assert not page.locator("#risks").is_visible()
    assert page.locator("#announcement").inner_text() == "No risk is given."


def test_every_entry_that_can_be_moved_has_a_slider_and_the_curve_moves_beside_it(
    page: Page,
) -> None:
    to_the_estimate(page)
    open_all(page)
    with page.expect_response("**/v1/predict"):
        page.locator("[data-column=rrt]").get_by_label("yes").check()
    page.locator("#bar[aria-busy=false]").wait_for()
    page.evaluate("document.querySelector('#more-sliders').open = true")
    names = page.locator(".slider label").all_inner_texts()
    assert {"Lactate", "Albumin", "FGF23, C-terminal"} <= set(names)
    assert not {"Age", "Sex", "Renal replacement therapy"}.intersection(names)
    before = page.locator("#check-curve .curve.main").get_attribute("d")
    slider = page.get_by_label("Lactate", exact=True).and_(page.locator("[type=range]"))
    with page.expect_response("**/v1/predict") as answered:
        slider.press("End")
    risk = answered.value.json()["predictions"][0]["risks"][0]
    result = page.locator("#check-result")
    result.get_by_text("not what treatment would do").wait_for()
    assert f"{100 * risk['risk']:.1f} % at" in result.inner_text()
    assert page.locator("#check-curve .curve.main").get_attribute("d") != before
    assert page.locator("#check-curve .curve.before").count() == 1
    page.get_by_role("button", name="Back to the entries").click()
    assert page.locator("#check-curve .curve.main").get_attribute("d") == before


def test_the_note_is_copied_and_the_link_holds_no_value(
    browser: Callable[..., BrowserContext], page_service: httpx.Client
) -> None:
    context = browser()
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(str(page_service.base_url))
    prediction = to_the_estimate(page)
    page.get_by_role("button", name="Copy to note").click()
    page.get_by_text("The note is copied").wait_for()
    note = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert note[:-1] == prediction["note"][:-1]
    assert note[-1].startswith(NOTICE)
    assert len(note) <= 10
    page.get_by_role("button", name="Copy link to this model").click()
    page.get_by_text("without any value of this patient").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    base = str(page_service.base_url).rstrip("/")
    assert link == f"{base}/?model=mortality-simulated"
    opened = context.new_page()
    opened.goto(link.replace("mortality", "fracture"))
    assert opened.get_by_label("Leaving ICU", exact=True).is_checked()
    assert opened.locator("#form").is_visible()
