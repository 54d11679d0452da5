/* Slots: no two live processes hold one, whichever users run them. */
#include "helper_unit.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slot.h"

enum { NOBODY = 65534 };

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/stepmill-slot-XXXXXX");
    return !mkdtemp(folder) || chmod(folder, 01777);
}

static int remove_folder(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/stepmill-group-worker-%d.lock", folder, i);
        (void)unlink(path);
    }
    return rmdir(folder);
}

static void the_folder_does_not_depend_on_who_asks(void **state)
{
    const char *folders[] = {"/nonexistent/folder", folder, "/tmp"};

    (void)state;
    assert_string_equal(slot_folder(folders, 3), folder);
    assert_int_equal(chmod(folder, 0755), 0); /* ours alone: others would lock elsewhere, so we must too */
    assert_string_equal(slot_folder(folders, 3), "/tmp");
    assert_null(slot_folder(folders, 2));
}

static void the_lowest_free_number_is_taken_and_given_back(void **state)
{
    int number = -1, first = slot_lock(folder, "group", &number), second, third;

    (void)state;
    assert_true(first >= 0);
    assert_int_equal(number, 0);
    second = slot_lock(folder, "group", &number);
    assert_true(second >= 0);
    assert_int_equal(number, 1);
    close(first);
    third = slot_lock(folder, "group", &number);
    assert_int_equal(number, 0);
    close(second);
    close(third);
    assert_int_equal(slot_lock("/nonexistent/folder", "group", &number), -1);
}

/* Another user's process takes a slot, tells its number, and lives until it is told to end. */
static pid_t other_user(int tell[2], int end[2], int *number)
{
    pid_t pid;
    int got = -1;

    assert_int_equal(pipe(tell), 0);
    assert_int_equal(pipe(end), 0);
    pid = fork();
    if (pid == 0) {
        char byte;

        close(end[1]);
        umask(0077);
        if (setuid(NOBODY) || slot_lock(folder, "group", &got) < 0)
            got = -1;
        if (write(tell[1], &got, sizeof got) != sizeof got || read(end[0], &byte, 1) != 0)
            _exit(1);
        _exit(0);
    }
    close(end[0]);
    assert_int_equal(read(tell[0], number, sizeof *number), sizeof *number);
    return pid;
}

static void users_of_one_host_never_share_a_slot(void **state)
{
    int tell[2], end[2], theirs = -1, ours = -1, status, fd;
    pid_t pid;

    (void)state;
    if (geteuid() != 0)
        skip();
    pid = other_user(tell, end, &theirs);
    assert_int_equal(theirs, 0);
    fd = slot_lock(folder, "group", &ours);
    assert_int_equal(ours, 1);
    close(end[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close(fd);
    fd = slot_lock(folder, "group", &ours); /* theirs is free, and their file serves us */
    assert_int_equal(ours, 0);
    pid = other_user(tell, end, &theirs);
    assert_int_equal(theirs, 1); /* and ours serves them */
    close(end[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_folder_does_not_depend_on_who_asks, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_lowest_free_number_is_taken_and_given_back, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(users_of_one_host_never_share_a_slot, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
