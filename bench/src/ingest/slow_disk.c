/* A disk that takes its time: every fdatasync() of a process takes SLOW_DISK_SYNC_US microseconds longer.
 * Loaded before the C library (LD_PRELOAD); whatever is not synced is as fast as ever. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

#ifndef SLOW_DISK_SYNC_US
#error "say how long a sync takes"
#endif

int fdatasync(int file) {
    int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    usleep(SLOW_DISK_SYNC_US);
    return next ? next(file) : -1;
}
