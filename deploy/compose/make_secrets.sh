#!/usr/bin/env bash
# Make the secrets of compose.yaml in deploy/compose/secrets, once; and a certificate for tests, unless
# you have put certificate.pem and key.pem there. The folder is not for version control.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
umask 077
mkdir -p secrets
cd secrets
[ ! -e service.env ] || { echo "The secrets are made already; they are not made again."; exit 0; }
secret() { python3 -c 'import secrets; print(secrets.token_hex(32))'; }
osteon=$(secret) mlflow=$(secret) admin=$(secret)
cat > postgres.env <<END
POSTGRES_PASSWORD=$(secret)
OSTEON_DATABASE_PASSWORD=$osteon
MLFLOW_DATABASE_PASSWORD=$mlflow
END
cat > service.env <<END
OSTEON_DATABASE_URL=postgresql://osteon:$osteon@postgres/osteon
OSTEON_AUDIT_KEY=$(secret)
OSTEON_GATE_KEY=$(secret)
MLFLOW_TRACKING_USERNAME=osteon-gate
MLFLOW_TRACKING_PASSWORD=$admin
END
cat > backup.env <<END
MLFLOW_TRACKING_URI=postgresql+psycopg://mlflow:$mlflow@postgres/mlflow
END
cat > mlflow.env <<END
MLFLOW_BACKEND_STORE_URI=postgresql+psycopg://mlflow:$mlflow@postgres/mlflow
MLFLOW_AUTH_CONFIG_PATH=/etc/mlflow/auth.ini
MLFLOW_AUTH_ADMIN_USERNAME=osteon-gate
MLFLOW_AUTH_ADMIN_PASSWORD=$admin
MLFLOW_FLASK_SERVER_SECRET_KEY=$(secret)
END
cat > mlflow_auth.ini <<END
[mlflow]
default_permission = READ
database_uri = postgresql+psycopg://mlflow:$mlflow@postgres/mlflow_sign_in
END
echo "GF_SECURITY_ADMIN_PASSWORD=$(secret)" > grafana.env
# Replaced by the key that `osteon keys create prometheus --role metrics` prints.
echo "replace-me" > metrics.key
if [ ! -e certificate.pem ]; then
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost,DNS:nginx" \
        -keyout key.pem -out certificate.pem 2> /dev/null
    echo "certificate.pem is for tests, for 30 days. Replace it and key.pem by the hospital's own."
fi
# Read by the users of the containers; the folder itself is closed to others.
chmod 644 certificate.pem key.pem mlflow_auth.ini metrics.key
echo "The secrets are in $(pwd). Keep OSTEON_AUDIT_KEY and OSTEON_GATE_KEY elsewhere too."
