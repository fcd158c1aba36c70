"""The Python API. Users meet it as `kbuild.converters`, `kbuild.utils` and `kbuild.model`."""
