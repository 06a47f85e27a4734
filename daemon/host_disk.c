/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/collector.h"
#include "daemon/host_parts.h"
#include "daemon/idle.h"
#include "daemon/pipeline.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#define CIFS_MAGIC 0xff534d42u

static void ignore_released(void *user, void *owner)
{
	(void)user;
	(void)owner;
}

static void ignore_settled(void *user, uint64_t number, enum frame_state state, unsigned reason,
                           bool revoked)
{
	(void)user;
	(void)number;
	(void)state;
	(void)reason;
	(void)revoked;
}

static void ignore_durable(void *user, uint64_t frames)
{
	(void)user;
	(void)frames;
}

static void say(void *user, enum sink_say level, const char *text)
{
	check_find(user, level == SINK_INFO ? "ok" : "warning", "sinks", "%s", text);
}

/* What an operator should know of a file system; NULL: nothing. */
static const char *remark(uint64_t type)
{
	switch (type) {
	case TMPFS_MAGIC:
	case RAMFS_MAGIC:
		return "is memory (tmpfs): it takes that from the buffers, and all of it is gone "
		       "after a restart; name a folder on a disk";
	case NFS_SUPER_MAGIC:
	case SMB_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
	case CIFS_MAGIC:
		return "is on a network: frames are durable when its server says so, and a pause "
		       "of the network fills the buffer; measure with --rate, or write to a local "
		       "disk and copy";
	case OVERLAYFS_SUPER_MAGIC:
		return "is the container's own layer (overlay), slow and gone with it: mount a "
		       "folder of the host there";
	case FUSE_SUPER_MAGIC:
		return "is served by a program (FUSE): O_DIRECT and syncing may not mean what they "
		       "say; measure with --rate, or write to a local disk";
	default:
		return NULL;
	}
}

static void check_space(struct check *k)
{
	for (unsigned i = 0; i < k->config->sink_count; i++) {
		const char *directory = k->config->sinks[i].directory, *what;
		struct statfs fs;

		if (statfs(directory, &fs) != 0)
			continue;
		check_find(k, "ok", "disk", "%s has %.1f GB free", directory,
		           (double)fs.f_bavail * (double)fs.f_bsize / 1e9);
		what = remark((uint64_t)fs.f_type & UINT32_MAX);
		if (what)
			check_find(k, "warning", "disk", "%s %s", directory, what);
	}
}

/* The directory that a key names for files, where any are made. */
static void check_directory(struct check *k, const char *area, const char *key, const char *given)
{
	const char *path = pipeline_directory(k->config, given);
	char why[400];
	int err = access(path, W_OK | X_OK) == 0 ? 0 : -errno;

	snprintf(why, sizeof why, "%s: cannot write to %.200s: %s; make it or name another", key,
	         path, strerror(-err));
	if (err < 0)
		check_fail(k, collector_status_of(err), area, why);
	else
		check_find(k, "ok", area, "%s: %s can be written", key, path);
}

static void check_directories(struct check *k)
{
	const struct config_calibration *c = &k->config->calibration;

	if (c->directory[0] || c->sequence.count > 0 || k->config->ingest.role_key[0])
		check_directory(k, "calibration", "calibration.directory", c->directory);
	if (blackbox_wanted(k->config))
		check_directory(k, "blackbox", "blackbox.directory", k->config->blackbox.directory);
}

static void check_sinks(struct check *k)
{
	struct sink_callbacks callbacks = { .user = k,
		                            .released = ignore_released,
		                            .settled = ignore_settled,
		                            .durable = ignore_durable,
		                            .say = say };
	struct sink_program program = {
		.version = "", .commit = "", .isa = "", .config_json = "{}"
	};
	struct sinks *sinks = NULL;
	struct bell bell = { 0 };
	char why[256] = "";
	int err = bell_open(&bell);

	if (err == 0)
		err = sinks_open(&sinks, k->config, &program, &callbacks, bell.fd, why);
	if (err < 0)
		check_fail(k, collector_status_of(err), "sinks", why[0] ? why : strerror(-err));
	else
		check_find(k, "ok", "sinks", "%s", sinks_writer_summary(sinks));
	sinks_close(sinks);
	bell_close(&bell);
	check_space(k);
}

void check_disks(struct check *k)
{
	check_sinks(k);
	check_directories(k);
}
