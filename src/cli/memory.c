/* What serves malloc in this process: jemalloc, set up for one loop thread that allocates and few helpers that free. */
#include <stddef.h>

#include "cli.h"

/* jemalloc reads this name at start; without jemalloc (sanitizer builds) nobody does. One arena, since nearly all memory is the
 * loop thread's; pieces up to 64 KiB stay in the thread's cache, as messages of models do. Against glibc's malloc: a tenth less
 * CPU per task (tests/bench/RESULTS.md). */
extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,lg_tcache_max:16";

/* jemalloc's own; absent when it is not linked. */
extern int mallctl(const char *name, void *old, size_t *old_len, void *new, size_t new_len) __attribute__((weak));

const char *memory_version(void)
{
    const char *version = NULL;
    size_t len = sizeof version;

    return mallctl && mallctl("version", (void *)&version, &len, NULL, 0) == 0 ? version : NULL;
}
