"""From a click or a box to the object that is meant: segmenters.

:func:`freefill.vision.segmentation.choosing.segment` is the way in. One segmenter is always there
and needs NumPy alone (:mod:`~freefill.vision.segmentation.classical`); two are networks of others
that are used where they have been fetched (:mod:`~freefill.vision.segmentation.saliency`,
:mod:`~freefill.vision.segmentation.sam`). Nothing is fetched here. Never imports torch.
"""
