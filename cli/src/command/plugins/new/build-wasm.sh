#!/bin/sh
# Builds the WebAssembly module and puts it into the plugin; arguments are for cargo.
set -eu
cd "$(dirname "$0")"
cargo build --release --target wasm32-unknown-unknown --target-dir target "$@"
cp target/wasm32-unknown-unknown/release/tools.wasm plugin/FOLDER/
