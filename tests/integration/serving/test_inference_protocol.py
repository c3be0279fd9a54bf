from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from serving.app import create_app
from serving.settings import Settings

if TYPE_CHECKING:
    import httpx

    from serving.prediction.served import ServedModel

NAME = "osteon-mortality-simulated"
ZERO = "2026-11-01T08:00:00+01:00"


@pytest.fixture(scope="module")
def client(serve: Any, mortality: ServedModel, tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = Settings(state_dir=tmp_path_factory.mktemp("v2"))
    return serve(create_app(settings, models=[mortality]))


def tensor(name: str, data: list[Any], datatype: str = "BYTES") -> dict[str, Any]:
    return {"name": name, "shape": [len(data)], "datatype": datatype, "data": data}


PATIENTS = [
    tensor("patient_id", ["one", "two", "three"]),
    tensor("time_zero", [ZERO, ZERO, ZERO]),
    tensor("asked_at", [ZERO, ZERO, ZERO]),
    tensor("sex", ["female", "male", ""]),
    tensor("birth_date", ["1958-03-02", "1944-01-01", "2015-01-01"]),
    tensor("lactate", [2.5, None, 1.0], "FP64"),
    tensor("albumin", [2.7, 3.1, 3.0], "FP64"),
    tensor("fgf23_c", [400.0, 900.0, 500.0], "FP64"),
]


def infer(client: httpx.Client, inputs: list[dict[str, Any]], **body: Any) -> httpx.Response:
    return client.post(f"/v2/models/{NAME}/infer", json={"id": "x", "inputs": inputs, **body})


def outputs(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return {one["name"]: one for one in answer.json()["outputs"]}


def test_risks_are_those_of_v1_and_a_refusal_is_an_output(client: httpx.Client) -> None:
    answer = infer(client, PATIENTS, parameters={"horizons_days": "28,90"})
    body = answer.json()
    assert (body["model_name"], body["model_version"], body["id"]) == (NAME, "3", "x")
    found = outputs(answer)
    assert found["risk"]["shape"] == [3, 2]
    assert found["status"]["data"] == ["ok", "ok", "refused"]
    assert found["refusal_code"]["data"] == ["", "", "under_18"]
    assert found["risk"]["data"][4:] == [None, None]
    one = client.post(
        "/v1/predict",
        json={
            "patient_id": "one",
            "time_zero": ZERO,
            "asked_at": ZERO,
            "sex": "female",
            "birth_date": "1958-03-02",
            "outcomes": ["mortality"],
            "horizons_days": [28, 90],
            "measurements": [
                {"variable": name, "value": value, "unit": unit, "time": ZERO}
                for name, value, unit in (
                    ("lactate", 2.5, "mmol/L"),
                    ("albumin", 2.7, "g/dL"),
                    ("fgf23_c", 400, "[arb'U]/mL"),
                )
            ],
        },
    ).json()["predictions"][0]
    assert found["risk"]["data"][:2] == [risk["risk"] for risk in one["risks"]]
    assert found["risk_low"]["data"][:2] == [risk["interval"]["low"] for risk in one["risks"]]
    ids = found["prediction_id"]["data"]
    reported = {"prediction_id": ids[0], "outcome": "mortality", "event": 0, "days": 9}
    assert client.post("/v1/outcomes", json=reported).status_code == 201, "it is on record"


def test_a_risk_stands_with_its_own_day_in_whatever_order_days_are_named(
    client: httpx.Client,
) -> None:
    pairs = []
    for days in ("28,90", "90,28"):
        found = outputs(infer(client, PATIENTS, parameters={"horizons_days": days}))
        first = zip(found["horizons_days"]["data"][:2], found["risk"]["data"][:2], strict=True)
        pairs.append(dict(first))
    assert pairs[0] == pairs[1]
    assert pairs[0][28] < pairs[0][90]


def test_only_requested_outputs_are_sent(client: httpx.Client) -> None:
    answer = infer(client, PATIENTS, outputs=[{"name": "risk"}])
    assert set(outputs(answer)) == {"risk"}


def test_a_public_client_of_the_protocol_reads_metadata_and_risks(client: httpx.Client) -> None:
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient[http] is not installed")
    address = urlsplit(str(client.base_url)).netloc
    public = triton.InferenceServerClient(url=address)
    try:
        assert public.is_server_live()
        assert public.is_server_ready()
        assert public.is_model_ready(NAME)
        metadata = public.get_model_metadata(NAME)
        assert metadata["versions"] == ["3"]
        units = {one["name"]: one["parameters"].get("unit") for one in metadata["inputs"]}
        assert units["lactate"] == "mmol/L"
        sent = []
        for one in PATIENTS:
            is_text = one["datatype"] == "BYTES"
            values = np.array(one["data"], dtype=object if is_text else np.float64)
            if not is_text:
                values = np.where(np.isnan(values), 2.0, values)  # JSON has no NaN
            entry = triton.InferInput(one["name"], list(values.shape), one["datatype"])
            entry.set_data_from_numpy(values, binary_data=False)
            sent.append(entry)
        wanted = [
            triton.InferRequestedOutput(name, binary_data=False) for name in ("risk", "status")
        ]
        result = public.infer(NAME, sent, outputs=wanted, request_id="7")
        risk = result.as_numpy("risk").astype(float)
        assert result.as_numpy("status").tolist() == ["ok", "ok", "refused"]
        assert np.isfinite(risk[:2]).all()
        assert np.isnan(risk[2]).all()
        entry = triton.InferInput("unheard-of", [1], "FP64")
        entry.set_data_from_numpy(np.ones(1), binary_data=False)
        with pytest.raises(triton.InferenceServerException, match="must be tensors that"):
            public.infer(NAME, [entry])
    finally:
        public.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": PATIENTS[1:]}, "inputs must hold patient_id and time_zero."),
        ({"inputs": [*PATIENTS, PATIENTS[0]]}, "inputs must name each tensor once."),
        (
            {"inputs": [*PATIENTS[:-1], tensor("albumin2", [1.0, 1.0, 1.0], "FP64")]},
            "inputs must be tensors that the model's metadata names; 1 of 8 are not.",
        ),
        (
            {"inputs": [*PATIENTS[:5], tensor("lactate", [1.0], "FP64")]},
            "inputs must hold as many patients in every tensor",
        ),
        ({"parameters": {"horizons_days": "soon"}}, "parameters must hold days in horizons_days."),
        ({"outputs": [{"name": "secret"}]}, "outputs must be outputs that the metadata names."),
        ({"inputs": []}, "The request must follow the Open Inference Protocol"),
        (
            {"inputs": [*PATIENTS[:5], tensor("lactate", [1.0, 987654.0, 1.0], "FP64")]},
            "lactate must be",
        ),
        (
            {"inputs": [*PATIENTS[:3], tensor("sex", ["female", "x-secret", ""]), *PATIENTS[4:]]},
            "patient 1 does not",
        ),
    ],
)
def test_a_broken_rule_is_an_error_of_the_protocol_without_a_value(
    client: httpx.Client, change: dict[str, Any], message: str
) -> None:
    answer = infer(client, **({"inputs": PATIENTS} | change))
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert "secret" not in answer.text
    assert "987654" not in answer.text


def test_other_names_versions_and_bodies_are_errors_of_the_protocol(client: httpx.Client) -> None:
    for path in ("osteon-fracture", f"{NAME}/versions/9"):
        assert "error" in client.get(f"/v2/models/{path}").json()
        assert client.get(f"/v2/models/{path}/ready").status_code == 404
    assert client.get(f"/v2/models/{NAME}/versions/3").json()["name"] == NAME
    broken = client.post(f"/v2/models/{NAME}/infer", content=b'{"inputs": NaN}')
    assert broken.status_code == 400
    assert broken.json() == {"error": "body must be one valid JSON document."}
    assert client.get("/v2").json()["name"] == "osteon"
    assert client.get("/v2/health/ready").json() == {"ready": True}


def test_without_a_model_the_service_is_not_ready(serve: Any, tmp_path: Path) -> None:
    empty = serve(create_app(Settings(state_dir=tmp_path)))
    assert empty.get("/v2/health/ready").status_code == 503
    assert empty.get("/v2/health/live").status_code == 200


def test_who_may_not_predict_may_not_infer(serve: Any, tmp_path: Path, mortality: Any) -> None:
    settings = Settings(state_dir=tmp_path, authentication="required")
    closed = serve(create_app(settings, models=[mortality]))
    assert infer(closed, PATIENTS).status_code == 401
    assert closed.get("/v2/health/live").status_code == 200
