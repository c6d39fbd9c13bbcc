"""The dashboard's main views as a folder of files that any web server can host."""

from workbench.bundle.write import BundleSize, require_new, write_bundle

__all__ = ["BundleSize", "require_new", "write_bundle"]
