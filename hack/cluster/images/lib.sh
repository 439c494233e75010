# shellcheck shell=bash
# What the images' recipes share. An image is built again when what goes into it changed, and only then.

# fingerprint INPUT...: of the content of files and folders, and of any other text as it is.
fingerprint() {
  for input in "$@"; do
    if [[ -e $input ]]; then
      # names relative to the input, so that it is the same wherever the repository lies
      find "$input" -type f -not -path '*/__pycache__/*' -printf '%P\0' | sort -z | (
        if [[ -d $input ]]; then cd "$input" || exit; fi
        while IFS= read -rd '' file; do printf '%s ' "$file"; sha256sum <"${file:-$input}"; done)
    else
      echo "$input"
    fi
  done | sha256sum | cut -c1-12
}

image_key() { podman image inspect --format '{{index .Labels "heteroserve.key"}}' "$1" 2>/dev/null; }

# bake REFERENCE FROM BUILD INPUT...: REFERENCE is what the function BUILD makes of the image FROM. It is given the working container.
bake() {
  local reference=$1 from=$2 build=$3 key container; shift 3
  key=$(fingerprint "$from $(image_key "$from")" "$(declare -f "$build")" "$@")
  [[ $(image_key "$reference") != "$key" ]] || return 0
  container=$(buildah from --pull-never "$from")
  "$build" "$container"
  buildah config --label "heteroserve.key=$key" "$container"
  buildah commit --quiet --rm "$container" "$reference"
}

# put CONTAINER SOURCE TARGET
put() { buildah copy --quiet "$@" >/dev/null; }

# wheels FOLDER REQUIREMENT...: unpacks wheels for the images' Python, which need not be this machine's.
wheels() {
  local folder=$1 platforms=(); shift
  for tag in manylinux2014 manylinux_2_17 manylinux_2_27 manylinux_2_28 manylinux_2_31 manylinux_2_34 manylinux_2_35; do
    platforms+=(--platform "${tag}_x86_64")
  done
  python3 -m pip install --quiet --no-compile --root-user-action ignore --python-version 3.11 --implementation cp --only-binary :all: \
    "${platforms[@]}" --target "$folder" "$@"
}

# a read-only container cannot keep what Python compiles, and would compile it at every start
compile() { buildah run --isolation chroot "$1" -- python3 -m compileall -q /usr/lib/python3/dist-packages; }
