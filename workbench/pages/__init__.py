"""The dashboard's pages. Modules with a leading underscore serve them; the others are pages."""
