"""Alerting rules for Prometheus, for the figures that the service publishes at `/metrics`."""

from __future__ import annotations

import json

__all__ = ["prometheus_rules"]

_RULES: tuple[tuple[str, str, str, str], ...] = (
    (
        "OsteonMonitoringAlert",
        'osteon_monitoring_alerts{kind!="drift"} > 0',
        "1h",
        "{{ $labels.model }} version {{ $labels.version }} has {{ $value }} alerts of the kind "
        "{{ $labels.kind }}. Open /monitoring of the service.",
    ),
    (
        "OsteonInputsDrift",
        'osteon_monitoring_alerts{kind="drift"} > 0',
        "24h",
        "The patients of {{ $labels.model }} differ from its training cohort ({{ $value }} "
        "figures). Open /monitoring of the service.",
    ),
    (
        "OsteonObservedOverExpected",
        "osteon_monitoring_oe_ratio > 1.25 or osteon_monitoring_oe_ratio < 0.8",
        "24h",
        "Observed over expected events of {{ $labels.model }} at {{ $labels.horizon_days }} days "
        "are {{ $value }}. Look at the control limits before you act: few events vary much.",
    ),
    (
        "OsteonMostRefused",
        'sum by (model, version) (increase(osteon_predictions_total{status="refused"}[7d])) '
        "> 0.5 * sum by (model, version) (increase(osteon_predictions_total[7d]))",
        "1h",
        "More than half of the requests to {{ $labels.model }} are refused.",
    ),
    (
        "OsteonUnitSuspected",
        "sum by (model, version, variable, place) "
        '(increase(osteon_input_values_total{place=~"below|above"}[7d])) '
        "/ ignoring(place) group_left sum by (model, version, variable) "
        '(increase(osteon_input_values_total{place!="missing"}[7d])) > 0.9 '
        "and ignoring(place) sum by (model, version, variable) "
        '(increase(osteon_input_values_total{place!="missing"}[7d])) > 50',
        "1h",
        "Over 90 % of the values of {{ $labels.variable }} lie beyond one quartile of the training "
        "cohort of {{ $labels.model }}: check the unit at the source, with osteon monitor.",
    ),
    (
        "OsteonInputsChanged",
        "abs(sum by (model, version, variable, place) "
        "(increase(osteon_input_values_total[30d])) "
        "/ ignoring(place) group_left sum by (model, version, variable) "
        "(increase(osteon_input_values_total[30d])) "
        "- sum by (model, version, variable, place) "
        "(increase(osteon_input_values_total[60d] offset 30d)) "
        "/ ignoring(place) group_left sum by (model, version, variable) "
        "(increase(osteon_input_values_total[60d] offset 30d))) > 0.2 "
        "and ignoring(place) sum by (model, version, variable) "
        "(increase(osteon_input_values_total[30d])) > 200 "
        "and ignoring(place) sum by (model, version, variable) "
        "(increase(osteon_input_values_total[60d] offset 30d)) > 200",
        "24h",
        "The share of stays with {{ $labels.variable }} {{ $labels.place }} (by the training "
        "cohort's quartiles) changed by {{ $value | humanizePercentage }} from the two months "
        "before: ask the laboratory what changed. Another hospital than that of training would "
        "have differed all along.",
    ),
    (
        "OsteonNoOutcomes",
        "osteon_monitoring_known_outcomes == 0 and osteon_monitoring_predictions > 1000",
        "24h",
        "No outcome was reported for {{ $labels.model }}: concept drift cannot be seen. Send "
        "POST /v1/outcomes.",
    ),
)
"""Name, expression, how long it must hold, and what it means."""


def prometheus_rules() -> str:
    """Return a rule file (YAML, written as its subset JSON) for `rule_files` of Prometheus."""
    rules = [
        {
            "alert": name,
            "expr": expression,
            "for": held,
            "labels": {"severity": "warning"},
            "annotations": {"summary": summary},
        }
        for name, expression, held, summary in _RULES
    ]
    return json.dumps({"groups": [{"name": "osteon", "rules": rules}]}, indent=2) + "\n"
