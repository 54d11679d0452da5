/* Allocators that fail on demand, put before the real ones by the linker (--wrap), and the loop over all places. */
#include "memory_faults.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

enum { OPERATIONS_MAX = 40, ALLOCATIONS_MAX = 100000 };

/* Global, for allocators have no context; one thread. */
static struct {
    size_t taken;    /* allocations of this run */
    size_t fail_at;  /* its first that fails; 0: none */
    bool fail_after; /* all later ones fail too */
    int64_t held;    /* pieces taken and not freed */
    uint64_t seen;   /* hash of what the run has seen */
} now;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t n);
void __wrap_free(void *p);
char *__real_getcwd(char *room, size_t n);
char *__real_realpath(const char *path, char *room);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
char *__wrap_getcwd(char *room, size_t n);
char *__wrap_realpath(const char *path, char *room);

static bool may_take(void)
{
    bool fails;

    now.taken++;
    fails = now.fail_at && (now.fail_after ? now.taken >= now.fail_at : now.taken == now.fail_at);
    if (fails)
        errno = ENOMEM;
    return !fails;
}

static void *held(void *p)
{
    now.held += p != NULL;
    return p;
}

void *__wrap_malloc(size_t n) { return may_take() ? held(__real_malloc(n)) : NULL; }
void *__wrap_calloc(size_t n, size_t size) { return may_take() ? held(__real_calloc(n, size)) : NULL; }

void *__wrap_realloc(void *old, size_t n)
{
    void *p = may_take() ? __real_realloc(old, n) : NULL;

    return old ? p : held(p);
}

void __wrap_free(void *p)
{
    now.held -= p != NULL;
    __real_free(p);
}

char *__wrap_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *p = __wrap_malloc(len + 1);

    if (p) {
        memcpy(p, s, len);
        p[len] = '\0';
    }
    return p;
}

char *__wrap_strdup(const char *s) { return __wrap_strndup(s, SIZE_MAX); }

/* These two are asked for memory of theirs. */
char *__wrap_getcwd(char *room, size_t n)
{
    return room ? __real_getcwd(room, n) : may_take() ? held(__real_getcwd(NULL, n)) : NULL;
}

char *__wrap_realpath(const char *path, char *room)
{
    return room ? __real_realpath(path, room) : may_take() ? held(__real_realpath(path, NULL)) : NULL;
}

void saw(struct slice what)
{
    for (size_t i = 0; i < what.len; i++)
        now.seen = (now.seen ^ (unsigned char)what.at[i]) * UINT64_C(0x100000001b3);
    now.seen = (now.seen ^ (what.at ? what.len : SIZE_MAX)) * UINT64_C(0x100000001b3);
}

void saw_number(int64_t what) { saw((struct slice){(const char *)&what, sizeof what}); }

bool fine(struct error e)
{
    if (failed(e) && (e.class != CLASS_INTERNAL || strcmp(e.code, "out_of_memory") != 0))
        fail_msg("allocation %zu failed, and what is said is %s %s: %s", now.fail_at, error_class_name(e.class), e.code, e.text);
    return !failed(e);
}

bool saw_buf(struct buf *b)
{
    bool whole = !b->failed;

    if (whole)
        saw(buf_slice(b));
    buf_free(b);
    return whole;
}

/* True: the run was done with its work. */
static bool run(const struct memory_operation *o, size_t fail_at, bool fail_after)
{
    bool done;

    now.taken = now.seen = 0;
    now.held = 0;
    now.fail_at = fail_at;
    now.fail_after = fail_after;
    done = o->run();
    now.fail_at = 0;
    if (now.held)
        fail_msg("%s, allocation %zu fails%s: %lld pieces of memory were kept", o->name, fail_at,
                 fail_after ? " and all later" : "", (long long)now.held);
    return done;
}

static void each_allocation_fails(void **state)
{
    const struct memory_operation *o = *state;
    uint64_t right;
    size_t n, refused = 0;

    assert_true(run(o, 0, false));
    right = now.seen;
    n = now.taken;
    assert_in_range(n, 1, ALLOCATIONS_MAX);
    for (size_t at = 1; at <= n; at++)
        for (int after = 0; after < 2; after++) {
            bool done = run(o, at, after);

            refused += !done;
            if (done && !o->lenient && now.seen != right)
                fail_msg("%s, allocation %zu of %zu fails%s: it took what it has made for whole", o->name, at, n,
                         after ? " and all later" : "");
        }
    assert_true(o->lenient || refused);
    assert_true(run(o, 0, false)); /* nothing stays broken */
    assert_true(now.seen == right);
    print_message("%s: %zu allocations, %zu of %zu runs refused\n", o->name, n, refused, 2 * n);
}

int memory_faults_run(const char *group, const struct memory_operation *operations, size_t n)
{
    struct CMUnitTest tests[OPERATIONS_MAX];

    if (n > OPERATIONS_MAX)
        bug("more operations than the table holds");
    json_set_alloc_funcs(malloc, free);
    for (size_t i = 0; i < n; i++)
        tests[i] = (struct CMUnitTest){operations[i].name, each_allocation_fails, NULL, NULL, (void *)(uintptr_t)&operations[i]};
    return _cmocka_run_group_tests(group, tests, n, NULL, NULL);
}
