"""The steps of a clinician on the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page


def fill_in(page: Page, place: str = "In ICU", example: int = 0) -> None:
    """Say where the patient is and take an example patient."""
    page.get_by_label(place, exact=True).check()
    page.get_by_label("Example patient (fictitious)").select_option(index=example)
    with page.expect_response("**/page/entries"):
        page.get_by_role("button", name="Fill in").click()


def check(page: Page) -> None:
    page.get_by_role("button", name="Check the entries").click()
    page.get_by_role("heading", name="Are these values correct?").wait_for()


def predict(page: Page) -> dict[str, Any]:
    """Press the last button and return what the service answered."""
    with page.expect_response("**/v1/predict") as answered:
        page.get_by_role("button", name="Yes, show the risk").click()
    page.get_by_role("heading", name="Estimate", exact=True).wait_for()
    return answered.value.json()["predictions"][0]


def to_the_estimate(page: Page, place: str = "In ICU", example: int = 0) -> dict[str, Any]:
    fill_in(page, place, example)
    check(page)
    return predict(page)


def charts(page: Page) -> None:
    page.locator("#waterfall .bars").wait_for()


def type_value(page: Page, column: str, value: str) -> None:
    with page.expect_response("**/page/entries"):
        page.locator(f"#v-{column}").fill(value)
        page.locator(f"#v-{column}").blur()


def wait_for_echo(page: Page, column: str, pattern: str) -> None:
    """Wait until the echo reads so: it is drawn after the answer to the entry has come."""
    page.locator(f"#e-{column}").filter(has_text=re.compile(pattern)).wait_for()
