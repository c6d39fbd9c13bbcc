"""The dashboard's main views as a folder of files that any web server can host."""

from workbench.bundle.write import BundleSize, write_bundle

__all__ = ["BundleSize", "write_bundle"]
