"""Draw a transcript on the rendering of a recording: where each word begins and ends."""

from __future__ import annotations

from PIL import Image, ImageDraw

from opsin.tasks.drawing import add_caption, enlarged
from opsin.tasks.transcription.transcript import Transcript

LINE = (255, 255, 255)


def draw_transcript(image: Image.Image, answer: Transcript, seconds: float) -> Image.Image:
    """Return a copy in RGB with lines at the ends of words, and the text in a caption.

    The width of the image is the time of the recording, `seconds`; 0: times are shares of it.
    """
    result = enlarged(image)
    canvas = ImageDraw.Draw(result)
    for word in answer.words:
        for time in (word.begin, word.end):
            x = min(result.width - 1, round(time / (seconds or 1.0) * result.width))
            canvas.line((x, 0, x, result.height), LINE)
    add_caption(result, [answer.summary()])
    return result
