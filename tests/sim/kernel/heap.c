/* The memory of simulated processes, by the linker (--wrap): a killed process frees nothing, so all of it is void at once when
 * the next history begins. What the world takes comes from the real heap.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel.h"
#include "stepmill/error.h"

enum { CLASSES = 40, KEEP = 64 * 1024 * 1024 };

#define ROOM ((size_t)64 << 30) /* address space, not memory */

/* Before each piece; 16 bytes, so that the piece is aligned for any type. */
struct piece {
    size_t size;
    size_t class;
};

struct free_piece {
    struct free_piece *next;
};

static struct {
    char *at;
    size_t used;
    struct free_piece *free[CLASSES]; /* of 16 << class bytes */
} heap;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *at, size_t n);
void __real_free(void *at);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *at, size_t n);
void __wrap_free(void *at);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
int __wrap_asprintf(char **to, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool mine(const void *at) { return heap.at && (const char *)at >= heap.at && (const char *)at < heap.at + ROOM; }
static struct piece *piece_of(void *at) { return (struct piece *)at - 1; }

void heap_begin(void)
{
    if (!heap.at) {
        heap.at = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (heap.at == MAP_FAILED)
            bug("no address space for the simulated processes");
    }
    if (heap.used > KEEP)
        (void)madvise(heap.at + KEEP, heap.used - KEEP, MADV_DONTNEED);
    heap.used = 0;
    memset(heap.free, 0, sizeof heap.free);
}

static void *take(size_t n)
{
    size_t class = n <= 16 ? 0 : (size_t)(64 - __builtin_clzll((n - 1) >> 4));
    struct piece *p;

    if (class >= CLASSES)
        return NULL;
    if (heap.free[class]) {
        p = piece_of(heap.free[class]);
        heap.free[class] = heap.free[class]->next;
    } else {
        size_t all = sizeof *p + ((size_t)16 << class);

        if (all > ROOM - heap.used)
            return NULL;
        p = (struct piece *)(void *)(heap.at + heap.used);
        heap.used += all;
        p->class = class;
    }
    p->size = n;
    return p + 1;
}

void *__wrap_malloc(size_t n) { return sim_self() ? take(n) : __real_malloc(n); }

void *__wrap_calloc(size_t n, size_t size)
{
    void *at;

    if (!sim_self())
        return __real_calloc(n, size);
    if (size && n > SIZE_MAX / size)
        return NULL;
    at = take(n * size);
    return at ? memset(at, 0, n * size) : NULL;
}

void __wrap_free(void *at)
{
    struct free_piece *f = at;

    if (!mine(at)) {
        __real_free(at);
        return;
    }
    f->next = heap.free[piece_of(at)->class];
    heap.free[piece_of(at)->class] = f;
}

void *__wrap_realloc(void *at, size_t n)
{
    void *grown;

    if (at && !mine(at))
        return __real_realloc(at, n);
    if (!at)
        return __wrap_malloc(n);
    if (n <= (size_t)16 << piece_of(at)->class) {
        piece_of(at)->size = n;
        return at;
    }
    grown = take(n);
    if (!grown)
        return NULL;
    memcpy(grown, at, piece_of(at)->size);
    __wrap_free(at);
    return grown;
}

char *__wrap_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *copy = __wrap_malloc(len + 1);

    if (!copy)
        return NULL;
    memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *__wrap_strdup(const char *s) { return __wrap_strndup(s, SIZE_MAX - 1); }

int __wrap_asprintf(char **to, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    *to = n < 0 ? NULL : __wrap_malloc((size_t)n + 1);
    if (!*to)
        return -1;
    va_start(args, format);
    vsnprintf(*to, (size_t)n + 1, format, args);
    va_end(args);
    return n;
}
