# shellcheck shell=bash
# A model repository as an image of nothing else, for a pod's OCI image volume: the folder's content is the image's root.
model_image=localhost/heteroserve/model-digits:1
model_folder=${MODEL_FOLDER:-$root/triton_models/repository}

build_model() { put "$1" "$model_folder" /; }
bake_model() { bake "$model_image" scratch build_model "$model_folder"; }
