"""The MLflow registry as Osteon uses it: every version a checked bundle, every champion signed.

`register` creates a version with the alias `challenger`; only `promote`, with a gate record, makes
it `champion`; `load_champion` trusts neither the alias nor the files, but the record and the hash.
The champion's record is the newest of its name, so that an alias that was moved by hand to an older
approved version serves nothing; `rollback` writes a new record.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from data_schema import outcomes
from data_schema.errors import GateError, OutsideError, UsageError
from models.inference.risk_model import RiskModel
from models.registry import gate
from models.registry.bundle import MODEL_CODE, Bundle, read_bundle
from models.registry.clinical import require_real_patients
from models.registry.description import model_description
from models.registry.mlflow_model import BUNDLE_PATH, log_model
from models.registry.tracking import connect, outside_errors
from models.registry.validations import Validation, validations_of
from models.registry.versions import (
    GATE_FILE,
    TAG_GATE,
    TAG_SHA256,
    TAG_UPDATED_FROM,
    Version,
    aliased_version,
    find_version,
    list_models,
)
from models.registry.withdrawal import check_standing, reason_of

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "LoadedModel",
    "Version",
    "list_models",
    "load",
    "load_approved",
    "load_champion",
    "model_name",
    "promote",
    "register",
    "register_update",
    "rollback",
]

_LOG = logging.getLogger(__name__)

CHAMPION = "champion"
CHALLENGER = "challenger"

_VERSION_URI = re.compile(r"models:/(?P<name>[\w.-]+)(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_OTHER_URI = re.compile(r"models:/m-\w+|runs:/(?P<run_id>\w+)/[\w./-]+")


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model whose files were checked, with its names in the registry.

    Parameters
    ----------
    sha256 : str
        Hash of its bundle, computed from the files.
    name : str
        Registered name, which is also the contract's.
    version, alias, run_id : str or None
        None where it was not loaded by them; all None for a bundle in a directory.
    files : mapping of str to bytes
        Of its bundle but for the manifest, to write the same bundle again.
    gate_text : str or None
        Text of the gate record that allows it, as the version's tag holds it.
    validations : tuple of Validation
        Listed with its version.
    """

    risk_model: RiskModel
    sha256: str
    name: str
    version: str | None = None
    alias: str | None = None
    run_id: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    gate_text: str | None = field(default=None, repr=False)
    validations: tuple[Validation, ...] = ()


def model_name(
    outcome: str, *, dataset: str = "", simulated: bool = False, from_entry: bool = False
) -> str:
    """Return the name under which a model of this outcome, learned from these patients, registers.

    The outcome's reserved name for a user's own real cohort, else `osteon-<outcome>-<dataset>`. A
    model whose days count from entry is of another estimand: `...-from-entry`.

    Raises
    ------
    UsageError
        If a user's own cohort has an outcome that Osteon does not define, or the name is reserved
        for other patients.
    """
    source = dataset or ("simulated" if simulated else "")
    if from_entry:
        source = f"{source}-from-entry".removeprefix("-")
    if not source:
        return outcomes.outcome(outcome).reserved_model
    name = f"osteon-{outcome}-{source}"
    if name in outcomes.RESERVED_MODEL_NAMES:
        raise UsageError(
            f"{name} is reserved for a user's own cohort; a data set must not use it. "
            "Rename the data set."
        )
    return name


def register(
    risk_model: RiskModel,
    *,
    run_id: str,
    dataset: str = "",
    purpose: Literal["training", "checks only"] = "training",
) -> Version:
    """Log a risk model to its run and register it as a new version, the challenger.

    Parameters
    ----------
    risk_model : RiskModel
    run_id : str
        The MLflow run that trained it.
    dataset : str
        Name of the public data set it learned from; empty for a user's own cohort.
    purpose : {"training", "checks only"}
        What that data set may be used for.

    Raises
    ------
    UsageError
        If the data set is for checks only, or the contract's name is not that of `model_name`: a
        reserved name belongs to a user's own cohort at that estimand.
    OutsideError
        If the registry fails.
    """
    contract = risk_model.contract
    if purpose != "training":
        raise UsageError(
            f"{dataset} is a data set for checks only, so no model of it can be registered: its "
            "outcome is not the one that it resembles."
        )
    name = model_name(
        contract.outcome,
        dataset=dataset,
        simulated=contract.simulated,
        from_entry=contract.time_zero == outcomes.FROM_ENTRY,
    )
    if contract.name != name:
        raise UsageError(
            f"The model must register as {name}; its contract says {contract.name}. "
            "Fit it with that name."
        )
    return _registered(risk_model, run_id=run_id, tags={})


def register_update(risk_model: RiskModel, *, run_id: str, of_version: str) -> Version:
    """Log an updated model to its run and register it as a new version of the name it had.

    Parameters
    ----------
    risk_model : RiskModel
        Whose contract's `updates` end with this update.
    run_id : str
        The MLflow run of the update.
    of_version : str
        The version that was updated, a tag of the new one.

    Raises
    ------
    UsageError
        If the registry has no such version.
    OutsideError
        If the registry fails.
    """
    find_version(risk_model.contract.name, version=of_version)
    return _registered(risk_model, run_id=run_id, tags={TAG_UPDATED_FROM: of_version})


def _registered(risk_model: RiskModel, *, run_id: str, tags: Mapping[str, str]) -> Version:
    """Log a model to its run and register it under its contract's name as the challenger."""
    contract, name = risk_model.contract, risk_model.contract.name
    require_real_patients(name, simulated=contract.simulated)
    model_id, sha256 = log_model(risk_model, run_id=run_id)
    tags = {
        TAG_SHA256: sha256,
        "osteon.outcome": contract.outcome,
        "osteon.population": contract.population,
        "osteon.simulated": str(contract.simulated).lower(),
        **tags,
    }
    client = connect().MlflowClient()
    with outside_errors():
        experiment = client.get_run(run_id).info.experiment_id
        description = model_description(contract, experiment=experiment, run_id=run_id)
        _ensure_registered(client, name)
        client.update_registered_model(name, description)
        created = client.create_model_version(
            name,
            f"models:/{model_id}",
            run_id=run_id,
            model_id=model_id,
            tags=tags,
            description=description,
        )
        _call_challenger(client, name, created.version)
    return find_version(name, version=created.version)


def load(uri: str) -> LoadedModel:
    """Load a model from its JSON and UBJSON, after checking every file's hash.

    A version that was withdrawn is loaded with a warning, so that what it did can be looked into.

    Parameters
    ----------
    uri : str
        `models:/name/version`, `models:/name@alias`, `models:/m-<id>`, `runs:/<run>/model`, or the
        directory of a bundle.

    Raises
    ------
    UsageError
        If there is no such model, or it was not made by Osteon.
    GateError
        If a file was changed.
    OutsideError
        If the registry fails.
    """
    if match := _VERSION_URI.fullmatch(uri):
        name, number, alias = match.groups()
        version = aliased_version(name, alias) if alias else find_version(name, version=number)
        if version is None:
            raise UsageError(f"{name} has no version with the alias {alias}.")
        if (why := reason_of(version)) is not None:
            _LOG.warning(
                "%s version %s was withdrawn: %s Use its risks for no patient.",
                name,
                version.version,
                why,
            )
        return _load_version(version, alias=alias)
    if match := _OTHER_URI.fullmatch(uri):
        bundle = _fetch(uri)
        name = bundle.risk_model.contract.name
        return _loaded(bundle, name, run_id=match["run_id"])
    if Path(uri).is_dir():
        bundle = read_bundle(uri)
        return _loaded(bundle, bundle.risk_model.contract.name)
    raise UsageError(
        f"A model must be models:/NAME/VERSION, models:/NAME@ALIAS, runs:/RUN/model or the "
        f"directory of a bundle; got {uri!r}."
    )


def load_champion(name: str, key: bytes) -> LoadedModel:
    """Load the champion of a model if its gate record allows its bundle.

    Raises
    ------
    UsageError
        If there is no such model.
    GateError
        If it has no champion, or the champion has no valid record: the alias proves nothing.
    OutsideError
        If the registry fails.
    """
    return load_approved(_champion(name), key, alias=CHAMPION)


def promote(name: str, version: str, record: gate.GateRecord, *, key: bytes) -> None:
    """Sign a gate record, store it with the version and its run, and make the version champion.

    The run holds the whole record (`gate.json`), the version its short form. A record that does not
    allow the version is not stored: it would replace one that does, and the champion in service
    could not be loaded again. Where the clock is behind that of an earlier record, the record gets
    a time just after it.

    Raises
    ------
    UsageError
        If there is no such version.
    GateError
        If the record is for another bundle, its decision is not "promote", or the version was
        withdrawn.
    OutsideError
        If the registry fails.
    """
    promoted = find_version(name, version=version)
    versions = list_models(name)
    check_standing(promoted, versions)
    loaded = _load_version(promoted, alias=None)
    require_real_patients(name, simulated=loaded.risk_model.contract.simulated)
    newest = _newest_record(versions, key)
    if newest is not None and datetime.fromisoformat(record.at) <= newest:
        record = replace(record, at=_after(newest))
    text = gate.seal(record, key)
    gate.verify(text, key, model_sha256=loaded.sha256)
    client = connect().MlflowClient()
    with outside_errors(missing=f"The registry has no version {version} of {name}."):
        if not record.whole_sha256:
            client.log_text(loaded.run_id, text, GATE_FILE)
            text = gate.seal(gate.short_form(record, text), key)
        client.set_model_version_tag(name, version, TAG_GATE, text)
        client.set_registered_model_alias(name, CHAMPION, version)


def rollback(name: str, *, key: bytes, by: str, excluded: Collection[str] = ()) -> Version:
    """Make the newest approved version before the champion the champion, and return it.

    Its record is signed again, by this user and with the present time; the figures stay those of
    the decision that made it champion. Without a champion, as after a withdrawal, the newest
    approved version of all is taken.

    Parameters
    ----------
    by : str
        The user who signs.
    excluded : collection of str
        Hashes of bundles that were withdrawn on record.

    Raises
    ------
    UsageError
        If there is no such model.
    GateError
        If no version, or none before the champion, has a valid record and was not withdrawn.
    OutsideError
        If the registry fails.
    """
    champion = aliased_version(name, CHAMPION)
    for candidate in list_models(name):
        if champion is not None and int(candidate.version) >= int(champion.version):
            continue
        if candidate.sha256 not in excluded and _is_approved(candidate, key):
            record, _ = gate.parse(candidate.tags[TAG_GATE])
            at = datetime.now(UTC).isoformat(timespec="microseconds")
            promote(name, candidate.version, replace(record, by=by, at=at), key=key)
            return candidate
    before = "" if champion is None else f" before {champion.version}"
    raise GateError(f"{name} has no approved version{before} to roll back to.")


def _is_approved(version: Version, key: bytes) -> bool:
    """Return whether a version could be loaded as champion."""
    try:
        load_approved(version, key, alias=None)
    except GateError:
        return False
    return True


def load_approved(version: Version, key: bytes, *, alias: str | None) -> LoadedModel:
    """Load a version, looked up by `alias` or by number, if its gate record allows its bundle.

    Raises
    ------
    VersionWithdrawn
        If it, or another version with its bundle, was withdrawn.
    GateError
        If it has no valid record, its bundle was changed, or it is looked up as champion and
        another version has a newer record.
    OutsideError
        If the registry fails.
    """
    versions = list_models(version.name)
    check_standing(version, versions)
    loaded = _load_version(version, alias=alias)
    text = version.tags.get(TAG_GATE)
    if text is None:
        raise GateError(
            f"{version.name} version {version.version} has no gate record. "
            f"Run `osteon promote {version.name} {version.version}`."
        )
    record = gate.verify(text, key, model_sha256=loaded.sha256)
    newest = _newest_record(versions, key)
    is_older = newest is not None and datetime.fromisoformat(record.at) < newest
    if alias == CHAMPION and is_older:
        raise GateError(
            f"{version.name} version {version.version} must have the newest gate record of its "
            "name to be champion (another version was approved later, and the alias was moved by "
            f"hand). Run `osteon rollback {version.name}` or `osteon promote {version.name} "
            f"{version.version}`."
        )
    return replace(loaded, gate_text=text)


def _newest_record(versions: Iterable[Version], key: bytes) -> datetime | None:
    """Return the time of the newest valid record of these versions; None if there is none."""
    times = []
    for version in versions:
        try:
            record = gate.verify(version.tags.get(TAG_GATE, ""), key, model_sha256=version.sha256)
            times.append(datetime.fromisoformat(record.at))
        except (GateError, ValueError):  # it allows nothing
            continue
    return max(times, default=None)


def _after(moment: datetime) -> str:
    return (moment + timedelta(microseconds=1)).isoformat(timespec="microseconds")


def _load_version(version: Version, *, alias: str | None) -> LoadedModel:
    """Load a version if it still holds the bundle and name that it was registered with."""
    bundle = _fetch(version.model_uri)
    if version.sha256 not in ("", bundle.sha256):
        raise GateError(
            f"{version.name} version {version.version} must hold the bundle it was registered "
            "with. Register it again."
        )
    if bundle.risk_model.contract.name != version.name:
        raise GateError(
            f"{version.name} version {version.version} must hold a model of that name; it holds "
            f"{bundle.risk_model.contract.name}. Register it again."
        )
    return _loaded(
        bundle,
        version.name,
        version=version.version,
        alias=alias,
        run_id=version.run_id,
        validations=validations_of(version),
    )


def _loaded(bundle: Bundle, name: str, **known: Any) -> LoadedModel:
    return LoadedModel(bundle.risk_model, bundle.sha256, name, files=bundle.files, **known)


def _fetch(uri: str) -> Bundle:
    """Download an MLflow model and return its bundle, checked."""
    mlflow = connect()
    with tempfile.TemporaryDirectory() as scratch:
        with outside_errors(missing=f"The registry has no {uri}."):
            model = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=scratch))
        if not any(model.iterdir()):
            raise OutsideError(f"The artifact store no longer holds the files of {uri}.")
        if not (model / BUNDLE_PATH).is_dir():
            raise UsageError(f"{uri} must be a model that Osteon made.")
        bundle = read_bundle(model / BUNDLE_PATH)
        # MLflow clients run this copy of the code, so it must be what the gate record signs.
        if (model / MODEL_CODE).read_bytes() != bundle.model_code:
            raise GateError(f"{uri} must run the code of its own bundle. Register it again.")
    return bundle


def _champion(name: str) -> Version:
    """Return the version that the alias champion names, unverified."""
    champion = aliased_version(name, CHAMPION)
    if champion is None:
        raise GateError(f"{name} has no champion. Run `osteon promote {name} VERSION`.")
    return champion


def _call_challenger(client: Any, name: str, number: str) -> None:
    """Set the alias challenger; a server may leave aliases to the account of the gate alone."""
    from mlflow.exceptions import MlflowException

    try:
        client.set_registered_model_alias(name, CHALLENGER, number)
    except MlflowException as error:
        if error.error_code != "PERMISSION_DENIED":
            raise
        _LOG.warning(
            "%s version %s is registered without the alias challenger: this account may not set "
            "aliases. Name it by its number.",
            name,
            number,
        )


def _ensure_registered(client: Any, name: str) -> None:
    """Create the registered model unless it exists."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
