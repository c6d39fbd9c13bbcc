"""The workbench: command line, configuration, demo and dashboard over the three packages below."""
