#!/bin/sh
# Builds the library and puts it into the plugin; arguments are for cargo.
set -eu
cd "$(dirname "$0")"
cargo build --release --target-dir target "$@"
for file in target/release/libtools.so target/release/libtools.dylib; do
  if [ -f "$file" ]; then cp "$file" plugin/FOLDER/; fi
done
