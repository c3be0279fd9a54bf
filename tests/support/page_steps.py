"""The steps of a clinician on the page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Response


def choose(page: Page, place: str = "In ICU") -> None:
    """Say where the patient is."""
    page.get_by_label(place, exact=True).check()


def to_the_estimate(page: Page, place: str = "In ICU", example: int = 0) -> dict[str, Any]:
    """Take an example patient, and return what the service answered."""
    choose(page, place)
    page.get_by_label("Example patient (fictitious)").select_option(index=example)
    with page.expect_response("**/v1/predict") as answered:
        page.get_by_role("button", name="Fill in").click()
    page.get_by_role("heading", name="Estimate", exact=True).wait_for()
    return prediction_of(answered.value)


def prediction_of(answered: Response) -> dict[str, Any]:
    prediction: dict[str, Any] = answered.json()["predictions"][0]
    return prediction


def charts(page: Page) -> None:
    page.locator("#curve svg").wait_for()


def open_all(page: Page) -> None:
    """Open all folded fields and what is said about each."""
    page.evaluate("for (const one of document.querySelectorAll('#form details')) one.open = true")
    page.evaluate("for (const one of document.querySelectorAll('.about')) one.hidden = false")


def type_value(page: Page, column: str, value: str) -> None:
    """Enter a value that has a problem, or that is not enough for a risk."""
    open_all(page)
    with page.expect_response("**/page/entries"):
        page.locator(f"#v-{column}").fill(value)
        page.locator(f"#v-{column}").blur()
    page.locator("#bar[aria-busy=false]").wait_for()


def enter_value(page: Page, column: str, value: str) -> dict[str, Any]:
    """Enter a value, and return what the service answered then."""
    open_all(page)
    with page.expect_response("**/v1/predict") as answered:
        page.locator(f"#v-{column}").fill(value)
        page.locator(f"#v-{column}").blur()
    page.locator("#bar[aria-busy=false]").wait_for()
    return prediction_of(answered.value)


def wait_for_echo(page: Page, column: str, pattern: str) -> None:
    """Wait until the echo reads so: it is drawn after the answer to the entry has come."""
    page.locator(f"#e-{column}").filter(has_text=re.compile(pattern)).wait_for()
