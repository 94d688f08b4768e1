#!/usr/bin/env bash
# Builds what the benchmark needs, in this folder.
#
#   ./setup.sh                    the server, the two marks (limit, ideal), async-openai and this project
#   ./setup.sh rig genai          these peers besides: rig genai openai-agents-sdk experiments python js
#   ./setup.sh all                all of them
#
# Each Rust package is built by itself: one build of the whole workspace would give every driver the union of all
# drivers' dependency features (serde_json's preserve_order, reqwest's http2).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

packages=(modelserver driver-limit driver-ideal driver-async-openai driver-ours)
scripts=()
[ "${1:-}" = all ] && set -- rig genai openai-agents-sdk experiments python js
for peer in "$@"; do
  case $peer in
    rig | genai | openai-agents-sdk) packages+=("driver-$peer") ;;
    experiments) packages+=(experiments) ;;
    python | js) scripts+=("$peer") ;;
    *) echo "setup.sh: unknown peer '$peer'; one of: rig genai openai-agents-sdk experiments python js all" >&2; exit 2 ;;
  esac
done

for package in "${packages[@]}"; do
  cargo build --release --locked -p "$package"
done
for script in "${scripts[@]}"; do
  case $script in
    python)
      [ -x drivers/python/.venv/bin/python ] || python3 -m venv drivers/python/.venv
      drivers/python/.venv/bin/pip install -q -r drivers/python/requirements.txt
      ;;
    js) (cd drivers/js && npm ci --no-audit --no-fund) ;;
  esac
done
