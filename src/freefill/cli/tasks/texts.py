"""What ``freefill TASK --help`` says below the summary: how it is used, by examples."""

from __future__ import annotations

TEXTS = {
    "remove": """\
Examples:

  freefill remove street.jpg --at 68,185 --out empty.png

  freefill remove street.jpg --box 20,145,105,215 --out empty.png --mask-out mask.png

Look at the mask with --mask-out. Part of it missing? One more --at. Too much in it? A --not
there, or a --box. What is doubtful (most of the border, no edge around it, two looks that differ)
is not filled: exit code 2, and RESULT_mask.png and RESULT_look.jpg for a look; --force goes on.
A second network that finds objects, 151 MB, fetched once: 'freefill references sam2'.
""",
    "unmark": """\
For photos that are yours: not to take other people's marks off other people's pictures.

What is found can be wrong (a row of windows for text, a wire for a scratch, stars for dust).
Look at the mask, change it in any editor, and fill that:

  freefill unmark photo.jpg --out clean.png --mask-out mask.png

  freefill unmark photo.jpg --kind stamp --box 900,700,1200,800 --out clean.png

  freefill unmark photo.jpg --kind scratches --mask-only --mask-out mask.png

  freefill fill photo.jpg --mask mask.png --out clean.png

Photos of one size that carry the same watermark, 8 at least, better 20:

  freefill unmark photos/ --stack --out clean/

If nothing is found, a line says so, nothing is written, and the exit code is 2. So it is where the
evidence is weak, but that RESULT_mask.png and RESULT_look.jpg are written; --apply fills those.
""",
    "uncrop": """\
Skies, water, walls and meadows go on; things that the border cuts do not become whole:

  freefill uncrop photo.jpg --left 120 --top 10% --out wider.png

  freefill uncrop portrait.jpg --aspect 16:9 --anchor left --out wide.jpg
""",
    "straighten": """\
The angle is read from its straight lines, or given:

  freefill straighten photo.jpg --out level.jpg

  freefill straighten photo.jpg --angle -2.5 --expand --out level.png
""",
    "stitch": r"""\
Example:

  freefill stitch middle.jpg left.jpg right.jpg --out wide.png

Photos are to be taken from one place, or of something flat: what is near shifts against what
is far, and no seam mends that. Needs freefill\[stitch].
""",
    "retarget": """\
Examples:

  freefill retarget photo.jpg --aspect 1:1 --out square.png

  freefill retarget photo.jpg --width 1600 --keep faces.png --out wider.png

Seams of little content go or come. Lines may bend; --keep holds what must not.
""",
    "recompose": """\
Examples:

  freefill recompose photo.jpg --mask bee.png --by -50,60 --out moved.png

  freefill recompose photo.jpg --box 120,80,210,140 --to 10,20 --scale 1.5 --out moved.png

Shadows and reflections stay where they were, unless the mask takes them along.
""",
    "harmonise": """\
Example:

  freefill harmonise pasted.png --mask part.png --out matched.png

It is told by what goes on across the edge: where nothing does, little is changed.
""",
    "video": """\
What is filled is kept in RESULT.partial until the result is there: a run that was stopped goes
on from there with the same command. Sound is copied as it is. Examples:

  freefill video clip.mp4 --mask masks/ --out filled.mp4

  freefill video clip.mp4 --box 120,80,260,300 --grow 6 --out filled.mp4

  freefill video clip.mp4 --mask logo.png --out filled.mkv --lossless
""",
}
