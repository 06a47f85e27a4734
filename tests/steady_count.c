/* SPDX-License-Identifier: Apache-2.0 */
/* To be preloaded: counts what each thread of a program does that costs more than it looks, and
 * writes a line for each thread to the file that STEADY_REPORT names when the program ends:
 *
 *   <thread> allocations=<n> locks=<n> faults=<n>
 *
 * Allocations and locks are the program's own: those whose caller is in its executable and not in a
 * library. Page faults are all that the thread had. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define THREADS_MAX 64

struct counts {
	char name[16];
	unsigned long allocations, locks, faults;
};

struct start {
	void *(*body)(void *);
	void *argument;
};

static struct counts threads[THREADS_MAX];
static unsigned thread_count;
static _Thread_local struct counts mine;
static const char *program_begin, *program_end;

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t), *(*real_aligned)(size_t, size_t);
static int (*real_memalign)(void **, size_t, size_t), (*real_lock)(pthread_mutex_t *);
static int (*real_create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

/* dlsym() itself asks for memory before calloc is known. */
static char early[4096];
static size_t early_used;

static void find(void)
{
	static int finding;

	if (real_create || finding)
		return;
	finding = 1;
	*(void **)&real_calloc = dlsym(RTLD_NEXT, "calloc");
	*(void **)&real_malloc = dlsym(RTLD_NEXT, "malloc");
	*(void **)&real_realloc = dlsym(RTLD_NEXT, "realloc");
	*(void **)&real_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
	*(void **)&real_memalign = dlsym(RTLD_NEXT, "posix_memalign");
	*(void **)&real_lock = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	*(void **)&real_create = dlsym(RTLD_NEXT, "pthread_create");
	finding = 0;
}

/* The executable's mapped code. */
__attribute__((constructor)) static void find_program(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512], program[256] = "";
	unsigned long begin, end;

	find();
	while (maps && fgets(line, sizeof line, maps)) {
		const char *path = strchr(line, '/');

		if (sscanf(line, "%lx-%lx", &begin, &end) != 2 || !path)
			continue;
		if (!program[0])
			snprintf(program, sizeof program, "%s", path);
		if (strcmp(path, program) != 0)
			continue;
		if (!program_begin)
			program_begin = (const char *)begin;
		program_end = (const char *)end;
	}
	if (maps)
		fclose(maps);
}

static int from_program(const void *caller)
{
	return (const char *)caller >= program_begin && (const char *)caller < program_end;
}

#define COUNT(what)                                                                                \
	do {                                                                                       \
		if (from_program(__builtin_return_address(0)))                                     \
			mine.what++;                                                               \
	} while (0)

void *malloc(size_t bytes)
{
	find();
	COUNT(allocations);
	return real_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	find();
	COUNT(allocations);
	if (!real_calloc) {
		void *at = early + early_used;

		early_used += (count * bytes + 15) / 16 * 16;
		return early_used <= sizeof early ? at : NULL;
	}
	return real_calloc(count, bytes);
}

void *realloc(void *at, size_t bytes)
{
	find();
	COUNT(allocations);
	return real_realloc(at, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	find();
	COUNT(allocations);
	return real_aligned(alignment, bytes);
}

int posix_memalign(void **ret, size_t alignment, size_t bytes)
{
	find();
	COUNT(allocations);
	return real_memalign(ret, alignment, bytes);
}

int pthread_mutex_lock(pthread_mutex_t *lock)
{
	find();
	COUNT(locks);
	return real_lock(lock);
}

static void note_thread(void)
{
	unsigned at = __atomic_fetch_add(&thread_count, 1, __ATOMIC_RELAXED);
	struct rusage usage;

	if (at >= THREADS_MAX || getrusage(RUSAGE_THREAD, &usage))
		return;
	pthread_getname_np(pthread_self(), mine.name, sizeof mine.name);
	mine.faults = (unsigned long)(usage.ru_minflt + usage.ru_majflt);
	threads[at] = mine;
}

static void *live(void *argument)
{
	struct start start = *(struct start *)argument;
	void *result;

	free(argument);
	result = start.body(start.argument);
	note_thread();
	return result;
}

int pthread_create(pthread_t *ret, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *argument)
{
	struct start *start;

	find();
	start = real_malloc(sizeof *start);
	*start = (struct start){ body, argument };
	return real_create(ret, attributes, live, start);
}

__attribute__((destructor)) static void report(void)
{
	const char *path = getenv("STEADY_REPORT");
	FILE *out = path ? fopen(path, "w") : NULL;

	if (!out)
		return;
	for (unsigned i = 0; i < thread_count && i < THREADS_MAX; i++)
		fprintf(out, "%s allocations=%lu locks=%lu faults=%lu\n", threads[i].name,
		        threads[i].allocations, threads[i].locks, threads[i].faults);
	fclose(out);
}
