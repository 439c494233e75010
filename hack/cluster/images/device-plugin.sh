# shellcheck shell=bash
# The emulated accelerators' device plugin: test kit, never part of the product. Its tag is the fingerprint of what is in it.
device_plugin_packages=("grpcio==$GRPCIO" "protobuf==$PROTOBUF")
device_plugin_image=localhost/heteroserve/device-plugin:$(fingerprint "${device_plugin_packages[*]}" "$root"/hack/device-plugin/*.py)

build_device_plugin() {
  local work; work=$(mktemp -d)
  wheels "$work" "${device_plugin_packages[@]}"
  put "$1" "$work" /usr/lib/python3/dist-packages
  put "$1" "$root"/hack/device-plugin/*.py /opt/device-plugin/
  buildah config --env PYTHONDONTWRITEBYTECODE=1 --env PYTHONUNBUFFERED=1 --entrypoint '["python3", "/opt/device-plugin/device_plugin.py"]' "$1"
  rm -r "$work"
}
bake_device_plugin() { bake "$device_plugin_image" "$python_base" build_device_plugin "${device_plugin_packages[*]}"; }
