#!/usr/bin/env bash
# For `make test-slurm`: installs Slurm, munge and MariaDB's server from Debian, where they are missing. Starts nothing:
# tests/slurm starts its own daemons in a folder of its own.
set -euo pipefail
packages=(slurmctld slurmd slurmdbd slurm-client munge mariadb-server-core mariadb-client-core)
missing=()
for package in "${packages[@]}"; do
    dpkg-query --show --showformat '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "test-slurm: not here: ${missing[*]}; as root on Debian they are installed, now the tests are skipped" >&2
    exit 0
fi
echo "test-slurm: installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
