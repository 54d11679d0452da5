/* The slot of this process: part of its transactional.id, never shared by two live processes (DELIVERY §4.12). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "worker.h"

enum { SLOTS_MAX = 1000 };

static const char *lock_folder(void)
{
    static const char *const folders[] = {"/run/lock", "/var/lock", "/tmp"};

    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (!access(folders[i], W_OK | X_OK))
            return folders[i];
    return "/tmp";
}

/* The descriptor stays open, and so locked, until the process ends. */
static int try_lock(const char *group, int number)
{
    char path[512];
    int fd;

    snprintf(path, sizeof path, "%s/stepmill-%s-worker-%d.lock", lock_folder(), group, number);
    for (char *c = path + strlen(lock_folder()) + 1; *c; c++)
        if (*c == '/')
            *c = '_';
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

struct error worker_take_slot(struct worker *w)
{
    const char *configured = w->config->worker.slot;
    char host[128] = "host";

    gethostname(host, sizeof host - 1);
    snprintf(w->process, sizeof w->process, "%s/%ld", host, (long)getpid());
    w->slot_lock = -1;
    if (configured) {
        snprintf(w->slot, sizeof w->slot, "%s", configured);
        return error_none();
    }
    for (int i = 0; i < SLOTS_MAX; i++) {
        w->slot_lock = try_lock(w->group, i);
        if (w->slot_lock >= 0) {
            snprintf(w->slot, sizeof w->slot, "%s-%d", host, i);
            return error_none();
        }
    }
    return error_make(CLASS_CONFIG, "no_slot", "no free slot was found: set worker.slot, or make /run/lock or /tmp writable");
}
