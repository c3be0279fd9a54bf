"""What the service fetches from a client's FHIR server, and from nobody else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cds_answers import silence_of
from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

SERVICE = "/cds-services/osteon-mortality"
TOKEN = "Fhir.Token-Sentinel"


@pytest.fixture(scope="module")
def open_client(
    serve: Any, running: Any, sure_mortality: ServedModel, tmp_path_factory: pytest.TempPathFactory
) -> httpx.Client:
    """A service on loopback that may ask the record's FHIR server and nobody else."""
    settings = Settings(
        state_dir=tmp_path_factory.mktemp("open"),
        fhir_servers=(f"{running.url}/fhir/",),
        icu_locations=("Location/icu-7",),
    )
    client: httpx.Client = serve(create_app(settings, models=[sure_mortality]))
    return client


def fetching(build: Any, ehr: Any, **more: Any) -> dict[str, Any]:
    authorization = {
        "access_token": TOKEN,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "osteon",
    }
    server = {"fhirServer": f"{ehr.url}/fhir", "fhirAuthorization": authorization}
    sent: dict[str, Any] = build.call(prefetch={}, **server)
    return sent | more


@pytest.mark.parametrize("token_type", ["bearer", "BEARER"])
def test_what_clients_write_in_other_ways_is_understood(
    build: Any, open_client: httpx.Client, ehr: Any, token_type: str
) -> None:
    sent = fetching(build, ehr, prefetch=None)
    sent["hookInstance"] = f"urn:uuid:{sent['hookInstance']}"
    sent["fhirAuthorization"]["token_type"] = token_type
    answer = open_client.post(SERVICE, json=sent)
    assert len(answer.json()["cards"]) == 1, answer.text


def test_another_type_of_token_is_refused(build: Any, open_client: httpx.Client, ehr: Any) -> None:
    sent = fetching(build, ehr)
    sent["fhirAuthorization"]["token_type"] = "DPoP"
    assert open_client.post(SERVICE, json=sent).status_code == 422


def test_what_was_not_sent_is_fetched_with_the_given_token(
    build: Any, open_client: httpx.Client, ehr: Any
) -> None:
    answer = open_client.post(SERVICE, json=fetching(build, ehr))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["cards"]) == 1
    assert sorted(ehr.kinds()) == [
        "Condition",
        "Encounter",
        "MedicationRequest",
        "Observation",
        "Patient",
        "ServiceRequest",
    ]
    assert {credential for _, credential in ehr.asked} == {f"Bearer {TOKEN}"}
    (asked,) = [path for path, _ in ehr.asked if "/Observation" in path]
    query = parse_qs(urlsplit(asked).query)
    assert query["patient"] == ["p1"]
    assert "47855-2" in query["code"][0].split(",")
    assert query["date"][0].startswith("ge20")


def test_without_an_encounter_those_in_progress_are_searched_for(
    build: Any, open_client: httpx.Client, ehr: Any
) -> None:
    sent = fetching(build, ehr)
    del sent["context"]["encounterId"]
    answer = open_client.post(SERVICE, json=sent)
    assert len(answer.json()["cards"]) == 1, answer.text
    (asked,) = [path for path, _ in ehr.asked if "/Encounter" in path]
    query = parse_qs(urlsplit(asked).query)
    assert (query["patient"], query["status"]) == (["p1"], ["in-progress"])


def test_no_address_reaches_two_thousand_characters(
    build: Any, open_client: httpx.Client, ehr: Any
) -> None:
    open_client.post(SERVICE, json=fetching(build, ehr))
    assert ehr.asked
    assert max(len(f"{ehr.url}{path}") for path, _ in ehr.asked) < 2_000


def test_every_page_is_fetched(build: Any, open_client: httpx.Client, ehr: Any) -> None:
    ehr.pages = True
    answer = open_client.post(SERVICE, json=fetching(build, ehr))
    assert "410 RU/mL" in answer.json()["cards"][0]["detail"]  # on the second page
    assert ehr.kinds().count("Observation") == 2


def test_prefetch_that_was_sent_in_part_is_fetched_whole(
    build: Any, open_client: httpx.Client, ehr: Any
) -> None:
    part = build.bundle(
        build.observation("lactate"), link=[{"relation": "next", "url": "https://x.example/2"}]
    )
    sent = fetching(build, ehr, prefetch=build.record() | {"observations": part})
    assert len(open_client.post(SERVICE, json=sent).json()["cards"]) == 1
    assert ehr.kinds() == ["Observation"]


def test_nothing_more_is_fetched_once_there_is_a_reason_for_silence(
    build: Any, open_client: httpx.Client, ehr: Any
) -> None:
    child = {"patient": build.patient() | {"birthDate": "2020-01-01"}}
    answer = open_client.post(SERVICE, json=fetching(build, ehr, prefetch=child))
    assert silence_of(answer) == "not_eligible"
    assert ehr.asked == []


@pytest.mark.parametrize(
    "key", ["comfortCare", "conditions", "encounter", "medications", "observations", "patient"]
)
def test_what_cannot_be_had_is_answered_with_412(
    build: Any, open_client: httpx.Client, key: str
) -> None:
    sent = {name: value for name, value in build.record().items() if name != key}
    answer = open_client.post(SERVICE, json=build.call(prefetch=sent))
    assert answer.status_code == 412
    assert answer.json()["type"] == "urn:osteon:problem:precondition-failed"


@pytest.mark.parametrize("status", [302, 401, 404, 500])
def test_a_fhir_server_that_does_not_answer_is_a_412(
    build: Any, open_client: httpx.Client, ehr: Any, status: int
) -> None:
    ehr.status = status
    assert open_client.post(SERVICE, json=fetching(build, ehr)).status_code == 412
    assert len(ehr.asked) == 1  # no redirect is followed, nothing is tried again


def test_no_other_server_is_asked_than_the_sites_own(
    build: Any, open_client: httpx.Client, ehr: Any, other_ehr: Any
) -> None:
    for server in (
        f"{other_ehr.url}/fhir",
        f"{ehr.url}/fhir/../fhir",
        f"{ehr.url}/jwks?",
        f"{ehr.url}/fhir@{urlsplit(other_ehr.url).netloc}",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
    ):
        answer = open_client.post(SERVICE, json=fetching(build, ehr, fhirServer=server))
        assert answer.status_code == 412, server
    ehr.next_page = f"{other_ehr.url}/fhir/Observation?page=2"
    assert open_client.post(SERVICE, json=fetching(build, ehr)).status_code == 412
    assert other_ehr.asked == []  # and the token stays where it belongs
    ehr.next_page = f"{ehr.url}/jwks"
    assert open_client.post(SERVICE, json=fetching(build, ehr)).status_code == 412
    assert not any(path == "/jwks" for path, _ in ehr.asked)


def test_a_slow_fhir_server_keeps_no_prediction_waiting(
    build: Any, open_client: httpx.Client, ehr: Any
) -> None:
    ehr.answers.clear()
    try:
        with ThreadPoolExecutor(48) as pool:
            waiting = [
                pool.submit(open_client.post, SERVICE, json=fetching(build, ehr)) for _ in range(48)
            ]
            while not ehr.asked:
                time.sleep(0.01)
            time.sleep(0.2)  # so that all of them have come
            assert open_client.get("/v1/models").status_code == 200
            assert not any(one.done() for one in waiting)
            ehr.answers.set()
            assert {one.result().status_code for one in waiting} == {200}
    finally:
        ehr.answers.set()


def test_pages_without_end_are_left(build: Any, open_client: httpx.Client, ehr: Any) -> None:
    ehr.next_page = f"{ehr.url}/fhir/Observation?page=2"
    assert open_client.post(SERVICE, json=fetching(build, ehr)).status_code == 412
    assert ehr.kinds().count("Observation") == 10


def test_a_token_goes_with_its_server(build: Any, open_client: httpx.Client, ehr: Any) -> None:
    sent = {name: one for name, one in fetching(build, ehr).items() if name != "fhirServer"}
    answer = open_client.post(SERVICE, json=sent)
    assert answer.status_code == 422
    assert TOKEN not in answer.text
