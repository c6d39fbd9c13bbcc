"""How the nano model comes to be: its halves learn the synthetic world, then it is joined.

InternVL and SAM2 arrive at ReVIOSa pretrained on the real world; the nano model's halves are
pretrained here on the synthetic one. Stages, each resumable and each handing on a file:

``see``      vision tower and projector name what stands in each patch
``segment``  SAM2 segments from a concept (looks, cells) and tracks by memory
``watch``    the language model's patches tell what their object does, and to whom
``read``     it answers, and its role tokens name and place their objects
``bind``     the whole model segments what its role tokens mean

What these stages add to the paper's losses (naming, placing, pointing, watching) is left behind
after them; training that follows (``reviosa train``) is the paper's own. ``exam`` asks the result
what it must be able to do.
"""

from reviosa.training.nano.stages import STAGES, run_stage

__all__ = ["STAGES", "run_stage"]
