"""The API group `wardround.io/v1alpha1` as frozen types: parse, dump and conditions. No I/O."""
