/* SPDX-License-Identifier: Apache-2.0 */
#include "sinks/master.h"
#include "sinks/recover_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The HDF5 master of a recovered series: the configuration and the calibration files are those
 * that the manifest names. */

#define MAPS_MAX 4

/* What the manifest says the series was made with, as far as the master needs it. */
static bool load_config(const json_t *manifest, struct config *ret)
{
	static const char *const sections[] = { "calibration", "reduce", "rotation", "regions",
		                                "beam" };
	json_t *all = json_object_get(manifest, "configuration"), *some = json_object();
	char *text, *problems = NULL;
	int err = -1;

	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
		json_t *section = json_object_get(all, sections[i]);

		if (section)
			(void)json_object_set(some, sections[i], section);
	}
	text = json_dumps(some, 0);
	if (text)
		err = config_parse(ret, text, strlen(text), "manifest.json", NULL, 0, &problems);
	free(text);
	free(problems);
	json_decref(some);
	return err == 0;
}

static void add_map(struct recover *r, const json_t *entry, struct nexus_map *maps, unsigned *count)
{
	const char *role = json_string_value(json_object_get(entry, "role"));
	const char *path = json_string_value(json_object_get(entry, "path"));
	const char *crc = json_string_value(json_object_get(entry, "crc32c"));
	struct sink_calibration c;
	int err;

	if (!role || !path || !crc || *count == MAPS_MAX)
		return;
	err = r->options->load_map(r->options->user, role, path, (uint32_t)strtoul(crc, NULL, 16),
	                           &c);
	if (err) {
		recover_say(r, SINK_WARNING, "%s: the master is without the %s: %s: %s", r->path,
		            role, path,
		            err == -ESTALE ? "it is not the file that was used" : strerror(-err));
		return;
	}
	maps[(*count)++] = (struct nexus_map){ .role = role,
		                               .path = path,
		                               .crc32c = c.crc32c,
		                               .pixels = c.pixels,
		                               .width = c.width,
		                               .height = c.height };
}

static json_int_t id_of(const json_t *entry)
{
	return json_integer_value(json_object_get(entry, "id"));
}

/* Those of the calibration that was used last, as far as the manifest knows. */
static unsigned load_maps(struct recover *r, const json_t *manifest, struct nexus_map *maps)
{
	const json_t *list = json_object_get(manifest, "calibration");
	unsigned count = 0;
	json_int_t last = 0;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (id_of(json_array_get(list, i)) > last)
			last = id_of(json_array_get(list, i));
	for (size_t i = 0; r->options->load_map && i < json_array_size(list); i++)
		if (id_of(json_array_get(list, i)) == last)
			add_map(r, json_array_get(list, i), maps, &count);
	return count;
}

static void free_maps(struct nexus_map *maps, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free((void *)(uintptr_t)maps[i].pixels);
}

static const char *text_of(const json_t *object, const char *section, const char *key)
{
	const char *text =
		json_string_value(json_object_get(json_object_get(object, section), key));

	return text ? text : "";
}

static double number_of(const json_t *object, const char *section, const char *key)
{
	return json_number_value(json_object_get(json_object_get(object, section), key));
}

/* The daemon's own master, over the same frames, knows more than recovery can. */
static bool has_better(const struct recover_lane *l)
{
	char name[PART_NAME_MAX];
	struct stat st;

	for (size_t i = 0; i < l->file_count; i++)
		if (l->files[i].finished || !l->files[i].usable)
			return false;
	snprintf(name, sizeof name, "%.200s.h5", l->view.header.folder);
	return l->crashed == 0 && fstatat(l->folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int write_it(struct recover *r, struct recover_lane *l, const json_t *manifest,
                    const struct config *c, struct lane_file *files)
{
	const struct journal_header *h = &l->view.header;
	struct report_source ledger = recover_source(r, l, files);
	struct nexus_map maps[MAPS_MAX];
	unsigned map_count = load_maps(r, manifest, maps);
	char *manifest_json = json_dumps(manifest, JSON_INDENT(2));
	char *config_json = json_dumps(json_object_get(manifest, "configuration"), JSON_INDENT(2));
	const char *name = json_string_value(json_object_get(manifest, "name"));
	struct master_source s = {
		.ledger = &ledger,
		.folder = l->folder,
		.shape = &l->shape,
		.source = h->source,
		.average = h->average ? h->average : 1,
		.reduce = &c->reduce,
		.dose_applied = c->beam.use == BEAM_APPLY,
		.name = name ? name : h->folder,
		.version = r->options->version,
		.ingest_name =
			text_of(json_object_get(manifest, "configuration"), "ingest", "name"),
		.maps = maps,
		.map_count = map_count,
		.manifest_json = manifest_json,
		.config_json = config_json,
		.start_ns = h->started_ns,
		.end_ns = (uint64_t)json_integer_value(json_object_get(manifest, "end_ns")),
		.detector_description = text_of(manifest, "detector", "description"),
		.exposure_s = number_of(manifest, "detector", "exposure_s"),
		.period_s = number_of(manifest, "detector", "period_s"),
	};
	char why[256] = "";
	int err;

	if (r->has_checkpoint) {
		const struct checkpoint_view *v = &r->checkpoint;

		s.raw = (struct nexus_histogram){ v->raw_bins, v->counts, v->raw_tails };
		s.normalised =
			(struct nexus_histogram){ v->normalised_bins, v->counts + v->raw_bins.bins,
			                          v->normalised_tails };
	}
	err = master_write(&s, why);
	if (err == -EINVAL && map_count > 0) { /* images of another size */
		s.map_count = 0;
		err = master_write(&s, why);
	}
	if (err)
		recover_say(r, SINK_ERROR, "%s/%s.h5: cannot be made: %s", l->path, h->folder,
		            why[0] ? why : strerror(-err));
	free_maps(maps, map_count);
	free(manifest_json);
	free(config_json);
	return err ? err : disk_sync(r->options->io, l->folder);
}

int recover_master(struct recover *r, struct recover_lane *l, const json_t *manifest)
{
	struct lane_file *files;
	struct config c;
	int err;

	if (!l->format || l->format->id != SINK_HDF5 || l->folder < 0 || has_better(l))
		return 0;
	files = calloc(l->file_count ? l->file_count : 1, sizeof *files);
	if (!files)
		return -ENOMEM;
	if (!load_config(manifest, &c) &&
	    config_parse(&c, NULL, 0, "", NULL, 0, &(char *){ NULL })) {
		free(files);
		return -ENOMEM;
	}
	/* The journal knows better, and is there without a manifest, too. */
	c.reduce.normalise = (enum normalise)l->view.header.normalise;
	c.reduce.average = l->view.header.average;
	c.reduce.window_low = l->view.header.window_low;
	c.reduce.window_high = l->view.header.window_high;
	err = write_it(r, l, manifest, &c, files);
	config_done(&c);
	free(files);
	return err;
}
