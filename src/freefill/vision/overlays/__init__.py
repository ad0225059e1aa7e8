"""Where thin overlays lie on a photo: stamps, captions, scratches, dust, and what a stack shares.

Classical detectors in NumPy; none of them knows what it looks at. What they find is a mask to be
looked at, and to be changed where they are wrong.
"""
