#!/usr/bin/env bash
# Whether each library builds without its features, with each of them alone, and with all of them, and
# whether it can be packaged so that it builds outside of this tree.
#
#   scripts/check_features.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

libraries=(mcp-batch mcp-breaker mcp-cache mcp-pool mcp-streaming)
metadata=$(cargo metadata --format-version 1 --no-deps --locked)

for library in "${libraries[@]}"; do
    mapfile -t features < <(jq -r --arg name "$library" \
        '.packages[] | select(.name == $name) | .features | keys[]' <<<"$metadata")
    cargo check -q -p "$library" --locked --no-default-features
    for feature in "${features[@]}"; do
        echo "$library --features $feature"
        cargo check -q -p "$library" --locked --no-default-features --features "$feature"
    done
    cargo check -q -p "$library" --locked --all-features
done

packages=()
for library in "${libraries[@]}"; do packages+=(-p "$library"); done
# What is packaged is built, as whoever depends on it would.
cargo package -q --locked --allow-dirty "${packages[@]}"
for library in "${libraries[@]}"; do
    archive=$(ls target/package/"$library"-*.crate)
    listed=$(tar -tf "$archive")
    for file in README.md LICENSE-MIT LICENSE-APACHE src/lib.rs; do
        grep -q "/$file\$" <<<"$listed" || { echo "$archive has no $file" >&2; exit 1; }
    done
done
echo "each feature builds alone, and ${#libraries[@]} packages build by themselves"
