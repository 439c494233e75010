# shellcheck shell=bash
# A real Triton for processors, out of the wheel that packages it, where NVIDIA's image expects things: /opt/tritonserver. Its only
# compiled backend is Python's; `onnxruntime` is this project's Python-based backend, so that one model repository runs here and on
# NVIDIA's image. Like NVIDIA's image it has no default command: say `tritonserver --model-repository=...`.
triton_image=localhost/heteroserve/triton:$TRITON
triton_backends=$root/triton_models/backends
triton_packages=('numpy<2' "onnxruntime==$ONNXRUNTIME")   # what Python models import; Triton's stub is built for numpy 1

build_triton() {
  local work server; work=$(mktemp -d); server=$work/pytriton/tritonserver
  wheels "$work" --no-deps "nvidia-pytriton==$PYTRITON"
  wheels "$work/site" "${triton_packages[@]}"
  # choose before copying: what a later layer deletes still travels
  cp "$server/python_backend_stubs/3.11/triton_python_backend_stub" "$server/backends/python/"
  rm -r "$server/python_backend_stubs"
  chmod 0755 "$server/bin/tritonserver" "$server/backends/python/triton_python_backend_stub"
  cp -r "$work/nvidia_pytriton.libs/." "$server/lib/"
  cp -r "$triton_backends/." "$server/backends/"
  find "$server/backends" -name __pycache__ -prune -exec rm -r {} +
  rm -rf "${work:?}/site/bin"
  put "$1" "$work/site" /usr/lib/python3/dist-packages
  put "$1" "$server" /opt/tritonserver
  compile "$1"
  buildah config --user 1000:1000 --workingdir /opt/tritonserver --env LD_LIBRARY_PATH=/opt/tritonserver/lib \
    --env PATH=/opt/tritonserver/bin:/usr/local/bin:/usr/bin:/bin "$1"
  rm -r "$work"
}
bake_triton() { bake "$triton_image" "$python_base" build_triton "$PYTRITON" "${triton_packages[*]}" "$triton_backends"; }
