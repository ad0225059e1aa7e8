"""What can be done with holes: one file and one public function a task, all on the one pipeline.

Each takes pictures and an :class:`~freefill.pipeline.inpainter.Inpainter` and gives a
:class:`~freefill.pipeline.request.Result`. Command line and server are front ends to
them. Never imports torch.
"""
