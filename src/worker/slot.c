/* The slot of this process: part of its transactional.id, never shared by two live processes (DELIVERY §4.12). */
#include "slot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker.h"

enum { SLOTS_MAX = 1000 };

const char *slot_folder(const char *const *folders, size_t n)
{
    struct stat s;

    for (size_t i = 0; i < n; i++)
        if (!stat(folders[i], &s) && S_ISDIR(s.st_mode) && (s.st_mode & S_IWOTH) && (s.st_mode & S_IXOTH))
            return folders[i];
    return NULL;
}

/* A lock needs no right to write, so anybody's file will do, as long as all users may read it. No O_CREAT on a file that is
 * there: the kernel refuses that to other users in a sticky folder (fs.protected_regular). */
static int open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0 && errno == EEXIST) /* somebody was quicker */
        return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        (void)fchmod(fd, 0644); /* whatever the umask says */
    return fd;
}

int slot_lock(const char *folder, const char *group, int *number)
{
    for (int i = 0; i < SLOTS_MAX; i++) {
        char path[512];
        int fd, n = snprintf(path, sizeof path, "%s/stepmill-%s-worker-%d.lock", folder, group, i);

        if (n < 0 || (size_t)n >= sizeof path)
            return -1;
        for (char *c = path + strlen(folder) + 1; *c; c++)
            if (*c == '/')
                *c = '_';
        fd = open_file(path);
        if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB)) {
            *number = i;
            return fd;
        }
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

struct error worker_take_slot(struct worker *w)
{
    static const char *const folders[] = {"/run/lock", "/tmp"};
    const char *configured = w->config->worker.slot, *folder = slot_folder(folders, sizeof folders / sizeof *folders);
    char host[128] = "host";
    int number;

    gethostname(host, sizeof host - 1);
    snprintf(w->process, sizeof w->process, "%s/%ld", host, (long)getpid());
    w->slot_lock = -1;
    if (configured) {
        snprintf(w->slot, sizeof w->slot, "%s", configured);
        return error_none();
    }
    if (folder)
        w->slot_lock = slot_lock(folder, w->group, &number);
    if (w->slot_lock < 0)
        return error_make(CLASS_CONFIG, "no_slot",
                          "no free slot was found: set worker.slot, or let everybody write to /run/lock or /tmp (mode 1777)");
    snprintf(w->slot, sizeof w->slot, "%s-%d", host, number);
    return error_none();
}
