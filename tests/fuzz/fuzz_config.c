/* Arbitrary bytes as the configuration file: what loads must be shown as JSON that is JSON, and as YAML that loads to the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stepmill/config.h"
#include "stepmill/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct config *load(struct slice text, struct config_report *report)
{
    static const char *const environment[] = {"SET=value", "EMPTY=", NULL};
    char path[64];
    int fd = memfd_create("config", 0);
    struct config_source source = {.path = path, .environment = (char *const *)environment};
    struct config *c;

    if (fd < 0 || write(fd, text.at, text.len) != (ssize_t)text.len)
        bug("no scratch file");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    c = config_load(&source, report);
    close(fd);
    return c;
}

static void check_shown(const struct config *c)
{
    struct buf yaml = BUF(64 << 20), json = BUF(64 << 20), again = BUF(64 << 20);
    struct config_report report;
    struct config *copy;

    config_show(c, false, &yaml);
    config_show_json(c, &json);
    if (yaml.failed || json.failed || !json_valid(buf_slice(&json)))
        bug("shown as JSON that is not: %.*s", SLICE_FMT(buf_slice(&json)));
    if (!memmem(yaml.at, yaml.len, "********", 8) && yaml.len < 1 << 20) { /* what is hidden cannot be read back */
        copy = load(buf_slice(&yaml), &report);
        if (!copy)
            bug("%s, in\n%.*s", report.problems[0].text, SLICE_FMT(buf_slice(&yaml)));
        config_show(copy, false, &again);
        if (!slice_equal(buf_slice(&yaml), buf_slice(&again)))
            bug("shown\n%.*s\nand read back\n%.*s", SLICE_FMT(buf_slice(&yaml)), SLICE_FMT(buf_slice(&again)));
        config_free(copy);
    }
    buf_free(&yaml);
    buf_free(&json);
    buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_report report;
    struct config *c = load((struct slice){(const char *)data, size}, &report);

    if (!c != (report.errors > 0) || report.count > CONFIG_PROBLEMS_MAX)
        bug("%zu errors, %s", report.errors, c ? "loaded" : "not loaded");
    if (c)
        check_shown(c);
    config_free(c);
    return 0;
}
