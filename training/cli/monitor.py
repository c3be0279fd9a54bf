"""The command `osteon monitor`: whether a model in use still meets the patients it was made for."""

from __future__ import annotations

import http.client
import json
import urllib.request
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from data_schema.errors import OutsideError, UsageError
from training.cli.cohorts import MappingOption, stated_mapping
from training.cli.console import JsonOption, print_json, print_lines, print_rows, working
from training.cli.score import full_name, loaded_model

if TYPE_CHECKING:
    from models.monitoring.arrivals import Arrivals
    from models.monitoring.watch import Watched
    from models.registry.lifecycle import LoadedModel

__all__ = ["monitor", "stated_day"]


def monitor(
    context: typer.Context,
    arrived: Annotated[
        Path | None,
        typer.Argument(help="Patients of one period: CSV, .xlsx or Parquet, one row per stay."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="models:/NAME/VERSION, models:/NAME@ALIAS, or the folder of a bundle."),
    ] = None,
    from_trail: Annotated[
        bool,
        typer.Option(
            "--from-trail",
            help="Read risks and reported outcomes from the service's database instead of a file.",
        ),
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(help="First day of predictions to read with --from-trail (YYYY-MM-DD)."),
    ] = None,
    earlier: Annotated[
        Path | None,
        typer.Option(
            help="Patients of an earlier period of the same place, to tell a change here from "
            "other patients than those of training."
        ),
    ] = None,
    earlier_since: Annotated[
        str | None,
        typer.Option(
            help="The same with --from-trail: first day (YYYY-MM-DD) of an earlier period that "
            "ends before --since."
        ),
    ] = None,
    mapping: MappingOption = None,
    out: Annotated[Path | None, typer.Option(help="Page to write (.html), one chart each.")] = None,
    webhook: Annotated[
        str | None,
        typer.Option(help="Address (https) to which the alerts are posted as JSON, if there are."),
    ] = None,
    prometheus_rules: Annotated[
        bool,
        typer.Option(
            "--prometheus-rules",
            help="Print alerting rules for the metrics of the service, and stop.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Compare arrived patients with the training cohort.

    Outcomes are compared once they are known. Inputs (missing, distribution, new categories,
    correlations), wrong units by variable and site, risks, the discrimination and Brier score to
    expect before outcomes, and observed over expected events, calibration and discrimination after.
    Alerts do not change the exit code. Counts of stays and alerts are listed with the version in
    the registry, for its timeline.
    """
    if prometheus_rules:
        from models.monitoring.prometheus_rules import prometheus_rules as rules

        if as_json:
            print_json({"rules": rules()})
        else:
            typer.echo(rules(), nl=False)
        return
    if model is None:
        raise UsageError("monitor needs --model.")
    if (arrived is None) is not from_trail:
        raise UsageError("monitor needs ARRIVED, a cohort file, or --from-trail, and not both.")
    if since is not None and not from_trail:
        raise UsageError("--since must go with --from-trail; a file holds one period.")
    if earlier is not None and from_trail:
        raise UsageError("--earlier must go with ARRIVED; with --from-trail, use --earlier-since.")
    if earlier_since is not None and since is None:
        raise UsageError("--earlier-since must go with --from-trail and --since.")
    if out is not None and out.suffix != ".html":
        raise UsageError("--out must end in .html.")
    if webhook is not None and not webhook.startswith(("https://", "http://127.0.0.1:")):
        raise UsageError("--webhook must be an https address.")
    with working():
        from models.monitoring.page import monitoring_page
        from models.monitoring.watch import watch

        loaded = loaded_model(model)
        arrivals = (
            _on_record(context, loaded, stated_day(since))
            if arrived is None
            else _in_file(arrived, loaded, mapping)
        )
        before = None
        if earlier is not None:
            before = _in_file(earlier, loaded, mapping)
        elif earlier_since is not None:
            before = _on_record(context, loaded, stated_day(earlier_since), until=stated_day(since))
        watched = watch(
            arrivals, loaded.risk_model.contract, model=full_name(loaded), earlier=before
        )
        if out is not None:
            out.write_text(monitoring_page(watched), encoding="utf-8")
        if webhook is not None and watched.alerts:
            _post(webhook, watched)
        is_recorded = _record(loaded, watched, from_trail=from_trail)
    if as_json:
        stated = {"out": None if out is None else str(out), "recorded": is_recorded}
        print_json(watched.as_json() | stated)
        return
    _show(watched)


def _in_file(arrived: Path, loaded: LoadedModel, mapping: Path | None) -> Arrivals:
    from data_schema.table.files import read_table
    from training.validation.arrivals import read_arrivals

    table = read_table(arrived)
    return read_arrivals(table, loaded.risk_model, mapping=stated_mapping(mapping))


def _on_record(
    context: typer.Context, loaded: LoadedModel, since: date | None, *, until: date | None = None
) -> Arrivals:
    """Return what the service predicted with this version, before a day if it is given."""
    if since is not None and until is not None and since >= until:
        raise UsageError("--earlier-since must lie before --since.")
    if loaded.version is None:
        raise UsageError(
            "--from-trail needs a version of the registry: --model models:/NAME/VERSION."
        )
    with context.obj() as decisions:
        arrivals: Arrivals = decisions.predicted(
            name=loaded.name,
            version=loaded.version,
            horizons_days=loaded.risk_model.contract.default_horizons_days,
            since=since,
            until=until,
        )
    return arrivals


def stated_day(text: str | None) -> date | None:
    """Return the day that an option states, if it is given; UsageError if it is none."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError("--since and --earlier-since must be days such as 2026-11-30.") from None


def _record(loaded: LoadedModel, watched: Watched, *, from_trail: bool) -> bool:
    """List the period with the version in the registry, and return whether that was possible.

    The figures do not depend on it: a user who may only read the registry gets them too.
    """
    from models.registry.monitored import add_monitored
    from models.registry.versions import find_version
    from training.run.mlflow_run import user_name

    if loaded.version is None:
        return False
    try:
        add_monitored(
            find_version(loaded.name, version=loaded.version),
            watched,
            source="trail" if from_trail else "file",
            by=user_name(),
        )
    except OutsideError as error:
        typer.echo(f"The period is not on the timeline of the registry. {error}", err=True)
        return False
    return True


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Fail where a webhook redirects: urllib would repeat the request without its content."""

    def redirect_request(self, *_: object) -> None:
        """Follow none."""


def _post(address: str, watched: Watched) -> None:
    """Send the alerts to an address; no other figure is sent."""
    alerts = [alert.as_json() for alert in watched.alerts]
    content = {"model": watched.model, "rows": watched.stays, "alerts": alerts}
    try:
        sent = urllib.request.Request(
            address,
            data=json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.build_opener(_NoRedirect).open(sent, timeout=10.0).close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise OutsideError(
            f"The webhook failed ({type(error).__name__}), so the alerts were not sent. Check "
            "--webhook."
        ) from None


def _show(watched: Watched) -> None:
    """Print alerts first, then what is expected and observed, and what cannot be seen."""
    print_lines([f"{watched.model}: {watched.stays} stays, {len(watched.alerts)} alerts."])
    print_lines([f"[{alert.kind}] {alert.message}" for alert in watched.alerts])
    if not watched.has_values:
        print_lines(["The audit trail holds no values, so that inputs were not compared."])
    observed = {(m.metric, m.horizon_days): m for m in watched.metrics}
    if watched.expected:
        rows = []
        for one in watched.expected:
            metric = observed.get((one.metric, one.horizon_days))
            known = metric is not None and metric.is_defined
            rows.append(
                (
                    f"{one.metric} at {one.horizon_days:g} days",
                    f"{one.estimate:.3f} ({one.low:.3f}, {one.high:.3f})",
                    f"{metric.estimate:.3f}" if metric is not None and known else "not yet",
                )
            )
        print_rows(("", "promised by the risks", "observed"), rows)
    if watched.ratios:
        print_rows(
            ("observed over expected", "ratio", "control limits", "observed", "expected"),
            [
                (
                    f"{one.horizon_days:g} days" + (f", {one.site}" if one.site else ""),
                    f"{one.ratio:.2f}",
                    f"{one.low:.2f} to {one.high:.2f}",
                    f"{one.observed:.0f}",
                    f"{one.expected:.0f}",
                )
                for one in watched.ratios
            ],
        )
    print_lines([watched.statement])
