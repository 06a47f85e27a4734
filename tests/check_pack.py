#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hold the chunks of pack_write against the bitshuffle library's: check_pack.py PACK_WRITE."""
import subprocess
import sys

import numpy as np

try:
    import bitshuffle
except ImportError:
    print("skipped: the bitshuffle module is not there")
    sys.exit(77)

BLOCK_BYTES = 8192


def images(dtype, rng):
    for pixels in (1, 7, 8, 9, 100, 2048, 4096, 4097, 8192, 8199, 20480, 300001):
        top = 256 if dtype.itemsize == 1 else 4096
        counts = rng.poisson(37, pixels).clip(0, top - 1)
        yield "zeros", np.zeros(pixels, dtype)
        yield "counts", counts.astype(dtype)
        yield "noise", np.frombuffer(rng.bytes(pixels * dtype.itemsize), dtype)
        yield "ramp", (np.arange(pixels) % top).astype(dtype)


def pack(program, image):
    done = subprocess.run([program, str(image.dtype.itemsize)], input=image.tobytes(),
                          capture_output=True, check=True)
    return done.stdout


def main():
    program, rng, same = sys.argv[1], np.random.default_rng(1), 0
    checked = 0
    for dtype in (np.dtype("<u1"), np.dtype("<u2"), np.dtype("<u4"), np.dtype("<f4")):
        for name, image in images(dtype, rng):
            chunk = pack(program, image)
            what = (dtype.str, name, image.size)
            assert int.from_bytes(chunk[:8], "big") == image.nbytes, what
            assert int.from_bytes(chunk[8:12], "big") == BLOCK_BYTES, what
            blocks = np.frombuffer(chunk[12:], np.uint8)
            back = bitshuffle.decompress_lz4(blocks, image.shape, dtype,
                                             BLOCK_BYTES // dtype.itemsize)
            assert back.tobytes() == image.tobytes(), what
            theirs = bitshuffle.compress_lz4(image, BLOCK_BYTES // dtype.itemsize)
            same += theirs.tobytes() == chunk[12:]
            checked += 1
            # Blocks of zeros are compressed in one way, whatever the version of LZ4.
            assert name != "zeros" or theirs.tobytes() == chunk[12:], what
    print(f"ok: {checked} chunks read back, {same} are those of the library, byte for byte")


main()
