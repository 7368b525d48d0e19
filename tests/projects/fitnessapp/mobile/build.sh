#!/bin/sh
# Stands in for `expo export`: bakes the version of app.json into the bundle's
# name, as the real one does, since clients keep a bundle whose name they know.
set -eu
out=$1
version=$(sed -n 's/^ *"version": *"\([^"]*\)".*/\1/p' app.json | head -n 1)
[ -n "$version" ] || { echo "app.json has no version" >&2; exit 1; }
rm -rf "${out:?}"/*
sed "s/__VERSION__/$version/g" src/App.js >"$out/bundle-$version.js"
sed "s/__VERSION__/$version/g" web/index.html >"$out/index.html"
printf '{"version":"%s"}\n' "$version" >"$out/version.json"
