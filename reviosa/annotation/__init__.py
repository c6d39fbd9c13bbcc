"""Making a data set of interactions out of videos, the way InterRVOS was annotated."""
