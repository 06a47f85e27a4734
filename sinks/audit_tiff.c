/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/audit_parts.h"

#include "sinks/format.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>
#include <unistd.h>

/* libtiff finds the pages; the pixels of one are read at once where it says. */

struct complaint {
	char text[256];
};

static int keep(TIFF *tiff, void *user, const char *module, const char *format, va_list arguments)
{
	struct complaint *c = user;

	(void)tiff;
	(void)module;
	vsnprintf(c->text, sizeof c->text, format, arguments);
	return 1;
}

static TIFF *open_pages(const struct audit_file *f, struct complaint *c)
{
	TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
	int fd = dup(f->fd); /* libtiff closes it */
	TIFF *t = NULL;

	if (options && fd >= 0) {
		TIFFOpenOptionsSetErrorHandlerExtR(options, keep, c);
		TIFFOpenOptionsSetWarningHandlerExtR(options, keep, c);
		/* Not mapped: a medium's error is one then, and no signal. Strips as they are. */
		t = TIFFFdOpenExt(fd, f->name, "rmc", options);
	}
	if (!t && fd >= 0)
		close(fd);
	if (options)
		TIFFOpenOptionsFree(options);
	return t;
}

static uint16_t short_tag(TIFF *t, uint32_t tag)
{
	uint16_t value = 0;

	return TIFFGetFieldDefaulted(t, tag, &value) ? value : 0;
}

static uint32_t long_tag(TIFF *t, uint32_t tag)
{
	uint32_t value = 0;

	return TIFFGetField(t, tag, &value) ? value : 0;
}

/* What makes pixels of a page other than those of the ledger, or NULL. */
static const char *wrong_shape(TIFF *t, const struct journal_header *h)
{
	unsigned format = h->type == PRODUCT_FLOAT32 ? SAMPLEFORMAT_IEEEFP : SAMPLEFORMAT_UINT;

	if (long_tag(t, TIFFTAG_IMAGEWIDTH) != h->width ||
	    long_tag(t, TIFFTAG_IMAGELENGTH) != h->height)
		return "is of another size";
	if (short_tag(t, TIFFTAG_BITSPERSAMPLE) != product_bytes((enum product_type)h->type) * 8 ||
	    short_tag(t, TIFFTAG_SAMPLEFORMAT) != format)
		return "is of another type";
	if (short_tag(t, TIFFTAG_SAMPLESPERPIXEL) != 1 ||
	    short_tag(t, TIFFTAG_COMPRESSION) != COMPRESSION_NONE ||
	    short_tag(t, TIFFTAG_FILLORDER) != FILLORDER_MSB2LSB || TIFFIsTiled(t) ||
	    TIFFNumberOfStrips(t) != 1)
		return "is not one piece of plain pixels";
	if (TIFFGetStrileByteCount(t, 0) != h->frame_bytes)
		return "has another number of bytes";
	return NULL;
}

/* False when nothing can be said of its pixels. */
static bool check_page(const struct audit_file *f, TIFF *t, const struct audit_frame *frame,
                       uint64_t *ret_offset)
{
	const char *wrong = wrong_shape(t, &f->lane->view.header);

	if (wrong) {
		audit_found(f->audit, f->name, "page %" PRIu32 " (frame %" PRIu64 ") %s",
		            frame->index, frame->number, wrong);
		return false;
	}
	*ret_offset = TIFFGetStrileOffset(t, 0);
	if (*ret_offset != frame->offset)
		audit_found(f->audit, f->name,
		            "page %" PRIu32 " (frame %" PRIu64 ") is at byte %" PRIu64
		            ", by the ledger at %" PRIu64,
		            frame->index, frame->number, *ret_offset, frame->offset);
	return true;
}

static void prove_pages(const struct audit_file *f, TIFF *t, struct complaint *c)
{
	for (size_t i = 0; i < f->count && !f->audit->file_refused; i++) {
		uint64_t offset;

		if (i > 0 && !TIFFReadDirectory(t)) {
			audit_found(f->audit, f->name,
			            "has %zu pages in libtiff, %zu frames in the ledger%s%s", i,
			            f->count, *c->text ? ": " : "", c->text);
			c->text[0] = '\0';
			return;
		}
		if (check_page(f, t, &f->frames[i], &offset) && !f->audit->options->quick)
			audit_read_frame(f, &f->frames[i], offset);
	}
	if (!f->audit->file_refused && !TIFFLastDirectory(t))
		audit_found(f->audit, f->name, "has more pages than the %zu of the ledger",
		            f->count);
}

static uint64_t most_bytes(const struct audit_file *f)
{
	const struct journal_header *h = &f->lane->view.header;

	return format_tiff.head_bytes + f->count * h->frame_bytes +
	       format_tiff.tail_bytes(f->count, h->large);
}

void audit_tiff(const struct audit_file *f)
{
	struct complaint c = { 0 };
	TIFF *t = open_pages(f, &c);

	if (!t) {
		audit_found(f->audit, f->name, "does not open in libtiff%s%s", *c.text ? ": " : "",
		            c.text);
		return;
	}
	if (f->bytes > most_bytes(f))
		audit_found(f->audit, f->name,
		            "has %" PRIu64 " bytes, more than pages and directories of %zu frames",
		            f->bytes, f->count);
	if (TIFFIsBigEndian(t))
		audit_found(f->audit, f->name, "is big-endian");
	else
		prove_pages(f, t, &c);
	if (c.text[0])
		audit_found(f->audit, f->name, "libtiff says: %s", c.text);
	TIFFClose(t);
}
