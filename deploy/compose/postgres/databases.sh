#!/bin/sh
# One database and one user for the service, two for MLflow: the registry, and who may sign in to it.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres <<END
CREATE ROLE osteon LOGIN PASSWORD '$OSTEON_DATABASE_PASSWORD';
CREATE ROLE mlflow LOGIN PASSWORD '$MLFLOW_DATABASE_PASSWORD';
CREATE DATABASE osteon OWNER osteon;
CREATE DATABASE mlflow OWNER mlflow;
CREATE DATABASE mlflow_sign_in OWNER mlflow;
END
