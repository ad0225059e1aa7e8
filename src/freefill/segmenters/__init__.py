"""From a click or a box to the object that is meant: segmenters.

:func:`freefill.segmenters.choosing.segment` is the door. One segmenter is always there and needs
NumPy alone (:mod:`~freefill.segmenters.classical`); two are networks of others that are used where
they have been fetched (:mod:`~freefill.segmenters.saliency`, :mod:`~freefill.segmenters.sam`).
Nothing is fetched here. Never imports torch.
"""
