# shellcheck shell=bash
# The operator. Its tag is the fingerprint of what is in it, so that a Deployment changes when, and only when, the operator did.
requirements=$root/requirements.txt
operator_source=$root/operator/heteroserve
operator_base=localhost/heteroserve/base-operator:$debian

# the dependencies are an image of their own: after a change of the operator's code only its own files are copied
build_operator_base() {
  local work; work=$(mktemp -d)
  wheels "$work" -r "$requirements"
  rm -rf "${work:?}/bin"
  put "$1" "$work" /usr/lib/python3/dist-packages
  compile "$1"
  rm -r "$work"
}

build_operator() {
  local work; work=$(mktemp -d)
  cp -r "$operator_source" "$work/heteroserve"
  find "$work" -name __pycache__ -prune -exec rm -r {} +
  put "$1" "$work" /usr/lib/python3/dist-packages
  compile "$1"
  # USER, because kopf asks for the user's name and no user of this number has one
  buildah config --user 65532:65532 --workingdir / --env USER=heteroserve --env PYTHONDONTWRITEBYTECODE=1 --env PYTHONUNBUFFERED=1 \
    --entrypoint '["python3", "-m", "heteroserve"]' "$1"
  rm -r "$work"
}

operator_image() { echo "localhost/heteroserve/operator:$(fingerprint "$(cat "$requirements")" "$operator_source" "$(declare -f build_operator)")"; }
bake_operator() {
  bake "$operator_base" "$python_base" build_operator_base "$requirements"
  bake "$(operator_image)" "$operator_base" build_operator
}
