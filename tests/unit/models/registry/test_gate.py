"""The gate record: what is signed stays what was decided."""

import json
from dataclasses import replace

import numpy as np
import pytest

from data_schema.errors import GateError, UsageError
from models.metrics.metric import Metric
from models.registry.gate import (
    Criterion,
    GateRecord,
    gate_key,
    is_whole_record_of,
    parse,
    seal,
    short_form,
    sign,
    verify,
)

KEY = b"a key of sixteen characters or more"
RECORD = GateRecord(
    model_sha256="ab" * 32,
    cohort_fingerprint="cd" * 32,
    metrics=(
        Metric("auroc", 28, estimate=0.81, low=0.78, high=0.84),
        Metric("c_uno", None, estimate=0.72, low=np.nan, high=np.nan),
    ),
    decision="promote",
    by="reviewer",
    at="2026-11-22T10:00:00+00:00",
)


def test_a_sealed_record_comes_back_as_it_was():
    assert verify(seal(RECORD, KEY), KEY, model_sha256="ab" * 32) == RECORD


def test_the_signature_is_the_hmac_of_canonical_json():
    # printf '{"at":"t","by":"b","cohort_fingerprint":"f","decision":"promote","metrics":[],
    # "model_sha256":"s"}' (on one line) | openssl dgst -sha256 -hmac 0123456789abcdef
    expected = "6181c79baf2d53d691b94695d7baedaf5a649f3ec3ed4f3f8d344c7c718256be"
    record = GateRecord("s", "f", metrics=(), decision="promote", by="b", at="t")
    assert sign(record, b"0123456789abcdef") == expected


def test_the_signature_of_a_record_from_before_metrics_were_typed_still_holds():
    # Signed by commit 99de743, where the metrics were mappings.
    signed = "76e537d93d136bbd5486b4d970fe0a8ef4781cbff59171de32536967e88e54f2"
    assert sign(RECORD, KEY) == signed
    assert sign(replace(RECORD, metrics=(replace(RECORD.metrics[0], note="a note"),)), KEY) == sign(
        replace(RECORD, metrics=RECORD.metrics[:1]), KEY
    )


def test_criteria_are_signed_and_come_back():
    criterion = Criterion("auroc", "at 28 days", 0.81, 0.78, 0.84, "above 0.5", is_met=True)
    judged = replace(RECORD, criteria=(criterion,))
    sealed = seal(judged, KEY)
    assert verify(sealed, KEY, model_sha256="ab" * 32) == judged
    with pytest.raises(GateError, match="signature must match"):
        verify(sealed.replace("0.81", "0.91"), KEY, model_sha256="ab" * 32)
    with pytest.raises(GateError, match="must hold exactly its own fields"):
        parse(sealed.replace('"is_met": true', '"is_met": "yes"'))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model_sha256", "ba" * 32),
        ("cohort_fingerprint", "dc" * 32),
        ("metrics", []),
        ("by", "another person"),
        ("at", "2026-11-22T10:00:01+00:00"),
    ],
)
def test_a_record_changed_in_any_field_is_refused(field, value):
    sealed = json.loads(seal(RECORD, KEY)) | {field: value}
    with pytest.raises(GateError, match="signature must match"):
        verify(json.dumps(sealed), KEY, model_sha256=sealed["model_sha256"])


def test_a_short_form_allows_the_bundle_and_is_bound_to_the_figures():
    whole = seal(RECORD, KEY)
    short = short_form(RECORD, whole)
    assert verify(seal(short, KEY), KEY, model_sha256="ab" * 32) == short
    assert is_whole_record_of(short, whole)
    assert not is_whole_record_of(short, whole.replace("0.81", "0.91"))
    with pytest.raises(GateError, match="signature must match"):
        verify(seal(short, KEY).replace(short.whole_sha256, "ef" * 32), KEY, model_sha256="ab" * 32)
    with pytest.raises(GateError, match="exactly its own fields"):
        parse(seal(short, KEY).replace(short.whole_sha256, "no hash"))


def test_a_short_form_stays_short_however_many_figures_were_judged():
    many = replace(RECORD, metrics=RECORD.metrics * 200)
    assert len(seal(short_form(many, seal(many, KEY)), KEY)) < 1000


def test_a_refusal_cannot_be_turned_into_a_promotion():
    sealed = json.loads(seal(replace(RECORD, decision="refuse"), KEY))
    with pytest.raises(GateError, match="signature must match"):
        verify(json.dumps(sealed | {"decision": "promote"}), KEY, model_sha256="ab" * 32)


def test_a_signed_refusal_is_refused():
    text = seal(replace(RECORD, decision="refuse"), KEY)
    with pytest.raises(GateError, match='must hold "promote"'):
        verify(text, KEY, model_sha256="ab" * 32)


def test_a_record_of_another_bundle_is_refused():
    with pytest.raises(GateError, match="it is for another"):
        verify(seal(RECORD, KEY), KEY, model_sha256="ef" * 32)


def test_a_record_signed_with_another_key_is_refused():
    with pytest.raises(GateError, match="signed with another OSTEON_GATE_KEY"):
        verify(seal(RECORD, KEY), b"some other key of enough length", model_sha256="ab" * 32)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        "[]",
        "{}",
        '"promote"',
        json.dumps(json.loads(seal(RECORD, KEY)) | {"note": "one field more"}),
        json.dumps(json.loads(seal(RECORD, KEY)) | {"decision": "perhaps"}),
        json.dumps(json.loads(seal(RECORD, KEY)) | {"hmac_sha256": "é"}),
        json.dumps(json.loads(seal(RECORD, KEY)) | {"hmac_sha256": None}),
        seal(RECORD, KEY).replace("0.81", "NaN"),
        seal(RECORD, KEY).replace("0.81", '"0.81"'),
        seal(RECORD, KEY).replace("0.81", "1" + 400 * "0"),
        seal(RECORD, KEY).replace('"low"', '"lower"'),
        json.dumps(json.loads(seal(RECORD, KEY)) | {"metrics": {}}),
    ],
)
def test_a_text_that_is_no_gate_record_is_refused(text):
    with pytest.raises(GateError, match="exactly its own fields and a signature"):
        parse(text)


def test_a_record_with_a_figure_that_is_not_a_number_cannot_be_signed():
    infinite = Metric("oe_ratio", 28, estimate=np.inf, low=np.nan, high=np.nan)
    with pytest.raises(ValueError, match="not JSON compliant"):
        sign(replace(RECORD, metrics=(infinite,)), KEY)


@pytest.mark.parametrize("environment", [{}, {"OSTEON_GATE_KEY": "fifteen letters"}])
def test_the_message_on_a_missing_or_short_key_shows_how_to_make_one(environment):
    with pytest.raises(UsageError, match=r"at least 16 characters.*secrets\.token_hex\(32\)"):
        gate_key(environment)


def test_the_message_about_a_short_key_does_not_hold_the_key():
    with pytest.raises(UsageError) as caught:
        gate_key({"OSTEON_GATE_KEY": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_key_of_sixteen_characters_is_taken():
    assert gate_key({"OSTEON_GATE_KEY": "sixteen letters!"}) == b"sixteen letters!"
