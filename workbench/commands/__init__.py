"""One module a group of commands; each loads what is heavy only when it runs."""
