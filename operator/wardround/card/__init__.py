"""A model as a folder: the file model.safetensors and the hub's signed card. For laptops, without a cluster."""
