#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""screenshot.py FROM TO: a screenshot as a small PNG, with a palette of 112 colours."""
import argparse
import base64
import struct
import sys
import zlib
from pathlib import Path

import numpy

from browser import Browser

COLOURS = 112
PIXELS = """(async () => {
    const image = new Image();
    image.src = 'data:image/png;base64,%s';
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height), c = canvas.getContext('2d');
    c.drawImage(image, 0, 0);
    const bytes = c.getImageData(0, 0, image.width, image.height).data;
    let text = '';
    for (let i = 0; i < bytes.length; i += 30000)
        text += String.fromCharCode(...bytes.subarray(i, i + 30000));
    return [image.width, image.height, btoa(text)];
})()"""


def pixels_of(png):
    """[height, width, 3] uint8, decoded by the browser that took it."""
    with Browser() as browser:
        width, height, text = browser.eval(PIXELS % base64.b64encode(png).decode())
    return numpy.frombuffer(base64.b64decode(text), numpy.uint8).reshape(height, width, 4)[..., :3]


def median_cut(colours, weights):
    """A palette: boxes of colours are halved, the one first that differs most and is seen most."""
    boxes = [numpy.arange(len(colours))]

    def spread(box):
        return (numpy.ptp(colours[box], axis=0).max()) * weights[box].sum() ** 0.25 if len(box) > 1 else 0
    while len(boxes) < COLOURS:
        at = max(range(len(boxes)), key=lambda i: spread(boxes[i]))
        box = boxes[at]
        if spread(box) == 0:
            break
        axis = numpy.ptp(colours[box], axis=0).argmax()
        box = box[colours[box, axis].argsort(kind="stable")]
        middle = (numpy.cumsum(weights[box]) < weights[box].sum() / 2).sum()
        middle = min(max(middle, 1), len(box) - 1)
        boxes[at:at + 1] = [box[:middle], box[middle:]]
    palette = numpy.array([numpy.average(colours[b], axis=0, weights=weights[b]).round() for b in boxes])
    index = numpy.empty(len(colours), numpy.uint8)
    for number, box in enumerate(boxes):
        index[box] = number
    return palette.astype(numpy.uint8), index


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def encode(pixels):
    height, width, _ = pixels.shape
    words = pixels.astype(numpy.uint32) @ numpy.array([1 << 16, 1 << 8, 1], numpy.uint32)
    seen, inverse, weights = numpy.unique(words, return_inverse=True, return_counts=True)
    colours = numpy.stack([seen >> 16, seen >> 8 & 255, seen & 255], axis=1).astype(int)
    palette, index = median_cut(colours, weights)
    rows = numpy.zeros((height, width + 1), numpy.uint8)  # each begins with its filter: none
    rows[:, 1:] = index[inverse].reshape(height, width)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
            + chunk(b"PLTE", palette.tobytes()) + chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
            + chunk(b"IEND", b""))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("of", metavar="FROM", type=Path)
    parser.add_argument("to", metavar="TO", type=Path)
    arguments = parser.parse_args()
    png = encode(pixels_of(arguments.of.read_bytes()))
    arguments.to.write_bytes(png)
    print(f"{arguments.to}: {len(png)} bytes")


if __name__ == "__main__":
    sys.exit(main())
