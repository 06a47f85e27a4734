/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/nexus_parts.h"
#include "sinks/texts.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void write_time(struct hdf5 *h, hid_t at, const char *name, uint64_t ns)
{
	char text[TEXT_TIME_BYTES];

	if (ns == 0)
		return;
	text_time(ns, text);
	hdf5_text(h, at, name, text);
}

static void write_seconds(struct hdf5 *h, hid_t at, const char *name, double seconds)
{
	if (seconds > 0)
		hdf5_value(h, at, name, HDF5_FLOAT64, &seconds, "s");
}

/* What the stack's pixels are in; NULL: a number without a unit, or an integer that stands for
 * one. */
static const char *pixel_units(const struct nexus_master *m)
{
	bool counts = !m->normalised || m->reduce->normalise == NORMALISE_DARK;

	return counts && (nexus_is_unpacked(m) || m->shape->type == PRODUCT_FLOAT32) ? "counts"
	                                                                             : NULL;
}

static void write_data(struct hdf5 *h, hid_t detector, const struct nexus_stack *s,
                       const struct nexus_master *m)
{
	hid_t set = nexus_write_stack(h, detector, s, m);
	const char *units = pixel_units(m);

	hdf5_attribute_text(h, set, "interpretation", "image");
	hdf5_attribute_text(h, set, "target", "/entry1/tomo_entry/instrument/detector/data");
	if (units)
		hdf5_attribute_text(h, set, "units", units);
	hdf5_close(h, set);
}

static hid_t write_detector(struct hdf5 *h, hid_t instrument, const struct nexus_stack *s,
                            const struct nexus_master *m)
{
	hid_t detector = hdf5_group(h, instrument, "detector", "NXdetector");

	write_data(h, detector, s, m);
	hdf5_values(h, detector, "image_key", HDF5_INT32, s->length, s->image_key, NULL);
	hdf5_text(h, detector, "local_name", m->ingest_name);
	if (m->detector_description)
		hdf5_text(h, detector, "description", m->detector_description);
	write_seconds(h, detector, "count_time", m->exposure_s);
	write_seconds(h, detector, "frame_time", m->period_s);
	return detector;
}

static hid_t write_sample(struct hdf5 *h, hid_t tomo, const struct nexus_stack *s,
                          const struct nexus_master *m)
{
	hid_t sample = hdf5_group(h, tomo, "sample", "NXsample");

	hdf5_text(h, sample, "name", m->name);
	hdf5_values(h, sample, "rotation_angle", HDF5_FLOAT64, s->length, s->rotation, "degrees");
	return sample;
}

static void write_control(struct hdf5 *h, hid_t tomo, const struct nexus_stack *s)
{
	hid_t control = hdf5_group(h, tomo, "control", "NXmonitor");

	hdf5_values(h, control, "data", HDF5_FLOAT64, s->length, s->dose, NULL);
	hdf5_close(h, control);
}

static bool has_angle(const struct nexus_stack *s)
{
	for (size_t i = 0; i < s->length; i++)
		if (!isnan(s->rotation[i]))
			return true;
	return false;
}

static void write_links(struct hdf5 *h, hid_t tomo, hid_t detector, hid_t sample,
                        const struct nexus_stack *s)
{
	const char *const axes[] = { has_angle(s) ? "rotation_angle" : ".", ".", "." };
	hid_t data = hdf5_group(h, tomo, "data", "NXdata");

	hdf5_attribute_text(h, data, "signal", "data");
	hdf5_attribute_texts(h, data, "axes", axes, 3);
	hdf5_link(h, detector, "data", data, "data");
	hdf5_link(h, detector, "image_key", data, "image_key");
	hdf5_link(h, sample, "rotation_angle", data, "rotation_angle");
	hdf5_close(h, data);
}

void nexus_write_tomo(struct hdf5 *h, hid_t entry, const struct nexus_stack *s,
                      const struct nexus_master *m)
{
	hid_t tomo = hdf5_group(h, entry, "tomo_entry", "NXsubentry");
	hid_t instrument, detector, sample;

	hdf5_attribute_text(h, tomo, "default", "data");
	hdf5_text(h, tomo, "definition", "NXtomo");
	hdf5_text(h, tomo, "title", m->name);
	write_time(h, tomo, "start_time", m->start_ns);
	write_time(h, tomo, "end_time", m->end_ns);
	instrument = hdf5_group(h, tomo, "instrument", "NXinstrument");
	hdf5_close(h, hdf5_group(h, instrument, "source", "NXsource"));
	detector = write_detector(h, instrument, s, m);
	sample = write_sample(h, tomo, s, m);
	write_control(h, tomo, s);
	write_links(h, tomo, detector, sample, s);
	hdf5_close(h, sample);
	hdf5_close(h, detector);
	hdf5_close(h, instrument);
	hdf5_close(h, tomo);
}

/* What became of a frame's pixels, effective values. */
struct work {
	enum normalise normalise;
	uint32_t bin, average;
	bool window, dose_applied;
};

static struct work work_of(const struct nexus_master *m)
{
	const struct config_reduce *c = m->reduce;
	bool unpacked = nexus_is_unpacked(m);

	return (struct work){
		.normalise = m->normalised ? c->normalise : NORMALISE_NONE,
		.dose_applied = m->normalised && m->dose_applied,
		.bin = unpacked ? 1 : c->bin,
		.average = unpacked ? 1 : c->average,
		.window = !unpacked && m->shape->type != PRODUCT_FLOAT32,
	};
}

/* In the order it was done; NULL without memory. */
static char *describe(const struct nexus_master *m, const struct work *w)
{
	static const char *const normalised[] = {
		[NORMALISE_NONE] = "",
		[NORMALISE_DARK] = "; dark subtracted: I - D",
		[NORMALISE_TRANSMISSION] = "; transmission: (I - D) / (F - D)",
		[NORMALISE_ATTENUATION] = "; attenuation: -ln((I - D) / (F - D))",
	};
	char *text = NULL;
	size_t bytes;
	FILE *f = open_memstream(&text, &bytes);

	if (!f)
		return NULL;
	fputs("pixels unpacked", f);
	if (m->reduce->roi_width || m->reduce->roi_height || m->reduce->roi_x || m->reduce->roi_y)
		fputs(", of a region", f);
	if (w->average > 1)
		fprintf(f, "; mean of %" PRIu32 " frames", w->average);
	fputs(normalised[w->normalise], f);
	if (w->dose_applied)
		fputs("; of a transmission divided by the frame's dose", f);
	if (w->bin > 1)
		fprintf(f, "; mean of the good pixels of %" PRIu32 " x %" PRIu32, w->bin, w->bin);
	if (w->window)
		fprintf(f, "; %g to %g mapped to 0 to the type's maximum less 1",
		        m->reduce->window_low, m->reduce->window_high);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static void write_description(struct hdf5 *h, hid_t process, const struct nexus_master *m,
                              const struct work *w)
{
	char *text = describe(m, w);

	if (!text)
		hdf5_fail(h, -ENOMEM, "no memory for a text");
	hdf5_text(h, process, "description", text);
	free(text);
}

void nexus_write_process(struct hdf5 *h, hid_t entry, const struct nexus_master *m)
{
	static const char *const types[PRODUCT_TYPE_COUNT] = { "uint8", "uint16", "uint32",
		                                               "float32" };
	const struct config_reduce *c = m->reduce;
	uint32_t roi[] = { c->roi_x, c->roi_y, c->roi_width, c->roi_height };
	double window[] = { c->window_low, c->window_high };
	struct work w = work_of(m);
	hid_t process = hdf5_group(h, entry, "process", "NXprocess");

	hdf5_text(h, process, "program", "openbeam");
	hdf5_text(h, process, "version", m->version);
	write_time(h, process, "date", m->end_ns ? m->end_ns : m->start_ns);
	write_description(h, process, m, &w);
	hdf5_text(h, process, "product", m->source ? "source" : "reduced");
	hdf5_text(h, process, "normalised", m->normalised ? "yes" : "no");
	hdf5_text(h, process, "normalise", config_choice("reduce.normalise", w.normalise));
	hdf5_text(h, process, "dose_applied", w.dose_applied ? "yes" : "no");
	if (!nexus_is_unpacked(m))
		hdf5_text(h, process, "bad_pixels",
		          config_choice("reduce.bad_pixels", c->bad_pixels));
	hdf5_values(h, process, "roi", HDF5_UINT32, 4, roi, "pixel");
	hdf5_value(h, process, "average", HDF5_UINT32, &w.average, NULL);
	hdf5_value(h, process, "bin", HDF5_UINT32, &w.bin, NULL);
	hdf5_text(h, process, "type", types[m->shape->type]);
	if (w.window)
		hdf5_values(h, process, "window", HDF5_FLOAT64, 2, window, NULL);
	hdf5_close(h, process);
}
